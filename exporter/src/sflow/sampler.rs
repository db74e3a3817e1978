//! Random sampling of the packets that one worker reads (sFlow version 5 section 3.1): how many to skip is drawn before, so
//! that a packet that is not sampled costs a step of a counter.
//!
//! Each packet is taken with the same chance, whatever came before it: the numbers to skip are geometrically distributed.
//! The interfaces of a worker have a number to skip each, as they are data sources of their own.

use std::sync::Arc;

use flowgauge_templates::packet::LinkType;

use super::limits::MAX_SOURCES;
use super::queue::{Kind, SampleQueue, Traffic};
use crate::capture::{Frame, Frames};
use crate::metering::sampling::Random;

/// Where the interface stands in a Linux cooked header, version 2.
const COOKED_INTERFACE: std::ops::Range<usize> = 4..8;

/// Samples one worker's packets.
#[derive(Debug)]
pub struct Sampler {
    queue: Arc<SampleQueue>,
    /// The chance of a packet; none when only counters are wanted.
    probability: Option<f64>,
    random: Random,
    /// By interface.
    sources: Vec<Source>,
    /// The one that the last packet was of.
    last: usize,
    /// For files: counters are sampled at least this often in the time of the capture, ns.
    polling_ns: Option<i64>,
    is_file: bool,
}

#[derive(Debug)]
struct Source {
    interface: u32,
    /// Among those of all workers; none for one too many.
    place: Option<usize>,
    /// Packets to be left out before the next one is taken.
    skip: u64,
    /// What the queue was not told yet.
    skipped: u64,
    traffic: Traffic,
    newest_ns: i64,
    poll_ns: Option<i64>,
}

impl Sampler {
    /// One packet of `interval` on average; `polling_ns` where there are counters to be made from the packets of files.
    pub fn new(
        queue: Arc<SampleQueue>,
        interval: Option<u32>,
        seed: u64,
        is_file: bool,
        polling_ns: Option<i64>,
    ) -> Sampler {
        Sampler {
            queue,
            probability: interval.map(|interval| 1.0 / f64::from(interval.max(1))),
            random: Random::new(seed),
            sources: Vec::new(),
            last: 0,
            polling_ns: polling_ns.filter(|_| is_file),
            is_file,
        }
    }

    /// Whether nobody takes samples any more.
    pub fn is_dead(&self) -> bool {
        self.queue.is_dead()
    }

    /// Samples of frames that are lent together.
    pub fn handle_frames(&mut self, frames: &Frames<'_>) {
        let mut at = 0;
        while let Some(first) = frames.get(at) {
            // Of files each frame is counted with its octets, and may be the one that counters are due with.
            let run = match first.link_type {
                LinkType::LINUX_SLL2 => 1,
                _ if self.is_file => 1,
                _ => frames.run(at),
            };
            self.handle_run(&first, run, |ahead| frames.get(at + ahead));
            at += run.max(1);
        }
    }

    /// Samples of one frame.
    pub fn handle_frame(&mut self, frame: &Frame<'_>) {
        self.handle_run(frame, 1, |_| Some(*frame));
    }

    /// Tells the queue what it does not know yet. For files, the last counters too when it is the end.
    pub fn publish(&mut self, is_end: bool) {
        for source in &mut self.sources {
            source.tell(&self.queue);
            if is_end && self.polling_ns.is_some() {
                source.push_counters(&self.queue);
            }
        }
    }

    /// Frames of one interface.
    #[inline]
    fn handle_run<'f>(&mut self, first: &Frame<'f>, run: usize, frame: impl Fn(usize) -> Option<Frame<'f>>) {
        let interface = interface_of(first);
        let known = self
            .sources
            .get(self.last)
            .is_some_and(|source| source.interface == interface);
        if !known {
            self.last = self.find(interface);
        }
        let Some(source) = self.sources.get_mut(self.last) else {
            self.queue.add_beyond(run as u64);
            return;
        };
        let mut left = run as u64;
        while let Some(probability) = self.probability
            && source.skip < left
        {
            let at = run as u64 - left + source.skip;
            source.skipped += source.skip;
            left -= source.skip + 1;
            source.skip = self.random.geometric(probability);
            let (Some(place), Some(frame)) = (source.place, frame(at as usize)) else {
                source.skipped += 1;
                continue;
            };
            let (skipped, traffic) = (std::mem::take(&mut source.skipped), std::mem::take(&mut source.traffic));
            self.queue.push(place, skipped, &traffic, Kind::Packet, |sample| {
                sample.set_frame(&frame)
            });
        }
        source.skip = source.skip.saturating_sub(left);
        source.skipped += left;
        if self.is_file {
            // What passed is told with the next sample.
            source.newest_ns = source.newest_ns.max(first.time_ns);
            source.traffic.add(first);
            if let Some(polling_ns) = self.polling_ns {
                source.poll(&self.queue, polling_ns);
            }
        }
    }

    /// The place of an interface here, or of nothing when there are too many.
    #[cold]
    fn find(&mut self, interface: u32) -> usize {
        match self.sources.binary_search_by_key(&interface, |source| source.interface) {
            Ok(at) => at,
            Err(_) if self.sources.len() == MAX_SOURCES => usize::MAX,
            Err(at) => {
                let skip = self.probability.map_or(0, |chance| self.random.geometric(chance));
                self.sources.insert(
                    at,
                    Source {
                        interface,
                        place: self.queue.source(interface),
                        skip,
                        skipped: 0,
                        traffic: Traffic::default(),
                        newest_ns: i64::MIN,
                        poll_ns: None,
                    },
                );
                at
            }
        }
    }
}

