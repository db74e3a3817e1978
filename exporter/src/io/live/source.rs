//! What a worker reads: one ring of each interface, in turn.
//!
//! Worker `n` has the `n`-th share of every interface. The kernel's hash is the same on all of them, so that a flow that
//! is seen on two interfaces is seen by one worker, and nothing need be shared between workers.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::fanout::FanoutGroup;
use super::{ANY, LiveCapture, LiveConfig, clock_ns};
use crate::capture::{CaptureError, FramePlace, FrameSource, Frames, Lent, Load, Next, SourceCounters};
use crate::io::readable;
use crate::limits;

/// Frames taken from one ring before it is the next one's turn: copies of a packet on two interfaces are to be met
/// while both are remembered.
const FRAMES_IN_TURN: usize = 4096;

/// Octets taken from a ring at a time, when frames are long.
const OCTETS_AT_ONCE: usize = 512 * 1024;

/// How often the kernel is asked what it dropped.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// Several interfaces as one source of frames.
#[derive(Debug)]
pub struct LiveSource {
    captures: Vec<LiveCapture>,
    turns: Turns,
    quiet_ms: i32,
    /// Frames taken from a ring, where they are in `bytes`, and how many of them were handed out.
    bytes: Vec<u8>,
    places: Vec<FramePlace>,
    given: usize,
    /// Frames taken at a time.
    frames_at_once: usize,
    looked: Instant,
    waited: Duration,
    statistics_read: Instant,
}

/// What the rings had.
enum Fill {
    Frames,
    Quiet,
    End,
}

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    descriptors: Vec<RawFd>,
    /// Rings that are still there.
    open: usize,
    /// Which rings had something when they were looked at last, one bit each.
    ready: u64,
    /// Whose turn it is, and for how many frames.
    at: usize,
    left: usize,
}

impl Turns {
    /// Whether the turn is over, or the ring was empty.
    #[inline]
    fn is_over(&self) -> bool {
        self.left == 0 || self.ready >> self.at & 1 == 0
    }

    /// The ring whose turn it is has nothing for now.
    fn pass(&mut self) {
        self.ready &= !(1 << self.at);
    }

    /// The ring whose turn it is has nothing any more: its interface has gone. The others go on.
    fn close(&mut self) {
        self.pass();
        self.open -= 1;
        if let Some(descriptor) = self.descriptors.get_mut(self.at) {
            // poll(2) passes over negative numbers.
            *descriptor = -1;
        }
    }

    /// Gives the turn to the next ring that may have something.
    fn next(&mut self) {
        self.left = FRAMES_IN_TURN;
        let rings = self.descriptors.len();
        let mut next = (1..=rings).map(|step| (self.at + step) % rings);
        if let Some(next) = next.find(|at| self.ready >> at & 1 != 0) {
            self.at = next;
        }
    }
}

/// Opens every interface for every worker: one source for each worker.
///
/// # Errors
/// As [`LiveCapture::open`], and what the kernel says when it cannot spread packets over workers.
pub fn open_workers(configs: &[LiveConfig], workers: usize) -> Result<Vec<LiveSource>, CaptureError> {
    if configs.len() > limits::MAX_LIVE_INTERFACES || configs.len() * workers > limits::MAX_CAPTURES {
        return Err(CaptureError(format!(
            "{} interfaces with {workers} workers each are too many: at most {} interfaces and {} rings in all",
            configs.len(),
            limits::MAX_LIVE_INTERFACES,
            limits::MAX_CAPTURES
        )));
    }
    let mut sources: Vec<Vec<LiveCapture>> = (0..workers).map(|_| Vec::new()).collect();
    for config in configs {
        let mut group = None;
        for source in &mut sources {
            let capture = LiveCapture::open(config)?;
            if workers > 1 {
                join(&mut group, capture.descriptor)
                    .map_err(|error| cannot_spread(&config.interface, workers, &error))?;
            }
            source.push(capture);
        }
    }
    if workers > 1 {
        // Before the last one joined, its packets went to others, or to several.
        let from_ns = clock_ns();
        for capture in sources.iter_mut().flatten() {
            capture.from_ns = from_ns;
        }
    }
    let quiet_ms = configs.iter().map(|config| config.quiet_ms).min().unwrap_or(100);
    let snaplen = configs
        .iter()
        .map(|config| config.snaplen)
        .max()
        .unwrap_or(limits::SNAPLEN);
    Ok(sources
        .into_iter()
        .map(|captures| LiveSource::new(captures, quiet_ms, snaplen))
        .collect())
}

fn join(group: &mut Option<FanoutGroup>, descriptor: RawFd) -> std::io::Result<()> {
    match group {
        None => *group = Some(FanoutGroup::begin(descriptor)?),
        Some(group) => group.add(descriptor)?,
    }
    Ok(())
}

fn cannot_spread(interface: &str, workers: usize, error: &std::io::Error) -> CaptureError {
    CaptureError(format!(
        "{interface}: cannot spread packets over {workers} workers (PACKET_FANOUT): {error}; use --workers 1"
    ))
}

