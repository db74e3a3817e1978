//! The closed set of ways to carry one packet in another one, with the numbers that go out in tunnelKind.

/// How a packet is carried in another one. The numbers are those of tunnelKind and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TunnelKind {
    /// VXLAN (RFC 7348). Identifier: VXLAN network identifier.
    Vxlan = 1,
    /// GENEVE (RFC 8926). Identifier: virtual network identifier.
    Geneve = 2,
    /// GRE (RFC 2784, 2890), whatever is inside; NVGRE (RFC 7637) too. Identifier: the key, all 32 bits of it.
    Gre = 3,
    /// IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, 2473, 4213). No identifier.
    IpInIp = 4,
    /// GTP version 1, user plane (3GPP TS 29.281). Identifier: tunnel endpoint of the receiver.
    GtpU = 5,
    /// ERSPAN types I to III. Identifier: session; type I has none.
    Erspan = 6,
    /// VXLAN with a next protocol (VXLAN-GPE). Identifier: VXLAN network identifier.
    VxlanGpe = 7,
    /// PPP in GRE version 1 (RFC 2637). Identifier: call of the receiver.
    Pptp = 8,
    /// L2TP version 2 in UDP (RFC 2661). Identifier: tunnel << 16 | session, both of the receiver.
    L2tp = 9,
    /// Teredo (RFC 4380). No identifier.
    Teredo = 10,
    /// MPLS in UDP (RFC 7510) or right in IP (RFC 4023). No identifier: labels are those of the receiver.
    Mpls = 11,
    /// IP or Ethernet behind an IPv6 header with a segment routing header (RFC 8754, 8986), or Ethernet behind a bare
    /// IPv6 header as its protocol 143. No identifier.
    Srv6 = 12,
    /// Ethernet in IP (RFC 3378). No identifier.
    EtherIp = 13,
    /// LISP (RFC 9300). Identifier: instance.
    Lisp = 14,
    /// Data of access points to their controller, CAPWAP (RFC 5415). No identifier.
    Capwap = 15,
    /// AYIYA (draft-massar-v6ops-ayiya). No identifier.
    Ayiya = 16,
}

impl TunnelKind {
    /// Every kind, in the order of its number.
    pub const ALL: [TunnelKind; 16] = [
        TunnelKind::Vxlan,
        TunnelKind::Geneve,
        TunnelKind::Gre,
        TunnelKind::IpInIp,
        TunnelKind::GtpU,
        TunnelKind::Erspan,
        TunnelKind::VxlanGpe,
        TunnelKind::Pptp,
        TunnelKind::L2tp,
        TunnelKind::Teredo,
        TunnelKind::Mpls,
        TunnelKind::Srv6,
        TunnelKind::EtherIp,
        TunnelKind::Lisp,
        TunnelKind::Capwap,
        TunnelKind::Ayiya,
    ];

    /// The label of the number in the code list of tunnelKind.
    pub const fn as_str(self) -> &'static str {
        match self {
            TunnelKind::Vxlan => "VXLAN",
            TunnelKind::Geneve => "GENEVE",
            TunnelKind::Gre => "GRE",
            TunnelKind::IpInIp => "IP-in-IP",
            TunnelKind::GtpU => "GTP-U",
            TunnelKind::Erspan => "ERSPAN",
            TunnelKind::VxlanGpe => "VXLAN-GPE",
            TunnelKind::Pptp => "PPTP",
            TunnelKind::L2tp => "L2TP",
            TunnelKind::Teredo => "Teredo",
            TunnelKind::Mpls => "MPLS",
            TunnelKind::Srv6 => "SRv6",
            TunnelKind::EtherIp => "EtherIP",
            TunnelKind::Lisp => "LISP",
            TunnelKind::Capwap => "CAPWAP",
            TunnelKind::Ayiya => "AYIYA",
        }
    }

    /// Whether both directions carry the same identifier, so that it can be part of a biflow's key. Where each end
    /// chooses what it receives under, the identifier tells the directions apart and must not.
    pub const fn identifier_is_shared(self) -> bool {
        !matches!(self, TunnelKind::GtpU | TunnelKind::Pptp | TunnelKind::L2tp)
    }
}

impl std::fmt::Display for TunnelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
