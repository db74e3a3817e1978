//! The beginning of a packet as columns: what exporters send of it instead of fields (RFC 5477 section 8.5, sFlow).

use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::packet::{Headers, LinkType, Transport};

use super::columns::{ColumnId, id};
use super::row::{Row, ip_to_u128};

/// Where a part of a packet begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// At its IP header (ipHeaderPacketSection).
    Ip,
    /// At its frame (dataLinkFrameSection), which is Ethernet wherever it was seen.
    Frame,
}

impl Section {
    /// What an element holds of a packet.
    pub fn of(element: ElementId) -> Option<Section> {
        match element {
            ids::IP_HEADER_PACKET_SECTION => Some(Self::Ip),
            ids::DATA_LINK_FRAME_SECTION => Some(Self::Frame),
            _ => None,
        }
    }
}

/// Fills columns that are empty from the beginning of a packet of `length` octets, where that is known. A record that
/// counts nothing tells of this one packet.
pub(super) fn read_section(section: Section, octets: &[u8], length: Option<u64>, row: &mut Row) {
    let link_type = match (section, octets.first().map(|first| first >> 4)) {
        (Section::Frame, _) => LinkType::ETHERNET,
        (Section::Ip, Some(4)) => LinkType::IPV4,
        (Section::Ip, Some(6)) => LinkType::IPV6,
        (Section::Ip, _) => return,
    };
    let there = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    let wire = length
        .and_then(|length| u32::try_from(length).ok())
        .unwrap_or(there)
        .max(there);
    let mut headers = Headers::default();
    headers.read(link_type, octets, wire);
    let Some(octets) = fill(&headers, false, row) else {
        return;
    };
    let counted = [id::PACKETS, id::OCTETS, id::REV_PACKETS, id::REV_OCTETS];
    if counted.iter().all(|column| row.get(*column).is_none()) {
        row.set_number(id::PACKETS, 1);
        row.set_number(id::OCTETS, octets);
    }
}

/// Fills columns from headers, those that are not empty only with `over`; the octets of the IP packet, where there is one.
pub(crate) fn fill(headers: &Headers<'_>, over: bool, row: &mut Row) -> Option<u64> {
    for (column, vlan) in [id::VLAN, id::VLAN_INNER].into_iter().zip(headers.link.vlan) {
        if vlan != 0 && row.get(column).is_none() {
            row.set_number(column, u64::from(vlan));
        }
    }
    let mut number = |column: ColumnId, value: u64| {
        if over || row.get(column).is_none() {
            row.set_number(column, value);
        }
    };
    for (column, mac) in [(id::SRC_MAC, headers.link.src_mac), (id::DST_MAC, headers.link.dst_mac)] {
        if let Some([a, b, c, d, e, f]) = mac.copied() {
            number(column, u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
        }
    }
    let network = headers.network.as_ref()?;
    number(id::IP_VERSION, network.version as u64);
    number(id::PROTO, u64::from(network.protocol));
    number(id::TOS, u64::from(network.tos));
    number(id::TTL_MIN, u64::from(network.ttl));
    number(id::TTL_MAX, u64::from(network.ttl));
    match headers.transport {
        Transport::Tcp(tcp) => number(id::TCP_FLAGS, u64::from(tcp.flags.0)),
        Transport::Icmp { kind, code } => {
            number(id::ICMP_TYPE, u64::from(kind));
            number(id::ICMP_CODE, u64::from(code));
        }
        _ => {}
    }
    if headers.transport != Transport::None && !matches!(headers.transport, Transport::Icmp { .. }) {
        number(id::SRC_PORT, u64::from(headers.ports[0]));
        number(id::DST_PORT, u64::from(headers.ports[1]));
    }
    for (column, address) in [(id::SRC_IP, network.src()), (id::DST_IP, network.dst())] {
        if over || row.get(column).is_none() {
            row.set_ip(column, ip_to_u128(address));
        }
    }
    Some(u64::from(network.octets))
}
