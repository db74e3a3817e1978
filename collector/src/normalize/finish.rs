//! What a row gets once all its fields are read: its times, its sampling, what the caller knows.

use flowgauge_ie_registry::DataType;
use flowgauge_templates::ipfix::value::{Value, decode_value, unsigned};

use super::columns::{ColumnId, id};
use super::plan::{ExporterClock, NormalizingCounters, Received, TimeSource};
use super::row::{CellRef, Row};
use super::sampling::{Found, Rate, RateFields};

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_US: i64 = 1_000;
/// How far behind its own clock an exporter's header may be.
const UPTIME_AHEAD_NS: i64 = 60_000 * NS_PER_MS;
/// `::ffff:0:0/96`.
const V4_MAPPED: u128 = 0xffff << 32;

/// What fields told about time and sampling.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    start_ns: Option<i64>,
    end_ns: Option<i64>,
    start_delta_ns: Option<i64>,
    end_delta_ns: Option<i64>,
    start_up_ns: Option<i64>,
    end_up_ns: Option<i64>,
    started_ns: Option<i64>,
    duration_ns: Option<i64>,
    pub rate: RateFields,
    pub selector: Option<u64>,
    pub selection_sequence: Option<u64>,
    pub packet_length: Option<u64>,
    pub application: Option<ApplicationId>,
}

/// The octets of an applicationId, which are few.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApplicationId {
    octets: [u8; 16],
    length: u8,
}

