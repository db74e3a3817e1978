//! JSON lines: one object a record, seven keys for monitoring first ([`head`]), then from element name to value, as
//! `flowgauge-collector decode` prints `fields`.
//!
//! The fields are what a collector would decode from our own template: the layout table is the only list of them.

mod head;
mod object;
#[cfg(test)]
mod tests;
mod time;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::list::TemplateScope;
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter, Template};
use flowgauge_templates::text::TextContext;

use super::destination::{Context, Failure, Transport};
use super::lines::{Kind, LineSink, Lines};
use super::queue::Batch;
use crate::config::Times;
use crate::exporting::dns::layout::{self as dns_layout, ANSWER_FIELDS, DnsVariant};
use crate::exporting::layout::{self, Parts, Variant};
use crate::exporting::limits;
use crate::exporting::summaries::layout::{self as summary_layout, RowKind, SummaryVariant};
use crate::metering::Records;
use crate::metering::dns::DnsTransaction;
use crate::metering::record::FlowRecord;
use crate::metering::sampling::Selector;
use crate::summaries::geo::Geo;
use crate::summaries::record::SummaryRecord;
use head::{Head, zone};
use object::Plan;
pub(super) use time::write_time;

/// Octets of lines that are handed over at a time, or one line.
const LINES_OCTETS: usize = 1 << 20;
/// Variants whose templates are kept; with more, all are made anew. There are hardly ever more than a hundred.
const MAX_PLANS: usize = 4096;

/// Lines to wherever they go.
#[derive(Debug)]
pub(super) struct JsonLines<S> {
    encoder: Encoder,
    lines: Lines,
    sink: S,
}

impl<S: LineSink> JsonLines<S> {
    pub fn new(sink: S, context: &Context) -> Self {
        Self {
            encoder: Encoder::new(context.config.times, context.selectors.clone(), context.geo.clone()),
            lines: Lines::default(),
            sink,
        }
    }

    /// Hands over what was gathered; `left` counts those behind.
    fn hand_over(&mut self, left: usize) -> Result<(), (Failure, usize)> {
        let sent = self.sink.send(&self.lines);
        self.lines.clear();
        sent.map_err(|(failure, unsent)| (failure, unsent + left))
    }
}

impl<S: LineSink> Transport for JsonLines<S> {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        let mut left = batch.len();
        for at in 0..batch.len() {
            self.encoder.write(batch, at, &mut self.lines);
            left -= 1;
            if self.lines.octets() >= LINES_OCTETS {
                self.hand_over(left)?;
            }
        }
        match self.lines.is_empty() {
            true => Ok(()),
            false => self.hand_over(0),
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        self.sink.handle_timeout()
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.sink.finish()
    }
}

/// Makes lines of records.
#[derive(Debug)]
struct Encoder {
    times: Times,
    selectors: Arc<[Selector]>,
    geo: Option<Arc<Geo>>,
    flows: HashMap<Variant, Plan>,
    dns: HashMap<DnsVariant, Plan>,
    lists: ListTemplates,
    record: Vec<u8>,
    zone: String,
}

impl Encoder {
    fn new(times: Times, selectors: Arc<[Selector]>, geo: Option<Arc<Geo>>) -> Self {
        Self {
            times,
            selectors,
            geo,
            flows: HashMap::new(),
            dns: HashMap::new(),
            lists: ListTemplates::new(),
            record: vec![0; usize::from(limits::FILE_MESSAGE_OCTETS)],
            zone: String::new(),
        }
    }

    /// Appends the line of one record: Flow Records, DNS transactions and summaries are counted on.
    fn write(&mut self, records: &Records, at: usize, lines: &mut Lines) {
        let (flows, dns) = (records.flows.len(), records.dns.len());
        if let Some(record) = records.flows.get(at) {
            self.write_flow(record, records, lines);
        } else if let Some(transaction) = at.checked_sub(flows).and_then(|at| records.dns.get(at)) {
            self.write_transaction(transaction, records, lines);
        } else if let Some(summary) = at.checked_sub(flows + dns).and_then(|at| records.summaries.get(at)) {
            self.write_summary(summary, lines);
        }
    }

