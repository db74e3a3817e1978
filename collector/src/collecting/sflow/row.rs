//! One sampled packet as a row: its header as our own packet parser reads it, else what the device read of it.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use flowgauge_templates::packet::Headers;
use flowgauge_templates::sflow::{Address, Datagram, FlowRecord, Interface, RawHeader, SampledIp};

use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::packet::fill;
use crate::normalize::row::{CellRef, Row, ip_to_u128};
use crate::normalize::sampling::Rate;
use crate::normalize::scale;

const NS_PER_MS: i64 = 1_000_000;
/// forwardingStatus: dropped, for a reason that this number does not tell (RFC 7270 section 4.12).
const DROPPED: u64 = 128;

macro_rules! names {
    ($($field:ident = $name:literal;)*) => {
        /// Names under which is kept what no column takes: IANA's where there is one.
        struct Names { $($field: Arc<str>),* }

        static NAMES: LazyLock<Names> = LazyLock::new(|| Names { $($field: Arc::from($name)),* });
    };
}

names! {
    agent = "sflowAgentAddress";
    next_hop_4 = "ipNextHopIPv4Address";
    next_hop_6 = "ipNextHopIPv6Address";
    bgp_next_hop_4 = "bgpNextHopIPv4Address";
    bgp_next_hop_6 = "bgpNextHopIPv6Address";
    src_prefix_4 = "sourceIPv4PrefixLength";
    dst_prefix_4 = "destinationIPv4PrefixLength";
    src_prefix_6 = "sourceIPv6PrefixLength";
    dst_prefix_6 = "destinationIPv6PrefixLength";
    next_as = "bgpNextAdjacentAsNumber";
    previous_as = "bgpPrevAdjacentAsNumber";
    as_path = "sflowAsPath";
    communities = "sflowCommunities";
    local_preference = "sflowLocalPreference";
    post_vlan = "postVlanId";
    ethernet_type = "ethernetType";
    user = "userName";
    destination_user = "sflowDestinationUser";
    out_labels = "sflowOutLabels";
    forwarding_status = "forwardingStatus";
    drop_name = "sflowDropName";
    output_count = "sflowOutputCount";
    tcp_rtt = "sflowTcpRttMicroseconds";
    tcp_minimum_rtt = "sflowTcpMinimumRttMicroseconds";
    tcp_lost = "sflowTcpLost";
    tcp_retransmitted = "sflowTcpRetransmitted";
    tcp_window = "sflowTcpCongestionWindow";
    tcp_path_mtu = "sflowTcpPathMtu";
}

/// Fills a row record by record; records come in any order, and a header says more than what a device read of it.
pub(super) struct RowBuilder {
    row: Row,
    /// IP octets of the packet, or those of its frame without checksum where it holds no IP.
    octets: u64,
    has_header: bool,
}

impl RowBuilder {
    pub fn new(now_ns: i64, address: IpAddr, datagram: &Datagram<'_>) -> Self {
        let mut row = Row::new();
        row.set_signed(id::START, now_ns);
        row.set_signed(id::DURATION, 0);
        row.set_signed(id::RECEIVED, now_ns - now_ns.rem_euclid(NS_PER_MS));
        row.set_number(id::KIND, KIND_FLOW);
        row.set_ip(id::EXPORTER_IP, ip_to_u128(address));
        let mut builder = Self {
            row,
            octets: 0,
            has_header: false,
        };
        if let Some(agent) = datagram.agent.filter(|agent| *agent != address) {
            builder.other(&NAMES.agent, CellRef::Ip(ip_to_u128(agent)));
        }
        builder
    }

    pub fn interfaces(&mut self, input: Interface, output: Interface) {
        for (column, interface) in [(id::IN_IF, input), (id::OUT_IF, output)] {
            match interface {
                Interface::Index(0) | Interface::Internal => {}
                Interface::Index(index) => self.row.set_number(column, u64::from(index)),
                Interface::Discarded(reason) => self.drop_reason(reason),
                Interface::Several(count) => self.other(&NAMES.output_count, CellRef::Number(u64::from(count))),
                // A form that nobody has defined says nothing that could be searched for.
                Interface::Other(..) => {}
            }
        }
    }

    pub fn drop_reason(&mut self, reason: u32) {
        self.other(&NAMES.forwarding_status, CellRef::Number(DROPPED));
        self.row.set_number(id::DROP_REASON, u64::from(reason));
    }