impl LiveSource {
    fn new(captures: Vec<LiveCapture>, quiet_ms: u32, snaplen: u32) -> LiveSource {
        LiveSource {
            turns: Turns {
                descriptors: captures.iter().map(|capture| capture.descriptor).collect(),
                open: captures.len(),
                ready: 0,
                at: 0,
                left: FRAMES_IN_TURN,
            },
            frames_at_once: (OCTETS_AT_ONCE / snaplen.max(1) as usize).clamp(1, limits::FRAMES_LENT),
            captures,
            bytes: Vec::new(),
            places: Vec::new(),
            given: 0,
            quiet_ms: i32::try_from(quiet_ms).unwrap_or(i32::MAX),
            looked: Instant::now(),
            waited: Duration::ZERO,
            statistics_read: Instant::now(),
        }
    }

    /// One interface, one worker.
    ///
    /// # Errors
    /// As [`LiveCapture::open`].
    pub fn open(config: &LiveConfig) -> Result<LiveSource, CaptureError> {
        let captures = vec![LiveCapture::open(config)?];
        Ok(LiveSource::new(captures, config.quiet_ms, config.snaplen))
    }

    /// Whether one packet may be seen on several of its interfaces.
    pub fn has_several_interfaces(&self) -> bool {
        self.captures.len() > 1 || self.captures.iter().any(|capture| capture.name == ANY)
    }

    /// The interfaces, and what was counted on each.
    pub fn by_interface(&self) -> impl Iterator<Item = (&str, SourceCounters)> {
        self.captures
            .iter()
            .map(|capture| (capture.name.as_str(), capture.counters()))
    }

    /// Waits until one of the rings has something; false when none has for as long as a quiet interface waits.
    fn wait(&mut self) -> bool {
        let began = Instant::now();
        self.turns.ready = readable::wait_any(&self.turns.descriptors, self.quiet_ms);
        self.waited += began.elapsed();
        self.turns.ready != 0
    }

    /// Takes frames from the ring whose turn it is, or the next one that has some, without a system call as long as
    /// there are any. Quiet is said when all rings were found empty, before anything is waited for, so that other things
    /// have their moment.
    fn fill(&mut self) -> Result<Fill, CaptureError> {
        self.bytes.clear();
        self.places.clear();
        self.given = 0;
        loop {
            if self.turns.open == 0 {
                return Ok(Fill::End);
            }
            if self.turns.is_over() {
                if self.turns.ready == 0 && !self.wait() {
                    return Ok(Fill::Quiet);
                }
                self.turns.next();
            }
            let Some(capture) = self.captures.get_mut(self.turns.at) else {
                return Ok(Fill::End);
            };
            let count = self.frames_at_once.min(self.turns.left);
            match capture.take(count, &mut self.bytes, &mut self.places) {
                Ok(0) => self.turns.pass(),
                Ok(taken) => self.turns.left -= taken.min(count),
                Err(error) => {
                    self.turns.close();
                    return Err(error);
                }
            }
            if !self.places.is_empty() {
                return Ok(Fill::Frames);
            }
            if self.turns.ready == 0 {
                return Ok(Fill::Quiet);
            }
        }
    }

    fn update_counters(&mut self) -> Result<(), CaptureError> {
        self.statistics_read = Instant::now();
        self.captures.iter_mut().try_for_each(LiveCapture::update_counters)
    }
}

impl FrameSource for LiveSource {
    fn next_frame(&mut self) -> Result<Next<'_>, CaptureError> {
        if self.given == self.places.len() {
            match self.fill()? {
                Fill::Frames => {}
                Fill::Quiet => return Ok(Next::Quiet),
                Fill::End => return Ok(Next::End),
            }
        }
        self.given += 1;
        let frame = Frames::new(&self.bytes, &self.places).get(self.given - 1);
        Ok(frame.map_or(Next::Quiet, Next::Frame))
    }

    fn next_frames(&mut self) -> Result<Lent<'_>, CaptureError> {
        if self.given == self.places.len() {
            match self.fill()? {
                Fill::Frames => {}
                Fill::Quiet => return Ok(Lent::Quiet),
                Fill::End => return Ok(Lent::End),
            }
        }
        let places = self.places.get(self.given..).unwrap_or_default();
        self.given = self.places.len();
        Ok(Lent::Frames(Frames::new(&self.bytes, places)))
    }

    fn counters(&self) -> SourceCounters {
        let mut sum = SourceCounters::default();
        for (_, counters) in self.by_interface() {
            sum.frames += counters.frames;
            sum.dropped_by_kernel += counters.dropped_by_kernel;
            sum.dropped_by_interface += counters.dropped_by_interface;
        }
        sum
    }

    fn load(&mut self) -> Result<Load, CaptureError> {
        if self.statistics_read.elapsed() >= STATISTICS_INTERVAL {
            self.update_counters()?;
        }
        let now_ns = clock_ns();
        let fills = self.captures.iter_mut().map(|capture| capture.ring_fill(now_ns));
        let ring_fill = fills.fold(0.0, f64::max);
        let (waited, passed) = (std::mem::take(&mut self.waited), self.looked.elapsed());
        self.looked = Instant::now();
        Ok(Load {
            dropped: self.counters().dropped_by_kernel,
            ring_fill,
            busy: 1.0 - (waited.as_secs_f64() / passed.as_secs_f64().max(1e-9)).min(1.0),
        })
    }

    /// What the kernel dropped since the last look belongs to the account too.
    fn finish(&mut self) -> SourceCounters {
        if let Err(error) = self.update_counters() {
            tracing::warn!("{error}; drops of the last second are not in the account");
        }
        self.counters()
    }
}
