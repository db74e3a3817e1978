//! Link headers of captures. Everything ends at the first octet of an IP header, at ARP, or at a named reason.
//!
//! Each family of links is a file that takes its header off and says what EtherType follows; [`ethernet`] alone follows
//! EtherTypes through tags, labels and frames in frames, so that every link gets all of them and one bound holds.
//!
//! Numbers: the LINKTYPE list of tcpdump.org.

mod capture;
mod ethernet;
mod llc;
mod mpls;
mod point_to_point;
mod wireless;

use super::Fault;

/// A link type as capture files number it (LINKTYPE, which for all of these is also libpcap's DLT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// Token Ring.
    pub const TOKEN_RING: LinkType = LinkType(6);
    /// SLIP with the 16 octets that BSD puts before a packet.
    pub const SLIP: LinkType = LinkType(8);
    /// PPP, with or without the HDLC address and control octets.
    pub const PPP: LinkType = LinkType(9);
    /// FDDI.
    pub const FDDI: LinkType = LinkType(10);
    /// Raw IP as some systems number it.
    pub const RAW_12: LinkType = LinkType(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_14: LinkType = LinkType(14);
    /// PPP in HDLC-like framing, or Cisco HDLC.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE without its Ethernet header.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// ATM with an LLC header (RFC 2684).
    pub const ATM_LLC: LinkType = LinkType(100);
    /// Raw IP.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// IEEE 802.11 without a header of the capture.
    pub const IEEE802_11: LinkType = LinkType(105);
    /// Frame Relay.
    pub const FRAME_RELAY: LinkType = LinkType(107);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// IEEE 802.11 behind a Prism header.
    pub const IEEE802_11_PRISM: LinkType = LinkType(119);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: LinkType = LinkType(127);
    /// IEEE 802.11 behind an AVS header.
    pub const IEEE802_11_AVS: LinkType = LinkType(163);
    /// Any of the others behind a per-packet information header.
    pub const PPI: LinkType = LinkType(192);
    /// Solaris IP interfaces.
    pub const IPNET: LinkType = LinkType(226);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux netfilter log.
    pub const NFLOG: LinkType = LinkType(239);
    /// IP over InfiniBand.
    pub const IP_OVER_INFINIBAND: LinkType = LinkType(242);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

/// What lies below the IP header; in a frame within a packet or frame, what lies between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link<'a> {
    /// Source MAC address, where the link has one.
    pub src_mac: Option<&'a [u8; 6]>,
    /// Destination MAC address, where the link has one.
    pub dst_mac: Option<&'a [u8; 6]>,
    /// VLAN ids (12 bits) of the two outermost tags, outermost first; 0 is none.
    pub vlan: [u16; 2],
    /// VLAN tags on the frame, those beyond the second included.
    pub vlan_tags: u8,
    /// MPLS labels on the frame.
    pub mpls_labels: u8,
    /// The top and the bottom entry of the MPLS stack (20 bits label, 3 bits class, bottom of stack, 8 bits TTL);
    /// meaningful when `mpls_labels` is not 0. They are the same in a stack of one.
    pub mpls: [u32; 2],
    /// The PPPoE session.
    pub pppoe_session: Option<u16>,
    /// The interface that the frame itself names (Linux cooked captures, version 2).
    pub interface: Option<u32>,
}

/// What the link layer says that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Ipv4,
    Ipv6,
    /// The link names no version: the first four bits of the packet do.
    Ip,
    /// An ARP message, no packet.
    Arp,
}

/// The network layer's bytes and what they are.
pub(super) type Network<'a> = Result<(Announced, &'a [u8]), Fault>;

/// What follows a header: an EtherType, and the bytes behind.
type Above<'a> = Result<(u16, &'a [u8]), Fault>;

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// A packet; its first four bits say which version.
    Ip,
    /// What this EtherType means.
    EtherType(u16),
    /// A frame.
    Ethernet,
    /// PPP, with or without the HDLC address and control octets.
    Ppp,
    /// An IEEE 802.11 frame.
    Wireless,
    /// An IEEE 802.11 frame whose control may be the wrong way round, as in CAPWAP of some vendors.
    WirelessSwapped,
}

/// Reads the link header and hands out the bytes of the network layer.
#[inline(always)]
pub(super) fn decode<'a>(link_type: LinkType, frame: &'a [u8], link: &mut Link<'a>) -> Network<'a> {
    if link_type == LinkType::ETHERNET {
        return ethernet::decode(frame, link);
    }
    other_link(link_type, frame, link)
}

