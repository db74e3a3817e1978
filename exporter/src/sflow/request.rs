//! The request line and the Host of an HTTP request that begins with a sampled packet.

use super::limits::{HOST_OCTETS, URL_OCTETS};

const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
];

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'p> {
    /// Its first line, possibly cut.
    pub line: &'p [u8],
    /// The value of Host; empty when it was not found.
    pub host: &'p [u8],
}

impl<'p> Request<'p> {
    /// The request that the payload begins with.
    pub fn read(payload: &'p [u8]) -> Option<Request<'p>> {
        let is_request = METHODS.iter().any(|method| payload.starts_with(method));
        if !is_request {
            return None;
        }
        let mut lines = payload.split(|octet| *octet == b'\n');
        let line = lines.next()?.trim_ascii_end();
        // Whatever else begins with such a word says no version, or is no text.
        let is_whole = payload.len() > line.len();
        let has_version = line.windows(6).any(|window| window == b" HTTP/");
        let is_text = line.iter().all(|octet| (b' '..=b'~').contains(octet));
        if !is_text || (is_whole && !has_version) {
            return None;
        }
        let host = lines
            .take_while(|line| !line.trim_ascii().is_empty())
            .find_map(|line| {
                let (name, value) = line.split_at_checked(5)?;
                name.eq_ignore_ascii_case(b"host:").then(|| value.trim_ascii())
            })
            .filter(|host| host.iter().all(|octet| (b'!'..=b'~').contains(octet)))
            .unwrap_or_default();
        Some(Request {
            line: cut(line, URL_OCTETS),
            host: cut(host, HOST_OCTETS),
        })
    }
}

fn cut(octets: &[u8], most: usize) -> &[u8] {
    octets.get(..most).unwrap_or(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_line_and_perhaps_a_host() {
        let read = |text: &'static str| {
            Request::read(text.as_bytes()).map(|request| {
                let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
                (text(request.line), text(request.host))
            })
        };
        let pair = |line: &str, host: &str| Some((line.to_owned(), host.to_owned()));
        assert_eq!(
            read("GET /a?b HTTP/1.1\r\nUser-Agent: x\r\nhost:  example.com:8080\r\n\r\n"),
            pair("GET /a?b HTTP/1.1", "example.com:8080")
        );
        assert_eq!(read("POST / HTTP/1.0\n\nHost: body"), pair("POST / HTTP/1.0", ""));
        assert_eq!(read("GET /cut"), pair("GET /cut", ""));
        for none in [
            "HTTP/1.1 200 OK\r\n",
            "GET x\r\n",
            "GET \u{1}/ HTTP/1.1\r\n",
            "",
            "GETTING ",
        ] {
            assert_eq!(read(none), None, "{none:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n", "a".repeat(300), "h".repeat(90));
        let request = Request::read(long.as_bytes()).unwrap();
        assert_eq!((request.line.len(), request.host.len()), (255, 64));
    }
}
