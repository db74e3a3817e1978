//! Zones of DNS names: how much each was asked and answered, by how many clients and for how many different names.
//!
//! Many queries with few answers are an outage; nearly as many different names as queries are names made up at random.
//! The table has a fixed number of places. When it is full, the half with the fewest transactions goes; what a zone
//! may have had before it got its place is known, so that its upper limits hold all the same.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::limits::{ZONE_LG_K, ZONES};
use super::sketch::{Cardinality, Estimate, Item};

/// What is known of a zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: Item,
    /// Transactions counted.
    pub transactions: u64,
    /// Queries, with those that came again.
    pub queries: u64,
    /// Responses.
    pub responses: u64,
    /// Queries, and responses to none.
    pub(super) asked: u64,
    /// Transactions that it may have had before it was counted, at most.
    pub missed: u64,
    names: Cardinality,
    clients: Cardinality,
}

impl Zone {
    fn new(name: &[u8], missed: u64) -> Zone {
        Zone {
            name: Item::new(name),
            transactions: 0,
            queries: 0,
            responses: 0,
            asked: 0,
            missed,
            names: Cardinality::with_lg_k(ZONE_LG_K),
            clients: Cardinality::with_lg_k(ZONE_LG_K),
        }
    }

    /// Different names.
    pub fn names(&self) -> Estimate {
        self.widened(self.names.estimate())
    }

    /// Different clients.
    pub fn clients(&self) -> Estimate {
        self.widened(self.clients.estimate())
    }

    /// Their sketches, which know nothing of what was missed.
    pub fn sketches(&self) -> [&Cardinality; 2] {
        [&self.names, &self.clients]
    }

    /// Each transaction that was missed may have brought a new one.
    fn widened(&self, estimate: Estimate) -> Estimate {
        Estimate {
            upper: estimate.upper + self.missed as f64,
            ..estimate
        }
    }

    fn most(&self) -> u64 {
        self.transactions.saturating_add(self.missed)
    }
}

/// The zones with the most transactions.
#[derive(Clone, Debug)]
pub struct Zones {
    table: HashTable<Zone>,
    hasher: RandomState,
    /// Most transactions of a zone that has no place.
    missed: u64,
}

impl Default for Zones {
    fn default() -> Zones {
        Zones {
            table: HashTable::new(),
            hasher: RandomState::default(),
            missed: 0,
        }
    }
}

impl Zones {
    /// The most transactions that a zone without a place may have had.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Those with the most transactions first.
    pub fn rows(&self, most: usize) -> Vec<&Zone> {
        let mut rows: Vec<&Zone> = self.table.iter().collect();
        rows.sort_by(|a, b| {
            b.transactions
                .cmp(&a.transactions)
                .then_with(|| a.name.octets().cmp(b.name.octets()))
        });
        rows.truncate(most);
        rows
    }

    /// All of them, in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.table.iter()
    }

    /// No zone has a place.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash that [`Zones::count`] wants with a name.
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    /// Counts a transaction, and says where its client and its name are to be put in. `gone` takes zones that have to go.
    #[inline]
    pub(super) fn count(
        &mut self,
        hash: u64,
        name: &[u8],
        queries: u64,
        responses: u64,
        gone: impl FnMut(Zone),
    ) -> Option<InZone<'_>> {
        let found = self.table.find(hash, |zone| zone.name.octets() == name).is_some();
        if !found {
            self.add(hash, name, gone);
        }
        let zone = self.table.find_mut(hash, |zone| zone.name.octets() == name)?;
        zone.transactions += 1;
        zone.queries += queries;
        zone.responses += responses;
        zone.asked += queries.max(1);
        Some(InZone(zone))
    }

    #[cold]
    fn add(&mut self, hash: u64, name: &[u8], gone: impl FnMut(Zone)) {
        if self.table.len() >= ZONES {
            self.shrink(ZONES / 2, gone);
        }
        let hasher = &self.hasher;
        self.table.insert_unique(hash, Zone::new(name, self.missed), |zone| {
            hasher.hash_one(zone.name.octets())
        });
    }

    /// Keeps at most that many, those with the most transactions.
    fn shrink(&mut self, most: usize, mut gone: impl FnMut(Zone)) {
        if self.table.len() <= most {
            return;
        }
        let mut sums: Vec<u64> = self.table.iter().map(Zone::most).collect();
        let at = sums.len() - most - 1;
        let least = *sums.select_nth_unstable(at).1;
        self.missed = self.missed.max(least);
        for zone in self.table.extract_if(|zone| zone.most() <= least) {
            gone(zone);
        }
    }

    /// Takes in those of another span or another host. What was missed adds up.
    pub(super) fn merge(&mut self, other: &Zones) {
        let missed = self.missed;
        for zone in &mut self.table {
            let hash = other.hasher.hash_one(zone.name.octets());
            match other.table.find(hash, |one| one.name == zone.name) {
                Some(more) => {
                    zone.transactions = zone.transactions.saturating_add(more.transactions);
                    zone.queries = zone.queries.saturating_add(more.queries);
                    zone.responses = zone.responses.saturating_add(more.responses);
                    zone.asked = zone.asked.saturating_add(more.asked);
                    zone.missed = zone.missed.saturating_add(more.missed);
                    zone.names.merge(&more.names);
                    zone.clients.merge(&more.clients);
                }
                None => zone.missed = zone.missed.saturating_add(other.missed),
            }
        }
        for more in &other.table {
            let hash = self.hasher.hash_one(more.name.octets());
            if self.table.find(hash, |one| one.name == more.name).is_none() {
                let mut zone = more.clone();
                zone.missed = zone.missed.saturating_add(missed);
                let hasher = &self.hasher;
                self.table
                    .insert_unique(hash, zone, |zone| hasher.hash_one(zone.name.octets()));
            }
        }
        self.missed = self.missed.saturating_add(other.missed);
        self.shrink(ZONES, drop);
    }
}

