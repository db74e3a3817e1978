//! The page without a terminal: keys, order, filter, and what is drawn.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::figures::Reading;
use super::page::{Input, Order, Page};
use super::tables::{Rows, Tab};
use super::view;

fn rows(list: &[(&str, u64)]) -> serde_json::Value {
    let rows: Vec<_> = list
        .iter()
        .map(|(name, weight)| json!({ "item": name, "value": weight, "lower": weight, "upper": weight }))
        .collect();
    json!({ "kind": "frequent_items", "weight": list.iter().map(|(_, weight)| weight).sum::<u64>(), "rows": rows })
}

fn reading() -> Reading {
    Reading {
        window: json!({
            "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:01:00Z", "windows": 1,
            "metrics": {
                "packets": { "value": 1000 }, "packets.tcp": { "value": 600 }, "packets.udp": { "value": 400 },
                "packets.in": { "value": 700 }, "packets.out": { "value": 300 },
                "tcp.syn": { "value": 7 }, "tcp.rst": { "value": 9 },
                "packet.rate": { "p50": { "value": 20.0 }, "p90": { "value": 30.0 }, "p95": { "value": 31.0 },
                                 "p99": { "value": 32.0 } },
                "ip.src.packets": rows(&[("192.0.2.1", 700), ("198.51.100.9", 200), ("2001:db8::1", 100)]),
                "ip.dst.packets": rows(&[("192.0.2.1", 300), ("2001:db8::2", 50)]),
                "dns.qtype": rows(&[("28", 5), ("65280", 1)]),
                "dns.rcode": rows(&[("3", 4)]),
                "dns.slow.top": rows(&[("slow.example", 12_345)]),
                "dns.server.queries": rows(&[("198.51.100.53", 17)]),
                "dns.server.responses": rows(&[("198.51.100.53", 1)]),
            },
        }),
        rates: json!({ "rates": { "packets": 25.0 }, "account": { "dropped_by_kernel": 3 } }),
    }
}

fn page() -> Page {
    let mut page = Page::default();
    page.take(Ok(reading()));
    page
}

fn names(page: &Page, title: &str) -> Vec<(String, String)> {
    let table = page.tab.tables().iter().find(|table| table.title == title).unwrap();
    let (lines, _) = page.lines(table);
    lines.into_iter().map(|line| (line.name, line.number)).collect()
}

fn drawn(page: &Page, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, page, "eth0")).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width));
    lines
        .map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>() + "\n")
        .collect()
}

fn pair(name: &str, number: &str) -> (String, String) {
    (name.to_owned(), number.to_owned())
}

#[test]
fn tables_say_what_numbers_mean() {
    let page = page();
    assert_eq!(names(&page, "Query types"), [pair("AAAA", "5"), pair("TYPE65280", "1")]);
    assert_eq!(names(&page, "Response codes"), [pair("NXDOMAIN", "4")]);
    assert_eq!(names(&page, "Slowest names, ms in all"), [pair("slow.example", "12.3")]);
    assert_eq!(
        names(&page, "Servers, queries/responses"),
        [pair("198.51.100.53", "17/1")]
    );
    // Packets at either end.
    assert_eq!(
        names(&page, "IPv4, packets"),
        [pair("192.0.2.1", "1000"), pair("198.51.100.9", "200")]
    );
    assert_eq!(
        names(&page, "IPv6, packets"),
        [pair("2001:db8::1", "100"), pair("2001:db8::2", "50")]
    );
    assert_eq!(page.tab.tables().len(), 14);
}

#[test]
fn keys_change_page_order_and_filter() {
    let mut page = page();
    for (key, tab) in [('2', Tab::Flows), ('4', Tab::Tcp), ('3', Tab::Dns), ('9', Tab::Dns)] {
        page.handle(Input::Sign(key));
        assert_eq!(page.tab, tab);
    }
    page.handle(Input::Next);
    page.handle(Input::Next);
    assert_eq!(page.tab, Tab::Overview);
    page.handle(Input::Previous);
    assert_eq!(page.tab, Tab::Tcp);
    assert_eq!(
        names(&page, "Packets by control bits"),
        [pair("SYN", "7"), pair("RST", "9")]
    );
    page.handle(Input::Sign('2'));
    page.handle(Input::Sign('s'));
    assert_eq!(page.order, Order::Lightest);
    assert_eq!(names(&page, "Sources, packets")[0], pair("2001:db8::1", "100"));
    page.handle(Input::Sign('s'));
    assert_eq!(names(&page, "Sources, packets")[0], pair("192.0.2.1", "700"));
    page.handle(Input::Sign('/'));
    // Letters belong to the filter while it is written.
    for sign in "DB8q".chars() {
        page.handle(Input::Sign(sign));
    }
    page.handle(Input::Back);
    page.handle(Input::Enter);
    assert_eq!((page.filter.as_str(), page.is_over), ("db8", false));
    assert_eq!(names(&page, "Sources, packets"), [pair("2001:db8::1", "100")]);
    page.handle(Input::Escape);
    assert_eq!(names(&page, "Sources, packets").len(), 3);
    page.handle(Input::Down);
    assert_eq!(names(&page, "Sources, packets").len(), 2);
    page.handle(Input::Up);
    page.handle(Input::Sign('q'));
    assert!(page.is_over);
}

#[test]
fn a_paused_page_stays_and_trouble_is_shown_until_it_is_over() {
    let mut page = page();
    page.handle(Input::Sign('p'));
    page.take(Ok(Reading::default()));
    assert_eq!(page.figures().counter("packets"), 1000);
    page.take(Err("http://h: Connection refused".to_owned()));
    assert!(drawn(&page, 150, 40).contains("Connection refused"));
    assert!(drawn(&page, 150, 40).contains("PAUSED"));
    page.handle(Input::Sign('p'));
    page.take(Ok(reading()));
    assert!(!drawn(&page, 150, 40).contains("Connection refused"));
}

#[test]
fn the_page_fits_terminals_of_any_size() {
    let page = page();
    let text = drawn(&page, 160, 50);
    for expected in [
        "flowgauge top: eth0",
        "Packets 1000 | UDP 400 (40.0%) | TCP 600 (60.0%)",
        "in 700 (70.0%) | out 300 (30.0%)",
        "Packets/s 25 now, 20/30/31/32",
        "dropped 3 by kernel",
        "Time 2026-01-01T00:00:00Z",
        "192.0.2.1",
        "q quit",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    let titles = page.tab.tables().iter().filter(|table| text.contains(table.title));
    assert_eq!(titles.count(), 14, "{text}");
    for (width, height) in [(80, 24), (20, 6), (1, 1), (300, 100), (33, 3)] {
        drawn(&page, width, height);
    }
    assert!(drawn(&Page::default(), 80, 24).contains("No packets yet."));
}

#[test]
fn tables_name_metrics_that_there_are() {
    let known = |name: &str| crate::summaries::Metric::by_name(name).is_some();
    for table in Tab::ALL.iter().flat_map(|tab| tab.tables()) {
        let names: Vec<&str> = match table.rows {
            Rows::List(name) | Rows::Types(name) | Rows::Codes(name) | Rows::Slow(name) => vec![name],
            Rows::Beside(first, second) => vec![first, second],
            Rows::Counters(counters) => counters.iter().map(|(_, name)| *name).collect(),
            Rows::Addresses { .. } => Vec::new(),
        };
        for name in names {
            assert!(known(name), "{}: {name}", table.title);
        }
    }
}
