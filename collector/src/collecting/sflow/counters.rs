//! A counter sample as rows of a time series: the totals as they came, and by how much each counter grew.
//!
//! A row begins where the sample before was taken and lasts until this one, so that growth lies in time as a flow's
//! octets do: sums by interval are volumes, and sums over their time are rates.

use std::sync::Arc;
use std::sync::LazyLock;

use flowgauge_templates::sflow::{
    Counter, CounterField, CounterKind, CounterLayout, CounterSample, CounterValue, CounterValues, Datagram,
    RecordFormat,
};
use flowgauge_templates::text::{hex_text, mac_text};
use foldhash::{HashMap, HashMapExt as _};

use super::growth::{Source, Taken};
use super::{PORT_NAME, SflowHandling};
use crate::limits::ROWS_PER_COUNTER_SAMPLE;
use crate::normalize::codes::KIND_COUNTERS;
use crate::normalize::columns::id;
use crate::normalize::counters::growth_name;
use crate::normalize::row::{CellRef, Row, ip_to_u128};

const NS_PER_MS: i64 = 1_000_000;
/// Octets of a record of no known format that are kept.
const UNKNOWN_OCTETS: usize = 64;
/// sFlow's class of interfaces.
const INTERFACE: u32 = 0;

/// What a counter and its growth are kept under; counters of lanes behind them, by lane.
struct Kept {
    name: Arc<str>,
    growth: Arc<str>,
}

static KEPT: LazyLock<HashMap<&'static str, Kept>> = LazyLock::new(|| {
    let every = CounterLayout::all().iter().flat_map(CounterLayout::every);
    let mut kept = HashMap::new();
    kept.extend(every.map(|field: &CounterField| {
        let names = Kept {
            name: field.name.into(),
            growth: growth_name(field.name).into(),
        };
        (field.name, names)
    }));
    kept
});

/// What a host is called, and more (sFlow Host Structures, host_descr).
const HOST: u32 = 2000;
/// Class of the data source that is the machine itself (entPhysicalEntry).
const PHYSICAL: u32 = 2;

static AGENT: LazyLock<Arc<str>> = LazyLock::new(|| "sflowAgentAddress".into());
static SOURCE: LazyLock<Arc<str>> = LazyLock::new(|| "sflowSource".into());

/// Records that make one row: none of the same format twice.
#[derive(Default)]
struct Group<'a> {
    formats: Vec<RecordFormat>,
    records: Vec<CounterValues<'a>>,
    unknown: Vec<(RecordFormat, &'a [u8])>,
    key: u64,
    interface: Option<u32>,
}

