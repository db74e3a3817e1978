//! The named maxima of the API: who asks decides nothing about how much memory or time it takes.

use std::time::Duration;

/// Connections that are served at the same time; more wait in the kernel's queue until one of them ends.
pub const CONNECTIONS: usize = 32;
/// A connection on which nothing could be sent for this long is closed, whether it is silent, sends a request octet by
/// octet or does not take its answer. Longer than the minute between two scrapes.
pub const IDLE: Duration = Duration::from_secs(75);
/// A request is answered within this.
pub const ANSWER: Duration = Duration::from_secs(10);
/// What is being answered when the exporter stops has this long.
pub const STOP: Duration = Duration::from_millis(500);
/// Answers about merged windows that are kept for the next one who asks, until there is something newer.
pub const KEPT_ANSWERS: usize = 8;
/// How long the first one who asks for the window that is being filled waits for it.
pub const OPEN_WAIT: Duration = Duration::from_millis(1500);
/// Where the API is looked for when no other address is named: the port of pktvisor's.
pub const DEFAULT_PORT: u16 = 10853;
