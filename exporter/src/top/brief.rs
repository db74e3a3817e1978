//! `--packets`: a few numbers about the first packets, at once.

use std::fmt::Write as _;

use crate::capture::{FrameSource, Lent};
use crate::io::destination::now_ns;
use crate::io::live::{LiveConfig, LiveSource};
use crate::io::pcap_file::PcapFiles;
use crate::metering::FlowEndReason;
use crate::summaries::json::{item, window as window_json};
use crate::summaries::limits::LIST_ROWS;
use crate::summaries::{Metric, Summaries, Summary, Window};

use super::local::{LIVE_WINDOW_NS, meter, sum_up};
use super::{From, TopConfig, json_object, summing};

/// Octets of a frame that are looked at.
const SNAPLEN: u32 = 256;

/// The text for as many packets as are asked for, or as there are.
///
/// # Errors
/// One line for people.
pub(super) fn brief(config: &TopConfig, packets: u64) -> Result<String, String> {
    let filter = config.filter.clone();
    let (name, window) = match &config.from {
        From::Interface(interface) => {
            let source = LiveSource::open(&LiveConfig {
                interface: interface.clone(),
                snaplen: SNAPLEN,
                filter,
                ..LiveConfig::default()
            });
            let source = source.map_err(|error| error.to_string())?;
            (interface.clone(), sum_first(config, packets, source)?)
        }
        From::Files(files) => {
            let source = PcapFiles::open(files, filter.as_deref()).map_err(|error| error.to_string())?;
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            (names.join(" "), sum_first(config, packets, source)?)
        }
        From::Url(_) => {
            return Err("--packets needs --interface or --read: an exporter has no packets to give".to_owned());
        }
    };
    let window = window.unwrap_or_else(|| Window::new(0, 0));
    Ok(match config.json {
        true => {
            let rates = serde_json::json!({ "rates": null, "account": null });
            format!("{}\n", json_object(&name, rates, window_json(&window, LIST_ROWS)))
        }
        false => text(&window),
    })
}

fn sum_first(config: &TopConfig, packets: u64, mut source: impl FrameSource) -> Result<Option<Window>, String> {
    let mut meter = meter();
    let mut summaries = summing(config, LIVE_WINDOW_NS)?;
    let mut whole = None;
    'frames: while meter.counters().packets_metered < packets {
        match source.next_frames().map_err(|error| error.to_string())? {
            Lent::Frames(frames) => {
                for at in 0..frames.len() {
                    let Some(frame) = frames.get(at) else { continue };
                    meter.handle_frame(
                        frame.time_ns,
                        frame.link_type,
                        frame.bytes,
                        frame.wire_length,
                        frame.interface,
                    );
                    if meter.counters().packets_metered >= packets {
                        break 'frames;
                    }
                }
            }
            Lent::Frame(frame) => meter.handle_frame(
                frame.time_ns,
                frame.link_type,
                frame.bytes,
                frame.wire_length,
                frame.interface,
            ),
            Lent::Quiet => meter.handle_timeout(now_ns()),
            Lent::End => break,
        }
        sum_up(&mut meter, &mut summaries);
        merge_closed(&mut summaries, &mut whole);
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        sum_up(&mut meter, &mut summaries);
    }
    sum_up(&mut meter, &mut summaries);
    summaries.finish();
    merge_closed(&mut summaries, &mut whole);
    Ok(whole)
}

fn merge_closed(summaries: &mut Summaries, whole: &mut Option<Window>) {
    for window in summaries.take_closed() {
        match whole {
            // Our own windows are all of one kind, and their sums do not overflow.
            Some(whole) => whole.merge(&window).unwrap_or_default(),
            None => *whole = Some(window),
        }
    }
}

fn text(window: &Window) -> String {
    let mut text = String::new();
    let unknown = window.counter(Metric::PacketsUnknown);
    let within = window.counter(Metric::PacketsWithin);
    // Writing to a String does not fail.
    let _ = writeln!(text, "packets out {}", window.counter(Metric::PacketsOut));
    let _ = writeln!(text, "packets in  {}", window.counter(Metric::PacketsIn));
    if within > 0 {
        let _ = writeln!(text, "packets from ours to ours {within}");
    }
    if unknown > 0 {
        let _ = writeln!(
            text,
            "packets neither from nor to ours {unknown}; --networks says what is ours"
        );
    }
    let _ = writeln!(text, "busiest destinations, packets");
    if let Summary::FrequentItems(list) = window.summary(Metric::TopDstPackets) {
        for row in list.rows(LIST_ROWS) {
            let name = item(Metric::TopDstPackets.about().form, row.item.octets());
            let _ = writeln!(text, "{:>10}  {name}", row.weight);
        }
    }
    text
}
