//! The collector's edges: sockets that receive, files that hold what was received, and the queue behind both.
//!
//! The receive path only reads, stamps and queues; everything that can take long happens behind the queue.

mod admit;
pub mod capture_file;
pub mod disk;
pub mod dtls;
pub mod input;
pub mod listener;
pub mod queue;
pub mod relay;
pub mod sctp;
pub mod sctp_socket;
pub mod tcp;
pub mod tcp_stream;
pub mod tls;
pub mod udp;
