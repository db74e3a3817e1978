//! The loop of one source: frames into its flow table, records out of it in batches.

use std::time::{Duration, Instant};

use flowgauge_templates::packet::Fault;

use super::accounts::MeteringAccounts;
use super::summaries::Feed;
use super::{FanOut, Wiring};
use crate::api::SharedAccounts;
use crate::capture::{CaptureError, Frame, FrameSource, Lent, Next, SourceCounters};
use crate::exporting::MeteringStatistics;
use crate::exporting::limits::BATCH_RECORDS;
use crate::io::destination::{SharedMetering, now_ns};
use crate::io::log_limit::LogLimit;
use crate::io::patience::Stop;
use crate::io::queue::Batch;
use crate::metering::{FlowEndReason, Meter, MeterConfig, MeterCounters};
use crate::sflow::Sampler;

/// A batch that is not full leaves after this long, live.
const BATCH_WAIT_NS: i64 = 500_000_000;
/// Emptying the kernel's ring at the end takes no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// What a quiet ring holds is handed out within this.
const RING_TIME: Duration = Duration::from_millis(250);
/// Readers on this host are told this often what was counted, and after as many turns it is looked whether it is time.
const TELLING: Duration = Duration::from_millis(500);
const TURNS: u32 = 8;
/// How often a live source says how it is.
const REPORT_NS: i64 = 60_000_000_000;

/// Packets that carry no IP are no loss of IP packets.
const NO_IP: [Fault; 5] = [
    Fault::UnknownLinkType,
    Fault::Arp,
    Fault::Llc,
    Fault::NotIp,
    Fault::MplsPayload,
];

/// One source's metering.
pub(super) struct MeteringLoop<'r> {
    /// The interface, when it is live.
    interface: Option<String>,
    meter: Meter,
    /// When the oldest record of the batch came, or the batch was last empty, by the clock of the source.
    batch_ns: i64,
    report_ns: Option<i64>,
    published: MeteringStatistics,
    open_flows: u64,
    /// Frames that the kernel dropped so far, and how often that is said.
    dropped: u64,
    dropping: LogLimit,
    /// Whether any destination still takes records.
    has_receiver: bool,
    /// What is summed up, where summaries are wanted.
    feed: Option<Feed<'r>>,
    /// Takes samples for sFlow, where that is wanted.
    sampler: Option<Sampler>,
    fan_out: &'r FanOut<'r>,
    stop: &'r Stop,
    shared: &'r SharedMetering,
    /// Which of the sources this is, for readers on this host; when they were told last, and how often it was looked.
    worker: usize,
    accounts: &'r SharedAccounts,
    told: Instant,
    turns: u32,
}

impl<'r> MeteringLoop<'r> {
    pub(super) fn new(interface: Option<String>, worker: usize, config: MeterConfig, wiring: &Wiring<'r>) -> Self {
        let mut meter = Meter::new(config);
        let feed = wiring.summaries.map(|shared| {
            meter.keep_facts();
            Feed::new(shared, wiring.summing, worker, wiring.exports_transactions)
        });
        Self {
            interface,
            meter,
            batch_ns: 0,
            report_ns: None,
            published: MeteringStatistics::default(),
            open_flows: 0,
            dropped: 0,
            dropping: LogLimit::default(),
            has_receiver: true,
            feed,
            sampler: wiring.sampling.map(|sampling| sampling.sampler(worker)),
            fan_out: wiring.fan_out,
            stop: wiring.stop,
            shared: wiring.metering,
            worker,
            accounts: wiring.accounts,
            told: Instant::now(),
            turns: 0,
        }
    }

    /// Meters until the source ends or the exporter is stopped, then ends all flows.
    pub(super) fn run(mut self, source: &mut impl FrameSource) -> MeteringAccounts {
        let mut faults = Vec::new();
        while !self.stop.is_requested() && self.has_receiver {
            match source.next_frames() {
                Ok(Lent::Frames(frames)) => {
                    let newest_ns = frames.newest_ns();
                    self.meter.handle_frames(&frames);
                    if let Some(sampler) = &mut self.sampler {
                        sampler.handle_frames(&frames);
                    }
                    self.handle_metered();
                    if self.interface.is_some() && self.handle_live_time(newest_ns) {
                        faults.extend(self.adapt(source));
                    }
                }
                Ok(Lent::Frame(frame)) => self.handle_frame(&frame),
                Ok(Lent::Quiet) => {
                    self.meter.handle_timeout(now_ns());
                    if self.handle_live_time(now_ns()) {
                        faults.extend(self.adapt(source));
                    }
                }
                Ok(Lent::End) => break,
                Err(error) => {
                    tracing::error!("{error}");
                    // What is behind it, or the other interfaces, go on.
                    faults.push(error);
                }
            }
            self.turns = self.turns.wrapping_add(1);
            // The clock is not asked after every packet.
            if self.turns.is_multiple_of(TURNS) && self.told.elapsed() >= TELLING {
                self.tell(source.counters(), faults.len());
            }
        }
        if self.interface.is_some() && self.has_receiver && faults.is_empty() {
            self.drain(source);
        }
        if let Some(sampler) = &mut self.sampler {
            sampler.publish(true);
        }
        while !self.meter.finish(FlowEndReason::ForcedEnd) {
            self.send();
        }
        self.send();
        self.publish();
        if let Some(feed) = self.feed.take() {
            feed.finish();
        }
        self.tell(source.finish(), faults.len())
    }

