//! A template compiled into steps, one per field, so that no record is looked up by name.

use std::sync::Arc;

use flowgauge_ie_registry::{DataType, ElementId, NTOP_PEN, ids};
use flowgauge_templates::ipfix::record::DataRecord;
use flowgauge_templates::ipfix::template::Template;
use flowgauge_templates::ipfix::value::{Value, decode_value, unsigned};
use flowgauge_templates::text::{TextContext, hex_text, mac_text, time_text, value_json};

use super::codes::{KIND_DNS, KIND_FLOW};
use super::columns::{COLUMNS, ColumnId, ColumnKind, id};
use super::equivalents::{Equivalent, Equivalents};
use super::facts::Facts;
use super::finish::{ApplicationId, Times};
use super::lists;
use super::packet::{Section, read_section};
use super::row::{CellRef, Row, ip_to_u128, ipv4_to_u128};
use super::sampling::{Rate, RateField};

/// What is known about a record besides its fields.
#[derive(Clone, Copy)]
pub struct Received<'c> {
    /// Address of the exporter, IPv4 as v4-mapped IPv6.
    pub exporter: u128,
    /// Observation domain.
    pub domain: u32,
    /// When it arrived, nanoseconds.
    pub received_ns: i64,
    /// Export time of its Message, nanoseconds.
    pub export_ns: i64,
    /// What times in milliseconds since the exporter started count from.
    pub clock: ExporterClock,
    /// The rate, if the header told. The record's own word wins.
    pub sampling: Option<Rate>,
    /// What the exporter told about itself: rates, for records that do not say theirs, and names.
    pub facts: Facts<'c>,
    /// Names and templates for structured data.
    pub text: TextContext<'c>,
}

/// What sysUpTime counts from, if anything besides the record tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExporterClock {
    /// Nothing tells.
    #[default]
    Unknown,
    /// The moment the exporter started, nanoseconds: an options record told.
    StartedAt(i64),
    /// The exporter's uptime at export time, milliseconds modulo 2^32: the header told.
    AtExport(u32),
}

/// What normalising could not take as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NormalizingCounters {
    /// Rows made.
    pub rows: u64,
    /// Rows without a time of their own: they got the export time.
    pub times_from_export: u64,
    /// Rows whose times since the exporter's start lie beyond its export time: they got that, and their length.
    pub times_without_uptime: u64,
    /// Rows whose end was before their start.
    pub times_reversed: u64,
    /// Rows whose counters were multiplied by a sampling rate.
    pub rows_scaled: u64,
    /// Rows whose exporter samples, or names a Selector, at a rate that was not known then: counters are as counted, and
    /// `sampling` is absent.
    pub rates_unknown: u64,
    /// Values whose octets do not fit their element's type; they are kept as octets.
    pub values_mistyped: u64,
    /// Texts cut short, or other elements beyond what a row takes.
    pub values_cut: u64,
}

/// Ranks of a column's own elements; those of other vendors come behind.
const OWN_ELEMENTS: usize = 256;

/// One field of a template as the plan needs it.
#[derive(Clone, Debug)]
pub struct PlanField {
    /// The element.
    pub element: ElementId,
    /// The element's name, `PEN.ID` if unknown.
    pub name: Arc<str>,
    /// The element's type.
    pub data_type: DataType,
}

/// What is done with one field.
#[derive(Clone, Debug)]
enum Step {
    /// Padding.
    Skip,
    Number(ColumnId),
    /// A number of units of so many nanoseconds.
    Duration(ColumnId, i64),
    Ip(ColumnId),
    Mac(ColumnId),
    Text(ColumnId),
    Float(ColumnId),
    Bool(ColumnId),
    /// A boolean made of a kind, which is kept too.
    Kind(ColumnId),
    /// Type and code in one number.
    IcmpTypeCode(ColumnId, ColumnId),
    Time(TimeSource),
    Rate(RateField),
    /// Names the Selector or sampler that chose the packets; kept, too.
    Selector,
    /// Names the application by number; kept, too.
    Application,
    /// Another vendor's, which means what a column means; the first that has a value wins.
    Equivalent(Equivalent),
    /// One entry of a stack, or all of it: the labels go behind those that are there.
    Labels(ColumnId),
    /// The beginning of a packet: kept, and read for what no field says.
    Packet(Section),
    /// How long packets of which the beginning is there were.
    PacketLength,
    /// Names the Selection Sequence that chose the packets; kept, too.
    SelectionSequence,
    /// Structured data: kept, and looked into for values that columns take.
    List,
    /// No column takes it.
    Other,
}

