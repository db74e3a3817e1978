//! What each second of a window held: rates are of whole seconds, and of all workers and parts of a window together.
//!
//! Sketches of rates cannot be put together over workers: two that see 500 packets a second each are 1000 a second, not
//! 500. So a window keeps its seconds until it is merged with another span.

use super::metrics::Metric;
use super::networks::Way;
use super::sketch::Quantiles;

const SECOND_NS: i64 = 1_000_000_000;

/// The metrics of rates, in the order of the counts of a second.
pub(super) const RATES: [Metric; 7] = [
    Metric::PacketRate,
    Metric::OctetRate,
    Metric::PacketRateIn,
    Metric::OctetRateIn,
    Metric::PacketRateOut,
    Metric::OctetRateOut,
    Metric::DnsRate,
];
const DNS: usize = 6;

/// The counts of each second.
#[derive(Clone, Debug)]
pub(super) struct Seconds {
    /// When the first begins: the window's start.
    start_ns: i64,
    counts: Vec<[u64; RATES.len()]>,
    /// Which of them passed while packets were looked at, so that having none says something.
    seen: [usize; 2],
    /// The second that was counted last, and when it begins and ends.
    current: usize,
    current_ns: [i64; 2],
}

impl Seconds {
    /// Of a window that lasts at most an hour.
    pub fn new(start_ns: i64, end_ns: i64) -> Seconds {
        let seconds = end_ns.saturating_sub(start_ns).div_euclid(SECOND_NS).clamp(1, 3600);
        Seconds {
            start_ns,
            counts: vec![[0; RATES.len()]; seconds as usize],
            seen: [0; 2],
            current: 0,
            current_ns: [start_ns, start_ns.saturating_add(SECOND_NS)],
        }
    }

    #[inline]
    fn at(&mut self, time_ns: i64) -> Option<&mut [u64; RATES.len()]> {
        if !(self.current_ns[0] <= time_ns && time_ns < self.current_ns[1]) {
            self.turn_to(time_ns);
        }
        self.counts.get_mut(self.current)
    }

    #[cold]
    fn turn_to(&mut self, time_ns: i64) {
        let second = time_ns.saturating_sub(self.start_ns).div_euclid(SECOND_NS).max(0);
        let begins = self.start_ns.saturating_add(second.saturating_mul(SECOND_NS));
        self.current = second as usize;
        self.current_ns = [begins, begins.saturating_add(SECOND_NS)];
    }

    /// Counts a packet.
    #[inline]
    pub fn packet(&mut self, time_ns: i64, octets: u64, way: Way) {
        let Some([packets, sum, packets_in, in_sum, packets_out, out_sum, _]) = self.at(time_ns) else {
            return;
        };
        *packets += 1;
        *sum = sum.saturating_add(octets);
        match way {
            Way::In => {
                *packets_in += 1;
                *in_sum = in_sum.saturating_add(octets);
            }
            Way::Out => {
                *packets_out += 1;
                *out_sum = out_sum.saturating_add(octets);
            }
            Way::Within | Way::Unknown => {}
        }
    }

    /// Counts a DNS transaction.
    #[inline]
    pub fn transaction(&mut self, time_ns: i64) {
        if let Some(counts) = self.at(time_ns) {
            counts[DNS] += 1;
        }
    }

    /// All from one time up to another passed, whether something came or not.
    pub fn see(&mut self, from_ns: i64, to_ns: i64) {
        let most = self.counts.len();
        let second = |time_ns: i64| {
            let second = time_ns.saturating_sub(self.start_ns).div_euclid(SECOND_NS);
            second.clamp(0, most as i64) as usize
        };
        let seen = [second(from_ns), second(to_ns.saturating_add(SECOND_NS - 1))];
        self.seen = match self.seen {
            [from, to] if from < to && seen[0] < seen[1] => [from.min(seen[0]), to.max(seen[1])],
            [from, to] if from < to => [from, to],
            _ => seen,
        };
    }

    /// Adds those of another part of the same window; `false` when it is of another one.
    pub fn add(&mut self, other: &Seconds) -> bool {
        if self.start_ns != other.start_ns || self.counts.len() != other.counts.len() {
            return false;
        }
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            for (sum, more) in mine.iter_mut().zip(others) {
                *sum = sum.saturating_add(*more);
            }
        }
        let [from, to] = other.seen;
        if from < to {
            let seen = self.seen;
            self.seen = match seen[0] < seen[1] {
                true => [seen[0].min(from), seen[1].max(to)],
                false => [from, to],
            };
        }
        true
    }

    /// The distribution of each rate over the seconds; none of one that never was above 0.
    pub fn sketches(&self) -> [Quantiles; RATES.len()] {
        let mut sketches = [(); RATES.len()].map(|()| Quantiles::high());
        let mut sums = [0u64; RATES.len()];
        for counts in &self.counts {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        let [from, to] = self.seen;
        for (second, counts) in self.counts.iter().enumerate() {
            let is_idle = counts.iter().all(|count| *count == 0);
            if is_idle && !(from..to).contains(&second) {
                continue;
            }
            for ((sketch, count), _) in sketches.iter_mut().zip(counts).zip(sums).filter(|(_, sum)| *sum > 0) {
                sketch.update(*count as f32);
            }
        }
        sketches
    }
}
