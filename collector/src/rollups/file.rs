//! One file of rollups: sections one behind the other, then where each of them is.
//!
//! ```text
//! file  = "FGROLL01" section* entry* footer
//! entry = window:8 section:2 zero:2 crc:4 offset:8 length:8      in order of window and section
//! footer = offset:8 count:8 crc:4 zero:4 "FGROLEND"              offset and crc of the entries; numbers are little-endian
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::kept::SectionId;
use super::meta::RollupMeta;
use super::section::Section;
use super::{NO_TIME, Tier};
use crate::limits;

const MAGIC: &[u8; 8] = b"FGROLL01";
const END: &[u8; 8] = b"FGROLEND";
const ENTRY_OCTETS: usize = 32;
const FOOTER_OCTETS: usize = 32;

/// Where a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Start of its window.
    pub window: i64,
    /// What it is.
    pub section: SectionId,
    offset: u64,
    length: u64,
    crc: u32,
}

/// Writes a file.
pub struct RollupWriter {
    path: PathBuf,
    out: BufWriter<File>,
    offset: u64,
    entries: Vec<Entry>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Octets.
    pub octets: u64,
    /// Start of the first window that has a time, and end of the last; both 0 when there is none.
    pub windows_ns: (i64, i64),
}

impl RollupWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<RollupWriter> {
        let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
        out.write_all(MAGIC)?;
        Ok(RollupWriter {
            path: path.to_owned(),
            out,
            offset: MAGIC.len() as u64,
            entries: Vec::new(),
        })
    }

    /// Adds a section of a window; those that hold nothing take no room.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, window: i64, id: SectionId, section: &mut Section) -> io::Result<()> {
        let Some(octets) = section.encode() else {
            return Ok(());
        };
        self.out.write_all(&octets)?;
        self.entries.push(Entry {
            window,
            section: id,
            offset: self.offset,
            length: octets.len() as u64,
            crc: crc32fast::hash(&octets),
        });
        self.offset += octets.len() as u64;
        Ok(())
    }

    /// Ends the file; it is on the disk then, but for its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, tier: Tier) -> io::Result<Written> {
        self.entries.sort_unstable();
        let mut octets = Vec::with_capacity(self.entries.len() * ENTRY_OCTETS + FOOTER_OCTETS);
        for entry in &self.entries {
            octets.extend(entry.window.to_le_bytes());
            octets.extend(entry.section.0.to_le_bytes());
            octets.extend([0; 2]);
            octets.extend(entry.crc.to_le_bytes());
            octets.extend(entry.offset.to_le_bytes());
            octets.extend(entry.length.to_le_bytes());
        }
        let crc = crc32fast::hash(&octets);
        octets.extend(self.offset.to_le_bytes());
        octets.extend((self.entries.len() as u64).to_le_bytes());
        octets.extend(crc.to_le_bytes());
        octets.extend([0; 4]);
        octets.extend(END);
        self.out.write_all(&octets)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let mut timed = self
            .entries
            .iter()
            .map(|entry| entry.window)
            .filter(|window| *window != NO_TIME);
        let windows_ns = match (timed.next(), self.entries.last()) {
            (Some(first), Some(last)) => (first, tier.end(last.window)),
            _ => (0, 0),
        };
        Ok(Written {
            octets: self.offset + octets.len() as u64,
            windows_ns,
        })
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file of the manifest, open for reading; it removes itself when it is doomed and nobody reads it any more.
#[derive(Debug)]
pub struct RollupFile {
    meta: RollupMeta,
    path: PathBuf,
    entries: OnceLock<Option<Box<[Entry]>>>,
    damaged: Arc<AtomicU64>,
    doomed: AtomicBool,
}

impl RollupFile {
    /// A file in a folder; what cannot be read of it moves `damaged`.
    pub fn new(meta: RollupMeta, folder: &Path, damaged: Arc<AtomicU64>) -> RollupFile {
        RollupFile {
            path: folder.join(meta.file_name()),
            meta,
            entries: OnceLock::new(),
            damaged,
            doomed: AtomicBool::new(false),
        }
    }

