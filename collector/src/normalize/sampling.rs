//! Sampling: what fields say about it as an exact rate, and which rate was in force when a record was exported.
//!
//! Forms: samplingInterval and samplerRandomInterval of NetFlow, the Selectors of RFC 5477 section 8.2 (systematic,
//! random n-out-of-N, probability, by hash) and of RFC 7014 (flows).

use flowgauge_ie_registry::DataType;
use flowgauge_templates::ipfix::Value;
use flowgauge_templates::ipfix::value::{decode_value, unsigned};
use foldhash::{HashMap, HashMapExt as _};

use crate::limits::{RATES_PER_SELECTOR, SELECTORS_PER_DOMAIN};

/// What each counted thing stands for: `population` were there for every `selected` that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct Rate {
    population: u64,
    selected: u64,
}

impl From<Rate> for (u64, u64) {
    fn from(rate: Rate) -> Self {
        (rate.selected, rate.population)
    }
}

impl TryFrom<(u64, u64)> for Rate {
    type Error = &'static str;

    fn try_from((selected, population): (u64, u64)) -> Result<Self, Self::Error> {
        Rate::of(selected, population).ok_or("no sampling rate")
    }
}

impl Rate {
    /// Everything was looked at.
    pub const ONE: Rate = Rate {
        population: 1,
        selected: 1,
    };

    /// How many there were for each that was looked at.
    pub fn population_per_selected(self) -> f64 {
        self.population as f64 / self.selected as f64
    }

    /// One in so many; 0 says as little as 1.
    pub fn one_in(interval: u64) -> Rate {
        Rate {
            population: interval.max(1),
            selected: 1,
        }
    }

    /// `selected` of each `population`; `None` where that is no sampling.
    pub fn of(selected: u64, population: u64) -> Option<Rate> {
        (selected > 0 && population >= selected).then_some(Rate { population, selected })
    }

    /// Each with a probability above 0 and up to 1.
    pub fn of_probability(probability: f64) -> Option<Rate> {
        if !(probability > 0.0 && probability <= 1.0) {
            return None;
        }
        // A float is a whole number over a power of two; below 2^-63 nothing is left of it.
        let exponent = (probability.log2().floor().abs() as i32 + 52).min(63);
        Rate::of((probability * 2f64.powi(exponent)) as u64, 1 << exponent)
    }

    /// The rate when of what one left, another took its part.
    pub fn then(self, next: Rate) -> Rate {
        let product = |a: u64, b: u64| a.checked_mul(b);
        product(self.selected, next.selected)
            .zip(product(self.population, next.population))
            .and_then(|(selected, population)| Rate::of(selected, population))
            .unwrap_or_else(|| Rate::one_in(self.rounded().saturating_mul(next.rounded())))
    }

    /// Whether everything was looked at.
    pub fn is_one(self) -> bool {
        self.population == self.selected
    }

    /// What `counted` stands for, to the nearest whole number.
    pub fn scale(self, counted: u64) -> u64 {
        if self.selected == 1 {
            return counted.saturating_mul(self.population);
        }
        let (population, selected) = (u128::from(self.population), u128::from(self.selected));
        let scaled = (u128::from(counted) * population + selected / 2) / selected;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// One in so many, to the nearest whole number.
    pub fn rounded(self) -> u64 {
        self.scale(1)
    }
}

/// A field that says something about a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateField {
    /// One in so many, chosen as samplingAlgorithm says.
    Interval,
    /// One in so many, chosen at random.
    RandomInterval,
    /// So many packets in a row are taken.
    PacketInterval,
    /// Then so many are left out.
    PacketSpace,
    /// As with packets, in microseconds.
    TimeInterval,
    /// Then so many microseconds are left out.
    TimeSpace,
    /// So many flows in a row are taken.
    FlowInterval,
    /// Then so many are left out.
    FlowSpacing,
    /// So many are chosen at random.
    Size,
    /// Out of so many.
    Population,
    /// Each with this probability.
    Probability,
    /// Hashes run from here.
    HashOutputMin,
    /// Hashes run to here.
    HashOutputMax,
    /// Hashes from here are selected; may occur more than once.
    HashSelectedMin,
    /// Hashes to here are selected.
    HashSelectedMax,
}

