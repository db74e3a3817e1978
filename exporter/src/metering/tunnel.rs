//! What one biflow's record says about the tunnel around it.

use std::net::IpAddr;

/// The tunnel that the biflow's first packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelRecord {
    /// Number as in tunnelKind.
    pub kind: u8,
    /// VXLAN and GENEVE network identifier, GRE key, GTP-U tunnel endpoint, ERSPAN session; none without one.
    pub identifier: Option<u64>,
    /// Outer source address.
    pub src: IpAddr,
    /// Outer destination address.
    pub dst: IpAddr,
}
