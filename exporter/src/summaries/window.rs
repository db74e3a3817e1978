//! One window: a counter or a sketch for each metric, aligned to the wall clock, and what merging two of them gives.

use flowgauge_templates::packet::{TcpFlags, protocol};

use super::combine::{Combined, CombinedNames, Sinks};
use super::limits::{COMBINED_ADDRESSES, COMBINED_NAMES, COMBINED_PORTS};
use super::metrics::{Kind, Metric};
use super::names::last_labels;
use super::sketch::{Cardinality, Item, List, Quantiles, Refusal};
use crate::metering::dns::{DnsStatus, DnsTransaction};
use crate::metering::facts::PacketFacts;

const SECOND_NS: i64 = 1_000_000_000;

/// What a metric has gathered.
#[derive(Clone, Debug)]
pub enum Summary {
    /// A sum.
    Counter(u64),
    /// Different values.
    Cardinality(Box<Cardinality>),
    /// A distribution.
    Quantiles(Box<Quantiles>),
    /// Weights of items.
    FrequentItems(Box<List>),
}

impl Summary {
    fn empty(metric: Metric) -> Summary {
        match metric.about().kind {
            Kind::Counter => Summary::Counter(0),
            Kind::Cardinality => Summary::Cardinality(Box::default()),
            Kind::Quantiles => Summary::Quantiles(Box::new(match metric {
                Metric::DnsLatency | Metric::PacketRate | Metric::OctetRate => Quantiles::high(),
                _ => Quantiles::even(),
            })),
            Kind::FrequentItems => Summary::FrequentItems(Box::default()),
        }
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        match self {
            Summary::Counter(sum) => *sum == 0,
            Summary::Cardinality(sketch) => sketch.is_empty(),
            Summary::Quantiles(sketch) => sketch.weight() == 0,
            Summary::FrequentItems(list) => list.weight() == 0,
        }
    }

    /// Takes in what another one of the same metric has.
    ///
    /// # Errors
    /// `Family` when they are of different kinds, `Size` when sums would overflow; nothing is changed then.
    pub fn merge(&mut self, other: &Summary) -> Result<(), Refusal> {
        match (self, other) {
            (Summary::Counter(sum), Summary::Counter(more)) => *sum = sum.saturating_add(*more),
            (Summary::Cardinality(sketch), Summary::Cardinality(more)) => sketch.merge(more),
            (Summary::Quantiles(sketch), Summary::Quantiles(more)) => sketch.merge(more)?,
            (Summary::FrequentItems(list), Summary::FrequentItems(more)) => list.merge(more)?,
            _ => return Err(Refusal::Family),
        }
        Ok(())
    }
}

/// Everything about a span of time.
#[derive(Clone, Debug)]
pub struct Window {
    /// When it begins, ns since 1970 UTC; merged from several, the first.
    pub start_ns: i64,
    /// When it ends.
    pub end_ns: i64,
    /// How many windows it was merged from.
    pub windows: u64,
    summaries: Vec<Summary>,
}

impl Window {
    /// Nothing gathered.
    pub fn new(start_ns: i64, end_ns: i64) -> Window {
        Window {
            start_ns,
            end_ns,
            windows: 1,
            summaries: Metric::ALL.iter().map(|metric| Summary::empty(*metric)).collect(),
        }
    }

    /// What a metric gathered.
    pub fn summary(&self, metric: Metric) -> &Summary {
        &self.summaries[metric as usize]
    }

    /// The sum of a counter; 0 for other kinds.
    pub fn counter(&self, metric: Metric) -> u64 {
        match self.summary(metric) {
            Summary::Counter(sum) => *sum,
            _ => 0,
        }
    }

    /// Takes in another window, of whatever span.
    ///
    /// # Errors
    /// As [`Summary::merge`]; what could be merged is.
    pub fn merge(&mut self, other: &Window) -> Result<(), Refusal> {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.windows += other.windows;
        let mut result = Ok(());
        for (mine, others) in self.summaries.iter_mut().zip(&other.summaries) {
            result = mine.merge(others).and(result);
        }
        result
    }

    #[inline]
    fn add(&mut self, metric: Metric, more: u64) {
        if let Some(Summary::Counter(sum)) = self.summaries.get_mut(metric as usize) {
            *sum = sum.saturating_add(more);
        }
    }

    #[inline]
    fn list(&mut self, metric: Metric, octets: &[u8], weight: u64) {
        if let Some(Summary::FrequentItems(list)) = self.summaries.get_mut(metric as usize) {
            list.update(Item::new(octets), weight);
        }
    }

    #[inline]
    fn distribution(&mut self, metric: Metric, value: f32) {
        if let Some(Summary::Quantiles(sketch)) = self.summaries.get_mut(metric as usize) {
            sketch.update(value);
        }
    }

