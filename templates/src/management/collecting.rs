//! The Collecting Process's side of one transport session: Messages in, records and what happened to templates out.

use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use foldhash::{HashMap, HashMapExt as _};

use crate::error::{DecodeError, DecodeErrorKind, ErrorCounters, Layer};
use crate::ipfix::list::TemplateScope as _;
use crate::ipfix::{
    MIN_TEMPLATE_ID, Message, MessageHeader, OPTIONS_TEMPLATE_SET_ID, Records, Set, TEMPLATE_SET_ID, Template,
    TemplateRecord, TemplateRecords,
};
use crate::limits::{MAX_DOMAINS_PER_SESSION, PENDING_AGE_S, TEMPLATE_LIFETIME_S};

use super::TransportKind;
use super::domain::DomainTemplates;
use super::pending::{PendingCounters, PendingSet, PendingSets};
use super::saved::{SavedTemplate, SavedTemplates};
use super::sequence::{SequenceCounters, SequenceOutcome, SequenceTracker};
use super::type_information;

const NS_PER_S: i64 = 1_000_000_000;

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectingConfig {
    /// Seconds a template that came over UDP stays without being repeated.
    pub template_lifetime_s: u32,
    /// Seconds a Set waits for its template.
    pub pending_age_s: u32,
}

impl Default for CollectingConfig {
    fn default() -> Self {
        Self {
            template_lifetime_s: TEMPLATE_LIFETIME_S,
            pending_age_s: PENDING_AGE_S,
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

#[derive(Debug, Default)]
struct Domain {
    templates: DomainTemplates,
    sequence: SequenceTracker,
}

/// One transport session: the scope within which template identifiers mean something (RFC 7011 section 8).
#[derive(Debug)]
pub struct CollectingSession {
    transport: TransportKind,
    config: CollectingConfig,
    domains: HashMap<u32, Domain>,
    pending: PendingSets,
    fields: usize,
    counters: CollectingCounters,
}

impl CollectingSession {
    /// A session in which nothing has been said yet.
    #[must_use]
    pub fn new(transport: TransportKind, config: CollectingConfig) -> Self {
        Self {
            transport,
            config,
            domains: HashMap::new(),
            pending: PendingSets::default(),
            fields: 0,
            counters: CollectingCounters::default(),
        }
    }

    /// Takes one Message (a datagram, or what [`crate::ipfix::message_length`] cut off a stream) that came at `now_ns`
    /// and hands what is in it to `sink`. Bytes behind the Message are a fault, after its content.
    ///
    /// # Errors
    /// What is wrong with the header: nothing of the Message could be used. Faults behind the header are events.
    pub fn handle_message(
        &mut self,
        now_ns: i64,
        bytes: &[u8],
        registry: &mut Registry,
        sink: &mut impl FnMut(Event<'_, '_>),
    ) -> Result<(), DecodeError> {
        let message = self
            .header_of(bytes)
            .inspect_err(|error| self.counters.errors.count(error.kind))?;
        let header = *message.header();
        self.counters.messages += 1;
        self.counters.octets += message.octets() as u64;
        sink(Event::Message(&header));

        let Self {
            transport,
            domains,
            pending,
            fields,
            counters,
            ..
        } = self;
        let Domain { templates, sequence } = domains.entry(header.domain).or_default();
        let transport = *transport;
        let mut handling = Handling {
            transport,
            templates,
            pending,
            fields,
            counters,
            now_ns,
            header,
            registry,
            sink,
            learned: false,
        };
        let records = handling.sets(&message);
        if bytes.len() > message.octets() {
            let kind = DecodeErrorKind::MessageLength;
            let (offset, needed) = (message.octets(), message.octets());
            handling.fault(DecodeError {
                kind,
                layer: Layer::Message,
                offset,
                needed,
                available: bytes.len(),
            });
        }
        let learned = handling.learned;
        let outcome = sequence.observe(header.sequence, records);
        if learned {
            self.retype(registry, sink);
        }
        sink(Event::Sequence {
            domain: header.domain,
            outcome,
        });
        Ok(())
    }

    /// Types hold for the whole session (RFC 5610 section 3), so templates of every domain may have gained by them.
    fn retype(&mut self, registry: &Registry, sink: &mut impl FnMut(Event<'_, '_>)) {
        for (domain, of_domain) in &mut self.domains {
            for template in of_domain.templates.retype(registry) {
                sink(Event::Template {
                    domain: *domain,
                    template: &template,
                    change: TemplateChange::Retyped,
                });
            }
        }
    }

    fn header_of<'a>(&self, bytes: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let message = Message::parse(bytes)?;
        if self.domains.len() >= MAX_DOMAINS_PER_SESSION && !self.domains.contains_key(&message.header().domain) {
            let (needed, available) = (MAX_DOMAINS_PER_SESSION, self.domains.len() + 1);
            let kind = DecodeErrorKind::TooManyDomains;
            return Err(DecodeError {
                kind,
                layer: Layer::Message,
                offset: 12,
                needed,
                available,
            });
        }
        Ok(message)
    }

    /// Lets time pass: Sets that waited too long are given up, and templates over UDP that were not repeated end.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        self.pending
            .expire(now_ns.saturating_sub(i64::from(self.config.pending_age_s) * NS_PER_S));
        if self.transport.is_reliable() {
            return;
        }
        let oldest_ns = now_ns.saturating_sub(i64::from(self.config.template_lifetime_s) * NS_PER_S);
        for domain in self.domains.values_mut() {
            self.counters.expired_templates += domain.templates.expire(oldest_ns, &mut self.fields) as u64;
        }
    }

    /// What it has seen.
    #[must_use]
    pub fn counters(&self) -> &CollectingCounters {
        &self.counters
    }

    /// What became of Sets that had to wait.
    #[must_use]
    pub fn pending_counters(&self) -> PendingCounters {
        self.pending.counters()
    }

    /// Sets that wait now.
    #[must_use]
    pub fn pending_sets(&self) -> usize {
        self.pending.len()
    }

    /// What the sequence numbers of each Observation Domain said.
    pub fn sequences(&self) -> impl Iterator<Item = (u32, SequenceCounters)> + '_ {
        self.domains
            .iter()
            .map(|(id, domain)| (*id, domain.sequence.counters()))
    }

