//! IPFIX Files (RFC 5655): one file, one session, every Message whole.
//!
//! The file grows as `PATH.part` beside its place and is renamed when it is complete, so that nobody reads half a file
//! under the right name. What is not a regular file (a pipe, a device) is written directly.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowgauge_templates::management::TransportKind;

use super::destination::{Context, Failure, Transport, now_ns};
use super::queue::Batch;
use crate::exporting::{DestinationAccounts, ExportingProcess, limits};

/// An IPFIX File being written.
#[derive(Debug)]
pub struct IpfixFile {
    process: ExportingProcess,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    file: File,
    /// Where it grows, when that is not its place.
    part: Option<PathBuf>,
    path: PathBuf,
    /// Octets of whole Messages.
    length: u64,
}

impl IpfixFile {
    /// Creates the file, so that a wrong path is said before any packet is read.
    ///
    /// # Errors
    /// One line for people.
    pub fn create(path: &Path, context: &Context, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        if path.is_dir() {
            return Err(line(&accounts.name, &io::ErrorKind::IsADirectory.into()));
        }
        let part = (!is_special(path)).then(|| part_of(path));
        let target = part.as_deref().unwrap_or(path);
        let file = create(target).map_err(|error| line(&accounts.name, &error))?;
        let process = context.exporting_process(TransportKind::File, limits::FILE_MESSAGE_OCTETS)?;
        Ok(Self {
            process,
            context: context.clone(),
            accounts,
            file,
            part,
            path: path.to_owned(),
            length: 0,
        })
    }

    /// Writes the Messages that are ready; says how many Flow Records that were.
    fn write_ready(&mut self) -> Result<usize, (Failure, usize)> {
        let mut written = 0;
        while let Some(message) = self.process.poll_message() {
            if let Err(error) = self.file.write_all(&message.bytes) {
                return Err((self.broken(&error), written));
            }
            self.length += message.bytes.len() as u64;
            written += message.flow_records as usize;
            self.accounts
                .add_exported(u64::from(message.flow_records), message.bytes.len() as u64);
            self.process.recycle(message.bytes);
        }
        Ok(written)
    }

    /// A reader of the part file shall find whole Messages only.
    fn broken(&mut self, error: &io::Error) -> Failure {
        let mut text = line(&self.accounts.name, error);
        if let Some(part) = &self.part {
            match self.file.set_len(self.length) {
                Ok(()) => text.push_str(&format!("; all before that is in {}", part.display())),
                Err(error) => text.push_str(&format!(
                    "; {} ends in the middle of a Message: {error}",
                    part.display()
                )),
            }
        }
        Failure::Broken(text)
    }
}

impl Transport for IpfixFile {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        self.process.handle_records(now_ns(), batch, 0);
        self.accounts.add_reduced(self.process.take_reduced());
        match self.write_ready() {
            Ok(written) if written == batch.len() => Ok(()),
            Ok(written) => Err((
                Failure::Broken(format!("{}: a record could not be encoded", self.accounts.name)),
                batch.len() - written,
            )),
            Err((failure, written)) => Err((failure, batch.len() - written)),
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        if self.process.handle_timeout(now_ns()) {
            self.process
                .handle_statistics(now_ns(), &self.context.statistics(&self.accounts));
        }
        self.write_ready().map(drop).map_err(|(failure, _)| failure)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.process
            .handle_statistics(now_ns(), &self.context.statistics(&self.accounts));
        self.write_ready().map_err(|(failure, _)| failure)?;
        let Some(part) = self.part.take() else { return Ok(()) };
        let done = self.file.sync_all().and_then(|()| std::fs::rename(&part, &self.path));
        done.map_err(|error| {
            Failure::Broken(format!(
                "{}; everything is in {}",
                line(&self.accounts.name, &error),
                part.display()
            ))
        })
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
        _ => return format!("{destination}: {error}"),
    };
    format!("{destination}: {error}; {advice}")
}

/// Whether something that is not a regular file is at `path`.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