    #[inline]
    fn sinks(&mut self, [different, packets, octets]: [Metric; 3]) -> Option<Sinks<'_>> {
        let at = [different, packets, octets].map(|metric| metric as usize);
        match self.summaries.get_disjoint_mut(at).ok()? {
            [
                Summary::Cardinality(different),
                Summary::FrequentItems(packets),
                Summary::FrequentItems(octets),
            ] => Some(Sinks {
                different,
                packets,
                octets: Some(octets),
            }),
            _ => None,
        }
    }
}

/// A window that is being filled.
#[derive(Clone, Debug)]
pub(super) struct OpenWindow {
    window: Window,
    addresses: [Combined; 2],
    ports: [Combined; 2],
    names: CombinedNames,
    /// The second whose packets are counted for the rates, and its packets and octets.
    second: i64,
    rate: [u64; 2],
}

/// Cardinality, packets and octets of each end.
const ADDRESSES: [[Metric; 3]; 2] = [
    [Metric::IpSrc, Metric::TopSrcPackets, Metric::TopSrcOctets],
    [Metric::IpDst, Metric::TopDstPackets, Metric::TopDstOctets],
];
const PORTS: [[Metric; 3]; 2] = [
    [Metric::PortSrc, Metric::TopSrcPortPackets, Metric::TopSrcPortOctets],
    [Metric::PortDst, Metric::TopDstPortPackets, Metric::TopDstPortOctets],
];

