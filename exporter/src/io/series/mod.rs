//! Files that grow as `PATH.part` and get their name when they are complete, so that nobody reads half a file under the
//! right name; one file, or one after the other by time and by size.
//!
//! A file that is one of a series is never written over: where its name is taken it gets a number. A disk that is full
//! ends a single file, and is waited for by a series.

mod kept;
mod leftover;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::destination::{Context, Failure, Progress, now_ns};
use super::log_limit::LogLimit;
use super::patience::Stop;
use super::retry::{Retry, seed};
use crate::config::Keep;
use crate::config::pattern::{Pattern, numbered};
use crate::exporting::{DestinationAccounts, Event, Loss};
pub(super) use leftover::Content;

/// Files whose names differ by their number alone.
const MAX_NUMBER: u32 = 100_000;
/// Names of files tell times apart that differ by this much.
const NAME_NS: i64 = 1_000_000_000;
/// How long to sleep at a time while a disk is full.
const NAP: Duration = Duration::from_secs(1);

/// The files of one destination.
#[derive(Debug)]
pub(super) struct Series {
    path: PathBuf,
    /// Names of files, where there are several.
    pattern: Option<Pattern>,
    period_ns: Option<i64>,
    max_octets: Option<u64>,
    keep: Keep,
    content: Content,
    /// Windows go by the time of records, because that is the time of the capture.
    by_record_time: bool,
    accounts: Arc<DestinationAccounts>,
    stop: Arc<Stop>,
    growing: Option<Growing>,
    window_ns: i64,
    /// Files begun in this window.
    in_window: u32,
    retry: Retry,
    full: LogLimit,
}

/// The file that grows.
#[derive(Debug)]
struct Growing {
    file: File,
    /// Where it grows, when that is not its place.
    part: Option<PathBuf>,
    place: PathBuf,
    /// Octets of whole Messages or lines.
    length: u64,
    records: u64,
    /// Nothing says yet of which time it is.
    is_provisional: bool,
}

impl Series {
    /// Completes what a crash has left, and creates the first file, so that a wrong path is said before any packet is read.
    ///
    /// # Errors
    /// One line for people.
    pub fn create(
        path: &Path,
        content: Content,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
    ) -> Result<Self, String> {
        let config = context.config.files;
        let named = Pattern::parse(&path.to_string_lossy()).map_err(|why| format!("{}: {why}", accounts.name))?;
        let rotates = config.rotate.is_some() || config.rotate_octets.is_some() || named.has_time();
        let plain = named.path_at(0);
        if !named.has_time() && plain.is_dir() {
            return Err(line(&accounts.name, &io::ErrorKind::IsADirectory.into()));
        }
        let is_series = rotates && (named.has_time() || !is_special(&plain));
        let by_name = Duration::from_secs(named.changes_after_s().unwrap_or_default());
        let period = config.rotate.or(named.has_time().then_some(by_name));
        let mut series = Self {
            period_ns: period
                .filter(|_| is_series)
                .map(|period| i64::try_from(period.as_nanos()).unwrap_or(i64::MAX)),
            max_octets: config.rotate_octets.filter(|_| is_series),
            pattern: is_series.then(|| named.dated()),
            path: plain,
            keep: config.keep,
            content,
            by_record_time: context.from_files,
            accounts,
            stop: context.stop.clone(),
            growing: None,
            window_ns: 0,
            in_window: 0,
            retry: Retry::new(seed()),
            full: LogLimit::default(),
        };
        series.recover();
        series.enter(now_ns());
        let growing = series.open().map_err(|error| line(&series.accounts.name, &error))?;
        series.growing = Some(Growing {
            is_provisional: series.goes_by_records(),
            ..growing
        });
        series.enforce_limits();
        Ok(series)
    }

    /// Whether windows go by the time of records.
    pub fn goes_by_records(&self) -> bool {
        self.by_record_time && self.period_ns.is_some()
    }

    /// Whether nothing says yet of which time the file is.
    pub fn is_provisional(&self) -> bool {
        self.growing.as_ref().is_some_and(|growing| growing.is_provisional)
    }

    /// Whether a time is behind the window of the file that grows.
    pub fn is_over(&self, ns: i64) -> bool {
        let end = |period: i64| self.window_ns.saturating_add(period);
        !self.is_provisional() && self.period_ns.is_some_and(|period| ns >= end(period))
    }

