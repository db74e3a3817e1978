//! Filters over the keys of rollups: only what compares columns of the key can be answered.

use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::Cell;
use crate::query::filter::ast::{Literal, Node, NodeKind, Operator, Subject, Test};
use crate::query::order::compare_cells;

/// The columns that a filter looks at; nothing when it asks for more than keys can tell.
pub fn columns_of(node: &Node) -> Option<Vec<ColumnId>> {
    let mut columns = Vec::new();
    let is_answerable = collect(node, &mut columns);
    columns.sort_unstable();
    columns.dedup();
    is_answerable.then_some(columns)
}

fn collect(node: &Node, columns: &mut Vec<ColumnId>) -> bool {
    match &node.kind {
        NodeKind::And(nodes) | NodeKind::Or(nodes) => nodes.iter().all(|node| collect(node, columns)),
        NodeKind::Not(node) => collect(node, columns),
        NodeKind::Test(test) => match test {
            Test::Exists(Subject::Column(column)) | Test::Matches(Subject::Column(column), _) => {
                columns.push(*column);
                true
            }
            Test::Compare(Subject::Column(column), _, literal) => {
                columns.push(*column);
                is_plain(*column, literal)
            }
            Test::In(Subject::Column(column), literals) => {
                columns.push(*column);
                literals.iter().all(|literal| is_plain(*column, literal))
            }
            Test::Columns(Subject::Column(left), _, Subject::Column(right)) => {
                columns.extend([*left, *right]);
                true
            }
            _ => false,
        },
    }
}

/// The literal is of the kind that the column has.
fn is_plain(column: ColumnId, literal: &Literal) -> bool {
    matches!(
        (column.column().kind, literal),
        (ColumnKind::Text, Literal::Text(_))
            | (
                ColumnKind::Number,
                Literal::Number(_) | Literal::Negative(_) | Literal::Float(_)
            )
            | (ColumnKind::Ip, Literal::Ip(_) | Literal::Net(..))
    )
}

/// Whether a key fits. A key without the value answers no, also to `!=`.
pub fn fits(node: &Node, columns: &[ColumnId], key: &[Option<Cell>]) -> bool {
    match &node.kind {
        NodeKind::And(nodes) => nodes.iter().all(|node| fits(node, columns, key)),
        NodeKind::Or(nodes) => nodes.iter().any(|node| fits(node, columns, key)),
        NodeKind::Not(node) => !fits(node, columns, key),
        NodeKind::Test(test) => test_fits(test, columns, key),
    }
}

fn value<'k>(subject: &Subject, columns: &[ColumnId], key: &'k [Option<Cell>]) -> Option<&'k Cell> {
    let Subject::Column(column) = subject else { return None };
    let at = columns.iter().position(|held| held == column)?;
    key.get(at)?.as_ref()
}

fn test_fits(test: &Test, columns: &[ColumnId], key: &[Option<Cell>]) -> bool {
    match test {
        Test::Exists(subject) => value(subject, columns, key).is_some(),
        Test::Compare(subject, operator, literal) => {
            value(subject, columns, key).is_some_and(|cell| compares(cell, *operator, literal))
        }
        Test::In(subject, literals) => value(subject, columns, key)
            .is_some_and(|cell| literals.iter().any(|literal| compares(cell, Operator::Equal, literal))),
        Test::Matches(subject, pattern) => {
            matches!(value(subject, columns, key), Some(Cell::Text(text)) if pattern.fits(text))
        }
        Test::Columns(left, operator, right) => value(left, columns, key)
            .zip(value(right, columns, key))
            .and_then(|(left, right)| compare_cells(left, right))
            .is_some_and(|order| operator.holds(order)),
        // What looks at more than keys was refused by `columns_of`.
        Test::Flags(..) | Test::Word(_) => false,
    }
}

fn compares(cell: &Cell, operator: Operator, literal: &Literal) -> bool {
    if let (Cell::Ip(address), Literal::Net(first, last)) = (cell, literal) {
        return (first <= address && address <= last) == (operator == Operator::Equal);
    }
    let literal = match literal {
        Literal::Number(value) => Cell::Number(*value),
        Literal::Negative(value) => Cell::Signed(*value),
        Literal::Float(value) => Cell::Float(*value),
        Literal::Ip(address) => Cell::Ip(*address),
        Literal::Text(text) => Cell::Text(text.as_str().into()),
        _ => return false,
    };
    compare_cells(cell, &literal).is_some_and(|order| operator.holds(order))
}
