//! The filter language: one grammar for the API, the command line and the page.
//!
//! Words are taken whatever their case. A row that lacks a value answers no to every comparison with it, also to
//! `!=`; `not` turns an answer around. Text compares exactly with `=`; `~` takes a part of the text, a glob with `*`
//! and `?` over all of it, or a `/regular expression/`. `tcp.flags = SA` is exactly these flags, `tcp.flags ~ SA` at
//! least these.

pub mod ast;
mod flags;
mod lexer;
mod parser;
pub mod pattern;
pub mod pieces;
mod plain;
pub mod short;
mod value;

#[cfg(test)]
mod tests;

pub use ast::Filter;
pub use parser::Context;
use parser::Parser;

use crate::limits;
use crate::store::Snapshot;

/// Why a text is no filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, at octet {}: {detail}{}", offset + 1, hint(expected, nearest))]
pub struct FilterError {
    /// Octets before the place.
    pub offset: usize,
    /// Octets of the place, 0 at the end of the text.
    pub len: usize,
    /// What is wrong.
    pub detail: String,
    /// What would be right there.
    pub expected: Vec<String>,
    /// The nearest name, when an unknown one was given.
    pub nearest: Option<String>,
}

impl FilterError {
    fn new(offset: usize, len: usize, detail: String, expected: Vec<String>) -> Self {
        Self {
            offset,
            len,
            detail,
            expected,
            nearest: None,
        }
    }
}

fn hint(expected: &[String], nearest: &Option<String>) -> String {
    if let Some(nearest) = nearest {
        return format!("; did you mean {nearest}?");
    }
    if expected.is_empty() {
        return String::new();
    }
    format!("; expected {}", expected.join(", "))
}

/// Understands a filter; blank text is every flow (`None`). `now_ns` is what `now` means.
///
/// # Errors
/// The first place that is wrong.
pub fn parse(text: &str, now_ns: i64) -> Result<Option<Filter>, FilterError> {
    parse_with(text, Context { now_ns, seen: None })
}

/// Understands a filter on `snapshot`: elements that no registry has but that its rows hold may be named in it.
///
/// # Errors
/// The first place that is wrong.
pub fn parse_over(text: &str, now_ns: i64, snapshot: &Snapshot) -> Result<Option<Filter>, FilterError> {
    let seen = |name: &str| snapshot.has_other(name);
    parse_with(
        text,
        Context {
            now_ns,
            seen: Some(&seen),
        },
    )
}

/// Understands a filter with what the caller knows about names.
///
/// # Errors
/// The first place that is wrong.
pub fn parse_with(text: &str, context: Context<'_>) -> Result<Option<Filter>, FilterError> {
    if text.len() > limits::FILTER_OCTETS {
        let detail = format!("a filter has at most {} octets", limits::FILTER_OCTETS);
        return Err(FilterError::new(
            limits::FILTER_OCTETS,
            text.len() - limits::FILTER_OCTETS,
            detail,
            Vec::new(),
        ));
    }
    let parser = Parser::new(text, context)?;
    if parser.is_at_end() {
        return Ok(None);
    }
    parser.filter().map(Some)
}

/// The nearest of some names, if one is near enough to be meant.
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let word = crate::normalize::row::cut(word, 64).to_ascii_lowercase();
    let likeness = |name: &str| {
        let name = name.to_ascii_lowercase();
        // Two letters exchanged in a short word are a long way for the other measure.
        let is_slip = word.len() > 2 && strsim::damerau_levenshtein(&word, &name) == 1;
        let likeness = strsim::jaro_winkler(&word, &name);
        if is_slip { 1.0 + likeness } else { likeness }
    };
    names
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name.to_owned())
}

/// A word as errors show it.
fn shown(word: &str) -> String {
    let shown = crate::normalize::row::cut(word, 48);
    if shown.len() == word.len() {
        word.to_owned()
    } else {
        format!("{shown}..")
    }
}
