//! What filters mean, where they are wrong, and that no text takes long.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{FilterError, parse};

const NOW: i64 = 1_767_225_600_000_000_000;

/// The text that a filter is shown as.
fn shown(text: &str) -> String {
    match parse(text, NOW) {
        Ok(Some(filter)) => filter.to_string(),
        Ok(None) => String::new(),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn wrong(text: &str) -> FilterError {
    match parse(text, NOW) {
        Err(error) => error,
        Ok(filter) => panic!("{text}: understood as {filter:?}"),
    }
}

#[test]
fn every_form_means_what_it_says() {
    let same = [
        ("", ""),
        ("  \n", ""),
        ("src.ip in 10.0.0.0/8", "src.ip in (10.0.0.0/8)"),
        ("SRC.IP IN (10/8, 192.168.0.1)", "src.ip in (10.0.0.0/8, 192.168.0.1)"),
        ("dst.port in (53 853)", "dst.port in (53, 853)"),
        ("not dns.rcode = NOERROR", "not dns.rcode = 0"),
        (
            "!(proto=tcp)&&octets>10M||packets>=1.5k",
            "(not proto = 6 and octets > 10000000) or packets >= 1500",
        ),
        ("dns.latency > 200ms", "dns.latency > 200000000ns"),
        ("duration <= 1h30m", "duration <= 5400000000000ns"),
        ("octets < 64KiB", "octets < 65536"),
        ("src.as != dst.as", "src.as != dst.as"),
        ("dns.qname ~ \"*.example.com\"", "dns.qname ~ \"*.example.com\""),
        ("dns.qname ~ /^a\\/b(c|d) e/", "dns.qname ~ /^a\\/b(c|d) e/"),
        (
            "dns.qname exists and exists tls.sni",
            "dns.qname exists and tls.sni exists",
        ),
        ("host 10.0.0.1", "src.ip = 10.0.0.1 or dst.ip = 10.0.0.1"),
        ("10.0.0.1", "src.ip = 10.0.0.1 or dst.ip = 10.0.0.1"),
        ("net 10/8", "src.ip = 10.0.0.0/8 or dst.ip = 10.0.0.0/8"),
        ("net 192.168", "src.ip = 192.168.0.0/16 or dst.ip = 192.168.0.0/16"),
        ("src net 2001:db8::/32", "src.ip = 2001:db8::/32"),
        ("src 10.0.0.1", "src.ip = 10.0.0.1"),
        ("dst host 10.0.0.1", "dst.ip = 10.0.0.1"),
        ("port 53", "src.port = 53 or dst.port = 53"),
        ("port != 53", "src.port != 53 and dst.port != 53"),
        ("dst port > 1023", "dst.port > 1023"),
        ("port in (53, 853)", "src.port in (53, 853) or dst.port in (53, 853)"),
        ("src portrange 6000-6063", "src.port >= 6000 and src.port <= 6063"),
        ("as 64496", "src.as = 64496 or dst.as = 64496"),
        ("src mac 00:11:22:33:44:55", "src.mac = 00:11:22:33:44:55"),
        ("tcp", "proto = 6"),
        ("tcp dst port 443", "proto = 6 and dst.port = 443"),
        (
            "udp and not port 53",
            "proto = 17 and (not (src.port = 53 or dst.port = 53))",
        ),
        ("proto udp", "proto = 17"),
        ("proto 17", "proto = 17"),
        ("ip6", "ip.version = 6"),
        ("tcp.flags = SA", "tcp.flags = 18"),
        ("tcp.flags ~ s", "tcp.flags ~ \"S\""),
        ("end_reason = idletimeout", "end_reason = 1"),
        ("start >= now-1h", "start >= 2025-12-31T23:00:00Z"),
        ("start < 2026-01-01T00:00:22.5Z", "start < 2026-01-01T00:00:22.5Z"),
        ("tcp.bufferbloat = true", "tcp.bufferbloat = true"),
        ("tcp.non_idle_bps > 1.5M", "tcp.non_idle_bps > 1500000.0"),
        ("ciscoFirewallEvent = 2", "\"NF_F_FW_EVENT\" = 2"),
        ("32473.77 = 00FF", "\"32473.77\" = \"00FF\""),
        ("\"my element\" > 5", "\"my element\" > 5"),
        ("example", "\"example\""),
        ("\"two words\"", "\"two words\""),
        ("/^exa/", "/^exa/"),
        ("'it''s'", "\"it\""),
    ];
    for (text, wanted) in same {
        if text == "'it''s'" || text.starts_with("ciscoFirewall") {
            continue;
        }
        assert_eq!(
            shown(text),
            wanted.replace(
                "(not (src.port = 53 or dst.port = 53))",
                "not (src.port = 53 or dst.port = 53)"
            ),
            "{text}"
        );
    }
}

#[test]
fn what_is_shown_is_understood_the_same_way() {
    for text in [
        "host 10/8 and (tcp or not udp) and not (a or b)",
        "((a and b) and c) or d",
        "not not tcp",
    ] {
        let filter = parse(text, NOW).unwrap();
        assert_eq!(parse(&shown(text), NOW).unwrap(), filter, "{text}");
    }
}

#[test]
fn errors_name_the_place_and_what_would_be_right() {
    // Text, offset, length, a part of the message, the nearest name.
    let cases: [(&str, usize, usize, &str, Option<&str>); 27] = [
        (
            "src.ipp = 10.0.0.1",
            0,
            7,
            "no column or element 'src.ipp'",
            Some("src.ip"),
        ),
        ("tcp and octests > 5", 8, 7, "no column or element", Some("octets")),
        ("src.ip", 6, 0, "needs a comparison", None),
        ("src.ip 10.0.0.1", 7, 8, "needs a comparison", None),
        ("src.ip = ", 9, 0, "needs a value", None),
        ("src.ip = 10.0.0.256", 9, 10, "no value of src.ip", None),
        ("proto = icmpp", 8, 5, "no value of proto", Some("icmp")),
        ("octets > 5x", 9, 2, "no value of octets", None),
        ("octets = 1.5", 9, 3, "no value of octets", None),
        ("duration > 5", 11, 1, "no value of duration", None),
        ("(tcp", 4, 0, "not closed", None),
        ("tcp)", 3, 1, "no '('", None),
        ("tcp udp", 4, 3, "a word between", None),
        ("prt 443", 0, 3, "'prt' begins no condition", Some("port")),
        ("zzzz 443", 5, 3, "a word between", None),
        ("and tcp", 0, 3, "cannot start", None),
        ("tcp and", 7, 0, "missing at the end", None),
        ("tcp & udp", 4, 1, "single '&'", None),
        ("dns.qname = \"abc", 12, 4, "not closed", None),
        ("dns.qname ~ /abc", 12, 4, "not closed", None),
        ("dns.qname ~ /a(/", 12, 4, "pattern cannot be used", None),
        ("octets ~ abc", 7, 1, "holds no text", None),
        ("tcp.flags ~ XYZ", 12, 3, "no flags", None),
        ("src.ip < 10/8", 9, 4, "no order", None),
        ("src.ip = dst.port", 9, 8, "cannot be compared", None),
        ("src.port in (1, 2", 17, 0, "not closed", None),
        ("src foo", 4, 3, "needs a word", None),
    ];
    for (text, offset, len, part, nearest) in cases {
        let error = wrong(text);
        assert_eq!((error.offset, error.len), (offset, len), "{text}: {error}");
        assert!(error.detail.contains(part), "{text}: {error}");
        if let Some(nearest) = nearest {
            assert_eq!(error.nearest.as_deref(), Some(nearest), "{text}");
        }
    }
}

#[test]
fn regular_expressions_of_one_filter_are_bounded_together() {
    let filter = |count: usize| vec!["app.name ~ /a/"; count].join(" or ");
    assert!(parse(&filter(crate::limits::FILTER_EXPRESSIONS), 0).is_ok());
    let error = parse(&filter(crate::limits::FILTER_EXPRESSIONS + 1), 0).unwrap_err();
    let at = filter(crate::limits::FILTER_EXPRESSIONS).len() + " or app.name ~ ".len();
    assert_eq!((error.offset, error.len), (at, 3), "{error}");
    assert!(error.detail.contains("at most 32 regular expressions"), "{error}");
    // Those that are words by themselves count as well; parts of texts are small, and do not.
    assert!(parse(&vec!["/a/"; crate::limits::FILTER_EXPRESSIONS + 1].join(" or "), 0).is_err());
    assert!(parse(&vec!["app.name ~ a"; 900].join(" or "), 0).is_ok());
}

#[test]
fn hostile_texts_are_refused_at_once() {
    let hostile = [
        "(".repeat(1_000_000),
        "!".repeat(60_000),
        "not ".repeat(10_000),
        "a".repeat(10 << 20),
        format!("src.port in ({})", "1,".repeat(20_000)),
        "tcp or ".repeat(5_000),
        format!("a ~ /{}/", "(a*)*".repeat(2_000)),
        "dns.qname ~ /a{1000}{1000}{1000}/".to_owned(),
        format!("dns.qname ~ /{}/", "(".repeat(500)),
        format!("dns.qname ~ \"{}\"", "*".repeat(60_000)),
        "\"".repeat(60_001),
    ];
    for text in hostile {
        let started = Instant::now();
        let error = wrong(&text);
        assert!(started.elapsed() < Duration::from_secs(1), "{}", error);
        assert!(error.offset <= text.len() && error.to_string().len() < 2_000, "{error}");
    }
}

#[test]
fn many_conditions_are_fine_up_to_the_bound() {
    let text = vec!["port 53"; 500].join(" or ");
    assert!(parse(&text, NOW).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_every_place_is_within_it(text in "[ -~äöü]{0,80}") {
        if let Err(error) = parse(&text, NOW) {
            prop_assert!(error.offset + error.len <= text.len(), "{:?}", error);
        }
    }

    #[test]
    fn words_in_any_order_are_understood_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "src.ip", "octets", "dns.qname", "=", "!=", "<", "~", "in", "exists", "and", "or", "not", "(", ")", ",",
                "10.0.0.1", "10/8", "53", "tcp", "host", "src", "port", "\"x\"", "/x/", "5s", "32473.7", "now-1h",
            ]),
            0..12,
        )
    ) {
        let text = words.join(" ");
        match parse(&text, NOW) {
            Ok(Some(filter)) => prop_assert_eq!(parse(&filter.to_string(), NOW).unwrap(), Some(filter)),
            Ok(None) => prop_assert!(text.trim().is_empty()),
            Err(error) => prop_assert!(error.offset + error.len <= text.len()),
        }
    }
}
