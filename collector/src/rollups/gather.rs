//! Gathers rollups from rows, while the segment that the rows go into fills.
//!
//! A row costs a few look-ups in small tables of what came lately: rows that agree in what a table looks at are added up
//! there first, and only sums go on to counters and sketches.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

use flowgauge_sketches::{Cardinality, Item, List, Quantiles};
use foldhash::fast::RandomState;

use super::kept::{DISTINCTS, EXPORTER_TABLES, LISTS, QUANTILES, SectionId, TABLES, distinct_at, list_at};
use super::key::KeyWriter;
use super::section::{Counters, Distinct, Section, Table};
use super::{NO_TIME, Tier};
use crate::limits;
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{CellRef, Row};

const NS_PER_S: i64 = 1_000_000_000;
/// A flow that began this long before its record arrived is taken for what an exporter without a clock says.
const OLDEST_NS: i64 = 10 * 365 * 86_400 * NS_PER_S;
/// Likewise one that begins later than it arrives by this much.
const NEWEST_NS: i64 = 86_400 * NS_PER_S;

/// The sections of one window that is open.
#[derive(Debug)]
struct Window {
    start: i64,
    /// Of flows of which nothing is known of where their ends are.
    without_ends: Counters,
    tables: [Table; TABLES.len()],
    lists: [List; LISTS.len()],
    distincts: [Distinct; DISTINCTS.len()],
    quantiles: [Option<Quantiles>; QUANTILES.len()],
}

/// What the exporter's own tables look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct ExporterSide {
    window: u32,
    app: u32,
    exporter: Option<u128>,
    in_if: Option<u64>,
    out_if: Option<u64>,
    proto: Option<u64>,
}

/// What the tables of where the two ends are look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Ends {
    window: u32,
    nets: [u32; 2],
    countries: [u32; 2],
    systems: [Option<u64>; 2],
}

impl Ends {
    fn are_unknown(&self) -> bool {
        self.nets == [0; 2] && self.countries == [0; 2] && self.systems == [None; 2]
    }
}

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
/// Addresses with what they sent and got.
type Addresses = Vec<(u128, [u64; 2])>;

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

/// Sums of what came lately, each in the one place its hash gives it; what was there leaves.
#[derive(Debug)]
struct Lately<K, V> {
    places: Vec<Option<(K, V)>>,
}

impl<K: Copy + Eq + Hash, V: Copy> Lately<K, V> {
    fn new(places: usize) -> Lately<K, V> {
        Lately {
            places: vec![None; places.next_power_of_two()],
        }
    }

    /// Adds to a key's sum; gives back what had to leave for it.
    #[inline]
    fn add(&mut self, hasher: &RandomState, key: K, value: V, sum: impl FnOnce(&mut V, V)) -> Option<(K, V)> {
        let mask = self.places.len() - 1;
        let place = self.places.get_mut(hasher.hash_one(key) as usize & mask)?;
        match place {
            Some((held, held_value)) if *held == key => {
                sum(held_value, value);
                None
            }
            _ => place.replace((key, value)),
        }
    }
}

/// Texts that come again and again as numbers; 0 is no text, the last number all texts without a place.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<Box<str>, u32, RandomState>,
    texts: Vec<Box<str>>,
}

const OTHER_NAME: u32 = u32::MAX;

impl Names {
    #[inline]
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.texts.len() >= limits::ROLLUP_NAMES {
            return OTHER_NAME;
        }
        self.texts.push(text.into());
        let number = self.texts.len() as u32;
        self.numbers.insert(text.into(), number);
        number
    }

    fn text(&self, number: u32) -> Option<&str> {
        let at = (number as usize).checked_sub(1)?;
        self.texts.get(at).map(AsRef::as_ref)
    }
}

/// What of a row rollups look at.
#[derive(Default)]
struct Facts<'r> {
    kind: Option<u64>,
    start: Option<i64>,
    received: Option<i64>,
    exporter: ExporterSide,
    ends: Ends,
    addresses: [Option<u128>; 2],
    port: Option<u64>,
    dst_name: Option<&'r str>,
    sni: Option<&'r str>,
    qname: Option<&'r str>,
    counters: Counters,
    values: [Option<i64>; QUANTILES.len()],
}