    /// Octets for which the file that grows has room; none where that does not matter.
    pub fn room(&self) -> Option<u64> {
        let length = self.growing.as_ref().map_or(0, |growing| growing.length);
        self.max_octets.map(|most| most.saturating_sub(length))
    }

    /// Whether so many octets more are too many for the file that grows. A file takes something, whatever its length.
    pub fn is_full(&self, octets: usize) -> bool {
        let has_records = self.growing.as_ref().is_some_and(|growing| growing.records > 0);
        has_records && self.room().is_some_and(|room| octets as u64 > room)
    }

    /// The first record's time is known: the file gets the name of its window.
    pub fn settle(&mut self, ns: i64) {
        let Some(growing) = self.growing.take_if(|growing| growing.is_provisional) else {
            return;
        };
        // Nothing is in it yet. The next write opens the one of the window, or says why it cannot.
        if let Some(part) = growing.part {
            let _ = std::fs::remove_file(part);
        }
        self.in_window = 0;
        self.enter(ns);
    }

    /// The window that a time is in begins; the next write opens its file.
    pub fn enter(&mut self, ns: i64) {
        let period = self.period_ns.unwrap_or(NAME_NS).max(1);
        let begin = ns - ns.rem_euclid(period);
        if begin != self.window_ns {
            self.window_ns = begin;
            self.in_window = 0;
        }
    }

    /// Another file of the same window begins with the next write.
    pub fn go_on(&mut self) {
        if self.period_ns.is_none() {
            self.enter(now_ns());
        }
    }

    /// Writes something whole with `records` in it. While a series cannot write it waits, until someone gives it up.
    ///
    /// # Errors
    /// When nothing more can be written.
    pub fn write(&mut self, octets: &[u8], records: u64, progress: &mut Progress) -> Result<(), Failure> {
        loop {
            let error = match self.try_write(octets, records) {
                Ok(()) => break,
                Err(error) => error,
            };
            let text = self.cut(&error);
            if self.pattern.is_none() {
                return Err(Failure::Broken(text));
            }
            self.accounts.add_send_error();
            let wait = self.retry.handle_failure(now_ns());
            if self.full.permit(Instant::now()).is_some() {
                tracing::warn!("{text}; trying again in {:.1} s", wait.as_secs_f64());
            }
            while !self.retry.is_due(now_ns()) && !self.stop.is_over(progress.at()) {
                self.stop.sleep(self.retry.wait(now_ns()).min(NAP));
            }
            if self.stop.is_over(progress.at()) {
                // What is whole gets its name all the same.
                self.complete()?;
                return Err(Failure::GivenUp);
            }
        }
        if self.retry.failures() > 0 {
            let name = &self.accounts.name;
            tracing::info!("{name}: writes again after {} failed tries", self.retry.failures());
            self.retry.handle_success(now_ns());
        }
        progress.moved();
        Ok(())
    }

    fn try_write(&mut self, octets: &[u8], records: u64) -> io::Result<()> {
        let growing = match &mut self.growing {
            Some(growing) => growing,
            None => {
                let opened = self.open()?;
                self.growing.insert(opened)
            }
        };
        growing.file.write_all(octets)?;
        growing.length += octets.len() as u64;
        growing.records += records;
        Ok(())
    }

    /// A reader of the part file shall find whole Messages or lines only.
    fn cut(&mut self, error: &io::Error) -> String {
        let mut text = line(&self.accounts.name, error);
        let Some(growing) = &mut self.growing else { return text };
        let Some(part) = growing.part.as_deref() else {
            return text;
        };
        use std::io::Seek;
        let cut = growing
            .file
            .set_len(growing.length)
            .and_then(|()| growing.file.seek(io::SeekFrom::Start(growing.length)));
        match cut {
            Ok(_) if self.pattern.is_some() => {}
            Ok(_) => text.push_str(&format!("; all before that is in {}", part.display())),
            Err(error) => text.push_str(&format!(
                "; {} ends in the middle of a {}: {error}",
                part.display(),
                self.content.unit()
            )),
        }
        text
    }