impl RateField {
    /// What an element says about a rate, by its name.
    pub fn of(name: &str) -> Option<RateField> {
        Some(match name {
            "samplingInterval" => Self::Interval,
            "samplerRandomInterval" => Self::RandomInterval,
            "samplingPacketInterval" => Self::PacketInterval,
            "samplingPacketSpace" => Self::PacketSpace,
            "samplingTimeInterval" => Self::TimeInterval,
            "samplingTimeSpace" => Self::TimeSpace,
            "samplingFlowInterval" => Self::FlowInterval,
            "samplingFlowSpacing" => Self::FlowSpacing,
            "samplingSize" => Self::Size,
            "samplingPopulation" => Self::Population,
            "samplingProbability" => Self::Probability,
            "hashOutputRangeMin" => Self::HashOutputMin,
            "hashOutputRangeMax" => Self::HashOutputMax,
            "hashSelectedRangeMin" => Self::HashSelectedMin,
            "hashSelectedRangeMax" => Self::HashSelectedMax,
            _ => return None,
        })
    }
}

/// What the fields of one record said about a rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateFields {
    any: bool,
    interval: Option<u64>,
    random_interval: Option<u64>,
    packets: (Option<u64>, Option<u64>),
    time: (Option<u64>, Option<u64>),
    flows: (Option<u64>, Option<u64>),
    size: (Option<u64>, Option<u64>),
    probability: Option<f64>,
    hash_output: (Option<u64>, Option<u64>),
    hash_selected_min: Option<u64>,
    hash_selected: Option<u64>,
}

impl RateFields {
    /// Takes a field; `None` when its octets say no number.
    pub fn take(&mut self, field: RateField, octets: &[u8]) -> Option<()> {
        if field == RateField::Probability {
            let Value::Float(probability) = decode_value(DataType::Float64, octets) else {
                return None;
            };
            self.probability = Some(probability);
            self.any = true;
            return Some(());
        }
        let number = unsigned(octets)?;
        let slot = match field {
            RateField::Interval => &mut self.interval,
            RateField::RandomInterval => &mut self.random_interval,
            RateField::PacketInterval => &mut self.packets.0,
            RateField::PacketSpace => &mut self.packets.1,
            RateField::TimeInterval => &mut self.time.0,
            RateField::TimeSpace => &mut self.time.1,
            RateField::FlowInterval => &mut self.flows.0,
            RateField::FlowSpacing => &mut self.flows.1,
            RateField::Size => &mut self.size.0,
            RateField::Population => &mut self.size.1,
            RateField::HashOutputMin => &mut self.hash_output.0,
            RateField::HashOutputMax => &mut self.hash_output.1,
            RateField::HashSelectedMin | RateField::Probability => &mut self.hash_selected_min,
            RateField::HashSelectedMax => {
                let from = self.hash_selected_min.take().unwrap_or(0);
                let width = number.checked_sub(from)?.saturating_add(1);
                self.hash_selected = Some(self.hash_selected.unwrap_or(0).saturating_add(width));
                self.any = true;
                return Some(());
            }
        };
        *slot = Some(number);
        self.any = true;
        Some(())
    }

    /// The rate that the fields say together: the most exact form of those that are whole.
    pub fn rate(&self) -> Option<Rate> {
        if !self.any {
            return None;
        }
        // So many in a row are taken, then so many are left out.
        let in_turn = |(taken, left_out): (Option<u64>, Option<u64>)| {
            let (taken, left_out) = (taken?, left_out?);
            Rate::of(taken, taken.saturating_add(left_out))
        };
        let by_hash = || {
            let (from, to) = (self.hash_output.0.unwrap_or(0), self.hash_output.1?);
            Rate::of(self.hash_selected?, to.checked_sub(from)?.saturating_add(1))
        };
        in_turn(self.packets)
            .or_else(|| Rate::of(self.size.0?, self.size.1?))
            .or_else(|| in_turn(self.flows))
            .or_else(|| in_turn(self.time))
            .or_else(|| Rate::of_probability(self.probability?))
            .or_else(by_hash)
            .or_else(|| self.interval.or(self.random_interval).map(Rate::one_in))
            // Without the space, exporters say by it what samplingInterval says.
            .or_else(|| self.packets.0.map(Rate::one_in))
    }
}

/// What a rate that an options record announces is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateScope {
    /// Every record of the domain that names no Selector.
    Domain,
    /// Records that came in by an interface.
    Interface(u64),
    /// Records that name this Selector, or sampler.
    Selector(u64),
}

/// The rates announced in one Observation Domain, each with when it began to hold.
#[derive(Debug, Default)]
pub struct Rates {
    by_scope: Option<HashMap<RateScope, Vec<(i64, Rate)>>>,
    /// Samplers of NetFlow 9. While there is one only, it holds for records that name none.
    sampler_ids: Vec<u64>,
    /// Rates left out because there were too many.
    pub overflowed: u64,
}

/// What is known about the rate of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This was in force.
    Rate(Rate),
    /// Nobody said anything.
    Undeclared,
    /// The record names a Selector, or its exporter announced a rate, but what was in force then is not known.
    Unknown,
}

