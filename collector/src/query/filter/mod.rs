//! The filter language: one grammar for the API, the command line and the page.

/// A filter that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {}

/// Why a text is no filter, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter, character {}: {detail}", offset + 1)]
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

/// Understands a filter; blank text is every flow (`None`). `now_ns` is what `now` means.
///
/// # Errors
/// The first place that is wrong.
pub fn parse(_text: &str, _now_ns: i64) -> Result<Option<Filter>, FilterError> {
    Ok(None)
}
