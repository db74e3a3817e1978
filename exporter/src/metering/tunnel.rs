//! What one biflow's record says about the tunnel around it, and where that is kept until then.

use std::net::IpAddr;

use flowgauge_templates::packet::Tunnel;

use super::pool::{Pool, PoolPlace};

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

impl TunnelRecord {
    /// What a packet says of the tunnel around it.
    pub(super) fn of(tunnel: &Tunnel) -> TunnelRecord {
        TunnelRecord {
            kind: tunnel.kind as u8,
            identifier: tunnel.identifier,
            src: tunnel.src(),
            dst: tunnel.dst(),
        }
    }
}

/// Which tunnel a flow is in, if any.
pub(super) type TunnelPlace = PoolPlace;

/// The tunnels of all flows that are in one.
pub(super) type Tunnels = Pool<TunnelRecord>;
