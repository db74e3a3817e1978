//! Shells around the cores: where frames are read and Messages are written.

pub mod datagrams;
pub mod destination;
mod dispatch;
mod dtls;
pub mod file;
pub mod identity;
mod json;
mod lines;
pub mod live;
pub mod log_limit;
pub mod netflow;
pub mod pace;
pub mod patience;
pub mod pcap_file;
pub mod privileges;
pub mod queue;
mod readable;
pub mod resolve;
pub mod retry;
pub mod sctp;
pub mod sctp_socket;
mod sequences;
mod series;
mod session;
mod spooled;
pub mod tcp;
pub mod tls;
pub mod udp;
mod windows;

#[cfg(test)]
mod stories;
#[cfg(test)]
mod tls_stories;
