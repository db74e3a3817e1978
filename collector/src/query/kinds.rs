//! Which kinds of rows a question is about: flows, unless it names something that other kinds have.
//!
//! A DNS transaction stands beside the flow whose packets carried it. Read together they would say everything twice, so
//! transactions are read only by questions that name `kind`, a `dns.*` column, an element of DNS, or `transactions`, and
//! by bare words, which search every text. `flows` counts flows even then. Questions that name a counter of devices
//! (`ifInOctets`) are about rows of counters alone, unless they name `kind` or something of DNS, too. What a metric names is
//! for this metric: others beside it are about what filter and groups name.

use super::bits::Bits;
use super::filter::Filter;
use super::filter::ast::{Node, NodeKind, Subject, Test};
use super::scan::scan;
use super::{QueryError, Watch};
use crate::normalize::codes::{KIND_COUNTERS, KIND_FLOW};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::counters::kept_name;
use crate::store::segment::OpenSegment;

/// What rows are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// Flows; rows that do not say what they are are flows.
    #[default]
    Flows,
    /// Counters that devices read.
    Counters,
    /// Whatever there is.
    All,
}

impl Kinds {
    /// What a filter, and whatever else a question names, is about.
    pub fn of<'s>(filter: Option<&Filter>, subjects: impl Iterator<Item = &'s Subject>) -> Kinds {
        let by_filter = filter.map_or(Kinds::Flows, |filter| named_by(&filter.root));
        by_filter.widened(subjects)
    }

    /// What is about these already, when it names more.
    pub fn widened<'s>(self, subjects: impl Iterator<Item = &'s Subject>) -> Kinds {
        subjects.map(kinds_of).fold(self, Kinds::widest)
    }

    /// What must be read for several metrics, each of which is about its own.
    pub fn together(mut kinds: impl Iterator<Item = Kinds>) -> Kinds {
        let first = kinds.next().unwrap_or_default();
        if kinds.all(|other| other == first) {
            first
        } else {
            Kinds::All
        }
    }

    /// The only kind that counts where rows of `read` are read; none when all of them do.
    pub fn only_of(self, read: Kinds) -> Option<u64> {
        match (self, read) {
            (Kinds::Flows, Kinds::All) => Some(KIND_FLOW),
            (Kinds::Counters, Kinds::All) => Some(KIND_COUNTERS),
            _ => None,
        }
    }

    fn widest(self, other: Kinds) -> Kinds {
        match (self, other) {
            (Kinds::All, _) | (_, Kinds::All) => Kinds::All,
            (Kinds::Counters, _) | (_, Kinds::Counters) => Kinds::Counters,
            _ => Kinds::Flows,
        }
    }

    /// Takes rows of other kinds out.
    pub fn select(self, open: &OpenSegment, bits: Bits, watch: &Watch) -> Result<Bits, QueryError> {
        let column = open.column(id::KIND);
        let kinds = match (self, column) {
            (Kinds::All, _) | (Kinds::Flows, None) => return Ok(bits),
            (Kinds::Counters, None) => return Ok(Bits::none(bits.len())),
            (Kinds::Counters, Some(kinds)) => {
                let mut counters = Bits::none(bits.len());
                scan(&kinds.column, &bits, &mut counters, watch, |kind| kind == KIND_COUNTERS)?;
                return Ok(counters);
            }
            (Kinds::Flows, Some(kinds)) => &kinds.column,
        };
        let only = (kinds.min_value() == kinds.max_value()).then(|| kinds.min_value());
        if only == Some(KIND_FLOW) {
            return Ok(bits);
        }
        let mut others = Bits::none(bits.len());
        scan(kinds, &bits, &mut others, watch, |kind| kind != KIND_FLOW)?;
        let mut flows = bits;
        flows.and_not(&others);
        Ok(flows)
    }
}

/// Which rows may have the value.
fn kinds_of(subject: &Subject) -> Kinds {
    let (of_dns, of_counters) = match subject {
        Subject::Column(column) => (is_column_of_others(*column), false),
        Subject::Other(name) => {
            let of_dns = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("dns"));
            (of_dns, kept_name(name).is_some())
        }
    };
    match (of_dns, of_counters) {
        (true, _) => Kinds::All,
        (_, true) => Kinds::Counters,
        _ => Kinds::Flows,
    }
}

/// As for a subject.
pub fn is_column_of_others(column: ColumnId) -> bool {
    column == id::KIND || column.column().name.starts_with("dns.")
}

fn named_by(node: &Node) -> Kinds {
    match &node.kind {
        NodeKind::And(nodes) | NodeKind::Or(nodes) => nodes.iter().map(named_by).fold(Kinds::Flows, Kinds::widest),
        NodeKind::Not(node) => named_by(node),
        NodeKind::Test(test) => match test {
            Test::Exists(subject)
            | Test::Compare(subject, ..)
            | Test::In(subject, _)
            | Test::Matches(subject, _)
            | Test::Flags(subject, _) => kinds_of(subject),
            Test::Columns(left, _, right) => kinds_of(left).widest(kinds_of(right)),
            Test::Word(_) => Kinds::All,
        },
    }
}
