//! Wires the exporter by hand: files on this thread or interfaces on one thread a worker, a flow table each, one thread
//! per destination.
//!
//! ```text
//! source -frames-> Meter -records-> batches -> queue -> destination
//!                                          \-> queue -> destination
//! ```
//! Files wait for slow destinations, live packets do not. A signal ends all flows, and what is queued is sent.

pub mod accounts;
mod api;
mod bounds;
mod metering;
mod rights;
mod sflow;
mod sources;
mod summaries;
pub mod summary;

use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::api::SharedAccounts;
use crate::config::{Config, MeteringConfig, Source};
use crate::exporting::limits::TCP_MESSAGE_OCTETS;
use crate::exporting::summaries::SummaryPlan;
use crate::io::destination::{Context, SharedMetering, Worker, now_ns};
use crate::io::identity;
use crate::io::patience::Stop;
use crate::io::queue::{Batch, Spares};
use crate::io::retry::seed;
use crate::limits;
use crate::metering::MeterConfig;
use crate::metering::application::ApplicationConfig;
use crate::metering::dns::DnsConfig;
use crate::sflow::Agent;
use crate::summaries::{SharedSummaries, SummariesConfig};
use accounts::{Accounts, MeteringAccounts, SummaryAccounts};
use metering::MeteringLoop;
use sources::Sources;

/// Runs until the files are read, or a signal comes.
///
/// # Errors
/// One line for people when it cannot start. What fails later is logged and in the accounts.
pub fn run(config: &Config) -> Result<Accounts, String> {
    let from_files = matches!(config.capture.source, Source::Files(_));
    let stop = Arc::new(Stop::new(config.exporting.drain_timeout, from_files));
    let metering = Arc::new(SharedMetering::default());
    // Sources first: without packets there is no reason to touch a destination.
    let sources = Sources::open(config, &stop)?;
    let geo = summaries::geo(config)?;
    let context = Context {
        config: config.exporting.clone(),
        stop: stop.clone(),
        metering: metering.clone(),
        identity: Arc::new(identity::identity(live_interfaces(config))),
        selectors: config.metering.sampling.selectors().into(),
        spares: Arc::default(),
        geo: geo.clone(),
        from_files,
    };
    // Whoever shows summaries on this host reads them from here.
    let shared_summaries = summaries::shared(config, sources.workers());
    let summing = summaries::summing(config, geo);
    let accounts = Arc::new(SharedAccounts::default());
    // Its port may need rights.
    let api = api::start(
        config,
        shared_summaries.clone(),
        accounts.clone(),
        summing.networks.clone(),
    )?;
    let workers = start_destinations(config, &context)?;
    let agent = sflow::start(config, &stop)?;
    workers
        .iter()
        .for_each(|worker| accounts.add_destination(worker.accounts.clone()));
    agent
        .iter()
        .for_each(|agent| accounts.set_sflow(agent.accounts().clone()));
    if let Err(line) = rights::give_up(config).and_then(|()| listen_to_signals(&stop)) {
        end(workers, &stop);
        return Err(line);
    }

    let sampling = agent.as_ref().map(|agent| sflow::Sampling::new(config, agent));
    let fan_out = FanOut {
        workers: &workers,
        sharing: config.exporting.share.len(),
        sampling: sampling.as_ref(),
        spares: &context.spares,
        from_files,
    };
    let meter_config = MeterConfig {
        one_packet_once: sources.have_several_interfaces(),
        ..meter_config(&config.metering, sources.workers())
    };
    let wiring = Wiring {
        fan_out: &fan_out,
        stop: &stop,
        metering: &metering,
        accounts: &accounts,
        summaries: shared_summaries.as_deref(),
        summing: &summing,
        sampling: sampling.as_ref(),
        exports_transactions: config.metering.dns.enabled,
    };
    let plan = summary_plan(config);
    api.iter().for_each(|api| api.shared().set_ready(true));
    let (metered, summaries) = thread::scope(|scope| {
        let are_exported = config.metering.summaries.are_exported;
        let exporting = shared_summaries.as_deref().map(|shared| {
            if are_exported {
                shared.attach_export();
            }
            scope.spawn(|| summaries::export(shared, plan, &fan_out))
        });
        let metered = meter(sources, &meter_config, &wiring);
        shared_summaries.as_deref().map(SharedSummaries::end);
        let exported = exporting.map(|thread| thread.join().unwrap_or_default());
        let summaries = shared_summaries
            .as_deref()
            .zip(exported)
            .map(|(shared, exported)| SummaryAccounts {
                counted: shared.counters(),
                shared: shared.shared_counters(),
                exported,
            });
        (metered, summaries)
    });
    api.iter().for_each(|api| api.shared().set_ready(false));
    workers.iter().for_each(|worker| worker.queue.close());
    stop.drain();
    let sflow = agent.map(Agent::finish);
    let destinations = workers.into_iter().map(|worker| worker.join().snapshot()).collect();
    Ok(Accounts {
        metered,
        destinations,
        summaries,
        sflow,
        from_files,
    })
}

