//! A window that is being filled, packet by packet.

use std::net::Ipv6Addr;
use std::sync::Arc;

use flowgauge_templates::packet::{TcpFlags, protocol};

use super::combine::{Combined, Place, Ports};
use super::geo::{Geo, system_text};
use super::limits::COMBINED_ADDRESSES;
use super::metrics::Metric;
use super::networks::{Networks, Way};
use super::seconds::Seconds;
use super::transactions::Dns;
use super::window::Window;
use crate::metering::dns::DnsTransaction;
use crate::metering::facts::PacketFacts;

/// What a window has to know about addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub networks: Arc<Networks>,
    pub geo: Option<Arc<Geo>>,
}

/// A window that is being filled.
#[derive(Clone, Debug)]
pub(super) struct OpenWindow {
    window: Window,
    known: Known,
    addresses: [Combined; 2],
    ports: [Ports; 2],
    flags: [[u64; 2]; FLAGS.len()],
    sums: [[u64; 2]; SUMS.len()],
    seconds: Box<Seconds>,
    dns: Dns,
    /// Opened by what came late: seconds in which nothing came say nothing.
    is_late: bool,
}

/// Cardinality, packets and octets of each end, and the cardinality of what is not ours in traffic with us.
const ADDRESSES: [[Metric; 4]; 2] = [
    [
        Metric::IpSrc,
        Metric::TopSrcPackets,
        Metric::TopSrcOctets,
        Metric::IpSrcIn,
    ],
    [
        Metric::IpDst,
        Metric::TopDstPackets,
        Metric::TopDstOctets,
        Metric::IpDstOut,
    ],
];
const PORTS: [[Metric; 3]; 2] = [
    [Metric::PortSrc, Metric::TopSrcPortPackets, Metric::TopSrcPortOctets],
    [Metric::PortDst, Metric::TopDstPortPackets, Metric::TopDstPortOctets],
];
/// In the order of the bits (RFC 9293 section 3.1, RFC 3168 section 6.1). ACK alone, which nearly all packets have, is not
/// counted; SYN and ACK together are, in its place.
const FLAGS: [[Metric; 2]; 8] = [
    [Metric::TcpFin, Metric::TcpFinOctets],
    [Metric::TcpSyn, Metric::TcpSynOctets],
    [Metric::TcpRst, Metric::TcpRstOctets],
    [Metric::TcpPsh, Metric::TcpPshOctets],
    [Metric::TcpSynAck, Metric::TcpSynAckOctets],
    [Metric::TcpUrg, Metric::TcpUrgOctets],
    [Metric::TcpEce, Metric::TcpEceOctets],
    [Metric::TcpCwr, Metric::TcpCwrOctets],
];
/// Packets and octets by what a packet is: by version, by protocol, and by its way.
const SUMS: [[Metric; 2]; 10] = [
    [Metric::PacketsIpv4, Metric::OctetsIpv4],
    [Metric::PacketsIpv6, Metric::OctetsIpv6],
    [Metric::PacketsTcp, Metric::OctetsTcp],
    [Metric::PacketsUdp, Metric::OctetsUdp],
    [Metric::PacketsIcmp, Metric::OctetsIcmp],
    [Metric::PacketsOther, Metric::OctetsOther],
    [Metric::PacketsIn, Metric::OctetsIn],
    [Metric::PacketsOut, Metric::OctetsOut],
    [Metric::PacketsWithin, Metric::OctetsWithin],
    [Metric::PacketsUnknown, Metric::OctetsUnknown],
];

impl OpenWindow {
    pub fn new(start_ns: i64, end_ns: i64, known: Known, is_late: bool) -> OpenWindow {
        OpenWindow {
            window: Window::new(start_ns, end_ns),
            known,
            addresses: [COMBINED_ADDRESSES; 2].map(Combined::new),
            ports: Default::default(),
            flags: [[0; 2]; FLAGS.len()],
            sums: [[0; 2]; SUMS.len()],
            seconds: Box::new(Seconds::new(start_ns, end_ns)),
            dns: Dns::new(),
            is_late,
        }
    }

    #[inline]
    pub fn start_ns(&self) -> i64 {
        self.window.start_ns
    }

    #[inline]
    pub fn end_ns(&self) -> i64 {
        self.window.end_ns
    }

