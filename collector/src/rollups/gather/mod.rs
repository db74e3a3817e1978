//! Gathers rollups from rows, while the segment that the rows go into fills.
//!
//! A row costs a few look-ups in small tables of what came lately: rows that agree in what a table looks at are added up
//! there first, and only sums go on to counters and sketches.

mod facts;
mod lately;
mod leaving;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;

use flowgauge_sketches::Quantiles;
use foldhash::fast::RandomState;

use super::kept::{END_TABLES, EXPORTER_TABLES, SectionId, distinct_at, list_at};
use super::key::KeyWriter;
use super::section::{Counters, Section};
use super::{NEWEST_NS, NO_TIME, OLDEST_NS, Tier};
use crate::limits;
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::row::Row;
use crate::normalize::zone::zone_of;
pub use facts::COLUMNS_READ;
use facts::{Ends, ExporterSide, Facts};
use lately::{Lately, Names};
use window::Window;

/// One end of a flow: window, network, exporter (both by number), address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct End {
    window: u32,
    net: u32,
    exporter: u32,
    address: u128,
}

/// Sums of keys of which there are many; they are put into lists and sketches when they are too many, and at the end.
type Sums<K, V> = HashMap<K, V, RandomState>;
/// What an address had: octets, octets the other way, packets, flows.
type Weights = [u64; 4];
const OCTETS: usize = 0;
const REV_OCTETS: usize = 1;
const PACKETS: usize = 2;
const FLOWS: usize = 3;
/// Addresses with what they had.
type Addresses = Vec<(u128, Weights)>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Pair {
    window: u32,
    addresses: [u128; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Port {
    window: u32,
    port: u64,
}

/// Rollups of the rows of one segment.
#[derive(Debug)]
pub struct Gather {
    windows: HashMap<i64, u32, RandomState>,
    open: Vec<Window>,
    last: (i64, u32),
    names: Names,
    exporters: Lately<ExporterSide, Counters>,
    ends: Lately<Ends, Counters>,
    sources: Sums<End, Weights>,
    destinations: Sums<End, Weights>,
    pairs: Sums<Pair, u64>,
    exporter_numbers: HashMap<Option<u128>, u32, RandomState>,
    exporter_addresses: Vec<Option<u128>>,
    last_exporter: (Option<u128>, u32),
    ports: Lately<Port, u64>,
    hasher: RandomState,
    key: KeyWriter,
    rows: u64,
    without_time: u64,
    arrived_ns: Option<(i64, i64)>,
}

impl Default for Gather {
    fn default() -> Gather {
        Gather {
            windows: HashMap::default(),
            open: Vec::new(),
            last: (0, u32::MAX),
            names: Names::default(),
            exporters: Lately::new(256),
            ends: Lately::new(256),
            sources: Sums::default(),
            destinations: Sums::default(),
            pairs: Sums::default(),
            exporter_numbers: HashMap::default(),
            exporter_addresses: Vec::new(),
            last_exporter: (None, u32::MAX),
            ports: Lately::new(512),
            hasher: RandomState::default(),
            key: KeyWriter::default(),
            rows: 0,
            without_time: 0,
            arrived_ns: None,
        }
    }
}

/// Everything that was gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Sections by the start of their minute.
    pub windows: Vec<(i64, Vec<(SectionId, Section)>)>,
    /// Rows that they are made of.
    pub rows: u64,
    /// Of them, those of [`NO_TIME`].
    pub without_time: u64,
    /// When the first and the last of them arrived.
    pub arrived_ns: Option<(i64, i64)>,
}

impl Gather {
    /// Takes in a row that arrived at a time.
    pub fn add(&mut self, row: &Row, arrived_ns: i64) {
        self.rows += 1;
        let first = self.arrived_ns.map_or(arrived_ns, |(first, _)| first);
        self.arrived_ns = Some((first, arrived_ns));
        let mut facts = Facts::of(row, &mut self.names);
        let is_flow = facts.kind.is_none_or(|kind| kind == KIND_FLOW);
        let is_transaction = facts.kind == Some(KIND_DNS);
        if !is_flow && !is_transaction {
            return;
        }
        let window = self.window_of(facts.start, facts.received.unwrap_or(arrived_ns));
        facts.exporter.window = window;
        facts.ends.window = window;
        self.add_names(window, &facts, is_flow);
        match is_flow {
            true => self.add_flow(window, &facts),
            false => self.add_transaction(window, &facts),
        }
    }

    /// It holds so much that its segment should end.
    pub fn is_full(&self) -> bool {
        self.open.len() >= limits::ROLLUP_WINDOWS / 2
            || (self.open.len() > 64 && self.rows >= limits::ROLLUP_ROWS_OF_MANY_WINDOWS)
    }

    /// When the first and the last row arrived.
    pub fn arrived_ns(&self) -> Option<(i64, i64)> {
        self.arrived_ns
    }

    /// Rows taken in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    #[inline]
    fn window_of(&mut self, start: Option<i64>, arrived_ns: i64) -> u32 {
        let known = start.filter(|start| {
            let age = arrived_ns.saturating_sub(*start);
            (-NEWEST_NS..=OLDEST_NS).contains(&age)
        });
        let mut window = known.map_or(NO_TIME, |start| Tier::Minute.window(start));
        if self.last.1 != u32::MAX && self.last.0 == window {
            self.without_time += u64::from(window == NO_TIME);
            return self.last.1;
        }
        if self.open.len() >= limits::ROLLUP_WINDOWS && !self.windows.contains_key(&window) {
            window = NO_TIME;
        }
        self.without_time += u64::from(window == NO_TIME);
        let next = self.open.len() as u32;
        let number = *self.windows.entry(window).or_insert(next);
        if number == next {
            self.open.push(Window::new(window));
        }
        self.last = (window, number);
        number
    }

    /// What transactions have too, and what is rare enough to be taken as it comes.
    fn add_names(&mut self, window: u32, facts: &Facts<'_>, is_flow: bool) {
        let Some(open) = self.open.get_mut(window as usize) else {
            return;
        };
        for (held, value) in open.quantiles.iter_mut().zip(&facts.values) {
            if let Some(value) = value {
                held.get_or_insert_with(Quantiles::high).update(*value as f32);
            }
        }
        if let Some(name) = facts.qname {
            let key = self.key.begin().ip(facts.exporter.exporter).item();
            open.distincts[distinct_at::DNS_QNAME].update(key, name.as_bytes(), limits::ROLLUP_DISTINCT_KEYS);
            if !is_flow {
                let item = self.key.begin().text(Some(name)).item();
                open.lists[list_at::DNS_QNAME].update(item, 1);
            }
            // Segments of before there were zones have names only.
            let zone = facts.zone.map_or_else(|| zone_of(name), Cow::Borrowed);
            let zone = self.key.begin().text(Some(&zone)).item();
            let most = limits::ROLLUP_GATHERED_ZONES;
            open.distincts[distinct_at::NAME_OF_ZONE].update(zone.clone(), name.as_bytes(), most);
            if let [Some(client), _] = facts.addresses {
                open.distincts[distinct_at::CLIENT_OF_ZONE].update(zone.clone(), &client.to_be_bytes(), most);
            }
            if let ([spread], [Some(latency), ..]) = (&mut open.spreads, &facts.values) {
                spread.update(zone, *latency as f32, most);
            }
        }
        if is_flow && let Some(name) = facts.dst_name {
            let item = self.key.begin().text(Some(name)).item();
            open.lists[list_at::DST_NAME].update(item, facts.counters.octets);
        }
        if is_flow && let Some(name) = facts.sni {
            let item = self.key.begin().text(Some(name)).item();
            open.lists[list_at::TLS_SNI].update(item, facts.counters.octets);
        }
    }

    /// Transactions by what became of them.
    fn add_transaction(&mut self, window: u32, facts: &Facts<'_>) {
        let Some(open) = self.open.get_mut(window as usize) else {
            return;
        };
        let one = Counters {
            flows: 1,
            ..Counters::default()
        };
        let most = limits::ROLLUP_GATHERED_KEYS;
        let zone = facts.zone.map(Cow::Borrowed).or_else(|| facts.qname.map(zone_of));
        if let [by_exporter, by_zone] = open.tables.split_at_mut(EXPORTER_TABLES + END_TABLES).1 {
            let key = self.key.begin().ip(facts.exporter.exporter);
            by_exporter.add(key.number(facts.status).number(facts.rcode).item(), &one, most);
            let key = self.key.begin().text(zone.as_deref());
            by_zone.add(key.number(facts.status).number(facts.rcode).item(), &one, most);
        }
    }

    #[inline]
    fn add_flow(&mut self, window: u32, facts: &Facts<'_>) {
        let hasher = &self.hasher;
        let counters = facts.counters;
        let both = |held: &mut Counters, more: Counters| *held += &more;
        let left = self.exporters.add(hasher, facts.exporter, counters, both);
        let ends_left = match facts.ends.are_unknown() {
            // Nothing said where the ends are: nothing to look up.
            true => {
                let open = self.open.get_mut(window as usize);
                open.into_iter().for_each(|open| open.without_ends += &counters);
                None
            }
            false => self.ends.add(hasher, facts.ends, counters, both),
        };
        let sum = |held: &mut u64, more: u64| *held = held.saturating_add(more);
        let port_left = facts
            .port
            .and_then(|port| self.ports.add(hasher, Port { window, port }, counters.octets, sum));
        if let Some((key, counters)) = left {
            self.leave_exporter(&key, &counters);
        }
        if let Some((key, counters)) = ends_left {
            self.leave_ends(&key, &counters);
        }
        if let Some((port, weight)) = port_left {
            self.leave_port(&port, weight);
        }
        self.add_addresses(window, facts);
    }

    #[inline]
    fn add_addresses(&mut self, window: u32, facts: &Facts<'_>) {
        let counters = &facts.counters;
        let exporter = self.exporter_number(facts.exporter.exporter);
        let [src, dst] = facts.addresses;
        let [src_net, dst_net] = facts.ends.nets;
        let weights = [counters.octets, counters.rev_octets, counters.packets, counters.flows];
        let end = |net: u32, address| End {
            window,
            net,
            exporter,
            address,
        };
        if let Some(address) = src {
            add_up(self.sources.entry(end(src_net, address)).or_default(), weights);
            if self.sources.len() > limits::ROLLUP_GATHERED_SUMS {
                self.leave_sources();
            }
        }
        if let Some(address) = dst {
            add_up(self.destinations.entry(end(dst_net, address)).or_default(), weights);
            if self.destinations.len() > limits::ROLLUP_GATHERED_SUMS {
                self.leave_destinations();
            }
        }
        if let (Some(src), Some(dst)) = (src, dst) {
            let addresses = [src, dst];
            let held = self.pairs.entry(Pair { window, addresses }).or_default();
            *held = held.saturating_add(counters.octets);
            if self.pairs.len() > limits::ROLLUP_GATHERED_SUMS {
                self.leave_pairs();
            }
        }
    }

    #[inline]
    fn exporter_number(&mut self, exporter: Option<u128>) -> u32 {
        if self.last_exporter.0 == exporter && self.last_exporter.1 != u32::MAX {
            return self.last_exporter.1;
        }
        let next = self.exporter_addresses.len() as u32;
        let number = *self.exporter_numbers.entry(exporter).or_insert(next);
        if number == next {
            self.exporter_addresses.push(exporter);
        }
        self.last_exporter = (exporter, number);
        number
    }

    /// Everything, for the file beside the segment.
    pub fn finish(mut self) -> Gathered {
        fn all<K, V>(lately: &mut Lately<K, V>) -> impl Iterator<Item = (K, V)> + use<K, V> {
            std::mem::take(&mut lately.places).into_iter().flatten()
        }
        for (key, counters) in all(&mut self.exporters) {
            self.leave_exporter(&key, &counters);
        }
        for (key, counters) in all(&mut self.ends) {
            self.leave_ends(&key, &counters);
        }
        for window in 0..self.open.len() as u32 {
            let open = self.open.get_mut(window as usize);
            let counters = open
                .map(|open| std::mem::take(&mut open.without_ends))
                .unwrap_or_default();
            if !counters.is_empty() {
                let ends = Ends {
                    window,
                    ..Ends::default()
                };
                self.leave_ends(&ends, &counters);
            }
        }
        self.leave_sources();
        self.leave_destinations();
        self.leave_pairs();
        for (port, weight) in all(&mut self.ports) {
            self.leave_port(&port, weight);
        }
        let mut windows: Vec<_> = self
            .open
            .into_iter()
            .map(|open| (open.start, open.sections()))
            .collect();
        windows.sort_unstable_by_key(|(start, _)| *start);
        Gathered {
            windows,
            rows: self.rows,
            without_time: self.without_time,
            arrived_ns: self.arrived_ns,
        }
    }
}

#[inline]
fn add_up(held: &mut Weights, more: Weights) {
    held.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum = sum.saturating_add(more));
}
