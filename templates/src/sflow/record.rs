//! What a flow sample says about its packet: the header itself, or what the device knows of it.

use std::net::IpAddr;

use super::xdr;
use crate::bytes::Reader;
use crate::error::DecodeError;
use crate::packet::LinkType;

/// The format of a record: enterprise in the upper 20 bits, number in the lower 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordFormat(pub u32);

impl RecordFormat {
    /// Whose number it is; 0 is sFlow.org's own.
    #[must_use]
    pub const fn enterprise(self) -> u32 {
        self.0 >> 12
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 & 0xfff
    }
}

/// The first header of a sampled packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderProtocol(pub u32);

impl HeaderProtocol {
    /// How such a header reads, when it is one that is read here.
    #[must_use]
    pub const fn link_type(self) -> Option<LinkType> {
        match self.0 {
            1 => Some(LinkType::ETHERNET),
            7 => Some(LinkType::PPP),
            11 => Some(LinkType::IPV4),
            12 => Some(LinkType::IPV6),
            14 => Some(LinkType::PPP_HDLC),
            _ => None,
        }
    }
}

/// An address that may be unknown.
pub type Address = Option<IpAddr>;

/// The first octets of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeader<'a> {
    /// What they begin with.
    pub protocol: HeaderProtocol,
    /// Octets that the frame had, checksum and stripped ones included.
    pub frame_length: u32,
    /// Octets that were taken off before `header`, checksum included.
    pub stripped: u32,
    /// The octets.
    pub header: &'a [u8],
}

/// What a device read from an IP header itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledIp {
    /// Octets of the packet without lower layers.
    pub length: u32,
    /// Protocol above IP.
    pub protocol: u32,
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// Source and destination port.
    pub ports: [u32; 2],
    /// TCP flags.
    pub tcp_flags: u32,
    /// Type of service, or the priority.
    pub tos: u32,
}

/// The path of autonomous systems to the destination: segments of one or several numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsPath<'a> {
    octets: &'a [u8],
}

impl AsPath<'_> {
    /// The last number, which is the destination's own system.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.numbers().last()
    }

    /// Numbers of all segments, in their order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let mut rest = self.octets;
        let mut left = 0u32;
        std::iter::from_fn(move || {
            while left == 0 {
                // Type and count of the next segment; the count was checked when the record was read.
                let (head, behind) = rest.split_first_chunk::<8>()?;
                let [.., a, b, c, d] = *head;
                (left, rest) = (u32::from_be_bytes([a, b, c, d]), behind);
            }
            let (number, behind) = rest.split_first_chunk::<4>()?;
            (left, rest) = (left - 1, behind);
            Some(u32::from_be_bytes(*number))
        })
    }
}

/// State of a TCP connection as the host's kernel knows it (host-sflow's extension); times in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// 1 received, 2 sent, 0 unknown.
    pub direction: u32,
    /// Segments lost.
    pub lost: u32,
    /// Segments sent again.
    pub retransmitted: u32,
    /// Path MTU, octets.
    pub path_mtu: u32,
    /// Smoothed round-trip time.
    pub rtt_us: u32,
    /// Its variance.
    pub rtt_variance_us: u32,
    /// Congestion window, segments.
    pub congestion_window: u32,
    /// Least round-trip time.
    pub minimum_rtt_us: u32,
}