/// The columns that rollups look at.
pub const COLUMNS_READ: &[ColumnId] = &[
    id::KIND,
    id::START,
    id::RECEIVED,
    id::EXPORTER_IP,
    id::IN_IF,
    id::OUT_IF,
    id::PROTO,
    id::APP_NAME,
    id::SRC_IP,
    id::DST_IP,
    id::DST_PORT,
    id::SRC_NET,
    id::DST_NET,
    id::SRC_AS,
    id::DST_AS,
    id::SRC_COUNTRY,
    id::DST_COUNTRY,
    id::DST_NAME,
    id::TLS_SNI,
    id::DNS_QNAME,
    id::DNS_LATENCY,
    id::TCP_RTT_CLIENT,
    id::TCP_RTT_SERVER,
    id::OCTETS,
    id::PACKETS,
    id::REV_OCTETS,
    id::REV_PACKETS,
];

/// Rollups of the rows of one segment.
#[derive(Debug)]
pub struct Gather {
    windows: HashMap<i64, u32, RandomState>,
    open: Vec<Window>,
    last: (i64, u32),
    names: Names,
    exporters: Lately<ExporterSide, Counters>,
    ends: Lately<Ends, Counters>,
    sources: Sums<End, [u64; 2]>,
    destinations: Sums<End, [u64; 2]>,
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
        let mut facts = self.facts(row);
        let is_flow = facts.kind.is_none_or(|kind| kind == KIND_FLOW);
        let is_transaction = facts.kind == Some(KIND_DNS);
        if !is_flow && !is_transaction {
            return;
        }
        let window = self.window_of(facts.start, facts.received.unwrap_or(arrived_ns));
        facts.exporter.window = window;
        facts.ends.window = window;
        self.add_names(window, &facts, is_flow);
        if is_flow {
            self.add_flow(window, &facts);
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
    fn facts<'r>(&mut self, row: &'r Row) -> Facts<'r> {
        let mut facts = Facts::default();
        for (column, cell) in row.cells() {
            match cell {
                CellRef::Number(value) => match column {
                    id::KIND => facts.kind = Some(value),
                    id::IN_IF => facts.exporter.in_if = Some(value),
                    id::OUT_IF => facts.exporter.out_if = Some(value),
                    id::PROTO => facts.exporter.proto = Some(value),
                    id::SRC_AS => facts.ends.systems[0] = Some(value),
                    id::DST_AS => facts.ends.systems[1] = Some(value),
                    id::DST_PORT => facts.port = Some(value),
                    id::OCTETS => facts.counters.octets = value,
                    id::PACKETS => facts.counters.packets = value,
                    id::REV_OCTETS => facts.counters.rev_octets = value,
                    id::REV_PACKETS => facts.counters.rev_packets = value,
                    _ => {}
                },
                CellRef::Signed(value) => match column {
                    id::START => facts.start = Some(value),
                    id::RECEIVED => facts.received = Some(value),
                    id::DNS_LATENCY => facts.values[0] = Some(value),
                    id::TCP_RTT_CLIENT => facts.values[1] = Some(value),
                    id::TCP_RTT_SERVER => facts.values[2] = Some(value),
                    _ => {}
                },
                CellRef::Ip(value) => match column {
                    id::EXPORTER_IP => facts.exporter.exporter = Some(value),
                    id::SRC_IP => facts.addresses[0] = Some(value),
                    id::DST_IP => facts.addresses[1] = Some(value),
                    _ => {}
                },
                CellRef::Text(text) => match column {
                    id::APP_NAME => facts.exporter.app = self.names.number(text),
                    id::SRC_NET => facts.ends.nets[0] = self.names.number(text),
                    id::DST_NET => facts.ends.nets[1] = self.names.number(text),
                    id::SRC_COUNTRY => facts.ends.countries[0] = self.names.number(text),
                    id::DST_COUNTRY => facts.ends.countries[1] = self.names.number(text),
                    id::DST_NAME => facts.dst_name = Some(text),
                    id::TLS_SNI => facts.sni = Some(text),
                    id::DNS_QNAME => facts.qname = Some(text),
                    _ => {}
                },
                CellRef::Float(_) | CellRef::Bool(_) => {}
            }
        }
        facts.counters.flows = 1;
        facts
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
        let end = |net: u32, address| End {
            window,
            net,
            exporter,
            address,
        };
        if let Some(address) = src {
            let held = self.sources.entry(end(src_net, address)).or_default();
            held[0] = held[0].saturating_add(counters.octets);
            held[1] = held[1].saturating_add(counters.rev_octets);
            if self.sources.len() > limits::ROLLUP_GATHERED_SUMS {
                self.leave_sources();
            }
        }
        if let Some(address) = dst {
            let held = self.destinations.entry(end(dst_net, address)).or_default();
            held[0] = held[0].saturating_add(counters.octets);
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

    fn leave_exporter(&mut self, side: &ExporterSide, counters: &Counters) {
        let Some(open) = self.open.get_mut(side.window as usize) else {
            return;
        };
        let most = limits::ROLLUP_GATHERED_KEYS;
        let key = &mut self.key;
        let [total, exporter, in_if, out_if, proto, app, ..] = &mut open.tables;
        let by = side.exporter;
        total.add(key.begin().item(), counters, most);
        exporter.add(key.begin().ip(by).item(), counters, most);
        in_if.add(key.begin().ip(by).number(side.in_if).item(), counters, most);
        out_if.add(key.begin().ip(by).number(side.out_if).item(), counters, most);
        proto.add(key.begin().ip(by).number(side.proto).item(), counters, most);
        match side.app {
            OTHER_NAME => app.add_other(counters),
            name => app.add(key.begin().ip(by).text(self.names.text(name)).item(), counters, most),
        }
    }

    fn leave_ends(&mut self, ends: &Ends, counters: &Counters) {
        let Some(open) = self.open.get_mut(ends.window as usize) else {
            return;
        };
        let most = limits::ROLLUP_GATHERED_KEYS;
        let key = &mut self.key;
        let [src_net, dst_net, src_as, dst_as, src_country, dst_country] =
            match open.tables.last_chunk_mut::<{ TABLES.len() - EXPORTER_TABLES }>() {
                Some(tables) => tables.each_mut(),
                None => return,
            };
        let names = ends.nets.iter().chain(&ends.countries);
        for (table, name) in [src_net, dst_net, src_country, dst_country].into_iter().zip(names) {
            match *name {
                OTHER_NAME => table.add_other(counters),
                name => table.add(key.begin().text(self.names.text(name)).item(), counters, most),
            }
        }
        for (table, system) in [src_as, dst_as].into_iter().zip(ends.systems) {
            table.add(key.begin().number(system).item(), counters, most);
        }
    }

    fn leave_sources(&mut self) {
        let mut sums = std::mem::take(&mut self.sources);
        let places = [distinct_at::SRC_IP, distinct_at::SRC_IP_OF_NET];
        self.leave_addresses(&mut sums, places, &[list_at::SRC_IP, list_at::SRC_IP_REV]);
        self.sources = sums;
    }

    fn leave_destinations(&mut self) {
        let mut sums = std::mem::take(&mut self.destinations);
        let places = [distinct_at::DST_IP, distinct_at::DST_IP_OF_NET];
        self.leave_addresses(&mut sums, places, &[list_at::DST_IP]);
        self.destinations = sums;
    }

    /// Addresses go into distinct counts group by group, and into lists window by window.
    fn leave_addresses(&mut self, sums: &mut Sums<End, [u64; 2]>, places: [usize; 2], lists: &[usize]) {
        let mut groups: HashMap<(u32, u32, u32), Addresses, RandomState> = HashMap::default();
        for (end, weights) in sums.drain() {
            let group = (end.window, end.exporter, end.net);
            groups.entry(group).or_default().push((end.address, weights));
        }
        let mut windows: HashMap<u32, (Addresses, bool), RandomState> = HashMap::default();
        for (group, addresses) in groups {
            self.add_distinct(places, group, &addresses);
            let (held, is_mixed) = windows.entry(group.0).or_default();
            if held.is_empty() {
                *held = addresses;
            } else {
                held.extend(addresses);
                *is_mixed = true;
            }
        }
        for (window, (mut addresses, is_mixed)) in windows {
            if is_mixed {
                add_up(&mut addresses);
            }
            for (column, at) in lists.iter().enumerate() {
                let weights = addresses.iter().filter_map(|(address, weights)| {
                    let weight = weights.get(column).copied().filter(|weight| *weight > 0)?;
                    Some((*address, weight))
                });
                let mut key = KeyWriter::default();
                let item = |address: &u128| key.begin().ip(Some(*address)).item();
                self.merge(window, *at, weights.collect(), item);
            }
        }
    }

    fn leave_pairs(&mut self) {
        let mut windows: HashMap<u32, Vec<([u128; 2], u64)>, RandomState> = HashMap::default();
        for (pair, weight) in self.pairs.drain().filter(|(_, weight)| *weight > 0) {
            windows.entry(pair.window).or_default().push((pair.addresses, weight));
        }
        for (window, weights) in windows {
            let mut key = KeyWriter::default();
            let item = |[src, dst]: &[u128; 2]| key.begin().ip(Some(*src)).ip(Some(*dst)).item();
            self.merge(window, list_at::PAIR, weights, item);
        }
    }

    fn merge<K>(&mut self, window: u32, at: usize, mut weights: Vec<(K, u64)>, item: impl FnMut(&K) -> Item) {
        let open = self.open.get_mut(window as usize);
        if let Some(held) = open.and_then(|open| open.lists.get_mut(at)) {
            // Refused only beyond weights that nobody has.
            let _ = held.merge(&List::heaviest(&mut weights, item));
        }
    }

    /// Addresses among those of their exporter and of their network.
    fn add_distinct(
        &mut self,
        [by_exporter, by_net]: [usize; 2],
        (window, exporter, net): (u32, u32, u32),
        addresses: &[(u128, [u64; 2])],
    ) {
        let Some(open) = self.open.get_mut(window as usize) else {
            return;
        };
        // Hashed once for both.
        let mut fresh = Cardinality::default();
        for (address, _) in addresses {
            fresh.update(&address.to_be_bytes());
        }
        let most = limits::ROLLUP_DISTINCT_KEYS;
        if let Some(held) = open.distincts.get_mut(by_exporter) {
            let exporter = self.exporter_addresses.get(exporter as usize).copied().flatten();
            held.add(self.key.begin().ip(exporter).item(), &fresh, most);
        }
        if let Some(held) = open.distincts.get_mut(by_net) {
            match net {
                OTHER_NAME => held.other.merge(&fresh),
                name => held.add(self.key.begin().text(self.names.text(name)).item(), &fresh, most),
            }
        }
    }

    fn leave_port(&mut self, port: &Port, octets: u64) {
        if let Some(open) = self.open.get_mut(port.window as usize) {
            open.lists[list_at::DST_PORT].update(self.key.begin().number(Some(port.port)).item(), octets);
        }
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

/// What several exporters, or networks, have seen of an address goes together.
fn add_up(addresses: &mut Addresses) {
    addresses.sort_unstable_by_key(|(address, _)| *address);
    addresses.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            let sums = earlier.1.iter_mut().zip(later.1);
            sums.for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        is_same
    });
}

impl Window {
    fn new(start: i64) -> Window {
        Window {
            start,
            without_ends: Counters::default(),
            tables: Default::default(),
            lists: Default::default(),
            distincts: Default::default(),
            quantiles: Default::default(),
        }
    }

    fn sections(self) -> Vec<(SectionId, Section)> {
        let tables = TABLES.iter().zip(self.tables);
        let tables = tables.map(|(kept, table)| (SectionId::table(kept.number), Section::Table(table)));
        let lists = LISTS.iter().zip(self.lists);
        let lists = lists.map(|(kept, list)| (SectionId::list(kept.number), Section::List(list)));
        let distincts = DISTINCTS.iter().zip(self.distincts);
        let distincts = distincts.map(|(kept, held)| (SectionId::distinct(kept.number), Section::Distinct(held)));
        let quantiles = QUANTILES.iter().zip(self.quantiles);
        let quantiles =
            quantiles.filter_map(|(kept, held)| Some((SectionId::quantiles(kept.number), Section::Quantiles(held?))));
        tables.chain(lists).chain(distincts).chain(quantiles).collect()
    }
}