/// A zone that a transaction was counted for.
#[derive(Debug)]
pub(super) struct InZone<'z>(&'z mut Zone);

impl InZone<'_> {
    /// Puts in a name, as often as it likes to come.
    #[inline]
    pub fn name(&mut self, octets: &[u8]) {
        self.0.names.update(octets);
    }

    /// Likewise a client.
    #[inline]
    pub fn client(&mut self, octets: &[u8]) {
        self.0.clients.update(octets);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::tests::Numbers;
    use super::*;

    struct Truth {
        transactions: u64,
        queries: u64,
        names: HashSet<u64>,
        clients: HashSet<u64>,
    }

    fn traffic(seed: u64, zones: u64, tables: &mut [Zones], gone: &mut u64) -> HashMap<String, Truth> {
        let mut numbers = Numbers(seed);
        let mut truth: HashMap<String, Truth> = HashMap::new();
        for at in 0..30_000usize {
            let zone = numbers.skewed(zones);
            let name = format!("z{zone}.example");
            // One zone is attacked: all of its names are new.
            let label = if zone == 0 { at as u64 } else { numbers.skewed(50) };
            let client = numbers.skewed(300);
            let table = &mut tables[at % tables.len()];
            let hash = table.hash(name.as_bytes());
            let mut place = table
                .count(hash, name.as_bytes(), u64::from(at % 3 != 0), 1, |zone| {
                    *gone += zone.transactions
                })
                .unwrap();
            place.name(format!("{label}.{name}").as_bytes());
            place.client(&client.to_be_bytes());
            let truth = truth.entry(name).or_insert_with(|| Truth {
                transactions: 0,
                queries: 0,
                names: HashSet::new(),
                clients: HashSet::new(),
            });
            truth.transactions += 1;
            truth.queries += u64::from(at % 3 != 0);
            truth.names.insert(label);
            truth.clients.insert(client);
        }
        truth
    }

    #[test]
    fn few_zones_are_counted_exactly_and_the_attacked_one_stands_out() {
        let mut tables = [Zones::default()];
        let mut gone = 0;
        let truth = traffic(1, 200, &mut tables, &mut gone);
        let [zones] = tables;
        assert_eq!((zones.missed(), gone), (0, 0));
        let rows = zones.rows(usize::MAX);
        assert_eq!(rows.len(), truth.len());
        for row in rows {
            let truth = &truth[std::str::from_utf8(row.name.octets()).unwrap()];
            assert_eq!(
                (row.transactions, row.queries, row.missed),
                (truth.transactions, truth.queries, 0)
            );
            for (estimate, truth) in [(row.names(), truth.names.len()), (row.clients(), truth.clients.len())] {
                // 4.6 % is one standard deviation.
                assert!(
                    (estimate.value - truth as f64).abs() <= truth as f64 * 0.2 + 1.0,
                    "{estimate:?} of {truth}"
                );
            }
        }
        let ratio = |zone: &Zone| zone.names().value / zone.transactions as f64;
        let most = zones
            .iter()
            .filter(|zone| zone.transactions > 100)
            .max_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        assert_eq!(most.unwrap().name.octets(), b"z0.example");
    }

    #[test]
    fn limits_hold_when_there_are_more_zones_than_places_and_after_merging() {
        for seed in 0..20 {
            let mut tables = [Zones::default(), Zones::default()];
            let mut gone = 0;
            let truth = traffic(seed, 5000, &mut tables, &mut gone);
            let [mut zones, second] = tables;
            let counted: u64 = zones.iter().chain(second.iter()).map(|zone| zone.transactions).sum();
            assert_eq!(counted + gone, 30_000);
            zones.merge(&second);
            assert!(zones.iter().count() <= ZONES && zones.missed() > 0);
            assert!(zones.missed() <= 30_000 * 4 / ZONES as u64, "{}", zones.missed());
            let mut known = HashSet::new();
            for row in zones.iter() {
                let name = std::str::from_utf8(row.name.octets()).unwrap();
                known.insert(name);
                let truth = &truth[name];
                assert!(
                    row.transactions <= truth.transactions && truth.transactions <= row.most(),
                    "{row:?}"
                );
                // Half of what two standard deviations leave, to both sides.
                let names = row.names();
                assert!(names.lower * 0.9 <= truth.names.len() as f64, "{names:?}");
                assert!(
                    truth.names.len() as f64 <= names.upper * 1.1 + 1.0,
                    "{names:?} of {}",
                    truth.names.len()
                );
            }
            for (name, truth) in &truth {
                assert!(
                    truth.transactions <= zones.missed() || known.contains(name.as_str()),
                    "{name}"
                );
            }
        }
    }
}
