//! Reads capture files, one after the other, as one source of frames.
//!
//! Frames are borrowed from one large buffer; nothing is allocated per frame. What precedes a fault in a file is
//! handed out before the fault is, with the file and the octet where it lies; the files behind it are still read.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capture::{
    CaptureDecoder, CaptureError, FormatFault, Frame, FramePlace, FrameSource, Frames, Lent, Next, SourceCounters, Step,
};
use crate::io::patience::Stop;
use crate::limits;

mod filter;
mod open;
#[cfg(test)]
mod tests;

use filter::FrameFilter;
use open::Input;

/// Whether a filter expression makes sense, before anything is opened: on Ethernet, which knows nearly every word.
///
/// # Errors
/// What libpcap says of it.
pub fn check_filter(expression: &str) -> Result<(), crate::capture::CaptureError> {
    FrameFilter::new(expression).map(|_| ())
}

/// Capture files in the order given; `-` is standard input, a folder is its captures sorted by name.
pub struct PcapFiles {
    waiting: VecDeque<PathBuf>,
    current: Option<OpenFile>,
    buffer: Vec<u8>,
    /// Where in the buffer the frames lent last are.
    places: Vec<FramePlace>,
    filter: Option<FrameFilter>,
    stop: Option<Arc<Stop>>,
    counters: SourceCounters,
    file_counters: FileCounters,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounters {
    /// Files begun.
    pub files: u64,
    /// Files that ended with a fault.
    pub files_with_fault: u64,
    /// Octets of captures read, after decompression.
    pub octets: u64,
}

struct OpenFile {
    name: String,
    input: Input,
    decoder: CaptureDecoder,
    /// Where the bytes not yet looked at begin and end in the buffer.
    at: usize,
    end: usize,
    /// The offset in the file of `at`.
    offset: u64,
    /// Octets from `at` on that are still to be stepped over.
    skipping: u64,
}

/// What one look at the current file gave.
enum Look {
    Frame(FramePlace, usize),
    End,
}

impl fmt::Debug for PcapFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.as_ref().map(|file| &file.name);
        f.debug_struct("PcapFiles")
            .field("current", &current)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

impl PcapFiles {
    /// Finds the files and checks the filter; files are opened when their turn comes.
    ///
    /// # Errors
    /// A path that is not there, a folder without captures, a filter that libpcap does not understand.
    pub fn open(paths: &[PathBuf], filter: Option<&str>) -> Result<PcapFiles, CaptureError> {
        Ok(PcapFiles {
            waiting: open::expand(paths)?.into(),
            current: None,
            buffer: vec![0; limits::READ_OCTETS],
            places: Vec::with_capacity(limits::FRAMES_LENT),
            filter: filter.map(FrameFilter::new).transpose()?,
            stop: None,
            counters: SourceCounters::default(),
            file_counters: FileCounters::default(),
        })
    }

    /// Also ends when `stop` is requested, even while a pipe is quiet.
    #[must_use]
    pub fn until(mut self, stop: Arc<Stop>) -> PcapFiles {
        self.stop = Some(stop);
        self
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.is_requested())
    }

    /// What was read so far.
    pub fn file_counters(&self) -> FileCounters {
        self.file_counters
    }

    /// The next frame that the filter lets pass, as a place in the buffer.
    fn look(&mut self) -> Result<Look, CaptureError> {
        loop {
            let file = match &mut self.current {
                Some(file) => file,
                None => match self.waiting.pop_front() {
                    Some(path) => {
                        self.file_counters.files += 1;
                        match OpenFile::open(&path, self.stop.as_ref()) {
                            Ok(file) => self.current.insert(file),
                            Err(_) if self.is_stopped() => return Ok(Look::End),
                            Err(error) => {
                                self.file_counters.files_with_fault += 1;
                                return Err(error);
                            }
                        }
                    }
                    None => return Ok(Look::End),
                },
            };
            let before = file.offset;
            let found = file.next(&mut self.buffer);
            self.file_counters.octets += file.offset - before;
            match found {
                Ok(Some((place, at))) => {
                    if let Some(filter) = &mut self.filter {
                        let bytes = self.buffer.get(at..at + place.captured).unwrap_or_default();
                        let passes = filter.passes(place.link_type, bytes);
                        if !passes.inspect_err(|_| self.current = None)? {
                            self.counters.filtered += 1;
                            continue;
                        }
                    }
                    self.counters.frames += 1;
                    return Ok(Look::Frame(place, at));
                }
                Ok(None) => self.current = None,
                // What was interrupted has no fault.
                Err(_) if self.is_stopped() => return Ok(Look::End),
                Err(error) => {
                    self.current = None;
                    self.file_counters.files_with_fault += 1;
                    return Err(error);
                }
            }
        }
    }
}

impl FrameSource for PcapFiles {
    fn next_frame(&mut self) -> Result<Next<'_>, CaptureError> {
        match self.look()? {
            Look::End => Ok(Next::End),
            Look::Frame(place, at) => Ok(Next::Frame(Frame {
                time_ns: place.time_ns,
                link_type: place.link_type,
                interface: place.interface,
                wire_length: place.wire_length,
                bytes: self.buffer.get(at..at + place.captured).unwrap_or_default(),
            })),
        }
    }

    fn next_frames(&mut self) -> Result<Lent<'_>, CaptureError> {
        let Look::Frame(place, at) = self.look()? else {
            return Ok(Lent::End);
        };
        self.places.clear();
        self.places.push(FramePlace { start: at, ..place });
        // A filter decides frame by frame, and its faults end the file.
        if let (Some(file), None) = (&mut self.current, &self.filter) {
            let before = file.offset;
            file.next_in_buffer(&self.buffer, &mut self.places);
            self.file_counters.octets += file.offset - before;
            self.counters.frames += self.places.len() as u64 - 1;
        }
        Ok(Lent::Frames(Frames::new(&self.buffer, &self.places)))
    }

    fn counters(&self) -> SourceCounters {
        self.counters
    }
}

