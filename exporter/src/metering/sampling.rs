//! Which packets are metered: sampling as RFC 5475 describes it, decided before the flow table does any work.
//!
//! A [`Selector`] is plain data: how was chosen, and by what to multiply. A [`Sampler`] decides by one. Packets are chosen
//! unseen ([`Sampler::takes_packet`], before anything is parsed), flows by the hash of their key
//! ([`Sampler::takes_flow`], the same for both directions and for every table with the same seed). In the account, what
//! is not chosen is `sampled_out`: packets seen = metered + sampled out + each reason not metered.
//!
//! Every Flow Record counts packets chosen by exactly one Selector: only the adaptive mode changes it while running, and
//! the flow table cuts a flow's record at its next packet when [`Sampler::selector_id`] is no longer that of the record.

use crate::capture::Load;
use crate::limits::{ADAPTIVE_STEPS, MAX_SAMPLING_INTERVAL};

mod adaptive;

use adaptive::Governor;

/// How packets or flows were chosen. Travels in options (RFC 5477), and records name it by its id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selector {
    /// selectorId; 0 is the Selector that takes everything.
    pub id: u32,
    /// selectorAlgorithm and its parameters.
    pub algorithm: Algorithm,
}

/// An algorithm of RFC 5475 with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Nothing is left out.
    Everything,
    /// Systematic count-based packet sampling: `interval` packets are taken, `space` are left out, and so on
    /// (samplingPacketInterval, samplingPacketSpace).
    Systematic {
        /// Consecutive packets taken.
        interval: u32,
        /// Consecutive packets left out.
        space: u32,
    },
    /// Of each `population` packets in a row, `size` chosen at random (samplingSize, samplingPopulation).
    RandomOutOf {
        /// Packets taken.
        size: u32,
        /// Of so many.
        population: u32,
    },
    /// Each packet by itself with this probability (samplingProbability).
    Probability(f64),
    /// Whole biflows, those whose key's hash is in the lowest one of `interval` equal parts.
    Flows {
        /// One flow in so many.
        interval: u32,
    },
}

impl Algorithm {
    /// The number that IANA gave it (selectorAlgorithm, and flowSelectorAlgorithm for [`Algorithm::Flows`]); none for
    /// [`Algorithm::Everything`]. The hash is keyed with a secret, so that flows are chosen with uniform probability to
    /// everybody else, and none of the hash functions with a number of their own.
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Everything => None,
            Self::Systematic { .. } => Some(1),
            Self::RandomOutOf { .. } => Some(3),
            Self::Probability(_) | Self::Flows { .. } => Some(4),
        }
    }
}

impl Selector {
    /// Takes everything.
    pub const EVERYTHING: Selector = Selector {
        id: 0,
        algorithm: Algorithm::Everything,
    };

    /// What a counter of packets or octets is multiplied by to estimate all there was.
    pub fn factor(&self) -> f64 {
        match self.algorithm {
            Algorithm::Everything => 1.0,
            Algorithm::Systematic { interval, space } => 1.0 + f64::from(space) / f64::from(interval),
            Algorithm::RandomOutOf { size, population } => f64::from(population) / f64::from(size),
            Algorithm::Probability(probability) => 1.0 / probability,
            Algorithm::Flows { interval } => f64::from(interval),
        }
    }

    /// Chance of a packet (or flow) to be taken: samplingProbability.
    pub fn probability(&self) -> f64 {
        match self.algorithm {
            Algorithm::Probability(probability) => probability,
            _ => 1.0 / self.factor(),
        }
    }

    /// Whether each biflow is taken with all its packets or not at all. Where this is false, what follows packets from
    /// one to the next (round trips, retransmissions) means nothing.
    pub const fn keeps_flows_whole(&self) -> bool {
        matches!(self.algorithm, Algorithm::Everything | Algorithm::Flows { .. })
    }
}

/// What is asked for: the value of `--sample`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sampling {
    /// No sampling.
    #[default]
    Everything,
    /// One algorithm for good.
    Fixed(Algorithm),
    /// Everything, as long as that can be kept up with; else systematic sampling of 1 in 2, 4, 8 and so on.
    Adaptive,
}

