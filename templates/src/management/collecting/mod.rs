//! The Collecting Process's side of one transport session: Messages in, records and what happened to templates out.

mod event;
mod handling;

use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use foldhash::{HashMap, HashMapExt as _};

pub use event::{CollectingConfig, CollectingCounters, Event, TemplateChange};
use handling::Handling;

use super::TransportKind;
use super::domain::DomainTemplates;
use super::habits::MessageSequence;
use super::pending::{PendingCounters, PendingSet, PendingSets};
use super::saved::{SavedSet, SavedTemplate, SavedTemplates};
use super::sequence::{SequenceCounters, SequenceOutcome};
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::header::{MessageHeader, Version};
use crate::ipfix::{Message, Template};
use crate::limits::{MAX_DOMAINS_PER_SESSION, MAX_STREAMS_PER_DOMAIN};
use crate::netflow::{fixed, v9};

const NS_PER_S: i64 = 1_000_000_000;

/// A Message of whichever version the session speaks.
enum AnyMessage<'a> {
    Ipfix(Message<'a>),
    Netflow9(v9::Message<'a>),
    Fixed(fixed::Message<'a>, Arc<Template>),
}

impl AnyMessage<'_> {
    fn header(&self) -> &MessageHeader {
        match self {
            Self::Ipfix(message) => message.header(),
            Self::Netflow9(message) => message.header(),
            Self::Fixed(message, _) => message.header(),
        }
    }

    /// Where the Message ends, when it says so itself.
    fn octets(&self) -> Option<usize> {
        match self {
            Self::Ipfix(message) => Some(message.octets()),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Domain {
    templates: DomainTemplates,
    /// Of the stream that spoke first, which over anything but SCTP is the only one.
    sequence: MessageSequence,
    /// Of further streams of SCTP: each counts for itself (RFC 7011 section 3.1).
    streams: Vec<(u16, MessageSequence)>,
    first_stream: u16,
}

impl Domain {
    fn new(version: Version, first_stream: u16, config: CollectingConfig) -> Self {
        Self {
            templates: DomainTemplates::limited(config.templates_per_domain),
            sequence: MessageSequence::new(version),
            streams: Vec::new(),
            first_stream,
        }
    }

    fn counters(&self) -> SequenceCounters {
        let streams = self.streams.iter().map(|(_, sequence)| sequence.counters());
        streams.fold(self.sequence.counters(), SequenceCounters::with)
    }
}

/// The numbers of a stream beside the first, as long as they are few.
fn further(streams: &mut Vec<(u16, MessageSequence)>, stream: u16, version: Version) -> Option<&mut MessageSequence> {
    let place = match streams.iter().position(|(of, _)| *of == stream) {
        Some(place) => place,
        None if streams.len() >= MAX_STREAMS_PER_DOMAIN => return None,
        None => {
            streams.push((stream, MessageSequence::new(version)));
            streams.len() - 1
        }
    };
    streams.get_mut(place).map(|(_, sequence)| sequence)
}

/// One transport session: the scope within which template identifiers mean something (RFC 7011 section 8).
#[derive(Debug)]
pub struct CollectingSession {
    version: Version,
    transport: TransportKind,
    config: CollectingConfig,
    domains: HashMap<u32, Domain>,
    pending: PendingSets,
    fields: usize,
    /// The template of versions 5 and 7, once a Message came.
    built_in: Option<Arc<Template>>,
    counters: CollectingCounters,
}

impl CollectingSession {
    /// A session of IPFIX in which nothing has been said yet.
    #[must_use]
    pub fn new(transport: TransportKind, config: CollectingConfig) -> Self {
        Self::of_version(Version::Ipfix, transport, config)
    }

    /// A session of any version in which nothing has been said yet. What one version announces means nothing to another.
    #[must_use]
    pub fn of_version(version: Version, transport: TransportKind, config: CollectingConfig) -> Self {
        Self {
            version,
            built_in: None,
            transport,
            config,
            domains: HashMap::new(),
            pending: PendingSets::default(),
            fields: 0,
            counters: CollectingCounters::default(),
        }
    }

    /// As [`Self::handle_message_on`], over anything but SCTP.
    ///
    /// # Errors
    /// As there.
    pub fn handle_message(
        &mut self,
        now_ns: i64,
        bytes: &[u8],
        registry: &mut Registry,
        sink: &mut impl FnMut(Event<'_, '_>),
    ) -> Result<(), DecodeError> {
        self.handle_message_on(now_ns, 0, bytes, registry, sink)
    }

    /// Takes one Message (a datagram, or what [`crate::ipfix::message_length`] cut off a stream) that came at `now_ns`,
    /// over SCTP by this stream,
    /// and hands what is in it to `sink`. Bytes behind the Message are a fault, after its content.
    ///
    /// # Errors
    /// What is wrong with the header: nothing of the Message could be used. Faults behind the header are events.
    pub fn handle_message_on(
        &mut self,
        now_ns: i64,
        stream: u16,
        bytes: &[u8],
        registry: &mut Registry,
        sink: &mut impl FnMut(Event<'_, '_>),
    ) -> Result<(), DecodeError> {
        let message = self
            .parse(bytes, registry)
            .inspect_err(|error| self.counters.errors.count(error.kind))?;
        let header = *message.header();
        let octets = message.octets().unwrap_or(bytes.len());
        self.counters.messages += 1;
        self.counters.octets += octets as u64;
        sink(Event::Message(&header));

        let Self {
            version,
            transport,
            config,
            domains,
            pending,
            fields,
            counters,
            ..
        } = self;
        let Domain {
            templates,
            sequence,
            streams,
            first_stream,
        } = domains
            .entry(header.domain)
            .or_insert_with(|| Domain::new(*version, stream, *config));
        let sequence = match stream == *first_stream {
            true => Some(sequence),
            false => further(streams, stream, *version),
        };
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
        let records = match &message {
            AnyMessage::Ipfix(message) => handling.sets(message.sets()),
            AnyMessage::Netflow9(message) => handling.sets(message.sets()),
            AnyMessage::Fixed(message, template) => handling.fixed(message, template),
        };
        if bytes.len() > octets {
            let kind = DecodeErrorKind::MessageLength;
            let (offset, needed) = (octets, octets);
            handling.fault(DecodeError {
                kind,
                layer: Layer::Message,
                offset,
                needed,
                available: bytes.len(),
            });
        }
        let learned = handling.learned;
        let outcome = sequence.map_or(SequenceOutcome::Unverified, |sequence| {
            sequence.observe(now_ns, header.sequence, records, header.uptime_ms)
        });
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

    fn parse<'a>(&mut self, bytes: &'a [u8], registry: &Registry) -> Result<AnyMessage<'a>, DecodeError> {
        let message = match self.version {
            Version::Ipfix => AnyMessage::Ipfix(Message::parse(bytes)?),
            Version::Netflow9 => AnyMessage::Netflow9(v9::Message::parse(bytes)?),
            Version::Netflow5 | Version::Netflow7 => {
                let message = fixed::Message::parse(self.version, bytes)?;
                let template = self
                    .built_in
                    .get_or_insert_with(|| Arc::new(fixed::template(self.version, registry)));
                AnyMessage::Fixed(message, Arc::clone(template))
            }
        };
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

    /// The version that it speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
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
        self.domains.iter().map(|(id, domain)| (*id, domain.counters()))
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
        let pending = self.pending.iter().map(|set| SavedSet {
            header: set.header,
            set_id: set.set_id,
            received_ns: set.received_ns,
            body: set.body.clone(),
        });
        SavedTemplates {
            templates,
            pending: pending.collect(),
        }
    }

    /// Takes up templates that an earlier run saved, and Sets that waited; says how many templates. Faulty and surplus ones
    /// are counted as errors.
    pub fn load(&mut self, saved: &SavedTemplates, registry: &Registry) -> usize {
        let mut loaded = 0;
        for template in &saved.templates {
            let announced = template.checked().and_then(|parts| {
                if self.domains.len() >= MAX_DOMAINS_PER_SESSION && !self.domains.contains_key(&template.domain) {
                    return Err(DecodeErrorKind::TooManyDomains);
                }
                let domain = self
                    .domains
                    .entry(template.domain)
                    .or_insert_with(|| Domain::new(self.version, 0, self.config));
                domain
                    .templates
                    .announce(template.announced_ns, parts, registry, &mut self.fields)
            });
            match announced {
                Ok(_) => loaded += 1,
                Err(kind) => self.counters.errors.count(kind),
            }
        }
        for set in &saved.pending {
            self.pending.push(PendingSet {
                header: set.header,
                set_id: set.set_id,
                received_ns: set.received_ns,
                body: set.body.clone(),
            });
        }
        loaded
    }
}
