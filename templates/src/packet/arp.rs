//! ARP for IPv4 over links with 48-bit addresses (RFC 826): who asks for whom.

use std::net::Ipv4Addr;

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Operation: 1 request, 2 reply.
    pub operation: u16,
    /// Who sends.
    pub sender_mac: [u8; 6],
    /// Who sends.
    pub sender_ip: Ipv4Addr,
    /// Who is looked for, or answered.
    pub target_ip: Ipv4Addr,
}

/// Reads the message behind the EtherType. Other hardware and protocol types are none of ours.
#[cold]
pub(super) fn decode(message: &[u8]) -> Option<Arp> {
    // Hardware Ethernet, protocol IPv4, lengths 6 and 4.
    const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
    let (head, rest) = message.split_first_chunk::<8>()?;
    let (types, operation) = head.split_first_chunk::<6>()?;
    if *types != ETHERNET_IPV4 {
        return None;
    }
    let (sender_mac, rest) = rest.split_first_chunk::<6>()?;
    let (sender_ip, rest) = rest.split_first_chunk::<4>()?;
    let (_, rest) = rest.split_first_chunk::<6>()?;
    let target_ip = rest.first_chunk::<4>()?;
    Some(Arp {
        operation: u16::from_be_bytes(*operation.first_chunk()?),
        sender_mac: *sender_mac,
        sender_ip: (*sender_ip).into(),
        target_ip: (*target_ip).into(),
    })
}
