//! A destination with a spool: what is handed over goes to disk as whole Messages, and a thread of its own sends it from
//! there, so that a collector that is away costs metering nothing.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;

use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::dispatch::Dispatch;
use super::log_limit::LogLimit;
use super::queue::{Batch, BatchQueue};
use super::session::{Connector, Courier};
use crate::exporting::{DestinationAccounts, Event, ExportingProcess, Loss, Volume};
use crate::spool::{self, Label, SpoolConfig, Writer};

/// How long to wait until writing is tried again that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The end of a destination that fills its spool.
#[derive(Debug)]
pub(super) struct Spooled {
    process: ExportingProcess,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    writer: Writer,
    sender: Option<JoinHandle<()>>,
    faults: LogLimit,
    losses: LogLimit,
}

impl Spooled {
    /// Opens the spool and begins to send what is in it.
    ///
    /// # Errors
    /// One line for people.
    pub fn start<C>(
        connector: C,
        (transport, max_message_octets): (TransportKind, u16),
        spool: &SpoolConfig,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: &BatchQueue,
    ) -> Result<Self, String>
    where
        C: Connector + Send + 'static,
        C::Link: Send,
    {
        let mut process = context.keeping_process(transport, max_message_octets)?;
        let (mut writer, reader, shared, opened) = spool::open(spool, &accounts.name)?;
        process.set_next_record(writer.first_record());
        let lost = Volume {
            flows: opened.lost_in_memory + opened.lost_open,
            ..Volume::default()
        };
        accounts.add_taken_over(opened.waiting.flows + lost.flows);
        accounts.add_lost(now_ns(), Loss::Crash, lost);
        accounts.events.add_times(Event::SpoolFault, opened.unreadable);
        let name = &accounts.name;
        if opened.waiting.flows > 0 {
            tracing::info!("{name}: {} records wait in the spool", opened.waiting.flows);
        }
        if lost.flows > 0 {
            tracing::warn!(
                "{name}: the exporter before ended by force; lost are {} records that were in memory, and about {} flows that had none yet",
                opened.lost_in_memory,
                opened.lost_open
            );
        }
        if let Some(handed) = writer.take_handed() {
            queue.note_handed(handed, context.metering.clone());
        }
        let courier = Courier {
            context: context.clone(),
            accounts: accounts.clone(),
        };
        let dispatch = Dispatch::new(connector, courier, reader, shared);
        let sender = std::thread::Builder::new()
            .name(format!(">{name}").chars().take(15).collect())
            .spawn(move || dispatch.run())
            .map_err(|error| format!("{name}: no thread to send with: {error}"))?;
        Ok(Self {
            process,
            context: context.clone(),
            accounts,
            writer,
            sender: Some(sender),
            faults: LogLimit::default(),
            losses: LogLimit::default(),
        })
    }

    /// Makes sure that there is a segment with room; a new one tells everything anew.
    fn provide_segment(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.writer.wants_segment() {
            let next = self.process.next_record();
            self.give_up_oldest();
            match self.writer.begin_segment(now_ns(), next) {
                Ok(()) => self.process.restart(),
                Err(error) => self.wait_after(&error, progress)?,
            }
        }
        Ok(())
    }

    /// Writes the Messages that are ready, of Flow Records with `volume` together.
    fn write_ready(&mut self, volume: &Volume, progress: &Progress) -> Result<(), Failure> {
        let written_ns = now_ns();
        while let Some(message) = self.process.poll_message() {
            let label = Label {
                content: message.content,
                records: message.records,
                volume: volume.share(u64::from(message.flow_records)),
                first_record: message.first_record,
                written_ns,
            };
            self.writer.add(label, &message.bytes);
            self.process.recycle(message.bytes);
        }
        while let Err(error) = self.writer.write(written_ns) {
            self.wait_after(&error, progress)?;
        }
        self.give_up_oldest();
        Ok(())
    }

    /// The queue before the spool takes what comes meanwhile, and gives up its oldest when it is full.
    fn wait_after(&mut self, error: &std::io::Error, progress: &Progress) -> Result<(), Failure> {
        self.accounts.events.add(Event::SpoolFault);
        if self.faults.permit(Instant::now()).is_some() {
            let name = &self.accounts.name;
            tracing::warn!("{name}: the spool cannot be written: {error}; trying again, free some space");
        }
        self.give_up_oldest();
        if self.context.stop.is_over(progress.at()) {
            return Err(Failure::GivenUp);
        }
        self.context.stop.sleep(AGAIN);
        Ok(())
    }

    fn give_up_oldest(&mut self) {
        let given_up = self.writer.give_up_oldest(now_ns());
        for (loss, volume) in [(Loss::SpoolFull, given_up.for_size), (Loss::SpoolAge, given_up.for_age)] {
            self.accounts.add_lost(now_ns(), loss, volume);
            if volume.flows > 0 && self.losses.permit(Instant::now()).is_some() {
                let (name, reason, records) = (&self.accounts.name, loss.as_str(), volume.flows);
                tracing::warn!(
                    "{name}: the oldest {records} records of the spool are given up ({reason}); see --spool-size and --spool-age"
                );
            }
        }
    }

    fn say_statistics(&mut self) {
        let statistics = self.context.statistics(&self.accounts);
        self.process.handle_statistics(now_ns(), &statistics);
    }

    fn end_sending(&mut self) {
        self.writer.close();
        if let Some(Err(_)) = self.sender.take().map(JoinHandle::join) {
            tracing::error!(
                "{}: the sending thread has panicked; please report this",
                self.accounts.name
            );
        }
    }
}

impl Transport for Spooled {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        let progress = Progress::new();
        self.provide_segment(&progress)
            .map_err(|failure| (failure, batch.len()))?;
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        self.process.handle_records(now_ns(), batch, 0);
        self.accounts.add_reduced(self.process.take_reduced());
        let volume = Volume::of(batch);
        let refused = self.process.take_refused();
        self.accounts.add_lost(now_ns(), Loss::Failed, volume.share(refused));
        self.write_ready(&volume, &progress)
            .map_err(|failure| (failure, batch.len() - refused as usize))
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        if self.process.handle_timeout(now_ns()) && !self.writer.wants_segment() {
            self.say_statistics();
        }
        self.write_ready(&Volume::default(), &Progress::new())?;
        self.writer.handle_timeout();
        Ok(())
    }

    /// Says the last statistics, and lets the sender send what it can. What is left waits for the next run.
    fn finish(&mut self) -> Result<(), Failure> {
        if !self.writer.wants_segment() {
            self.say_statistics();
            self.write_ready(&Volume::default(), &Progress::new())?;
        }
        self.end_sending();
        let waiting = self.accounts.snapshot().waiting();
        if waiting > 0 {
            let name = &self.accounts.name;
            tracing::info!("{name}: {waiting} records stay in the spool for the next run");
        }
        Ok(())
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.end_sending();
    }
}
