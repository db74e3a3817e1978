//! What one biflow's record says about the tunnel around it, and where that is kept until then.

use std::net::IpAddr;

use flowgauge_templates::packet::Tunnel;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TunnelPlace(u32);

impl TunnelPlace {
    /// No tunnel.
    pub const NONE: TunnelPlace = TunnelPlace(u32::MAX);
}

impl Default for TunnelPlace {
    fn default() -> TunnelPlace {
        TunnelPlace::NONE
    }
}

/// The tunnels of all flows that are in one: never more than there are flows.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    records: Vec<TunnelRecord>,
    vacant: Vec<u32>,
}

impl Tunnels {
    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.records.capacity() * size_of::<TunnelRecord>() + self.vacant.capacity() * size_of::<u32>()
    }

    /// Keeps a flow's tunnel.
    pub fn add(&mut self, record: TunnelRecord) -> TunnelPlace {
        if let Some(at) = self.vacant.pop()
            && let Some(place) = self.records.get_mut(at as usize)
        {
            *place = record;
            return TunnelPlace(at);
        }
        self.records.push(record);
        TunnelPlace(self.records.len() as u32 - 1)
    }

    /// A flow's tunnel.
    #[inline(always)]
    pub fn get(&self, place: TunnelPlace) -> Option<&TunnelRecord> {
        match place {
            TunnelPlace::NONE => None,
            TunnelPlace(at) => self.records.get(at as usize),
        }
    }

    /// Forgets a flow's tunnel.
    #[inline(always)]
    pub fn free(&mut self, place: &mut TunnelPlace) {
        if *place != TunnelPlace::NONE {
            self.vacant.push(place.0);
            *place = TunnelPlace::NONE;
        }
    }
}
