//! Comparisons with literals as ranges of codes, so that a column is compared without being decoded.

use std::io;

use tantivy::columnar::{MonotonicallyMappableToU64, TermOrdHit};

use super::filter::ast::{Literal, Operator};
use crate::store::segment::{Decode, ip_code};

/// Codes that fit: ranges with both ends in them, in order, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(pub Vec<(u64, u64)>);

impl Ranges {
    fn push(&mut self, first: i128, last: i128, (lowest, highest): (i128, i128)) {
        let (first, last) = (first.max(lowest), last.min(highest));
        if let (Ok(first), Ok(last)) = (u64::try_from(first), u64::try_from(last))
            && first <= last
        {
            self.0.push((first, last));
        }
    }

    /// Whether a code fits.
    #[inline]
    pub fn contains(&self, code: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < code);
        self.0.get(at).is_some_and(|(first, _)| *first <= code)
    }

    /// What fits one or the other.
    pub fn union(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(self.0.len());
        for (first, last) in self.0 {
            match joined.last_mut() {
                Some(held) if first <= held.1.saturating_add(1) => held.1 = held.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }
}

/// Codes of a literal: from the first that is not less to the last that is not greater. Crossed when it has none.
type Bounds = (i128, i128);

const I64_OFFSET: i128 = 1 << 63;

/// The codes whose values compare with `literal` as `operator` says. No codes when they cannot be compared.
pub fn ranges(decode: &Decode, operator: Operator, literal: &Literal) -> io::Result<Ranges> {
    let mut ranges = Ranges::default();
    let Some((first, last)) = bounds(decode, literal)? else {
        return Ok(ranges);
    };
    let domain = domain(decode);
    match operator {
        Operator::Equal => ranges.push(first, last, domain),
        Operator::NotEqual if first > last => ranges.push(domain.0, domain.1, domain),
        Operator::NotEqual => {
            ranges.push(domain.0, first - 1, domain);
            ranges.push(last + 1, domain.1, domain);
        }
        Operator::Less => ranges.push(domain.0, first - 1, domain),
        Operator::LessOrEqual => ranges.push(domain.0, last, domain),
        Operator::Greater => ranges.push(last + 1, domain.1, domain),
        Operator::GreaterOrEqual => ranges.push(first, domain.1, domain),
    }
    Ok(ranges)
}

/// The codes whose values are one of `literals`.
pub fn set_ranges(decode: &Decode, literals: &[Literal]) -> io::Result<Ranges> {
    let mut all = Ranges::default();
    for literal in literals {
        all.0.extend(ranges(decode, Operator::Equal, literal)?.0);
    }
    Ok(all.union(Ranges::default()))
}

/// Codes that are values: NaN compares with nothing.
fn domain(decode: &Decode) -> (i128, i128) {
    match decode {
        Decode::Float => (
            i128::from(f64::NEG_INFINITY.to_u64()),
            i128::from(f64::INFINITY.to_u64()),
        ),
        _ => (0, i128::from(u64::MAX)),
    }
}

fn bounds(decode: &Decode, literal: &Literal) -> io::Result<Option<Bounds>> {
    Ok(match decode {
        Decode::Number => whole(literal),
        Decode::Signed => whole(literal).map(|(first, last)| (first + I64_OFFSET, last + I64_OFFSET)),
        Decode::Float => float(literal),
        Decode::Bool => match literal {
            Literal::Bool(value) => Some((i128::from(*value), i128::from(*value))),
            _ => None,
        },
        Decode::Ip(accessor) => {
            let bounds = |first: u128, last: u128| {
                let (from, _) = ip_code(accessor, first);
                let (to, is_exact) = ip_code(accessor, last);
                (i128::from(from), i128::from(to) - i128::from(!is_exact))
            };
            match literal {
                Literal::Ip(address) => Some(bounds(*address, *address)),
                Literal::Net(first, last) => Some(bounds(*first, *last)),
                _ => None,
            }
        }
        Decode::Text(text) => match literal {
            Literal::Text(wanted) => Some(match text.dictionary().term_ord_or_next(wanted.as_bytes())? {
                TermOrdHit::Exact(ord) => (i128::from(ord), i128::from(ord)),
                // Behind the last term the ordinal is the largest there is.
                TermOrdHit::Next(ord) => (i128::from(ord), i128::from(ord) - 1),
            }),
            _ => None,
        },
    })
}

/// The whole numbers a literal lies between.
fn whole(literal: &Literal) -> Option<Bounds> {
    match literal {
        Literal::Number(value) | Literal::Mac(value) => Some((i128::from(*value), i128::from(*value))),
        Literal::Negative(value) | Literal::Time(value) | Literal::Duration(value) => {
            Some((i128::from(*value), i128::from(*value)))
        }
        // Saturates, which is far outside of every code.
        Literal::Float(value) if !value.is_nan() => {
            Some((value.ceil() as i128, value.floor() as i128)).map(|(first, last)| {
                (
                    first.clamp(-I64_OFFSET * 4, I64_OFFSET * 4),
                    last.clamp(-I64_OFFSET * 4, I64_OFFSET * 4),
                )
            })
        }
        _ => None,
    }
}

fn float(literal: &Literal) -> Option<Bounds> {
    let value = match literal {
        Literal::Number(value) => *value as f64,
        Literal::Negative(value) => *value as f64,
        Literal::Float(value) => *value,
        _ => return None,
    };
    let code = |value: f64| i128::from(value.to_u64());
    // Zero has two codes beside each other.
    if value == 0.0 {
        Some((code(-0.0), code(0.0)))
    } else {
        Some((code(value), code(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_against_every_operator() {
        let of = |operator, literal| ranges(&Decode::Number, operator, &literal).unwrap().0;
        assert_eq!(of(Operator::Less, Literal::Number(0)), vec![]);
        assert_eq!(of(Operator::GreaterOrEqual, Literal::Negative(-5)), vec![(0, u64::MAX)]);
        assert_eq!(of(Operator::NotEqual, Literal::Number(0)), vec![(1, u64::MAX)]);
        assert_eq!(of(Operator::Less, Literal::Float(1.5)), vec![(0, 1)]);
        assert_eq!(of(Operator::Equal, Literal::Float(1.5)), vec![]);
        assert_eq!(of(Operator::Greater, Literal::Float(1e300)), vec![]);
        assert_eq!(of(Operator::Equal, Literal::Text("1".to_owned())), vec![]);
    }

    #[test]
    fn zero_is_zero_whatever_its_sign() {
        let equal = ranges(&Decode::Float, Operator::Equal, &Literal::Float(0.0)).unwrap();
        assert!(equal.contains((-0.0f64).to_u64()) && equal.contains(0.0f64.to_u64()));
        let less = ranges(&Decode::Float, Operator::Less, &Literal::Float(0.0)).unwrap();
        assert!(less.contains((-1.0f64).to_u64()) && !less.contains((-0.0f64).to_u64()));
        assert!(!less.contains((-f64::NAN).to_u64()));
    }

    #[test]
    fn sets_join_their_ranges() {
        let literals = [3, 1, 2, 9].map(Literal::Number);
        assert_eq!(set_ranges(&Decode::Number, &literals).unwrap().0, vec![(1, 3), (9, 9)]);
    }
}
