//! One Exporting Process per destination: batches of Flow Records in, whole Messages out, each knowing how many Flow
//! Records are lost with it.
//!
//! Within a batch, records are grouped by template: a change of template costs a Set header and a slower path. A batch
//! ends its Message, so that a destination that loses its connection knows exactly what is left of the batch.

use std::collections::VecDeque;

use flowgauge_templates::management::{ExportingConfig, ExportingError, ExportingSession, TemplateId};

use super::layout::{self, Variant};
use super::options::{OptionsTemplates, Statistics};
use crate::config::Times;
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
    options: OptionsTemplates,
    times: Times,
    templates: Box<[Option<TemplateId>]>,
    /// Templates in the order of their making, with what they are of.
    made: Vec<(TemplateId, Variant)>,
    /// How many of `made` the receiver has heard the Flow Keys of.
    explained: usize,
    types_said: bool,
    statistics_ns: Option<i64>,
    refreshes_seen: u64,
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
        let options = OptionsTemplates::new(&mut session)?;
        Ok(Self {
            session,
            options,
            times,
            templates: vec![None; Variant::COUNT].into_boxed_slice(),
            made: Vec::new(),
            explained: 0,
            types_said: false,
            statistics_ns: None,
            refreshes_seen: 0,
            order: Vec::new(),
            ready: VecDeque::new(),
            refused: 0,
        })
    }

    /// Encodes `records` into Messages. `skip` says how many of them, in the order in which they were encoded, left
    /// before the session was restarted.
    pub fn handle_records(&mut self, now_ns: i64, records: &[FlowRecord], skip: usize) {
        self.say_types(now_ns);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        // The limit on batches keeps places within 16 bits.
        for (place, record) in records.iter().enumerate().take(1 << 16) {
            order.push((Variant::of(record, self.times).index() as u32) << 16 | place as u32);
        }
        order.sort_unstable();
        for packed in order.iter().skip(skip) {
            let Some(record) = records.get((packed & 0xffff) as usize) else {
                continue;
            };
            if let Err(error) = self.write(now_ns, (packed >> 16) as usize, record) {
                self.refused += 1;
                tracing::error!(%error, "a flow record could not be encoded");
            }
        }
        self.order = order;
        self.close(now_ns, true);
        self.say_flow_keys(now_ns);
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
            let result = self.options.write_types(&mut self.session, now_ns);
            self.close_options(now_ns, result);
        }
    }

    fn say_flow_keys(&mut self, now_ns: i64) {
        if self.explained == self.made.len() {
            return;
        }
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
        self.say_types(now_ns);
        let result = self.options.write_statistics(&mut self.session, now_ns, statistics);
        self.close_options(now_ns, result);
    }

    /// Lets time pass. Says whether statistics are due: every template refresh interval, on all transports.
    pub fn handle_timeout(&mut self, now_ns: i64) -> bool {
        self.session.handle_timeout(now_ns);
        self.close(now_ns, false);
        let refreshes = self.session.counters().refreshes;
        if refreshes != self.refreshes_seen {
            self.refreshes_seen = refreshes;
            // Options data is as easily lost as templates are.
            self.types_said = false;
            self.explained = 0;
            self.say_types(now_ns);
            self.say_flow_keys(now_ns);
        }
        let interval_ns = i64::from(self.session.config().template_refresh_s) * 1_000_000_000;
        now_ns.saturating_sub(*self.statistics_ns.get_or_insert(now_ns)) >= interval_ns
    }

    fn close_options(&mut self, now_ns: i64, result: Result<(), ExportingError>) {
        if let Err(error) = result {
            tracing::error!(%error, "an options record could not be encoded");
        }
        self.close(now_ns, false);
    }

    /// Ends the open Message; all that are ready hold Flow Records, or none of them does.
    fn close(&mut self, now_ns: i64, flows: bool) {
        self.session.flush(now_ns);
        while let Some(message) = self.session.poll_message() {
            let flow_records = if flows { message.records } else { 0 };
            self.ready.push_back(Outgoing {
                bytes: message.bytes,
                flow_records,
            });
        }
    }

    /// The next Message.
    pub fn poll_message(&mut self) -> Option<Outgoing> {
        self.ready.pop_front()
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
        self.ready.clear();
        self.types_said = false;
        self.explained = 0;
        self.statistics_ns = None;
    }
}
