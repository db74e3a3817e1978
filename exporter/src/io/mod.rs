//! Shells around the cores: where frames are read and Messages are written.

pub mod live;
pub mod pcap_file;
