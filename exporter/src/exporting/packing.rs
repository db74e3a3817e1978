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

use flowgauge_templates::management::{ExportingConfig, ExportingError, ExportingSession, TemplateId};

use super::layout::{self, Variant};
use super::options::{FlowOptions, Statistics, StatisticsOptions};
use crate::config::Times;
use crate::metering::Records;
use crate::metering::record::FlowRecord;

/// One Message that is ready to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The octets.
    pub bytes: Vec<u8>,
    /// Flow Records in it; options records are not among them.
    pub flow_records: u32,
}

/// Templates, sequence numbers and options of one destination (RFC 7011 sections 3 to 8).
#[derive(Debug)]
pub struct ExportingProcess {
    session: ExportingSession,
    options: FlowOptions,
    /// Of Observation Domain 0, unless that is the domain of the flows too.
    statistics_session: Option<ExportingSession>,
    statistics: StatisticsOptions,
    statistics_ns: Option<i64>,
    times: Times,
    templates: Box<[Option<TemplateId>]>,
    /// Templates in the order of their making, with what they are of.
    made: Vec<(TemplateId, Variant)>,
    /// How many of `made` the receiver has heard the Flow Keys of.
    explained: usize,
    types_said: bool,
    options_ns: Option<i64>,
    order: Vec<u32>,
    ready: VecDeque<Outgoing>,
    refused: u64,
}

impl ExportingProcess {
    /// A process that has said nothing yet.
    ///
    /// # Errors
    /// When the Message size of `config` is too small for a template.
    pub fn new(config: ExportingConfig, times: Times) -> Result<Self, ExportingError> {
        let mut session = ExportingSession::new(config);
        let options = FlowOptions::new(&mut session)?;
        let mut statistics_session =
            (config.domain != 0).then(|| ExportingSession::new(ExportingConfig { domain: 0, ..config }));
        let statistics = StatisticsOptions::new(statistics_session.as_mut().unwrap_or(&mut session), config.domain)?;
        Ok(Self {
            session,
            options,
            statistics_session,
            statistics,
            statistics_ns: None,
            times,
            templates: vec![None; Variant::COUNT].into_boxed_slice(),
            made: Vec::new(),
            explained: 0,
            types_said: false,
            options_ns: None,
            order: Vec::new(),
            ready: VecDeque::new(),
            refused: 0,
        })
    }

    /// Encodes `records` into Messages. `skip` says how many of them, in the order in which they were encoded, left
    /// before the session was restarted.
    pub fn handle_records(&mut self, now_ns: i64, records: &Records, skip: usize) {
        self.say_types(now_ns);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        // Places fit into 16 bits: batches are far smaller (`limits::BATCH_RECORDS`).
        for (place, record) in records.flows.iter().enumerate().take(1 << 16) {
            order.push((Variant::of(record, self.times).index() as u32) << 16 | place as u32);
        }
        order.sort_unstable();
        for packed in order.iter().skip(skip) {
            let Some(record) = records.flows.get((packed & 0xffff) as usize) else {
                continue;
            };
            if let Err(error) = self.write(now_ns, (packed >> 16) as usize, record) {
                self.refused += 1;
                tracing::error!(%error, "a flow record could not be encoded");
            }
        }
        self.order = order;
        self.close(now_ns, true);
        if self.session.config().transport.is_reliable() {
            self.say_flow_keys(now_ns);
        }
    }

    #[inline]
    fn write(&mut self, now_ns: i64, index: usize, record: &FlowRecord) -> Result<(), ExportingError> {
        let template = match self.templates.get(index) {
            Some(Some(template)) => *template,
            _ => self.make_template(index)?,
        };
        let variant = Variant::from_index(index).unwrap_or_default();
        self.session
            .record(now_ns, template, |writer| layout::write(variant, record, writer))
    }

    #[cold]
    fn make_template(&mut self, index: usize) -> Result<TemplateId, ExportingError> {
        let variant = Variant::from_index(index).unwrap_or_default();
        let template = self.session.add_template(&layout::fields(variant))?;
        if let Some(place) = self.templates.get_mut(index) {
            *place = Some(template);
        }
        self.made.push((template, variant));
        Ok(template)
    }

