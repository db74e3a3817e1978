//! The sFlow agent (sFlow version 5, host structures): packets sampled at random and counters polled, in UDP datagrams.

pub mod limits;