/// Which time a field tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeSource {
    Start,
    End,
    StartDelta,
    EndDelta,
    StartUpTime,
    EndUpTime,
    Started,
    /// Nanoseconds of one unit.
    Duration(i64),
}

#[derive(Clone, Debug)]
struct PlanStep {
    step: Step,
    field: PlanField,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub struct NormalizingPlan {
    steps: Box<[PlanStep]>,
    /// Of [`codes::KINDS`].
    kind: u64,
    /// The place of the field that numbers records.
    record_id: Option<usize>,
    equivalents: Arc<Equivalents>,
}

impl NormalizingPlan {
    /// Compiles a template.
    pub fn compile(template: &Template, equivalents: &Arc<Equivalents>) -> Self {
        let fields = template
            .fields()
            .iter()
            .map(|field| PlanField {
                element: field.specifier.element,
                name: Arc::clone(&field.name),
                data_type: field.data_type,
            })
            .collect();
        Self::compile_fields(fields, equivalents)
    }

    /// Compiles fields in the order records have them.
    pub fn compile_fields(fields: Vec<PlanField>, equivalents: &Arc<Equivalents>) -> Self {
        let kind = kind(&fields);
        let record_id = fields.iter().position(|field| field.element == ids::RECORD_ID);
        let nprobe = fields.iter().any(|field| field.element.pen == NTOP_PEN);
        let candidate = |field: &PlanField| candidate(field, equivalents, nprobe);
        let candidates: Vec<_> = fields.iter().map(candidate).collect();
        let steps = fields
            .into_iter()
            .zip(&candidates)
            .map(|(field, own)| {
                let beaten = own.as_ref().is_some_and(|own| {
                    let better = |other: &&Candidate| other.target == own.target && other.rank < own.rank;
                    // Elements of other vendors share a column among themselves, not with its own.
                    let shares = own.shares && own.rank < OWN_ELEMENTS;
                    !shares && candidates.iter().flatten().any(|other| better(&other))
                });
                let step = match own {
                    Some(own) if !beaten => own.step.clone(),
                    _ if field.data_type.is_list() => Step::List,
                    _ => Step::Other,
                };
                PlanStep { step, field }
            })
            .collect();
        Self {
            steps,
            kind,
            record_id,
            equivalents: Arc::clone(equivalents),
        }
    }

    /// Whether its records tell of DNS transactions.
    pub fn is_of_transactions(&self) -> bool {
        self.kind == KIND_DNS
    }

    /// The place of the field by which an exporter numbers its records, if it does.
    pub fn record_id(&self) -> Option<usize> {
        self.record_id
    }

    /// The row of a record.
    pub fn row(&self, record: &DataRecord<'_, '_>, received: &Received<'_>, counters: &mut NormalizingCounters) -> Row {
        self.row_of(record.raw(), received, counters)
    }

