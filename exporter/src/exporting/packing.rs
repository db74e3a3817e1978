//! One Exporting Process per destination: batches of Flow Records in, whole Messages out, each knowing how many Flow
//! Records are lost with it.
//!
//! Within a batch, records are grouped by template: a change of template costs a Set header and a slower path. A batch
//! ends its Message, so that a destination that loses its connection knows exactly what is left of the batch.
//!
//! Statistics travel in Observation Domain 0, which RFC 7011 section 3.1 keeps for them. Over UDP, options data of the
//! flows' own domain go ahead of the first Flow Record and then only with the refresh by time: collectors that do not
//! count options data in sequence numbers (nfcapd) would take each of them for a loss.

use std::collections::VecDeque;
use std::sync::Arc;

use flowgauge_templates::management::{ExportingConfig, ExportingError, ExportingSession};

use super::dns::DnsTemplates;
use super::identity::{Identity, IdentityOptions};
use super::layout::{self, Parts, Variant};
use super::options::{FlowOptions, Statistics, StatisticsOptions};
use super::selectors::SelectorOptions;
use super::summaries::SummaryTemplates;
use super::templates::{FlowTemplate, FlowTemplates};
use crate::config::Times;
use crate::metering::Records;
use crate::metering::sampling::Selector;

/// One Message that is ready to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The octets.
    pub bytes: Vec<u8>,
    /// Flow Records in it; options records are not among them.
    pub flow_records: u32,
    /// Data Records of any kind in it: what the sequence numbers count.
    pub records: u32,
    /// What it is about.
    pub content: Content,
    /// The recordId of the first Flow Record, where Messages are kept.
    pub first_record: u64,
}

/// What a Message is about. Only where Messages are kept, templates have their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Templates alone.
    Templates,
    /// What a new session has to be told again: types, Flow Keys, Selectors.
    Options,
    /// Statistics, of which only the newest are of use.
    Statistics,
    /// Flow Records.
    #[default]
    Flows,
}

/// Templates, sequence numbers and options of one destination (RFC 7011 sections 3 to 8).
#[derive(Debug)]
pub struct ExportingProcess {
    session: ExportingSession,
    options: FlowOptions,
    selector_options: SelectorOptions,
    identity_options: IdentityOptions,
    identity: Arc<Identity>,
    /// Of Observation Domain 0, unless that is the domain of the flows too.
    statistics_session: Option<ExportingSession>,
    statistics: StatisticsOptions,
    statistics_ns: Option<i64>,
    times: Times,
    selectors: Arc<[Selector]>,
    templates: FlowTemplates,
    dns: DnsTemplates,
    summaries: SummaryTemplates,
    /// How many of the templates the receiver has heard the Flow Keys of.
    explained: usize,
    types_said: bool,
    options_ns: Option<i64>,
    /// The slot of each record of a batch, and the records in the order of their slots.
    slots: Vec<u16>,
    order: Vec<u32>,
    /// How many records each slot has, the slots that have some, and where theirs begin in `order`.
    counts: Vec<u32>,
    ranks: Vec<u16>,
    starts: Vec<u32>,
    ready: VecDeque<Outgoing>,
    refused: u64,
}

impl ExportingProcess {
    /// A process that has said nothing yet.
    ///
    /// # Errors
    /// When the Message size of `config` is too small for a template.
    pub fn new(config: ExportingConfig, times: Times, selectors: Arc<[Selector]>) -> Result<Self, ExportingError> {
        let mut session = ExportingSession::new(config);
        let options = FlowOptions::new(&mut session)?;
        let selector_options = SelectorOptions::new(&mut session, &selectors)?;
        let identity_options = IdentityOptions::new(&mut session)?;
        let mut statistics_session =
            (config.domain != 0).then(|| ExportingSession::new(ExportingConfig { domain: 0, ..config }));
        let statistics = StatisticsOptions::new(
            statistics_session.as_mut().unwrap_or(&mut session),
            config.domain,
            &selectors,
        )?;
        Ok(Self {
            session,
            options,
            selector_options,
            identity_options,
            identity: Arc::default(),
            statistics_session,
            statistics,
            statistics_ns: None,
            times,
            selectors,
            templates: FlowTemplates::default(),
            dns: DnsTemplates::default(),
            summaries: SummaryTemplates::default(),
            explained: 0,
            types_said: false,
            options_ns: None,
            slots: Vec::new(),
            order: Vec::new(),
            counts: Vec::new(),
            ranks: Vec::new(),
            starts: Vec::new(),
            ready: VecDeque::new(),
            refused: 0,
        })
    }

