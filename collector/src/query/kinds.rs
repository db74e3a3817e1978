//! Which kinds of rows a question is about: flows, unless it names something that other kinds have.
//!
//! A DNS transaction stands beside the flow whose packets carried it. Read together they would say everything twice, so
//! transactions are read only by questions that name `kind`, a `dns.*` column, an element of DNS, or `transactions`, and
//! by bare words, which search every text. `flows` counts flows even then.

use super::bits::Bits;
use super::filter::Filter;
use super::filter::ast::{Node, NodeKind, Subject, Test};
use super::scan::scan;
use super::{QueryError, Watch};
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::{ColumnId, id};
use crate::store::segment::OpenSegment;

/// What rows are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// Flows; rows that do not say what they are are flows.
    #[default]
    Flows,
    /// Whatever there is.
    All,
}

impl Kinds {
    /// What a filter, and whatever else a question names, is about.
    pub fn of<'s>(filter: Option<&Filter>, mut subjects: impl Iterator<Item = &'s Subject>) -> Kinds {
        let named = filter.is_some_and(|filter| names_others(&filter.root)) || subjects.any(is_of_others);
        if named { Kinds::All } else { Kinds::Flows }
    }

    /// Takes rows of other kinds out.
    pub fn select(self, open: &OpenSegment, bits: Bits, watch: &Watch) -> Result<Bits, QueryError> {
        let kinds = match (self, open.column(id::KIND)) {
            (Kinds::Flows, Some(kinds)) => &kinds.column,
            _ => return Ok(bits),
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

/// Whether rows other than flows may have the value.
fn is_of_others(subject: &Subject) -> bool {
    match subject {
        Subject::Column(column) => is_column_of_others(*column),
        Subject::Other(name) => name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("dns")),
    }
}

/// As for a subject.
pub fn is_column_of_others(column: ColumnId) -> bool {
    column == id::KIND || column.column().name.starts_with("dns.")
}

fn names_others(node: &Node) -> bool {
    match &node.kind {
        NodeKind::And(nodes) | NodeKind::Or(nodes) => nodes.iter().any(names_others),
        NodeKind::Not(node) => names_others(node),
        NodeKind::Test(test) => match test {
            Test::Exists(subject)
            | Test::Compare(subject, ..)
            | Test::In(subject, _)
            | Test::Matches(subject, _)
            | Test::Flags(subject, _) => is_of_others(subject),
            Test::Columns(left, _, right) => is_of_others(left) || is_of_others(right),
            Test::Word(_) => true,
        },
    }
}
