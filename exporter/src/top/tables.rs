//! Which tables there are, and on which tab: one line is one table.

use std::net::IpAddr;

use super::figures::{Figures, Row};
use crate::api::{code_name, type_name};

/// A page of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// What users of pktvisor know.
    #[default]
    Overview,
    /// Addresses and ports.
    Flows,
    /// Names and servers.
    Dns,
    /// Control bits and ports.
    Tcp,
}

impl Tab {
    /// In the order of their keys, from 1.
    pub const ALL: [Tab; 4] = [Tab::Overview, Tab::Flows, Tab::Dns, Tab::Tcp];

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Tab::Overview => "Overview",
            Tab::Flows => "Flows",
            Tab::Dns => "DNS",
            Tab::Tcp => "TCP",
        }
    }

    /// The tables on it.
    pub const fn tables(self) -> &'static [Table] {
        match self {
            Tab::Overview => OVERVIEW,
            Tab::Flows => FLOWS,
            Tab::Dns => DNS,
            Tab::Tcp => TCP,
        }
    }
}

/// Where the rows of a table come from, and how their items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// A list as it is.
    List(&'static str),
    /// Numbers of DNS types.
    Types(&'static str),
    /// Numbers of DNS response codes.
    Codes(&'static str),
    /// Microseconds, shown as milliseconds.
    Slow(&'static str),
    /// Addresses of one version at either end.
    Addresses {
        /// Whether those of IPv4, else those of IPv6.
        ipv4: bool,
    },
    /// Counters by their names.
    Counters(&'static [(&'static str, &'static str)]),
    /// One list beside another: the second number of each row.
    Beside(&'static str, &'static str),
}

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it is called.
    pub title: &'static str,
    /// What is in it.
    pub rows: Rows,
}

const fn table(title: &'static str, rows: Rows) -> Table {
    Table { title, rows }
}

use Rows::{Addresses, Beside, Codes, Counters, List, Slow, Types};

const OVERVIEW: &[Table] = &[
    table("Names, last 2 labels", List("dns.qname2.top")),
    table("Names, last 3 labels", List("dns.qname3.top")),
    table("NXDOMAIN", List("dns.nxdomain.top")),
    table("Slowest names, ms in all", Slow("dns.slow.top")),
    table("Query types", Types("dns.qtype")),
    table("Response codes", Codes("dns.rcode")),
    table("SERVFAIL", List("dns.servfail.top")),
    table(
        "Servers, queries/responses",
        Beside("dns.server.queries", "dns.server.responses"),
    ),
    table("REFUSED", List("dns.refused.top")),
    table("IPv4, packets", Addresses { ipv4: true }),
    table("IPv6, packets", Addresses { ipv4: false }),
    table("DNS clients' UDP ports", List("dns.udp_port.top")),
    table("Countries, packets", List("country.packets")),
    table("AS, packets", List("as.packets")),
];

const FLOWS: &[Table] = &[
    table("Sources, packets", List("ip.src.packets")),
    table("Sources, octets", List("ip.src.octets")),
    table("Destinations, packets", List("ip.dst.packets")),
    table("Destinations, octets", List("ip.dst.octets")),
    table("Source ports, packets", List("port.src.packets")),
    table("Source ports, octets", List("port.src.octets")),
    table("Destination ports, packets", List("port.dst.packets")),
    table("Destination ports, octets", List("port.dst.octets")),
    table("Countries, octets", List("country.octets")),
    table("AS, octets", List("as.octets")),
];

const DNS: &[Table] = &[
    table("Names", List("dns.qname.top")),
    table("Names by octets of responses", List("dns.qname.octets")),
    table("Clients, queries", List("dns.client.top")),
    table(
        "Servers, queries/responses",
        Beside("dns.server.queries", "dns.server.responses"),
    ),
    table(
        "Zones, queries/responses",
        Beside("dns.zone.queries", "dns.zone.responses"),
    ),
    table("No data", List("dns.nodata.top")),
    table("NXDOMAIN", List("dns.nxdomain.top")),
    table("SERVFAIL", List("dns.servfail.top")),
    table("REFUSED", List("dns.refused.top")),
    table("Slowest names, ms in all", Slow("dns.slow.top")),
    table("Query types", Types("dns.qtype")),
    table("Response codes", Codes("dns.rcode")),
];

const TCP: &[Table] = &[
    table(
        "Packets by control bits",
        Counters(&[
            ("SYN", "tcp.syn"),
            ("SYN ACK", "tcp.syn_ack"),
            ("FIN", "tcp.fin"),
            ("RST", "tcp.rst"),
            ("PSH", "tcp.psh"),
            ("URG", "tcp.urg"),
            ("ECE", "tcp.ece"),
            ("CWR", "tcp.cwr"),
        ]),
    ),
    table(
        "Octets by control bits",
        Counters(&[
            ("SYN", "tcp.syn.octets"),
            ("SYN ACK", "tcp.syn_ack.octets"),
            ("FIN", "tcp.fin.octets"),
            ("RST", "tcp.rst.octets"),
            ("PSH", "tcp.psh.octets"),
            ("URG", "tcp.urg.octets"),
            ("ECE", "tcp.ece.octets"),
            ("CWR", "tcp.cwr.octets"),
        ]),
    ),
    table(
        "Packets by protocol",
        Counters(&[
            ("TCP", "packets.tcp"),
            ("UDP", "packets.udp"),
            ("ICMP", "packets.icmp"),
            ("others", "packets.other"),
        ]),
    ),
    table(
        "Octets by protocol",
        Counters(&[
            ("TCP", "octets.tcp"),
            ("UDP", "octets.udp"),
            ("ICMP", "octets.icmp"),
            ("others", "octets.other"),
        ]),
    ),
    table("Destination ports, packets", List("port.dst.packets")),
    table("Source ports, packets", List("port.src.packets")),
];

/// One row, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The item.
    pub name: String,
    /// What rows are sorted by.
    pub weight: u64,
    /// The number as it is written.
    pub number: String,
}

impl Table {
    /// Its rows, the heaviest first, and what they are a part of; 0 when that says nothing.
    pub fn lines(&self, figures: &Figures<'_>) -> (Vec<Line>, u64) {
        let plain = |rows: Vec<Row>| -> Vec<Line> {
            rows.into_iter()
                .map(|row| Line {
                    number: row.weight.to_string(),
                    name: row.name,
                    weight: row.weight,
                })
                .collect()
        };
        match self.rows {
            Rows::List(metric) => (plain(figures.rows(metric)), figures.weight(metric)),
            Rows::Types(metric) => (plain(named(figures.rows(metric), type_name)), figures.weight(metric)),
            Rows::Codes(metric) => (
                plain(named(figures.rows(metric), |octets| {
                    code_name(octets).map(str::to_owned)
                })),
                figures.weight(metric),
            ),
            Rows::Slow(metric) => {
                let rows = figures.rows(metric).into_iter();
                let line = |row: Row| Line {
                    number: format!("{:.1}", row.weight as f64 / 1000.0),
                    name: row.name,
                    weight: row.weight,
                };
                (rows.map(line).collect(), 0)
            }
            Rows::Addresses { ipv4 } => (plain(addresses(figures, ipv4)), figures.counter("packets")),
            Rows::Counters(counters) => {
                let rows = counters.iter().map(|(name, metric)| Row {
                    name: (*name).to_owned(),
                    weight: figures.counter(metric),
                });
                (plain(rows.filter(|row| row.weight > 0).collect()), 0)
            }
            Rows::Beside(first, second) => {
                let others = figures.rows(second);
                let line = |row: Row| {
                    let other = others.iter().find(|other| other.name == row.name);
                    Line {
                        number: format!("{}/{}", row.weight, other.map_or(0, |other| other.weight)),
                        name: row.name,
                        weight: row.weight,
                    }
                };
                (figures.rows(first).into_iter().map(line).collect(), 0)
            }
        }
    }
}

/// Numbers as names, where they have one.
fn named(mut rows: Vec<Row>, name: impl Fn(&[u8]) -> Option<String>) -> Vec<Row> {
    for row in &mut rows {
        let found = row
            .name
            .parse::<u16>()
            .ok()
            .and_then(|number| name(&number.to_be_bytes()));
        if let Some(found) = found {
            row.name = found;
        }
    }
    rows
}

/// Packets from and to each address together.
fn addresses(figures: &Figures<'_>, ipv4: bool) -> Vec<Row> {
    let mut sums: Vec<Row> = Vec::new();
    for metric in ["ip.src.packets", "ip.dst.packets"] {
        for row in figures.rows(metric) {
            match sums.iter_mut().find(|known| known.name == row.name) {
                Some(known) => known.weight += row.weight,
                None => sums.push(row),
            }
        }
    }
    sums.retain(|row| {
        row.name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4() == ipv4)
    });
    sums.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
    sums
}
