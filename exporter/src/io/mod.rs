//! Shells around the cores: where frames are read and Messages are written.

pub mod live;
pub mod pace;
pub mod pcap_file;
pub mod queue;
pub mod retry;
