//! One segment open for reading: every column as codes in the order of its values, opened when first asked for.
//!
//! Codes are what tantivy keeps: numbers themselves, ordinals of texts, compact numbers of addresses. All queries
//! compare and group codes and turn only what they show into values.

use std::fmt;
use std::net::Ipv6Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tantivy::columnar::column_values::CompactSpaceU64Accessor;
use tantivy::columnar::{
    Column, ColumnType, DynamicColumn, DynamicColumnHandle, MonotonicallyMappableToU64, StrColumn,
};
use tantivy::{Index, SegmentReader};

use super::ends::ends_of;
use super::manifest::SegmentMeta;
use super::schema::OTHER;
use crate::limits;
use crate::normalize::columns::{COLUMNS, ColumnId};
use crate::normalize::row::Cell;

/// How codes of a column become values.
#[derive(Clone)]
pub enum Decode {
    /// The code is the number.
    Number,
    /// An `i64` mapped in order.
    Signed,
    /// An `f64` mapped in order.
    Float,
    /// 0 or 1.
    Bool,
    /// A compact number of an address.
    Ip(Arc<CompactSpaceU64Accessor>),
    /// An ordinal of the column's dictionary.
    Text(StrColumn),
}

impl fmt::Debug for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "Number",
            Self::Signed => "Signed",
            Self::Float => "Float",
            Self::Bool => "Bool",
            Self::Ip(_) => "Ip",
            Self::Text(_) => "Text",
        })
    }
}

/// One column of one segment.
#[derive(Clone, Debug)]
pub struct Codes {
    /// Codes by document.
    pub column: Column<u64>,
    /// What they mean.
    pub decode: Decode,
}

impl Codes {
    fn open(handle: &DynamicColumnHandle) -> std::io::Result<Option<Self>> {
        let lenient = || handle.open_u64_lenient();
        let with = |column: Option<Column<u64>>, decode| column.map(|column| Self { column, decode });
        Ok(match handle.column_type() {
            ColumnType::U64 => with(lenient()?, Decode::Number),
            ColumnType::I64 | ColumnType::DateTime => with(lenient()?, Decode::Signed),
            ColumnType::F64 => with(lenient()?, Decode::Float),
            ColumnType::Bool => with(lenient()?, Decode::Bool),
            ColumnType::IpAddr => {
                let Some(column) = lenient()? else { return Ok(None) };
                let accessor = Arc::clone(&column.values).downcast_arc::<CompactSpaceU64Accessor>();
                accessor.ok().map(|accessor| Self {
                    column,
                    decode: Decode::Ip(accessor),
                })
            }
            ColumnType::Str => match handle.open()? {
                DynamicColumn::Str(text) => Some(Self {
                    column: text.ords().clone(),
                    decode: Decode::Text(text),
                }),
                _ => None,
            },
            ColumnType::Bytes => None,
        })
    }

    /// The value of a code.
    ///
    /// # Errors
    /// When the dictionary cannot be read.
    pub fn cell(&self, code: u64) -> std::io::Result<Cell> {
        Ok(match &self.decode {
            Decode::Number => Cell::Number(code),
            Decode::Signed => Cell::Signed(i64::from_u64(code)),
            Decode::Float => Cell::Float(f64::from_u64(code)),
            Decode::Bool => Cell::Bool(code != 0),
            Decode::Ip(accessor) => Cell::Ip(accessor.compact_to_u128(code as u32)),
            Decode::Text(text) => {
                let mut out = String::new();
                text.ord_to_str(code, &mut out)?;
                Cell::Text(out.into())
            }
        })
    }
}

/// What is in memory of an open segment.
pub struct OpenSegment {
    /// tantivy's reader: postings and columns.
    pub reader: SegmentReader,
    columns: Box<[OnceLock<Option<Codes>>]>,
    suspect: Arc<AtomicBool>,
    path: PathBuf,
}

/// A segment of the store.
pub struct Segment {
    meta: SegmentMeta,
    partition: u64,
    path: PathBuf,
    opened: OnceLock<Option<OpenSegment>>,
    damaged: Arc<AtomicU64>,
    set_aside: AtomicBool,
    suspect: Arc<AtomicBool>,
    found_sound: Mutex<Option<Instant>>,
    doomed: AtomicBool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl Segment {
    pub(super) fn new(meta: SegmentMeta, partition: u64, path: PathBuf, damaged: Arc<AtomicU64>) -> Self {
        Self {
            meta,
            partition,
            path,
            opened: OnceLock::new(),
            damaged,
            set_aside: AtomicBool::new(false),
            suspect: Arc::default(),
            found_sound: Mutex::default(),
            doomed: AtomicBool::new(false),
        }
    }

    /// What the manifest says about it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// The partition it belongs to.
    pub fn partition(&self) -> u64 {
        self.partition
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Documents, which is rows.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.meta.rows).unwrap_or(u32::MAX)
    }

    /// Opens it if it is not open. `None` when it is damaged, which is counted once.
    pub fn open(&self) -> Option<&OpenSegment> {
        if self.set_aside.load(Ordering::Acquire) {
            return None;
        }
        self.opened
            .get_or_init(|| {
                let opened = unpanicked(|| open_segment(&self.path, &self.meta, &self.suspect));
                let left_out = |error: String| {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(segment = %self.path.display(), error, "segment left out: it cannot be read");
                };
                opened.map_err(left_out).ok()
            })
            .as_ref()
    }