    /// Templates in force in one Observation Domain.
    #[must_use]
    pub fn domain_templates(&self, domain: u32) -> Option<&DomainTemplates> {
        self.domains.get(&domain).map(|domain| &domain.templates)
    }

    /// Every template in force, with its Observation Domain.
    pub fn templates(&self) -> impl Iterator<Item = (u32, &Arc<Template>)> {
        self.domains
            .iter()
            .flat_map(|(id, domain)| domain.templates.iter().map(|template| (*id, template)))
    }

    /// The templates in force in a form to keep across a restart.
    #[must_use]
    pub fn save(&self) -> SavedTemplates {
        let of_domain = |(id, domain): (&u32, &Domain)| {
            let id = *id;
            let saved = domain
                .templates
                .announcements()
                .map(move |(template, at)| SavedTemplate::new(id, template, at));
            saved.collect::<Vec<_>>()
        };
        let mut templates: Vec<_> = self.domains.iter().flat_map(of_domain).collect();
        templates.sort_by_key(|template| (template.domain, template.id));
        SavedTemplates { templates }
    }

    /// Takes up templates that an earlier run saved; says how many. Faulty and surplus ones are counted as errors.
    pub fn load(&mut self, saved: &SavedTemplates, registry: &Registry) -> usize {
        let mut loaded = 0;
        for template in &saved.templates {
            let announced = template.checked().and_then(|parts| {
                if self.domains.len() >= MAX_DOMAINS_PER_SESSION && !self.domains.contains_key(&template.domain) {
                    return Err(DecodeErrorKind::TooManyDomains);
                }
                let domain = self.domains.entry(template.domain).or_default();
                domain
                    .templates
                    .announce(template.announced_ns, parts, registry, &mut self.fields)
            });
            match announced {
                Ok(_) => loaded += 1,
                Err(kind) => self.counters.errors.count(kind),
            }
        }
        loaded
    }
}