impl Sampling {
    /// Every Selector that may come into force. The list is known at the start, so that options records can precede
    /// the first Flow Record that names one of them. Never empty.
    pub fn selectors(&self) -> Vec<Selector> {
        match *self {
            Sampling::Everything => vec![Selector::EVERYTHING],
            Sampling::Fixed(algorithm) => vec![Selector { id: 1, algorithm }],
            Sampling::Adaptive => (0..=ADAPTIVE_STEPS).map(adaptive_selector).collect(),
        }
    }
}

/// The id is the power of two, so that several workers mean the same by it.
fn adaptive_selector(step: u32) -> Selector {
    let algorithm = match step {
        0 => Algorithm::Everything,
        step => Algorithm::Systematic {
            interval: 1,
            space: (1 << step) - 1,
        },
    };
    Selector { id: step, algorithm }
}

/// Decides about each packet and each flow.
#[derive(Clone, Debug)]
pub struct Sampler {
    selector: Selector,
    /// Packets still to be left out before the next one is taken.
    skip: u64,
    /// Packets still to be taken before some are left out; runs of systematic sampling.
    run: u32,
    /// What is left of the population that random n-out-of-N chooses from, and how many of it are still to be taken.
    population_left: u32,
    size_left: u32,
    random: Random,
    /// Flows whose scrambled hash is below this are taken.
    flow_threshold: u64,
    governor: Option<Governor>,
}

impl Sampler {
    /// Begins with the first packet. The seed drives random choices; it has no influence on which flows are taken, as
    /// they are chosen by the hash of their key, which has a seed of its own.
    pub fn new(sampling: Sampling, seed: u64) -> Sampler {
        let (algorithm, governor) = match sampling {
            Sampling::Everything => (Algorithm::Everything, None),
            Sampling::Fixed(algorithm) => (bounded(algorithm), None),
            Sampling::Adaptive => (Algorithm::Everything, Some(Governor::default())),
        };
        let mut sampler = Sampler {
            selector: Selector::EVERYTHING,
            skip: 0,
            run: 0,
            population_left: 0,
            size_left: 0,
            random: Random(seed),
            flow_threshold: u64::MAX,
            governor,
        };
        sampler.select(match algorithm {
            Algorithm::Everything => Selector::EVERYTHING,
            algorithm => Selector { id: 1, algorithm },
        });
        sampler
    }