    /// Whether somebody reads it.
    pub(super) fn is_open(&self) -> bool {
        !self.set_aside.load(Ordering::Acquire) && matches!(self.opened.get(), Some(Some(_)))
    }

    /// Whether its files are what was written: all of them are read, unless that was done a short time ago.
    pub(super) fn is_sound(&self) -> bool {
        let mut found_sound = self.found_sound.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = Duration::from_secs(limits::SEGMENT_SOUND_S);
        if found_sound.is_some_and(|at| at.elapsed() < lasts) {
            return true;
        }
        let check = || Index::open_in_dir(&self.path)?.validate_checksum();
        let is_sound = matches!(unpanicked(check), Ok(damaged) if damaged.is_empty());
        *found_sound = is_sound.then(Instant::now);
        is_sound
    }

    /// Whether something of it could not be read since it was opened.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Whether it is left out, for what it turned out to be while it was read.
    pub(super) fn is_set_aside(&self) -> bool {
        self.set_aside.load(Ordering::Acquire)
    }

    /// Leaves it out from now on.
    pub(super) fn set_aside(&self) {
        if !self.set_aside.swap(true, Ordering::AcqRel) {
            self.damaged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(segment = %self.path.display(), "segment left out: its files are not what was written");
        }
    }

    /// Removes its files as soon as nobody reads it any more.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    /// Whether one of its rows may have a flow that ends at or after `from` and starts before `to`.
    pub fn overlaps(&self, from_ns: Option<i64>, to_ns: Option<i64>) -> bool {
        from_ns.is_none_or(|from| self.meta.end_ns.1 >= from) && to_ns.is_none_or(|to| self.meta.start_ns.0 < to)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire) {
            // What is left is removed when the store is opened the next time.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Does what tantivy may answer damaged files with: an error, or a panic.
fn unpanicked<T, E: fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("its files make no sense".to_owned()),
    }
}

fn open_segment(path: &Path, meta: &SegmentMeta, suspect: &Arc<AtomicBool>) -> tantivy::Result<OpenSegment> {
    let damaged = |detail: String| tantivy::TantivyError::InternalError(detail);
    if let Some(ends) = meta.ends
        && ends_of(path).map_err(|error| damaged(error.to_string()))? != ends
    {
        return Err(damaged("its files do not end as they were written".to_owned()));
    }
    let index = Index::open_in_dir(path)?;
    let segments = index.searchable_segments()?;
    let [segment] = segments.as_slice() else {
        return Err(tantivy::TantivyError::InternalError(format!(
            "{} segments instead of one",
            segments.len()
        )));
    };
    let reader = SegmentReader::open(segment)?;
    if u64::from(reader.max_doc()) != meta.rows {
        return Err(tantivy::TantivyError::InternalError(format!(
            "{} rows instead of {}",
            reader.max_doc(),
            meta.rows
        )));
    }
    Ok(OpenSegment {
        reader,
        columns: COLUMNS.iter().map(|_| OnceLock::new()).collect(),
        suspect: Arc::clone(suspect),
        path: path.to_owned(),
    })
}

impl OpenSegment {
    /// A stored column; `None` when no row has it (or the segment is older than the column). Where it cannot be read the
    /// segment is suspect, and the question is to be answered without it.
    pub fn column(&self, column: ColumnId) -> Option<&Codes> {
        self.columns
            .get(usize::from(column.0))?
            .get_or_init(|| self.open_column(column.column().name))
            .as_ref()
    }

    fn open_column(&self, name: &str) -> Option<Codes> {
        self.handles(name)
            .iter()
            .find_map(|handle| self.read(|| Codes::open(handle)).flatten())
    }

    /// The columns of an element no column takes: one for each kind of value it had.
    pub fn other(&self, name: &str) -> Vec<Codes> {
        // The dot is part of the name, not of a path.
        let path = format!("{OTHER}.{}", name.replace('\\', "\\\\").replace('.', "\\."));
        let handles = self.handles(&path);
        let codes = handles.iter().map(|handle| self.read(|| Codes::open(handle)).flatten());
        codes.flatten().collect()
    }

    fn handles(&self, name: &str) -> Vec<DynamicColumnHandle> {
        self.read(|| self.reader.fast_fields().dynamic_column_handles(name))
            .unwrap_or_default()
    }

    /// Reads something of it. That it cannot be read must not be taken for that it is not there.
    fn read<T, E: fmt::Display>(&self, read: impl FnOnce() -> Result<T, E>) -> Option<T> {
        let suspected = |error: String| {
            self.suspect.store(true, Ordering::Release);
            tracing::error!(segment = %self.path.display(), error, "a column cannot be read");
        };
        unpanicked(read).map_err(suspected).ok()
    }
}

/// The code of an address's neighbours in a segment: the first code that is at least `address`, and whether it is it.
pub fn ip_code(accessor: &CompactSpaceU64Accessor, address: u128) -> (u64, bool) {
    use tantivy::columnar::column_values::CompactHit;
    match accessor.u128_to_next_compact(address) {
        CompactHit::Exact(code) => (u64::from(code), true),
        CompactHit::Next(code) => (u64::from(code), false),
        CompactHit::AfterLast => (u64::from(u32::MAX) + 1, false),
    }
}

/// The term of an address in the inverted index.
pub fn ip_term_address(address: u128) -> Ipv6Addr {
    Ipv6Addr::from_bits(address)
}
