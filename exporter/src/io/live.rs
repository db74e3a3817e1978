//! Captures from network interfaces through libpcap.
//!
//! An interface without traffic still answers: every `quiet_ms` it says [`Next::Quiet`], so that timeouts run.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use flowgauge_templates::packet::LinkType;
use pcap::{Active, Capture, Device, IfFlags, Precision};

use super::readable;
use crate::capture::{CaptureError, Frame, FrameSource, Next, SourceCounters};

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
            snaplen: 65_535,
            buffer_octets: 16 * 1024 * 1024,
            quiet_ms: 100,
            promiscuous: true,
            filter: None,
        }
    }
}

/// An open interface.
pub struct LiveCapture {
    capture: Capture<Active>,
    name: String,
    interface: u32,
    link_type: LinkType,
    quiet_ms: i32,
    descriptor: RawFd,
    /// Whether the last look found nothing, so that there is time for the kernel's statistics.
    was_quiet: bool,
    /// When these were read last.
    looked: Instant,
    frames: u64,
    statistics: Statistics,
}

/// Nanosecond stamps are there on Linux on every interface; other systems may refuse them.
const PRECISION: Precision = if cfg!(target_os = "linux") {
    Precision::Nano
} else {
    Precision::Micro
};

/// ns of the unit that libpcap then counts fractions of a second in.
const FRACTION_NS: i64 = if cfg!(target_os = "linux") { 1 } else { 1000 };

/// How often the kernel is asked what it dropped.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// A busy interface looks at the time once in so many frames.
const FRAMES_BETWEEN_LOOKS: u64 = 65_536;

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
        if let Some(filter) = &config.filter {
            capture.filter(filter, true).map_err(|error| {
                CaptureError(format!(
                    "{name}: filter '{filter}': {}; see pcap-filter(7)",
                    said(&error)
                ))
            })?;
        }
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
            quiet_ms: i32::try_from(config.quiet_ms).unwrap_or(i32::MAX),
            was_quiet: false,
            looked: Instant::now(),
            frames: 0,
            statistics: Statistics::default(),
        })
    }

    /// Asks the kernel what it dropped. Capturing does so every second; at its end this gives the final count.
    ///
    /// # Errors
    /// What libpcap says.
    pub fn update_counters(&mut self) -> Result<(), CaptureError> {
        let now = self
            .capture
            .stats()
            .map_err(|error| CaptureError(format!("{}: {}", self.name, said(&error))))?;
        self.looked = Instant::now();
        self.statistics.update([now.dropped, now.if_dropped]);
        Ok(())
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FrameSource for LiveCapture {
    /// Frames as long as the ring has any, without a system call; then one wait, and [`Next::Quiet`] behind it.
    fn next_frame(&mut self) -> Result<Next<'_>, CaptureError> {
        let (descriptor, quiet_ms) = (self.descriptor, self.quiet_ms);
        if self.was_quiet || self.frames.is_multiple_of(FRAMES_BETWEEN_LOOKS) {
            self.was_quiet = false;
            if self.looked.elapsed() >= STATISTICS_INTERVAL {
                self.update_counters()?;
            }
        }
        match self.capture.next_packet() {
            Ok(packet) => {
                self.frames += 1;
                let ts = packet.header.ts;
                Ok(Next::Frame(Frame {
                    time_ns: ts
                        .tv_sec
                        .saturating_mul(1_000_000_000)
                        .saturating_add(ts.tv_usec * FRACTION_NS),
                    link_type: self.link_type,
                    interface: self.interface,
                    wire_length: packet.header.len,
                    bytes: packet.data,
                }))
            }
            Err(pcap::Error::TimeoutExpired) => {
                self.was_quiet = true;
                readable::wait(descriptor, quiet_ms);
                Ok(Next::Quiet)
            }
            Err(pcap::Error::NoMorePackets) => Ok(Next::End),
            Err(error) => Err(CaptureError(format!("{}: {}", self.name, said(&error)))),
        }
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

    /// What the kernel dropped since the last look belongs to the account too.
    fn finish(&mut self) -> SourceCounters {
        if let Err(error) = self.update_counters() {
            tracing::warn!("{error}; drops of the last second are not in the account");
        }
        self.counters()
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