    /// Gives the file that grows its name. A series goes on if that fails; what is in the file then counts as lost.
    ///
    /// # Errors
    /// When a single file cannot be completed.
    pub fn complete(&mut self) -> Result<(), Failure> {
        let Some(growing) = self.growing.take() else {
            return Ok(());
        };
        let Some(part) = &growing.part else { return Ok(()) };
        if growing.is_provisional {
            // There was no record, and so there is no window.
            let _ = std::fs::remove_file(part);
            return Ok(());
        }
        let place = match &self.pattern {
            // Somebody else may have taken the name meanwhile.
            Some(_) if growing.place.exists() => self.free(&growing.place),
            _ => growing.place.clone(),
        };
        let done = growing
            .file
            .sync_all()
            .and_then(|()| std::fs::rename(part, &place))
            .and_then(|()| sync_folder(&place));
        match done {
            Ok(()) => {
                self.accounts.events.add(Event::FileCompleted);
                self.enforce_limits();
                Ok(())
            }
            Err(error) => {
                let text = format!(
                    "{}; everything is in {}",
                    line(&self.accounts.name, &error),
                    part.display()
                );
                if self.pattern.is_none() {
                    return Err(Failure::Broken(text));
                }
                tracing::warn!("{text}");
                self.accounts.add_send_error();
                self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, growing.records);
                Ok(())
            }
        }
    }

    /// Opens the file of the window.
    fn open(&mut self) -> io::Result<Growing> {
        let mut place = match &self.pattern {
            Some(pattern) => pattern.path_at(self.window_ns),
            None => self.path.clone(),
        };
        if is_special(&place) {
            return Ok(Growing::new(create(&place)?, None, place));
        }
        if let Some(pattern) = &self.pattern {
            // Folders of the time are ours; those around them must be there.
            let (folder, fixed) = (place.parent().unwrap_or(Path::new("")), pattern.fixed_folder());
            if folder.starts_with(&fixed) && folder != fixed && fixed.is_dir() {
                std::fs::create_dir_all(folder)?;
            }
            if self.in_window > 0 || place.exists() {
                let free = self.free(&place);
                if self.in_window == 0 {
                    self.accounts.events.add(Event::FileNumbered);
                    tracing::warn!(
                        "{}: {} is there already and stays; writing {}",
                        self.accounts.name,
                        place.display(),
                        free.display()
                    );
                }
                place = free;
            }
        } else if let Ok(earlier) = place.metadata() {
            tracing::warn!(
                "{}: an earlier file of {} octets is replaced when this one is complete",
                self.accounts.name,
                earlier.len()
            );
        }
        let part = part_of(&place);
        let file = lock(&part)?;
        file.set_len(0)?;
        self.in_window += 1;
        Ok(Growing::new(file, Some(part), place))
    }

    /// `place`, or the first with a number that nobody has.
    fn free(&self, place: &Path) -> PathBuf {
        let is_free = |path: &PathBuf| !path.exists() && !part_of(path).exists();
        let numbers = self.in_window.max(1)..MAX_NUMBER;
        [place.to_owned()]
            .into_iter()
            .filter(|_| self.in_window == 0)
            .chain(numbers.map(|number| numbered(place, number)))
            .find(is_free)
            .unwrap_or_else(|| numbered(place, MAX_NUMBER))
    }
}

impl Growing {
    fn new(file: File, part: Option<PathBuf>, place: PathBuf) -> Self {
        Self {
            file,
            part,
            place,
            length: 0,
            records: 0,
            is_provisional: false,
        }
    }
}

/// Opens a file that nobody else writes, to be written by us alone as long as it is open.
fn lock(part: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(part)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another exporter is writing {}", part.display()),
        )),
        // Not every file system has locks.
        Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// The name of a file is safe when its folder is.
fn sync_folder(place: &Path) -> io::Result<()> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new("."))) {
        Ok(folder) => folder.sync_all(),
        // Who may write in a folder may not always read it.
        Err(_) => Ok(()),
    }
}

/// Creates or empties a file to write to.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// One line for people: what, where, what to do.
pub(super) fn line(destination: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "make the directory first",
        io::ErrorKind::PermissionDenied => "choose a path that this user may write to",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space or write elsewhere",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::BrokenPipe => "the reader has gone away",
        io::ErrorKind::ResourceBusy => "give each a name of its own",
        _ => return format!("{destination}: {error}"),
    };
    format!("{destination}: {error}; {advice}")
}

/// Whether something that is not a regular file is at `path`.
pub(super) fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
