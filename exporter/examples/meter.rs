//! Meters capture files and throws the records away: what reading and metering cost without exporting.
//!
//! `cargo run --release --example meter -- [--extras [--answers]] FILE..` prints packets, records, CPU seconds and CPU seconds per
//! million packets; `--extras` also follows TCP performance, reads applications and pairs DNS messages; `--answers` reads
//! the answers of all of these.

use std::path::PathBuf;

use flowgauge_exporter::capture::{FrameSource, Lent};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::application::{ApplicationConfig, ProtocolSet};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, paths): (Vec<PathBuf>, Vec<PathBuf>) = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .partition(|argument| argument.to_string_lossy().starts_with("--"));
    let mut source = PcapFiles::open(&paths, None)?;
    let mut config = MeterConfig {
        max_flows: 4 << 20,
        ..MeterConfig::default()
    };
    if options.is_empty() {
        config.tcp_performance = false;
        config.dns.enabled = false;
        config.applications = ApplicationConfig {
            enabled: ProtocolSet::NONE,
            ..config.applications
        };
    }
    if options.iter().any(|option| option.as_os_str() == "--answers") {
        config.dns.answers_interval = 1;
    }
    let mut meter = Meter::new(config);
    let mut records = 0;
    let mut take = |meter: &mut Meter| {
        let batch = meter.take_records();
        records += batch.len();
        meter.recycle(batch);
    };
    loop {
        match source.next_frames()? {
            Lent::Frames(frames) => meter.handle_frames(&frames),
            Lent::Frame(frame) => meter.handle_frame(
                frame.time_ns,
                frame.link_type,
                frame.bytes,
                frame.wire_length,
                frame.interface,
            ),
            Lent::Quiet => {}
            Lent::End => break,
        }
        if meter.records_waiting() >= 256 {
            take(&mut meter);
        }
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        take(&mut meter);
    }
    take(&mut meter);
    let counters = meter.counters();
    let cpu = cpu_seconds();
    println!(
        "packets {} metered {} records {records} cpu {cpu:.3} s, {:.3} s per million packets",
        counters.packets_seen,
        counters.packets_metered,
        cpu * 1e6 / counters.packets_seen as f64
    );
    println!("{counters:#?}");
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
