//! The list of what rollups keep: exact tables, top lists, distinct counts and quantiles, each of one window.
//!
//! A number names a section in files for ever: one that is given up is not used again.

use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::{ColumnId, id};

/// What is added up by exact keys.
#[derive(Debug)]
pub struct TableKept {
    /// Its number in files.
    pub number: u8,
    /// The columns of its keys.
    pub key: &'static [ColumnId],
    /// Which kind of rows it counts.
    pub of: u64,
}

/// Totals, and counters by the main dimensions.
pub static TABLES: [TableKept; 14] = [
    table(0, &[]),
    table(1, &[id::EXPORTER_IP]),
    table(2, &[id::EXPORTER_IP, id::IN_IF]),
    table(3, &[id::EXPORTER_IP, id::OUT_IF]),
    table(4, &[id::EXPORTER_IP, id::PROTO]),
    table(5, &[id::EXPORTER_IP, id::APP_NAME]),
    table(6, &[id::SRC_NET]),
    table(7, &[id::DST_NET]),
    table(8, &[id::SRC_AS]),
    table(9, &[id::DST_AS]),
    table(10, &[id::SRC_COUNTRY]),
    table(11, &[id::DST_COUNTRY]),
    transactions(12, &[id::EXPORTER_IP, id::DNS_STATUS, id::DNS_RCODE]),
    transactions(13, &[id::DNS_ZONE, id::DNS_STATUS, id::DNS_RCODE]),
];
/// How many of the tables are by the exporter.
pub const EXPORTER_TABLES: usize = 6;
/// How many are by where the two ends are, behind them.
pub const END_TABLES: usize = 6;

const fn table(number: u8, key: &'static [ColumnId]) -> TableKept {
    TableKept {
        number,
        key,
        of: KIND_FLOW,
    }
}

const fn transactions(number: u8, key: &'static [ColumnId]) -> TableKept {
    TableKept {
        number,
        key,
        of: KIND_DNS,
    }
}

/// What a list weighs its items by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Octets of flows, from source to destination.
    Octets,
    /// Octets of flows, from destination to source.
    RevOctets,
    /// DNS transactions.
    Transactions,
    /// Packets of flows, from source to destination.
    Packets,
    /// Flows.
    Flows,
}

/// The heaviest values of columns with too many to keep each of them.
#[derive(Debug)]
pub struct ListKept {
    /// Its number in files.
    pub number: u8,
    /// The columns of its items.
    pub key: &'static [ColumnId],
    /// What decides.
    pub weight: Weight,
}

/// The top lists.
pub static LISTS: [ListKept; 12] = [
    list(0, &[id::SRC_IP], Weight::Octets),
    list(1, &[id::SRC_IP], Weight::RevOctets),
    list(2, &[id::DST_IP], Weight::Octets),
    list(3, &[id::SRC_IP, id::DST_IP], Weight::Octets),
    list(4, &[id::DST_PORT], Weight::Octets),
    list(5, &[id::DST_NAME], Weight::Octets),
    list(6, &[id::TLS_SNI], Weight::Octets),
    list(7, &[id::DNS_QNAME], Weight::Transactions),
    list(8, &[id::SRC_IP], Weight::Packets),
    list(9, &[id::DST_IP], Weight::Packets),
    list(10, &[id::SRC_IP], Weight::Flows),
    list(11, &[id::DST_IP], Weight::Flows),
];
/// Places in [`LISTS`].
pub mod list_at {
    /// Sources by what they sent.
    pub const SRC_IP: usize = 0;
    /// Sources by what they got.
    pub const SRC_IP_REV: usize = 1;
    /// Destinations.
    pub const DST_IP: usize = 2;
    /// Pairs of addresses.
    pub const PAIR: usize = 3;
    /// Destination ports.
    pub const DST_PORT: usize = 4;
    /// Names of destinations.
    pub const DST_NAME: usize = 5;
    /// Names of TLS servers.
    pub const TLS_SNI: usize = 6;
    /// Names asked for.
    pub const DNS_QNAME: usize = 7;
    /// Sources by packets.
    pub const SRC_IP_PACKETS: usize = 8;
    /// Destinations by packets.
    pub const DST_IP_PACKETS: usize = 9;
    /// Sources by flows.
    pub const SRC_IP_FLOWS: usize = 10;
    /// Destinations by flows.
    pub const DST_IP_FLOWS: usize = 11;
}

const fn list(number: u8, key: &'static [ColumnId], weight: Weight) -> ListKept {
    ListKept { number, key, weight }
}

/// How many different values of a column there were, by another.
#[derive(Debug)]
pub struct DistinctKept {
    /// Its number in files.
    pub number: u8,
    /// By which column; each has its own count.
    pub key: ColumnId,
    /// Different values of this column.
    pub of: ColumnId,
}