#[inline(never)]
fn other_link<'a>(link_type: LinkType, frame: &'a [u8], link: &mut Link<'a>) -> Network<'a> {
    let (kind, rest) = match link_type {
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 => return Ok((Announced::Ip, frame)),
        LinkType::IPV4 => (ether_type::IPV4, frame),
        LinkType::IPV6 => (ether_type::IPV6, frame),
        LinkType::NULL | LinkType::LOOP => capture::loopback(frame)?,
        LinkType::LINUX_SLL => capture::cooked_1(frame, link)?,
        LinkType::LINUX_SLL2 => capture::cooked_2(frame, link)?,
        LinkType::NFLOG => capture::netfilter_log(frame)?,
        LinkType::IPNET => return Ok((Announced::Ip, capture::skip(frame, 24)?)),
        LinkType::IP_OVER_INFINIBAND => capture::infiniband(frame)?,
        LinkType::PPP | LinkType::PPP_HDLC => point_to_point::framed(frame)?,
        LinkType::C_HDLC => point_to_point::cisco_hdlc(frame)?,
        LinkType::PPP_ETHER => point_to_point::pppoe(frame, link)?,
        LinkType::FRAME_RELAY => point_to_point::frame_relay(frame)?,
        LinkType::SLIP => return Ok((Announced::Ip, capture::skip(frame, 16)?)),
        LinkType::FDDI => llc::fddi(frame, link)?,
        LinkType::TOKEN_RING => llc::token_ring(frame, link)?,
        LinkType::ATM_LLC => llc::decode(frame)?,
        LinkType::IEEE802_11 => wireless::decode(frame, false, link)?,
        LinkType::IEEE802_11_RADIOTAP => wireless::radiotap(frame, link)?,
        LinkType::IEEE802_11_PRISM | LinkType::IEEE802_11_AVS => wireless::prism_or_avs(frame, link)?,
        LinkType::PPI => match capture::per_packet_information(frame)? {
            // Once: what a capture puts before frames is not put before itself.
            (LinkType::PPI, _) => return Err(Fault::UnknownLinkType),
            (LinkType::ETHERNET, frame) => return ethernet::decode(frame, link),
            (link_type, frame) => return other_link(link_type, frame, link),
        },
        _ => return Err(Fault::UnknownLinkType),
    };
    ethernet::follow(kind, rest, link)
}

/// Reads what a tunnel carries down to the network layer; `link` describes the frame around and then, where there is
/// one, the frame inside.
pub(super) fn decode_inner<'a>(inner: Inner, bytes: &'a [u8], link: &mut Link<'a>) -> Network<'a> {
    let (kind, rest) = match inner {
        Inner::Ip => return Ok((Announced::Ip, bytes)),
        Inner::EtherType(kind) => (kind, bytes),
        Inner::Ethernet => ethernet::frame_within(bytes, link)?,
        Inner::Ppp => point_to_point::framed(bytes)?,
        Inner::Wireless => {
            *link = Link::default();
            wireless::decode(bytes, false, link)?
        }
        Inner::WirelessSwapped => {
            *link = Link::default();
            wireless::maybe_swapped(bytes, link)?
        }
    };
    ethernet::follow(kind, rest, link)
}

/// EtherTypes (IEEE 802) that are told apart here.
pub(super) mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const ETHERNET: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const PPP: u16 = 0x880b;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const MACSEC: u16 = 0x88e5;
    pub const BACKBONE_BRIDGE: u16 = 0x88e7;
    pub const FABRIC_PATH: u16 = 0x8903;
    pub const CISCO_METADATA: u16 = 0x8909;
    pub const VN_TAG: u16 = 0x8926;
    pub const HSR: u16 = 0x892f;
    pub const NSH: u16 = 0x894f;
    pub const OLD_QINQ: u16 = 0x9100;
    /// Up to here the field is an 802.3 length.
    pub const LARGEST_LENGTH: u16 = 1500;
}

#[inline(always)]
fn be16(bytes: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let (value, rest) = split::<2>(bytes)?;
    Ok((u16::from_be_bytes(*value), rest))
}

#[inline(always)]
fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Fault> {
    bytes.split_first_chunk::<N>().ok_or(Fault::LinkHeaderCut)
}
