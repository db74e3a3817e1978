//! Lines to standard output, to a file, or to files that follow each other by time and by size.
//!
//! A single file is written under its own name, so that others can follow it as it grows; those of a series get their
//! names when they are complete.

use std::fs::File;
use std::io::{self, Stdout, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Kind, LineSink, Lines};
use crate::exporting::DestinationAccounts;
use crate::io::destination::{Context, Failure, Progress, now_ns};
use crate::io::series::{Content, Series, create, line};

/// Standard output, or a single file.
#[derive(Debug)]
pub(in crate::io) struct Output {
    to: To,
    accounts: Arc<DestinationAccounts>,
    /// Octets of whole lines.
    length: u64,
}

#[derive(Debug)]
enum To {
    Standard(Stdout),
    File(File),
}

impl Output {
    pub fn standard(accounts: Arc<DestinationAccounts>) -> Self {
        Self {
            to: To::Standard(io::stdout()),
            accounts,
            length: 0,
        }
    }

    /// Creates the file, or empties an earlier one and says so.
    ///
    /// # Errors
    /// One line for people.
    pub fn file(path: &Path, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        let name = &accounts.name;
        let earlier = path
            .metadata()
            .ok()
            .filter(|earlier| earlier.is_file() && earlier.len() > 0);
        let file = create(path).map_err(|error| line(name, &error))?;
        if let Some(earlier) = earlier {
            tracing::warn!("{name}: an earlier file of {} octets is replaced", earlier.len());
        }
        Ok(Self {
            to: To::File(file),
            accounts,
            length: 0,
        })
    }
}

impl LineSink for Output {
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)> {
        let written = match &mut self.to {
            To::File(file) => file.write_all(lines.text()),
            To::Standard(stdout) => stdout.write_all(lines.text()).and_then(|()| stdout.flush()),
        };
        if let Err(error) = written {
            if let To::File(file) = &self.to {
                // Half a line is worth less than none; a pipe or device cannot take it back.
                let _ = file.set_len(self.length);
            }
            return Err((Failure::Broken(line(&self.accounts.name, &error)), lines.len()));
        }
        self.length += lines.octets() as u64;
        self.accounts.add_exported(lines.len() as u64, lines.octets() as u64);
        Ok(())
    }
}

/// Files that follow each other.
#[derive(Debug)]
pub(in crate::io) struct LineFiles {
    series: Series,
    accounts: Arc<DestinationAccounts>,
}

impl LineFiles {
    /// Creates the first file.
    ///
    /// # Errors
    /// One line for people.
    pub fn create(path: &Path, context: &Context, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        Ok(Self {
            series: Series::create(path, Content::Lines, context, accounts.clone())?,
            accounts,
        })
    }

    fn rotate(&mut self, ns: i64) -> Result<(), Failure> {
        self.series.complete()?;
        self.series.enter(ns);
        Ok(())
    }

    /// Writes lines that belong together, in as many files as they need.
    fn write(&mut self, lines: &Lines, range: std::ops::Range<usize>) -> Result<(), (Failure, usize)> {
        let mut progress = Progress::new();
        let mut next = range.start;
        while next < range.end {
            // At least one line, whatever its length.
            let fits = |end: usize| {
                let room = self.series.room();
                room.is_none_or(|room| lines.text_of(next..end).len() as u64 <= room)
            };
            let mut end = range.end;
            while end > next + 1 && !fits(end) {
                end = next + (end - next) / 2;
            }
            let text = lines.text_of(next..end);
            let left = lines.len() - next;
            if self.series.is_full(text.len()) {
                self.series.complete().map_err(|failure| (failure, left))?;
                self.series.go_on();
                continue;
            }
            let records = (end - next) as u64;
            self.series
                .write(text, records, &mut progress)
                .map_err(|failure| (failure, left))?;
            self.accounts.add_exported(records, text.len() as u64);
            next = end;
        }
        Ok(())
    }
}

impl LineSink for LineFiles {
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)> {
        if !self.series.goes_by_records() {
            let now = now_ns();
            if self.series.is_over(now) {
                self.rotate(now).map_err(|failure| (failure, lines.len()))?;
            }
            return self.write(lines, 0..lines.len());
        }
        let mut begin = 0;
        for (at, line) in lines.iter().enumerate() {
            // A window of summaries ends where the next begins.
            let ns = line.end_ns - i64::from(line.kind == Kind::Summary);
            self.series.settle(ns);
            if self.series.is_over(ns) {
                self.write(lines, begin..at)?;
                self.rotate(ns).map_err(|failure| (failure, lines.len() - at))?;
                begin = at;
            }
        }
        self.write(lines, begin..lines.len())
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        let now = now_ns();
        if !self.series.goes_by_records() && self.series.is_over(now) {
            self.rotate(now)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.series.complete()
    }
}