    /// Leaves a copy of what was counted for readers on this host.
    fn tell(&mut self, source: SourceCounters, faults: usize) -> MeteringAccounts {
        self.told = Instant::now();
        if let Some(sampler) = &mut self.sampler {
            sampler.publish(false);
        }
        let accounts = MeteringAccounts {
            interface: self.interface.clone(),
            meter: self.meter.counters().clone(),
            dns: self.meter.dns_counters(),
            tcp: self.meter.tcp_counters(),
            applications: self.meter.application_counters(),
            source,
            interfaces: Vec::new(),
            faults: faults as u64,
        };
        self.accounts.publish(self.worker, accounts.clone());
        accounts
    }

    #[inline]
    fn handle_frame(&mut self, frame: &Frame<'_>) {
        self.meter.handle_frame(
            frame.time_ns,
            frame.link_type,
            frame.bytes,
            frame.wire_length,
            frame.interface,
        );
        if let Some(sampler) = &mut self.sampler {
            sampler.handle_frame(frame);
        }
        self.handle_metered();
    }

    /// Sums up what was metered, and sends a batch that is full.
    #[inline]
    fn handle_metered(&mut self) {
        let is_full = self.feed.as_mut().is_some_and(|feed| feed.count(&mut self.meter));
        if is_full || self.meter.records_waiting() >= BATCH_RECORDS {
            self.send();
        }
    }

    /// Meters what an interface had captured when the exporter was stopped: all of it is still in the kernel's ring.
    fn drain(&mut self, source: &mut impl FrameSource) {
        let (until_ns, deadline) = (now_ns(), Instant::now() + DRAIN_TIME);
        // The ring hands out what it has begun to fill only after a while, so that one look may come too early.
        let began = Instant::now();
        while Instant::now() < deadline {
            match source.next_frame() {
                Ok(Next::Frame(frame)) => {
                    self.handle_frame(&frame);
                    // A little more than is needed, as other rings may lag behind this one.
                    if frame.time_ns > until_ns + RING_TIME.as_nanos() as i64 {
                        return;
                    }
                }
                Ok(Next::Quiet) if began.elapsed() < RING_TIME => {}
                Ok(Next::Quiet | Next::End) | Err(_) => return,
            }
        }
    }

    /// Hands what the flow table made to the destinations.
    fn send(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.count(&mut self.meter);
            feed.handle_taken();
        }
        if self.meter.records_waiting() > 0 {
            // First: who is handed the records also notes how many flows have none yet.
            self.publish();
            if let Some(spare) = self.fan_out.spares.take() {
                self.meter.recycle(spare);
            }
            let batch = Batch::new(self.meter.take_records());
            self.has_receiver = self.fan_out.send(batch);
        }
    }

    /// Asks the source how it fares, and has sampling follow it where it is adaptive.
    fn adapt(&mut self, source: &mut impl FrameSource) -> Option<CaptureError> {
        match source.load() {
            Ok(load) => {
                if let Some(selector) = self.meter.sampler_mut().handle_load(now_ns(), &load) {
                    tracing::info!(
                        "{}: meters 1 of {} packets from now on (ring {:.0} % full, busy {:.0} %, {} dropped by the kernel)",
                        self.interface.as_deref().unwrap_or_default(),
                        selector.factor(),
                        load.ring_fill * 100.0,
                        load.busy * 100.0,
                        load.dropped,
                    );
                }
                let new = load.dropped.saturating_sub(self.dropped);
                self.dropped = load.dropped;
                if new > 0 && self.dropping.permit(Instant::now()).is_some() {
                    tracing::warn!(
                        "{}: the kernel dropped {} packets so far; see --buffer, --workers and --sample adaptive",
                        self.interface.as_deref().unwrap_or_default(),
                        load.dropped,
                    );
                }
                None
            }
            Err(error) => {
                tracing::error!("{error}");
                Some(error)
            }
        }
    }

    /// Live, records do not wait for a batch to fill. True a few times a second.
    #[inline]
    fn handle_live_time(&mut self, now_ns: i64) -> bool {
        if now_ns.saturating_sub(self.batch_ns) < BATCH_WAIT_NS {
            return false;
        }
        self.batch_ns = now_ns;
        if let Some(feed) = &mut self.feed {
            feed.handle_timeout(now_ns);
        }
        self.send();
        self.publish();
        let report_ns = *self.report_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(report_ns) >= REPORT_NS {
            self.report_ns = Some(now_ns);
            let counters = self.meter.counters();
            tracing::info!(
                "{}: {} packets seen, {} metered, {} dropped by the kernel, {} flows active, {} records",
                self.interface.as_deref().unwrap_or_default(),
                counters.packets_seen,
                counters.packets_metered,
                self.dropped,
                counters.flows_active,
                counters.records_total(),
            );
        }
        true
    }

    fn publish(&mut self) {
        let counters = self.meter.counters();
        let now = MeteringStatistics {
            observed_packets: counters.packets_seen,
            sampled_out_packets: counters.sampled_out,
            ignored_packets: ignored_packets(counters),
            observed_flows: counters.flows_created,
        };
        let open_flows = counters.flows_active;
        self.shared.update(&self.published, &now);
        self.shared.update_open(self.open_flows, open_flows);
        (self.published, self.open_flows) = (now, open_flows);
    }
}

fn ignored_packets(counters: &MeterCounters) -> u64 {
    let no_ip: u64 = NO_IP
        .iter()
        .filter_map(|fault| counters.not_metered.get(*fault as usize))
        .sum();
    counters.packets_not_metered() - no_ip
}
