//! Queues of messages: bounds, what is final, and what is told again.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::alerts::Moment;
use crate::alerts::book::{Book, Reading};
use crate::alerts::rule::Rule;

/// Answers one request after another with these heads; then is gone.
fn answering(heads: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:word@{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for head in heads {
            let (mut stream, _) = listener.accept().unwrap();
            let mut octets = [0; 8_192];
            let mut read = 0;
            // The body ends with the object.
            while !octets[..read].ends_with(b"}") {
                read += stream.read(&mut octets[read..]).unwrap();
            }
            write!(
                stream,
                "HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
        }
    });
    url
}

fn a_change() -> Changes {
    let at = Moment {
        wall_ns: 0,
        steady_ns: 0,
    };
    let mut book = Book::default();
    let rule = Rule {
        name: "x".to_owned(),
        metric: "flows".to_owned(),
        ..Rule::default()
    };
    book.replace(&[rule], at);
    let rule = Arc::clone(&book.rules()[0].rule);
    let values = vec![("{}".to_owned(), Some(1.0))];
    let reading = Reading {
        values,
        ..Reading::default()
    };
    book.take(&rule, Ok(reading), at).0
}

fn webhooks(url: &str) -> Webhooks {
    Webhooks::new(&[url.to_owned()], Duration::from_secs(5)).unwrap()
}

fn counts(webhooks: &Webhooks) -> ([u64; 4], u64) {
    let status = &webhooks.status()[0];
    (status.counts, status.waiting)
}

fn wait(webhooks: &Webhooks, expected: ([u64; 4], u64)) {
    let until = Instant::now() + Duration::from_secs(20);
    while counts(webhooks) != expected {
        assert!(Instant::now() < until, "{:?}", counts(webhooks));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_not_taken_now_is_told_again_and_what_is_not_wanted_is_not() {
    let webhooks = webhooks(&answering(&["503 Busy", "204 Taken", "404 Nothing here", "200 Taken"]));
    assert!(webhooks.status()[0].shown.starts_with("http://127.0.0.1:"));
    webhooks.tell(&a_change());
    webhooks.tell(&a_change());
    webhooks.tell(&a_change());
    let threads = webhooks.start().unwrap();
    // Sent, failed, dropped, retried; and what waits.
    wait(&webhooks, ([2, 1, 0, 1], 0));
    webhooks.end();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts_it() {
    let webhooks = webhooks("http://127.0.0.1:9/");
    let change = a_change();
    for _ in 0..WEBHOOK_QUEUE + 3 {
        webhooks.tell(&change);
    }
    assert_eq!(counts(&webhooks), ([0, 0, 3, 0], WEBHOOK_QUEUE as u64));
    let waiting = webhooks.waiting();
    assert!(waiting[0].1.contains("\"id\":\"0-3\""), "{}", waiting[0].1);
    webhooks.put_back("http://elsewhere.example.net/", "{}");
    assert_eq!(counts(&webhooks).0[Outcome::Dropped as usize], 3, "of another webhook");
}

#[test]
fn a_webhook_is_an_http_url_and_shown_without_its_secrets() {
    for url in ["http://a", "https://a.example.net:1/x?y=z", "http://[::1]:9/"] {
        assert_eq!(check_url(url), Ok(()));
    }
    for url in ["", "ftp://a", "http://", "http:///x", "a.example.net", "http://a b/"] {
        assert!(check_url(url).is_err(), "{url}");
    }
    assert_eq!(
        shown("https://me:word@a.example.net:1/token?x=y"),
        "https://a.example.net:1"
    );
}
