//! Rates within what statistics allow, and exact where the algorithm says so.

use super::*;

fn taken(sampling: Sampling, packets: usize) -> Vec<usize> {
    let mut sampler = Sampler::new(sampling, 7);
    (0..packets).filter(|_| sampler.takes_packet()).collect()
}

#[test]
fn systematic_takes_exactly_every_nth() {
    let one_in = |interval, space| Sampling::Fixed(Algorithm::Systematic { interval, space });
    assert_eq!(taken(one_in(1, 3), 10), [0, 4, 8]);
    assert_eq!(taken(one_in(2, 3), 12), [0, 1, 5, 6, 10, 11]);
    assert_eq!(taken(one_in(1, 99), 100_000).len(), 1000);
    assert_eq!(taken(one_in(1, 0), 50).len(), 50);
}

#[test]
fn random_takes_exactly_n_of_every_population_anywhere_in_it() {
    for (size, population) in [(1u32, 10u32), (3, 10), (10, 10), (7, 64)] {
        let sampling = Sampling::Fixed(Algorithm::RandomOutOf { size, population });
        let windows = 2000;
        let taken = taken(sampling, windows * population as usize);
        let mut in_window = vec![0; windows];
        let mut at_place = vec![0u32; population as usize];
        for packet in taken {
            in_window[packet / population as usize] += 1;
            at_place[packet % population as usize] += 1;
        }
        assert!(in_window.iter().all(|count| *count == size), "{size} of {population}");
        // Binomial: the standard deviation is below 22 for 2000 windows, six of them are never reached.
        let expected = f64::from(size) / f64::from(population) * windows as f64;
        for count in at_place {
            assert!((f64::from(count) - expected).abs() < 135.0, "{count} for {expected}");
        }
    }
}

#[test]
fn a_probability_is_met_within_its_deviation() {
    for probability in [0.5, 0.1, 0.01] {
        let packets = 400_000;
        let taken = taken(Sampling::Fixed(Algorithm::Probability(probability)), packets).len() as f64;
        let mean = probability * packets as f64;
        let deviation = (mean * (1.0 - probability)).sqrt();
        assert!((taken - mean).abs() < 5.0 * deviation, "{taken} for {mean}");
    }
    assert_eq!(taken(Sampling::Fixed(Algorithm::Probability(1.0)), 99).len(), 99);
}

#[test]
fn flows_are_taken_by_hash_alone() {
    let flows = |interval| {
        let sampler = Sampler::new(Sampling::Fixed(Algorithm::Flows { interval }), 1);
        // Not the hashes themselves: consecutive numbers are the worst input, real hashes are mixed.
        (0..1_000_000u32).filter(|hash| sampler.takes_flow(*hash)).count() as f64
    };
    for interval in [1u32, 2, 10, 100] {
        let mean = 1e6 / f64::from(interval);
        assert!(
            (flows(interval) - mean).abs() < 6.0 * mean.sqrt() + 1.0,
            "1/{interval}: {}",
            flows(interval)
        );
    }
    // Another seed takes the same flows: it concerns packets only.
    let of_seed = |seed| {
        let sampler = Sampler::new(Sampling::Fixed(Algorithm::Flows { interval: 8 }), seed);
        (0..1000).filter(|hash| sampler.takes_flow(*hash)).collect::<Vec<_>>()
    };
    assert_eq!(of_seed(1), of_seed(2));
}

#[test]
fn selectors_say_by_what_to_multiply() {
    let factor = |algorithm| Selector { id: 1, algorithm }.factor();
    assert_eq!(factor(Algorithm::Systematic { interval: 1, space: 99 }), 100.0);
    assert_eq!(factor(Algorithm::Systematic { interval: 2, space: 6 }), 4.0);
    assert_eq!(factor(Algorithm::RandomOutOf { size: 2, population: 7 }), 3.5);
    assert_eq!(factor(Algorithm::Probability(0.25)), 4.0);
    assert_eq!(factor(Algorithm::Flows { interval: 8 }), 8.0);
    let ids: Vec<u32> = Sampling::Adaptive
        .selectors()
        .iter()
        .map(|selector| selector.id)
        .collect();
    assert_eq!(ids, (0..=ADAPTIVE_STEPS).collect::<Vec<_>>());
    for selector in Sampling::Adaptive.selectors() {
        assert_eq!(selector.factor(), f64::from(1 << selector.id));
        assert_eq!(selector.keeps_flows_whole(), selector.id == 0);
    }
}