    fn say_types(&mut self, now_ns: i64) {
        if !self.types_said {
            self.types_said = true;
            self.options_ns = Some(now_ns);
            self.statistics_ns.get_or_insert(now_ns);
            let result = self.options.write_types(&mut self.session, now_ns);
            self.close_options(now_ns, result);
        }
    }

    fn say_flow_keys(&mut self, now_ns: i64) {
        let new = self.made.get(self.explained..).unwrap_or_default();
        let result = new.iter().try_for_each(|(template, variant)| {
            let indicator = layout::flow_key_indicator(*variant);
            self.options
                .write_flow_keys(&mut self.session, now_ns, *template, indicator)
        });
        self.explained = self.made.len();
        self.close_options(now_ns, result);
    }

    /// Encodes the statistics records.
    pub fn handle_statistics(&mut self, now_ns: i64, statistics: &Statistics) {
        self.statistics_ns = Some(now_ns);
        let session = self.statistics_session.as_mut().unwrap_or(&mut self.session);
        let result = self.statistics.write(session, now_ns, statistics);
        self.close_options(now_ns, result);
    }

    /// Lets time pass. Says whether statistics are due: every template refresh interval, on all transports.
    pub fn handle_timeout(&mut self, now_ns: i64) -> bool {
        self.session.handle_timeout(now_ns);
        if let Some(session) = &mut self.statistics_session {
            session.handle_timeout(now_ns);
        }
        self.close(now_ns, false);
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

    fn close_options(&mut self, now_ns: i64, result: Result<(), ExportingError>) {
        if let Err(error) = result {
            tracing::error!(%error, "an options record could not be encoded");
        }
        self.close(now_ns, false);
    }

    /// Ends the open Messages; all that are then ready hold Flow Records, or none of them does.
    fn close(&mut self, now_ns: i64, flows: bool) {
        for session in [Some(&mut self.session), self.statistics_session.as_mut()]
            .into_iter()
            .flatten()
        {
            session.flush(now_ns);
            while let Some(message) = session.poll_message() {
                let flow_records = if flows { message.records } else { 0 };
                self.ready.push_back(Outgoing {
                    bytes: message.bytes,
                    flow_records,
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

    /// Records that could not be encoded since this was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
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

#[cfg(test)]
mod tests {
    use flowgauge_ie_registry::{ElementId, Registry};
    use flowgauge_templates::ipfix::{Message, Value};
    use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, TransportKind};

    use super::*;
    use crate::exporting::samples;

    const NOW: i64 = samples::START_NS;
    const S: i64 = 1_000_000_000;

    fn process(transport: TransportKind, domain: u32) -> ExportingProcess {
        let mut config = ExportingConfig::of(transport, domain);
        config.max_message_octets = 1400;
        config.template_refresh_s = 600;
        config.template_refresh_messages = 0;
        ExportingProcess::new(config, Times::Milliseconds).unwrap()
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
        // Two type records; their template and one for each kind of flow.
        assert_eq!(
            heard,
            Heard {
                flows: 300,
                options: 2,
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
        let first: Vec<_> = std::iter::from_fn(|| process.poll_message()).take(3).collect();
        let left: u32 = first.iter().map(|message| message.flow_records).sum();
        assert!(left > 0 && left < 60);
        process.restart();
        process.handle_records(NOW, &records.clone().into(), left as usize);
        let mut receiver = Receiver::new(TransportKind::Tcp);
        let heard = receiver.hear(&mut process);
        assert_eq!(heard.flows, 60 - left as usize);
        assert_eq!(heard.out_of_sequence, 0);
        assert!(heard.options >= 2 && heard.templates >= 3);
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
        assert_eq!((heard.flows, heard.options), (0, 2 + 3 + 3));
        assert!(!process.handle_timeout(NOW + 601 * S));
        process.handle_records(NOW + 601 * S, &mixed(3).into(), 0);
        assert_eq!(late.hear(&mut process).flows, 3);
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
