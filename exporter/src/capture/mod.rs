//! Frames and where they come from: the formats of capture files as pure decoders, and the trait that file readers and
//! live interfaces share.

mod decoder;
mod pcap;
mod pcapng;
mod step;
#[cfg(test)]
mod tests;

use flowgauge_templates::packet::LinkType;

pub use decoder::CaptureDecoder;
pub use pcap::PcapDecoder;
pub use pcapng::PcapngDecoder;
pub use step::{FormatFault, FramePlace, Step};

/// A captured frame, borrowed from its source until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured, ns since 1970 UTC.
    pub time_ns: i64,
    /// How its first header reads.
    pub link_type: LinkType,
    /// Which interface of the source saw it.
    pub interface: u32,
    /// Octets it had on the wire; more than `bytes` when the snap length cut it.
    pub wire_length: u32,
    /// What was captured.
    pub bytes: &'a [u8],
}

/// Frames that a source lends together, all within one buffer: who takes them can look at many before the first.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    places: &'a [FramePlace],
}

impl<'a> Frames<'a> {
    /// Frames within `bytes`; the `start` of each place counts from the first octet of `bytes`.
    pub fn new(bytes: &'a [u8], places: &'a [FramePlace]) -> Frames<'a> {
        Frames { bytes, places }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// When the last of them was captured; 0 when there are none.
    pub fn newest_ns(&self) -> i64 {
        self.places.last().map_or(0, |place| place.time_ns)
    }

    /// How many from this one on are of the same interface, and of the same link.
    pub fn run(&self, at: usize) -> usize {
        let places = self.places.get(at..).unwrap_or_default();
        let Some(first) = places.first() else { return 0 };
        let same = |place: &&FramePlace| place.interface == first.interface && place.link_type == first.link_type;
        places.iter().take_while(same).count()
    }

    /// One of them.
    #[inline(always)]
    pub fn get(&self, at: usize) -> Option<Frame<'a>> {
        let place = self.places.get(at)?;
        Some(Frame {
            time_ns: place.time_ns,
            link_type: place.link_type,
            interface: place.interface,
            wire_length: place.wire_length,
            bytes: self
                .bytes
                .get(place.start..place.start + place.captured)
                .unwrap_or_default(),
        })
    }
}

/// What a source lends at once.
#[derive(Clone, Copy, Debug)]
pub enum Lent<'a> {
    /// Several frames, oldest first.
    Frames(Frames<'a>),
    /// One frame.
    Frame(Frame<'a>),
    /// Nothing right now: see [`Next::Quiet`].
    Quiet,
    /// Nothing any more.
    End,
}

/// What a source has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Nothing right now (live interfaces only): time to run timeouts and to export, then ask again.
    Quiet,
    /// Nothing any more.
    End,
}

/// Where frames come from.
pub trait FrameSource {
    /// The next frame, or that there is none now or at all.
    ///
    /// # Errors
    /// What is wrong and where, as one line for people. A file may have another one behind it: asking again goes on
    /// with that.
    fn next_frame(&mut self) -> Result<Next<'_>, CaptureError>;

    /// As many frames as the source can lend without waiting, or that there are none now or at all.
    ///
    /// # Errors
    /// As [`FrameSource::next_frame`].
    fn next_frames(&mut self) -> Result<Lent<'_>, CaptureError> {
        Ok(match self.next_frame()? {
            Next::Frame(frame) => Lent::Frame(frame),
            Next::Quiet => Lent::Quiet,
            Next::End => Lent::End,
        })
    }

    /// What the source counted.
    fn counters(&self) -> SourceCounters;

    /// How a live source fares since this was asked last; what is known of it is kept up to date by asking.
    ///
    /// # Errors
    /// What the system says when asked for its counters.
    fn load(&mut self) -> Result<Load, CaptureError> {
        Ok(Load::default())
    }

    /// What the source counted when no frame will be asked for any more.
    fn finish(&mut self) -> SourceCounters {
        self.counters()
    }
}

/// How a live capture fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Frames that the kernel dropped since the start.
    pub dropped: u64,
    /// How much of the fullest ring waits to be read, from 0 to 1, as well as it is known.
    pub ring_fill: f64,
    /// Which part of the time since the last look was not spent waiting for frames, from 0 to 1.
    pub busy: f64,
}

/// What a source counts. Frames handed out = `frames`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Frames handed out.
    pub frames: u64,
    /// Frames that the filter left out (files; live interfaces filter in the kernel).
    pub filtered: u64,
    /// Frames that the kernel dropped because we were too slow (live only).
    pub dropped_by_kernel: u64,
    /// Frames that the interface or its driver dropped (live only).
    pub dropped_by_interface: u64,
}

/// One line: what, where, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaptureError(pub String);
