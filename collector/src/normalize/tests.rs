//! Tests of normalising.