/// One thing that is known of a sampled packet. Numbers of labels and communities are octets, four for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowRecord<'a> {
    /// Its first octets (1).
    Header(RawHeader<'a>),
    /// Its Ethernet header (2).
    Ethernet {
        /// Octets of the frame.
        length: u32,
        /// Source MAC address.
        src: [u8; 6],
        /// Destination MAC address.
        dst: [u8; 6],
        /// EtherType.
        kind: u32,
    },
    /// Its IP header (3 and 4).
    Ip(SampledIp),
    /// VLAN and priority it came with and left with (1001).
    Switch {
        /// VLAN id and priority of arrival.
        src: [u32; 2],
        /// VLAN id and priority of departure.
        dst: [u32; 2],
    },
    /// Where it was routed (1002).
    Router {
        /// Next hop.
        next_hop: Address,
        /// Prefix lengths of the routes of source and destination.
        masks: [u32; 2],
    },
    /// What BGP knows (1003).
    Gateway {
        /// Next hop of BGP.
        next_hop: Address,
        /// The router's own system.
        autonomous_system: u32,
        /// System of the source.
        src_as: u32,
        /// Peer that the source is behind.
        src_peer_as: u32,
        /// Systems to the destination.
        path: AsPath<'a>,
        /// Communities.
        communities: &'a [u8],
        /// Local preference.
        local_preference: u32,
    },
    /// Users at both ends (1004).
    User {
        /// Of the source.
        src: &'a [u8],
        /// Of the destination.
        dst: &'a [u8],
    },
    /// HTTP request (1005).
    Url {
        /// The request line.
        url: &'a [u8],
        /// The host asked for.
        host: &'a [u8],
    },
    /// MPLS labels (1006).
    Mpls {
        /// Next hop.
        next_hop: Address,
        /// Labels it came with.
        in_labels: &'a [u8],
        /// Labels it left with.
        out_labels: &'a [u8],
    },
    /// Addresses after translation (1007).
    Nat {
        /// Source.
        src: Address,
        /// Destination.
        dst: Address,
    },
    /// Ports after translation (1020).
    NatPort {
        /// Source.
        src: u32,
        /// Destination.
        dst: u32,
    },
    /// Tags that were taken off, TPID and TCI of each, outermost first (1012).
    VlanTunnel {
        /// Tags.
        tags: &'a [u8],
    },
    /// IP header of the tunnel it left by (1023, 1025) or came by (1024, 1026).
    Tunnel {
        /// Outer header.
        outer: SampledIp,
        /// Whether it came by the tunnel.
        is_ingress: bool,
    },
    /// Network identifier of the tunnel (1029 out, 1030 in).
    Vni {
        /// Identifier.
        identifier: u32,
        /// Whether it came by the tunnel.
        is_ingress: bool,
    },
    /// Name of what discarded it (1038, 1042).
    Reason(&'a [u8]),
    /// The connection's state in the kernel (2209).
    TcpInfo(TcpInfo),
    /// A record that is not read here.
    Other {
        /// Its format.
        format: RecordFormat,
        /// Its body.
        body: &'a [u8],
    },
}

impl<'a> FlowRecord<'a> {
    pub(super) fn parse(format: RecordFormat, mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let r = &mut reader;
        Ok(match format.0 {
            1 => Self::Header(RawHeader {
                protocol: HeaderProtocol(r.u32()?),
                frame_length: r.u32()?,
                stripped: r.u32()?,
                header: xdr::opaque(r)?,
            }),
            2 => Self::Ethernet {
                length: r.u32()?,
                src: xdr::mac(r)?,
                dst: xdr::mac(r)?,
                kind: r.u32()?,
            },
            3 => Self::Ip(ip(r, false)?),
            4 => Self::Ip(ip(r, true)?),
            1001 => Self::Switch {
                src: [r.u32()?, r.u32()?],
                dst: [r.u32()?, r.u32()?],
            },
            1002 => Self::Router {
                next_hop: xdr::address(r)?,
                masks: [r.u32()?, r.u32()?],
            },
            1003 => gateway(r)?,
            1004 => user(r)?,
            1005 => {
                r.u32()?;
                Self::Url {
                    url: xdr::opaque(r)?,
                    host: xdr::opaque(r)?,
                }
            }
            1006 => Self::Mpls {
                next_hop: xdr::address(r)?,
                in_labels: xdr::numbers(r)?,
                out_labels: xdr::numbers(r)?,
            },
            1007 => Self::Nat {
                src: xdr::address(r)?,
                dst: xdr::address(r)?,
            },
            1012 => Self::VlanTunnel { tags: xdr::numbers(r)? },
            1020 => Self::NatPort {
                src: r.u32()?,
                dst: r.u32()?,
            },
            1023..=1026 => Self::Tunnel {
                outer: ip(r, format.0 > 1024)?,
                is_ingress: format.0.is_multiple_of(2),
            },
            1029 | 1030 => Self::Vni {
                identifier: r.u32()?,
                is_ingress: format.0 == 1030,
            },
            1038 | 1042 => Self::Reason(xdr::opaque(r)?),
            2209 => Self::TcpInfo(tcp_info(r)?),
            _ => Self::Other { format, body: r.rest() },
        })
    }
}

fn ip(r: &mut Reader<'_>, is_v6: bool) -> Result<SampledIp, DecodeError> {
    let (length, protocol) = (r.u32()?, r.u32()?);
    let (src, dst) = if is_v6 {
        (xdr::ipv6(r)?.into(), xdr::ipv6(r)?.into())
    } else {
        (xdr::ipv4(r)?.into(), xdr::ipv4(r)?.into())
    };
    Ok(SampledIp {
        length,
        protocol,
        src,
        dst,
        ports: [r.u32()?, r.u32()?],
        tcp_flags: r.u32()?,
        tos: r.u32()?,
    })
}

fn gateway<'a>(r: &mut Reader<'a>) -> Result<FlowRecord<'a>, DecodeError> {
    let next_hop = xdr::address(r)?;
    let [autonomous_system, src_as, src_peer_as] = [r.u32()?, r.u32()?, r.u32()?];
    let segments = r.u32()?;
    let octets = r.rest();
    for _ in 0..segments {
        // Each takes at least eight octets, so that a lying count ends with the bytes.
        r.u32()?;
        xdr::numbers(r)?;
    }
    let path = AsPath {
        octets: octets.get(..octets.len() - r.remaining()).unwrap_or_default(),
    };
    Ok(FlowRecord::Gateway {
        next_hop,
        autonomous_system,
        src_as,
        src_peer_as,
        path,
        communities: xdr::numbers(r)?,
        local_preference: r.u32()?,
    })
}

fn user<'a>(r: &mut Reader<'a>) -> Result<FlowRecord<'a>, DecodeError> {
    r.u32()?;
    let src = xdr::opaque(r)?;
    r.u32()?;
    Ok(FlowRecord::User {
        src,
        dst: xdr::opaque(r)?,
    })
}

fn tcp_info(r: &mut Reader<'_>) -> Result<TcpInfo, DecodeError> {
    let direction = r.u32()?;
    // Segment sizes of both directions and what is not acknowledged.
    let _ = [r.u32()?, r.u32()?, r.u32()?];
    let info = TcpInfo {
        direction,
        lost: r.u32()?,
        retransmitted: r.u32()?,
        path_mtu: r.u32()?,
        rtt_us: r.u32()?,
        rtt_variance_us: r.u32()?,
        congestion_window: r.u32()?,
        minimum_rtt_us: 0,
    };
    let _reordering = r.u32()?;
    Ok(TcpInfo {
        minimum_rtt_us: r.u32()?,
        ..info
    })
}