    /// Counts a packet.
    #[inline]
    pub fn packet(&mut self, facts: &PacketFacts) {
        let octets = u64::from(facts.octets);
        let way = self.known.networks.way(facts.src, facts.dst);
        let of_protocol = match facts.protocol {
            protocol::TCP => 2,
            protocol::UDP => 3,
            protocol::ICMP | protocol::ICMP6 => 4,
            _ => 5,
        };
        let of_way = match way {
            Way::In => 6,
            Way::Out => 7,
            Way::Within => 8,
            Way::Unknown => 9,
        };
        for group in [usize::from(!facts.is_ipv4), of_protocol, of_way] {
            let [packets, sum] = &mut self.sums[group];
            *packets += 1;
            *sum = sum.saturating_add(octets);
        }
        if facts.protocol == protocol::TCP {
            self.tcp_flags(facts.tcp_flags, octets);
        }
        let OpenWindow { window, known, .. } = self;
        window.distribution(Metric::PacketSize, facts.octets as f32);
        let length = if facts.is_ipv4 { 4 } else { 16 };
        let ways = 1 << way as u8;
        for ((combined, metrics), address) in self.addresses.iter_mut().zip(ADDRESSES).zip([facts.src, facts.dst]) {
            combined.count(address, length, ways, [1, octets], |place| {
                take_address(window, known, metrics, place);
            });
        }
        if facts.ports != [0, 0] {
            for (counts, port) in self.ports.iter_mut().zip(facts.ports) {
                counts.count(port, octets);
            }
        }
        self.seconds.packet(facts.time_ns, octets, way);
    }

    #[inline]
    fn tcp_flags(&mut self, flags: u16, octets: u64) {
        let mut bits = flags & 0xff;
        let [syn, ack] = [TcpFlags::SYN.0, TcpFlags::ACK.0];
        bits ^= match (bits & syn != 0, bits & ack != 0) {
            (true, true) => syn,
            (false, true) => ack,
            _ => 0,
        };
        while bits != 0 {
            if let Some([packets, sum]) = self.flags.get_mut(bits.trailing_zeros() as usize) {
                *packets += 1;
                *sum = sum.saturating_add(octets);
            }
            bits &= bits - 1;
        }
    }

    /// Counts a DNS transaction.
    #[inline]
    pub fn transaction(&mut self, transaction: &DnsTransaction, name: &[u8]) {
        self.seconds.transaction(transaction.end_ns);
        self.dns
            .count(&mut self.window, &self.known.networks, transaction, name);
    }

    /// Ends it. Packets were looked at from one time to another one, in ns, whether any came or not.
    pub fn close(self, looked_ns: [i64; 2]) -> Window {
        let OpenWindow {
            mut window,
            known,
            mut addresses,
            ports,
            mut seconds,
            ..
        } = self;
        for (combined, metrics) in addresses.iter_mut().zip(ADDRESSES) {
            combined.flush(|place| take_address(&mut window, &known, metrics, place));
        }
        for (counts, [different, by_packets, by_octets]) in ports.iter().zip(PORTS) {
            for (port, [packets, octets]) in counts.iter() {
                let item = port.to_be_bytes();
                window.different(different, &item);
                window.list(by_packets, &item, packets);
                window.list(by_octets, &item, octets);
            }
        }
        let pairs = SUMS.iter().zip(&self.sums).chain(FLAGS.iter().zip(&self.flags));
        for (metrics, sums) in pairs {
            for (metric, sum) in metrics.iter().zip(sums) {
                window.add(*metric, *sum);
            }
        }
        for sums in &self.sums[..2] {
            window.add(Metric::Packets, sums[0]);
            window.add(Metric::Octets, sums[1]);
        }
        self.dns.close(&mut window);
        if !self.is_late {
            let [from_ns, to_ns] = looked_ns;
            seconds.see(from_ns.max(window.start_ns), to_ns.min(window.end_ns));
        }
        window.rates_of(seconds);
        window
    }
}

fn take_address(window: &mut Window, known: &Known, metrics: [Metric; 4], place: &Place) {
    let [different, by_packets, by_octets, foreign] = metrics;
    let [packets, octets] = place.counts;
    let of_way = match foreign {
        Metric::IpSrcIn => Way::In,
        _ => Way::Out,
    };
    place.with(|item| {
        window.different(different, item);
        if place.ways & (1 << of_way as u8) != 0 {
            window.different(foreign, item);
        }
        window.list(by_packets, item, packets);
        window.list(by_octets, item, octets);
    });
    if let Some(geo) = known.geo.as_deref()
        && !known.networks.contains(place.key())
    {
        let address = Ipv6Addr::from_bits(place.key()).to_canonical();
        if let Some(code) = geo.country(address) {
            window.list(Metric::TopCountryPackets, code.as_bytes(), packets);
            window.list(Metric::TopCountryOctets, code.as_bytes(), octets);
        }
        if let Some(number) = geo.system(address) {
            let text = system_text(number);
            window.list(Metric::TopSystemPackets, text.as_bytes(), packets);
            window.list(Metric::TopSystemOctets, text.as_bytes(), octets);
        }
    }
}
