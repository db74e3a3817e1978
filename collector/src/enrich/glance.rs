//! One look over a row for all that enrichment wants to know of it, since looking for cells one by one costs a look each.

use crate::normalize::columns::id;
use crate::normalize::row::{CellRef, Row};

/// One end of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EndOf {
    pub address: Option<u128>,
    pub port: u64,
    /// Where the cell of its autonomous system is, and what it says.
    pub system: Option<(usize, u64)>,
    pub is_named: bool,
}

/// What enrichment looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glance {
    /// Source and destination.
    pub ends: [EndOf; 2],
    pub kind: u64,
    pub protocol: u64,
    pub start_ns: i64,
    /// Not later than the row came in, whatever its exporter's clock says.
    pub end_ns: i64,
    pub has_application: bool,
    pub is_biflow: bool,
    /// Where the cells are of names that the flow itself asked for.
    pub sni: Option<usize>,
    pub host: Option<usize>,
    /// Where the name is that DNS was asked for.
    pub qname: Option<usize>,
}

impl Glance {
    /// Of a row.
    pub fn of(row: &Row) -> Glance {
        let mut glance = Glance::default();
        let (mut duration_ns, mut received_ns) = (0, i64::MAX);
        let [src, dst] = &mut glance.ends;
        for (place, (column, cell)) in row.cells().enumerate() {
            match (column, cell) {
                (id::START, CellRef::Signed(ns)) => glance.start_ns = ns,
                (id::DURATION, CellRef::Signed(ns)) => duration_ns = ns,
                (id::RECEIVED, CellRef::Signed(ns)) => received_ns = ns,
                (id::KIND, CellRef::Number(kind)) => glance.kind = kind,
                (id::SRC_IP, CellRef::Ip(address)) => src.address = Some(address),
                (id::DST_IP, CellRef::Ip(address)) => dst.address = Some(address),
                (id::SRC_PORT, CellRef::Number(port)) => src.port = port,
                (id::DST_PORT, CellRef::Number(port)) => dst.port = port,
                (id::PROTO, CellRef::Number(protocol)) => glance.protocol = protocol,
                (id::REV_OCTETS | id::REV_PACKETS, _) => glance.is_biflow = true,
                (id::SRC_AS, CellRef::Number(number)) => src.system = Some((place, number)),
                (id::DST_AS, CellRef::Number(number)) => dst.system = Some((place, number)),
                (id::SRC_NAME, _) => src.is_named = true,
                (id::DST_NAME, _) => dst.is_named = true,
                (id::APP_NAME, _) => glance.has_application = true,
                (id::TLS_SNI, _) => glance.sni = Some(place),
                (id::HTTP_HOST, _) => glance.host = Some(place),
                (id::DNS_QNAME, _) => glance.qname = Some(place),
                _ => {}
            }
        }
        glance.end_ns = glance.start_ns.saturating_add(duration_ns.max(0)).min(received_ns);
        glance
    }
}