    /// The row of a record given as each field's index and octets, in order.
    pub fn row_of<'a>(
        &self,
        fields: impl Iterator<Item = (usize, &'a [u8])>,
        received: &Received<'_>,
        counters: &mut NormalizingCounters,
    ) -> Row {
        let mut row = Row::new();
        let mut times = Times::default();
        // Lists and packets are rare, and looked into when all else is there. An empty one costs nothing.
        let (mut lists, mut packets) = (Vec::new(), Vec::new());
        for (index, octets) in fields {
            let Some(step) = self.steps.get(index) else { continue };
            if step.apply(octets, &mut row, &mut times, received, counters).is_none() {
                counters.values_mistyped += 1;
                keep_octets(&mut row, &step.field.name, octets, counters);
            } else if matches!(step.step, Step::List) {
                lists.push((step.field.data_type, octets));
            } else if let Step::Packet(section) = step.step {
                packets.push((section, octets));
            }
        }
        for (data_type, octets) in lists {
            lists::look_into(data_type, octets, received.text, &self.equivalents, &mut row);
        }
        for (section, octets) in packets {
            read_section(section, octets, times.packet_length, &mut row);
        }
        row.push_number(id::KIND, self.kind);
        times.finish(&mut row, received, counters);
        counters.rows += 1;
        row
    }
}

/// Records that count packets tell of flows, whatever else they say; a transaction says what became of it and counts none.
fn kind(fields: &[PlanField]) -> u64 {
    let counts = |field: &PlanField| {
        let counters = [id::OCTETS, id::PACKETS, id::REV_OCTETS, id::REV_PACKETS];
        let has = |column: &ColumnId| column.column().elements.contains(&field.name.as_ref());
        counters.iter().any(has)
    };
    let is_transaction = fields.iter().any(|field| field.element == ids::DNS_TRANSACTION_STATUS);
    match is_transaction && !fields.iter().any(counts) {
        true => KIND_DNS,
        false => KIND_FLOW,
    }
}

/// What a field could do, and how it ranks among those that want the same.
struct Candidate {
    target: &'static str,
    rank: usize,
    /// Fields of the same target do not exclude each other.
    shares: bool,
    step: Step,
}

fn candidate(field: &PlanField, equivalents: &Equivalents, nprobe: bool) -> Option<Candidate> {
    let named = |target, step| {
        Some(Candidate {
            target,
            rank: 0,
            shares: true,
            step,
        })
    };
    if let Some(section) = Section::of(field.element) {
        return named("packet", Step::Packet(section));
    }
    match field.name.as_ref() {
        // The number of a record says nothing of what it is about.
        "paddingOctets" | "recordId" => return named("padding", Step::Skip),
        "dataLinkFrameSize" | "ipTotalLength" => return named("packet", Step::PacketLength),
        "selectionSequenceId" => return named("sequence", Step::SelectionSequence),
        "systemInitTimeMilliseconds" => return named("started", Step::Time(TimeSource::Started)),
        "selectorId" | "samplerId" => return named("selector", Step::Selector),
        "applicationId" => return named("application", Step::Application),
        "icmpTypeCodeIPv4" | "icmpTypeCodeIPv6" => {
            return named("icmp", Step::IcmpTypeCode(id::ICMP_TYPE, id::ICMP_CODE));
        }
        "reverseIcmpTypeCodeIPv4" | "reverseIcmpTypeCodeIPv6" => {
            return named("reverse icmp", Step::IcmpTypeCode(id::REV_ICMP_TYPE, id::REV_ICMP_CODE));
        }
        "tcpBlackholeKind" => return named("tcp.blackholed", Step::Kind(id::TCP_BLACKHOLED)),
        _ => {}
    }
    if let Some(rate) = RateField::of(&field.name) {
        return named("sampling", Step::Rate(rate));
    }
    if let Some(equivalent) = equivalents.of(field.element) {
        return Some(Candidate {
            target: equivalent.column.column().name,
            rank: OWN_ELEMENTS,
            shares: true,
            step: Step::Equivalent(equivalent),
        });
    }
    // nProbe counts the other direction in what should be counters behind a middlebox.
    let name = match (field.element, nprobe) {
        (ids::POST_OCTET_DELTA_COUNT, true) => "reverseOctetDeltaCount",
        (ids::POST_PACKET_DELTA_COUNT, true) => "reversePacketDeltaCount",
        _ => field.name.as_ref(),
    };
    let (column, rank) = COLUMNS.iter().zip(0u16..).find_map(|(column, at)| {
        let rank = column.elements.iter().position(|own| *own == name)?;
        Some((ColumnId(at), rank))
    })?;
    let step = match column {
        id::MPLS_LABELS => Step::Labels(column),
        column => step(column, field)?,
    };
    // Both families' addresses may be in one template, one of them empty.
    let shares = matches!(
        step,
        Step::Ip(_) | Step::Labels(_) | Step::Time(TimeSource::Duration(_))
    );
    Some(Candidate {
        target: column.column().name,
        rank,
        shares,
        step,
    })
}

fn step(column: ColumnId, field: &PlanField) -> Option<Step> {
    let data_type = field.data_type;
    let name = field.name.as_ref();
    Some(match column.column().kind {
        ColumnKind::Time => Step::Time(match name {
            "flowStartDeltaMicroseconds" => TimeSource::StartDelta,
            "flowEndDeltaMicroseconds" => TimeSource::EndDelta,
            "flowStartSysUpTime" => TimeSource::StartUpTime,
            "flowEndSysUpTime" => TimeSource::EndUpTime,
            _ if !data_type.is_time() => return None,
            _ if column == id::START => TimeSource::Start,
            _ => TimeSource::End,
        }),
        ColumnKind::Duration if column == id::DURATION => Step::Time(TimeSource::Duration(unit_ns(name))),
        ColumnKind::Duration if data_type.is_unsigned() => Step::Duration(column, unit_ns(name)),
        ColumnKind::Number if data_type.is_unsigned() => Step::Number(column),
        ColumnKind::Ip if matches!(data_type, DataType::Ipv4Address | DataType::Ipv6Address) => Step::Ip(column),
        ColumnKind::Mac if data_type == DataType::MacAddress => Step::Mac(column),
        ColumnKind::Text if data_type == DataType::String => Step::Text(column),
        ColumnKind::Float if matches!(data_type, DataType::Float32 | DataType::Float64) => Step::Float(column),
        ColumnKind::Bool if data_type == DataType::Boolean || data_type.is_unsigned() => Step::Bool(column),
        _ => return None,
    })
}

/// Elements say their unit at the end of their name.
fn unit_ns(name: &str) -> i64 {
    [("Milliseconds", 1_000_000), ("Microseconds", 1_000), ("Nanoseconds", 1)]
        .iter()
        .find(|(unit, _)| name.ends_with(unit))
        .map_or(1_000_000_000, |(_, ns)| *ns)
}

fn ip(octets: &[u8]) -> Option<u128> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(ipv4_to_u128(v4));
    }
    <[u8; 16]>::try_from(octets).ok().map(u128::from_be_bytes)
}

