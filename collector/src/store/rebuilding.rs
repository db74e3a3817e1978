//! Makes rollups again from the rows that are stored: of rows that have none, and instead of those that are there.
//!
//! The manifest says which rows a file is made of. A file is replaced when all of them are still here, with every finer file
//! that says the same; so each row is counted once before and after, wherever it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::manifest::RowRun;
use super::segment::{Codes, OpenSegment, Segment};
use super::{Store, StoreError};
use crate::limits;
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{Cell, Row};
use crate::rollups::gather::COLUMNS_READ;
use crate::rollups::{Gather, RollupMeta, Tier};

/// Rows of one file that is made anew.
const ROWS_PER_FILE: u64 = 250_000;

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Rows that were read.
    pub rows: u64,
    /// Windows of the files that were made, of all tiers.
    pub windows: u64,
    /// Files of rollups that there are now.
    pub files: u64,
    /// Files that stay as they are, because flows that they are made of are gone.
    pub left: u64,
}

impl Store {
    /// Makes rollups again of rows that arrived in a time, and brings them as far as they would be at `now_ns`.
    ///
    /// # Errors
    /// When the store was opened for reading, or something cannot be read or written; then nothing has changed.
    pub fn rebuild_rollups(
        &self,
        from_ns: Option<i64>,
        to_ns: Option<i64>,
        now_ns: i64,
    ) -> Result<Rebuilt, StoreError> {
        if self.shared.read_only {
            let path = self.shared.dir.clone();
            return Err(StoreError::ReadOnly { path });
        }
        let manifest = self.shared.lock().manifest.clone();
        let is_asked =
            |(first, last): (i64, i64)| from_ns.is_none_or(|from| last >= from) && to_ns.is_none_or(|to| first < to);
        let snapshot = self.snapshot();
        let here = rows_of(snapshot.segments());
        let mut rebuilt = Rebuilt::default();
        let files = &manifest.rollups.files;
        let outermost: Vec<&RollupMeta> = files
            .iter()
            .filter(|file| !files.iter().any(|other| other.tier > file.tier && other.covers(file)))
            .collect();
        let is_here = |file: &RollupMeta| here.iter().any(|rows| rows.0 <= file.rows.0 && file.rows.1 <= rows.1);
        let (again, left): (Vec<&RollupMeta>, Vec<&RollupMeta>) = outermost
            .iter()
            .filter(|file| is_asked(file.arrived_ns))
            .partition(|file| is_here(file));
        rebuilt.left = left.len() as u64;
        let partitions: HashMap<u64, bool> = manifest
            .partitions
            .iter()
            .map(|held| (held.id, is_asked((held.from_ns, held.to_ns.saturating_sub(1)))))
            .collect();
        let ids: HashSet<u64> = again.iter().map(|file| file.id).collect();
        let in_files = InFiles::new(outermost.iter().map(|file| (file.rows, ids.contains(&file.id))));
        let is_wanted = |segment: &Segment, row: u64| {
            let of_partition = || partitions.get(&segment.partition()).copied().unwrap_or(false);
            in_files.wants(row).unwrap_or_else(of_partition)
        };
        let mut fresh = Fresh {
            store: self,
            gather: Gather::default(),
            rows: (0, 0),
            files: Vec::new(),
        };
        for segment in snapshot.segments() {
            let read = read(segment, &is_wanted, &mut fresh);
            if let Err(error) = read {
                fresh.give_up();
                return Err(error);
            }
        }
        let ended = fresh.end();
        if let Err(error) = ended {
            fresh.give_up();
            return Err(error);
        }
        rebuilt.rows = fresh.files.iter().map(|file| file.rows.1 - file.rows.0).sum();
        let gone: Vec<u64> = files
            .iter()
            .filter(|file| again.iter().any(|other| other.covers(file)))
            .map(|file| file.id)
            .collect();
        let made = std::mem::take(&mut fresh.files);
        self.shared.change(|manifest| {
            manifest.rollups.files.retain(|file| !gone.contains(&file.id));
            made.into_iter().for_each(|file| manifest.rollups.add(file));
        })?;
        self.roll(now_ns);
        let snapshot = self.snapshot();
        rebuilt.files = snapshot.rollups().len() as u64;
        rebuilt.windows = snapshot
            .rollups()
            .iter()
            .map(|file| file.windows().count() as u64)
            .sum();
        Ok(rebuilt)
    }
}

/// Rows of files, in order, and whether those of each file are wanted.
struct InFiles(Vec<((u64, u64), bool)>);

impl InFiles {
    fn new(files: impl Iterator<Item = ((u64, u64), bool)>) -> InFiles {
        let mut files: Vec<_> = files.collect();
        files.sort_unstable_by_key(|(rows, _)| *rows);
        InFiles(files)
    }

    /// Whether a row is wanted; nothing where it is in no file. No row is in two of them.
    fn wants(&self, row: u64) -> Option<bool> {
        let behind = self.0.partition_point(|(rows, _)| rows.0 <= row);
        let (rows, is_wanted) = self.0.get(behind.checked_sub(1)?)?;
        (row < rows.1).then_some(*is_wanted)
    }
}

