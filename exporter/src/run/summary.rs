//! `summary`: counts the packets and DNS transactions of captures into windows, and says what all of them merge to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::capture::{FrameSource, Lent};
use crate::io::pcap_file::PcapFiles;
use crate::metering::application::{ApplicationConfig, ProtocolSet};
use crate::metering::{FlowEndReason, Meter, MeterConfig};
use crate::summaries::geo::Geo;
use crate::summaries::networks::Networks;
use crate::summaries::{Summaries, SummariesConfig, SummaryCounters, Window, json};

/// What to sum up.
#[derive(Clone, Debug)]
pub struct SummaryConfig {
    /// Captures, as `run --read` takes them.
    pub read: Vec<PathBuf>,
    /// BPF expression.
    pub filter: Option<String>,
    /// Length of a window.
    pub window: Duration,
    /// Rows of each list.
    pub rows: usize,
    /// What is ours: it tells in from out.
    pub networks: Networks,
    /// MaxMind databases of countries and of autonomous systems.
    pub geo: Vec<PathBuf>,
}

/// The summary of captures, and the faults met in them, which cost only what is behind them in their file.
///
/// # Errors
/// One line for people, when a file cannot be opened or the filter makes no sense.
pub fn summarize(config: &SummaryConfig) -> Result<(Value, Vec<String>), String> {
    let mut files = PcapFiles::open(&config.read, config.filter.as_deref()).map_err(|error| error.to_string())?;
    let geo = match config.geo.as_slice() {
        [] => None,
        paths => Some(Geo::open(paths)?),
    };
    let mut meter = Meter::new(MeterConfig {
        tcp_performance: false,
        applications: ApplicationConfig {
            enabled: ProtocolSet::NONE,
            ..ApplicationConfig::default()
        },
        ..MeterConfig::default()
    });
    meter.keep_facts();
    let mut summing = Summing {
        summaries: Summaries::new(SummariesConfig {
            window_ns: i64::try_from(config.window.as_nanos()).unwrap_or(i64::MAX),
            networks: Arc::new(config.networks.clone()),
            geo: geo.map(Arc::new),
            ..SummariesConfig::default()
        }),
        whole: None,
    };
    let mut faults = Vec::new();
    loop {
        match files.next_frames() {
            Ok(Lent::Frames(frames)) => meter.handle_frames(&frames),
            Ok(Lent::Frame(frame)) => meter.handle_frame(
                frame.time_ns,
                frame.link_type,
                frame.bytes,
                frame.wire_length,
                frame.interface,
            ),
            Ok(Lent::Quiet) => {}
            Ok(Lent::End) => break,
            Err(error) => faults.push(error.to_string()),
        }
        summing.take(&mut meter);
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        summing.take(&mut meter);
    }
    summing.take(&mut meter);
    summing.summaries.finish();
    summing.merge_closed();
    Ok((summing.json(config), faults))
}

struct Summing {
    summaries: Summaries,
    whole: Option<Window>,
}

impl Summing {
    fn take(&mut self, meter: &mut Meter) {
        if let Some(facts) = meter.facts_mut() {
            facts.drain().for_each(|packet| self.summaries.packet(&packet));
        }
        if meter.records_waiting() > 0 {
            let records = meter.take_records();
            for transaction in &records.dns {
                self.summaries.transaction(transaction, transaction.qname(&records));
            }
            meter.recycle(records);
        }
        if self.summaries.has_closed() {
            self.merge_closed();
        }
    }

    fn merge_closed(&mut self) {
        for window in self.summaries.take_closed() {
            match &mut self.whole {
                // Our own windows are all of one kind, and no capture is so large that its sums overflow.
                Some(whole) => whole.merge(&window).unwrap_or_default(),
                None => self.whole = Some(window),
            }
        }
    }

    fn json(&self, config: &SummaryConfig) -> Value {
        let SummaryCounters {
            packets,
            transactions,
            late,
            too_late,
            closed_early,
            ..
        } = *self.summaries.counters();
        let mut value = match &self.whole {
            Some(whole) => json::window(whole, config.rows),
            None => json!({"from": null, "to": null, "windows": 0, "metrics": {}}),
        };
        value["window_s"] = config.window.as_secs_f64().into();
        value["account"] = json!({
            "packets": packets,
            "dns_transactions": transactions,
            "late": late,
            "too_late": too_late,
            "windows_closed_early": closed_early,
        });
        value
    }
}