/// All zero: the family that a record with both does not use.
fn is_empty_ip(address: u128) -> bool {
    address == 0 || address == ipv4_to_u128([0; 4])
}

impl PlanStep {
    /// `None` when the octets do not fit the element's type.
    #[inline]
    fn apply(
        &self,
        octets: &[u8],
        row: &mut Row,
        times: &mut Times,
        received: &Received<'_>,
        counters: &mut NormalizingCounters,
    ) -> Option<()> {
        match self.step {
            Step::Skip => {}
            Step::Number(column) => row.push_number(column, unsigned(octets)?),
            Step::Duration(column, unit_ns) => {
                let units = i64::try_from(unsigned(octets)?).unwrap_or(i64::MAX);
                row.set_signed(column, units.saturating_mul(unit_ns));
            }
            Step::Ip(column) => {
                let address = ip(octets)?;
                if !is_empty_ip(address) || row.get(column).is_none() {
                    row.set_ip(column, address);
                }
            }
            Step::Mac(column) => {
                let [a, b, c, d, e, f] = <[u8; 6]>::try_from(octets).ok()?;
                row.push_number(column, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
            }
            Step::Text(column) => {
                let text = Value::String(octets).to_text()?;
                // An absent name is not a name.
                if !text.is_empty() && !row.set_text(column, &text) {
                    counters.values_cut += 1;
                }
            }
            Step::Float(column) => match decode_value(self.field.data_type, octets) {
                Value::Float(value) => row.set_float(column, value),
                _ => return None,
            },
            Step::Bool(column) => row.set_bool(column, truth(self.field.data_type, octets)?),
            Step::Kind(column) => {
                row.set_bool(column, truth(self.field.data_type, octets)?);
                self.keep(octets, row, received, counters)?;
            }
            Step::IcmpTypeCode(kind, code) => {
                let both = unsigned(octets)?;
                row.set_number(kind, both >> 8 & 0xff);
                row.set_number(code, both & 0xff);
            }
            Step::Time(source) => times.take(source, self.field.data_type, octets)?,
            Step::Rate(field) => times.rate.take(field, octets)?,
            Step::Selector => {
                times.selector = Some(unsigned(octets)?);
                self.keep(octets, row, received, counters)?;
            }
            Step::Application => {
                times.application = ApplicationId::of(octets);
                self.keep(octets, row, received, counters)?;
            }
            Step::Equivalent(equivalent) => {
                // What says nothing of the kind, and what others said before it, stays under its own name.
                if !equivalent.apply(self.field.data_type, octets, row) && !is_blank(octets) {
                    self.keep(octets, row, received, counters)?;
                }
            }
            Step::Labels(column) => {
                let labels = labels_text(row, column, octets);
                row.set_text(column, &labels);
            }
            Step::PacketLength => {
                times.packet_length = Some(unsigned(octets)?);
                self.keep(octets, row, received, counters)?;
            }
            Step::SelectionSequence => {
                times.selection_sequence = Some(unsigned(octets)?);
                self.keep(octets, row, received, counters)?;
            }
            Step::Other | Step::List | Step::Packet(_) => self.keep(octets, row, received, counters)?,
        }
        Some(())
    }

    fn keep(
        &self,
        octets: &[u8],
        row: &mut Row,
        received: &Received<'_>,
        counters: &mut NormalizingCounters,
    ) -> Option<()> {
        let name = &self.field.name;
        let value = decode_value(self.field.data_type, octets);
        let kept = match value {
            Value::Unsigned(value) => row.add_other(name, CellRef::Number(value)),
            Value::Signed(value) => row.add_other(name, CellRef::Signed(value)),
            Value::Float(value) => row.add_other(name, CellRef::Float(value)),
            Value::Boolean(value) => row.add_other(name, CellRef::Bool(value)),
            Value::Mac(octets) => row.add_other(name, CellRef::Text(&mac_text(&octets))),
            Value::Ipv4(address) => row.add_other(name, CellRef::Ip(ip_to_u128(address.into()))),
            Value::Ipv6(address) => row.add_other(name, CellRef::Ip(ip_to_u128(address.into()))),
            Value::DateTime { ns, resolution } => row.add_other(name, CellRef::Text(&time_text(ns, resolution))),
            Value::String(_) => row.add_other(name, CellRef::Text(&value.to_text()?)),
            Value::List(..) => row.add_other(name, CellRef::Text(&value_json(&value, received.text).to_string())),
            Value::Octets(_) if self.field.data_type != DataType::OctetArray => return None,
            Value::Octets(octets) => row.add_other(name, CellRef::Text(&hex_text(octets))),
        };
        counters.values_cut += u64::from(!kept);
        Some(())
    }
}

/// Labels that are there and those of more entries, three octets each or four with the time to live (RFC 3032).
fn labels_text(row: &Row, column: ColumnId, octets: &[u8]) -> String {
    let mut text = match row.get(column) {
        Some(CellRef::Text(text)) => text.to_owned(),
        _ => String::new(),
    };
    let width = if octets.len().is_multiple_of(4) { 4 } else { 3 };
    for entry in octets.chunks_exact(width) {
        // Exporters fill entries that are not there with zeros; label 0 at the bottom of a stack is one.
        let Some(word) = entry.first_chunk::<3>().filter(|word| **word != [0; 3]) else {
            continue;
        };
        let [a, b, c] = *word;
        let label = u32::from_be_bytes([0, a, b, c]) >> 4;
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&label.to_string());
    }
    text
}

fn is_blank(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == 0)
}

fn truth(data_type: DataType, octets: &[u8]) -> Option<bool> {
    match decode_value(data_type, octets) {
        Value::Boolean(value) => Some(value),
        Value::Unsigned(value) => Some(value != 0),
        _ => None,
    }
}

fn keep_octets(row: &mut Row, name: &Arc<str>, octets: &[u8], counters: &mut NormalizingCounters) {
    let kept = row.add_other(name, CellRef::Text(&hex_text(octets)));
    counters.values_cut += u64::from(!kept);
}
