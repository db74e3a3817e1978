//! A capture file of either format, told apart by its first four octets.

use super::pcap::PcapDecoder;
use super::pcapng::PcapngDecoder;
use super::step::{FormatFault, FramePlace, Step};

/// Steps through a capture file: give it the bytes from the reading position on, do what the [`Step`] says.
#[derive(Clone, Debug, Default)]
pub struct CaptureDecoder {
    format: Format,
}

#[derive(Clone, Debug, Default)]
enum Format {
    #[default]
    Unknown,
    Pcap(PcapDecoder),
    Pcapng(PcapngDecoder),
}

impl CaptureDecoder {
    /// A decoder for the start of a file.
    pub fn new() -> CaptureDecoder {
        CaptureDecoder::default()
    }

    /// What is at the start of `bytes`.
    ///
    /// # Errors
    /// What is wrong there; nothing behind it can be found.
    #[inline]
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, FormatFault> {
        match &mut self.format {
            Format::Pcap(decoder) => decoder.step(bytes),
            Format::Pcapng(decoder) => decoder.step(bytes),
            Format::Unknown => self.open(bytes),
        }
    }

    /// Adds the places of frames, counted from the start of `bytes`, until `places` holds `most`; says how many octets
    /// they take. What follows them is for [`CaptureDecoder::step`]. Other formats than pcap give none: their blocks are
    /// stepped through.
    #[inline]
    pub fn frames(&self, bytes: &[u8], places: &mut Vec<FramePlace>, most: usize) -> usize {
        match &self.format {
            Format::Pcap(decoder) => decoder.frames(bytes, places, most),
            _ => 0,
        }
    }

    /// What a file is in the middle of, for people.
    pub fn part(&self) -> &'static str {
        match self.format {
            Format::Unknown => "file header",
            Format::Pcap(_) => "record",
            Format::Pcapng(_) => "block",
        }
    }

    fn open(&mut self, bytes: &[u8]) -> Result<Step, FormatFault> {
        let Some(magic) = bytes.first_chunk::<4>().map(|magic| u32::from_be_bytes(*magic)) else {
            return Ok(Step::Need(4));
        };
        if PcapngDecoder::is_magic(magic) {
            let mut decoder = PcapngDecoder::new();
            let step = decoder.step(bytes);
            self.format = Format::Pcapng(decoder);
            return step;
        }
        if !PcapDecoder::is_magic(magic) {
            return Err(FormatFault::UnknownMagic(magic));
        }
        let (decoder, step) = PcapDecoder::open(bytes)?;
        if let Some(decoder) = decoder {
            self.format = Format::Pcap(decoder);
        }
        Ok(step)
    }
}
