//! Observed names across a restart.
