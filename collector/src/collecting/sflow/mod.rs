//! sFlow version 5 datagrams on their way into rows: each sampled packet becomes one, scaled by its sampling rate.
//!
//! [`super::process`] tells protocols apart and hands each sFlow datagram here together with its sender's account. A
//! datagram has no clock: what it says was when it was received. Counter samples become rows of their own kind.

mod counters;
mod growth;
mod row;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use flowgauge_templates::error::DecodeError;
use flowgauge_templates::management::SequenceTracker;
use flowgauge_templates::sflow::{Datagram, DiscardedPacket, FlowSample, Interface, Sample};
use foldhash::{HashMap, HashMapExt as _};

use super::ledger::Account;
use super::options::OptionsData;
use crate::enrich::Enricher;
use crate::limits::SFLOW_AGENTS;
use crate::normalize::NormalizingCounters;
use crate::normalize::columns::id;
use crate::normalize::facts::ExporterFacts;
use crate::normalize::row::Row;
use crate::normalize::sampling::Rate;
pub(super) use growth::CounterSources;
use row::RowBuilder;

/// Number of the counter record that names an interface (1005).
const PORT_NAME: u32 = 1005;

/// What a datagram belongs to in the ledger: the sub-agent, the domain of sFlow. 0 where the datagram does not say.
pub(super) fn domain_of(bytes: &[u8]) -> u32 {
    Datagram::parse(bytes).map_or(0, |datagram| datagram.sub_agent)
}

/// The numbers of every agent's datagrams.
#[derive(Debug, Default)]
pub(super) struct SflowAgents {
    trackers: Option<HashMap<(IpAddr, u32), SequenceTracker>>,
}

impl SflowAgents {
    /// The tracker of a sender's sub-agent; none when there are too many.
    fn tracker(&mut self, address: IpAddr, sub_agent: u32) -> Option<&mut SequenceTracker> {
        let trackers = self.trackers.get_or_insert_with(HashMap::new);
        let of = (address, sub_agent);
        if trackers.len() >= SFLOW_AGENTS && !trackers.contains_key(&of) {
            return None;
        }
        Some(trackers.entry(of).or_default())
    }
}

/// One sFlow datagram on its way into rows.
pub(super) struct SflowHandling<'h> {
    /// When it was received.
    pub now_ns: i64,
    /// Who sent it.
    pub address: IpAddr,
    /// The sub-agent, or the domain that the user says.
    pub domain: u32,
    /// What the user says about the exporter.
    pub exporter: Option<&'h ExporterFacts>,
    /// The sender's account; the datagram and its octets are counted there already.
    pub account: &'h mut Account,
    /// Numbers of datagrams.
    pub agents: &'h mut SflowAgents,
    /// What counters were when they were seen last.
    pub sources: &'h mut CounterSources,
    /// Names of interfaces, which sFlow's port names add to.
    pub options: &'h mut OptionsData,
    /// What gives rows what is known about their addresses.
    pub enricher: Option<&'h mut Enricher>,
    /// What normalising could not take as it was.
    pub counters: &'h mut NormalizingCounters,
    /// Rows are appended here.
    pub rows: &'h mut Vec<Row>,
}

