//! JSON lines: one object a flow record, from element name to value, as `flowgauge-collector decode` prints `fields`.
//!
//! The object is what a collector would decode from our own template: the layout table is the only list of fields.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Stdout, Write};
use std::path::Path;
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::list::TemplateScope;
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter, Template};
use flowgauge_templates::text::{TextContext, record_json};

use super::destination::{Context, Failure, Transport};
use super::file::{create, line};
use super::queue::Batch;
use crate::config::Times;
use crate::exporting::dns::layout::{self as dns_layout, ANSWER_FIELDS, DnsVariant};
use crate::exporting::layout::{self, Parts, Variant};
use crate::exporting::summaries::layout::{self as summary_layout, RowKind, SummaryVariant};
use crate::exporting::{DestinationAccounts, limits};
use crate::metering::sampling::Selector;

/// Lines to a file or to standard output.
#[derive(Debug)]
pub struct JsonLines {
    out: Output,
    times: Times,
    selectors: Arc<[Selector]>,
    templates: HashMap<Variant, Template>,
    dns_templates: HashMap<DnsVariant, Template>,
    lists: ListTemplates,
    accounts: Arc<DestinationAccounts>,
    record: Vec<u8>,
    lines: Vec<u8>,
    /// Octets of whole lines.
    length: u64,
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

#[derive(Debug)]
enum Output {
    File(File),
    Standard(Stdout),
}

impl JsonLines {
    /// Creates or empties the file; no path means standard output.
    ///
    /// # Errors
    /// One line for people.
    pub fn create(path: Option<&Path>, context: &Context, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        let out = match path {
            None => Output::Standard(io::stdout()),
            Some(path) => Output::File(create(path).map_err(|error| line(&accounts.name, &error))?),
        };
        Ok(Self {
            out,
            times: context.config.times,
            selectors: context.selectors.clone(),
            templates: HashMap::new(),
            dns_templates: HashMap::new(),
            lists: ListTemplates::new(),
            accounts,
            record: vec![0; usize::from(limits::FILE_MESSAGE_OCTETS)],
            lines: Vec::new(),
            length: 0,
        })
    }
}

impl Transport for JsonLines {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        let context = TextContext {
            registry: Registry::builtin(),
            scope: &self.lists,
        };
        self.lines.clear();
        for record in &batch.flows {
            let parts = Parts {
                record,
                records: batch,
                selectors: &self.selectors,
            };
            let variant = Variant::of(&parts, self.times);
            let template = self
                .templates
                .entry(variant)
                .or_insert_with(|| Template::compile(256, 0, &layout::specifiers(variant), context.registry));
            let mut writer = RecordWriter::new(&mut self.record);
            layout::write(variant, &parts, &mut writer);
            let octets = writer.written();
            let written = self.record.get(..octets).unwrap_or_default();
            if let Some(decoded) = template.records(written).next() {
                // Writing to memory does not fail, and all keys are text.
                let _ = serde_json::to_writer(&mut self.lines, &record_json(&decoded, context));
                self.lines.push(b'\n');
            }
        }
        for transaction in &batch.dns {
            let variant = DnsVariant::of(transaction, batch, self.times);
            let template = self
                .dns_templates
                .entry(variant)
                .or_insert_with(|| Template::compile(256, 0, &dns_layout::fields(variant), context.registry));
            let mut writer = RecordWriter::new(&mut self.record);
            dns_layout::write(variant, transaction, batch, ANSWERS, &mut writer);
            let octets = writer.written();
            let written = self.record.get(..octets).unwrap_or_default();
            if let Some(decoded) = template.records(written).next() {
                let _ = serde_json::to_writer(&mut self.lines, &record_json(&decoded, context));
                self.lines.push(b'\n');
            }
        }
        for summary in &batch.summaries {
            let rows = summary_layout::rows_of(summary).map_or(0, |kind| SUMMARY_ROWS + kind as u16);
            let fields = summary_layout::fields(SummaryVariant::of(summary));
            let template = Template::compile(256, 0, &fields, context.registry);
            let mut writer = RecordWriter::new(&mut self.record);
            summary_layout::write(summary, rows, &mut writer);
            let octets = writer.written();
            let written = self.record.get(..octets).unwrap_or_default();
            if let Some(decoded) = template.records(written).next() {
                let _ = serde_json::to_writer(&mut self.lines, &record_json(&decoded, context));
                self.lines.push(b'\n');
            }
        }
        let result = match &mut self.out {
            Output::File(file) => file.write_all(&self.lines),
            Output::Standard(stdout) => stdout.write_all(&self.lines).and_then(|()| stdout.flush()),
        };
        if let Err(error) = result {
            if let Output::File(file) = &self.out {
                // Half a line is worth less than none; a pipe or device cannot take it back.
                let _ = file.set_len(self.length);
            }
            return Err((Failure::Broken(line(&self.accounts.name, &error)), batch.len()));
        }
        self.length += self.lines.len() as u64;
        self.accounts.add_exported(batch.len() as u64, self.lines.len() as u64);
        Ok(())
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
