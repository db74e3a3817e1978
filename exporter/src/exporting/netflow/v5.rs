//! NetFlow version 5: 48 octets a flow, IPv4 only, nothing optional.
//!
//! Source: Cisco, "NetFlow Export Datagram Format", tables B-3 and B-4. What a record has no field for stays behind (VLANs, MAC
//! addresses, labels); what it cannot say at all (IPv6, DNS transactions, summaries) is counted as not expressible. Counters
//! have 32 bits: a flow that counted more is split over several records, which add up.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::options::mode;
use super::uniflow::{Uniflow, directions, is_arp, span};
use super::uptime::{Admission, PacketTime, Uptime};
use super::{Left, NetFlowConfig, clock};
use crate::exporting::encoder::{Datagram, Encoder};
use crate::exporting::limits::{NETFLOW_SPARE_PACKETS, NETFLOW5_SPLIT_RECORDS};
use crate::exporting::selectors::rounded_factor;
use crate::exporting::{Loss, Statistics, Volume};
use crate::metering::Records;
use crate::metering::record::FlowRecord;
use crate::metering::sampling::Selector;

const HEADER_OCTETS: usize = 24;
const RECORD_OCTETS: usize = 48;
/// "Number of flows exported in this packet (1 to 30)".
const MAX_RECORDS: usize = 30;
/// The sampling interval has 14 bits.
pub const MAX_INTERVAL: u32 = 0x3fff;

/// Sequence numbers and clocks of one destination.
#[derive(Debug)]
pub struct NetFlow5 {
    config: NetFlowConfig,
    /// Records in a datagram.
    most: usize,
    uptime: Uptime,
    /// Records of all datagrams before the open one.
    sequence: u32,
    bytes: Vec<u8>,
    records: u32,
    flow_records: u32,
    /// Selectors, and the sampling field of the header for each.
    sampling: Vec<(u32, u16)>,
    /// That of the open datagram.
    open_sampling: u16,
    ready: VecDeque<Datagram>,
    spares: Vec<Vec<u8>>,
    left: Left,
}

impl NetFlow5 {
    /// Has said nothing yet.
    #[must_use]
    pub fn new(config: NetFlowConfig, selectors: &[Selector]) -> Self {
        Self {
            config,
            most: (config.max_octets.saturating_sub(HEADER_OCTETS) / RECORD_OCTETS).clamp(1, MAX_RECORDS),
            uptime: Uptime::new(1),
            sequence: 0,
            bytes: Vec::new(),
            records: 0,
            flow_records: 0,
            sampling: selectors
                .iter()
                .map(|selector| (selector.id, sampling(selector)))
                .collect(),
            open_sampling: 0,
            ready: VecDeque::new(),
            spares: Vec::new(),
            left: Left::default(),
        }
    }

    fn write_biflow(&mut self, record: &FlowRecord, records: &Records) {
        let (start_ms, end_ms) = span(record);
        let flows = directions(record, records);
        let parts: u64 = flows.iter().flatten().map(parts).sum();
        let is_ipv4 = record.key.src.is_ipv4() && !is_arp(record, records);
        if !is_ipv4 || parts > NETFLOW5_SPLIT_RECORDS || !self.uptime.can_place(start_ms, end_ms) {
            return Left::leave(&mut self.left.not_expressible, record);
        }
        self.left.reduced += u64::from(record.key.interface > u32::from(u16::MAX));
        let sampling = self.sampling.iter().find(|(selector, _)| *selector == record.selector);
        let sampling = sampling.map_or(0, |(_, sampling)| *sampling);
        if sampling != self.open_sampling {
            self.close();
            self.open_sampling = sampling;
        }
        for flow in flows.iter().flatten() {
            let parts = self::parts(flow);
            for part in 0..parts {
                let time = self.place(start_ms, end_ms);
                let share = |count: u64| (count / parts + u64::from(part < count % parts)) as u32;
                write(flow, time, share(flow.packets), share(flow.octets), &mut self.bytes);
                self.records += 1;
            }
        }
        self.flow_records += 1;
    }

