//! A capture of our own: one thread meters packets and sums them up, as `run` does, and leaves snapshots.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::figures::Reading;
use super::{From, TopConfig, summing};
use crate::api::{SharedAccounts, rates_json, with_open};
use crate::capture::{FrameSource, Lent};
use crate::io::destination::now_ns;
use crate::io::live::{LiveConfig, LiveSource};
use crate::io::pcap_file::PcapFiles;
use crate::io::privileges;
use crate::metering::application::{ApplicationConfig, ProtocolSet};
use crate::metering::dns::DnsConfig;
use crate::metering::{FlowEndReason, Meter, MeterConfig};
use crate::run::accounts::MeteringAccounts;
use crate::summaries::json::window as window_json;
use crate::summaries::limits::{KEPT_WINDOWS, WINDOW_NS};
use crate::summaries::{SharedConfig, SharedSummaries, Summaries};

/// Live, windows of a minute, five of them and the newest.
pub(super) const LIVE_WINDOW_NS: i64 = 60_000_000_000;
const LIVE_WINDOWS: usize = 5;
/// Snapshots are left this often; the page looks once a second.
const HAND_OVER: Duration = Duration::from_millis(500);
/// Octets of a frame that are looked at: names within DNS messages need no more.
const SNAPLEN: u32 = 2048;

/// What the capturing thread and the page share.
#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    over: AtomicBool,
    faults: Mutex<Vec<String>>,
}

/// A capture and its summaries.
#[derive(Debug)]
pub(super) struct Local {
    name: String,
    summaries: Arc<SharedSummaries>,
    accounts: Arc<SharedAccounts>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    is_live: bool,
}