impl SflowHandling<'_> {
    /// Takes a counter sample: at least one row, and one more each time a format comes again, as for every queue.
    pub(super) fn counters(&mut self, datagram: &Datagram<'_>, sample: &CounterSample<'_>) {
        self.account.counter_samples += 1;
        let mut group = Group::default();
        let mut rows = 0;
        for record in sample.records.clone() {
            let (format, body) = match record {
                Ok(record) => record,
                Err(error) => {
                    self.fault(error);
                    continue;
                }
            };
            if format.0 == HOST && sample.source.class == PHYSICAL {
                self.name_exporter(datagram, body);
            }
            if format.0 == PORT_NAME {
                self.name_interface(datagram, sample.source.index, body);
            }
            if group.formats.contains(&format) {
                self.counter_row(datagram, sample, std::mem::take(&mut group));
                rows += 1;
                if rows >= ROWS_PER_COUNTER_SAMPLE {
                    self.account.counter_records_cut += 1;
                    return;
                }
            }
            group.formats.push(format);
            match CounterLayout::of(format) {
                Some(layout) => group.take(layout.read(body)),
                None => group.unknown.push((format, body)),
            }
        }
        self.counter_row(datagram, sample, group);
    }

    fn counter_row(&mut self, datagram: &Datagram<'_>, sample: &CounterSample<'_>, group: Group<'_>) {
        self.account.records += 1;
        let source = Source {
            exporter: self.address,
            sub_agent: datagram.sub_agent,
            class: sample.source.class,
            index: sample.source.index,
            key: group.key,
        };
        let taken = Taken {
            now_ns: self.now_ns,
            uptime_ms: datagram.uptime_ms,
            sequence: sample.sequence,
        };
        let mut growing = self.sources.begin(source, taken);
        let (start_ns, length_ns) = growing.span();
        let mut row = Row::new();
        row.set_signed(id::START, start_ns);
        row.set_signed(id::DURATION, length_ns);
        row.set_signed(id::RECEIVED, self.now_ns - self.now_ns.rem_euclid(NS_PER_MS));
        row.set_number(id::KIND, KIND_COUNTERS);
        row.set_ip(id::EXPORTER_IP, ip_to_u128(self.address));
        if let Some(agent) = datagram.agent.filter(|agent| *agent != self.address) {
            row.add_other(&AGENT, CellRef::Ip(ip_to_u128(agent)));
        }
        let interface = group
            .interface
            .or((source.class == INTERFACE).then_some(source.index))
            .filter(|index| *index != 0);
        match interface {
            Some(index) => row.set_number(id::IN_IF, u64::from(index)),
            None => {
                row.add_other(&SOURCE, CellRef::Text(&format!("{}:{}", source.class, source.index)));
            }
        }
        let mut faults = Vec::new();
        for counter in group.records.into_iter().flatten() {
            match counter {
                Ok(counter) => {
                    let grown = match counter.value {
                        CounterValue::Number(now) if counter.field.kind.is_counter() => {
                            growing.growth(counter.field.name, counter.field.kind, now)
                        }
                        _ => None,
                    };
                    put(&mut row, &counter, grown);
                }
                Err(error) => faults.push(error),
            }
        }
        faults.into_iter().for_each(|error| self.fault(error));
        for (format, body) in group.unknown {
            let name = format!("sflow.counters.{}.{}", format.enterprise(), format.number());
            let octets = body.get(..UNKNOWN_OCTETS.min(body.len())).unwrap_or_default();
            row.add_other(&Arc::from(name), CellRef::Text(&hex_text(octets)));
        }
        self.add(row, datagram);
    }
}

impl<'a> Group<'a> {
    fn take(&mut self, values: CounterValues<'a>) {
        // What tells records apart comes first in those that have it.
        if let Some(Ok(Counter {
            field,
            value: CounterValue::Number(number),
            ..
        })) = values.clone().next()
            && field.kind == CounterKind::Key
        {
            match field.name {
                "ifIndex" => self.interface = u32::try_from(number).ok(),
                "vlanNumber" => {}
                _ => self.key = number,
            }
        }
        self.records.push(values);
    }
}

fn put(row: &mut Row, counter: &Counter<'_>, grown: Option<u64>) {
    let name = counter.field.name;
    match (name, counter.value) {
        ("ifIndex", _) => return,
        ("vlanNumber", CounterValue::Number(vlan)) => return row.set_number(id::VLAN, vlan),
        ("ifName", CounterValue::Text(name)) => {
            row.set_text(id::IN_IF_NAME, &String::from_utf8_lossy(name));
            return;
        }
        _ => {}
    }
    let Some(kept) = KEPT.get(name) else { return };
    let of_lane;
    let name = match counter.lane {
        0 => &kept.name,
        lane => {
            of_lane = Arc::from(format!("{name}.{lane}"));
            &of_lane
        }
    };
    match counter.value {
        CounterValue::Number(number) => row.add_other(name, CellRef::Number(number)),
        CounterValue::Signed(number) => row.add_other(name, CellRef::Signed(number)),
        CounterValue::Float(number) => row.add_other(name, CellRef::Float(number)),
        CounterValue::Text(text) => row.add_other(name, CellRef::Text(&String::from_utf8_lossy(text))),
        CounterValue::Mac(octets) => row.add_other(name, CellRef::Text(&mac_text(&octets))),
        CounterValue::Octets(octets) => row.add_other(name, CellRef::Text(&hex_text(octets))),
    };
    if let Some(grown) = grown {
        row.add_other(&kept.growth, CellRef::Number(grown));
    }
}