    /// Says from now on who exports.
    pub fn set_identity(&mut self, identity: Arc<Identity>) {
        self.identity = identity;
    }

    /// Encodes `records` into Messages. `skip` says how many of them, in the order in which they were encoded, left
    /// before the session was restarted.
    pub fn handle_records(&mut self, now_ns: i64, records: &Records, skip: usize) {
        self.say_types(now_ns);
        // Names before the flows to what they name, so that a collector can label these.
        self.refused += self.dns.write(&mut self.session, now_ns, records, self.times, skip);
        let skip = skip.saturating_sub(records.dns.len());
        self.write_flows(now_ns, records, skip);
        let skip = skip.saturating_sub(records.flows.len());
        self.refused += self
            .summaries
            .write(&mut self.session, now_ns, &records.summaries, skip);
        self.close(now_ns, Content::Flows);
        if self.session.config().transport.is_reliable() {
            self.say_flow_keys(now_ns);
        }
    }

    /// Encodes the flows of a batch but the first `skip` of them in the order of [`Self::group`].
    fn write_flows(&mut self, now_ns: i64, records: &Records, skip: usize) {
        self.group(records);
        let (order, slots) = (std::mem::take(&mut self.order), std::mem::take(&mut self.slots));
        let mut template = None;
        for place in order.iter().skip(skip) {
            let (Some(record), Some(slot)) = (records.flows.get(*place as usize), slots.get(*place as usize)) else {
                continue;
            };
            if template.is_none_or(|(of, _)| of != *slot) {
                if template.is_some_and(|(of, _)| self.count(of) >= RUN_RECORDS) {
                    // Messages of one length leave by one system call, with a shorter one at the end.
                    self.session.flush(now_ns);
                }
                template = self.templates.get(*slot).map(|template| (*slot, *template));
            }
            let parts = Parts {
                record,
                records,
                selectors: &self.selectors,
            };
            let result = match &template {
                Some((_, template)) => write(&mut self.session, now_ns, template, &parts)
                    .or_else(|error| self.write_reduced(now_ns, *place, records, error)),
                None => Err(ExportingError::NoIdentifier),
            };
            if let Err(error) = result {
                self.refused += 1;
                tracing::error!(%error, "a flow record could not be encoded");
            }
        }
        (self.order, self.slots) = (order, slots);
    }

    /// Orders the records of a batch by template, those of one template as they came, most frequent templates first: a
    /// counting sort, since templates are few. A batch encoded again is ordered alike, because none is ever forgotten.
    fn group(&mut self, records: &Records) {
        self.slots.clear();
        for record in &records.flows {
            let parts = Parts {
                record,
                records,
                selectors: &self.selectors,
            };
            let variant = Variant::of(&parts, self.times);
            let slot = self.templates.slot(&mut self.session, variant);
            self.slots.push(slot.unwrap_or(NO_SLOT));
        }
        // The last place is that of records without a template.
        let last = self.templates.len();
        let place_of = |slot: u16| usize::from(slot).min(last);
        self.counts.clear();
        self.counts.resize(last + 1, 0);
        for slot in &self.slots {
            if let Some(count) = self.counts.get_mut(place_of(*slot)) {
                *count += 1;
            }
        }
        let counts = &self.counts;
        let count = |slot: u16| counts.get(usize::from(slot)).copied().unwrap_or_default();
        self.ranks.clear();
        self.ranks.extend((0..=last as u16).filter(|slot| count(*slot) > 0));
        self.ranks.sort_by_key(|slot| std::cmp::Reverse(count(*slot)));
        self.starts.clear();
        self.starts.resize(last + 1, 0);
        let mut next = 0;
        for slot in &self.ranks {
            if let Some(start) = self.starts.get_mut(usize::from(*slot)) {
                *start = next;
                next += count(*slot);
            }
        }
        self.order.clear();
        self.order.resize(self.slots.len(), 0);
        for (place, slot) in self.slots.iter().enumerate() {
            if let Some(start) = self.starts.get_mut(place_of(*slot))
                && let Some(at) = self.order.get_mut(*start as usize)
            {
                *at = place as u32;
                *start += 1;
            }
        }
    }

