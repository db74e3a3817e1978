//! One kind of error for people: a single line (what, where, what to do) and the exit status that goes with it.

use std::fmt;

/// Exit status of a command that could not finish what it was doing.
pub const STATUS_FAILED: u8 = 1;
/// Exit status of a command that was asked for something it cannot understand.
pub const STATUS_USAGE: u8 = 2;

/// Why a command ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit status: 1 failed while running, 2 wrong arguments or configuration.
    pub status: u8,
    /// What, where, what to do.
    pub line: String,
}

impl Failure {
    /// Something went wrong while running (exit status 1).
    pub fn running(line: impl Into<String>) -> Failure {
        Failure {
            status: STATUS_FAILED,
            line: line.into(),
        }
    }

    /// The arguments or the configuration are wrong (exit status 2).
    pub fn usage(line: impl Into<String>) -> Failure {
        Failure {
            status: STATUS_USAGE,
            line: line.into(),
        }
    }

    /// A file or directory that could not be used: names it, says why, and what to do where that is known.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
        use std::io::ErrorKind;
        let advice = match error.kind() {
            ErrorKind::NotFound => ": there is no such file; check the path",
            ErrorKind::PermissionDenied => ": permission denied; run as a user who may, or choose another path",
            ErrorKind::StorageFull => ": the disk is full; free some space or choose another disk",
            ErrorKind::IsADirectory => ": it is a directory; name a file",
            _ => "",
        };
        if advice.is_empty() {
            Failure::running(format!("{what} {}: {error}", path.display()))
        } else {
            Failure::running(format!("{what} {}{advice}", path.display()))
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl std::error::Error for Failure {}

/// The candidate nearest to `word` by edit distance, if one is near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .min_by_key(|(distance, candidate)| (*distance, candidate.len()))
        .filter(|(distance, candidate)| *distance <= word.len().max(candidate.len()).div_ceil(2))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_slip_away() {
        assert_eq!(nearest("adress", ["address", "query_timeout"]), Some("address"));
        assert_eq!(nearest("zzzzzz", ["address", "query_timeout"]), None);
    }
}
