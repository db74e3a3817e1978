//! What rows get, and what stands in them already and stays.

use std::sync::Arc;

use super::super::files::Files;
use super::super::names::NamesConfig;
use super::super::{EnrichConfig, Enricher, SystemsFrom};
use super::{databases, ip};
use crate::normalize::codes::{APPLICATION_PORT, KIND_FLOW, NAME_HTTP, NAME_TLS, NAME_TLS_OTHER, NAME_TLS_SEEN};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{CellRef, Row};

const S: i64 = 1_000_000_000;

fn row(src: &str, dst: &str, ports: [u64; 2], start_s: i64) -> Row {
    let mut row = Row::new();
    row.set_signed(id::START, start_s * S);
    row.set_signed(id::DURATION, S);
    row.set_signed(id::RECEIVED, (start_s + 20) * S);
    row.set_number(id::KIND, KIND_FLOW);
    row.set_ip(id::SRC_IP, ip(src));
    row.set_ip(id::DST_IP, ip(dst));
    row.set_number(id::SRC_PORT, ports[0]);
    row.set_number(id::DST_PORT, ports[1]);
    row.set_number(id::PROTO, 6);
    row.set_number(id::OCTETS, 1_000);
    row.set_number(id::REV_OCTETS, 2_000);
    row
}

fn enriched(enricher: &mut Enricher, mut row: Row) -> Row {
    row.sort();
    enricher.enrich(&mut row);
    let columns: Vec<ColumnId> = row.cells().map(|(column, _)| column).collect();
    assert!(
        columns.is_sorted_by(|one, next| one < next),
        "each once and in order: {columns:?}"
    );
    row
}

fn text(row: &Row, column: ColumnId) -> &str {
    match row.get(column) {
        Some(CellRef::Text(text)) => text,
        None => "",
        other => panic!("{other:?}"),
    }
}

fn texts<const N: usize>(row: &Row, columns: [ColumnId; N]) -> [&str; N] {
    columns.map(|column| text(row, column))
}

fn plain() -> Enricher {
    Enricher::new(EnrichConfig::default(), Arc::default())
}

fn with_files(config: EnrichConfig) -> Option<(Enricher, tempfile::TempDir)> {
    let databases = databases()?;
    let folder = tempfile::tempdir().unwrap();
    let networks = folder.path().join("networks.csv");
    std::fs::write(
        &networks,
        "prefix,name,role,site,region,tenant\n10.0.0.0/8,office,users,bonn,west,us\n2.125.160.0/24,guests,,,,\n",
    )
    .unwrap();
    let geo = ["GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"].map(|name| databases.join(name));
    let files = Files::open(&geo, Some(&networks)).unwrap();
    Some((Enricher::new(config, Arc::new(files)), folder))
}

#[test]
fn both_ends_get_what_files_say() {
    let Some((mut enricher, _folder)) = with_files(EnrichConfig::default()) else {
        return;
    };
    for _ in 0..2 {
        let row = enriched(&mut enricher, row("10.1.2.3", "2.125.160.216", [50_000, 443], 100));
        let src = [
            id::SRC_NET,
            id::SRC_NET_ROLE,
            id::SRC_NET_SITE,
            id::SRC_NET_REGION,
            id::SRC_NET_TENANT,
            id::SRC_COUNTRY,
        ];
        assert_eq!(texts(&row, src), ["office", "users", "bonn", "west", "us", ""]);
        let dst = [
            id::DST_COUNTRY,
            id::DST_CITY,
            id::DST_NET,
            id::DST_NET_ROLE,
            id::DST_AS_NAME,
        ];
        assert_eq!(texts(&row, dst), ["GB", "Boxford", "guests", "", ""]);
        assert_eq!((row.number(id::SRC_AS), row.number(id::DST_AS)), (None, None));
    }
    let row = enriched(&mut enricher, row("1.128.0.1", "2001:db8::1", [50_000, 443], 100));
    assert_eq!(
        (row.number(id::SRC_AS), text(&row, id::SRC_AS_NAME)),
        (Some(1221), "Telstra Pty Ltd")
    );
    let counters = enricher.counters();
    assert_eq!(
        (counters.rows, counters.addresses_looked_up, counters.addresses_ready),
        (3, 4, 2)
    );
    assert_eq!((counters.geo_faults, counters.applications), (0, 3));
}