    /// Records of the batch that take the template in `slot`.
    fn count(&self, slot: u16) -> u32 {
        self.counts.get(usize::from(slot)).copied().unwrap_or_default()
    }

    /// Writes a record that does not fit into a Message without some of its optional groups.
    #[cold]
    fn write_reduced(
        &mut self,
        now_ns: i64,
        place: u32,
        records: &Records,
        error: ExportingError,
    ) -> Result<(), ExportingError> {
        let (ExportingError::RecordTooLong(..), Some(record)) = (error, records.flows.get(place as usize)) else {
            return Err(error);
        };
        let parts = Parts {
            record,
            records,
            selectors: &self.selectors,
        };
        let variant = Variant::of(&parts, self.times);
        let slot = self.templates.reduced(&mut self.session, variant)?;
        match self.templates.get(slot) {
            Some(template) => write(&mut self.session, now_ns, template, &parts),
            None => Err(error),
        }
    }

    fn say_types(&mut self, now_ns: i64) {
        if !self.types_said {
            self.types_said = true;
            self.options_ns = Some(now_ns);
            self.statistics_ns.get_or_insert(now_ns);
            let result = self.options.write_types(&mut self.session, now_ns);
            let result = result.and_then(|()| self.selector_options.write(&mut self.session, now_ns));
            let result = match self.identity.software.is_empty() {
                true => result,
                false => result.and_then(|()| self.identity_options.write(&mut self.session, now_ns, &self.identity)),
            };
            self.close_options(now_ns, result, Content::Options);
        }
    }

    fn say_flow_keys(&mut self, now_ns: i64) {
        let new = self.templates.since(self.explained);
        let result = new.iter().try_for_each(|template| {
            self.options
                .write_flow_keys(&mut self.session, now_ns, template.id, template.flow_keys)
        });
        self.explained = self.templates.len();
        self.close_options(now_ns, result, Content::Options);
    }

    /// Encodes the statistics records.
    pub fn handle_statistics(&mut self, now_ns: i64, statistics: &Statistics) {
        self.statistics_ns = Some(now_ns);
        let session = self.statistics_session.as_mut().unwrap_or(&mut self.session);
        let result = self.statistics.write(session, now_ns, statistics);
        self.close_options(now_ns, result, Content::Statistics);
    }

    /// Lets time pass. Says whether statistics are due: every template refresh interval, on all transports.
    pub fn handle_timeout(&mut self, now_ns: i64) -> bool {
        self.session.handle_timeout(now_ns);
        if let Some(session) = &mut self.statistics_session {
            session.handle_timeout(now_ns);
        }
        self.close(now_ns, Content::Options);
        let interval_ns = i64::from(self.session.config().template_refresh_s) * 1_000_000_000;
        let is_old = |since: i64| now_ns.saturating_sub(since) >= interval_ns;
        if !self.session.config().transport.is_reliable() && self.options_ns.is_some_and(is_old) {
            // Options data are as easily lost as templates are.
            self.types_said = false;
            self.explained = 0;
            self.say_types(now_ns);
            self.say_flow_keys(now_ns);
        }
        is_old(*self.statistics_ns.get_or_insert(now_ns))
    }

    fn close_options(&mut self, now_ns: i64, result: Result<(), ExportingError>, content: Content) {
        if let Err(error) = result {
            tracing::error!(%error, "an options record could not be encoded");
        }
        self.close(now_ns, content);
    }

    /// Ends the open Messages; the records of all that are then ready are of one kind.
    fn close(&mut self, now_ns: i64, content: Content) {
        for session in [Some(&mut self.session), self.statistics_session.as_mut()]
            .into_iter()
            .flatten()
        {
            session.flush(now_ns);
            while let Some(message) = session.poll_message() {
                let is_kept = session.config().kept;
                self.ready.push_back(Outgoing {
                    bytes: message.bytes,
                    flow_records: if content == Content::Flows { message.records } else { 0 },
                    records: message.records,
                    content: if is_kept && message.records == 0 {
                        Content::Templates
                    } else {
                        content
                    },
                    first_record: message.first_record,
                });
            }
        }
    }