impl Source {
    fn tell(&mut self, queue: &SampleQueue) {
        let (skipped, traffic) = (std::mem::take(&mut self.skipped), std::mem::take(&mut self.traffic));
        match self.place {
            Some(place) => queue.add_skipped(place, skipped, &traffic),
            None => queue.add_beyond(skipped),
        }
    }

    /// Samples the counters when it is time, in the time of the capture.
    fn poll(&mut self, queue: &SampleQueue, polling_ns: i64) {
        let poll_ns = *self
            .poll_ns
            .get_or_insert_with(|| self.newest_ns.saturating_add(polling_ns));
        if self.newest_ns >= poll_ns {
            self.poll_ns = Some(self.newest_ns.saturating_add(polling_ns));
            self.tell(queue);
            self.push_counters(queue);
        }
    }

    fn push_counters(&self, queue: &SampleQueue) {
        if let Some(place) = self.place {
            queue.push(place, 0, &Traffic::default(), Kind::Counters, |sample| {
                sample.time_ns = self.newest_ns;
            });
        }
    }
}

impl Traffic {
    fn add(&mut self, frame: &Frame<'_>) {
        self.octets += u64::from(frame.wire_length);
        if frame.link_type != LinkType::ETHERNET {
            return;
        }
        match frame.bytes.first_chunk::<6>() {
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => self.broadcast += 1,
            Some([first, ..]) if first & 1 == 1 => self.multicast += 1,
            _ => {}
        }
    }
}