/// Runs of rows that are here, in order.
pub(super) fn rows_of<'s>(segments: impl IntoIterator<Item = &'s Arc<Segment>>) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for meta in segments.into_iter().map(|segment| segment.meta()) {
        let ends = meta.runs.iter().skip(1).map(|run| u64::from(run.doc));
        let ends = ends.chain(std::iter::once(meta.rows));
        let runs = meta.runs.iter().zip(ends);
        all.extend(runs.map(|(run, end)| (run.row, run.row + (end - u64::from(run.doc)))));
    }
    // Rows of odd times lie in holes of others.
    all.sort_unstable();
    all.dedup_by(|later, earlier| {
        let goes_on = earlier.1 == later.0;
        if goes_on {
            earlier.1 = later.1;
        }
        goes_on
    });
    all
}

/// The files that are made.
struct Fresh<'s> {
    store: &'s Store,
    gather: Gather,
    rows: (u64, u64),
    files: Vec<RollupMeta>,
}

impl Fresh<'_> {
    fn add(&mut self, number: u64, row: &Row, arrived_ns: i64) -> Result<(), StoreError> {
        let goes_on = self.rows.1 == number
            && !self.gather.is_full()
            && self.gather.rows() < ROWS_PER_FILE
            && self
                .gather
                .arrived_ns()
                .is_some_and(|(first, _)| Tier::Hour.window(first) == Tier::Hour.window(arrived_ns));
        if !goes_on {
            self.end()?;
            self.rows = (number, number);
        }
        self.gather.add(row, arrived_ns);
        self.rows.1 = number + 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), StoreError> {
        if self.gather.rows() == 0 {
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut self.gather).finish();
        let meta = self.store.shared.write_rollup(&mut gathered)?;
        self.files.push(RollupMeta {
            rows: self.rows,
            ..meta
        });
        Ok(())
    }

    fn give_up(&mut self) {
        for file in self.files.drain(..) {
            let _ = std::fs::remove_file(self.store.shared.rollup_path(&file));
        }
    }
}

/// A column and what its codes came to lately: texts come again, and cost a look into a dictionary each.
struct Reader {
    column: ColumnId,
    codes: Codes,
    known: HashMap<u64, Cell>,
}

impl Reader {
    fn of(open: &OpenSegment) -> Vec<Reader> {
        let reader = |column: &ColumnId| {
            let codes = open.column(*column)?.clone();
            Some(Reader {
                column: *column,
                codes,
                known: HashMap::new(),
            })
        };
        COLUMNS_READ.iter().filter_map(reader).collect()
    }

    fn cell(&mut self, code: u64) -> std::io::Result<Cell> {
        if let Some(cell) = self.known.get(&code) {
            return Ok(cell.clone());
        }
        let cell = self.codes.cell(code)?;
        if matches!(cell, Cell::Text(_)) && self.known.len() < limits::ROLLUP_NAMES {
            self.known.insert(code, cell.clone());
        }
        Ok(cell)
    }
}

fn read(
    segment: &Segment,
    is_wanted: &impl Fn(&Segment, u64) -> bool,
    fresh: &mut Fresh<'_>,
) -> Result<(), StoreError> {
    let path = segment.path();
    let damaged = || StoreError::Damaged {
        path: path.to_owned(),
        detail: "it cannot be read; nothing has changed".to_owned(),
    };
    let open = segment.open().ok_or_else(damaged)?;
    let mut readers = Reader::of(open);
    if segment.is_suspect() {
        return Err(damaged());
    }
    for (doc, number) in numbers(&segment.meta().runs, segment.rows()) {
        if !is_wanted(segment, number) {
            continue;
        }
        let mut row = Row::new();
        for reader in &mut readers {
            if let Some(code) = reader.codes.column.first(doc) {
                let cell = reader.cell(code).map_err(StoreError::io(path))?;
                row.set(reader.column, &cell);
            }
        }
        let arrived_ns = row.signed(id::RECEIVED).or(row.signed(id::START)).unwrap_or(0);
        fresh.add(number, &row, arrived_ns)?;
    }
    Ok(())
}

/// Documents with the numbers of their rows.
fn numbers(runs: &[RowRun], rows: u32) -> impl Iterator<Item = (u32, u64)> {
    let ends = runs.iter().skip(1).map(|run| run.doc).chain(std::iter::once(rows));
    runs.iter()
        .zip(ends)
        .flat_map(|(run, end)| (run.doc..end).zip(run.row..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_in_its_file_by_few_steps() {
        let files = [((70, 90), true), ((10, 20), true), ((20, 30), false), ((95, 96), false)];
        let in_files = InFiles::new(files.into_iter());
        for row in 0..120 {
            let found = files.iter().find(|(rows, _)| rows.0 <= row && row < rows.1);
            assert_eq!(in_files.wants(row), found.map(|(_, is_wanted)| *is_wanted), "{row}");
        }
        // As long as a store of years lasts: a search from the front would take hours for these.
        let many = InFiles::new((0..200_000u64).map(|at| ((at * 250_000, (at + 1) * 250_000), at % 2 == 0)));
        for row in (0..200_000u64 * 250_000).step_by(100_003) {
            assert_eq!(many.wants(row), Some(row / 250_000 % 2 == 0));
        }
    }
}
