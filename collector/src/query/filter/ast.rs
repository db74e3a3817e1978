//! What a filter says, with the place every part came from.

use std::fmt;

use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::u128_to_ip;
use crate::query::table::mac_text;
use crate::query::time::format_time;

use super::flags::flag_letters;
use super::pattern::Pattern;

/// A place in the text of a filter, octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First octet.
    pub start: usize,
    /// Behind the last octet.
    pub end: usize,
}

/// A filter that was understood. It is shown as text that means the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The outermost part.
    pub root: Node,
}

/// A part of a filter. Parts are equal when they mean the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it says.
    pub kind: NodeKind,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What a part says.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// All of them; at least two.
    And(Vec<Node>),
    /// One of them; at least two.
    Or(Vec<Node>),
    /// Not this.
    Not(Box<Node>),
    /// One question about a row.
    Test(Test),
}

/// Whose value is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A column.
    Column(ColumnId),
    /// An element no column takes, by name.
    Other(String),
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// All of them, as they are written.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Equal, "="),
        (Self::NotEqual, "!="),
        (Self::LessOrEqual, "<="),
        (Self::GreaterOrEqual, ">="),
        (Self::Less, "<"),
        (Self::Greater, ">"),
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(operator, _)| *operator == self)
            .map_or("=", |(_, text)| text)
    }

    /// Whether it holds for two values in this order.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A question about a row. A row without the value answers no, also to `!=`.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The row has a value.
    Exists(Subject),
    /// The value compares so with a literal.
    Compare(Subject, Operator, Literal),
    /// The value is one of these.
    In(Subject, Vec<Literal>),
    /// The text fits a pattern.
    Matches(Subject, Pattern),
    /// All these TCP flags are set.
    Flags(Subject, u64),
    /// Two values of the row compare so.
    Columns(Subject, Operator, Subject),
    /// A text column fits a pattern.
    Word(Pattern),
}

/// A value as a filter says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A number of a Number column, or of an element.
    Number(u64),
    /// A negative number of an element.
    Negative(i64),
    /// A number with a fraction.
    Float(f64),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// An address.
    Ip(u128),
    /// Addresses that begin with the same bits: the first and the last.
    Net(u128, u128),
    /// A MAC address.
    Mac(u64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
}

impl Literal {
    /// Whether text is what it says.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// Text in quotes, so that the parser reads it back.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, nodes: &[Self], word: &str| {
            for (at, node) in nodes.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                // Of `and` and `or` only the same one or a test needs no parentheses, and the same one would be
                // taken apart when read back.
                match node.kind {
                    NodeKind::And(_) | NodeKind::Or(_) => write!(f, "({node})")?,
                    NodeKind::Not(_) | NodeKind::Test(_) => write!(f, "{node}")?,
                }
            }
            Ok(())
        };
        match &self.kind {
            NodeKind::And(nodes) => joined(f, nodes, "and"),
            NodeKind::Or(nodes) => joined(f, nodes, "or"),
            NodeKind::Not(node) => match node.kind {
                NodeKind::And(_) | NodeKind::Or(_) => write!(f, "not ({node})"),
                NodeKind::Not(_) | NodeKind::Test(_) => write!(f, "not {node}"),
            },
            NodeKind::Test(test) => test.fmt(f),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(column) => f.write_str(column.column().name),
            Self::Other(name) => f.write_str(&quoted(name)),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(subject) => write!(f, "{subject} exists"),
            Self::Compare(subject, operator, literal) => write!(f, "{subject} {} {literal}", operator.as_str()),
            Self::In(subject, literals) => {
                write!(f, "{subject} in (")?;
                for (at, literal) in literals.iter().enumerate() {
                    write!(f, "{}{literal}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Matches(subject, pattern) => write!(f, "{subject} ~ {pattern}"),
            Self::Flags(subject, mask) => write!(f, "{subject} ~ {}", quoted(&flag_letters(*mask))),
            Self::Columns(left, operator, right) => write!(f, "{left} {} {right}", operator.as_str()),
            Self::Word(pattern) => pattern.fmt(f),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.fmt(f),
            Self::Negative(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Time(ns) => f.write_str(&format_time(*ns)),
            Self::Duration(ns) => write!(f, "{ns}ns"),
            Self::Ip(address) => u128_to_ip(*address).fmt(f),
            Self::Net(first, last) => {
                let host_bits = (first ^ last).count_ones();
                let address = u128_to_ip(*first);
                let width = if address.is_ipv4() && host_bits <= 32 { 32 } else { 128 };
                if address.is_ipv4() && width == 128 {
                    // A v6 net that begins where the v4-mapped ones do.
                    return write!(f, "{}/{}", std::net::Ipv6Addr::from_bits(*first), 128 - host_bits);
                }
                write!(f, "{address}/{}", width - host_bits)
            }
            Self::Mac(value) => f.write_str(&mac_text(*value)),
            Self::Bool(value) => value.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
        }
    }
}

/// What kind a subject has, `None` for elements.
pub fn subject_kind(subject: &Subject) -> Option<ColumnKind> {
    match subject {
        Subject::Column(column) => Some(column.column().kind),
        Subject::Other(_) => None,
    }
}