/// The interface that saw a frame: in a capture of all interfaces, the frame says it.
#[inline]
fn interface_of(frame: &Frame<'_>) -> u32 {
    if frame.link_type == LinkType::LINUX_SLL2
        && let Some(octets) = frame.bytes.get(COOKED_INTERFACE)
        && let Ok(octets) = octets.try_into()
    {
        return u32::from_be_bytes(octets);
    }
    frame.interface
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capture::FramePlace;
    use crate::sflow::queue::{Popped, Sample, SourceTotals};

    fn taken(queue: &SampleQueue) -> Vec<Sample> {
        let (mut all, mut some) = (Vec::new(), Vec::new());
        while queue.pop(&mut some, Duration::ZERO) == Popped::Open && !some.is_empty() {
            all.extend_from_slice(&some);
        }
        all
    }

    fn places(interfaces: &[u32], first_ns: i64) -> Vec<FramePlace> {
        let place = |(at, interface): (usize, &u32)| FramePlace {
            start: at * 4,
            captured: 4,
            consumed: 4,
            wire_length: 100,
            time_ns: first_ns + at as i64,
            link_type: LinkType::RAW,
            interface: *interface,
        };
        interfaces.iter().enumerate().map(place).collect()
    }

    #[test]
    fn one_in_one_takes_everything_in_order() {
        let queue = Arc::new(SampleQueue::new(false));
        let mut sampler = Sampler::new(queue.clone(), Some(1), 1, false, None);
        let bytes: Vec<u8> = (0..40).collect();
        sampler.handle_frames(&Frames::new(&bytes, &places(&[3, 3, 5, 3, 5, 5, 5, 3, 3, 3], 0)));
        let samples = taken(&queue);
        let seen: Vec<_> = samples
            .iter()
            .map(|sample| {
                (
                    sample.time_ns,
                    sample.totals.interface,
                    sample.totals.pool(),
                    sample.octets()[0],
                )
            })
            .collect();
        assert_eq!(seen[..4], [(0, 3, 1, 0), (1, 3, 2, 4), (2, 5, 1, 8), (3, 3, 3, 12)]);
        assert_eq!(seen.len(), 10);
        assert_eq!(seen[9], (9, 3, 6, 36));
    }

    #[test]
    fn every_packet_has_the_same_chance_and_all_are_counted() {
        // 64 places in a group, groups of different lengths: none of them may be taken more often than others.
        const INTERVAL: u32 = 10;
        let queue = Arc::new(SampleQueue::new(false));
        let mut sampler = Sampler::new(queue.clone(), Some(INTERVAL), 77, false, None);
        let (mut seen, mut hits) = (0u64, [0u32; 64]);
        let bytes = vec![0; 64 * 4];
        for round in 0..4000 {
            let length = 64 - round % 3;
            sampler.handle_frames(&Frames::new(&bytes, &places(&vec![1; length], 0)));
            seen += length as u64;
            for sample in taken(&queue) {
                hits[sample.time_ns as usize] += 1;
            }
        }
        sampler.publish(true);
        let SourceTotals { skipped, sampled, .. } = queue.totals().0[0];
        assert_eq!(skipped + sampled, seen);
        assert_eq!(u64::from(hits.iter().sum::<u32>()), sampled);
        // A binomial of 4000 tries: 400 expected, a deviation of 19; five of them.
        assert!(hits[..62].iter().all(|hits| (305..=495).contains(hits)), "{hits:?}");
        let expected = seen as f64 / f64::from(INTERVAL);
        assert!(
            (sampled as f64 - expected).abs() < 5.0 * expected.sqrt(),
            "{sampled} {expected}"
        );
    }

    #[test]
    fn without_packets_all_are_only_counted() {
        let queue = Arc::new(SampleQueue::new(false));
        let mut sampler = Sampler::new(queue.clone(), None, 1, false, None);
        sampler.handle_frames(&Frames::new(&[0; 40], &places(&[1; 10], 0)));
        sampler.publish(false);
        assert!(taken(&queue).is_empty());
        assert_eq!(queue.totals().0[0].skipped, 10);
    }

    #[test]
    fn a_capture_of_all_interfaces_has_a_source_each() {
        let queue = Arc::new(SampleQueue::new(false));
        let mut sampler = Sampler::new(queue.clone(), Some(1), 1, false, None);
        for interface in [2u8, 9, 2] {
            let mut bytes = [0; 24];
            bytes[7] = interface;
            sampler.handle_frame(&Frame {
                time_ns: 0,
                link_type: LinkType::LINUX_SLL2,
                interface: 0,
                wire_length: 24,
                bytes: &bytes,
            });
        }
        let pools: Vec<_> = taken(&queue)
            .iter()
            .map(|sample| (sample.totals.interface, sample.totals.pool()))
            .collect();
        assert_eq!(pools, [(2, 1), (9, 1), (2, 2)]);
    }

    #[test]
    fn interfaces_beyond_the_most_are_counted() {
        let queue = Arc::new(SampleQueue::new(false));
        let mut sampler = Sampler::new(queue.clone(), Some(1000), 1, false, None);
        let interfaces: Vec<u32> = (0..MAX_SOURCES as u32 + 10).collect();
        sampler.handle_frames(&Frames::new(&vec![0; interfaces.len() * 4], &places(&interfaces, 0)));
        sampler.publish(true);
        let (totals, beyond) = queue.totals();
        assert_eq!((totals.len(), beyond), (MAX_SOURCES, 10));
        assert_eq!(totals.iter().map(SourceTotals::pool).sum::<u64>(), MAX_SOURCES as u64);
    }

    #[test]
    fn files_give_counters_in_the_time_of_the_capture() {
        let queue = Arc::new(SampleQueue::new(true));
        let mut sampler = Sampler::new(queue.clone(), None, 1, true, Some(1_000));
        for second in 0..4 {
            sampler.handle_frames(&Frames::new(&[0; 40], &places(&[1; 10], second * 600)));
        }
        sampler.publish(true);
        let counters: Vec<_> = taken(&queue)
            .iter()
            .map(|sample| {
                (
                    sample.kind,
                    sample.time_ns,
                    sample.totals.pool(),
                    sample.totals.traffic.octets,
                )
            })
            .collect();
        // With the packet that passed the interval, and at the end.
        assert_eq!(
            counters,
            [(Kind::Counters, 1200, 21, 2100), (Kind::Counters, 1809, 40, 4000)]
        );
    }
}
