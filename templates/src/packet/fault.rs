//! Why a frame, or a part of it, could not be read: a closed set, because every member is a metric label.

/// The first thing found wrong with a frame.
///
/// Layers before the fault are sound and were handed out. [`Fault::costs_packet`] tells the faults that leave no IP
/// packet to count from those that only leave its inner layers unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// The capture's link type is not one that is read here.
    UnknownLinkType,
    /// The frame ends inside its link header, a tag, a label or a PPPoE header.
    LinkHeaderCut,
    /// More VLAN tags, MPLS labels or frames in frames than [`super::limits`] allows.
    TagLimit,
    /// An ARP message.
    Arp,
    /// An 802.3 frame with an LLC header that leads to no EtherType (spanning tree, IS-IS, ...).
    Llc,
    /// An EtherType, PPP protocol or address family other than IP and ARP, or an 802.11 frame without readable data.
    NotIp,
    /// An MPLS stack over something that is neither IP nor a frame with IP or ARP in it.
    MplsPayload,
    /// The IP version is neither 4 nor 6, or not the one that the link header announced.
    IpVersion,
    /// The frame ends inside the fixed IP header.
    IpHeaderCut,
    /// An IPv4 header length below 20 octets, or beyond the total length.
    IpHeaderLength,
    /// The frame ends inside IPv4 options or an IPv6 extension header.
    ExtensionCut,
    /// An extension header reaches beyond the end of the packet.
    ExtensionLength,
    /// More extension headers than [`super::limits::MAX_EXTENSION_HEADERS`].
    ExtensionLimit,
    /// The frame ends inside the transport header.
    TransportCut,
    /// A transport header contradicts itself or the length of its packet.
    TransportLength,
    /// The IP length says more than there was on the wire.
    IpLongerThanFrame,
    /// More tunnels around a packet than [`super::limits::MAX_TUNNELS`].
    TunnelLimit,
    /// A tunnel with a protocol of its own carries something broken; the packet around is what is left.
    TunnelInner,
}

impl Fault {
    /// Every fault, in the order of its number.
    pub const ALL: [Fault; 18] = [
        Fault::UnknownLinkType,
        Fault::LinkHeaderCut,
        Fault::TagLimit,
        Fault::Arp,
        Fault::Llc,
        Fault::NotIp,
        Fault::MplsPayload,
        Fault::IpVersion,
        Fault::IpHeaderCut,
        Fault::IpHeaderLength,
        Fault::ExtensionCut,
        Fault::ExtensionLength,
        Fault::ExtensionLimit,
        Fault::TransportCut,
        Fault::TransportLength,
        Fault::IpLongerThanFrame,
        Fault::TunnelLimit,
        Fault::TunnelInner,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::UnknownLinkType => "unknown_link_type",
            Fault::LinkHeaderCut => "link_header_cut",
            Fault::TagLimit => "tag_limit",
            Fault::Arp => "arp",
            Fault::Llc => "llc",
            Fault::NotIp => "not_ip",
            Fault::MplsPayload => "mpls_payload",
            Fault::IpVersion => "ip_version",
            Fault::IpHeaderCut => "ip_header_cut",
            Fault::IpHeaderLength => "ip_header_length",
            Fault::ExtensionCut => "extension_cut",
            Fault::ExtensionLength => "extension_length",
            Fault::ExtensionLimit => "extension_limit",
            Fault::TransportCut => "transport_cut",
            Fault::TransportLength => "transport_length",
            Fault::IpLongerThanFrame => "ip_longer_than_frame",
            Fault::TunnelLimit => "tunnel_limit",
            Fault::TunnelInner => "tunnel_inner",
        }
    }

    /// Whether the frame holds no IP packet that could be counted.
    pub const fn costs_packet(self) -> bool {
        (self as u8) < (Fault::ExtensionCut as u8)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
