//! What leaves the small tables: sums go to counters, lists and sketches.

use std::collections::HashMap;

use flowgauge_sketches::{Cardinality, Item, List};
use foldhash::fast::RandomState;

use super::super::kept::{END_TABLES, EXPORTER_TABLES, distinct_at, list_at};
use super::super::key::KeyWriter;
use super::super::section::Counters;
use super::facts::{Ends, ExporterSide};
use super::lately::OTHER_NAME;
use super::{Addresses, End, FLOWS, Gather, OCTETS, PACKETS, Port, REV_OCTETS, Sums, Weights};
use crate::limits;

impl Gather {
    pub(super) fn leave_exporter(&mut self, side: &ExporterSide, counters: &Counters) {
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

    pub(super) fn leave_ends(&mut self, ends: &Ends, counters: &Counters) {
        let Some(open) = self.open.get_mut(ends.window as usize) else {
            return;
        };
        let most = limits::ROLLUP_GATHERED_KEYS;
        let key = &mut self.key;
        let [src_net, dst_net, src_as, dst_as, src_country, dst_country] = match open
            .tables
            .split_at_mut(EXPORTER_TABLES)
            .1
            .first_chunk_mut::<END_TABLES>()
        {
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

    pub(super) fn leave_sources(&mut self) {
        let mut sums = std::mem::take(&mut self.sources);
        let places = [distinct_at::SRC_IP, distinct_at::SRC_IP_OF_NET];
        self.leave_addresses(
            &mut sums,
            places,
            &[
                (list_at::SRC_IP, OCTETS),
                (list_at::SRC_IP_REV, REV_OCTETS),
                (list_at::SRC_IP_PACKETS, PACKETS),
                (list_at::SRC_IP_FLOWS, FLOWS),
            ],
        );
        self.sources = sums;
    }

    pub(super) fn leave_destinations(&mut self) {
        let mut sums = std::mem::take(&mut self.destinations);
        let places = [distinct_at::DST_IP, distinct_at::DST_IP_OF_NET];
        self.leave_addresses(
            &mut sums,
            places,
            &[
                (list_at::DST_IP, OCTETS),
                (list_at::DST_IP_PACKETS, PACKETS),
                (list_at::DST_IP_FLOWS, FLOWS),
            ],
        );
        self.destinations = sums;
    }

    /// Addresses go into distinct counts group by group, and into lists window by window.
    fn leave_addresses(&mut self, sums: &mut Sums<End, Weights>, places: [usize; 2], lists: &[(usize, usize)]) {
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
            for (at, column) in lists {
                let weights = addresses.iter().filter_map(|(address, weights)| {
                    let weight = weights.get(*column).copied().filter(|weight| *weight > 0)?;
                    Some((*address, weight))
                });
                let mut key = KeyWriter::default();
                let item = |address: &u128| key.begin().ip(Some(*address)).item();
                self.merge(window, *at, weights.collect(), item);
            }
        }
    }

    pub(super) fn leave_pairs(&mut self) {
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
        addresses: &[(u128, Weights)],
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

    pub(super) fn leave_port(&mut self, port: &Port, octets: u64) {
        if let Some(open) = self.open.get_mut(port.window as usize) {
            open.lists[list_at::DST_PORT].update(self.key.begin().number(Some(port.port)).item(), octets);
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
