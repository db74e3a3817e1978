//! One Message on its way into rows: what its Sets bring is normalised, named and put on the account.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::error::DecodeErrorKind;
use flowgauge_templates::ipfix::{MessageHeader, Records, Template};
use flowgauge_templates::management::{DomainTemplates, Event, SequenceOutcome};
use flowgauge_templates::text::TextContext;

use super::ledger::Account;
use super::options::OptionsData;
use super::repeated::RecordsSeen;
use super::session::Plans;
use crate::enrich::Enricher;
use crate::normalize::facts::{ExporterFacts, Facts};
use crate::normalize::row::{Row, ip_to_u128};
use crate::normalize::sampling::{Found, Rate};
use crate::normalize::{Equivalents, ExporterClock, NormalizingCounters, Received};
use crate::summaries::{Summaries, is_of_summaries};

/// One Message on its way into rows.
pub(super) struct Handling<'h> {
    pub now_ns: i64,
    pub address: IpAddr,
    /// What the user says about the exporter.
    pub exporter: Option<&'h ExporterFacts>,
    pub account: &'h mut Account,
    pub plans: &'h mut Plans,
    pub options: &'h mut OptionsData,
    /// Of streams alone: a datagram may come from anybody, and would have records of others left out.
    pub seen: Option<&'h mut RecordsSeen>,
    pub equivalents: &'h Arc<Equivalents>,
    pub counters: &'h mut NormalizingCounters,
    pub rows: &'h mut Vec<Row>,
    pub summaries: Option<&'h Summaries>,
    pub enricher: Option<&'h mut Enricher>,
    /// Where the Message came from, which tells exporters behind one address apart.
    pub peer: SocketAddr,
    /// The sequence number said something that the ledger must hear.
    pub judged: bool,
}

impl Handling<'_> {
    /// Takes what comes out of a Message, in order.
    pub fn event(&mut self, event: Event<'_, '_>) {
        match event {
            Event::Message(_) | Event::Pending { .. } => {}
            Event::Template { .. } => self.account.templates += 1,
            Event::Withdrawn { domain, id } => self.plans.forget(domain, id),
            Event::Records {
                header,
                template,
                records,
                scope,
                registry,
                ..
            } => {
                if template.is_options() {
                    self.learn(header, template, records);
                } else if is_of_summaries(template) {
                    self.summaries(header, records, scope);
                } else {
                    self.flows(header, template, records, scope, registry);
                }
            }
            Event::Error(error) => {
                self.account.errors.count(error.kind);
                if error.kind == DecodeErrorKind::TooManyTemplates {
                    tracing::debug!(exporter = %self.address, "too many templates");
                }
            }
            Event::Sequence { outcome, .. } => {
                self.judged = !matches!(outcome, SequenceOutcome::First | SequenceOutcome::InOrder);
            }
        }
    }

    fn flows(
        &mut self,
        header: &MessageHeader,
        template: &Arc<Template>,
        records: &mut Records<'_, '_>,
        scope: &DomainTemplates,
        registry: &Registry,
    ) {
        let plan = self.plans.plan(header.domain, template, self.equivalents);
        let received = Received {
            exporter: ip_to_u128(self.address),
            domain: self
                .exporter
                .and_then(|exporter| exporter.domain)
                .unwrap_or(header.domain),
            received_ns: self.now_ns,
            export_ns: header.export_ns(),
            clock: header.uptime_ms.map_or(ExporterClock::Unknown, ExporterClock::AtExport),
            sampling: header
                .sampling
                .filter(|sampling| sampling.interval > 0)
                .map(|sampling| Rate::one_in(sampling.interval.into())),
            facts: Facts {
                exporter: self.exporter,
                ..self.options.facts(self.address, header.domain)
            },
            text: TextContext { registry, scope },
        };
        let unknown_before = self.counters.rates_unknown;
        let record_id = plan.record_id();
        for record in records.by_ref() {
            if let (Some(place), Some(seen)) = (record_id, self.seen.as_deref_mut())
                && let Some(number) = record.value(place).and_then(|value| value.to_u64())
                && !seen.insert(self.address, number)
            {
                self.account.repeated += 1;
                continue;
            }
            self.account.records += 1;
            let mut row = plan.row(&record, &received, self.counters);
            if let Some(enricher) = self.enricher.as_deref_mut() {
                if plan.is_of_transactions() {
                    enricher.learn_answers(&row, &record, scope);
                }
                enricher.enrich(&mut row);
            }
            self.rows.push(row);
            self.account.rows += 1;
        }
        self.account.rates_unknown += self.counters.rates_unknown - unknown_before;
    }

    fn summaries(&mut self, header: &MessageHeader, records: &mut Records<'_, '_>, scope: &DomainTemplates) {
        let facts = self.options.facts(self.address, header.domain);
        let sampling = |selector| match facts.rate(Some(selector), None, header.export_ns()) {
            Found::Rate(rate) => rate.population_per_selected(),
            _ => 0.0,
        };
        let from = (self.peer, header.domain);
        let count = match self.summaries {
            Some(summaries) => summaries.take(self.now_ns, from, records, scope, sampling),
            None => records.finish() as u64,
        };
        self.account.records += count;
        self.account.summaries += count;
    }

    fn learn(&mut self, header: &MessageHeader, template: &Template, records: &mut Records<'_, '_>) {
        if OptionsData::is_told_by(template) {
            for record in records.by_ref() {
                self.options.learn(self.address, header, &record);
            }
        }
        self.account.options_records += records.finish() as u64;
    }
}