    /// The next Message.
    pub fn poll_message(&mut self) -> Option<Outgoing> {
        self.ready.pop_front()
    }

    /// The Messages that [`Self::poll_message`] will give, in its order.
    pub fn ready(&self) -> impl Iterator<Item = &Outgoing> {
        self.ready.iter()
    }

    /// Gives a buffer back.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.session.recycle(buffer);
    }

    /// Numbers records from here on, where Messages are kept.
    pub fn set_next_record(&mut self, next: u64) {
        self.session.set_next_record(next);
    }

    /// The recordId of the next Flow Record.
    pub fn next_record(&self) -> u64 {
        self.session.next_record()
    }

    /// Records that could not be encoded since this was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Records that went out with fewer groups than they have since this was last asked: templates had run out, or a
    /// Message is too small for all of it.
    pub fn take_reduced(&mut self) -> u64 {
        self.templates.take_reduced() + self.dns.take_reduced()
    }

    /// Begins a new transport session. Messages that were ready belong to the old one and are forgotten: the caller
    /// knows what was in them.
    pub fn restart(&mut self) {
        self.session.restart();
        if let Some(session) = &mut self.statistics_session {
            session.restart();
        }
        self.ready.clear();
        self.types_said = false;
        self.explained = 0;
        self.options_ns = None;
        self.statistics_ns = None;
    }
}

/// Records of one template that end their Message: fewer share theirs with others.
const RUN_RECORDS: u32 = 32;
/// Of a record that has no template; it is refused.
const NO_SLOT: u16 = u16::MAX;

#[inline]
fn write(
    session: &mut ExportingSession,
    now_ns: i64,
    template: &FlowTemplate,
    parts: &Parts<'_>,
) -> Result<(), ExportingError> {
    let variant = template.variant;
    session.record(now_ns, template.id, |writer| layout::write(variant, parts, writer))
}

