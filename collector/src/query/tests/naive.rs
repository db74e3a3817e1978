//! What a filter means, said as plainly as possible: one row after the other, values and not codes.

use std::cmp::Ordering;
use std::net::IpAddr;

use regex::Regex;

use super::rows::PlainRow;
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::{Cell, ip_to_u128};
use crate::query::filter::ast::{Literal, Node, NodeKind, Operator, Subject, Test};
use crate::query::filter::pattern::{Pattern, PatternKind};

pub fn fits(node: &Node, row: &PlainRow) -> bool {
    match &node.kind {
        NodeKind::And(parts) => parts.iter().all(|part| fits(part, row)),
        NodeKind::Or(parts) => parts.iter().any(|part| fits(part, row)),
        NodeKind::Not(inner) => !fits(inner, row),
        NodeKind::Test(test) => test_fits(test, row),
    }
}

fn cell<'r>(subject: &Subject, row: &'r PlainRow) -> Option<&'r Cell> {
    match subject {
        Subject::Column(column) => row.cells.get(column),
        Subject::Other(name) => row.other.get(name.as_str()),
    }
}

fn test_fits(test: &Test, row: &PlainRow) -> bool {
    match test {
        Test::Exists(subject) => cell(subject, row).is_some(),
        Test::Compare(subject, operator, literal) => {
            cell(subject, row).is_some_and(|cell| compares(cell, *operator, literal))
        }
        Test::In(subject, literals) => cell(subject, row)
            .is_some_and(|cell| literals.iter().any(|literal| compares(cell, Operator::Equal, literal))),
        Test::Matches(subject, pattern) => matches!(cell(subject, row), Some(Cell::Text(text)) if like(pattern, text)),
        Test::Flags(subject, mask) => matches!(cell(subject, row), Some(Cell::Number(flags)) if flags & mask == *mask),
        Test::Columns(left, operator, right) => match (cell(left, row), cell(right, row)) {
            (Some(left), Some(right)) => holds(*operator, order(left, right)),
            _ => false,
        },
        Test::Word(pattern) => row.cells.iter().any(|(column, cell)| {
            column.column().kind == ColumnKind::Text && matches!(cell, Cell::Text(text) if like(pattern, text))
        }),
    }
}

fn holds(operator: Operator, order: Option<Ordering>) -> bool {
    let Some(order) = order else { return false };
    match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterOrEqual => order != Ordering::Less,
    }
}

fn order(left: &Cell, right: &Cell) -> Option<Ordering> {
    match (left, right) {
        (Cell::Number(a), Cell::Float(b)) => (*a as f64).partial_cmp(b),
        (Cell::Number(a), Cell::Number(b)) => Some(a.cmp(b)),
        (Cell::Signed(a), Cell::Signed(b)) => Some(a.cmp(b)),
        (Cell::Ip(a), Cell::Ip(b)) => Some(a.cmp(b)),
        (Cell::Text(a), Cell::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        other => panic!("{other:?}"),
    }
}

fn compares(cell: &Cell, operator: Operator, literal: &Literal) -> bool {
    let order = match (cell, literal) {
        (Cell::Number(value), Literal::Number(wanted)) | (Cell::Mac(value), Literal::Mac(wanted)) => {
            Some(value.cmp(wanted))
        }
        (Cell::Signed(value), Literal::Time(wanted) | Literal::Duration(wanted)) => Some(value.cmp(wanted)),
        (Cell::Float(value), Literal::Float(wanted)) => value.partial_cmp(wanted),
        (Cell::Bool(value), Literal::Bool(wanted)) => Some(value.cmp(wanted)),
        (Cell::Text(value), Literal::Text(wanted)) => Some(value.as_bytes().cmp(wanted.as_bytes())),
        (Cell::Ip(value), Literal::Ip(wanted)) => Some(value.cmp(wanted)),
        (Cell::Ip(value), Literal::Net(first, last)) => {
            return inside(*value, *first, *last) == (operator == Operator::Equal);
        }
        (Cell::Text(value), Literal::Net(first, last)) => {
            let address = ip_to_u128(value.parse::<IpAddr>().unwrap());
            return inside(address, *first, *last) == (operator == Operator::Equal);
        }
        other => panic!("{other:?}"),
    };
    holds(operator, order)
}

fn inside(address: u128, first: u128, last: u128) -> bool {
    address >= first && address <= last
}

fn like(pattern: &Pattern, text: &str) -> bool {
    match pattern.kind {
        PatternKind::Part => text.to_lowercase().contains(&pattern.text.to_lowercase()),
        PatternKind::Glob => {
            let pattern: Vec<char> = pattern.text.to_lowercase().chars().collect();
            let text: Vec<char> = text.to_lowercase().chars().collect();
            glob(&pattern, &text)
        }
        PatternKind::Regex => Regex::new(&pattern.text).unwrap().is_match(text),
    }
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => glob(rest, text) || (!text.is_empty() && glob(pattern, &text[1..])),
        (['?', rest @ ..], [_, left @ ..]) => glob(rest, left),
        ([wanted, rest @ ..], [got, left @ ..]) => wanted == got && glob(rest, left),
        _ => false,
    }
}
