//! Wires the exporter by hand: captures on this or one thread per interface, a flow table each, one thread per destination.
//!
//! ```text
//! source -frames-> Meter -records-> batches -> queue -> destination
//!                                          \-> queue -> destination
//! ```
//! Files wait for slow destinations, live packets do not. A signal ends all flows, and what is queued is sent.

pub mod accounts;
mod metering;

use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{Config, MeteringConfig, Source};
use crate::io::destination::{Context, SharedMetering, Worker, now_ns};
use crate::io::live::{LiveCapture, LiveConfig};
use crate::io::patience::Stop;
use crate::io::pcap_file::PcapFiles;
use crate::io::queue::Batch;
use crate::io::retry::seed;
use crate::limits;
use crate::metering::MeterConfig;
use accounts::{Accounts, MeteringAccounts};
use metering::MeteringLoop;

/// Runs until the files are read, or a signal comes.
///
/// # Errors
/// One line for people when it cannot start. What fails later is logged and in the accounts.
pub fn run(config: &Config) -> Result<Accounts, String> {
    let from_files = matches!(config.capture.source, Source::Files(_));
    let stop = Arc::new(Stop::new(config.exporting.drain_timeout, from_files));
    let metering = Arc::new(SharedMetering::default());
    // Sources first: without packets there is no reason to touch a destination.
    let sources = open_sources(config, &stop)?;
    let context = Context {
        config: config.exporting.clone(),
        stop: stop.clone(),
        metering: metering.clone(),
        from_files,
    };
    let workers = start_destinations(config, &context)?;
    listen_to_signals(&stop)?;

    let fan_out = FanOut {
        workers: &workers,
        from_files,
    };
    let meter_config = meter_config(&config.metering, sources.len());
    let metered = match sources {
        Sources::Files(mut files) => {
            vec![MeteringLoop::new(None, meter_config, &fan_out, &stop, &metering).run(&mut *files)]
        }
        Sources::Live(captures) => thread::scope(|scope| {
            let threads: Vec<_> = captures
                .into_iter()
                .map(|(interface, mut capture)| {
                    let metering_loop =
                        MeteringLoop::new(Some(interface), meter_config.clone(), &fan_out, &stop, &metering);
                    scope.spawn(move || metering_loop.run(&mut capture))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| MeteringAccounts::panicked()))
                .collect()
        }),
    };
    workers.iter().for_each(|worker| worker.queue.close());
    stop.drain();
    let destinations = workers.into_iter().map(|worker| worker.join().snapshot()).collect();
    Ok(Accounts {
        metered,
        destinations,
        from_files,
    })
}

enum Sources {
    Files(Box<PcapFiles>),
    Live(Vec<(String, LiveCapture)>),
}

impl Sources {
    fn len(&self) -> usize {
        match self {
            Self::Files(_) => 1,
            Self::Live(captures) => captures.len(),
        }
    }
}

fn open_sources(config: &Config, stop: &Arc<Stop>) -> Result<Sources, String> {
    let filter = config.capture.filter.as_deref();
    match &config.capture.source {
        Source::Files(paths) => PcapFiles::open(paths, filter)
            .map(|files| Sources::Files(Box::new(files.until(stop.clone()))))
            .map_err(|error| error.to_string()),
        Source::Live(interfaces) => interfaces
            .iter()
            .map(|interface| {
                let live = LiveConfig {
                    interface: interface.clone(),
                    filter: filter.map(str::to_owned),
                    ..LiveConfig::default()
                };
                let capture = LiveCapture::open(&live).map_err(|error| error.to_string())?;
                Ok((interface.clone(), capture))
            })
            .collect::<Result<_, String>>()
            .map(Sources::Live),
    }
}

fn start_destinations(config: &Config, context: &Context) -> Result<Vec<Worker>, String> {
    let mut workers = Vec::new();
    for destination in &config.exporting.to {
        match Worker::start(destination, context) {
            Ok(worker) => workers.push(worker),
            Err(line) => {
                // Those that started end as if there had been nothing to send.
                workers.iter().for_each(|worker: &Worker| worker.queue.close());
                context.stop.drain();
                workers.into_iter().for_each(|worker| drop(worker.join()));
                return Err(line);
            }
        }
    }
    Ok(workers)
}

/// The flow tables of several interfaces share the allowance.
fn meter_config(config: &MeteringConfig, tables: usize) -> MeterConfig {
    let ns = |duration: std::time::Duration| {
        i64::try_from(duration.as_nanos())
            .unwrap_or(i64::MAX / 4)
            .min(i64::MAX / 4)
    };
    MeterConfig {
        idle_timeout_ns: ns(config.idle_timeout),
        active_timeout_ns: ns(config.active_timeout),
        max_flows: (config.max_flows.unwrap_or(limits::DEFAULT_MAX_FLOWS) / tables.max(1)).max(1),
        hash_seed: seed(),
        ..MeterConfig::default()
    }
}

fn listen_to_signals(stop: &Arc<Stop>) -> Result<(), String> {
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| format!("cannot listen to signals: {error}"))?;
    let stop = stop.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                match stop.is_requested() {
                    false => tracing::info!("signal {signal}: ending all flows; once more gives up what is queued"),
                    true => tracing::warn!("signal {signal} again: giving up what is queued"),
                }
                stop.request();
            }
        })
        .map_err(|error| format!("no thread to listen to signals with: {error}"))?;
    Ok(())
}

/// Hands each batch to every destination.
#[derive(Debug)]
struct FanOut<'w> {
    workers: &'w [Worker],
    from_files: bool,
}

impl FanOut<'_> {
    /// Says whether any destination still takes records: without one, metering on is of no use.
    fn send(&self, batch: &Batch) -> bool {
        for worker in self.workers {
            if self.from_files {
                worker.queue.push_waiting(now_ns(), batch.clone());
            } else {
                worker.push_dropping(batch.clone());
            }
        }
        self.workers.iter().any(|worker| !worker.queue.is_dead())
    }
}