impl Rates {
    /// Takes what an options record of `export_ns` announced. `sampler` says that it spoke of a sampler of NetFlow 9.
    pub fn announce(&mut self, scope: RateScope, rate: Rate, export_ns: i64, sampler: bool) {
        let by_scope = self.by_scope.get_or_insert_with(HashMap::new);
        if by_scope.len() >= SELECTORS_PER_DOMAIN && !by_scope.contains_key(&scope) {
            self.overflowed += 1;
            return;
        }
        let history = by_scope.entry(scope).or_default();
        if let RateScope::Selector(id) = scope
            && sampler
            && history.is_empty()
        {
            // No more than there are scopes.
            self.sampler_ids.push(id);
        }
        // Where it belongs in time: announcements are late and out of order, too.
        let at = history.partition_point(|(since, _)| *since <= export_ns);
        let before = at.checked_sub(1).and_then(|before| history.get(before));
        if before.is_some_and(|(_, held)| *held == rate) {
            return;
        }
        match history.get_mut(at) {
            Some((since, held)) if *held == rate => *since = export_ns,
            _ => history.insert(at, (export_ns, rate)),
        }
        if history.len() > RATES_PER_SELECTOR {
            history.remove(0);
        }
    }

    fn at(&self, scope: RateScope, export_ns: i64) -> Option<Found> {
        let history = self.by_scope.as_ref()?.get(&scope)?;
        let held = history.iter().rev().find(|(since, _)| *since <= export_ns);
        Some(held.map_or(Found::Unknown, |(_, rate)| Found::Rate(*rate)))
    }

    /// The rate of a record of `export_ns` that names a Selector and an interface.
    pub fn find(&self, selector: Option<u64>, interface: Option<u64>, export_ns: i64) -> Found {
        let of = |scope| self.at(scope, export_ns);
        if self.by_scope.is_none() {
            return if selector.is_some_and(|id| id != 0) {
                Found::Unknown
            } else {
                Found::Undeclared
            };
        }
        if let Some(found) = selector.and_then(|id| of(RateScope::Selector(id))) {
            return found;
        }
        let found = match selector {
            // Sampler 0 is none.
            Some(0) => return Found::Rate(Rate::ONE),
            Some(_) => None,
            None => interface.and_then(|index| of(RateScope::Interface(index))),
        };
        let by_default = || {
            let only = match (selector, &*self.sampler_ids) {
                (None, [only]) => Some(*only),
                _ => None,
            };
            of(RateScope::Domain).or_else(|| of(RateScope::Selector(only?)))
        };
        let undeclared = if selector.is_some() {
            Found::Unknown
        } else {
            Found::Undeclared
        };
        found.or_else(by_default).unwrap_or(undeclared)
    }

    /// Everything announced: for what, whether for a sampler of NetFlow 9, and each rate with when it began to hold.
    pub fn iter(&self) -> impl Iterator<Item = (RateScope, bool, &[(i64, Rate)])> {
        let all = self.by_scope.iter().flatten();
        all.map(|(scope, history)| (*scope, self.sampler_of(*scope), history.as_slice()))
    }

    fn sampler_of(&self, scope: RateScope) -> bool {
        matches!(scope, RateScope::Selector(id) if self.sampler_ids.contains(&id))
    }

