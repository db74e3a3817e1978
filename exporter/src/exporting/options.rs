//! What an exporter says about itself: types of enterprise elements (RFC 5610), statistics and losses
//! (RFC 7011 sections 4.1 to 4.3), and which fields are Flow Keys (section 4.4).

use std::collections::BTreeSet;

use flowgauge_ie_registry::{ElementId, REVERSE_PEN, Registry, ids};
use flowgauge_templates::ipfix::FieldSpecifier;
use flowgauge_templates::management::type_information::{TYPE_RECORD_FIELDS, TYPE_RECORD_SCOPE, write_type_record};
use flowgauge_templates::management::{ExportingError, ExportingSession, TemplateId};

use super::{dns, identity, layout, summaries};
use crate::metering::sampling::Selector;

/// What the statistics records say; totals since the exporter started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The Metering Process.
    pub metering: MeteringStatistics,
    /// Messages sent to this destination.
    pub exported_messages: u64,
    /// Flow Records in them.
    pub exported_flows: u64,
    /// Octets of them.
    pub exported_octets: u64,
    /// Flow Records that were not sent.
    pub not_sent_flows: u64,
    /// Packets that those stand for, as far as they are known.
    pub not_sent_packets: u64,
    /// IP octets, likewise.
    pub not_sent_octets: u64,
    /// When the first and the last of them were given up, ns since 1970 UTC; not exported while there are none.
    pub not_sent_between_ns: [i64; 2],
}

/// The Metering Process's part of [`Statistics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeteringStatistics {
    /// Frames that the Selector decided about.
    pub observed_packets: u64,
    /// Frames that it left out.
    pub sampled_out_packets: u64,
    /// IP packets that were observed and are in no flow, for any other reason.
    pub ignored_packets: u64,
    /// Biflows that were observed, those that were folded into others too.
    pub observed_flows: u64,
}

const fn field(element: ElementId, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(element, length)
}

const METERING_FIELDS: [FieldSpecifier; 5] = [
    field(ids::OBSERVATION_DOMAIN_ID, 4),
    field(ids::METERING_PROCESS_ID, 4),
    field(ids::EXPORTED_MESSAGE_TOTAL_COUNT, 8),
    field(ids::EXPORTED_FLOW_RECORD_TOTAL_COUNT, 8),
    field(ids::EXPORTED_OCTET_TOTAL_COUNT, 8),
];
const METERING_RELIABILITY_FIELDS: [FieldSpecifier; 4] = [
    field(ids::OBSERVATION_DOMAIN_ID, 4),
    field(ids::METERING_PROCESS_ID, 4),
    field(ids::IGNORED_PACKET_TOTAL_COUNT, 8),
    field(ids::OBSERVED_FLOW_TOTAL_COUNT, 8),
];
/// What a Selector saw and took (RFC 5476 section 6.5.3, RFC 5477 section 8.6).
const SELECTION_FIELDS: [FieldSpecifier; 4] = [
    field(ids::OBSERVATION_DOMAIN_ID, 4),
    field(ids::SELECTOR_ID, 4),
    field(ids::SELECTOR_ID_TOTAL_PKTS_OBSERVED, 8),
    field(ids::SELECTOR_ID_TOTAL_PKTS_SELECTED, 8),
];
const EXPORTING_RELIABILITY_FIELDS: [FieldSpecifier; 6] = [
    field(ids::EXPORTING_PROCESS_ID, 4),
    field(ids::NOT_SENT_FLOW_TOTAL_COUNT, 8),
    field(ids::NOT_SENT_PACKET_TOTAL_COUNT, 8),
    field(ids::NOT_SENT_OCTET_TOTAL_COUNT, 8),
    field(ids::OBSERVATION_TIME_MILLISECONDS, 8),
    field(ids::OBSERVATION_TIME_MILLISECONDS, 8),
];
/// As above without the times of losses: before the first loss there are none.
const EXPORTING_UNTIMED: usize = EXPORTING_RELIABILITY_FIELDS.len() - 2;
const FLOW_KEY_FIELDS: [FieldSpecifier; 2] = [field(ids::TEMPLATE_ID, 2), field(ids::FLOW_KEY_INDICATOR, 8)];

/// The only Metering Process of this exporter.
const METERING_PROCESS: u32 = 1;
/// The only Exporting Process of this exporter.
const EXPORTING_PROCESS: u32 = 1;

/// The options that belong to the flow templates and travel in their Observation Domain.
#[derive(Debug)]
pub(super) struct FlowOptions {
    types: TemplateId,
    flow_keys: TemplateId,
}