    pub fn record(&mut self, record: &FlowRecord<'_>) {
        match *record {
            FlowRecord::Header(raw) => self.header(&raw),
            FlowRecord::Ethernet { length, src, dst, kind } => {
                self.mac(id::SRC_MAC, src);
                self.mac(id::DST_MAC, dst);
                self.other(&NAMES.ethernet_type, CellRef::Number(u64::from(kind)));
                if self.octets == 0 {
                    self.octets = u64::from(length);
                }
            }
            FlowRecord::Ip(ip) => self.ip(&ip),
            FlowRecord::Switch {
                src: [vlan, _],
                dst: [post_vlan, _],
            } => {
                self.keep_number(id::VLAN, u64::from(vlan), vlan != 0);
                if post_vlan != 0 {
                    self.other(&NAMES.post_vlan, CellRef::Number(u64::from(post_vlan)));
                }
            }
            FlowRecord::Router { next_hop, masks } => self.router(next_hop, masks),
            FlowRecord::Gateway { .. } => self.gateway(record),
            FlowRecord::User { src, dst } => {
                self.text(&NAMES.user, src);
                self.text(&NAMES.destination_user, dst);
            }
            FlowRecord::Url { url, host } => self.url(url, host),
            FlowRecord::Mpls {
                in_labels, out_labels, ..
            } => {
                if let Some(labels) = labels(in_labels) {
                    self.row.set_text(id::MPLS_LABELS, &labels);
                }
                if let Some(labels) = labels(out_labels) {
                    self.other(&NAMES.out_labels, CellRef::Text(&labels));
                }
            }
            FlowRecord::Nat { src, dst } => {
                for (column, address) in [(id::NAT_SRC_IP, src), (id::NAT_DST_IP, dst)] {
                    if let Some(address) = address {
                        self.row.set_ip(column, ip_to_u128(address));
                    }
                }
            }
            FlowRecord::NatPort { src, dst } => {
                self.row.set_number(id::NAT_SRC_PORT, u64::from(src));
                self.row.set_number(id::NAT_DST_PORT, u64::from(dst));
            }
            FlowRecord::Tunnel { outer, .. } => {
                self.row.set_ip(id::TUNNEL_SRC_IP, ip_to_u128(outer.src));
                self.row.set_ip(id::TUNNEL_DST_IP, ip_to_u128(outer.dst));
            }
            FlowRecord::Vni { identifier, .. } => self.row.set_number(id::TUNNEL_ID, u64::from(identifier)),
            FlowRecord::Reason(name) => self.text(&NAMES.drop_name, name),
            FlowRecord::TcpInfo(info) => {
                for (name, value) in [
                    (&NAMES.tcp_rtt, info.rtt_us),
                    (&NAMES.tcp_minimum_rtt, info.minimum_rtt_us),
                    (&NAMES.tcp_lost, info.lost),
                    (&NAMES.tcp_retransmitted, info.retransmitted),
                    (&NAMES.tcp_window, info.congestion_window),
                    (&NAMES.tcp_path_mtu, info.path_mtu),
                ] {
                    self.other(name, CellRef::Number(u64::from(value)));
                }
            }
            // Unread records name themselves by format, so that a search finds who sends them.
            FlowRecord::Other { format, body } => {
                let name = format!("sflow.{}.{}", format.enterprise(), format.number());
                let hex: String = body.iter().take(64).map(|octet| format!("{octet:02x}")).collect();
                self.row.add_other(&Arc::from(name), CellRef::Text(&hex));
            }
            _ => {}
        }
    }

    /// The sampled header tells the flow; lengths are those of IP, as everywhere.
    fn header(&mut self, raw: &RawHeader<'_>) {
        let Some(link_type) = raw.protocol.link_type() else {
            return self.frame(raw);
        };
        let mut headers = Headers::default();
        // The checksum is part of the length and never of the header.
        let wire = raw
            .frame_length
            .saturating_sub(raw.stripped)
            .max(raw.header.len() as u32);
        headers.read(link_type, raw.header, wire);
        // What the device read of the packet says less than the packet.
        if let Some(octets) = fill(&headers, true, &mut self.row) {
            self.has_header = true;
            self.octets = octets;
        } else {
            self.frame(raw);
        }
    }

    /// A frame of which nothing more is known than its length.
    fn frame(&mut self, raw: &RawHeader<'_>) {
        if self.octets == 0 {
            self.octets = u64::from(raw.frame_length.saturating_sub(raw.stripped));
        }
    }

    fn ip(&mut self, ip: &SampledIp) {
        if self.has_header {
            return;
        }
        self.octets = u64::from(ip.length);
        let row = &mut self.row;
        row.set_ip(id::SRC_IP, ip_to_u128(ip.src));
        row.set_ip(id::DST_IP, ip_to_u128(ip.dst));
        row.set_number(id::IP_VERSION, if ip.src.is_ipv4() { 4 } else { 6 });
        row.set_number(id::PROTO, u64::from(ip.protocol));
        row.set_number(id::SRC_PORT, u64::from(ip.ports[0]));
        row.set_number(id::DST_PORT, u64::from(ip.ports[1]));
        row.set_number(id::TOS, u64::from(ip.tos));
        if ip.protocol == u32::from(flowgauge_templates::packet::protocol::TCP) {
            row.set_number(id::TCP_FLAGS, u64::from(ip.tcp_flags));
        }
    }