    /// Whether nothing was announced.
    pub fn is_empty(&self) -> bool {
        self.by_scope.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(fields: &[(RateField, &[u8])]) -> Option<Rate> {
        let mut told = RateFields::default();
        fields
            .iter()
            .for_each(|(field, octets)| told.take(*field, octets).unwrap());
        told.rate()
    }

    /// Each line: what an exporter says, what 1 000 counted then stand for, and the rate to the nearest whole number. By hand
    /// from RFC 5477 section 8.2 and RFC 7014 section 6.
    #[test]
    fn every_form_is_scaled_exactly() {
        use RateField::*;
        let third = (1.0f64 / 3.0).to_be_bytes();
        for (fields, scaled, rounded) in [
            (&[(Interval, &[0, 0, 0, 100][..])][..], 100_000, 100),
            (&[(Interval, &[0])], 1_000, 1),
            (&[(RandomInterval, &[0, 64])], 64_000, 64),
            (&[(PacketInterval, &[1]), (PacketSpace, &[99])], 100_000, 100),
            (&[(PacketInterval, &[10]), (PacketSpace, &[5])], 1_500, 2),
            (
                &[(PacketInterval, &[2]), (PacketSpace, &[1]), (Interval, &[9])],
                1_500,
                2,
            ),
            (&[(PacketInterval, &[8])], 8_000, 8),
            (&[(Size, &[3]), (Population, &[10])], 3_333, 3),
            (&[(Size, &[3]), (Population, &[20])], 6_667, 7),
            (&[(Probability, &third[..])], 3_000, 3),
            (&[(Probability, &0.1f64.to_be_bytes()[..])], 10_000, 10),
            (&[(Probability, &0.125f32.to_be_bytes()[..])], 8_000, 8),
            (&[(FlowInterval, &[1]), (FlowSpacing, &[3])], 4_000, 4),
            (&[(TimeInterval, &[1]), (TimeSpace, &[1])], 2_000, 2),
            (
                &[
                    (HashOutputMin, &[0]),
                    (HashOutputMax, &[255]),
                    (HashSelectedMin, &[0]),
                    (HashSelectedMax, &[15]),
                    (HashSelectedMin, &[32]),
                    (HashSelectedMax, &[47]),
                ],
                8_000,
                8,
            ),
        ] {
            let rate = rate(fields).unwrap();
            assert_eq!((rate.scale(1_000), rate.rounded()), (scaled, rounded), "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_sampling_says_nothing() {
        use RateField::*;
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[(Size, &[10]), (Population, &[3])]), None);
        assert_eq!(rate(&[(PacketSpace, &[3])]), None);
        for probability in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::of_probability(probability), None);
        }
        for probability in [1e-300f64, 1e-15, 1e-9, 0.5, 1.0] {
            if let Some(rate) = Rate::of_probability(probability) {
                let expected = 1.0 / probability;
                assert!(
                    (rate.rounded() as f64 - expected).abs() <= 0.5 + expected * 1e-3,
                    "{probability}"
                );
            }
        }
        assert_eq!(Rate::of_probability(1.0).map(Rate::is_one), Some(true));
    }

    #[test]
    fn rates_hold_from_when_they_were_announced() {
        let mut rates = Rates::default();
        assert_eq!(rates.find(None, None, 5), Found::Undeclared);
        assert_eq!(rates.find(Some(3), None, 5), Found::Unknown);
        let selector = RateScope::Selector(3);
        rates.announce(selector, Rate::one_in(10), 100, false);
        rates.announce(selector, Rate::one_in(20), 200, false);
        rates.announce(selector, Rate::one_in(20), 300, false);
        rates.announce(selector, Rate::one_in(15), 150, false);
        let at = |at| rates.find(Some(3), None, at);
        assert_eq!(at(99), Found::Unknown, "before the first");
        let found = |rate| Found::Rate(Rate::one_in(rate));
        assert_eq!(
            [at(100), at(149), at(150), at(200), at(999)],
            [10, 10, 15, 20, 20].map(found)
        );
        assert_eq!(rates.find(Some(4), None, 999), Found::Unknown);
        assert_eq!(rates.find(Some(0), None, 999), found(1), "no sampler");
        assert_eq!(
            rates.find(None, None, 999),
            Found::Undeclared,
            "a Selector is for those who name it"
        );
        rates.announce(RateScope::Interface(7), Rate::one_in(50), 0, false);
        rates.announce(RateScope::Domain, Rate::one_in(2), 0, false);
        assert_eq!(rates.find(None, Some(7), 999), found(50));
        assert_eq!(rates.find(None, Some(8), 999), found(2));
        assert_eq!(rates.find(Some(4), None, 999), found(2));
    }

    #[test]
    fn the_only_sampler_of_netflow_9_holds_for_records_that_name_none() {
        let mut rates = Rates::default();
        rates.announce(RateScope::Selector(1), Rate::one_in(10), 0, true);
        assert_eq!(rates.find(None, None, 5), Found::Rate(Rate::one_in(10)));
        rates.announce(RateScope::Selector(2), Rate::one_in(20), 0, true);
        assert_eq!(rates.find(None, None, 5), Found::Undeclared);
    }

    #[test]
    fn announcements_are_bounded() {
        let mut rates = Rates::default();
        for n in 0..SELECTORS_PER_DOMAIN as u64 + 3 {
            rates.announce(RateScope::Selector(n), Rate::one_in(n), 0, false);
        }
        assert_eq!(rates.overflowed, 3);
        for at in 0..RATES_PER_SELECTOR as i64 + 5 {
            rates.announce(RateScope::Selector(1), Rate::one_in(at as u64 + 2), at, false);
        }
        assert_eq!(rates.find(Some(1), None, 0), Found::Unknown, "the oldest went");
        let last = RATES_PER_SELECTOR as u64 + 6;
        assert_eq!(rates.find(Some(1), None, i64::MAX), Found::Rate(Rate::one_in(last)));
    }
}
