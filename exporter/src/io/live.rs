//! Captures from network interfaces through libpcap.
//!
//! One [`LiveCapture`] is one ring of the kernel. A [`LiveSource`] is what one worker reads: its share of every interface,
//! as one source of frames. An interface without traffic still answers: every `quiet_ms` it says [`Next::Quiet`], so
//! that timeouts run.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{SystemTime, UNIX_EPOCH};

use flowgauge_templates::packet::LinkType;
use pcap::{Active, Capture, Device, IfFlags, Linktype, Precision};

use crate::capture::{CaptureError, FramePlace, SourceCounters};
use crate::limits;

mod fanout;
mod source;

pub use source::{LiveSource, open_workers};

/// How an interface is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Name of the interface, or `any`.
    pub interface: String,
    /// Its number in records; 0 asks the system (ifIndex).
    pub interface_id: u32,
    /// Octets kept of a frame.
    pub snaplen: u32,
    /// Octets of the kernel's ring.
    pub buffer_octets: u32,
    /// How long a quiet interface waits before it answers [`Next::Quiet`], ms.
    pub quiet_ms: u32,
    /// Whether frames for others are captured too.
    pub promiscuous: bool,
    /// BPF filter, in the words of tcpdump.
    pub filter: Option<String>,
}

impl Default for LiveConfig {
    fn default() -> LiveConfig {
        LiveConfig {
            interface: String::new(),
            interface_id: 0,
            snaplen: limits::SNAPLEN,
            buffer_octets: limits::RING_OCTETS,
            quiet_ms: 100,
            promiscuous: true,
            filter: None,
        }
    }
}

/// The name that stands for all interfaces together.
pub const ANY: &str = "any";

/// An open interface: one ring.
pub struct LiveCapture {
    capture: Capture<Active>,
    name: String,
    interface: u32,
    link_type: LinkType,
    descriptor: RawFd,
    ring_octets: u32,
    /// Frames from before this are not ours: the group of workers was not complete.
    from_ns: i64,
    frames: u64,
    statistics: Statistics,
    /// Of the last frame.
    time_ns: i64,
    /// Octets taken from the ring since the last look, and the stamp at which that was.
    octets: u64,
    looked_ns: i64,
}

/// Nanosecond stamps are there on Linux on every interface; other systems may refuse them.
const PRECISION: Precision = if cfg!(target_os = "linux") {
    Precision::Nano
} else {
    Precision::Micro
};

/// ns of the unit that libpcap then counts fractions of a second in.
const FRACTION_NS: i64 = if cfg!(target_os = "linux") { 1 } else { 1000 };

/// What a frame takes up in the ring beside itself: the headers of TPACKET_V3 and the room for alignment.
const RING_HEADER_OCTETS: u64 = 82;

/// The kernel hands a block of the ring over when it is full or this old: younger frames do not mean that it fills up.
const BLOCK_NS: i64 = 150_000_000;

/// The kernel's counters are 32 bits wide and wrap: what was added since the last look is what counts.
#[derive(Clone, Copy, Debug, Default)]
struct Statistics {
    last: [u32; 2],
    total: [u64; 2],
}

impl Statistics {
    fn update(&mut self, now: [u32; 2]) {
        for ((total, last), now) in self.total.iter_mut().zip(&mut self.last).zip(now) {
            *total += u64::from(now.wrapping_sub(*last));
            *last = now;
        }
    }
}

impl fmt::Debug for LiveCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCapture")
            .field("interface", &self.name)
            .field("link_type", &self.link_type)
            .finish_non_exhaustive()
    }
}

impl LiveCapture {
    /// Opens the interface and sets its filter.
    ///
    /// # Errors
    /// One line that says what to do: unknown interface (with those there are), no permission, filter not understood.
    pub fn open(config: &LiveConfig) -> Result<LiveCapture, CaptureError> {
        let name = config.interface.as_str();
        let capture = activate(config).map_err(|error| cannot_open(name, &error))?;
        let mut capture = capture.setnonblock().map_err(|error| cannot_open(name, &error))?;
        if name == ANY {
            name_interfaces(&mut capture);
        }
        // Without a filter the kernel would copy whole frames into the ring, whatever the snap length is.
        let filter = config.filter.as_deref().unwrap_or_default();
        capture.filter(filter, true).map_err(|error| {
            CaptureError(format!(
                "{name}: filter '{filter}': {}; see pcap-filter(7)",
                said(&error)
            ))
        })?;
        let link_type = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        let interface = match config.interface_id {
            0 => interface_index(name),
            id => id,
        };
        Ok(LiveCapture {
            descriptor: capture.as_raw_fd(),
            capture,
            name: name.to_owned(),
            interface,
            link_type,
            ring_octets: config.buffer_octets,
            from_ns: i64::MIN,
            frames: 0,
            statistics: Statistics::default(),
            time_ns: 0,
            octets: 0,
            looked_ns: 0,
        })
    }

    /// Asks the kernel what it dropped.
    fn update_counters(&mut self) -> Result<(), CaptureError> {
        let now = self
            .capture
            .stats()
            .map_err(|error| CaptureError(format!("{}: {}", self.name, said(&error))))?;
        self.statistics.update([now.dropped, now.if_dropped]);
        Ok(())
    }

