//! The Exporting Process's side of one transport session: records in, Messages out, templates announced when a
//! receiver needs them.

use std::collections::VecDeque;

use flowgauge_ie_registry::ids;

use crate::ipfix::write::{MessageBuffer, RecordWriter};
use crate::ipfix::{
    FieldSpecifier, MESSAGE_HEADER_OCTETS, MIN_TEMPLATE_ID, OPTIONS_TEMPLATE_SET_ID, SET_HEADER_OCTETS,
    TEMPLATE_SET_ID, TemplateRecord,
};
use crate::limits::{DEFAULT_UDP_MESSAGE_OCTETS, MAX_FIELDS, MAX_MESSAGE_OCTETS};

use super::TransportKind;

const NS_PER_S: i64 = 1_000_000_000;

/// How a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportingConfig {
    /// Observation Domain ID.
    pub domain: u32,
    /// What carries the Messages.
    pub transport: TransportKind,
    /// The longest Message: over UDP, what the path takes without fragmentation.
    pub max_message_octets: usize,
    /// Over UDP, seconds after which templates are repeated.
    pub template_refresh_s: u32,
    /// Over UDP, Messages after which templates are repeated; 0 for never.
    pub template_refresh_messages: u32,
    /// Messages are kept before they are sent, and may be sent twice: each Data Record that is not of options ends with a
    /// recordId that no other has, and templates have Messages of their own, so that they can be told again without the
    /// records that they came with.
    pub kept: bool,
}

impl ExportingConfig {
    /// What serves `transport` where nobody said otherwise.
    #[must_use]
    pub fn of(transport: TransportKind, domain: u32) -> Self {
        let max_message_octets = if transport.is_reliable() {
            MAX_MESSAGE_OCTETS
        } else {
            DEFAULT_UDP_MESSAGE_OCTETS
        };
        Self {
            domain,
            transport,
            max_message_octets,
            template_refresh_s: 600,
            template_refresh_messages: 4_096,
            kept: false,
        }
    }
}

/// A template's identifier, as given by [`ExportingSession::add_template`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(u16);

impl TemplateId {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Why something could not be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportingError {
    /// The template has no fields, too many, or its records would take nothing.
    #[error("a template needs 1 to {MAX_FIELDS} fields and records of at least one octet")]
    Fields,
    /// All identifiers from 256 to 65535 are in use.
    #[error("no template identifier is free")]
    NoIdentifier,
    /// The identifier is none of this session's.
    #[error("template {0} is not of this session")]
    UnknownTemplate(u16),
    /// The record does not fit into a Message of its own.
    #[error("a record of {0} octets does not fit into a Message of {1}")]
    RecordTooLong(usize, usize),
}

/// One Message that is ready to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedMessage {
    /// The octets.
    pub bytes: Vec<u8>,
    /// Data Records in it: what is lost with it.
    pub records: u32,
    /// The recordId of the first of them, where Messages are kept.
    pub first_record: u64,
}

/// What a session has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportingCounters {
    /// Messages.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Data Records, of options too.
    pub records: u64,
    /// Template and Options Template Records, repetitions included.
    pub templates: u64,
    /// Times that the templates were due to be repeated.
    pub refreshes: u64,
    /// Records refused for their length.
    pub too_long_records: u64,
}

#[derive(Debug)]
struct Outgoing {
    wire: Vec<u8>,
    options: bool,
    /// Its records end with a recordId.
    numbered: bool,
    announced: bool,
}

/// One transport session of an exporter.
#[derive(Debug)]
pub struct ExportingSession {
    config: ExportingConfig,
    templates: Vec<Outgoing>,
    sequence: u32,
    open: OpenMessage,
    ready: VecDeque<EncodedMessage>,
    spare: Vec<Vec<u8>>,
    refreshed_ns: Option<i64>,
    messages_since_refresh: u32,
    next_record: u64,
    counters: ExportingCounters,
}

/// The Message under construction; empty when there is none.
#[derive(Debug, Default)]
struct OpenMessage {
    bytes: MessageBuffer,
    set: Option<(u16, usize)>,
    /// Records of the Set end with a recordId.
    numbered: bool,
    records: u32,
    first_record: u64,
}