/// What of summaries leaves: records that fit into the Messages of every destination. The Selector is named where it is one; adaptive sampling changes it within a window.
fn summary_plan(config: &Config) -> SummaryPlan {
    let octets = config.exporting.mtu.min(TCP_MESSAGE_OCTETS);
    let selector = match config.metering.sampling.selectors().as_slice() {
        [only] => only.id,
        _ => 0,
    };
    SummaryPlan::new(config.exporting.summaries, octets, selector)
}

/// Meters until the sources end or the exporter is stopped.
fn meter(sources: Sources, meter_config: &MeterConfig, wiring: &Wiring<'_>) -> Vec<MeteringAccounts> {
    match sources {
        Sources::Files(mut files) => {
            vec![MeteringLoop::new(None, 0, meter_config.clone(), wiring).run(&mut *files)]
        }
        Sources::Live(sources) => thread::scope(|scope| {
            let workers = sources.len();
            let threads: Vec<_> = sources
                .into_iter()
                .enumerate()
                .map(|(at, mut source)| {
                    let name = sources::name(&source, at, workers);
                    let metering_loop = MeteringLoop::new(Some(name), at, meter_config.clone(), wiring);
                    scope.spawn(move || {
                        let mut accounts = metering_loop.run(&mut source);
                        accounts.interfaces = source
                            .by_interface()
                            .map(|(name, counters)| (name.to_owned(), counters))
                            .collect();
                        accounts
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| MeteringAccounts::panicked()))
                .collect()
        }),
    }
}

/// What every metering loop works with.
struct Wiring<'w> {
    fan_out: &'w FanOut<'w>,
    stop: &'w Stop,
    metering: &'w SharedMetering,
    accounts: &'w SharedAccounts,
    summaries: Option<&'w SharedSummaries>,
    /// How workers sum up.
    summing: &'w SummariesConfig,
    /// How they sample for sFlow.
    sampling: Option<&'w sflow::Sampling>,
    /// Whether DNS transactions are exported; for summaries alone they are only counted.
    exports_transactions: bool,
}

/// The interfaces captured from; none when files are read.
fn live_interfaces(config: &Config) -> impl Iterator<Item = &str> {
    let names: &[String] = match &config.capture.source {
        Source::Live(names) => names,
        Source::Files(_) => &[],
    };
    names.iter().map(String::as_str)
}

fn start_destinations(config: &Config, context: &Context) -> Result<Vec<Worker>, String> {
    let mut workers = Vec::new();
    // Those of sFlow have an agent in common.
    let to = config.exporting.to.iter().filter(|to| !to.takes_samples());
    let records = to.chain(&config.exporting.share);
    for destination in records {
        match Worker::start(destination, context) {
            Ok(worker) => workers.push(worker),
            Err(line) => {
                end(workers, &context.stop);
                return Err(line);
            }
        }
    }
    Ok(workers)
}

/// Those that started end as if there had been nothing to send.
fn end(workers: Vec<Worker>, stop: &Stop) {
    workers.iter().for_each(|worker| worker.queue.close());
    stop.drain();
    workers.into_iter().for_each(|worker| drop(worker.join()));
}

/// The flow tables of several workers share the allowance. The seed is the same in all: which flows are sampled must not
/// depend on the worker.
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
        tcp_performance: config.tcp_performance,
        applications: ApplicationConfig {
            enabled: config.applications.protocols,
            ..ApplicationConfig::default()
        },
        dns: DnsConfig {
            enabled: config.dns.enabled || config.summaries.window.is_some(),
            ports: config.dns.ports,
            timeout_ns: ns(config.dns.timeout),
            // Summaries have no use for answers.
            answers_interval: match config.dns.enabled {
                true => config.dns.answers_interval,
                false => 0,
            },
            ..DnsConfig::default()
        },
        open_tunnels: config.open_tunnels,
        arp: config.applications.arp,
        sampling: config.sampling,
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
                if signal == SIGHUP {
                    tracing::info!("signal {signal}: goes on as it is; to take up a changed configuration, restart");
                    continue;
                }
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
    /// How many of them, the last ones, share the records among them.
    sharing: usize,
    sampling: Option<&'w sflow::Sampling>,
    spares: &'w Spares,
    from_files: bool,
}

impl FanOut<'_> {
    fn push(&self, worker: &Worker, batch: Batch) {
        match self.from_files {
            true => worker.queue.push_waiting(now_ns(), batch),
            false => worker.push_dropping(batch),
        }
    }

    /// Says whether any destination still takes records: without one, metering on is of no use.
    fn send(&self, batch: Batch) -> bool {
        let (all, sharing) = self.workers.split_at(self.workers.len() - self.sharing);
        all.iter().for_each(|worker| self.push(worker, batch.clone()));
        for (part, worker) in sharing.iter().enumerate() {
            let records = batch.part(part, self.sharing);
            if !records.is_empty() {
                self.push(worker, Batch::new(records));
            }
        }
        // A destination may be done with it already.
        self.spares.give(batch);
        self.workers.iter().any(|worker| !worker.queue.is_dead())
            || self.sampling.is_some_and(sflow::Sampling::is_alive)
    }
}
