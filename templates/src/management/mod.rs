//! Which template is in force: template management for both sides (RFC 7011 sections 8 to 10), sequence numbers
//! (section 3.1), and types announced in-band (RFC 5610). No sockets and no clock: time comes as an argument.

pub mod collecting;
pub mod domain;
pub mod exporting;
pub mod habits;
pub mod pending;
pub mod saved;
pub mod sequence;
pub mod type_information;

pub use crate::header::{HeaderSampling, MessageHeader, SequenceUnit, Version};
pub use collecting::{CollectingConfig, CollectingCounters, CollectingSession, Event, TemplateChange};
pub use domain::DomainTemplates;
pub use exporting::{EncodedMessage, ExportingConfig, ExportingCounters, ExportingError, ExportingSession, TemplateId};
pub use habits::{Counted, SequenceHabit};
pub use pending::PendingCounters;
pub use saved::{SavedSet, SavedTemplate, SavedTemplates};
pub use sequence::{SequenceCounters, SequenceOutcome, SequenceTracker};

/// What carries the Messages of a session: it decides about lifetimes, withdrawals and repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// Messages may be lost, doubled and out of order; templates are repeated and expire; no withdrawals.
    Udp,
    /// A reliable stream: templates once a session, withdrawn when they end.
    Tcp,
    /// As `Tcp`, with several streams.
    Sctp,
    /// As `Tcp` (RFC 5655).
    File,
}

impl TransportKind {
    /// Whether what was sent arrives, once and in order.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Lower-case name, for counters and people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Sctp => "sctp",
            Self::File => "file",
        }
    }
}

#[cfg(test)]
mod stories;