#[cfg(test)]
mod tests {
    use flowgauge_ie_registry::{ElementId, Registry};
    use flowgauge_templates::ipfix::{Message, Value};
    use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, TransportKind};

    use super::*;
    use crate::exporting::samples;
    use crate::metering::record::FlowRecord;

    const NOW: i64 = samples::START_NS;
    const S: i64 = 1_000_000_000;

    fn process(transport: TransportKind, domain: u32) -> ExportingProcess {
        let mut config = ExportingConfig::of(transport, domain);
        config.max_message_octets = 1400;
        config.template_refresh_s = 600;
        config.template_refresh_messages = 0;
        ExportingProcess::new(config, Times::Milliseconds, Arc::new([])).unwrap()
    }

    fn mixed(records: usize) -> Vec<FlowRecord> {
        let kinds = [samples::udp(), samples::tcp(), samples::icmp6()];
        kinds.iter().cycle().take(records).cloned().collect()
    }

    /// The other end: counts records, and says what it minds.
    struct Receiver {
        session: CollectingSession,
        registry: Registry,
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Heard {
        flows: usize,
        options: usize,
        templates: usize,
        out_of_sequence: u64,
        octets: u64,
    }

    impl Receiver {
        fn new(transport: TransportKind) -> Self {
            Self {
                session: CollectingSession::new(transport, CollectingConfig::default()),
                registry: Registry::new(),
            }
        }

        fn hear(&mut self, process: &mut ExportingProcess) -> Heard {
            let mut heard = Heard::default();
            while let Some(message) = process.poll_message() {
                let mut flows_here = 0;
                let result = self
                    .session
                    .handle_message(NOW, &message.bytes, &mut self.registry, &mut |event| match event {
                        Event::Template { .. } => heard.templates += 1,
                        Event::Records { template, records, .. } if template.is_options() => {
                            heard.options += records.count();
                        }
                        Event::Records { template, records, .. } => {
                            let place = template
                                .fields()
                                .iter()
                                .position(|f| f.specifier.element == ElementId::iana(1));
                            for record in records {
                                flows_here += 1;
                                if let Some(Value::Unsigned(octets)) = record.value(place.unwrap()) {
                                    heard.octets += octets;
                                }
                            }
                        }
                        Event::Error(error) => panic!("{error:?}"),
                        _ => {}
                    });
                result.unwrap();
                assert_eq!(flows_here, message.flow_records as usize);
                heard.flows += flows_here;
            }
            heard.out_of_sequence = self
                .session
                .sequences()
                .map(|(_, of)| of.lost_records + of.gaps + of.late_messages)
                .sum();
            heard
        }
    }

    /// 23 of DNS transactions, 14 of summaries, two of the handshake, six of tunnels, seven of each side's RTT, 39 of each direction, and those of applications.
    fn type_records() -> usize {
        let of_applications: std::collections::HashSet<_> = crate::metering::application::PROTOCOLS
            .iter()
            .flat_map(|protocol| protocol.about().fields)
            .filter(|field| field.element.pen == flowgauge_ie_registry::FLOWGAUGE_PEN)
            .map(|field| field.element)
            .collect();
        // The last three are of who exports.
        23 + 14 + 2 + 6 + 2 * 7 + 2 * 39 + of_applications.len() + 3
    }

    #[test]
    fn every_record_arrives_in_sequence_within_the_message_size() {
        let mut process = process(TransportKind::Udp, 7);
        let mut receiver = Receiver::new(TransportKind::Udp);
        let records = mixed(300);
        process.handle_records(NOW, &records.clone().into(), 0);
        for message in &process.ready {
            assert!(message.bytes.len() <= 1400);
            assert_eq!(Message::parse(&message.bytes).unwrap().header().domain, 7);
        }
        let octets = records.iter().map(|record| record.forward.octets).sum();
        let heard = receiver.hear(&mut process);
        // Type records; their template and one for each kind of flow.
        assert_eq!(
            heard,
            Heard {
                flows: 300,
                options: type_records(),
                templates: 4,
                out_of_sequence: 0,
                octets
            }
        );
        process.handle_statistics(NOW, &Statistics::default());
        let heard = receiver.hear(&mut process);
        assert_eq!(
            heard,
            Heard {
                flows: 0,
                options: 3,
                templates: 3,
                out_of_sequence: 0,
                octets: 0
            }
        );
    }

    #[test]
    fn a_restart_says_everything_again_and_skips_what_left() {
        let mut process = process(TransportKind::Tcp, 1);
        let records = mixed(60);
        process.handle_records(NOW, &records.clone().into(), 0);
        let mut first: Vec<_> = std::iter::from_fn(|| process.poll_message())
            .skip_while(|message| message.flow_records == 0)
            .collect();
        first.truncate(1);
        let left: u32 = first.iter().map(|message| message.flow_records).sum();
        assert!(left > 0 && left < 60);
        process.restart();
        process.handle_records(NOW, &records.clone().into(), left as usize);
        let mut receiver = Receiver::new(TransportKind::Tcp);
        let heard = receiver.hear(&mut process);
        assert_eq!(heard.flows, 60 - left as usize);
        assert_eq!(heard.out_of_sequence, 0);
        assert!(heard.options >= type_records() && heard.templates >= 3);
    }

    #[test]
    fn kept_messages_have_templates_or_numbered_records() {
        let mut config = ExportingConfig::of(TransportKind::Tcp, 1);
        (config.max_message_octets, config.kept) = (1400, true);
        let mut process = ExportingProcess::new(config, Times::Milliseconds, Arc::new([])).unwrap();
        let begin = 9 << 40 | 5;
        process.set_next_record(begin);
        for _ in 0..2 {
            process.handle_records(NOW, &mixed(300).into(), 0);
        }
        let (mut next, mut contents) = (begin, Vec::new());
        while let Some(message) = process.poll_message() {
            let set = u16::from_be_bytes([message.bytes[16], message.bytes[17]]);
            assert_eq!(message.content == Content::Templates, matches!(set, 2 | 3));
            if message.content == Content::Flows {
                assert_eq!(message.first_record, next);
                next += u64::from(message.flow_records);
                // The number is what a record ends with.
                let last = message.bytes.last_chunk::<8>().unwrap();
                assert_eq!(u64::from_be_bytes(*last), next - 1);
            }
            contents.push(message.content);
        }
        assert_eq!((next, process.next_record()), (begin + 600, begin + 600));
        assert!(contents.contains(&Content::Options) && contents.contains(&Content::Templates));
    }

    #[test]
    fn over_udp_templates_types_and_flow_keys_come_again_by_time() {
        let mut process = process(TransportKind::Udp, 1);
        process.handle_records(NOW, &mixed(3).into(), 0);
        while process.poll_message().is_some() {}
        assert!(!process.handle_timeout(NOW + 599 * S));
        assert_eq!(process.poll_message(), None);
        assert!(process.handle_timeout(NOW + 600 * S), "statistics are due");
        process.handle_statistics(NOW + 600 * S, &Statistics::default());
        // A collector that starts now understands everything.
        let mut late = Receiver::new(TransportKind::Udp);
        let heard = late.hear(&mut process);
        assert_eq!((heard.flows, heard.options), (0, type_records() + 3 + 3));
        assert!(!process.handle_timeout(NOW + 601 * S));
        process.handle_records(NOW + 601 * S, &mixed(3).into(), 0);
        assert_eq!(late.hear(&mut process).flows, 3);
    }

    #[test]
    fn selectors_are_explained_before_the_first_record_and_again() {
        use crate::metering::sampling::Algorithm;
        let selectors = [
            Algorithm::Everything,
            Algorithm::Systematic { interval: 1, space: 9 },
            Algorithm::RandomOutOf {
                size: 1,
                population: 10,
            },
            Algorithm::Probability(0.1),
            Algorithm::Flows { interval: 10 },
        ];
        let selectors: Arc<[Selector]> = (0..)
            .zip(selectors)
            .map(|(id, algorithm)| Selector { id, algorithm })
            .collect();
        let mut config = ExportingConfig::of(TransportKind::Udp, 1);
        config.template_refresh_s = 600;
        let mut process = ExportingProcess::new(config, Times::Milliseconds, selectors).unwrap();
        let mut record = samples::udp();
        record.selector = 1;
        process.handle_records(NOW, &vec![record.clone()].into(), 0);
        let mut said = reports(&mut process);
        // selectorId; then selectorAlgorithm, or flowSelectorAlgorithm, with their parameters (RFC 5477 section 8.2.1);
        // samplingInterval and samplingAlgorithm, which every collector knows; selectorName.
        let names = said.iter_mut().map(|fields| fields.pop().unwrap()).collect::<Vec<_>>();
        assert!(names.iter().all(|(element, name)| *element == 335 && !name.is_empty()));
        let text = |fields: &[(u16, String)]| {
            let fields: Vec<_> = fields
                .iter()
                .map(|(element, value)| format!("{element}={value}"))
                .collect();
            fields.join(" ")
        };
        let said: Vec<_> = said.iter().map(|fields| text(fields)).collect();
        assert_eq!(
            said,
            [
                "302=1 304=1 305=1 306=9 34=10 35=1",
                "302=2 304=3 309=1 310=10 34=10 35=2",
                "302=3 304=4 311=0.1 34=10 35=2",
                "302=4 390=4 311=0.1 34=10 35=2",
            ]
        );
        process.handle_timeout(NOW + 600 * S);
        assert_eq!(reports(&mut process).len(), 4);
    }

    /// The options records whose scope is a Selector, in numbers.
    fn reports(process: &mut ExportingProcess) -> Vec<Vec<(u16, String)>> {
        let mut session = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
        let mut reports = Vec::new();
        let mut flows = 0;
        while let Some(message) = process.poll_message() {
            let mut sink = |event: Event<'_, '_>| {
                let Event::Records { template, records, .. } = event else {
                    return;
                };
                if !template.is_options() {
                    flows += 1;
                } else if template.fields().first().map(|field| field.specifier.element.id) == Some(302) {
                    assert_eq!((flows, template.scope_field_count()), (0, 1));
                    for record in records {
                        let fields = record.fields().map(|(field, value)| {
                            let text = match value {
                                Value::Unsigned(number) => number.to_string(),
                                Value::Float(number) => number.to_string(),
                                Value::String(text) => String::from_utf8_lossy(text).into_owned(),
                                other => panic!("{other:?}"),
                            };
                            (field.specifier.element.id, text)
                        });
                        reports.push(fields.collect());
                    }
                }
            };
            session
                .handle_message(NOW, &message.bytes, &mut Registry::new(), &mut sink)
                .unwrap();
        }
        reports
    }

    #[test]
    fn without_room_for_templates_records_keep_keys_and_counters() {
        use super::super::limits::FLOW_TEMPLATES;
        let mut process = process(TransportKind::File, 1);
        let mut receiver = Receiver::new(TransportKind::File);
        let (sample, _) = samples::with_application();
        // An HTTP record with each set of present fields is a variant of its own.
        let variants = FLOW_TEMPLATES as u32 + 20;
        for present in 0..variants {
            let mut records = sample.clone();
            records.applications[0].present = present;
            // No values are needed to tell templates apart, but they have to be of the fields' lengths.
            let octets: Vec<u8> =
                crate::metering::application::field_specifiers(records.applications[0].protocol, present)
                    .flat_map(|field| match field.length {
                        u16::MAX => vec![0],
                        length => vec![7; usize::from(length)],
                    })
                    .collect();
            records.applications[0].length = octets.len() as u32;
            records.applications[0].start = 0;
            records.octets = octets;
            process.handle_records(NOW, &records, 0);
        }
        let heard = receiver.hear(&mut process);
        assert_eq!((heard.flows, heard.out_of_sequence), (variants as usize, 0));
        assert_eq!(heard.octets, u64::from(variants) * sample.flows[0].forward.octets);
        assert_eq!(process.take_refused(), 0);
        // The first reduced one still makes a template of keys and counters.
        assert_eq!(process.take_reduced(), 20);
        assert_eq!(process.templates.len(), FLOW_TEMPLATES + 1);
    }

    #[test]
    fn a_record_too_long_for_a_message_goes_without_its_application() {
        let mut config = ExportingConfig::of(TransportKind::Udp, 1);
        config.max_message_octets = 512;
        let mut process = ExportingProcess::new(config, Times::Milliseconds, Arc::new([])).unwrap();
        let mut receiver = Receiver::new(TransportKind::Udp);
        let (mut records, _) = samples::with_application();
        records.octets = [&b"\x04http\xff\x02\x00"[..], &[b'a'; 512]].concat();
        records.applications[0].start = 0;
        records.applications[0].length = records.octets.len() as u32;
        process.handle_records(NOW, &records, 0);
        let heard = receiver.hear(&mut process);
        assert_eq!((heard.flows, process.take_refused(), process.take_reduced()), (1, 0, 1));
    }

    #[test]
    fn a_selector_of_packets_says_how_many_it_saw_and_took() {
        let algorithm = crate::metering::sampling::Algorithm::Systematic { interval: 1, space: 9 };
        let selectors = Arc::new([Selector { id: 1, algorithm }]);
        let config = ExportingConfig::of(TransportKind::Udp, 5);
        let mut process = ExportingProcess::new(config, Times::Milliseconds, selectors).unwrap();
        let metering = super::super::MeteringStatistics {
            observed_packets: 1000,
            sampled_out_packets: 900,
            ..Default::default()
        };
        process.handle_statistics(
            NOW,
            &Statistics {
                metering,
                ..Statistics::default()
            },
        );
        let mut session = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
        let mut said = Vec::new();
        while let Some(message) = process.poll_message() {
            let mut sink = |event: Event<'_, '_>| {
                let Event::Records { template, records, .. } = event else {
                    return;
                };
                // selectorIdTotalPktsObserved
                if template
                    .fields()
                    .iter()
                    .any(|field| field.specifier.element == ElementId::iana(318))
                {
                    said.extend(records.flat_map(|record| {
                        (0..4)
                            .map(|at| record.value(at))
                            .map(|v| format!("{v:?}"))
                            .collect::<Vec<_>>()
                    }));
                }
            };
            session
                .handle_message(NOW, &message.bytes, &mut Registry::new(), &mut sink)
                .unwrap();
        }
        assert_eq!(
            said,
            [5, 1, 1000, 100].map(|number: u64| format!("{:?}", Some(Value::Unsigned(number))))
        );
    }

    #[test]
    fn statistics_of_domain_0_share_its_sequence() {
        let mut process = process(TransportKind::Udp, 0);
        let mut receiver = Receiver::new(TransportKind::Udp);
        for _ in 0..3 {
            process.handle_records(NOW, &mixed(10).into(), 0);
            process.handle_statistics(
                NOW,
                &Statistics {
                    not_sent_flows: 1,
                    ..Statistics::default()
                },
            );
        }
        let heard = receiver.hear(&mut process);
        assert_eq!((heard.flows, heard.out_of_sequence), (30, 0));
    }
}