    fn write_flow(&mut self, record: &FlowRecord, records: &Records, lines: &mut Lines) {
        let parts = Parts {
            record,
            records,
            selectors: &self.selectors,
        };
        let variant = Variant::of(&parts, self.times);
        let mut writer = RecordWriter::new(&mut self.record);
        layout::write(variant, &parts, &mut writer);
        let octets = writer.written();
        let mut head = Head::of_flow(record, records, self.geo.as_deref());
        let plan = kept(&mut self.flows, variant, || layout::specifiers(variant));
        let octets = self.record.get(..octets).unwrap_or_default();
        let name = plan.record(octets).and_then(|decoded| plan.server_name(&decoded));
        head.server_zone = name.and_then(|name| zone(name, &mut self.zone));
        line(&head, Kind::Flow, plan, octets, &self.lists, lines);
    }

    fn write_transaction(&mut self, transaction: &DnsTransaction, records: &Records, lines: &mut Lines) {
        let variant = DnsVariant::of(transaction, records, self.times);
        let mut writer = RecordWriter::new(&mut self.record);
        dns_layout::write(variant, transaction, records, ANSWERS, &mut writer);
        let octets = writer.written();
        let country = self.geo.as_deref().and_then(|geo| geo.country(transaction.key.src));
        let head = Head {
            start_ns: transaction.start_ns,
            end_ns: transaction.end_ns,
            client_country: country,
            ..Head::default()
        };
        let plan = kept(&mut self.dns, variant, || dns_layout::fields(variant));
        let octets = self.record.get(..octets).unwrap_or_default();
        line(&head, Kind::Dns, plan, octets, &self.lists, lines);
    }

    /// Few enough that their templates need not be kept.
    fn write_summary(&mut self, summary: &SummaryRecord, lines: &mut Lines) {
        let rows = summary_layout::rows_of(summary).map_or(0, |kind| SUMMARY_ROWS + kind as u16);
        let mut writer = RecordWriter::new(&mut self.record);
        summary_layout::write(summary, rows, &mut writer);
        let octets = writer.written();
        let head = Head {
            start_ns: summary.start_ns,
            end_ns: summary.end_ns,
            ..Head::default()
        };
        let plan = Plan::new(&summary_layout::fields(SummaryVariant::of(summary)));
        let octets = self.record.get(..octets).unwrap_or_default();
        line(&head, Kind::Summary, &plan, octets, &self.lists, lines);
    }
}

/// The plan of a variant, made when it is new.
fn kept<V: std::hash::Hash + Eq>(
    plans: &mut HashMap<V, Plan>,
    variant: V,
    fields: impl FnOnce() -> Vec<FieldSpecifier>,
) -> &Plan {
    if plans.len() >= MAX_PLANS && !plans.contains_key(&variant) {
        plans.clear();
    }
    match plans.entry(variant) {
        Entry::Occupied(plan) => plan.into_mut(),
        Entry::Vacant(place) => place.insert(Plan::new(&fields())),
    }
}

fn line(head: &Head<'_>, kind: Kind, plan: &Plan, octets: &[u8], lists: &ListTemplates, lines: &mut Lines) {
    let context = TextContext {
        registry: Registry::builtin(),
        scope: lists,
    };
    lines.push(kind, head.end_ns, |out| {
        head.write(out);
        if let Some(decoded) = plan.record(octets) {
            plan.write(&decoded, context, out);
        }
        out.push(b'}');
    });
}

/// The templates of lists, under numbers that no other template of ours has: of answers, then of rows of summaries.
#[derive(Debug)]
struct ListTemplates(Vec<Arc<Template>>);

const ANSWERS: [u16; 3] = [257, 258, 259];
const SUMMARY_ROWS: u16 = 260;

impl ListTemplates {
    fn new() -> Self {
        let fields = ANSWER_FIELDS.into_iter().chain(RowKind::ALL.map(RowKind::fields));
        let compile = |(number, fields): (u16, [FieldSpecifier; 4])| {
            Arc::new(Template::compile(number, 0, &fields, Registry::builtin()))
        };
        Self((ANSWERS[0]..).zip(fields).map(compile).collect())
    }
}

impl TemplateScope for ListTemplates {
    fn template(&self, id: u16) -> Option<&Arc<Template>> {
        self.0.get(usize::from(id.checked_sub(ANSWERS[0])?))
    }
}
