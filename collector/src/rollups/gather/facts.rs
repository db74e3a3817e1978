//! What of a row rollups look at.

use super::super::kept::QUANTILES;
use super::super::section::Counters;
use super::lately::Names;
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{CellRef, Row};

/// What the exporter's own tables look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExporterSide {
    pub window: u32,
    pub app: u32,
    pub exporter: Option<u128>,
    pub in_if: Option<u64>,
    pub out_if: Option<u64>,
    pub proto: Option<u64>,
}

/// What the tables of where the two ends are look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ends {
    pub window: u32,
    pub nets: [u32; 2],
    pub countries: [u32; 2],
    pub systems: [Option<u64>; 2],
}

impl Ends {
    pub fn are_unknown(&self) -> bool {
        self.nets == [0; 2] && self.countries == [0; 2] && self.systems == [None; 2]
    }
}

/// What of a row rollups look at.
#[derive(Default)]
pub struct Facts<'r> {
    pub kind: Option<u64>,
    pub start: Option<i64>,
    pub received: Option<i64>,
    pub exporter: ExporterSide,
    pub ends: Ends,
    pub addresses: [Option<u128>; 2],
    pub port: Option<u64>,
    pub dst_name: Option<&'r str>,
    pub sni: Option<&'r str>,
    pub qname: Option<&'r str>,
    pub zone: Option<&'r str>,
    pub rcode: Option<u64>,
    pub status: Option<u64>,
    pub counters: Counters,
    pub values: [Option<i64>; QUANTILES.len()],
}

/// The columns that rollups look at.
pub const COLUMNS_READ: &[ColumnId] = &[
    id::KIND,
    id::START,
    id::RECEIVED,
    id::EXPORTER_IP,
    id::IN_IF,
    id::OUT_IF,
    id::PROTO,
    id::APP_NAME,
    id::SRC_IP,
    id::DST_IP,
    id::DST_PORT,
    id::SRC_NET,
    id::DST_NET,
    id::SRC_AS,
    id::DST_AS,
    id::SRC_COUNTRY,
    id::DST_COUNTRY,
    id::DST_NAME,
    id::TLS_SNI,
    id::DNS_QNAME,
    id::DNS_ZONE,
    id::DNS_RCODE,
    id::DNS_STATUS,
    id::DNS_LATENCY,
    id::TCP_RTT_CLIENT,
    id::TCP_RTT_SERVER,
    id::OCTETS,
    id::PACKETS,
    id::REV_OCTETS,
    id::REV_PACKETS,
];

impl<'r> Facts<'r> {
    #[inline]
    pub fn of(row: &'r Row, names: &mut Names) -> Facts<'r> {
        let mut facts = Facts::default();
        for (column, cell) in row.cells() {
            match cell {
                CellRef::Number(value) => match column {
                    id::KIND => facts.kind = Some(value),
                    id::IN_IF => facts.exporter.in_if = Some(value),
                    id::OUT_IF => facts.exporter.out_if = Some(value),
                    id::PROTO => facts.exporter.proto = Some(value),
                    id::SRC_AS => facts.ends.systems[0] = Some(value),
                    id::DST_AS => facts.ends.systems[1] = Some(value),
                    id::DST_PORT => facts.port = Some(value),
                    id::OCTETS => facts.counters.octets = value,
                    id::PACKETS => facts.counters.packets = value,
                    id::DNS_RCODE => facts.rcode = Some(value),
                    id::DNS_STATUS => facts.status = Some(value),
                    id::REV_OCTETS => facts.counters.rev_octets = value,
                    id::REV_PACKETS => facts.counters.rev_packets = value,
                    _ => {}
                },
                CellRef::Signed(value) => match column {
                    id::START => facts.start = Some(value),
                    id::RECEIVED => facts.received = Some(value),
                    id::DNS_LATENCY => facts.values[0] = Some(value),
                    id::TCP_RTT_CLIENT => facts.values[1] = Some(value),
                    id::TCP_RTT_SERVER => facts.values[2] = Some(value),
                    _ => {}
                },
                CellRef::Ip(value) => match column {
                    id::EXPORTER_IP => facts.exporter.exporter = Some(value),
                    id::SRC_IP => facts.addresses[0] = Some(value),
                    id::DST_IP => facts.addresses[1] = Some(value),
                    _ => {}
                },
                CellRef::Text(text) => match column {
                    id::APP_NAME => facts.exporter.app = names.number(text),
                    id::SRC_NET => facts.ends.nets[0] = names.number(text),
                    id::DST_NET => facts.ends.nets[1] = names.number(text),
                    id::SRC_COUNTRY => facts.ends.countries[0] = names.number(text),
                    id::DST_COUNTRY => facts.ends.countries[1] = names.number(text),
                    id::DST_NAME => facts.dst_name = Some(text),
                    id::TLS_SNI => facts.sni = Some(text),
                    id::DNS_QNAME => facts.qname = Some(text),
                    id::DNS_ZONE => facts.zone = Some(text),
                    _ => {}
                },
                CellRef::Float(_) | CellRef::Bool(_) => {}
            }
        }
        facts.counters.flows = 1;
        facts
    }
}