    /// Makes room for a record; gives the clocks of its datagram.
    #[inline]
    fn place(&mut self, start_ms: i64, end_ms: i64) -> PacketTime {
        if self.records as usize >= self.most {
            self.close();
        }
        if self.uptime.admit(start_ms, end_ms) == Admission::NextPacket {
            self.close();
            self.uptime.admit(start_ms, end_ms);
        }
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER_OCTETS, 0);
        }
        self.uptime.open().unwrap_or(PacketTime::UNUSED)
    }

    fn close(&mut self) {
        if self.records == 0 {
            return;
        }
        let time = self.uptime.close();
        let (records, flow_records) = (
            std::mem::take(&mut self.records),
            std::mem::take(&mut self.flow_records),
        );
        let [.., engine_type, engine_id] = self.config.domain.to_be_bytes();
        if let Some(header) = self.bytes.first_chunk_mut::<HEADER_OCTETS>() {
            let fields: [&[u8]; 8] = [
                &[0, 5],
                &(records as u16).to_be_bytes(),
                &time.uptime_ms().to_be_bytes(),
                &time.seconds().to_be_bytes(),
                &time.nanoseconds().to_be_bytes(),
                &self.sequence.to_be_bytes(),
                &[engine_type, engine_id],
                &self.open_sampling.to_be_bytes(),
            ];
            let octets = fields.into_iter().flatten();
            header.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
        }
        self.sequence = self.sequence.wrapping_add(records);
        let buffer = self.spares.pop().unwrap_or_default();
        self.ready.push_back(Datagram {
            bytes: std::mem::replace(&mut self.bytes, buffer),
            flow_records,
            records,
        });
    }
}

/// Mode and interval of the header; an interval of 0 where it has no room.
fn sampling(selector: &Selector) -> u16 {
    if selector.id == 0 {
        return 0;
    }
    let interval = Some(rounded_factor(selector)).filter(|interval| *interval <= MAX_INTERVAL);
    u16::from(mode(selector)) << 14 | interval.unwrap_or(0) as u16
}

/// Records that a flow's counters need.
#[inline]
fn parts(flow: &Uniflow) -> u64 {
    flow.packets.max(flow.octets).div_ceil(u64::from(u32::MAX)).max(1)
}

fn write(flow: &Uniflow, time: PacketTime, packets: u32, octets: u32, out: &mut Vec<u8>) {
    let (src_port, dst_port) = flow.ports();
    let mut record = [0; RECORD_OCTETS];
    let mut rest = &mut record[..];
    let mut put = |octets: &[u8]| {
        let (place, behind) = std::mem::take(&mut rest).split_at_mut(octets.len());
        place.copy_from_slice(octets);
        rest = behind;
    };
    put(&v4(flow.src));
    put(&v4(flow.dst));
    // Next hop: the exporter routes nothing.
    put(&[0; 4]);
    put(&interface(flow.input));
    put(&interface(flow.output));
    put(&packets.to_be_bytes());
    put(&octets.to_be_bytes());
    put(&time.since_boot(flow.start_ms).to_be_bytes());
    put(&time.since_boot(flow.end_ms).to_be_bytes());
    put(&src_port.to_be_bytes());
    put(&dst_port.to_be_bytes());
    put(&[0, flow.tcp_flags.to_be_bytes()[1], flow.protocol, flow.tos]);
    // Autonomous systems and masks, which come from a routing table: unknown. Padding.
    put(&[0; 8]);
    out.extend_from_slice(&record);
}

fn interface(index: u32) -> [u8; 2] {
    u16::try_from(index).unwrap_or(0).to_be_bytes()
}

fn v4(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        // Not sent.
        IpAddr::V6(_) => [0; 4],
    }
}

impl Encoder for NetFlow5 {
    fn handle_records(&mut self, now_ns: i64, records: &Records) {
        self.left.leave_others(records);
        self.uptime.set_clock(clock(self.config.from_files, now_ns, records));
        for record in &records.flows {
            self.write_biflow(record, records);
        }
        self.close();
    }

    /// Version 5 has no place for them.
    fn handle_statistics(&mut self, _now_ns: i64, _statistics: &Statistics) {}

    fn handle_timeout(&mut self, _now_ns: i64) -> bool {
        false
    }

    fn poll_message(&mut self) -> Option<Datagram> {
        self.ready.pop_front()
    }

    fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().map(|datagram| datagram.bytes.len())
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spares.len() < NETFLOW_SPARE_PACKETS {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    fn take_reduced(&mut self) -> u64 {
        std::mem::take(&mut self.left.reduced)
    }

    fn take_refused(&mut self) -> [(Loss, Volume); 2] {
        self.left.take()
    }
}
