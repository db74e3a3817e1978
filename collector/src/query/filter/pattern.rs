//! Patterns of texts: part of it, a glob over all of it, or a regular expression.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::ast::quoted;
use super::plain::Plain;
use crate::limits;

/// A pattern. Patterns are equal when they are written the same.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was written, without quotes or slashes.
    pub text: String,
    /// What it means.
    pub kind: PatternKind,
    regex: Regex,
    /// The same for most texts, and quicker.
    plain: Option<Plain>,
}

/// What a pattern means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// The text contains it, whatever its case.
    Part,
    /// `*` is any number of characters, `?` one; the whole text fits, whatever its case.
    Glob,
    /// A regular expression that fits anywhere, case as written.
    Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.kind == other.kind
    }
}

impl Pattern {
    /// A part of a text, or a glob when it has `*` or `?`.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn words(text: &str) -> Result<Self, String> {
        let is_glob = text.contains(['*', '?']);
        if !is_glob {
            return Self::build(text, PatternKind::Part, &regex::escape(text), true);
        }
        let mut glob = String::from("^");
        for c in text.chars() {
            match c {
                '*' => glob.push_str(".*"),
                '?' => glob.push('.'),
                other => glob.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        glob.push('$');
        Self::build(text, PatternKind::Glob, &glob, true)
    }

    /// A regular expression.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn regex(text: &str) -> Result<Self, String> {
        Self::build(text, PatternKind::Regex, text, false)
    }

    fn build(text: &str, kind: PatternKind, expression: &str, any_case: bool) -> Result<Self, String> {
        if text.len() > limits::PATTERN_OCTETS {
            return Err(format!("a pattern has at most {} octets", limits::PATTERN_OCTETS));
        }
        let regex = RegexBuilder::new(expression)
            .case_insensitive(any_case)
            .dot_matches_new_line(kind == PatternKind::Glob)
            .size_limit(limits::PATTERN_COMPILED_OCTETS)
            .dfa_size_limit(limits::PATTERN_COMPILED_OCTETS)
            .nest_limit(limits::FILTER_DEPTH as u32)
            .build()
            .map_err(|error| {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                format!(
                    "the pattern cannot be used: {}",
                    last.strip_prefix("error: ").unwrap_or(last)
                )
            })?;
        let plain = match kind {
            PatternKind::Part => Plain::part(text),
            PatternKind::Glob => Plain::glob(text),
            PatternKind::Regex => None,
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
            regex,
            plain,
        })
    }

    /// Whether a text fits.
    pub fn fits(&self, text: &str) -> bool {
        self.fits_octets(text.as_bytes())
    }

    /// The same of a text as it is stored; what is no text does not fit.
    pub fn fits_octets(&self, text: &[u8]) -> bool {
        let quickly = self.plain.as_ref().and_then(|plain| plain.fits(text));
        quickly.unwrap_or_else(|| std::str::from_utf8(text).is_ok_and(|text| self.regex.is_match(text)))
    }

    #[cfg(test)]
    pub(super) fn regex_fits(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            PatternKind::Part | PatternKind::Glob => f.write_str(&quoted(&self.text)),
            PatternKind::Regex => write!(f, "/{}/", self.text.replace('/', "\\/")),
        }
    }
}