impl OpenFile {
    fn open(path: &Path, stop: Option<&Arc<Stop>>) -> Result<OpenFile, CaptureError> {
        let name = if open::is_standard_input(path) {
            "standard input".into()
        } else {
            path.display().to_string()
        };
        let input = Input::open(path, stop)?;
        Ok(OpenFile {
            name,
            input,
            decoder: CaptureDecoder::new(),
            at: 0,
            end: 0,
            offset: 0,
            skipping: 0,
        })
    }

    /// The next frame and where it begins in the buffer; none at the end of the file.
    #[inline]
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<(FramePlace, usize)>, CaptureError> {
        let skipping = std::mem::take(&mut self.skipping);
        self.skip(skipping, buffer)?;
        loop {
            let bytes = buffer.get(self.at..self.end).unwrap_or_default();
            match self.decoder.step(bytes).map_err(|fault| self.fault(&fault))? {
                Step::Frame(place) => {
                    let at = self.at + place.start;
                    self.advance(place.consumed);
                    return Ok(Some((place, at)));
                }
                Step::Skip(octets) => self.skip(octets, buffer)?,
                Step::Need(octets) => {
                    if !self.fill(octets, buffer)? {
                        return self.ended(octets);
                    }
                }
            }
        }
    }

    /// Adds frames that are in the buffer already. What needs more of the file, and what is wrong with it, is left for
    /// [`OpenFile::next`], as frames lent must not move.
    #[inline]
    fn next_in_buffer(&mut self, buffer: &[u8], places: &mut Vec<FramePlace>) {
        let bytes = buffer.get(self.at..self.end).unwrap_or_default();
        let (before, base) = (places.len(), self.at);
        self.advance(self.decoder.frames(bytes, places, limits::FRAMES_LENT));
        for place in places.get_mut(before..).unwrap_or_default() {
            place.start += base;
        }
        while places.len() < limits::FRAMES_LENT {
            let bytes = buffer.get(self.at..self.end).unwrap_or_default();
            match self.decoder.step(bytes) {
                Ok(Step::Frame(place)) => {
                    places.push(FramePlace {
                        start: self.at + place.start,
                        ..place
                    });
                    self.advance(place.consumed);
                }
                Ok(Step::Skip(octets)) if octets <= bytes.len() as u64 => self.advance(octets as usize),
                Ok(Step::Skip(octets)) => {
                    self.skipping = octets;
                    return;
                }
                Ok(Step::Need(_)) | Err(_) => return,
            }
        }
    }

    #[inline(always)]
    fn advance(&mut self, octets: usize) {
        self.at += octets;
        self.offset += octets as u64;
    }

    /// The file has no more octets, and the decoder wanted `wanted` from here on.
    fn ended(&self, wanted: usize) -> Result<Option<(FramePlace, usize)>, CaptureError> {
        let left = self.end - self.at;
        if left == 0 && self.offset > 0 {
            return Ok(None);
        }
        if left == 0 {
            return Err(self.fault(&FormatFault::Empty));
        }
        Err(self.fault(&FormatFault::Truncated {
            part: self.decoder.part(),
            missing: wanted - left,
        }))
    }

    fn skip(&mut self, octets: u64, buffer: &mut Vec<u8>) -> Result<(), CaptureError> {
        let mut left = octets;
        while left > 0 {
            if self.at == self.end && !self.fill(1, buffer)? {
                let missing = usize::try_from(left).unwrap_or(usize::MAX);
                return Err(self.fault(&FormatFault::Truncated {
                    part: self.decoder.part(),
                    missing,
                }));
            }
            let step = left.min((self.end - self.at) as u64);
            self.advance(step as usize);
            left -= step;
        }
        Ok(())
    }

    /// Reads until `wanted` octets are there; false when the file ends before. Decoders ask for no more than the
    /// limits on blocks and frames allow, so the buffer grows to the largest of these at most.
    #[cold]
    fn fill(&mut self, wanted: usize, buffer: &mut Vec<u8>) -> Result<bool, CaptureError> {
        buffer.copy_within(self.at..self.end, 0);
        (self.at, self.end) = (0, self.end - self.at);
        if buffer.len() < wanted {
            buffer.resize(wanted.next_multiple_of(limits::READ_OCTETS), 0);
        }
        while self.end < wanted {
            let free = buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.read(free) {
                Ok(0) => return Ok(false),
                Ok(octets) => self.end += octets,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.input_fault(&error)),
            }
        }
        Ok(true)
    }

    fn fault(&self, fault: &FormatFault) -> CaptureError {
        CaptureError(format!(
            "{}: at octet {}{}: {fault}",
            self.name,
            self.offset,
            self.input.after()
        ))
    }

    fn input_fault(&self, error: &std::io::Error) -> CaptureError {
        let offset = self.offset + (self.end - self.at) as u64;
        CaptureError(format!(
            "{}: at octet {offset}{}: cannot read on: {error}",
            self.name,
            self.input.after()
        ))
    }
}
