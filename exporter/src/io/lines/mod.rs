//! Where lines go: each line is an object of JSON ([`super::json`]), each kind of place is one [`LineSink`] in a file of
//! its own.

mod datagrams;
mod files;
mod http;
#[cfg(test)]
mod stories;
mod stream;
mod syslog;

use std::path::Path;
use std::sync::Arc;

use super::destination::{Context, Failure, Transport};
use super::json::JsonLines;
use super::queue::BatchQueue;
use super::series::is_special;
use crate::config::pattern::Pattern;
use crate::config::{Destination, FilesConfig};
use crate::exporting::DestinationAccounts;
use datagrams::SyslogDatagrams;
use files::{LineFiles, Output};
use http::HttpPush;
use stream::{LineStream, Newlines};
use syslog::Syslog;

/// What carries records away as lines; none for destinations that take no lines.
///
/// # Errors
/// One line for people.
pub(super) fn transport(
    destination: &Destination,
    context: &Context,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
) -> Result<Box<dyn Transport + Send>, String> {
    fn boxed(sink: impl LineSink + Send + 'static, context: &Context) -> Box<dyn Transport + Send> {
        Box::new(JsonLines::new(sink, context))
    }
    Ok(match destination {
        Destination::Json(None) => boxed(Output::standard(accounts), context),
        Destination::Json(Some(path)) if is_series(path, &context.config.files) => {
            boxed(LineFiles::create(path, context, accounts)?, context)
        }
        Destination::Json(Some(path)) => boxed(Output::file(path, accounts)?, context),
        Destination::JsonTcp(endpoint) => boxed(LineStream::new(endpoint, Newlines, context, accounts, queue), context),
        Destination::JsonHttp(url) => boxed(HttpPush::new(url, context, accounts, queue)?, context),
        Destination::Syslog(endpoint) => boxed(SyslogDatagrams::new(endpoint, context, accounts), context),
        Destination::SyslogTcp(endpoint) => {
            let syslog = Syslog::new(context.config.lines.syslog_priority);
            boxed(LineStream::new(endpoint, syslog, context, accounts, queue), context)
        }
        other => return Err(format!("{other}: takes no lines")),
    })
}

/// Whether lines go to files that follow each other.
fn is_series(path: &Path, config: &FilesConfig) -> bool {
    let has_time = Pattern::parse(&path.to_string_lossy()).is_ok_and(|pattern| pattern.has_time());
    has_time || ((config.rotate.is_some() || config.rotate_octets.is_some()) && !is_special(path))
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flow,
    Dns,
    Summary,
}

impl Kind {
    /// The word for it, as MSGID of a syslog message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Summary => "summary",
        }
    }
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'l> {
    pub kind: Kind,
    /// When it ended what the line is about, nanoseconds since 1970 UTC.
    pub end_ns: i64,
    /// Without the end of the line.
    pub text: &'l [u8],
}

/// Lines on their way, one behind the other in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    /// Where each ends, its newline included.
    ends: Vec<(usize, Kind, i64)>,
}

impl Lines {
    /// Appends a line that `write` writes without its newline.
    pub fn push(&mut self, kind: Kind, end_ns: i64, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.text.push(b'\n');
        self.ends.push((self.text.len(), kind, end_ns));
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Octets of all lines with their ends.
    pub fn octets(&self) -> usize {
        self.text.len()
    }

    /// All lines with their ends.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Some of the lines with their ends.
    pub fn text_of(&self, lines: std::ops::Range<usize>) -> &[u8] {
        let begin = |line: usize| match line {
            0 => 0,
            _ => self.ends.get(line - 1).map_or(self.text.len(), |(end, ..)| *end),
        };
        self.text.get(begin(lines.start)..begin(lines.end)).unwrap_or_default()
    }

    /// Where each line ends.
    pub fn ends(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().map(|(end, ..)| *end)
    }

    /// Each line.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        self.ends.iter().enumerate().map(|(at, (_, kind, end_ns))| Line {
            kind: *kind,
            end_ns: *end_ns,
            text: self.text_of(at..at + 1).strip_suffix(b"\n").unwrap_or_default(),
        })
    }
}

/// Where lines go. Each line is one record.
pub(super) trait LineSink {
    /// Hands lines over, counting into the accounts what left and what was lost on the way.
    ///
    /// # Errors
    /// When nothing more can be sent; how many of the lines are not accounted for yet.
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)>;

    /// Looks after timers and connections while there is nothing to send.
    ///
    /// # Errors
    /// When nothing more can be sent.
    fn handle_timeout(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Ends in good order, after the last line.
    ///
    /// # Errors
    /// When what was sent may not be complete.
    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again_by_their_number() {
        let mut lines = Lines::default();
        for (at, text) in ["a", "bc", ""].into_iter().enumerate() {
            lines.push(Kind::Flow, at as i64, |out| out.extend_from_slice(text.as_bytes()));
        }
        assert_eq!((lines.len(), lines.octets(), lines.text()), (3, 6, &b"a\nbc\n\n"[..]));
        assert_eq!(lines.text_of(1..3), b"bc\n\n");
        assert_eq!(lines.text_of(0..1), b"a\n");
        assert_eq!(lines.text_of(3..9), b"");
        let texts: Vec<_> = lines.iter().map(|line| (line.end_ns, line.text)).collect();
        assert_eq!(texts, [(0, &b"a"[..]), (1, b"bc"), (2, b"")]);
        lines.clear();
        assert!(lines.is_empty());
    }
}
