//! IPFIX Files (RFC 5655): each is one session, every Message whole, with its templates and options at its beginning.

use std::path::Path;
use std::sync::Arc;

use flowgauge_templates::management::TransportKind;

use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::queue::Batch;
use super::series::{Content, Series};
use super::windows::Slices;
use crate::exporting::{DestinationAccounts, ExportingProcess, limits};
use crate::metering::Records;

/// IPFIX Files being written, one after the other.
#[derive(Debug)]
pub struct IpfixFile {
    process: ExportingProcess,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    series: Series,
    /// Nothing is in the file yet.
    is_new: bool,
}

/// Why a batch is not written to its end.
enum Interruption {
    /// The file is full; the rest is for the next one.
    Full,
    Failed(Failure),
}

impl IpfixFile {
    /// Creates the file, so that a wrong path is said before any packet is read.
    ///
    /// # Errors
    /// One line for people.
    pub fn create(path: &Path, context: &Context, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        Ok(Self {
            process: context.exporting_process(TransportKind::File, limits::FILE_MESSAGE_OCTETS)?,
            series: Series::create(path, Content::Messages, context, accounts.clone())?,
            context: context.clone(),
            accounts,
            is_new: true,
        })
    }

    /// Writes the Messages that are ready; `done` grows by their Flow Records.
    fn write_ready(&mut self, done: &mut usize, progress: &mut Progress) -> Result<(), Interruption> {
        while let Some(message) = self.process.poll_message() {
            let records = u64::from(message.flow_records);
            if records > 0 && self.series.is_full(message.bytes.len()) {
                return Err(Interruption::Full);
            }
            self.series
                .write(&message.bytes, records, progress)
                .map_err(Interruption::Failed)?;
            *done += records as usize;
            self.accounts.add_exported(records, message.bytes.len() as u64);
            self.process.recycle(message.bytes);
        }
        Ok(())
    }

    /// Writes statistics, which are never too long for a file.
    fn write_statistics(&mut self) -> Result<(), Failure> {
        let statistics = self.context.statistics(&self.accounts);
        self.process.handle_statistics(now_ns(), &statistics);
        match self.write_ready(&mut 0, &mut Progress::new()) {
            Ok(()) | Err(Interruption::Full) => Ok(()),
            Err(Interruption::Failed(failure)) => Err(failure),
        }
    }

    /// Ends the file; the next one is of the window of `ns` and begins a session.
    fn rotate(&mut self, ns: i64) -> Result<(), Failure> {
        self.write_statistics()?;
        self.series.complete()?;
        self.series.enter(ns);
        self.process.restart();
        self.is_new = true;
        Ok(())
    }

    /// Ends the file before Messages that are ready. Their numbers are taken, so that nothing may come behind them in it;
    /// the next file begins with the statistics.
    fn rotate_full(&mut self) -> Result<(), Failure> {
        self.series.complete()?;
        self.series.go_on();
        self.process.restart();
        self.is_new = true;
        Ok(())
    }

    /// Writes records of one window.
    fn write_records(&mut self, records: &Records) -> Result<(), (Failure, usize)> {
        let mut done = 0;
        let mut progress = Progress::new();
        loop {
            let left = |done: usize| records.len() - done;
            if std::mem::take(&mut self.is_new) {
                self.write_statistics().map_err(|failure| (failure, left(done)))?;
            }
            self.process.handle_records(now_ns(), records, done);
            self.accounts.add_reduced(self.process.take_reduced());
            match self.write_ready(&mut done, &mut progress) {
                Ok(()) if left(done) == 0 => return Ok(()),
                Ok(()) => {
                    let failure = Failure::Broken(format!("{}: a record could not be encoded", self.accounts.name));
                    return Err((failure, left(done)));
                }
                Err(Interruption::Full) => self.rotate_full().map_err(|failure| (failure, left(done)))?,
                Err(Interruption::Failed(failure)) => return Err((failure, left(done))),
            }
        }
    }
}

impl Transport for IpfixFile {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        if !self.series.goes_by_records() {
            let now = now_ns();
            if self.series.is_over(now) {
                self.rotate(now).map_err(|failure| (failure, batch.len()))?;
            }
            return self.write_records(batch);
        }
        let mut left = batch.len();
        let mut slices = Slices::new(batch);
        while let Some(begin) = slices.begin_ns() {
            self.series.settle(begin);
            if self.series.is_over(begin) {
                self.rotate(begin).map_err(|failure| (failure, left))?;
            }
            let slice = slices.until(|ns| self.series.is_over(ns));
            let (records, behind) = (slice.as_ref(), left - slice.as_ref().len());
            self.write_records(records)
                .map_err(|(failure, unwritten)| (failure, behind + unwritten))?;
            left = behind;
        }
        Ok(())
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        let now = now_ns();
        if self.series.is_provisional() {
            return Ok(());
        }
        if !self.series.goes_by_records() && self.series.is_over(now) {
            // A window without records has its file all the same: it says that the exporter was there.
            self.rotate(now)?;
        }
        if self.process.handle_timeout(now) || std::mem::take(&mut self.is_new) {
            self.write_statistics()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if !self.series.is_provisional() {
            self.write_statistics()?;
        }
        self.series.complete()
    }
}