/// What a kept record ends with.
const RECORD_ID: FieldSpecifier = FieldSpecifier::new(ids::RECORD_ID, 8);

/// Octets of buffers that wait for use: what a sender hands back at once.
const MAX_SPARE_OCTETS: usize = 1 << 20;

impl ExportingSession {
    /// A session in which nothing has been said yet.
    #[must_use]
    pub fn new(config: ExportingConfig) -> Self {
        let least = MESSAGE_HEADER_OCTETS + SET_HEADER_OCTETS + 1;
        let max_message_octets = config.max_message_octets.clamp(least, MAX_MESSAGE_OCTETS);
        Self {
            config: ExportingConfig {
                max_message_octets,
                ..config
            },
            templates: Vec::new(),
            sequence: 0,
            open: OpenMessage::default(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            refreshed_ns: None,
            messages_since_refresh: 0,
            next_record: 0,
            counters: ExportingCounters::default(),
        }
    }

    /// Takes up a template of flow records. It is announced before its first record.
    ///
    /// # Errors
    /// `Fields` and `NoIdentifier`.
    pub fn add_template(&mut self, fields: &[FieldSpecifier]) -> Result<TemplateId, ExportingError> {
        if !self.config.kept {
            return self.add(0, fields, false);
        }
        let numbered: Vec<_> = fields.iter().copied().chain([RECORD_ID]).collect();
        self.add(0, &numbered, true)
    }

    /// Takes up a template of what lists hold (RFC 6313). [`Self::require`] announces it.
    ///
    /// # Errors
    /// `Fields` and `NoIdentifier`.
    pub fn add_list_template(&mut self, fields: &[FieldSpecifier]) -> Result<TemplateId, ExportingError> {
        self.add(0, fields, false)
    }

    /// Numbers the records that are written from now on, where Messages are kept.
    pub fn set_next_record(&mut self, next: u64) {
        self.next_record = next;
    }

    /// The recordId of the next record.
    #[must_use]
    pub fn next_record(&self) -> u64 {
        self.next_record
    }

    /// Takes up a template of options records, of which the first `scope_field_count` fields are scope.
    ///
    /// # Errors
    /// `Fields`, also for a scope of 0 or of more than the fields, and `NoIdentifier`.
    pub fn add_options_template(
        &mut self,
        scope_field_count: u16,
        fields: &[FieldSpecifier],
    ) -> Result<TemplateId, ExportingError> {
        if scope_field_count == 0 || usize::from(scope_field_count) > fields.len() {
            return Err(ExportingError::Fields);
        }
        self.add(scope_field_count, fields, false)
    }

    fn add(
        &mut self,
        scope_field_count: u16,
        fields: &[FieldSpecifier],
        numbered: bool,
    ) -> Result<TemplateId, ExportingError> {
        let octets: usize = fields.iter().map(FieldSpecifier::min_octets).sum();
        if octets == 0 || fields.len() > MAX_FIELDS {
            return Err(ExportingError::Fields);
        }
        let place = u16::try_from(self.templates.len()).ok();
        let id = place
            .and_then(|place| MIN_TEMPLATE_ID.checked_add(place))
            .ok_or(ExportingError::NoIdentifier)?;
        let mut wire = Vec::new();
        TemplateRecord::Announced {
            id,
            scope_field_count,
            fields: fields.to_vec(),
        }
        .write(&mut wire);
        let longest = self.config.max_message_octets - MESSAGE_HEADER_OCTETS - SET_HEADER_OCTETS;
        if wire.len() > longest {
            return Err(ExportingError::RecordTooLong(wire.len(), longest));
        }
        self.templates.push(Outgoing {
            wire,
            options: scope_field_count > 0,
            numbered,
            announced: false,
        });
        Ok(TemplateId(id))
    }

    /// Appends one Data Record that `write` writes, announcing its template where that is due. A record that finds no
    /// room closes the Message and is written again into the next one, so `write` must give the same octets twice.
    ///
    /// # Errors
    /// `UnknownTemplate`, and `RecordTooLong` for a record that does not fit into any Message; nothing is sent of it.
    #[inline]
    pub fn record(
        &mut self,
        now_ns: i64,
        template: TemplateId,
        write: impl Fn(&mut RecordWriter<'_>),
    ) -> Result<(), ExportingError> {
        if self.open.set.is_none_or(|(id, _)| id != template.0) {
            self.prepare(now_ns, template)?;
        }
        let mut missing = self.try_record(&write);
        // Once for a Message that is full, and once more where templates that were due took the new one's room.
        for _ in 0..2 {
            if missing == 0 {
                return Ok(());
            }
            self.close(now_ns);
            self.prepare(now_ns, template)?;
            missing = self.try_record(&write);
        }
        if missing > 0 { Err(self.refuse(missing)) } else { Ok(()) }
    }

    /// Announces a template that records of other templates refer to, as those of lists (RFC 6313), unless that has been
    /// done. To be called before each such record, as repetition and restarts are noticed here too.
    ///
    /// # Errors
    /// `UnknownTemplate`.
    pub fn require(&mut self, now_ns: i64, template: TemplateId) -> Result<(), ExportingError> {
        let place = template.0.checked_sub(MIN_TEMPLATE_ID).map(usize::from);
        let place = place.filter(|place| *place < self.templates.len());
        let place = place.ok_or(ExportingError::UnknownTemplate(template.0))?;
        if self.templates.get(place).is_some_and(|outgoing| !outgoing.announced) {
            self.announce(now_ns, place);
        }
        Ok(())
    }

    #[inline]
    fn try_record(&mut self, write: &impl Fn(&mut RecordWriter<'_>)) -> usize {
        let mut writer = RecordWriter::new(self.open.bytes.room());
        write(&mut writer);
        if self.open.numbered {
            writer.u64(self.next_record);
        }
        let (written, missing) = (writer.written(), writer.missing());
        if missing == 0 {
            self.open.bytes.advance(written);
            self.open.records += 1;
            self.next_record += u64::from(self.open.numbered);
        }
        missing
    }

    #[cold]
    fn refuse(&mut self, octets: usize) -> ExportingError {
        self.counters.too_long_records += 1;
        let longest = self.config.max_message_octets - MESSAGE_HEADER_OCTETS - SET_HEADER_OCTETS;
        ExportingError::RecordTooLong(octets, longest)
    }

    /// Opens a Message and a Set for `template`.
    #[cold]
    fn prepare(&mut self, now_ns: i64, template: TemplateId) -> Result<(), ExportingError> {
        self.handle_timeout(now_ns);
        let place = template.0.checked_sub(MIN_TEMPLATE_ID).map(usize::from);
        let unknown = ExportingError::UnknownTemplate(template.0);
        let place = place.filter(|place| *place < self.templates.len()).ok_or(unknown)?;
        if self.templates.get(place).is_some_and(|outgoing| !outgoing.announced) {
            self.announce(now_ns, place);
        }
        self.open_set(now_ns, template.0, 1);
        self.open.numbered = self.templates.get(place).is_some_and(|outgoing| outgoing.numbered);
        Ok(())
    }

    /// Makes sure that a Set of `id` is open with room for `octets` more.
    fn open_set(&mut self, now_ns: i64, id: u16, octets: usize) {
        if self.open.set.is_some_and(|(open, _)| open == id) {
            return;
        }
        self.close_set();
        let full = self.open.bytes.len() + SET_HEADER_OCTETS + octets > self.config.max_message_octets;
        if full && !self.open.bytes.is_empty() {
            self.close(now_ns);
        }
        if self.open.bytes.is_empty() {
            let spare = self.spare.pop().unwrap_or_default();
            self.open.bytes = MessageBuffer::start(spare, self.config.max_message_octets, self.config.domain);
            self.open.first_record = self.next_record;
        }
        self.open.set = Some((id, self.open.bytes.start_set(id)));
    }

    fn announce(&mut self, now_ns: i64, place: usize) {
        let Some(outgoing) = self.templates.get_mut(place) else {
            return;
        };
        outgoing.announced = true;
        let wire = std::mem::take(&mut outgoing.wire);
        let set_id = if outgoing.options {
            OPTIONS_TEMPLATE_SET_ID
        } else {
            TEMPLATE_SET_ID
        };
        let is_full = self.open.bytes.len() + SET_HEADER_OCTETS + wire.len() > self.config.max_message_octets;
        if is_full || self.config.kept {
            self.close(now_ns);
        }
        self.open_set(now_ns, set_id, wire.len());
        self.open.bytes.push(&wire);
        self.counters.templates += 1;
        if self.config.kept {
            self.close(now_ns);
        }
        if let Some(outgoing) = self.templates.get_mut(place) {
            outgoing.wire = wire;
        }
    }

    fn close_set(&mut self) {
        if let Some((_, start)) = self.open.set.take() {
            // A Set holds at least one record; one that got none is taken back.
            if self.open.bytes.len() <= start + SET_HEADER_OCTETS {
                self.open.bytes.truncate(start);
            } else {
                self.open.bytes.finish_set(start);
            }
        }
    }

    fn close(&mut self, now_ns: i64) {
        self.close_set();
        if self.open.bytes.len() <= MESSAGE_HEADER_OCTETS {
            return;
        }
        let records = std::mem::take(&mut self.open.records);
        let export_time = u32::try_from(now_ns / NS_PER_S).unwrap_or(0);
        let bytes = std::mem::take(&mut self.open.bytes).finish(export_time, self.sequence);
        self.sequence = self.sequence.wrapping_add(records);
        self.messages_since_refresh = self.messages_since_refresh.saturating_add(1);
        self.counters.messages += 1;
        self.counters.octets += bytes.len() as u64;
        self.counters.records += u64::from(records);
        self.ready.push_back(EncodedMessage {
            bytes,
            records,
            first_record: self.open.first_record,
        });
    }

    /// Closes the Message under construction, if there is one.
    pub fn flush(&mut self, now_ns: i64) {
        self.close(now_ns);
    }

    /// Repeats the templates over UDP when their time has come; they go out with the next Message.
    ///
    /// Says whether it was time: options data that a late listener needs should then be sent again too.
    pub fn handle_timeout(&mut self, now_ns: i64) -> bool {
        if self.config.transport.is_reliable() {
            return false;
        }
        let since_ns = now_ns.saturating_sub(*self.refreshed_ns.get_or_insert(now_ns));
        let by_time = since_ns >= i64::from(self.config.template_refresh_s) * NS_PER_S;
        let by_count = self.config.template_refresh_messages > 0
            && self.messages_since_refresh >= self.config.template_refresh_messages;
        if !by_time && !by_count {
            return false;
        }
        self.refreshed_ns = Some(now_ns);
        self.messages_since_refresh = 0;
        self.counters.refreshes += 1;
        for place in 0..self.templates.len() {
            if self.templates.get(place).is_some_and(|outgoing| outgoing.announced) {
                self.announce(now_ns, place);
            }
        }
        true
    }

    /// The next Message that is ready.
    pub fn poll_message(&mut self) -> Option<EncodedMessage> {
        self.ready.pop_front()
    }

    /// Gives a buffer back for use in a later Message.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if (self.spare.len() + 1) * self.config.max_message_octets <= MAX_SPARE_OCTETS {
            self.spare.push(buffer);
        }
    }

    /// Begins a new transport session: sequence numbers from 0, every template announced again. Messages that were
    /// ready and the one under construction belong to the old session; the number of their records is given back.
    pub fn restart(&mut self) -> u64 {
        let lost = self
            .ready
            .drain(..)
            .map(|message| u64::from(message.records))
            .sum::<u64>();
        let lost = lost + u64::from(std::mem::take(&mut self.open.records));
        self.open = OpenMessage::default();
        self.sequence = 0;
        self.refreshed_ns = None;
        self.messages_since_refresh = 0;
        self.templates
            .iter_mut()
            .for_each(|outgoing| outgoing.announced = false);
        lost
    }

    /// What it has written.
    #[must_use]
    pub fn counters(&self) -> &ExportingCounters {
        &self.counters
    }

    /// How it speaks.
    #[must_use]
    pub fn config(&self) -> &ExportingConfig {
        &self.config
    }
}
