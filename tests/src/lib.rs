//! Flowgauge.