impl SflowHandling<'_> {
    /// Takes one datagram. Counts it in the account as a Message or as refused.
    pub fn datagram(&mut self, bytes: &[u8]) {
        let datagram = match Datagram::parse(bytes) {
            Ok(datagram) => datagram,
            Err(error) => {
                self.account.refused += 1;
                self.account.errors.count(error.kind);
                return;
            }
        };
        self.account.messages += 1;
        self.judge(&datagram);
        for sample in datagram.samples() {
            match sample {
                Ok(Sample::Flow(sample)) => self.flow(&datagram, &sample),
                Ok(Sample::Discarded(packet)) => self.discarded(&datagram, &packet),
                Ok(Sample::Counters(sample)) => self.counters(&datagram, &sample),
                Ok(Sample::Unknown { .. }) => self.account.unknown_samples += 1,
                Err(error) => self.fault(error),
            }
        }
    }

    fn fault(&mut self, error: DecodeError) {
        self.account.errors.count(error.kind);
    }

    /// Datagrams of a sub-agent are numbered one by one; the agent's uptime tells a restart from a gap.
    fn judge(&mut self, datagram: &Datagram<'_>) {
        let Some(tracker) = self.agents.tracker(self.address, datagram.sub_agent) else {
            self.account.sequence.unverified += 1;
            return;
        };
        let before = tracker.counters();
        let began_anew = tracker.observe_uptime(self.now_ns, datagram.uptime_ms);
        tracker.observe(datagram.sequence, Some(1), began_anew);
        let after = tracker.counters();
        self.account.sequence.grow(&before, &after);
    }

    /// Hosts say what they are called; those within an agent are no exporters.
    fn name_exporter(&mut self, datagram: &Datagram<'_>, body: &[u8]) {
        if let Some(name) = leading_text(body) {
            self.options.set_exporter(self.address, datagram.sub_agent, name);
        }
    }

    fn name_interface(&mut self, datagram: &Datagram<'_>, index: u32, body: &[u8]) {
        if let Some(name) = leading_text(body) {
            self.options
                .set_interface(self.address, datagram.sub_agent, index, name);
        }
    }

    fn flow(&mut self, datagram: &Datagram<'_>, sample: &FlowSample<'_>) {
        self.account.records += 1;
        let mut builder = RowBuilder::new(self.now_ns, self.address, datagram);
        builder.interfaces(sample.input, sample.output);
        for record in sample.records.clone() {
            match record {
                Ok(record) => builder.record(&record),
                Err(error) => self.account.errors.count(error.kind),
            }
        }
        let by_user = self.exporter.and_then(|exporter| exporter.rate);
        let rate = by_user.unwrap_or_else(|| Rate::one_in(sample.sampling_rate.into()));
        self.counters.rows_scaled += u64::from(!rate.is_one());
        self.add(builder.finish(rate), datagram);
    }

    fn discarded(&mut self, datagram: &Datagram<'_>, packet: &DiscardedPacket<'_>) {
        self.account.records += 1;
        let mut builder = RowBuilder::new(self.now_ns, self.address, datagram);
        builder.interfaces(Interface::Index(packet.input), Interface::Index(packet.output));
        builder.drop_reason(packet.reason);
        for record in packet.records.clone() {
            match record {
                Ok(record) => builder.record(&record),
                Err(error) => self.account.errors.count(error.kind),
            }
        }
        self.add(builder.finish(Rate::ONE), datagram);
    }

    fn add(&mut self, mut row: Row, datagram: &Datagram<'_>) {
        for (index, name) in [(id::IN_IF, id::IN_IF_NAME), (id::OUT_IF, id::OUT_IF_NAME)] {
            let known = row
                .number(index)
                .and_then(|index| self.options.interface(self.address, datagram.sub_agent, index));
            if let Some(known) = known {
                row.set_text(name, known);
            }
        }
        if let Some(known) = self.options.exporter(self.address, datagram.sub_agent) {
            row.set_text(id::EXPORTER_NAME, known);
        }
        row.set_number(id::EXPORTER_DOMAIN, u64::from(self.domain));
        if let Some(exporter) = self.exporter {
            exporter.put(&mut row);
        }
        row.sort();
        if let Some(enricher) = self.enricher.as_deref_mut() {
            enricher.enrich(&mut row);
        }
        self.rows.push(row);
        self.account.rows += 1;
    }
}

/// The text that a record begins with.
fn leading_text(body: &[u8]) -> Option<&str> {
    let (length, text) = body.split_first_chunk::<4>()?;
    let text = text.get(..u32::from_be_bytes(*length) as usize)?;
    std::str::from_utf8(text).ok().filter(|text| !text.is_empty())
}
