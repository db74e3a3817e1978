//! Headers of captured frames: one pass from the link layer to the transport, because every packet pays for it.
//!
//! [`Headers::read`] is total: any bytes give the layers that are sound and the first [`Fault`] met. It copies nothing but the
//! numbers it hands out and allocates nothing. A layer is a file; what a layer finds above itself it passes on as
//! bytes that are already cut to the length the lower layer announced, so that link padding is never read as data.
//!
//! Lengths in [`Headers`] are those the packet states, not those that were captured: a snap length changes what can be
//! read, never what is counted.

mod arp;
mod fault;
pub mod limits;
mod link;
mod network;
mod transport;
mod tunnel;

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

pub use arp::Arp;
pub use fault::Fault;
pub use link::{Link, LinkType};
pub use network::{Fragment, IpVersion, Network, Routing};
pub use transport::{Tcp, TcpFlags, Transport};
pub use tunnel::{Tunnel, TunnelKind};

/// IP protocol numbers that are told apart here (IANA protocol-numbers).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// DCCP.
    pub const DCCP: u8 = 33;
    /// ICMP for IPv6.
    pub const ICMP6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDP_LITE: u8 = 136;
}

/// What a frame's headers say, outermost first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// Addresses, tags and labels below the network layer.
    pub link: Link<'a>,
    /// The IP header, when there is a sound one.
    pub network: Option<Network>,
    /// Source and destination port; 0 where the protocol has none or they could not be read.
    pub ports: [u16; 2],
    /// The transport header, when there is a sound one.
    pub transport: Transport<'a>,
    /// What was captured of the transport payload.
    pub payload: &'a [u8],
    /// Octets of transport payload that the packet states, captured or not.
    pub payload_octets: u32,
    /// Octets of the datagram that the UDP header states, itself included: of a first fragment, those of all fragments.
    pub datagram_octets: u16,
    /// The tunnel around the packet that everything else here describes.
    pub tunnel: Option<Tunnel>,
    /// The message, where `fault` is [`Fault::Arp`] and it speaks of IPv4 on Ethernet.
    pub arp: Option<Arp>,
    /// The first thing found wrong.
    pub fault: Option<Fault>,
}

impl<'a> Headers<'a> {
    /// Reads the headers of a frame in place of what was there. `wire_length` is the frame's length before the snap
    /// length cut it, in octets.
    ///
    /// In place, because handing them out would copy 160 octets that were just written in small pieces: a third of the
    /// whole cost, as the copy waits for the writes.
    #[inline]
    pub fn read(&mut self, link_type: LinkType, frame: &'a [u8], wire_length: u32) {
        self.read_outer(link_type, frame, wire_length);
        if tunnel::is_possible(self) {
            tunnel::open(self);
        }
    }

    /// Like [`Headers::read`], but leaves tunnels closed: everything is about the outermost packet.
    #[inline]
    pub fn read_outer(&mut self, link_type: LinkType, frame: &'a [u8], wire_length: u32) {
        self.clear();
        match link::decode(link_type, frame, &mut self.link) {
            Ok((announced, packet)) => {
                let link_octets = frame.len().saturating_sub(packet.len());
                let wire = (wire_length as usize).max(frame.len()).saturating_sub(link_octets);
                network::decode(announced, packet, wire, self);
            }
            Err(fault) => self.fault = Some(fault),
        }
    }
}

impl Headers<'_> {
    /// As `Headers::default()`, field by field: as one value it is a copy of 300 octets, most of which mean nothing.
    #[inline(always)]
    fn clear(&mut self) {
        let Headers {
            link,
            network,
            ports,
            transport,
            payload,
            payload_octets,
            datagram_octets,
            tunnel,
            arp,
            fault,
        } = self;
        *link = Link::default();
        *network = None;
        *ports = [0; 2];
        *transport = Transport::None;
        *payload = &[];
        *payload_octets = 0;
        *datagram_octets = 0;
        *tunnel = None;
        *arp = None;
        *fault = None;
    }
}

/// The headers of a frame, where a copy does not matter. See [`Headers::read`].
#[inline]
pub fn parse(link_type: LinkType, frame: &[u8], wire_length: u32) -> Headers<'_> {
    let mut headers = Headers::default();
    headers.read(link_type, frame, wire_length);
    headers
}
