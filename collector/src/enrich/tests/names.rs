//! Observed names against a naive list of everything that was observed.

use proptest::prelude::*;

use super::super::names::{NameCounters, NamesConfig, Observation, ObservedNames, Seen};
use super::ip;
use crate::normalize::codes::{NAME_DNS, NAME_DNS_OTHER, NAME_TLS_OTHER, NAME_TLS_SEEN};

const S: i64 = 1_000_000_000;
const GRACE: i64 = 100 * S;

fn names(entries: usize) -> ObservedNames {
    ObservedNames::new(NamesConfig {
        entries,
        grace_ns: GRACE,
    })
}

fn seen<'n>(client: &str, address: &str, name: &'n str, at_s: i64) -> Observation<'n> {
    Observation {
        client: ip(client),
        address: ip(address),
        name,
        seen: Seen::Dns,
        at_ns: at_s * S,
        lifetime_ns: 60 * S,
    }
}

fn of(names: &mut ObservedNames, client: &str, address: &str, at_s: i64) -> Option<(String, u64)> {
    let found = names.name_of(ip(client), ip(address), (at_s * S, at_s * S));
    found.map(|(name, code)| (name.to_owned(), code))
}

fn is(name: &str, code: u64) -> Option<(String, u64)> {
    Some((name.to_owned(), code))
}

const WEB: &str = "192.0.2.80";

#[test]
fn a_clients_own_answer_comes_before_that_of_others() {
    let mut names = names(1 << 12);
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 0), None);
    names.observe(&seen("10.0.0.1", WEB, "www.example.com", 10));
    names.observe(&seen("10.0.0.2", WEB, "shop.example.net", 20));
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 30), is("www.example.com", NAME_DNS));
    assert_eq!(of(&mut names, "10.0.0.2", WEB, 30), is("shop.example.net", NAME_DNS));
    // Who asked nobody gets what was heard last.
    assert_eq!(
        of(&mut names, "10.0.0.3", WEB, 30),
        is("shop.example.net", NAME_DNS_OTHER)
    );
    assert_eq!(
        of(&mut names, "10.0.0.3", WEB, 15),
        is("www.example.com", NAME_DNS_OTHER)
    );
    assert_eq!(of(&mut names, "10.0.0.3", "192.0.2.81", 30), None);
    names.observe(&Observation {
        seen: Seen::Tls,
        ..seen("10.0.0.1", WEB, "api.example.com", 40)
    });
    assert_eq!(
        of(&mut names, "10.0.0.1", WEB, 41),
        is("api.example.com", NAME_TLS_SEEN)
    );
    assert_eq!(
        of(&mut names, "10.0.0.3", WEB, 41),
        is("api.example.com", NAME_TLS_OTHER)
    );
    let NameCounters {
        observed,
        entries,
        names: distinct,
        ..
    } = names.counters();
    assert_eq!((observed, entries, distinct), (3, 6, 3));
}

#[test]
fn a_name_counts_from_its_answer_until_its_time_is_over() {
    let mut names = names(1 << 12);
    names.observe(&seen("10.0.0.1", WEB, "www.example.com", 1_000));
    let mut at = |at_s: i64| of(&mut names, "10.0.0.1", WEB, at_s).is_some();
    assert!(!at(997), "the flow began before");
    assert!(at(999), "clocks differ a little");
    assert!(at(1_000 + 60 + 100));
    // The flow there kept the name for its client, as long as the grace.
    assert!(at(1_160 + 100));
    assert!(!at(1_260 + 101));
    assert_eq!(
        of(&mut names, "10.0.0.2", WEB, 1_160),
        is("www.example.com", NAME_DNS_OTHER)
    );
    assert_eq!(of(&mut names, "10.0.0.2", WEB, 1_161), None, "others do not keep it");
}