#[test]
fn whose_word_about_systems_counts_is_a_setting_and_the_name_is_that_of_the_number() {
    for (systems, told, number, name) in [
        (SystemsFrom::Exporter, None, 1221, "Telstra Pty Ltd"),
        (SystemsFrom::Exporter, Some(0), 1221, "Telstra Pty Ltd"),
        (SystemsFrom::Exporter, Some(23_456), 1221, "Telstra Pty Ltd"),
        (SystemsFrom::Exporter, Some(15_169), 15_169, "Google Inc."),
        (SystemsFrom::Exporter, Some(64_496), 64_496, ""),
        (SystemsFrom::Geo, Some(15_169), 1221, "Telstra Pty Ltd"),
    ] {
        let config = EnrichConfig {
            systems,
            ..EnrichConfig::default()
        };
        let Some((mut enricher, _folder)) = with_files(config) else {
            return;
        };
        let mut told_row = row("1.128.0.1", "198.51.100.1", [1, 2], 100);
        if let Some(told) = told {
            told_row.set_number(id::SRC_AS, told);
            told_row.set_number(id::DST_AS, 64_497);
        }
        let row = enriched(&mut enricher, told_row);
        assert_eq!(
            (row.number(id::SRC_AS), text(&row, id::SRC_AS_NAME)),
            (Some(number), name),
            "{systems:?} {told:?}"
        );
        // Nothing else says anything about the other end.
        assert_eq!(row.number(id::DST_AS), told.map(|_| 64_497));
    }
}

#[test]
fn files_that_change_count_from_the_next_datagram_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("networks.csv");
    std::fs::write(&path, "10.0.0.0/8,old\n").unwrap();
    let files = Arc::new(Files::open(&[], Some(&path)).unwrap());
    let mut enricher = Enricher::new(EnrichConfig::default(), Arc::clone(&files));
    let net = |enricher: &mut Enricher| {
        enricher.take_up_files();
        text(
            &enriched(enricher, row("10.1.2.3", "192.0.2.1", [1, 2], 100)),
            id::SRC_NET,
        )
        .to_owned()
    };
    assert_eq!(net(&mut enricher), "old");
    std::fs::write(&path, "10.0.0.0/8,brandnew\n").unwrap();
    files.look();
    files.look();
    assert_eq!(net(&mut enricher), "brandnew");
}

#[test]
fn a_flow_is_named_by_what_it_asked_for_and_teaches_it() {
    let mut enricher = plain();
    let mut tls = row("10.0.0.1", "192.0.2.80", [50_000, 443], 100);
    tls.set_text(id::TLS_SNI, "WWW.Example.com");
    let tls = enriched(&mut enricher, tls);
    assert_eq!(
        (text(&tls, id::DST_NAME), tls.number(id::DST_NAME_SOURCE)),
        ("www.example.com", Some(NAME_TLS))
    );
    assert_eq!(text(&tls, id::TLS_SNI), "WWW.Example.com");
    let later = enriched(&mut enricher, row("10.0.0.1", "192.0.2.80", [50_001, 443], 110));
    assert_eq!(
        (text(&later, id::DST_NAME), later.number(id::DST_NAME_SOURCE)),
        ("www.example.com", Some(NAME_TLS_SEEN))
    );
    // The other direction, and somebody else.
    let back = enriched(&mut enricher, row("192.0.2.80", "10.0.0.1", [443, 50_001], 110));
    assert_eq!(
        (text(&back, id::SRC_NAME), back.number(id::SRC_NAME_SOURCE)),
        ("www.example.com", Some(NAME_TLS_SEEN))
    );
    assert_eq!(text(&back, id::DST_NAME), "");
    let other = enriched(&mut enricher, row("10.0.0.2", "192.0.2.80", [50_001, 443], 110));
    assert_eq!(other.number(id::DST_NAME_SOURCE), Some(NAME_TLS_OTHER));
    let mut http = row("10.0.0.1", "192.0.2.80", [50_002, 80], 120);
    http.set_text(id::HTTP_HOST, "shop.example.net:8080");
    let http = enriched(&mut enricher, http);
    assert_eq!(
        (text(&http, id::DST_NAME), http.number(id::DST_NAME_SOURCE)),
        ("shop.example.net", Some(NAME_HTTP))
    );
    let earlier = enriched(&mut enricher, row("10.0.0.1", "192.0.2.80", [50_001, 443], 90));
    assert_eq!(text(&earlier, id::DST_NAME), "", "nobody had asked then");
    let counters = enricher.counters();
    assert_eq!(
        (
            counters.named_by_flow,
            counters.named_by_client,
            counters.named_by_others
        ),
        (2, 2, 1)
    );
    assert_eq!(
        (counters.names.observed, counters.names.entries, counters.names.names),
        (1, 2, 1)
    );
}

