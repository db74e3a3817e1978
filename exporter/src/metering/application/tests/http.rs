//! HTTP/1 beside what its fixtures show.

use super::conversation::Flow;

fn values_of(flow: &mut Flow) -> std::collections::BTreeMap<String, String> {
    flow.known().unwrap().1
}

/// RFC 9112 section 3.2: the forms of a request target; CONNECT has the authority form.
#[test]
fn request_targets_have_four_forms() {
    for (line, method, target) in [
        ("GET /where?q=now HTTP/1.1", "GET", "/where?q=now"),
        (
            "GET http://www.example.org/pub/ HTTP/1.1",
            "GET",
            "http://www.example.org/pub/",
        ),
        ("CONNECT www.example.com:80 HTTP/1.1", "CONNECT", "www.example.com:80"),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*"),
        ("GET /with blanks in it HTTP/1.0", "GET", "/with blanks in it"),
        ("GET /old", "GET", "/old"),
    ] {
        let mut flow = Flow::tcp(80);
        flow.say(0, 0, format!("{line}\r\n\r\n").as_bytes());
        let values = values_of(&mut flow);
        assert_eq!(
            (&values["httpRequestMethod"][..], &values["httpRequestTarget"][..]),
            (method, target)
        );
        assert!(!values.contains_key("httpStatusCode"), "absent numbers are left out");
    }
}

/// RTSP (RFC 2326) and SIP (RFC 3261) look alike.
#[test]
fn what_only_looks_like_it_is_left_alone() {
    for line in [
        "OPTIONS rtsp://example.com/a.mov RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n\r\n",
        "GETTING / HTTP/1.1\r\n\r\n",
        "GET\r\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
    ] {
        let mut flow = Flow::tcp(80);
        flow.say(0, 0, line.as_bytes());
        assert_eq!(flow.known(), None, "{line}");
    }
}

#[test]
fn a_connection_met_in_its_middle_tells_of_its_next_exchange() {
    let mut flow = Flow::tcp(80);
    flow.syn_seen = false;
    flow.say(1, 9000, b"...the end of some body");
    flow.say(0, 500, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    flow.say(1, 9023, b"<html> more of it");
    flow.say(1, 9040, b"HTTP/1.1 304 Not Modified\r\n\r\n");
    let values = values_of(&mut flow);
    assert_eq!(
        (&values["httpRequestTarget"][..], &values["httpStatusCode"][..]),
        ("/next", "304")
    );
    assert_eq!(flow.end().faults_total(), 0);
}

#[test]
fn a_response_alone_tells_its_own() {
    let mut flow = Flow::tcp(80);
    flow.say(1, 0, b"HTTP/1.1 503\r\nContent-type:a/b\r\n\r\n");
    let values = values_of(&mut flow);
    assert_eq!(
        (&values["httpStatusCode"][..], &values["httpReasonPhrase"][..]),
        ("503", "")
    );
    assert_eq!(
        (&values["httpContentType"][..], &values["httpRequestHost"][..]),
        ("a/b", "")
    );
}

/// RFC 9110 section 15.2.2: no other response follows 101.
#[test]
fn switching_protocols_is_final() {
    let mut flow = Flow::tcp(80);
    flow.say(
        1,
        0,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    );
    assert_eq!(values_of(&mut flow)["httpStatusCode"], "101");
    assert!(!flow.place.wants(1));
}

/// The bound of methods is that of the longest: one octet more is none.
#[test]
fn a_method_is_recognised_as_soon_as_its_target_begins() {
    for method in ["GET", "UNSUBSCRIBE", "M-SEARCH"] {
        let mut flow = Flow::tcp(80);
        for (at, octet) in format!("{method} ").bytes().enumerate() {
            flow.say(0, at, &[octet]);
            assert_eq!(flow.known(), None);
        }
        flow.say(0, method.len() + 1, b"/");
        assert_eq!(flow.known().unwrap().0, "http", "{method}");
    }
    let mut flow = Flow::tcp(80);
    flow.say(0, 0, b"UNSUBSCRIBER");
    assert_eq!((flow.known(), flow.applications.counters().reading_now), (None, 0));
}

#[test]
fn of_a_first_line_captured_in_part_whole_words_are_told() {
    for (line, method, target, status) in [
        ("GET /a/b HTTP/1", "GET", "/a/b", None),
        ("GET /a/b", "", "", None),
        ("HTTP/1.1 404 Not F", "", "", Some("404")),
        ("HTTP/1.1 40", "", "", None),
    ] {
        let mut flow = Flow::tcp(80);
        flow.packet(0, 0, line.as_bytes(), 500);
        let values = values_of(&mut flow);
        assert_eq!(
            (&values["httpRequestMethod"][..], &values["httpRequestTarget"][..]),
            (method, target)
        );
        assert_eq!(values.get("httpStatusCode").map(String::as_str), status, "{line}");
    }
}