    /// Whether the next packet is metered; once for every packet, before it is parsed. A packet that is not taken is
    /// counted as sampled out.
    #[inline(always)]
    pub fn takes_packet(&mut self) -> bool {
        if self.selector.id == 0 {
            return true;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.after_taken();
        true
    }

    /// Whether a packet of the biflow whose key has this hash is metered; true for all unless flows are sampled. The
    /// hash has to be the same in both directions.
    #[inline(always)]
    pub fn takes_flow(&self, hash: u32) -> bool {
        if self.flow_threshold > u64::from(u32::MAX) {
            return true;
        }
        // Scrambled, because the flow table takes the hash itself for its places: they would crowd in one part of it.
        u64::from(hash.wrapping_mul(0x9e37_79b1).rotate_left(15).wrapping_mul(0x85eb_ca77)) < self.flow_threshold
    }

    /// The Selector in force: what records of packets from now on name.
    #[inline(always)]
    pub fn selector_id(&self) -> u32 {
        self.selector.id
    }

    /// The Selector in force.
    pub fn selector(&self) -> Selector {
        self.selector
    }

    /// [`Selector::keeps_flows_whole`] of the one in force.
    #[inline(always)]
    pub fn keeps_flows_whole(&self) -> bool {
        self.selector.keeps_flows_whole()
    }

    /// Whether records that name this Selector, one of this Sampler, have all packets of their flows.
    #[inline(always)]
    pub fn kept_flows_whole(&self, selector: u32) -> bool {
        selector == 0 || matches!(self.selector.algorithm, Algorithm::Flows { .. })
    }

    /// In the adaptive mode, looks at how the capture fares and changes the rate if need be, at most once a second;
    /// returns the new Selector then. To be called a few times a second; `now_ns` is the wall clock.
    pub fn handle_load(&mut self, now_ns: i64, load: &Load) -> Option<Selector> {
        let step = self.governor.as_mut()?.handle_load(now_ns, load)?;
        self.select(adaptive_selector(step));
        Some(self.selector)
    }

    fn select(&mut self, selector: Selector) {
        self.selector = selector;
        self.skip = 0;
        self.run = 0;
        self.flow_threshold = u64::MAX;
        match selector.algorithm {
            Algorithm::Everything => {}
            Algorithm::Systematic { interval, .. } => self.run = interval,
            Algorithm::RandomOutOf { .. } => {
                (self.population_left, self.size_left) = (0, 0);
                self.skip = self.draw_out_of();
            }
            Algorithm::Probability(probability) => self.skip = self.random.geometric(probability),
            Algorithm::Flows { interval } => self.flow_threshold = (1 << 32) / u64::from(interval),
        }
    }

    #[inline]
    fn after_taken(&mut self) {
        match self.selector.algorithm {
            Algorithm::Everything | Algorithm::Flows { .. } => {}
            Algorithm::Systematic { interval, space } => {
                self.run = self.run.saturating_sub(1);
                if self.run == 0 {
                    (self.run, self.skip) = (interval, u64::from(space));
                }
            }
            Algorithm::RandomOutOf { .. } => self.skip = self.draw_out_of(),
            Algorithm::Probability(probability) => self.skip = self.random.geometric(probability),
        }
    }

    /// How many packets to leave out before the next one of a random n out of N: each of what is left of a population
    /// is taken with the chance that is left, so that every population gives exactly n.
    fn draw_out_of(&mut self) -> u64 {
        let Algorithm::RandomOutOf { size, population } = self.selector.algorithm else {
            return 0;
        };
        let mut skip = 0;
        if self.size_left == 0 {
            skip += u64::from(self.population_left);
            (self.population_left, self.size_left) = (population, size);
        }
        if self.size_left == 1 {
            let at = self.random.below(self.population_left);
            self.population_left -= at + 1;
            self.size_left = 0;
            return skip + u64::from(at);
        }
        // Ends: when as many are left as are still to be taken, each is.
        while self.random.below(self.population_left) >= self.size_left {
            self.population_left -= 1;
            skip += 1;
        }
        self.population_left -= 1;
        self.size_left -= 1;
        skip
    }
}

/// Parameters that make sense, whatever was given: configuration refuses others before.
fn bounded(algorithm: Algorithm) -> Algorithm {
    match algorithm {
        Algorithm::Everything => Algorithm::Everything,
        Algorithm::Systematic { interval, space } => Algorithm::Systematic {
            interval: interval.clamp(1, MAX_SAMPLING_INTERVAL),
            space: space.min(MAX_SAMPLING_INTERVAL),
        },
        Algorithm::RandomOutOf { size, population } => {
            let population = population.clamp(1, MAX_SAMPLING_INTERVAL);
            Algorithm::RandomOutOf {
                size: size.clamp(1, population),
                population,
            }
        }
        Algorithm::Probability(probability) => {
            Algorithm::Probability(probability.clamp(1.0 / f64::from(MAX_SAMPLING_INTERVAL), 1.0))
        }
        Algorithm::Flows { interval } => Algorithm::Flows {
            interval: interval.clamp(1, MAX_SAMPLING_INTERVAL),
        },
    }
}

/// splitmix64: passes the usual tests of randomness, and nobody gains anything from guessing which packet is next.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers that follow from a seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end - 1`; its bias is below 2^-32.
    fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u32
    }

    /// Failures before the first success, each try with this probability.
    pub(crate) fn geometric(&mut self, probability: f64) -> u64 {
        if probability >= 1.0 {
            return 0;
        }
        // In (0, 1]: its logarithm is finite.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (uniform.ln() / (-probability).ln_1p()) as u64
    }
}

#[cfg(test)]
mod tests;
