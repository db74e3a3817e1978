//! The short words of tcpdump and nfdump: `host`, `net`, `port`, `src port`, `proto tcp`, `as`, bare protocols.
//!
//! They are taken apart into comparisons of columns, so that everything behind the parser knows only those.

use super::FilterError;
use super::ast::{Literal, Node, NodeKind, Operator, Span, Subject, Test};
use super::lexer::Token;
use super::parser::Parser;
use super::value::{address, network, number};
use crate::normalize::columns::{ColumnId, id};

/// The words themselves, for completion.
pub const SHORT_WORDS: &[(&str, &str)] = &[
    ("host", "an address at either end: host 10.0.0.1"),
    ("net", "a network at either end: net 10/8"),
    ("port", "a port at either end: port 53"),
    ("portrange", "ports at either end: portrange 6000-6063"),
    ("src", "of the source: src host, src net, src port, src as, src mac"),
    (
        "dst",
        "of the destination: dst host, dst net, dst port, dst as, dst mac",
    ),
    ("as", "an autonomous system at either end: as 64496"),
    ("mac", "a MAC address at either end"),
    ("tcp", "protocol TCP"),
    ("udp", "protocol UDP"),
    ("icmp", "protocol ICMP"),
    ("icmp6", "protocol ICMPv6"),
    ("sctp", "protocol SCTP"),
    ("gre", "protocol GRE"),
    ("esp", "protocol ESP"),
    ("ip", "IPv4"),
    ("ip6", "IPv6"),
];

const BARE_PROTOCOLS: [(&str, u64); 11] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("icmp6", 58),
    ("igmp", 2),
    ("sctp", 132),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ospf", 89),
];

/// Which end of a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Either,
    Source,
    Destination,
}

type Parsed<T> = Result<T, FilterError>;

fn pair(word: &str) -> Option<[ColumnId; 2]> {
    Some(match word {
        "host" | "net" | "ip" => [id::SRC_IP, id::DST_IP],
        "port" | "portrange" => [id::SRC_PORT, id::DST_PORT],
        "as" => [id::SRC_AS, id::DST_AS],
        "mac" | "ether" => [id::SRC_MAC, id::DST_MAC],
        "country" => [id::SRC_COUNTRY, id::DST_COUNTRY],
        "name" => [id::SRC_NAME, id::DST_NAME],
        _ => return None,
    })
}

impl Parser<'_, '_> {
    /// A condition that starts with a short word; `None` when `word`, which was taken, is none.
    pub(super) fn short(&mut self, word: &str, span: Span) -> Parsed<Option<Node>> {
        let start = span.start;
        match word {
            "src" => return self.end(End::Source, start).map(Some),
            "dst" => return self.end(End::Destination, start).map(Some),
            "host" | "net" | "port" | "portrange" | "as" | "mac" | "ether" => {
                return self.qualified(word, End::Either, start).map(Some);
            }
            "ip" if self.is_address() => return self.qualified("host", End::Either, start).map(Some),
            "proto" | "vlan" if !self.is_behind_name() => {
                let column = if word == "proto" { id::PROTO } else { id::VLAN };
                return self.comparisons(&[column], start).map(Some);
            }
            "ip" | "inet" | "ip6" | "ipv6" | "inet6" if !self.is_behind_name() => {
                let version = if word.ends_with('6') { 6 } else { 4 };
                return Ok(Some(self.equal(id::IP_VERSION, Literal::Number(version), start)));
            }
            _ => {}
        }
        let Some((_, protocol)) = BARE_PROTOCOLS.iter().find(|(name, _)| *name == word) else {
            return Ok(None);
        };
        if self.is_behind_name() {
            return Ok(None);
        }
        let protocol = self.equal(id::PROTO, Literal::Number(*protocol), start);
        // `tcp dst port 80` as tcpdump takes it.
        let qualifier = ["src", "dst", "host", "net", "port", "portrange"]
            .into_iter()
            .find(|word| self.is_word(word));
        let Some(qualifier) = qualifier else {
            return Ok(Some(protocol));
        };
        let span = self.span;
        self.advance()?;
        let rest = match self.short(qualifier, span)? {
            Some(rest) => rest,
            None => return Ok(Some(protocol)),
        };
        Ok(Some(self.node(start, NodeKind::And(vec![protocol, rest]))))
    }

    /// A bare address or network is that of either end.
    pub(super) fn bare_address(&self, word: &str, start: usize) -> Option<Node> {
        let literal = address(word)?;
        let tests = [id::SRC_IP, id::DST_IP].map(|column| self.equal(column, literal.clone(), start));
        Some(self.node(start, NodeKind::Or(tests.to_vec())))
    }

