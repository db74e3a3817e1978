//! What the flow table takes: time and memory by the number of flows, and both under a flood of single packets.
//!
//! `cargo run --release --example flows` prints a line for each size of the table; `-- --flood PACKETS MAX_FLOWS` sends
//! that many packets of different 5-tuples to one service at a table for so many flows.

use flowgauge_exporter::capture::{FramePlace, Frames};
use flowgauge_exporter::metering::application::{ApplicationConfig, ProtocolSet};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig};
use flowgauge_templates::packet::LinkType;

const SIZES: [u64; 6] = [1_000, 10_000, 100_000, 1_000_000, 2_000_000, 4_000_000];
const START_NS: i64 = 1_767_225_600_000_000_000;
const FRAME_OCTETS: usize = 60;
/// Frames handed over together.
const GROUP: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => SIZES.into_iter().for_each(grow),
        [option, packets, max_flows] if option == "--flood" => flood(packets.parse()?, max_flows.parse()?),
        _ => return Err("usage: flows [--flood PACKETS MAX_FLOWS]".into()),
    }
    Ok(())
}

/// Frames of UDP packets with 18 octets of payload to port 80 of one host.
struct Traffic {
    bytes: Vec<u8>,
    places: Vec<FramePlace>,
}

impl Traffic {
    fn new() -> Traffic {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        frame.extend([0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 17, 0, 0]);
        frame.extend([0; 4]);
        frame.extend([198, 51, 100, 2, 0, 0, 0, 80, 0, 26, 0, 0]);
        frame.resize(FRAME_OCTETS, 0);
        let place = |at: usize| FramePlace {
            start: at * FRAME_OCTETS,
            captured: FRAME_OCTETS,
            consumed: FRAME_OCTETS,
            wire_length: FRAME_OCTETS as u32,
            time_ns: 0,
            link_type: LinkType::ETHERNET,
            interface: 0,
        };
        Traffic {
            bytes: frame.repeat(GROUP),
            places: (0..GROUP).map(place).collect(),
        }
    }

    /// Sends one packet of each of these flows, `step_ns` apart.
    fn send(&mut self, meter: &mut Meter, flows: impl Iterator<Item = u64>, at_ns: &mut i64, step_ns: i64) {
        let mut flows = flows.peekable();
        while flows.peek().is_some() {
            let mut filled = 0;
            for (place, flow) in self.places.iter_mut().zip(flows.by_ref()) {
                *at_ns += step_ns;
                place.time_ns = *at_ns;
                let frame = &mut self.bytes[place.start..place.start + FRAME_OCTETS];
                frame[26..30].copy_from_slice(&((flow / 50_000) as u32 + 0x0a00_0000).to_be_bytes());
                frame[34..36].copy_from_slice(&((flow % 50_000) as u16 + 1024).to_be_bytes());
                filled += 1;
            }
            meter.handle_frames(&Frames::new(&self.bytes, &self.places[..filled]));
            let records = meter.take_records();
            meter.recycle(records);
        }
    }
}

fn meter(max_flows: usize) -> Meter {
    let mut config = MeterConfig {
        max_flows,
        tcp_performance: false,
        applications: ApplicationConfig {
            enabled: ProtocolSet::NONE,
            ..ApplicationConfig::default()
        },
        ..MeterConfig::default()
    };
    config.dns.enabled = false;
    Meter::new(config)
}

/// Begins flows, then sends packets to all of them in an order without any locality, then ends them.
fn grow(flows: u64) {
    let (resident, mut traffic) = (resident_octets(), Traffic::new());
    let mut meter = meter(flows as usize);
    let mut at_ns = START_NS;
    let began = cpu_seconds();
    traffic.send(&mut meter, 0..flows, &mut at_ns, 1);
    let created = cpu_seconds();
    let memory = resident_octets().saturating_sub(resident);
    // A multiplication by an odd number modulo a power of two visits each number once.
    let span = flows.next_power_of_two();
    let packets = 4_000_000;
    let scattered = (0..u64::MAX)
        .map(|packet| packet.wrapping_mul(0x9e37_79b9_7f4a_7c15) % span)
        .filter(|flow| *flow < flows)
        .take(packets);
    traffic.send(&mut meter, scattered, &mut at_ns, 1);
    let counted = cpu_seconds();
    finish(&mut meter);
    let ended = cpu_seconds();
    let ns = |seconds: f64, count: u64| seconds * 1e9 / count as f64;
    println!(
        "{flows:>9} flows: {:>4.0} octets a flow, {:>4.0} ns to begin one, {:>4.0} ns a packet, {:>4.0} ns to end one",
        memory as f64 / flows as f64,
        ns(created - began, flows),
        ns(counted - created, packets as u64),
        ns(ended - counted, flows),
    );
}

fn flood(packets: u64, max_flows: usize) {
    let (resident, mut traffic) = (resident_octets(), Traffic::new());
    let mut meter = meter(max_flows);
    let stated = MeterConfig {
        max_flows,
        ..MeterConfig::default()
    }
    .table_octets();
    let (mut at_ns, mut most) = (START_NS, 0);
    let began = cpu_seconds();
    for start in (0..packets).step_by(100_000) {
        let flows = start..packets.min(start + 100_000);
        traffic.send(&mut meter, flows, &mut at_ns, 1000);
        most = most.max(resident_octets().saturating_sub(resident));
    }
    let seconds = cpu_seconds() - began;
    let counters = meter.counters().clone();
    finish(&mut meter);
    println!(
        "{packets} packets of as many flows, a table for {max_flows}: {most} octets at most, {stated} stated ({:+.1} %), {:.0} ns a packet",
        (most as f64 / stated as f64 - 1.0) * 100.0,
        seconds * 1e9 / packets as f64,
    );
    println!(
        "{} flows created, {} left early, {} folded into {} aggregates; {} records in all",
        counters.flows_created,
        counters.flows_evicted,
        counters.flows_folded,
        counters.folds_created,
        meter.counters().records_total(),
    );
}

fn finish(meter: &mut Meter) {
    while !meter.finish(FlowEndReason::ForcedEnd) {
        let records = meter.take_records();
        meter.recycle(records);
    }
}

/// Field 2 of proc(5) statm, in pages.
fn resident_octets() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// User and system time of this thread.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