#[test]
fn the_last_answer_before_the_flow_is_meant_even_when_it_was_told_before() {
    let mut names = names(1 << 12);
    for (name, at_s) in [("a.example", 10), ("b.example", 20), ("a.example", 30)] {
        names.observe(&seen("10.0.0.1", WEB, name, at_s));
    }
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 35), is("a.example", NAME_DNS));
    // Flows are told of when they end: one that began in between belongs to the answer in between.
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 25), is("b.example", NAME_DNS));
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 15), is("a.example", NAME_DNS));
    // A fifth name takes the place of the one that was heard of longest ago, b.
    for (name, at_s) in [("c.example", 40), ("d.example", 50), ("e.example", 60)] {
        names.observe(&seen("10.0.0.1", WEB, name, at_s));
    }
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 45), is("c.example", NAME_DNS));
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 35), is("a.example", NAME_DNS));
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 25), is("a.example", NAME_DNS));
    assert_eq!(names.counters().entries, 8);
    // An answer that is told of late does not push out later ones.
    names.observe(&seen("10.0.0.1", WEB, "f.example", 5));
    assert_eq!(of(&mut names, "10.0.0.1", WEB, 65), is("e.example", NAME_DNS));
    assert_eq!(names.counters().left_out, 2, "neither for the client nor for anybody");
}

#[test]
fn what_is_kept_is_bounded_in_entries_and_octets() {
    let mut names = names(1 << 10);
    let long = "x".repeat(200);
    for n in 0..20_000u32 {
        let name = format!("{n}.{long}.example");
        names.observe(&Observation {
            address: ip("10.0.0.0") + u128::from(n),
            ..seen("10.0.0.1", WEB, &name, i64::from(n / 100))
        });
    }
    let counters = names.counters();
    assert!(counters.entries > 100 && counters.entries <= 1 << 10, "{counters:?}");
    // Sixty octets of names and one slot for each entry.
    assert!(counters.octets <= (1 << 10) * (60 + 120), "{counters:?}");
    assert_eq!(counters.observed, 20_000);
    assert_eq!(
        counters.learned,
        counters.entries + counters.evicted + counters.expired,
        "{counters:?}"
    );
    assert!(counters.evicted > 10_000, "{counters:?}");
    let held = (0..20_000u32).filter(|n| {
        let address = ip("10.0.0.0") + u128::from(*n);
        let found = names
            .name_of(ip("10.0.0.1"), address, (201 * S, 201 * S))
            .map(|(name, _)| name.to_owned());
        found
            .inspect(|name| assert_eq!(*name, format!("{n}.{long}.example")))
            .is_some()
    });
    assert!(held.count() > 50);
    let mut none = self::names(0);
    none.observe(&seen("10.0.0.1", WEB, "www.example.com", 10));
    assert_eq!((none.is_empty(), none.counters()), (true, NameCounters::default()));
}

#[test]
fn small_names_fill_the_table_to_its_end() {
    let mut names = names(1 << 12);
    for n in 0..10_000u32 {
        names.observe(&Observation {
            address: ip("10.0.0.0") + u128::from(n),
            ..seen("10.0.0.1", WEB, &format!("{n}.example"), 1_000 + i64::from(n))
        });
    }
    let counters = names.counters();
    assert!(counters.entries > (1 << 12) * 95 / 100, "{counters:?}");
    assert!(counters.expired > counters.evicted, "{counters:?}");
}