    fn router(&mut self, next_hop: Address, [src, dst]: [u32; 2]) {
        let names = match next_hop {
            Some(IpAddr::V6(_)) => [&NAMES.src_prefix_6, &NAMES.dst_prefix_6],
            _ => [&NAMES.src_prefix_4, &NAMES.dst_prefix_4],
        };
        self.address([&NAMES.next_hop_4, &NAMES.next_hop_6], next_hop);
        for (name, length) in names.into_iter().zip([src, dst]) {
            self.other(name, CellRef::Number(u64::from(length)));
        }
    }

    fn gateway(&mut self, record: &FlowRecord<'_>) {
        let FlowRecord::Gateway {
            next_hop,
            autonomous_system,
            src_as,
            src_peer_as,
            path,
            communities,
            local_preference,
        } = *record
        else {
            return;
        };
        // 0 stands for the router's own system.
        let own = |number: u32| if number == 0 { autonomous_system } else { number };
        self.row.set_number(id::SRC_AS, u64::from(own(src_as)));
        self.row
            .set_number(id::DST_AS, u64::from(own(path.last().unwrap_or_default())));
        self.address([&NAMES.bgp_next_hop_4, &NAMES.bgp_next_hop_6], next_hop);
        self.other(&NAMES.previous_as, CellRef::Number(u64::from(src_peer_as)));
        if let Some(next) = path.numbers().next() {
            self.other(&NAMES.next_as, CellRef::Number(u64::from(next)));
            let path = joined(path.numbers().map(|number| number.to_string()));
            self.other(&NAMES.as_path, CellRef::Text(&path));
        }
        if !communities.is_empty() {
            let communities = joined(words(communities).map(|word| format!("{}:{}", word >> 16, word & 0xffff)));
            self.other(&NAMES.communities, CellRef::Text(&communities));
        }
        self.other(&NAMES.local_preference, CellRef::Number(u64::from(local_preference)));
    }

    /// The request line's target, and the host.
    fn url(&mut self, url: &[u8], host: &[u8]) {
        let url = String::from_utf8_lossy(url);
        let mut words = url.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        match second {
            Some(target) => {
                self.row.set_text(id::HTTP_METHOD, first);
                self.row.set_text(id::HTTP_PATH, target);
            }
            None => drop(self.row.set_text(id::HTTP_PATH, first)),
        }
        if !host.is_empty() {
            self.row.set_text(id::HTTP_HOST, &String::from_utf8_lossy(host));
        }
    }

    fn address(&mut self, [v4, v6]: [&Arc<str>; 2], address: Address) {
        match address {
            Some(IpAddr::V4(_)) => self.other(v4, CellRef::Ip(address.map_or(0, ip_to_u128))),
            Some(IpAddr::V6(_)) => self.other(v6, CellRef::Ip(address.map_or(0, ip_to_u128))),
            None => {}
        }
    }

    fn text(&mut self, name: &Arc<str>, octets: &[u8]) {
        if !octets.is_empty() {
            self.other(name, CellRef::Text(&String::from_utf8_lossy(octets)));
        }
    }

    fn mac(&mut self, column: ColumnId, [a, b, c, d, e, f]: [u8; 6]) {
        self.row
            .set_number(column, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
    }

    fn keep_number(&mut self, column: ColumnId, value: u64, is_there: bool) {
        if is_there && self.row.get(column).is_none() {
            self.row.set_number(column, value);
        }
    }

    fn other(&mut self, name: &Arc<str>, value: CellRef<'_>) {
        self.row.add_other(name, value);
    }

    /// The row of one packet, which stands for as many as the rate says.
    pub fn finish(mut self, rate: Rate) -> Row {
        self.row.set_number(id::PACKETS, 1);
        self.row.set_number(id::OCTETS, self.octets);
        scale(&mut self.row, rate);
        self.row
    }
}

fn words(octets: &[u8]) -> impl Iterator<Item = u32> + '_ {
    octets
        .chunks_exact(4)
        .filter_map(|chunk| chunk.first_chunk().map(|word| u32::from_be_bytes(*word)))
}

fn labels(octets: &[u8]) -> Option<String> {
    // 20 bits label above class, bottom of stack and time to live (RFC 3032).
    (!octets.is_empty()).then(|| joined(words(octets).map(|word| (word >> 12).to_string())))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}
