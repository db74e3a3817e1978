//! What a row shows: a metric, one metric for each of another (`octets/packets`), or its part of all (`share(octets)`).

use super::super::QueryError;
use super::metric::{Metric, MetricKind, wrong};
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::{Cell, cut};

/// How a value comes from what was gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// The metric at this place.
    Metric(usize),
    /// The first divided by the second.
    Ratio(usize, usize),
    /// The part of what all groups together have of it, in the same bucket of a series.
    Share(usize),
}

/// A value of every row.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// As it was asked for.
    pub name: String,
    /// How it is made.
    pub formula: Formula,
    /// How it is shown.
    pub kind: ColumnKind,
    /// Its unit.
    pub unit: &'static str,
}

impl Output {
    /// Understands what a row is to show, and adds what must be gathered for it to `gathered`.
    ///
    /// # Errors
    /// When there is no such metric, or it cannot be used so.
    pub fn parse(text: &str, gathered: &mut Vec<Metric>) -> Result<Output, QueryError> {
        let text = text.trim();
        let output = |formula, kind, unit| Output {
            name: text.to_owned(),
            formula,
            kind,
            unit,
        };
        if let Some((above, below)) = divided(text) {
            let [above, below] = [number(above, text)?, number(below, text)?];
            let formula = Formula::Ratio(place(gathered, above), place(gathered, below));
            return Ok(output(formula, ColumnKind::Float, ""));
        }
        if let Some(inner) = share_of(text) {
            let metric = Metric::parse(inner)?;
            if !metric.kind.adds_up() {
                let detail = format!(
                    "'{}': only counts, sums and rates have shares; values of groups do not add up to that of all",
                    cut(text, 48)
                );
                return Err(wrong(detail, None));
            }
            return Ok(output(Formula::Share(place(gathered, metric)), ColumnKind::Float, ""));
        }
        let metric = Metric::parse(text)?;
        let (kind, unit) = metric.shown();
        Ok(output(Formula::Metric(place(gathered, metric)), kind, unit))
    }
}

/// The parts before and behind a `/` outside of parentheses.
fn divided(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn share_of(text: &str) -> Option<&str> {
    text.strip_prefix("share")?
        .trim_start()
        .strip_prefix('(')?
        .strip_suffix(')')
}

/// A side of a ratio.
fn number(text: &str, whole: &str) -> Result<Metric, QueryError> {
    let refuse = |why: &str| Err(wrong(format!("'{}': {why}", cut(whole, 48)), None));
    if text.trim().is_empty() || divided(text).is_some() || share_of(text.trim()).is_some() {
        return refuse("a ratio is of two metrics, like octets/packets");
    }
    let metric = Metric::parse(text)?;
    match metric.shown().0 {
        ColumnKind::Number | ColumnKind::Float | ColumnKind::Duration => Ok(metric),
        _ => refuse("a ratio is of numbers"),
    }
}

/// Where a metric is gathered, once for all that need it.
fn place(gathered: &mut Vec<Metric>, metric: Metric) -> usize {
    match gathered.iter().position(|held| held.is_like(&metric)) {
        Some(at) => at,
        None => {
            gathered.push(metric);
            gathered.len() - 1
        }
    }
}

impl MetricKind {
    /// Values of groups add up to the value of all.
    fn adds_up(&self) -> bool {
        matches!(
            self,
            MetricKind::Count(_) | MetricKind::Sum(_) | MetricKind::Rate(..) | MetricKind::FlowRate
        )
    }
}

/// A number that can be divided.
pub fn as_float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) => Some(*value as f64),
        Cell::Signed(value) => Some(*value as f64),
        Cell::Float(value) => Some(*value),
        _ => None,
    }
}

/// One number divided by another; nothing where that is none.
pub fn quotient(above: f64, below: f64) -> Option<f64> {
    Some(above / below).filter(|value| below != 0.0 && value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_share_what_they_gather() {
        let mut gathered = Vec::new();
        let mut parse = |text: &str| Output::parse(text, &mut gathered).unwrap();
        assert_eq!(parse("octets").formula, Formula::Metric(0));
        assert_eq!(parse(" octets / packets ").formula, Formula::Ratio(0, 1));
        assert_eq!(parse("share( octets )").formula, Formula::Share(0));
        assert_eq!(parse("sum(tcp.retransmits)/packets").formula, Formula::Ratio(2, 1));
        assert_eq!(gathered.len(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            "octets/",
            "/packets",
            "/",
            "octets/packets/flows",
            "share(octets)/flows",
            "flows/share(octets)",
            "share(unique(src.ip))",
            "share(avg(octets))",
            "share(octets",
            "share()",
            "max(start)/flows",
            "octets/packet",
        ] {
            let refused = Output::parse(wrong, &mut Vec::new());
            assert!(
                matches!(
                    refused,
                    Err(QueryError::Request {
                        parameter: "metrics",
                        ..
                    })
                ),
                "{wrong}: {refused:?}"
            );
        }
    }
}
