//! Segments: their names, their headers, and what an old one holds.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::entry::{self, take};
use crate::exporting::Volume;

/// Octets before a segment's first entry.
pub(super) const HEADER_OCTETS: u64 = 32;
const MAGIC: [u8; 8] = *b"FGSPOOL1";
const SUFFIX: &str = ".spool";

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// What entries begin with.
    pub sync: u32,
    /// Which life of the exporter wrote it.
    pub run: u32,
    /// The recordId of the first Flow Record.
    pub first_record: u64,
}

impl Header {
    pub fn encode(self) -> [u8; HEADER_OCTETS as usize] {
        let mut out = [0; HEADER_OCTETS as usize];
        let parts: [&[u8]; 4] = [
            &MAGIC,
            &self.sync.to_le_bytes(),
            &self.run.to_le_bytes(),
            &self.first_record.to_le_bytes(),
        ];
        for (place, octet) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *octet;
        }
        let (covered, crc) = out.split_at_mut(HEADER_OCTETS as usize - 4);
        crc.copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
        out
    }

    /// None when it is damaged: then nothing of the segment can be used.
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let header = octets.get(..HEADER_OCTETS as usize)?;
        let (covered, crc) = header.split_last_chunk::<4>()?;
        let mut rest = covered.strip_prefix(&MAGIC)?;
        (u32::from_le_bytes(*crc) == crc32fast::hash(covered)).then_some(())?;
        Some(Self {
            sync: u32::from_le_bytes(take(&mut rest).ok()?),
            run: u32::from_le_bytes(take(&mut rest).ok()?),
            first_record: u64::from_le_bytes(take(&mut rest).ok()?),
        })
    }
}

/// One segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    /// The position of its first entry.
    pub start: u64,
    /// The position behind its last.
    pub end: u64,
    pub header: Header,
    /// When the last entry was written, nanoseconds since 1970 UTC.
    pub written_ns: i64,
    /// Flow Records that are not confirmed.
    pub waiting: Volume,
}

impl Segment {
    /// Octets on disk.
    pub fn octets(&self) -> u64 {
        HEADER_OCTETS + (self.end - self.start)
    }

    /// Removes its file. One that stays although nobody needs it is said, and does no harm.
    pub fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(
                "{}: {error}; this segment of a spool cannot be removed",
                self.path.display()
            );
        }
    }
}

/// How files of a spool are opened to be written: never through a link that another program has laid there.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW);
    options
}

/// Where the segment lies that begins at a position.
pub(super) fn path(directory: &Path, start: u64) -> PathBuf {
    directory.join(format!("{start:020}{SUFFIX}"))
}

/// The segments in a directory with their beginnings, in order.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let start = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(SUFFIX)?.parse().ok());
        found.extend(start.map(|start| (start, path)));
    }
    found.sort_unstable();
    Ok(found)
}

/// What an old segment holds.
#[derive(Debug)]
pub(super) struct Survey {
    pub segment: Segment,
    /// Flow Records in it, confirmed ones too.
    pub flows: u64,
    /// Flow Records that are damaged, as far as those behind tell, and of which nobody knows whether they were confirmed.
    pub damaged: Volume,
    /// Behind the last recordId seen.
    pub next_record: u64,
}

/// Reads through an old segment; what is before `confirmed` does not wait. None when its header is damaged.
pub(super) fn survey(path: PathBuf, start: u64, confirmed: u64) -> io::Result<Option<Survey>> {
    let octets = fs::read(&path)?;
    let Some(header) = Header::decode(&octets) else {
        return Ok(None);
    };
    let entries = octets.get(HEADER_OCTETS as usize..).unwrap_or_default();
    let mut survey = Survey {
        segment: Segment {
            path,
            start,
            end: start + entries.len() as u64,
            header,
            written_ns: 0,
            waiting: Volume::default(),
        },
        flows: 0,
        damaged: Volume::default(),
        next_record: header.first_record,
    };
    let mut at = 0;
    loop {
        let found = entry::find(entries.get(at..).unwrap_or_default(), header.sync, true);
        at += found.damaged;
        let Some(entry) = found.entry else { break };
        at += entry.octets();
        let (label, position) = (&entry.label, start + at as u64);
        if label.volume.flows > 0 {
            let missing = label.first_record.saturating_sub(survey.next_record);
            survey.damaged.flows += missing;
            if position > confirmed {
                // The reader meets the gap too, and takes it from what waits.
                survey.segment.waiting.flows += missing;
                survey.segment.waiting.add(&label.volume);
            }
            survey.next_record = label.first_record + label.volume.flows;
            survey.flows += label.volume.flows + missing;
        }
        survey.segment.written_ns = survey.segment.written_ns.max(label.written_ns);
    }
    Ok(Some(survey))
}