    /// What the manifest says about it.
    pub fn meta(&self) -> &RollupMeta {
        &self.meta
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it as soon as nobody reads it any more.
    pub fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    /// Whether its list of sections can be read.
    pub fn is_sound(&self) -> bool {
        self.entries
            .get_or_init(|| match read_entries(&self.path) {
                Ok(entries) => Some(entries.into()),
                Err(error) => {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(file = %self.path.display(), %error, "rollups left out: they cannot be read");
                    None
                }
            })
            .is_some()
    }

    /// Its sections, in order of window and section; none when it is damaged, which is counted once.
    pub fn entries(&self) -> &[Entry] {
        match self.entries.get() {
            None if !self.is_sound() => &[],
            _ => self.entries.get().and_then(Option::as_deref).unwrap_or_default(),
        }
    }

    /// The starts of its windows, in order.
    pub fn windows(&self) -> impl Iterator<Item = i64> {
        self.entries()
            .chunk_by(|left, right| left.window == right.window)
            .filter_map(|entries| entries.first().map(|entry| entry.window))
    }

    /// The place of a section of a window.
    pub fn find(&self, window: i64, section: SectionId) -> Option<&Entry> {
        let entries = self.entries();
        let at = entries.binary_search_by(|entry| (entry.window, entry.section).cmp(&(window, section)));
        entries.get(at.ok()?)
    }

    /// Opens it for [`RollupFile::read`]; nothing when that does not work, which is counted.
    pub fn open(&self) -> Option<File> {
        self.believe(File::open(&self.path))
    }

    /// Reads one section; nothing when it is damaged, which is counted.
    pub fn read(&self, file: &File, entry: &Entry) -> Option<Section> {
        self.believe(read_section(file, entry))
    }

    fn believe<T>(&self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                tracing::error!(file = %self.path.display(), %error, "a part of rollups is left out: it cannot be read");
                None
            }
        }
    }
}

impl Drop for RollupFile {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // What is left is removed when the store is opened the next time.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn read_section(file: &File, entry: &Entry) -> io::Result<Section> {
    let length = usize::try_from(entry.length).map_err(|_| damaged("a section without end"))?;
    if length > limits::ROLLUP_SECTION_OCTETS {
        return Err(damaged("a section larger than any"));
    }
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, entry.offset)?;
    if crc32fast::hash(&octets) != entry.crc {
        return Err(damaged("a section whose sum is wrong"));
    }
    Section::decode(entry.section, &octets).map_err(|refusal| damaged(refusal.as_str()))
}

fn number(octets: &[u8], at: usize) -> u64 {
    let octets = octets.get(at..at + 8).and_then(|octets| octets.try_into().ok());
    octets.map_or(0, u64::from_le_bytes)
}

fn read_entries(path: &Path) -> io::Result<Vec<Entry>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let least = (MAGIC.len() + FOOTER_OCTETS) as u64;
    if size < least {
        return Err(damaged("it is cut"));
    }
    let (mut magic, mut footer) = ([0; 8], [0; FOOTER_OCTETS]);
    file.read_exact_at(&mut magic, 0)?;
    file.read_exact_at(&mut footer, size - FOOTER_OCTETS as u64)?;
    if &magic != MAGIC || !footer.ends_with(END) {
        return Err(damaged("it is no file of rollups, or of a later version"));
    }
    let (offset, count) = (number(&footer, 0), number(&footer, 8));
    let octets = count.saturating_mul(ENTRY_OCTETS as u64);
    let is_whole = offset.checked_add(octets) == Some(size - FOOTER_OCTETS as u64);
    if !is_whole || octets > limits::ROLLUP_ENTRIES_OCTETS {
        return Err(damaged("its list of sections is not where it should be"));
    }
    let mut list = vec![0; octets as usize];
    file.read_exact_at(&mut list, offset)?;
    if footer.get(16..20) != Some(&crc32fast::hash(&list).to_le_bytes()) {
        return Err(damaged("the sum of its list of sections is wrong"));
    }
    let entries = list.chunks_exact(ENTRY_OCTETS).map(|entry| Entry {
        window: number(entry, 0) as i64,
        section: SectionId(number(entry, 8) as u16),
        crc: (number(entry, 8) >> 32) as u32,
        offset: number(entry, 16),
        length: number(entry, 24),
    });
    Ok(entries.collect())
}
