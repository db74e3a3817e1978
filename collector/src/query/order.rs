//! The order of values: the one filters ask for, and a total one for sorting.

use std::cmp::Ordering;

use crate::normalize::row::Cell;

/// The order of two values; `None` when they have none.
pub fn compare_cells(left: &Cell, right: &Cell) -> Option<Ordering> {
    use Cell::{Bool, Float, Ip, Mac, Number, Signed, Text};
    match (left, right) {
        (Number(a) | Mac(a), Number(b) | Mac(b)) => Some(a.cmp(b)),
        (Signed(a), Signed(b)) => Some(a.cmp(b)),
        (Number(a), Signed(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Signed(a), Number(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Float(a), Float(b)) => a.partial_cmp(b),
        (Float(a), Number(b)) => a.partial_cmp(&(*b as f64)),
        (Number(a), Float(b)) => (*a as f64).partial_cmp(b),
        (Float(a), Signed(b)) => a.partial_cmp(&(*b as f64)),
        (Signed(a), Float(b)) => (*a as f64).partial_cmp(b),
        (Ip(a), Ip(b)) => Some(a.cmp(b)),
        (Text(a), Text(b)) => Some(a.cmp(b)),
        (Bool(a), Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// An order of all values, for sorting: as [`compare_cells`] where that knows one, NaN outside of all numbers.
pub fn total_order(left: &Cell, right: &Cell) -> Ordering {
    use Cell::{Bool, Float, Ip, Mac, Number, Signed, Text};
    let float = |cell: &Cell| match cell {
        Number(value) | Mac(value) => Some(*value as f64),
        Signed(value) => Some(*value as f64),
        Float(value) => Some(*value),
        _ => None,
    };
    let rank = |cell: &Cell| match cell {
        Bool(_) => 0,
        Signed(_) => 1,
        Number(_) | Mac(_) => 2,
        Float(_) => 3,
        Ip(_) => 4,
        Text(_) => 5,
    };
    match (float(left), float(right)) {
        // Whole numbers that are the same as floating-point numbers are told apart behind that, so that the order of
        // three numbers never turns in a circle.
        (Some(a), Some(b)) if rank(left) != rank(right) => a.total_cmp(&b).then(rank(left).cmp(&rank(right))),
        (Some(a), Some(b)) if rank(left) == rank(&Float(0.0)) => a.total_cmp(&b),
        _ => compare_cells(left, right).unwrap_or_else(|| rank(left).cmp(&rank(right))),
    }
}
