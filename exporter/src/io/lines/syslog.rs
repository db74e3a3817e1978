//! Syslog messages (RFC 5424) with a JSON object as their text: over TCP with octet counting (RFC 6587 section 3.4.1), or
//! one in each UDP datagram (RFC 5426).

use std::ffi::CStr;
use std::io::Write as _;

use super::stream::Framing;
use super::{Line, Lines};
use crate::io::json::write_time;

/// APP-NAME of every message.
const APP_NAME: &str = "flowgauge-exporter";
/// Longest HOSTNAME (RFC 5424 section 6).
const MAX_HOST_OCTETS: usize = 255;

/// What is the same in all messages of this process.
#[derive(Clone, Debug)]
pub(in crate::io) struct Syslog {
    /// `<PRI>VERSION SP`
    front: Vec<u8>,
    /// `SP HOSTNAME SP APP-NAME SP PROCID SP`
    middle: Vec<u8>,
}

impl Syslog {
    pub fn new(priority: u8) -> Self {
        Self::of(priority, &host_name(), std::process::id())
    }

    fn of(priority: u8, host: &str, process: u32) -> Self {
        Self {
            front: format!("<{priority}>1 ").into_bytes(),
            middle: format!(" {} {APP_NAME} {process} ", printable(host)).into_bytes(),
        }
    }

    /// Appends a message. Its time is the end of what it is about, so that it lines up with the traffic; it has no
    /// structured data. Its text is without byte order mark (MSG-ANY), which no receiver wants before JSON.
    pub fn write(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.front);
        write_time(out, line.end_ns, b'T', 6);
        out.push(b'Z');
        out.extend_from_slice(&self.middle);
        out.extend_from_slice(line.kind.as_str().as_bytes());
        out.extend_from_slice(b" - ");
        out.extend_from_slice(line.text);
    }
}

impl Framing for Syslog {
    fn frame(&self, lines: &Lines, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
        let mut message = Vec::new();
        for line in lines.iter() {
            message.clear();
            self.write(&line, &mut message);
            // Writing to memory does not fail.
            let _ = write!(out, "{} ", message.len());
            out.extend_from_slice(&message);
            ends.push(out.len());
        }
    }
}

/// PRINTUSASCII, and the NILVALUE where there is none.
fn printable(host: &str) -> String {
    let kept: String = host
        .chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_HOST_OCTETS)
        .collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: writes at most as many octets as it is told there are, all of them ours.
    let status = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let text = CStr::from_bytes_until_nul(&name).ok().filter(|_| status == 0);
    text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::lines::Kind;

    #[test]
    fn messages_have_the_form_of_the_rfc() {
        let syslog = Syslog::of(165, "host.example", 8710);
        let mut lines = Lines::default();
        lines.push(Kind::Flow, 1_767_225_622_230_380_000, |out| {
            out.extend_from_slice(b"{}")
        });
        lines.push(Kind::Dns, 0, |out| out.extend_from_slice(b"{\"a\":1}"));
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        syslog.frame(&lines, &mut out, &mut ends);
        let flow = "<165>1 2026-01-01T00:00:22.230380Z host.example flowgauge-exporter 8710 flow - {}";
        let dns = "<165>1 1970-01-01T00:00:00.000000Z host.example flowgauge-exporter 8710 dns - {\"a\":1}";
        let expected = format!("{} {flow}{} {dns}", flow.len(), dns.len());
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(ends, [3 + flow.len(), expected.len()]);
    }

    #[test]
    fn a_host_without_a_usable_name_is_the_nil_value() {
        assert_eq!(printable(""), "-");
        assert_eq!(printable("a b\u{e9}\n"), "ab");
        assert_eq!(printable(&"x".repeat(300)).len(), 255);
    }
}