#[test]
fn names_come_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.txt");
    let mut before = names(1 << 12);
    for n in 0..100 {
        before.observe(&seen(
            &format!("10.0.0.{}", n % 20),
            &format!("192.0.2.{}", n % 40),
            &format!("{n}.example"),
            n,
        ));
    }
    let entries = before.counters().entries;
    assert_eq!(super::super::saved::write(&before, &path).unwrap(), entries);
    let mut after = names(1 << 12);
    assert_eq!(super::super::saved::read(&mut after, &path).unwrap(), entries);
    assert_eq!(after.counters().entries, entries);
    for n in 0..200 {
        let (client, address) = (format!("10.0.0.{}", n % 20), format!("192.0.2.{}", n % 40));
        assert_eq!(
            of(&mut before, &client, &address, n),
            of(&mut after, &client, &address, n),
            "{n}"
        );
    }
    std::fs::write(&path, "something else\n").unwrap();
    assert!(super::super::saved::read(&mut after, &path).is_err());
    std::fs::write(
        &path,
        "flowgauge observed names 1\nfoo\n1 2 3 4 5 dns\n1 2 3 4 5 dns www.example\n",
    )
    .unwrap();
    assert_eq!(super::super::saved::read(&mut names(64), &path).unwrap(), 1);
    assert_eq!(
        super::super::saved::read(&mut after, &folder.path().join("absent")).unwrap(),
        0
    );
}

/// Client, address, name, when, lifetime.
type Observed = (u8, u8, u8, i64, i64);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes in whatever order into however small a table: a name that is given was observed for that address,
    /// not later than the flow began, and by the client where it says so.
    #[test]
    fn names_may_be_missing_and_are_never_wrong(
        observed in proptest::collection::vec((0..4u8, 0..12u8, 0..5u8, 0..1_000i64, 0..300i64), 1..200),
        asked in proptest::collection::vec((0..4u8, 0..12u8, 0..1_500i64), 100),
        entries in prop_oneof![Just(8usize), Just(32), Just(1024)],
    ) {
        let mut names = names(entries);
        let text = |name: u8| format!("{name}.example");
        for (client, address, name, at_s, lifetime_s) in &observed {
            names.observe(&Observation {
                client: u128::from(*client) + 1,
                address: u128::from(*address) + 1,
                name: &text(*name),
                seen: Seen::Dns,
                at_ns: at_s * S,
                lifetime_ns: lifetime_s * S,
            });
        }
        let is_before = |(_, _, _, at_s, _): &&Observed, start_s: i64| *at_s <= start_s + 2;
        for (client, address, start_s) in asked {
            let key = (u128::from(client) + 1, u128::from(address) + 1);
            let Some((name, code)) = names.name_of(key.0, key.1, (start_s * S, start_s * S)) else { continue };
            let name = name.to_owned();
            let fits = |of: &&Observed| of.1 == address && text(of.2) == name && is_before(of, start_s);
            let mut witnesses = observed.iter().filter(fits).filter(|of| code != NAME_DNS || of.0 == client);
            prop_assert!(witnesses.next().is_some(), "{} {} {}: {} {}", client, address, start_s, name, code);
        }
    }

    /// With room for all and no two names of one address, nothing is missing within its time.
    #[test]
    fn nothing_is_missing_while_there_is_room(
        observed in proptest::collection::vec((0..4u8, 0..50u8, 0..1_000i64, 0..300i64), 1..100),
    ) {
        let mut names = names(1 << 12);
        for (client, address, at_s, lifetime_s) in &observed {
            names.observe(&Observation {
                client: u128::from(*client) + 1,
                address: u128::from(*address) + 1,
                name: &format!("{address}.example"),
                seen: Seen::Dns,
                at_ns: at_s * S,
                lifetime_ns: lifetime_s * S,
            });
        }
        // In order of time, as flows come; the last of each client and address.
        for (client, address, at_s, lifetime_s) in &observed {
            let later = |of: &&(u8, u8, i64, i64)| of.0 == *client && of.1 == *address && of.2 > *at_s;
            if observed.iter().any(|of| later(&of)) {
                continue;
            }
            let key = (u128::from(*client) + 1, u128::from(*address) + 1);
            let start_ns = (at_s + lifetime_s) * S;
            let found = names.name_of(key.0, key.1, (start_ns, start_ns)).map(|(name, code)| (name.to_owned(), code));
            prop_assert_eq!(found, is(&format!("{address}.example"), NAME_DNS));
        }
    }
}