impl OpenWindow {
    pub fn new(start_ns: i64, end_ns: i64) -> OpenWindow {
        OpenWindow {
            window: Window::new(start_ns, end_ns),
            addresses: [COMBINED_ADDRESSES; 2].map(Combined::new),
            ports: [COMBINED_PORTS; 2].map(Combined::new),
            names: CombinedNames::new(COMBINED_NAMES),
            second: start_ns.div_euclid(SECOND_NS),
            rate: [0; 2],
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
        use Metric::*;
        let window = &mut self.window;
        let octets = u64::from(facts.octets);
        let [packets_of_version, octets_of_version] = match facts.is_ipv4 {
            true => [PacketsIpv4, OctetsIpv4],
            false => [PacketsIpv6, OctetsIpv6],
        };
        let [packets_of_protocol, octets_of_protocol] = match facts.protocol {
            protocol::TCP => [PacketsTcp, OctetsTcp],
            protocol::UDP => [PacketsUdp, OctetsUdp],
            protocol::ICMP | protocol::ICMP6 => [PacketsIcmp, OctetsIcmp],
            _ => [PacketsOther, OctetsOther],
        };
        for metric in [Packets, packets_of_version, packets_of_protocol] {
            window.add(metric, 1);
        }
        for metric in [Octets, octets_of_version, octets_of_protocol] {
            window.add(metric, octets);
        }
        if facts.protocol == protocol::TCP {
            self.tcp_flags(facts);
        }
        self.window.distribution(PacketSize, facts.octets as f32);
        let length = if facts.is_ipv4 { 4 } else { 16 };
        for ((combined, metrics), address) in self.addresses.iter_mut().zip(ADDRESSES).zip([facts.src, facts.dst]) {
            if let Some(mut sinks) = self.window.sinks(metrics) {
                combined.count(address, length, octets, &mut sinks);
            }
        }
        if facts.ports != [0, 0] {
            for ((combined, metrics), port) in self.ports.iter_mut().zip(PORTS).zip(facts.ports) {
                if let Some(mut sinks) = self.window.sinks(metrics) {
                    combined.count(u128::from(port), 2, octets, &mut sinks);
                }
            }
        }
        let second = facts.time_ns.div_euclid(SECOND_NS);
        if second != self.second {
            self.end_second(second);
        }
        let [packets, all] = &mut self.rate;
        *packets += 1;
        *all = all.saturating_add(octets);
    }

    #[inline]
    fn tcp_flags(&mut self, facts: &PacketFacts) {
        let has = |flag: TcpFlags| facts.tcp_flags & flag.0 != 0;
        let window = &mut self.window;
        if has(TcpFlags::SYN) {
            let metric = match has(TcpFlags::ACK) {
                true => Metric::TcpSynAck,
                false => Metric::TcpSyn,
            };
            window.add(metric, 1);
        }
        if has(TcpFlags::FIN) {
            window.add(Metric::TcpFin, 1);
        }
        if has(TcpFlags::RST) {
            window.add(Metric::TcpRst, 1);
        }
    }

    /// Takes the rates of a second that has ended, and of those after it that saw nothing. A packet out of order ends its
    /// second too: a second that comes twice counts as two.
    #[cold]
    fn end_second(&mut self, now: i64) {
        if self.rate != [0, 0] || now > self.second {
            self.window.distribution(Metric::PacketRate, self.rate[0] as f32);
            self.window.distribution(Metric::OctetRate, self.rate[1] as f32);
            // No window has more seconds than an hour has.
            for _ in 0..now.saturating_sub(self.second).saturating_sub(1).clamp(0, 3600) {
                self.window.distribution(Metric::PacketRate, 0.0);
                self.window.distribution(Metric::OctetRate, 0.0);
            }
        }
        self.second = now;
        self.rate = [0; 2];
    }

    /// Counts a DNS transaction.
    pub fn transaction(&mut self, transaction: &DnsTransaction, name: &[u8]) {
        use Metric::*;
        let has_query = transaction.status != DnsStatus::NoQuery;
        let has_response = transaction.status != DnsStatus::Unanswered;
        let window = &mut self.window;
        window.add(DnsQueries, u64::from(has_query));
        window.add(DnsResponses, u64::from(has_response));
        let metric = match transaction.status {
            DnsStatus::Answered => DnsAnswered,
            DnsStatus::Unanswered => DnsUnanswered,
            DnsStatus::NoQuery => DnsNoQuery,
        };
        window.add(metric, 1);
        window.add(DnsRetries, u64::from(transaction.retries));
        let metric = match transaction.key.protocol {
            protocol::TCP => DnsTcp,
            _ => DnsUdp,
        };
        window.add(metric, 1);
        window.add(
            if transaction.key.src.is_ipv4() {
                DnsIpv4
            } else {
                DnsIpv6
            },
            1,
        );
        window.add(DnsQueryOctets, u64::from(transaction.query_octets.unwrap_or(0)));
        window.add(DnsResponseOctets, u64::from(transaction.response_octets.unwrap_or(0)));
        let code = transaction.rcode;
        let of_code = match code {
            Some(0) => Some((DnsNoError, None)),
            Some(2) => Some((DnsServFail, Some(TopServFail))),
            Some(3) => Some((DnsNxDomain, Some(TopNxDomain))),
            Some(5) => Some((DnsRefused, Some(TopRefused))),
            _ => None,
        };
        if let Some((counter, list)) = of_code {
            window.add(counter, 1);
            if let Some(list) = list {
                window.list(list, name, 1);
            }
        }
        if let Some(code) = code {
            window.list(TopRcode, &code.to_be_bytes(), 1);
        }
        // TC of the header's flags (RFC 1035 section 4.1.1).
        window.add(DnsTruncated, u64::from(has_response && transaction.flags & 0x0200 != 0));
        window.list(TopQtype, &transaction.qtype.to_be_bytes(), 1);
        if let Some(latency_us) = transaction.latency_us {
            window.distribution(DnsLatency, latency_us as f32);
            window.list(TopSlow, name, u64::from(latency_us));
        }
        if let (Some(query), Some(response)) = (transaction.query_octets, transaction.response_octets)
            && query > 0
        {
            window.distribution(DnsRatio, f32::from(response) / f32::from(query));
        }
        let counts = [1, u32::from(has_query), u32::from(has_response)];
        self.address(transaction, has_query, has_response);
        let window = &mut self.window;
        self.names
            .count(name, counts, |name, counts| take_name(window, name, counts));
    }

    fn address(&mut self, transaction: &DnsTransaction, has_query: bool, has_response: bool) {
        let window = &mut self.window;
        let mut room = [0; 16];
        if has_query {
            let client = address_octets(transaction.key.src, &mut room);
            if let Some(Summary::Cardinality(sketch)) = window.summaries.get_mut(Metric::DnsClient as usize) {
                sketch.update(client);
            }
            window.list(Metric::TopClient, client, 1);
        }
        let server = address_octets(transaction.key.dst, &mut room);
        if has_query {
            window.list(Metric::TopServerQueries, server, 1);
        }
        if has_response {
            window.list(Metric::TopServerResponses, server, 1);
        }
    }

    /// Ends it.
    pub fn close(mut self) -> Window {
        let window = &mut self.window;
        for (combined, metrics) in self
            .addresses
            .iter_mut()
            .zip(ADDRESSES)
            .chain(self.ports.iter_mut().zip(PORTS))
        {
            if let Some(mut sinks) = window.sinks(metrics) {
                combined.flush(&mut sinks);
            }
        }
        self.names.flush(|name, counts| take_name(window, name, counts));
        if self.rate != [0, 0] {
            self.end_second(self.second + 1);
        }
        self.window
    }
}

fn take_name(window: &mut Window, name: &[u8], [transactions, queries, responses]: [u32; 3]) {
    if let Some(Summary::Cardinality(sketch)) = window.summaries.get_mut(Metric::DnsQname as usize) {
        sketch.update(name);
    }
    window.list(Metric::TopQname, name, u64::from(transactions));
    let [zone, longer] = last_labels(name);
    if let Some(zone) = zone {
        window.list(Metric::TopQname2, zone, u64::from(transactions));
        window.list(Metric::TopZoneQueries, zone, u64::from(queries));
        window.list(Metric::TopZoneResponses, zone, u64::from(responses));
    }
    if let Some(longer) = longer {
        window.list(Metric::TopQname3, longer, u64::from(transactions));
    }
}

fn address_octets(address: std::net::IpAddr, room: &mut [u8; 16]) -> &[u8] {
    match address {
        std::net::IpAddr::V4(address) => {
            let octets = address.octets();
            room[..4].copy_from_slice(&octets);
            &room[..4]
        }
        std::net::IpAddr::V6(address) => {
            *room = address.octets();
            room
        }
    }
}