    /// Appends at most `count` frames that the ring has ready; returns how many were taken from it.
    ///
    /// They are copied once, side by side: the ring has its place back before they are metered, and those that come
    /// with them can be looked at ahead.
    fn take(&mut self, count: usize, bytes: &mut Vec<u8>, places: &mut Vec<FramePlace>) -> Result<usize, CaptureError> {
        let (link_type, interface, from_ns) = (self.link_type, self.interface, self.from_ns);
        let (octets, newest_ns) = (&mut self.octets, &mut self.time_ns);
        let first = places.len();
        let taken = self.capture.dispatch(Some(count), |packet| {
            let ts = packet.header.ts;
            let time_ns = ts
                .tv_sec
                .saturating_mul(1_000_000_000)
                .saturating_add(ts.tv_usec * FRACTION_NS);
            if time_ns < from_ns {
                return;
            }
            *newest_ns = time_ns;
            *octets += packet.data.len() as u64 + RING_HEADER_OCTETS;
            places.push(FramePlace {
                start: bytes.len(),
                captured: packet.data.len(),
                consumed: packet.data.len(),
                wire_length: packet.header.len,
                time_ns,
                link_type,
                interface,
            });
            bytes.extend_from_slice(packet.data);
        });
        self.frames += (places.len() - first) as u64;
        taken.map_err(|error| CaptureError(format!("{}: {}", self.name, said(&error))))
    }

    /// How full the ring is, which libpcap does not say: as many octets as came while the frame taken last was waiting.
    fn ring_fill(&mut self, now_ns: i64) -> f64 {
        let took_ns = self.time_ns - self.looked_ns;
        let waited_ns = now_ns - self.time_ns - BLOCK_NS;
        let octets = std::mem::take(&mut self.octets);
        self.looked_ns = self.time_ns;
        if took_ns <= 0 || waited_ns <= 0 || octets == 0 {
            return 0.0;
        }
        let octets_waiting = octets as f64 / took_ns as f64 * waited_ns as f64;
        (octets_waiting / f64::from(self.ring_octets)).min(1.0)
    }

    fn counters(&self) -> SourceCounters {
        let [dropped_by_kernel, dropped_by_interface] = self.statistics.total;
        SourceCounters {
            frames: self.frames,
            filtered: 0,
            dropped_by_kernel,
            dropped_by_interface,
        }
    }
}

fn activate(config: &LiveConfig) -> Result<Capture<Active>, pcap::Error> {
    let bounded = |octets: u32| i32::try_from(octets).unwrap_or(i32::MAX);
    Capture::from_device(config.interface.as_str())?
        .snaplen(bounded(config.snaplen))
        .buffer_size(bounded(config.buffer_octets))
        .timeout(bounded(config.quiet_ms.max(1)))
        .promisc(config.promiscuous)
        .precision(PRECISION)
        .open()
}

/// Has each frame of `any` say which interface it is of (Linux cooked captures, version 2), where libpcap can.
fn name_interfaces(capture: &mut Capture<Active>) {
    let cooked = Linktype(i32::from(LinkType::LINUX_SLL2.0));
    if let Err(error) = capture.set_datalink(cooked) {
        tracing::info!("{ANY}: frames do not say which interface they are of: {}", said(&error));
    }
}

fn clock_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The system's number of an interface, 0 when it has none (`any`).
fn interface_index(name: &str) -> u32 {
    if name.contains('/') {
        return 0;
    }
    let index = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex"));
    index.ok().and_then(|index| index.trim().parse().ok()).unwrap_or(0)
}

/// What libpcap said, without the crate's words around it.
pub(crate) fn said(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.replace('\n', " "),
        other => other.to_string(),
    }
}

/// One line that says what to do.
fn cannot_open(name: &str, error: &pcap::Error) -> CaptureError {
    let said = said(error);
    let denied = ["permission", "not permitted", "CAP_NET_RAW"]
        .iter()
        .any(|word| said.contains(word));
    if denied {
        return CaptureError(format!(
            "{name}: no permission to capture; run as root, or once: \
             setcap cap_net_raw=ep {program}",
            program = std::env::current_exe().map_or("flowgauge-exporter".into(), |path| path.display().to_string()),
        ));
    }
    match interfaces() {
        Ok(known) if !known.iter().any(|interface| interface.name == name) => {
            let names: Vec<&str> = known.iter().map(|interface| interface.name.as_str()).collect();
            CaptureError(format!("{name}: no such interface; there are: {}", names.join(", ")))
        }
        _ => CaptureError(format!("{name}: cannot capture: {said}")),
    }
}

/// A network interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What the system says of it, possibly nothing.
    pub description: String,
    /// Its addresses, as text.
    pub addresses: Vec<String>,
    /// Whether it is up.
    pub up: bool,
}

/// The interfaces that can be captured from.
///
/// # Errors
/// What the system said.
pub fn interfaces() -> Result<Vec<Interface>, CaptureError> {
    let devices = Device::list().map_err(|error| CaptureError(format!("cannot list interfaces: {}", said(&error))))?;
    Ok(devices
        .into_iter()
        .map(|device| Interface {
            name: device.name,
            description: device.desc.unwrap_or_default(),
            addresses: device
                .addresses
                .iter()
                .map(|address| address.addr.to_string())
                .collect(),
            up: device.flags.if_flags.contains(IfFlags::UP),
        })
        .collect())
}