impl ApplicationId {
    /// `None` for more octets than any has (RFC 6759 section 4).
    pub fn of(octets: &[u8]) -> Option<ApplicationId> {
        let mut id = ApplicationId {
            octets: [0; 16],
            length: u8::try_from(octets.len()).ok()?,
        };
        id.octets.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(id)
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Times {
    /// `None` when the octets are no time.
    pub fn take(&mut self, source: TimeSource, data_type: DataType, octets: &[u8]) -> Option<()> {
        let moment = || match decode_value(data_type, octets) {
            Value::DateTime { ns, .. } => Some(ns),
            _ => None,
        };
        let units = |ns: i64| unsigned(octets).map(|units| i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(ns));
        let (slot, value) = match source {
            TimeSource::Start => (&mut self.start_ns, moment()),
            TimeSource::End => (&mut self.end_ns, moment()),
            TimeSource::Started => (&mut self.started_ns, moment()),
            TimeSource::StartDelta => (&mut self.start_delta_ns, units(NS_PER_US)),
            TimeSource::EndDelta => (&mut self.end_delta_ns, units(NS_PER_US)),
            TimeSource::StartUpTime => (&mut self.start_up_ns, units(NS_PER_MS)),
            TimeSource::EndUpTime => (&mut self.end_up_ns, units(NS_PER_MS)),
            TimeSource::Duration(ns) => (&mut self.duration_ns, units(ns)),
        };
        *slot = Some(value?);
        Some(())
    }

    /// The moment at which the exporter had been up for so many nanoseconds.
    fn at_uptime(&self, since_start: i64, received: &Received<'_>) -> Option<i64> {
        let started = match received.clock {
            ExporterClock::StartedAt(ns) => Some(ns),
            _ => None,
        };
        if let Some(started) = self.started_ns.or(started).or_else(|| told_started(received)) {
            return Some(started.saturating_add(since_start));
        }
        let ExporterClock::AtExport(uptime_ms) = received.clock else {
            return None;
        };
        // The number goes round after 49.7 days; of the moments it may mean, the one nearest to the export time is meant.
        let then_ms = (since_start / NS_PER_MS) as u32;
        let before_export = uptime_ms.wrapping_sub(then_ms).cast_signed();
        Some(received.export_ns.saturating_sub(i64::from(before_export) * NS_PER_MS))
    }

    /// Whether times since the exporter's start make no sense beside the uptime in the header: they lie in the future.
    /// Exporters exist that send no uptime, or one of another clock.
    fn is_without_uptime(&self, end: i64, received: &Received<'_>) -> bool {
        let told_otherwise = self.end_ns.is_some() || self.end_delta_ns.is_some() || self.started_ns.is_some();
        !told_otherwise
            && matches!(received.clock, ExporterClock::AtExport(_))
            && end.saturating_sub(received.export_ns) > UPTIME_AHEAD_NS
    }

    /// Start and end, as exact as the fields allow; `None` when they tell nothing.
    fn span(&self, received: &Received<'_>) -> Option<(i64, i64)> {
        // flowStartDeltaMicroseconds is how long before the export time the flow began.
        let before_export = |delta: i64| received.export_ns.saturating_sub(delta);
        let up = |since_start: i64| self.at_uptime(since_start, received);
        let start = self
            .start_ns
            .or(self.start_delta_ns.map(before_export))
            .or(self.start_up_ns.and_then(up));
        let end = self
            .end_ns
            .or(self.end_delta_ns.map(before_export))
            .or(self.end_up_ns.and_then(up));
        match (start, end, self.duration_ns) {
            (Some(start), Some(end), _) => Some((start, end)),
            (Some(start), None, duration) => Some((start, start.saturating_add(duration.unwrap_or(0)))),
            (None, Some(end), duration) => Some((end.saturating_sub(duration.unwrap_or(0)), end)),
            (None, None, _) => None,
        }
    }

    /// How long the flow was, when nothing tells when it was.
    fn length(&self) -> i64 {
        match (self.duration_ns, self.start_up_ns, self.end_up_ns) {
            (Some(duration), ..) => duration,
            (None, Some(start), Some(end)) => end.saturating_sub(start).max(0),
            _ => 0,
        }
    }

    /// What the record says, else the header, else what was announced and in force when it was exported.
    fn rate(&self, row: &Row, received: &Received<'_>) -> Found {
        let by_user = received.facts.exporter.and_then(|exporter| exporter.rate);
        if let Some(rate) = by_user.or_else(|| self.rate.rate()).or(received.sampling) {
            return Found::Rate(rate);
        }
        if let (None, Some(sequence)) = (self.selector, self.selection_sequence)
            && let Some(found) = received.facts.sequence_rate(sequence, received.export_ns)
        {
            return found;
        }
        let interface = row.number(id::IN_IF);
        received.facts.rate(self.selector, interface, received.export_ns)
    }

    /// Names of what the record only numbers.
    fn name(&self, row: &mut Row, received: &Received<'_>) {
        let facts = received.facts;
        if facts.own.is_none() && facts.common.is_none() {
            return;
        }
        if let Some(known) = facts.name() {
            set_absent(row, id::EXPORTER_NAME, known);
        }
        for (number, name) in [(id::IN_IF, id::IN_IF_NAME), (id::OUT_IF, id::OUT_IF_NAME)] {
            if let Some(known) = row.number(number).and_then(|index| facts.interface(index)) {
                set_absent(row, name, known);
            }
        }
        for (number, name) in [(id::IN_VRF, id::IN_VRF_NAME), (id::OUT_VRF, id::OUT_VRF_NAME)] {
            if let Some(known) = row.number(number).and_then(|vrf| facts.vrf(vrf)) {
                set_absent(row, name, known);
            }
        }
        if let Some(known) = self.application.and_then(|id| facts.application(id.octets())) {
            set_absent(row, id::APP_NAME, known);
        }
    }

    pub fn finish(&self, row: &mut Row, received: &Received<'_>, counters: &mut NormalizingCounters) {
        let by_export = (received.export_ns.saturating_sub(self.length()), received.export_ns);
        let (start, end) = match self.span(received) {
            Some((_, end)) if self.is_without_uptime(end, received) => {
                counters.times_without_uptime += 1;
                by_export
            }
            Some(span) => span,
            None => {
                counters.times_from_export += 1;
                by_export
            }
        };
        if end < start {
            counters.times_reversed += 1;
        }
        row.push_signed(id::START, start);
        row.push_signed(id::DURATION, end.saturating_sub(start));
        row.push_signed(
            id::RECEIVED,
            received.received_ns - received.received_ns.rem_euclid(NS_PER_MS),
        );
        row.push_ip(id::EXPORTER_IP, received.exporter);
        row.push_number(id::EXPORTER_DOMAIN, u64::from(received.domain));
        if row.get(id::IP_VERSION).is_none()
            && let Some(CellRef::Ip(address)) = row.get(id::SRC_IP)
        {
            row.push_number(id::IP_VERSION, if address >> 32 == V4_MAPPED >> 32 { 4 } else { 6 });
        }
        match self.rate(row, received) {
            Found::Rate(rate) => {
                scale(row, rate);
                counters.rows_scaled += u64::from(!rate.is_one());
            }
            Found::Unknown => counters.rates_unknown += 1,
            Found::Undeclared => {}
        }
        self.name(row, received);
        if let Some(exporter) = received.facts.exporter {
            exporter.put(row);
        }
        row.sort();
    }
}

/// The record's own name wins.
fn set_absent(row: &mut Row, column: ColumnId, name: &str) {
    if row.get(column).is_none() {
        row.set_text(column, name);
    }
}

/// Only NetFlow's header says the uptime; with IPFIX an options record may have told when the exporter started.
fn told_started(received: &Received<'_>) -> Option<i64> {
    match received.clock {
        ExporterClock::AtExport(_) => None,
        _ => received.facts.started_ns(),
    }
}

/// What was counted stands for more: counters are multiplied by the exact rate, and what was counted stays beside them.
pub fn scale(row: &mut Row, rate: Rate) {
    row.set_number(id::SAMPLING, rate.rounded());
    if rate.is_one() {
        return;
    }
    for (column, raw) in [
        (id::OCTETS, id::RAW_OCTETS),
        (id::PACKETS, id::RAW_PACKETS),
        (id::REV_OCTETS, id::RAW_REV_OCTETS),
        (id::REV_PACKETS, id::RAW_REV_PACKETS),
    ] {
        if let Some(counted) = row.number(column) {
            row.set_number(column, rate.scale(counted));
            row.set_number(raw, counted);
        }
    }
}