/// One Message on its way through its session.
struct Handling<'h, F> {
    transport: TransportKind,
    templates: &'h mut DomainTemplates,
    pending: &'h mut PendingSets,
    /// Fields of all templates of the session.
    fields: &'h mut usize,
    counters: &'h mut CollectingCounters,
    now_ns: i64,
    header: MessageHeader,
    registry: &'h mut Registry,
    sink: &'h mut F,
    /// Whether type records named an element that was not known before.
    learned: bool,
}

impl<F: FnMut(Event<'_, '_>)> Handling<'_, F> {
    /// How many Data Records there were, if all could be counted.
    fn sets(&mut self, message: &Message<'_>) -> Option<u32> {
        let mut records = Some(0u32);
        for set in message.sets() {
            let counted = match set {
                Ok(set) => self.set(&set),
                Err(error) => {
                    self.fault(error);
                    None
                }
            };
            records = records.zip(counted).map(|(sum, count)| sum.wrapping_add(count));
        }
        records
    }

    fn set(&mut self, set: &Set<'_>) -> Option<u32> {
        match set.id {
            TEMPLATE_SET_ID | OPTIONS_TEMPLATE_SET_ID => {
                for record in TemplateRecords::new(set.body, set.offset, set.id == OPTIONS_TEMPLATE_SET_ID) {
                    match record {
                        Ok(record) => self.template_record(record, set),
                        Err(error) => self.fault(error),
                    }
                }
                Some(0)
            }
            MIN_TEMPLATE_ID.. => self.data_set(set),
            _ => {
                let (needed, available) = (usize::from(MIN_TEMPLATE_ID), usize::from(set.id));
                let (kind, offset) = (DecodeErrorKind::ReservedSetId, set.offset - 4);
                self.fault(DecodeError {
                    kind,
                    layer: Layer::Set,
                    offset,
                    needed,
                    available,
                });
                Some(0)
            }
        }
    }

    fn fault(&mut self, error: DecodeError) {
        self.counters.errors.count(error.kind);
        (self.sink)(Event::Error(error));
    }

    fn template_fault(&mut self, kind: DecodeErrorKind, id: u16, set: &Set<'_>) {
        let (offset, available) = (set.offset, usize::from(id));
        self.fault(DecodeError {
            kind,
            layer: Layer::Template,
            offset,
            needed: 0,
            available,
        });
    }

    fn template_record(&mut self, record: TemplateRecord, set: &Set<'_>) {
        match record {
            TemplateRecord::Withdrawn { id } => self.withdrawal(id, set),
            TemplateRecord::Announced {
                id,
                scope_field_count,
                fields,
            } => {
                let parts = (id, scope_field_count, &*fields);
                match self.templates.announce(self.now_ns, parts, self.registry, self.fields) {
                    Ok((template, change)) => self.announced(&template, change),
                    Err(kind) => self.template_fault(kind, id, set),
                }
            }
        }
    }

    fn announced(&mut self, template: &Arc<Template>, change: TemplateChange) {
        self.counters.templates += 1;
        self.counters.replaced_templates += u64::from(change == TemplateChange::Replaced);
        (self.sink)(Event::Template {
            domain: self.header.domain,
            template,
            change,
        });
        for set in self.pending.take(self.header.domain, template.id()) {
            let waited_ns = Some(self.now_ns.saturating_sub(set.received_ns));
            self.records(&set.header, template, &set.body, 0, waited_ns);
        }
    }

    fn withdrawal(&mut self, id: u16, set: &Set<'_>) {
        // "Template Withdrawals MUST NOT be sent ... over UDP" (RFC 7011 section 8.4): there, a forged datagram could
        // end any template.
        if !self.transport.is_reliable() {
            return self.template_fault(DecodeErrorKind::WithdrawalOverUdp, id, set);
        }
        let ended = match id {
            TEMPLATE_SET_ID | OPTIONS_TEMPLATE_SET_ID if id == set.id => {
                self.templates.withdraw_all(id == OPTIONS_TEMPLATE_SET_ID, self.fields)
            }
            _ => usize::from(self.templates.withdraw(id, self.fields)),
        };
        if ended == 0 && id >= MIN_TEMPLATE_ID {
            return self.template_fault(DecodeErrorKind::UnknownWithdrawal, id, set);
        }
        self.counters.withdrawn_templates += ended as u64;
        (self.sink)(Event::Withdrawn {
            domain: self.header.domain,
            id,
        });
    }

    fn data_set(&mut self, set: &Set<'_>) -> Option<u32> {
        let header = self.header;
        let records = match self.templates.template(set.id) {
            // Flow records change nothing here, so their template is borrowed where it lies.
            Some(template) if !template.is_options() => {
                let registry = &*self.registry;
                let handed = hand_on(&header, template, set.body, self.templates, registry, None, self.sink);
                Some(self.counted(handed, false, set.offset))
            }
            Some(template) => {
                let template = Arc::clone(template);
                Some(self.records(&header, &template, set.body, set.offset, None))
            }
            None => None,
        };
        if let Some(records) = records {
            return records.and_then(|count| u32::try_from(count).ok());
        }
        let (set_id, octets) = (set.id, set.body.len());
        self.pending.push(PendingSet {
            header,
            set_id,
            received_ns: self.now_ns,
            body: set.body.into(),
        });
        (self.sink)(Event::Pending {
            header: &self.header,
            set_id,
            octets,
        });
        None
    }

    /// How many records there were; `None` when the last was cut.
    fn records(
        &mut self,
        header: &MessageHeader,
        template: &Arc<Template>,
        body: &[u8],
        offset: usize,
        waited_ns: Option<i64>,
    ) -> Option<usize> {
        let learned = if template.is_options() && type_information::describes_types(template) {
            type_information::learn(template, body, self.registry)
        } else {
            type_information::Learned::default()
        };
        let handed = hand_on(
            header,
            template,
            body,
            self.templates,
            self.registry,
            waited_ns,
            self.sink,
        );
        self.learned(learned, offset);
        self.counted(handed, template.is_options(), offset)
    }

    /// Takes the count of a Set's records, and its fault if the last was cut.
    #[inline]
    fn counted(&mut self, (count, error): (usize, Option<DecodeError>), options: bool, offset: usize) -> Option<usize> {
        let counters = &mut *self.counters;
        let counter = if options {
            &mut counters.options_records
        } else {
            &mut counters.flow_records
        };
        *counter += count as u64;
        match error {
            Some(error) => {
                self.fault(error.shifted(offset));
                None
            }
            None => Some(count),
        }
    }

    fn learned(&mut self, learned: type_information::Learned, offset: usize) {
        self.counters.typed_elements += learned.accepted;
        for _ in 0..learned.refused {
            let kind = DecodeErrorKind::TypeRecord;
            self.fault(DecodeError {
                kind,
                layer: Layer::Record,
                offset,
                needed: 0,
                available: 0,
            });
        }
        if learned.accepted == 0 {
            return;
        }
        self.learned = true;
        // What follows in this very Message gains by them too; the other domains do at its end.
        for template in self.templates.retype(self.registry) {
            let change = TemplateChange::Retyped;
            (self.sink)(Event::Template {
                domain: self.header.domain,
                template: &template,
                change,
            });
        }
    }
}

/// Hands the records of a Set to `sink`; says how many there were, and what was wrong with the last.
#[inline]
fn hand_on(
    header: &MessageHeader,
    template: &Arc<Template>,
    body: &[u8],
    scope: &DomainTemplates,
    registry: &Registry,
    waited_ns: Option<i64>,
    sink: &mut impl FnMut(Event<'_, '_>),
) -> (usize, Option<DecodeError>) {
    let mut records = template.records(body);
    sink(Event::Records {
        header,
        template,
        records: &mut records,
        scope,
        registry,
        waited_ns,
    });
    (records.finish(), records.error())
}
