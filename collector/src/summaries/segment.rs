//! One file of summaries: a header, then entries, appended and never changed. What is behind the last whole entry was
//! being written when the power went, and is cut off.
//!
//! Beside a file that is full lies what it holds in short (`.json`), so that a start does not read it; without that, it is
//! read.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::entry::{Entry, HEAD_OCTETS, Head, length_and_crc};
use crate::limits::SUMMARY_METRICS_LISTED;
use crate::normalize::row::cut;

/// What every file begins with; the last octet is the form.
const MAGIC: [u8; 8] = *b"FGSUMRY1";
/// Octets of an entry that are read to see whether it is wanted: the longest metric's name fits.
const LOOKED_AT: usize = 256;

/// What a segment holds of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Summaries.
    pub summaries: u64,
    /// Of those, with an image.
    pub images: u64,
    /// First start and last end, milliseconds.
    pub span_ms: (i64, i64),
}

/// What a segment holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// Octets of the file that are whole.
    pub octets: u64,
    /// Entries.
    pub entries: u64,
    /// First start and last end of all windows, milliseconds; nothing while it is empty.
    pub span_ms: Option<(i64, i64)>,
    /// By `KIND name`.
    pub metrics: BTreeMap<String, Tally>,
}

impl Contents {
    /// Takes an entry in, which took `octets`.
    pub fn add(&mut self, entry: &Entry, octets: u64) {
        let key = &entry.key;
        self.octets += octets;
        self.entries += 1;
        let (first, last) = self.span_ms.unwrap_or((key.start_ms, key.end_ms));
        self.span_ms = Some((first.min(key.start_ms), last.max(key.end_ms)));
        let name = format!("{} {}", key.kind, key.metric);
        if self.metrics.len() >= SUMMARY_METRICS_LISTED && !self.metrics.contains_key(&name) {
            return;
        }
        let tally = self.metrics.entry(name).or_insert_with(|| Tally {
            span_ms: (key.start_ms, key.end_ms),
            ..Tally::default()
        });
        tally.summaries += 1;
        tally.images += u64::from(entry.image.is_some());
        tally.span_ms = (tally.span_ms.0.min(key.start_ms), tally.span_ms.1.max(key.end_ms));
    }

    /// Whether a window of it may overlap a time, milliseconds.
    pub fn overlaps(&self, from_ms: Option<i64>, to_ms: Option<i64>) -> bool {
        self.span_ms
            .is_some_and(|(first, last)| from_ms.is_none_or(|from| last > from) && to_ms.is_none_or(|to| first < to))
    }
}

/// The file of a number.
pub fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:012}.summaries"))
}

/// The number of a file.
pub fn number_of(path: &Path) -> Option<u64> {
    (path.extension()? == "summaries").then(|| path.file_stem()?.to_str()?.parse().ok())?
}

fn contents_path(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// Makes the changes of names in a directory last.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A new file with its header. It gets its name when the header is on the disk.
pub fn create(directory: &Path, number: u64) -> io::Result<File> {
    let (path, beside) = (path_of(directory, number), directory.join("next.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)?;
    file.write_all(&MAGIC)?;
    file.sync_data()?;
    fs::rename(&beside, path)?;
    sync_directory(directory)?;
    Ok(file)
}

/// Opens a file to go on behind what is whole in it.
pub fn reopen(path: &Path, octets: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.set_len(octets)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// What a file holds by the note beside it, when the note is about the file as it is.
pub fn noted(path: &Path) -> Option<Contents> {
    let contents: Contents = serde_json::from_slice(&fs::read(contents_path(path)).ok()?).ok()?;
    (fs::metadata(path).ok()?.len() == contents.octets).then_some(contents)
}

/// Leaves a note of what a file holds.
pub fn note(path: &Path, contents: &Contents) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, serde_json::to_vec(contents).map_err(io::Error::other)?)?;
    fs::rename(beside, contents_path(path))
}

/// Removes a file and its note.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(contents_path(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(path)
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Octets up to the end of the last entry with a sound head.
    pub octets: u64,
    /// Entries whose octets are not what was written.
    pub damaged: u64,
}

/// Reads the entries that `wanted` wants of the first `octets` octets, in order. `take` says whether to go on.
///
/// # Errors
/// When the file cannot be read, or is none of ours.
pub fn read(
    path: &Path,
    octets: u64,
    wanted: impl Fn(&Head) -> bool,
    mut take: impl FnMut(Entry, u64) -> bool,
) -> io::Result<Reading> {
    let file = File::open(path)?;
    let octets = octets.min(file.metadata()?.len());
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no file of summaries"));
    }
    let mut reading = Reading {
        octets: MAGIC.len() as u64,
        damaged: 0,
    };
    let mut body = Vec::new();
    loop {
        let left = octets - reading.octets;
        if left < HEAD_OCTETS as u64 {
            return Ok(reading);
        }
        let mut head = [0; HEAD_OCTETS];
        file.read_exact(&mut head)?;
        let Some((length, crc)) = length_and_crc(head) else {
            // Nothing tells where the next one would be.
            reading.damaged += 1;
            return Ok(reading);
        };
        let whole = (HEAD_OCTETS + length) as u64;
        if left < whole {
            return Ok(reading);
        }
        body.clear();
        body.resize(length.min(LOOKED_AT), 0);
        file.read_exact(&mut body)?;
        reading.octets += whole;
        let looked_at = body.len();
        if Head::read(&body).is_some_and(|head| !wanted(&head)) {
            file.seek_relative((length - looked_at) as i64)?;
            continue;
        }
        body.resize(length, 0);
        if let Some(rest) = body.get_mut(looked_at..) {
            file.read_exact(rest)?;
        }
        match Some(&body)
            .filter(|body| crc32fast::hash(body) == crc)
            .and_then(|body| Entry::read(body))
        {
            Some(entry) if wanted(&Head::of(&entry)) => {
                if !take(entry, whole) {
                    return Ok(reading);
                }
            }
            Some(_) => {}
            None => reading.damaged += 1,
        }
    }
}

/// The kind and the name of a metric as [`Contents`] keys them.
pub fn kind_and_name(key: &str) -> Option<(u8, &str)> {
    let (kind, name) = key.split_once(' ')?;
    Some((kind.parse().ok()?, cut(name, 128)))
}
