//! What could come next in a filter that is being written: columns, operators, words, codes, and values seen.

use crate::store::Snapshot;

/// One thing that could come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionItem {
    /// What to put in place of the text from `from` to `to`.
    pub text: String,
    /// `column`, `operator`, `value` or `keyword`.
    pub kind: &'static str,
    /// One line about it.
    pub help: String,
}

/// Everything that could come next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the text to replace starts, octets.
    pub from: usize,
    /// Where it ends, octets.
    pub to: usize,
    /// The items, the likeliest first.
    pub items: Vec<CompletionItem>,
}

/// Completes `text` at octet `at`.
pub fn complete(_snapshot: &Snapshot, _text: &str, _at: usize) -> Completion {
    Completion::default()
}