    fn equal(&self, column: ColumnId, value: Literal, start: usize) -> Node {
        self.node(
            start,
            NodeKind::Test(Test::Compare(Subject::Column(column), Operator::Equal, value)),
        )
    }

    fn is_address(&self) -> bool {
        matches!(&self.token_word(), Some(word) if address(word).is_some())
    }

    fn end(&mut self, end: End, start: usize) -> Parsed<Node> {
        let word = self.token_word().map(str::to_ascii_lowercase).unwrap_or_default();
        if pair(&word).is_some() {
            self.advance()?;
            return self.qualified(&word, end, start);
        }
        if self.is_address() {
            return self.qualified("host", end, start);
        }
        Err(self.fault(
            "an end of the flow needs a word here",
            &["host", "net", "port", "as", "mac", "an address"],
        ))
    }

    fn qualified(&mut self, word: &str, end: End, start: usize) -> Parsed<Node> {
        let [source, destination] = pair(word).unwrap_or([id::SRC_IP, id::DST_IP]);
        let both = [source, destination];
        let columns: &[ColumnId] = match end {
            End::Either => &both,
            End::Source => &both[..1],
            End::Destination => &both[1..],
        };
        match word {
            "portrange" => self.port_range(columns, start),
            "net" if !self.is_behind_name() => {
                let word = self.token_word().map(str::to_owned);
                let Some(net) = word.as_deref().and_then(network) else {
                    return Err(self.fault("a network was expected", &["10/8", "192.168", "2001:db8::/32"]));
                };
                self.advance()?;
                Ok(self.join(columns, start, |column| {
                    Test::Compare(column, Operator::Equal, net.clone())
                }))
            }
            _ => self.comparisons(columns, start),
        }
    }

    /// An optional operator and its value, for one column or either of two.
    fn comparisons(&mut self, columns: &[ColumnId], start: usize) -> Parsed<Node> {
        let Some(first) = columns.first() else {
            return Err(self.fault("a column was expected", &[]));
        };
        let subject = Subject::Column(*first);
        if self.is_word("in") {
            self.advance()?;
            let values = self.set(&subject)?;
            return Ok(self.join(columns, start, |column| Test::In(column, values.clone())));
        }
        let operator = match self.token() {
            Token::Operator(operator) => {
                let operator = *operator;
                self.advance()?;
                operator
            }
            _ => Operator::Equal,
        };
        let value = self.value(&subject, operator)?;
        Ok(self.join_as(columns, start, operator == Operator::NotEqual, |column| {
            Test::Compare(column, operator, value.clone())
        }))
    }

    fn port_range(&mut self, columns: &[ColumnId], start: usize) -> Parsed<Node> {
        let range = self.token_word().and_then(|word| {
            let (first, last) = word.split_once('-')?;
            Some((number(first)?, number(last)?))
        });
        let Some((first, last)) = range else {
            return Err(self.fault("a range of ports was expected", &["6000-6063"]));
        };
        self.advance()?;
        let both = |column: &ColumnId| {
            let bound = |operator, value| {
                let test = Test::Compare(Subject::Column(*column), operator, Literal::Number(value));
                self.node(start, NodeKind::Test(test))
            };
            let bounds = vec![
                bound(Operator::GreaterOrEqual, first),
                bound(Operator::LessOrEqual, last),
            ];
            self.node(start, NodeKind::And(bounds))
        };
        let mut nodes: Vec<Node> = columns.iter().map(both).collect();
        match nodes.len() {
            1 => Ok(nodes.remove(0)),
            _ => Ok(self.node(start, NodeKind::Or(nodes))),
        }
    }

    fn join(&self, columns: &[ColumnId], start: usize, test: impl Fn(Subject) -> Test) -> Node {
        self.join_as(columns, start, false, test)
    }

    /// `port != 53` is about both ends, everything else about either.
    fn join_as(&self, columns: &[ColumnId], start: usize, all: bool, test: impl Fn(Subject) -> Test) -> Node {
        let tests = columns
            .iter()
            .map(|column| self.node(start, NodeKind::Test(test(Subject::Column(*column)))));
        let mut nodes: Vec<Node> = tests.collect();
        match nodes.len() {
            1 => nodes.remove(0),
            _ if all => self.node(start, NodeKind::And(nodes)),
            _ => self.node(start, NodeKind::Or(nodes)),
        }
    }
}
