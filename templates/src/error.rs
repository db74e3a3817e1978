//! What is wrong with bytes from outside: one small value that says which layer, where, and how much was missing.

use std::fmt;

/// A fault in received bytes. `Copy`, without text of its own, so that counting a million of them costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{layer} at octet {offset}: {kind} (needed {needed}, available {available})")]
pub struct DecodeError {
    /// What was wrong.
    pub kind: DecodeErrorKind,
    /// In which structure.
    pub layer: Layer,
    /// Octets from the start of the Message (or of the value, for lists) to the fault.
    pub offset: usize,
    /// Octets, or the number, that would have been right.
    pub needed: usize,
    /// Octets, or the number, that were there.
    pub available: usize,
}

impl DecodeError {
    /// Puts the fault `base` octets further on: from a part's own count to that of the whole.
    #[must_use]
    pub fn shifted(mut self, base: usize) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

/// The kinds of faults: a closed set, since each is the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecodeErrorKind {
    /// The bytes end before the structure does.
    Truncated,
    /// The version number is not one that is decoded here.
    Version,
    /// The Message says a length below its own header, or another one than the datagram's.
    MessageLength,
    /// A Set says a length below 4 or beyond the Message.
    SetLength,
    /// A Set with one of the identifiers 0, 1 and 4 to 255.
    ReservedSetId,
    /// A template with an identifier below 256.
    TemplateId,
    /// A template whose records could be of no length at all.
    EmptyTemplate,
    /// A template with more fields than [`crate::limits::MAX_FIELDS`].
    TooManyFields,
    /// An Options Template with no scope field, or with more scope fields than fields.
    ScopeCount,
    /// An Options Template of NetFlow version 9 whose lengths are not those of whole fields.
    OptionsLength,
    /// A withdrawal where the transport has none (RFC 7011 section 8.4).
    WithdrawalOverUdp,
    /// A withdrawal of a template that was never there.
    UnknownWithdrawal,
    /// More templates than one session or domain may hold.
    TooManyTemplates,
    /// More Observation Domains than one session may hold.
    TooManyDomains,
    /// The last record of a Set is cut.
    RecordCut,
    /// Structured data (RFC 6313) whose header or content is cut.
    ListCut,
    /// Structured data nested deeper than [`crate::limits::MAX_LIST_DEPTH`].
    ListDepth,
    /// A type record (RFC 5610) that names no usable element.
    TypeRecord,
    /// An address (sFlow) that is neither IPv4 nor IPv6.
    AddressType,
}

impl DecodeErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 19] = [
        Self::Truncated,
        Self::Version,
        Self::MessageLength,
        Self::SetLength,
        Self::ReservedSetId,
        Self::TemplateId,
        Self::EmptyTemplate,
        Self::TooManyFields,
        Self::ScopeCount,
        Self::OptionsLength,
        Self::WithdrawalOverUdp,
        Self::UnknownWithdrawal,
        Self::TooManyTemplates,
        Self::TooManyDomains,
        Self::RecordCut,
        Self::ListCut,
        Self::ListDepth,
        Self::TypeRecord,
        Self::AddressType,
    ];

    /// The label in counters and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::MessageLength => "message_length",
            Self::SetLength => "set_length",
            Self::ReservedSetId => "reserved_set_id",
            Self::TemplateId => "template_id",
            Self::EmptyTemplate => "empty_template",
            Self::TooManyFields => "too_many_fields",
            Self::ScopeCount => "scope_count",
            Self::OptionsLength => "options_length",
            Self::WithdrawalOverUdp => "withdrawal_over_udp",
            Self::UnknownWithdrawal => "unknown_withdrawal",
            Self::TooManyTemplates => "too_many_templates",
            Self::TooManyDomains => "too_many_domains",
            Self::RecordCut => "record_cut",
            Self::ListCut => "list_cut",
            Self::ListDepth => "list_depth",
            Self::TypeRecord => "type_record",
            Self::AddressType => "address_type",
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in the nesting of structures a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Message or datagram header.
    Message,
    /// Set header, or sFlow sample.
    Set,
    /// Template or Options Template Record.
    Template,
    /// Data Record, or record of an sFlow sample.
    Record,
    /// Structured data within a record.
    List,
}

impl Layer {
    /// The label in counters and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Set => "set",
            Self::Template => "template",
            Self::Record => "record",
            Self::List => "list",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each kind of fault was met. A plain array: the set is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounters([u64; DecodeErrorKind::ALL.len()]);

impl ErrorCounters {
    /// Counts one.
    pub fn count(&mut self, kind: DecodeErrorKind) {
        if let Some(slot) = self.0.get_mut(kind as usize) {
            *slot += 1;
        }
    }

    /// How many of `kind` there were.
    #[must_use]
    pub fn of(&self, kind: DecodeErrorKind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// Faults of every kind together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The kinds that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DecodeErrorKind, u64)> + '_ {
        DecodeErrorKind::ALL
            .into_iter()
            .map(|kind| (kind, self.of(kind)))
            .filter(|(_, n)| *n > 0)
    }
}