#[test]
fn addresses_and_rubbish_are_no_names() {
    let mut enricher = plain();
    for asked in [
        "192.0.2.80",
        "192.0.2.80:8080",
        "[2001:db8::1]:443",
        "",
        ".",
        "two words",
        "a\tb",
    ] {
        for column in [id::TLS_SNI, id::HTTP_HOST] {
            let mut tls = row("10.0.0.1", "192.0.2.80", [50_000, 443], 100);
            tls.set_text(column, asked);
            let tls = enriched(&mut enricher, tls);
            assert_eq!(
                (text(&tls, id::DST_NAME), tls.number(id::DST_NAME_SOURCE)),
                ("", None),
                "{asked:?}"
            );
        }
    }
    let mut dot = row("10.0.0.1", "192.0.2.80", [50_000, 443], 100);
    dot.set_text(id::TLS_SNI, "www.example.com.");
    assert_eq!(text(&enriched(&mut enricher, dot), id::DST_NAME), "www.example.com");
}

#[test]
fn what_the_record_says_stays() {
    let mut enricher = plain();
    let mut named = row("10.0.0.1", "192.0.2.80", [50_000, 443], 100);
    named.set_text(id::TLS_SNI, "www.example.com");
    named.set_text(id::DST_NAME, "said");
    named.set_text(id::APP_NAME, "tls");
    let named = enriched(&mut enricher, named);
    assert_eq!(
        (text(&named, id::DST_NAME), text(&named, id::APP_NAME)),
        ("said", "tls")
    );
    assert_eq!(
        (named.number(id::DST_NAME_SOURCE), named.number(id::APP_NAME_SOURCE)),
        (None, None)
    );
    let guessed = enriched(&mut enricher, row("10.0.0.1", "192.0.2.80", [50_000, 5432], 100));
    assert_eq!(
        (text(&guessed, id::APP_NAME), guessed.number(id::APP_NAME_SOURCE)),
        ("postgresql", Some(APPLICATION_PORT))
    );
}

#[test]
fn all_of_it_can_be_off_and_rows_without_addresses_are_left_alone() {
    let config = EnrichConfig {
        services: false,
        names: NamesConfig {
            entries: 0,
            grace_ns: 0,
        },
        ..EnrichConfig::default()
    };
    let mut enricher = Enricher::new(config, Arc::default());
    let mut tls = row("10.0.0.1", "192.0.2.80", [50_000, 443], 100);
    tls.set_text(id::TLS_SNI, "www.example.com");
    tls.sort();
    let before = tls.len();
    let tls = enriched(&mut enricher, tls);
    assert_eq!(tls.len(), before);
    let mut counters = Row::new();
    counters.set_number(id::KIND, 3);
    counters.set_number(id::IN_IF, 7);
    let counters = enriched(&mut plain(), counters);
    assert_eq!(counters.len(), 2);
}
