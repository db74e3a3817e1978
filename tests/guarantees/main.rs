//! What Flowgauge promises, one file per guarantee. The programs are run as a user runs them.
#![allow(clippy::unwrap_used)]

mod support;

mod agreement;
mod answers;
mod elements_named_in_band;
mod exported_equals_captured;
mod hostile_datagrams;
mod house;
mod names_observed;
mod netflow;
mod nothing_lost_between;
mod nothing_lost_by_a_crash;
mod outages;
mod page;
mod peers_read_us;
mod reference;
mod relayed;
mod rollups;
mod sflow;
mod store_survives;
mod summaries_leave;
mod summaries_merge;
mod transports;
mod transports_dtls;
mod transports_sctp;
mod wrong_use;