impl FlowOptions {
    /// Takes up the templates; each is announced before its first record.
    pub(super) fn new(session: &mut ExportingSession) -> Result<Self, ExportingError> {
        Ok(Self {
            types: session.add_options_template(TYPE_RECORD_SCOPE, &TYPE_RECORD_FIELDS)?,
            flow_keys: session.add_options_template(1, &FLOW_KEY_FIELDS)?,
        })
    }

    /// One type record for each enterprise element that layouts use. Reverse elements of RFC 5103 are left out: their
    /// types follow from IANA's, and RFC 5610 section 3.9 asks not to repeat what a collector knows.
    pub(super) fn write_types(&self, session: &mut ExportingSession, now_ns: i64) -> Result<(), ExportingError> {
        let enterprise: BTreeSet<_> = layout::all_fields()
            .chain(dns::layout::all_fields())
            .chain(summaries::layout::all_fields())
            .chain(identity::all_fields())
            .chain(session.config().kept.then_some(field(ids::RECORD_ID, 8)))
            .map(|field| field.element)
            .filter(|element| element.pen != 0 && element.pen != REVERSE_PEN)
            .collect();
        for element in enterprise.iter().filter_map(|id| Registry::builtin().element(*id)) {
            session.record(now_ns, self.types, |w| write_type_record(element, w))?;
        }
        Ok(())
    }

    /// Says which fields of a flow template are Flow Keys.
    pub(super) fn write_flow_keys(
        &self,
        session: &mut ExportingSession,
        now_ns: i64,
        template: TemplateId,
        indicator: u64,
    ) -> Result<(), ExportingError> {
        session.record(now_ns, self.flow_keys, |w| {
            w.u16(template.number());
            w.u64(indicator);
        })
    }
}

/// The statistics of this exporter, about the Observation Domain that is in their scope.
#[derive(Debug)]
pub(super) struct StatisticsOptions {
    domain: u32,
    metering: TemplateId,
    metering_reliability: TemplateId,
    /// The Selector of packets, if there is exactly one, and the template of its report.
    selection: Option<(u32, TemplateId)>,
    exporting_reliability: TemplateId,
    exporting_reliability_untimed: TemplateId,
}

impl StatisticsOptions {
    /// Takes up the templates; each is announced before its first record.
    pub(super) fn new(
        session: &mut ExportingSession,
        domain: u32,
        selectors: &[Selector],
    ) -> Result<Self, ExportingError> {
        let selection = match selectors {
            // Of flows, nobody knows how many those left out were; of several Selectors, not which packets each saw.
            [selector] if selector.id != 0 && !selector.keeps_flows_whole() => {
                Some((selector.id, session.add_options_template(2, &SELECTION_FIELDS)?))
            }
            _ => None,
        };
        let untimed = EXPORTING_RELIABILITY_FIELDS
            .get(..EXPORTING_UNTIMED)
            .unwrap_or_default();
        Ok(Self {
            domain,
            metering: session.add_options_template(2, &METERING_FIELDS)?,
            metering_reliability: session.add_options_template(2, &METERING_RELIABILITY_FIELDS)?,
            selection,
            exporting_reliability: session.add_options_template(1, &EXPORTING_RELIABILITY_FIELDS)?,
            exporting_reliability_untimed: session.add_options_template(1, untimed)?,
        })
    }

    pub(super) fn write(
        &self,
        session: &mut ExportingSession,
        now_ns: i64,
        statistics: &Statistics,
    ) -> Result<(), ExportingError> {
        session.record(now_ns, self.metering, |w| {
            w.u32(self.domain);
            w.u32(METERING_PROCESS);
            w.u64(statistics.exported_messages);
            w.u64(statistics.exported_flows);
            w.u64(statistics.exported_octets);
        })?;
        session.record(now_ns, self.metering_reliability, |w| {
            w.u32(self.domain);
            w.u32(METERING_PROCESS);
            w.u64(statistics.metering.ignored_packets);
            w.u64(statistics.metering.observed_flows);
        })?;
        if let Some((selector, template)) = self.selection {
            let observed = statistics.metering.observed_packets;
            session.record(now_ns, template, |w| {
                w.u32(self.domain);
                w.u32(selector);
                w.u64(observed);
                w.u64(observed.saturating_sub(statistics.metering.sampled_out_packets));
            })?;
        }
        let timed = statistics.not_sent_flows > 0;
        let template = if timed {
            self.exporting_reliability
        } else {
            self.exporting_reliability_untimed
        };
        session.record(now_ns, template, |w| {
            w.u32(EXPORTING_PROCESS);
            w.u64(statistics.not_sent_flows);
            w.u64(statistics.not_sent_packets);
            w.u64(statistics.not_sent_octets);
            if timed {
                statistics.not_sent_between_ns.iter().for_each(|ns| w.milliseconds(*ns));
            }
        })
    }
}
