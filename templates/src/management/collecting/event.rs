//! What a session says to those who use it: how long it keeps things, what came out of a Message, what it counted.

use std::sync::Arc;

use flowgauge_ie_registry::Registry;

use super::super::domain::DomainTemplates;
use super::super::sequence::SequenceOutcome;
use crate::error::{DecodeError, ErrorCounters};
use crate::ipfix::{MessageHeader, Records, Template};
use crate::limits::{MAX_TEMPLATES_PER_DOMAIN, PENDING_AGE_S, TEMPLATE_LIFETIME_S};

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectingConfig {
    /// Seconds a template that came over UDP stays without being repeated.
    pub template_lifetime_s: u32,
    /// Seconds a Set waits for its template.
    pub pending_age_s: u32,
    /// Templates of one Observation Domain; more than the limit of any domain is that.
    pub templates_per_domain: u16,
}

impl Default for CollectingConfig {
    fn default() -> Self {
        Self {
            template_lifetime_s: TEMPLATE_LIFETIME_S,
            pending_age_s: PENDING_AGE_S,
            templates_per_domain: MAX_TEMPLATES_PER_DOMAIN as u16,
        }
    }
}

/// What an announcement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateChange {
    /// The identifier was free.
    New,
    /// The same template again.
    Refreshed,
    /// Another template under an identifier in use, without a withdrawal.
    Replaced,
    /// The same fields, of which some have names and types only now (RFC 5610).
    Retyped,
}

/// What comes out of a Message, in the order of its Sets.
#[derive(Debug)]
pub enum Event<'e, 'r> {
    /// A Message whose header is sound.
    Message(&'e MessageHeader),
    /// A template was announced, or learned more about its fields.
    Template {
        /// Observation Domain ID.
        domain: u32,
        /// The template now in force.
        template: &'e Arc<Template>,
        /// What is new about it.
        change: TemplateChange,
    },
    /// A template ended.
    Withdrawn {
        /// Observation Domain ID.
        domain: u32,
        /// Its identifier; 2 or 3 for all of a kind.
        id: u16,
    },
    /// The records of one Data Set. What the receiver does not read is counted all the same.
    Records {
        /// Header of the Message that the Set came in.
        header: &'e MessageHeader,
        /// Its template.
        template: &'e Arc<Template>,
        /// The records.
        records: &'e mut Records<'r, 'r>,
        /// Templates of the same domain, for structured data.
        scope: &'e DomainTemplates,
        /// Names and types, for structured data.
        registry: &'e Registry,
        /// How long the Set waited for its template.
        waited_ns: Option<i64>,
    },
    /// A Data Set without a template in force; it waits.
    Pending {
        /// Header of the Message that the Set came in.
        header: &'e MessageHeader,
        /// The template that it needs.
        set_id: u16,
        /// Octets of the Set.
        octets: usize,
    },
    /// A fault within a Message. What is sound of it goes on.
    Error(DecodeError),
    /// What the sequence number says, after the last Set.
    Sequence {
        /// Observation Domain ID.
        domain: u32,
        /// The judgement.
        outcome: SequenceOutcome,
    },
}

/// What a session has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectingCounters {
    /// Messages with a sound header.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Data Records of flows.
    pub flow_records: u64,
    /// Data Records of options.
    pub options_records: u64,
    /// Template and Options Template Records accepted, repetitions included.
    pub templates: u64,
    /// Templates that replaced another one under the same identifier.
    pub replaced_templates: u64,
    /// Templates withdrawn.
    pub withdrawn_templates: u64,
    /// Templates that were not repeated in time.
    pub expired_templates: u64,
    /// Elements that type records named (RFC 5610).
    pub typed_elements: u64,
    /// Faults by kind.
    pub errors: ErrorCounters,
}