impl Local {
    /// Opens the interface or the files, and begins.
    ///
    /// # Errors
    /// One line for people.
    pub fn start(config: &TopConfig) -> Result<Local, String> {
        let filter = config.filter.clone();
        // The time of captures is not the clock's: as few windows as possible keep all of them, up to thirty hours.
        let (window_ns, kept) = match config.from {
            From::Interface(_) => (LIVE_WINDOW_NS, LIVE_WINDOWS),
            _ => (WINDOW_NS[1], KEPT_WINDOWS[1]),
        };
        let summaries = Arc::new(SharedSummaries::new(SharedConfig {
            window_ns,
            kept,
            ..SharedConfig::default()
        }));
        summaries.keep_open();
        let mut local = Local {
            name: String::new(),
            summaries,
            accounts: Arc::default(),
            state: Arc::default(),
            thread: None,
            is_live: matches!(config.from, From::Interface(_)),
        };
        let metering = Metering {
            meter: meter(),
            summing: summing(config, window_ns)?,
            summaries: local.summaries.clone(),
            accounts: local.accounts.clone(),
            state: local.state.clone(),
            is_live: local.is_live,
            handed_over: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("metering".to_owned());
        let started = match &config.from {
            From::Interface(interface) => {
                let source = LiveSource::open(&LiveConfig {
                    interface: interface.clone(),
                    snaplen: SNAPLEN,
                    filter,
                    ..LiveConfig::default()
                })
                .map_err(|error| error.to_string())?;
                local.name = interface.clone();
                give_up_rights();
                thread.spawn(move || metering.run(source))
            }
            From::Files(files) => {
                let source = PcapFiles::open(files, filter.as_deref()).map_err(|error| error.to_string())?;
                local.name = files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect::<Vec<_>>()
                    .join(" ");
                thread.spawn(move || metering.run(source))
            }
            From::Url(_) => return Err("a URL is no capture".to_owned()),
        };
        local.thread = Some(started.map_err(|error| format!("no thread to capture with: {error}"))?);
        Ok(local)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.state.over.load(Ordering::Acquire)
    }

    /// Waits for the first second of an interface, or for the end of files.
    pub fn wait_for_first(&self) {
        let began = Instant::now();
        while !self.is_over() && (!self.is_live || began.elapsed() < Duration::from_secs(1)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What there is now.
    ///
    /// # Errors
    /// What went wrong with the capture; what was read until then is there when asked again.
    pub fn read(&mut self, only_newest: bool, rows: usize) -> Result<Reading, String> {
        let faults = std::mem::take(&mut *self.state.faults.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        let window = match only_newest {
            true => self.summaries.open().or_else(|| self.summaries.closed(0)),
            false => with_open(&self.summaries, self.summaries.config().kept + 1),
        };
        let summaries = self.is_live.then_some(&*self.summaries);
        Ok(Reading {
            window: window.map_or(Value::Null, |window| window_json(&window, rows)),
            rates: rates_json(summaries, &self.accounts),
        })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Root's rights were for opening the interface; who cannot give them up goes on with them, as `run` does.
fn give_up_rights() {
    if privileges::is_root()
        && let Ok(Some(user)) = privileges::find(privileges::DEFAULT_USER)
    {
        let _ = user.become_it();
    }
}

/// Without what only flow records have.
pub(crate) fn meter() -> Meter {
    let mut meter = Meter::new(MeterConfig {
        tcp_performance: false,
        applications: ApplicationConfig {
            enabled: ProtocolSet::NONE,
            ..ApplicationConfig::default()
        },
        dns: DnsConfig {
            enabled: true,
            answers_interval: 0,
            ..DnsConfig::default()
        },
        ..MeterConfig::default()
    });
    meter.keep_facts();
    meter
}

/// Takes what was metered into summaries; the flow records themselves are of no use here.
pub(crate) fn sum_up(meter: &mut Meter, summaries: &mut Summaries) {
    if let Some(facts) = meter.facts_mut() {
        facts.drain().for_each(|packet| summaries.packet(&packet));
    }
    if meter.records_waiting() > 0 {
        let records = meter.take_records();
        for transaction in &records.dns {
            summaries.transaction(transaction, transaction.qname(&records));
        }
        meter.recycle(records);
    }
}

struct Metering {
    meter: Meter,
    summing: Summaries,
    summaries: Arc<SharedSummaries>,
    accounts: Arc<SharedAccounts>,
    state: Arc<State>,
    is_live: bool,
    handed_over: Instant,
}

impl Metering {
    fn run(mut self, mut source: impl FrameSource) {
        let mut faults = 0;
        while !self.state.stop.load(Ordering::Relaxed) {
            match source.next_frames() {
                Ok(Lent::Frames(frames)) => self.meter.handle_frames(&frames),
                Ok(Lent::Frame(frame)) => self.meter.handle_frame(
                    frame.time_ns,
                    frame.link_type,
                    frame.bytes,
                    frame.wire_length,
                    frame.interface,
                ),
                Ok(Lent::Quiet) => self.meter.handle_timeout(now_ns()),
                Ok(Lent::End) => break,
                Err(error) => {
                    faults += 1;
                    let mut known = self.state.faults.lock().unwrap_or_else(PoisonError::into_inner);
                    known.push(error.to_string());
                }
            }
            sum_up(&mut self.meter, &mut self.summing);
            if self.handed_over.elapsed() >= HAND_OVER {
                if self.is_live {
                    self.summing.handle_timeout(now_ns());
                    // A source is asked for what was dropped; why it would not say is told by reading it.
                    let _ = source.load();
                }
                self.hand_over(&source, faults);
            }
        }
        while !self.meter.finish(FlowEndReason::ForcedEnd) {
            sum_up(&mut self.meter, &mut self.summing);
        }
        sum_up(&mut self.meter, &mut self.summing);
        self.summaries.finish(0, now_ns(), &mut self.summing);
        self.hand_over(&source, faults);
        self.state.over.store(true, Ordering::Release);
    }

    fn hand_over(&mut self, source: &impl FrameSource, faults: u64) {
        self.handed_over = Instant::now();
        self.summaries.hand_over(0, now_ns(), &mut self.summing);
        self.accounts.publish(
            0,
            MeteringAccounts {
                meter: self.meter.counters().clone(),
                dns: self.meter.dns_counters(),
                source: source.counters(),
                faults,
                ..MeteringAccounts::default()
            },
        );
    }
}
