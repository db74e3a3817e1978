//! What TCP performance reads of a packet; all of it from headers, so that a snap length changes nothing but options.

use flowgauge_templates::packet::{Headers, TcpFlags, Transport};

/// One TCP segment as the observation point saw it.
#[derive(Clone, Copy, Debug)]
pub struct TcpPacket<'a> {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; means nothing without the ACK flag.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, not scaled; absent when it was not captured.
    pub window: Option<u16>,
    /// What was captured of the options.
    pub options: &'a [u8],
    /// Payload the packet states, captured or not.
    pub payload_octets: u32,
    /// The IP packet the segment came in.
    pub ip_octets: u32,
    /// Bits of the ECN field (RFC 3168 section 5): 0 not capable, 1 and 2 capable, 3 congestion experienced.
    pub ecn: u8,
}

impl<'a> TcpPacket<'a> {
    /// The segment in a frame, if it holds one.
    #[inline(always)]
    pub fn of(headers: &Headers<'a>) -> Option<TcpPacket<'a>> {
        let (Transport::Tcp(tcp), Some(network)) = (&headers.transport, &headers.network) else {
            return None;
        };
        Some(TcpPacket {
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            flags: tcp.flags,
            window: tcp.window,
            options: tcp.options,
            payload_octets: headers.payload_octets,
            ip_octets: network.octets,
            ecn: network.tos & 3,
        })
    }
}