const SECOND: i64 = 1_000_000_000;

/// A ring that is read at `speed` frames a second while `offered` come, with a look every half second.
struct Ring {
    sampler: Sampler,
    now_ns: i64,
    waiting: f64,
    dropped: f64,
    changes: Vec<(i64, u32)>,
}

impl Ring {
    const ROOM: f64 = 400_000.0;

    fn new() -> Ring {
        Ring {
            sampler: Sampler::new(Sampling::Adaptive, 1),
            now_ns: 1000 * SECOND,
            waiting: 0.0,
            dropped: 0.0,
            changes: Vec::new(),
        }
    }

    /// Metering a packet costs `1 / speed` s, leaving one out a twentieth of it.
    fn run(&mut self, seconds: i64, offered: f64, speed: f64) {
        for _ in 0..2 * seconds {
            let taken = 1.0 / self.sampler.selector().factor();
            let frame_s = taken / speed + (1.0 - taken) / (20.0 * speed);
            let handled = (0.5 / frame_s).min(self.waiting + offered / 2.0);
            self.waiting += offered / 2.0 - handled;
            if self.waiting > Ring::ROOM {
                self.dropped += self.waiting - Ring::ROOM;
                self.waiting = Ring::ROOM;
            }
            self.now_ns += SECOND / 2;
            let load = Load {
                dropped: self.dropped as u64,
                ring_fill: self.waiting / Ring::ROOM,
                busy: handled * frame_s / 0.5,
            };
            if let Some(selector) = self.sampler.handle_load(self.now_ns, &load) {
                assert_eq!(selector.id, self.sampler.selector_id());
                self.changes.push((self.now_ns, selector.id));
            }
        }
    }
}

#[test]
fn adaptive_takes_everything_while_it_can() {
    let mut ring = Ring::new();
    ring.run(60, 100_000.0, 1_000_000.0);
    assert_eq!((ring.changes.len(), ring.dropped), (0, 0.0));
    assert!((0..1000).all(|_| ring.sampler.takes_packet()));
}

#[test]
fn adaptive_keeps_the_ring_from_dropping_and_comes_back() {
    let mut ring = Ring::new();
    ring.run(5, 100_000.0, 300_000.0);
    // Three times what can be metered: the rate goes down before the ring is full.
    ring.run(60, 900_000.0, 300_000.0);
    assert!(ring.dropped < 900_000.0, "{} dropped", ring.dropped);
    let dropped = ring.dropped;
    ring.run(60, 900_000.0, 300_000.0);
    assert_eq!(ring.dropped, dropped, "a rate was found that can be kept up with");
    let under_load = ring.sampler.selector_id();
    assert!((2..=4).contains(&under_load), "{under_load}");
    ring.run(60, 50_000.0, 300_000.0);
    assert_eq!(ring.sampler.selector_id(), 0, "{:?}", ring.changes);
    for pair in ring.changes.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= SECOND, "{pair:?}");
        // Doubled on return, never faster; after calm.
        assert!(pair[1].1 + 1 >= pair[0].1);
        if pair[1].1 < pair[0].1 {
            assert!(pair[1].0 - pair[0].0 >= 5 * SECOND);
        }
    }
}

#[test]
fn adaptive_does_not_swing_at_a_steady_load() {
    let mut ring = Ring::new();
    ring.run(300, 700_000.0, 300_000.0);
    assert!(ring.changes.len() <= 5, "{:?}", ring.changes);
}

#[test]
fn adaptive_survives_a_clock_that_goes_back() {
    let mut sampler = Sampler::new(Sampling::Adaptive, 1);
    let full = Load {
        ring_fill: 0.9,
        ..Load::default()
    };
    assert!(sampler.handle_load(100 * SECOND, &full).is_some());
    assert!(sampler.handle_load(10 * SECOND, &full).is_none());
    assert!(sampler.handle_load(11 * SECOND, &full).is_some());
    assert!(Sampler::new(Sampling::Everything, 1).handle_load(0, &full).is_none());
}
