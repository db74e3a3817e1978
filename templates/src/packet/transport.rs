//! Transport headers: ports of TCP, UDP, UDP-Lite, SCTP and DCCP, and the fields of TCP and ICMP that flows are made of.
//!
//! A header that the snap length cut still gives the fields that were captured.
//! Sources: RFC 9293 (TCP), RFC 768 (UDP), RFC 3828 (UDP-Lite), RFC 9260 (SCTP), RFC 4340 (DCCP), RFC 792 and 4443 (ICMP).

use super::network::{IpVersion, note};
use super::{Fault, Headers, protocol};

/// A transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport<'a> {
    /// None that is known, or none that could be read.
    #[default]
    None,
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP or UDP-Lite.
    Udp,
    /// SCTP.
    Sctp,
    /// DCCP.
    Dccp,
    /// ICMP, of the version of the network layer.
    Icmp {
        /// Type of the message.
        kind: u8,
        /// Code of the message.
        code: u8,
    },
}

/// A TCP header (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Control bits, the reserved ones included (12 bits).
    pub flags: TcpFlags,
    /// Window, not scaled; absent when it was not captured.
    pub window: Option<u16>,
    /// What was captured of the options.
    pub options: &'a [u8],
}

/// TCP control bits as in tcpControlBits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The urgent pointer is significant.
    pub const URG: TcpFlags = TcpFlags(0x20);

    /// Whether any of these bits is set.
    #[inline(always)]
    pub const fn any(self, bits: TcpFlags) -> bool {
        self.0 & bits.0 != 0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = TcpFlags;

    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

/// Reads the transport header. `above` is what was captured of the `octets` that the network layer states.
#[inline(always)]
pub(super) fn decode<'a>(protocol: u8, above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    match protocol {
        protocol::TCP => tcp(above, octets, headers),
        protocol::UDP => udp(above, octets, headers),
        _ => other(protocol, above, octets, headers),
    }
}

#[inline(never)]
fn other<'a>(protocol: u8, above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    let version = headers.network.map(|network| network.version);
    match (protocol, version) {
        (protocol::UDP_LITE, _) => with_ports(Transport::Udp, 8, above, octets, headers),
        (protocol::SCTP, _) => with_ports(Transport::Sctp, 12, above, octets, headers),
        (protocol::DCCP, _) => with_ports(Transport::Dccp, 12, above, octets, headers),
        (protocol::ICMP, Some(IpVersion::V4)) | (protocol::ICMP6, Some(IpVersion::V6)) => icmp(above, octets, headers),
        _ => {
            headers.payload = above;
            headers.payload_octets = octets as u32;
        }
    }
}

#[inline(always)]
fn tcp<'a>(above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    const FIXED: usize = 20;
    let Some(head) = above.first_chunk::<FIXED>() else {
        return tcp_cut(above, octets, headers);
    };
    headers.ports = [
        u16::from_be_bytes([head[0], head[1]]),
        u16::from_be_bytes([head[2], head[3]]),
    ];
    let header_octets = usize::from(head[12] >> 4) * 4;
    headers.transport = Transport::Tcp(Tcp {
        sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        acknowledgment: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: TcpFlags(u16::from_be_bytes([head[12], head[13]]) & 0x0fff),
        window: Some(u16::from_be_bytes([head[14], head[15]])),
        options: above.get(FIXED..header_octets.min(above.len())).unwrap_or_default(),
    });
    if header_octets < FIXED || header_octets > octets {
        return note(headers, Fault::TransportLength);
    }
    headers.payload_octets = (octets - header_octets) as u32;
    match above.get(header_octets..) {
        Some(payload) => headers.payload = payload,
        None => note(headers, Fault::TransportCut),
    }
}

/// What can still be told of a TCP header whose end is missing: its control bits are the last thing flows need.
#[cold]
fn tcp_cut(above: &[u8], octets: usize, headers: &mut Headers<'_>) {
    cut(above, 20, octets, headers);
    if let Some(head) = above.first_chunk::<14>() {
        let header_octets = usize::from(head[12] >> 4) * 4;
        headers.payload_octets = octets.saturating_sub(header_octets) as u32;
        headers.transport = Transport::Tcp(Tcp {
            sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            acknowledgment: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            flags: TcpFlags(u16::from_be_bytes([head[12], head[13]]) & 0x0fff),
            window: above
                .get(14..)
                .and_then(<[u8]>::first_chunk)
                .map(|window| u16::from_be_bytes(*window)),
            options: &[],
        });
    }
}

#[inline(always)]
fn udp<'a>(above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    const FIXED: usize = 8;
    let Some((head, payload)) = above.split_first_chunk::<FIXED>() else {
        return cut(above, FIXED, octets, headers);
    };
    headers.ports = [
        u16::from_be_bytes([head[0], head[1]]),
        u16::from_be_bytes([head[2], head[3]]),
    ];
    headers.transport = Transport::Udp;
    headers.datagram_octets = u16::from_be_bytes([head[4], head[5]]);
    let stated = usize::from(headers.datagram_octets);
    // RFC 2675 section 4: 0 in a jumbogram; in a capture of a sending host it is 0 or stale, as the card fills it in.
    let whole = headers
        .network
        .is_some_and(|network| network.fragment == super::Fragment::Whole);
    let length = match stated {
        0 => octets,
        // The length is that of all fragments together.
        _ if !whole => octets,
        stated if stated < FIXED || stated > octets => return note(headers, Fault::TransportLength),
        stated => stated,
    };
    headers.payload_octets = (length - FIXED.min(length)) as u32;
    headers.payload = payload.get(..length - FIXED.min(length)).unwrap_or(payload);
}

fn with_ports<'a>(transport: Transport<'a>, fixed: usize, above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    let Some(payload) = above.get(fixed..) else {
        return cut(above, fixed, octets, headers);
    };
    if let Some(&[a, b, c, d]) = above.first_chunk::<4>() {
        headers.ports = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    }
    headers.transport = transport;
    headers.payload = payload;
    headers.payload_octets = octets.saturating_sub(fixed) as u32;
}

fn icmp<'a>(above: &'a [u8], octets: usize, headers: &mut Headers<'a>) {
    const FIXED: usize = 4;
    let [kind, code, ..] = above else {
        return short(above, octets, headers);
    };
    headers.transport = Transport::Icmp {
        kind: *kind,
        code: *code,
    };
    headers.payload_octets = octets.saturating_sub(FIXED) as u32;
    match above.get(FIXED..) {
        Some(payload) => headers.payload = payload,
        None => short(above, octets, headers),
    }
}

/// A header of `fixed` octets ends early; the ports, which all these protocols have first, may still be there.
#[cold]
fn cut(above: &[u8], fixed: usize, octets: usize, headers: &mut Headers<'_>) {
    if let Some(&[a, b, c, d]) = above.first_chunk::<4>() {
        headers.ports = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    }
    headers.payload_octets = octets.saturating_sub(fixed) as u32;
    short(above, octets, headers);
}

/// The bytes ended: by the snap length when the packet states more than that, else by the packet's own length.
fn short(above: &[u8], octets: usize, headers: &mut Headers<'_>) {
    let cut = above.len() < octets;
    note(
        headers,
        if cut {
            Fault::TransportCut
        } else {
            Fault::TransportLength
        },
    );
}