/// The distinct counts.
pub static DISTINCTS: [DistinctKept; 7] = [
    distinct(0, id::EXPORTER_IP, id::SRC_IP),
    distinct(1, id::EXPORTER_IP, id::DST_IP),
    distinct(2, id::SRC_NET, id::SRC_IP),
    distinct(3, id::DST_NET, id::DST_IP),
    distinct(4, id::EXPORTER_IP, id::DNS_QNAME),
    distinct(5, id::DNS_ZONE, id::SRC_IP),
    distinct(6, id::DNS_ZONE, id::DNS_QNAME),
];
/// Places in [`DISTINCTS`].
pub mod distinct_at {
    /// Sources of an exporter.
    pub const SRC_IP: usize = 0;
    /// Destinations of an exporter.
    pub const DST_IP: usize = 1;
    /// Sources of a network.
    pub const SRC_IP_OF_NET: usize = 2;
    /// Destinations of a network.
    pub const DST_IP_OF_NET: usize = 3;
    /// Names asked for that an exporter saw.
    pub const DNS_QNAME: usize = 4;
    /// Clients that asked for names of a zone.
    pub const CLIENT_OF_ZONE: usize = 5;
    /// Names of a zone that were asked for.
    pub const NAME_OF_ZONE: usize = 6;
}

const fn distinct(number: u8, key: ColumnId, of: ColumnId) -> DistinctKept {
    DistinctKept { number, key, of }
}

/// How the values of a column are distributed.
#[derive(Debug)]
pub struct QuantilesKept {
    /// Its number in files.
    pub number: u8,
    /// Of this column.
    pub of: ColumnId,
}

/// The distributions.
pub static QUANTILES: [QuantilesKept; 3] = [
    QuantilesKept {
        number: 0,
        of: id::DNS_LATENCY,
    },
    QuantilesKept {
        number: 1,
        of: id::TCP_RTT_CLIENT,
    },
    QuantilesKept {
        number: 2,
        of: id::TCP_RTT_SERVER,
    },
];

/// How the values of a column are distributed, by another.
#[derive(Debug)]
pub struct SpreadKept {
    /// Its number in files.
    pub number: u8,
    /// By which column; each has its own distribution.
    pub key: ColumnId,
    /// Of this column.
    pub of: ColumnId,
}

/// The distributions by key.
pub static SPREADS: [SpreadKept; 1] = [SpreadKept {
    number: 0,
    key: id::DNS_ZONE,
    of: id::DNS_LATENCY,
}];

/// Names one section of a window in files: the family in the high octet, the number in the low one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub u16);

const FAMILY: u16 = 0xff00;

impl SectionId {
    /// The section of a table.
    pub const fn table(number: u8) -> SectionId {
        SectionId(0x100 | number as u16)
    }
    /// The section of a list.
    pub const fn list(number: u8) -> SectionId {
        SectionId(0x200 | number as u16)
    }
    /// The section of a distinct count.
    pub const fn distinct(number: u8) -> SectionId {
        SectionId(0x300 | number as u16)
    }
    /// The section of quantiles.
    pub const fn quantiles(number: u8) -> SectionId {
        SectionId(0x400 | number as u16)
    }
    /// The section of distributions by key.
    pub const fn spread(number: u8) -> SectionId {
        SectionId(0x500 | number as u16)
    }

    /// What kind of section it is, as far as this version knows.
    pub const fn family(self) -> Option<Family> {
        match self.0 & FAMILY {
            0x100 => Some(Family::Table),
            0x200 => Some(Family::List),
            0x300 => Some(Family::Distinct),
            0x400 => Some(Family::Quantiles),
            0x500 => Some(Family::Spread),
            _ => None,
        }
    }
}

/// Kinds of sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Counters by key.
    Table,
    /// Heaviest items.
    List,
    /// Different values by key.
    Distinct,
    /// Distribution of values.
    Quantiles,
    /// Distributions by key.
    Spread,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_there_once() {
        let mut numbers: Vec<SectionId> = TABLES.iter().map(|kept| SectionId::table(kept.number)).collect();
        numbers.extend(LISTS.iter().map(|kept| SectionId::list(kept.number)));
        numbers.extend(DISTINCTS.iter().map(|kept| SectionId::distinct(kept.number)));
        numbers.extend(QUANTILES.iter().map(|kept| SectionId::quantiles(kept.number)));
        numbers.extend(SPREADS.iter().map(|kept| SectionId::spread(kept.number)));
        let count = numbers.len();
        assert!(numbers.iter().all(|number| number.family().is_some()));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        assert!(
            TABLES[..EXPORTER_TABLES]
                .iter()
                .skip(1)
                .all(|kept| kept.key[0] == id::EXPORTER_IP)
        );
        assert_eq!(LISTS[list_at::DNS_QNAME].key, [id::DNS_QNAME]);
        assert_eq!(DISTINCTS[distinct_at::DNS_QNAME].of, id::DNS_QNAME);
        assert_eq!(DISTINCTS[distinct_at::NAME_OF_ZONE].of, id::DNS_QNAME);
        assert_eq!(LISTS[list_at::DST_IP_FLOWS].weight, Weight::Flows);
        let of_flows = TABLES.iter().take_while(|kept| kept.of == KIND_FLOW).count();
        assert_eq!(of_flows, EXPORTER_TABLES + END_TABLES);
        assert!(TABLES[of_flows..].iter().all(|kept| kept.of == KIND_DNS));
    }
}
