//! Eight exporters with traffic of their own and traffic in common: what is merged is the truth within its limits.

use std::collections::{BTreeMap, BTreeSet};

use flowgauge_sketches::Quantiles;

use super::*;
use crate::query::QueryError;

const EXPORTERS: u64 = 8;
const WINDOWS: i64 = 3;
const SEEDS: u64 = 40;

fn rows(answer: &Json, metric: &str) -> Vec<Json> {
    let rows = answer["rows"].as_array().unwrap();
    rows.iter().filter(|row| row["metric"] == metric).cloned().collect()
}

fn number(row: &Json, name: &str) -> f64 {
    row[name].as_f64().unwrap()
}

#[test]
fn eight_exporters_merged_are_the_truth_within_the_limits() {
    let mut receiver = Receiver::new();
    let (mut outside, mut ranks_outside, mut ranks) = (0, 0, 0);
    for seed in 0..SEEDS {
        let base = seed as i64 * WINDOWS;
        let mut weights: BTreeMap<String, u64> = BTreeMap::new();
        let mut values: Vec<f32> = Vec::new();
        let mut packets = 0;
        for exporter in 0..EXPORTERS {
            let mut sender = Exporter::new(&format!("192.0.2.{}:5000", exporter + 1), 1);
            for at in 0..WINDOWS {
                let own = seed * 1_000 + exporter * 10 + at as u64 + 1;
                let mut names = names(own, 4_000, 700);
                // Half of the exporters see names that no other sees.
                if exporter % 2 == 0 {
                    names.iter_mut().for_each(|name| *name = format!("e{exporter}.{name}"));
                }
                names
                    .iter()
                    .for_each(|name| *weights.entry(name.clone()).or_default() += 1);
                let mut next = numbers(own);
                let mut latency = Quantiles::high();
                for _ in 0..700 {
                    let value = 100.0 + (next() % 1_000) as f32 * (1 + exporter) as f32;
                    latency.update(value);
                    values.push(value);
                }
                packets += own;
                receiver.take(
                    &mut sender,
                    &[
                        Sent::counter("packets", base + at, own),
                        Sent::cardinality("dns.qname", base + at, &cardinality_of(&names)),
                        Sent::list("dns.qname.top", base + at, &list_of(&names), 10),
                        Sent::quantiles("dns.latency", base + at, &latency),
                    ],
                );
            }
        }
        let ask = |metric: &str| {
            receiver.ask(&SummariesRequest {
                from_ns: Some((T0_MS + base * MINUTE_MS) * NS_PER_MS),
                to_ns: Some((T0_MS + (base + WINDOWS) * MINUTE_MS) * NS_PER_MS),
                limit: 20,
                ranks: vec![0.5, 0.9, 0.99],
                ..asking(metric)
            })
        };
        let sum = ask("packets");
        assert_eq!(sum["rows"][0]["value"], packets);
        assert_eq!(sum["metrics"][0]["exporters"], EXPORTERS);
        assert_eq!(sum["metrics"][0]["windows"], WINDOWS);

        let names = ask("dns.qname");
        assert_eq!(names["metrics"][0]["images"], EXPORTERS * WINDOWS as u64);
        let different = &rows(&names, "dns.qname")[0];
        let truth = weights.len() as f64;
        let is_within = number(different, "lower") <= truth && truth <= number(different, "upper");
        outside += u64::from(!is_within);
        // Limits of lists hold always, and what is heavier than the error is in the list.
        let top = rows(&names, "dns.qname.top");
        assert_eq!(top.len(), 20);
        for row in &top {
            let truth = weights[row["item"].as_str().unwrap()];
            let limits = row["lower"].as_u64().unwrap()..=row["upper"].as_u64().unwrap();
            assert!(limits.contains(&truth), "{row} {truth}");
        }
        let error = names["metrics"][1]["error"].as_u64().unwrap();
        let least = top[19]["value"].as_u64().unwrap();
        let listed: BTreeSet<&str> = top.iter().map(|row| row["item"].as_str().unwrap()).collect();
        for (name, weight) in weights.iter().filter(|(_, weight)| **weight > least.max(error)) {
            assert!(listed.contains(name.as_str()), "{name} {weight}");
        }

        values.sort_by(f32::total_cmp);
        let latency = ask("dns.latency");
        assert_eq!(latency["metrics"][0]["weight"], values.len());
        for row in &rows(&latency, "dns.latency") {
            let place = (number(row, "rank") * values.len() as f64).ceil() as usize;
            let truth = f64::from(values[place.clamp(1, values.len()) - 1]);
            ranks += 1;
            ranks_outside += u64::from(truth < number(row, "lower") || truth > number(row, "upper"));
        }
    }
    // Limits of two standard deviations: 4.6 % may be outside. Of 40, six or more are with 1 %; of 120 ranks, twelve or more.
    assert!(outside <= 5, "{outside} of {SEEDS}");
    assert!(ranks_outside <= 11, "{ranks_outside} of {ranks}");
    let counters = receiver.settle();
    assert_eq!(counters.images, SEEDS * EXPORTERS * WINDOWS as u64 * 3);
    assert_eq!(counters.refused, [0; 4]);
}

#[test]
fn what_has_no_image_widens_the_limits() {
    let mut receiver = Receiver::new();
    let mut weights: BTreeMap<String, u64> = BTreeMap::new();
    for exporter in 0..4u64 {
        let names = names(exporter + 1, 200, 500);
        names
            .iter()
            .for_each(|name| *weights.entry(name.clone()).or_default() += 1);
        let mut list = Sent::list("dns.qname.top", 0, &list_of(&names), 10);
        let mut different = Sent::cardinality("dns.qname", 0, &cardinality_of(&names));
        if exporter >= 2 {
            (list, different) = (list.without_image(), different.without_image());
        }
        let mut sender = Exporter::new(&format!("192.0.2.{}:5000", exporter + 1), 1);
        receiver.take(&mut sender, &[list, different]);
    }
    let answer = receiver.metric("dns.qname");
    for about in answer["metrics"].as_array().unwrap() {
        assert_eq!((&about["without_image"], &about["left_out"]), (&2.into(), &0.into()));
        assert_eq!(about["exporters"], 4);
    }
    assert_eq!(answer["metrics"][1]["weight"], 2_000);
    for row in rows(&answer, "dns.qname.top") {
        let truth = weights[row["item"].as_str().unwrap()];
        let limits = row["lower"].as_u64().unwrap()..=row["upper"].as_u64().unwrap();
        assert!(limits.contains(&truth), "{row} {truth}");
        assert!(row["value"].as_u64().unwrap() > 0);
    }
    let different = &rows(&answer, "dns.qname")[0];
    let truth = weights.len() as f64;
    assert!(
        number(different, "lower") <= truth && truth <= number(different, "upper"),
        "{different}"
    );
}

#[test]
fn exporters_times_and_names_choose_what_goes_in() {
    let mut receiver = Receiver::new();
    for exporter in 1..=3u64 {
        let mut sender = Exporter::new(&format!("192.0.2.{exporter}:5000"), exporter as u32);
        let records: Vec<Sent> = (0..10)
            .flat_map(|at| {
                let sum = 10u64.pow(exporter as u32);
                [
                    Sent::counter("packets", at, sum),
                    Sent::counter("packets.udp", at, 1),
                    Sent::counter("packetsother", at, 1),
                ]
            })
            .collect();
        receiver.take(&mut sender, &records);
    }
    let value = |request: &SummariesRequest| -> Vec<(String, u64)> {
        let answer = receiver.ask(request);
        let rows = answer["rows"].as_array().unwrap();
        rows.iter()
            .map(|row| {
                (
                    row["metric"].as_str().unwrap().to_owned(),
                    row["value"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    assert_eq!(
        value(&asking("packets")),
        [("packets".to_owned(), 11_100), ("packets.udp".to_owned(), 30)]
    );
    let of_one = SummariesRequest {
        exporters: vec!["192.0.2.2".parse().unwrap(), "192.0.2.9".parse().unwrap()],
        ..asking("packets.udp")
    };
    assert_eq!(value(&of_one), [("packets.udp".to_owned(), 10)]);
    // A window that the time touches goes in whole; one that ends when it begins does not.
    let between = SummariesRequest {
        from_ns: Some((T0_MS + MINUTE_MS) * NS_PER_MS),
        to_ns: Some((T0_MS + 2 * MINUTE_MS + 1) * NS_PER_MS),
        ..asking("packets.udp")
    };
    assert_eq!(value(&between), [("packets.udp".to_owned(), 6)]);

    let listed = receiver.ask(&SummariesRequest::default());
    let names: Vec<&str> = listed["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["metric"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["packets", "packets.udp", "packetsother"]);
    assert_eq!(listed["rows"][0]["summaries"], 30);
    assert_eq!(listed["rows"][0]["kind"], "counter");
    assert_eq!(listed["rows"][0]["to"], "2026-01-01T00:10:00Z");

    let stored = receiver.kept.segments();
    let Err(QueryError::Request { nearest, .. }) = summaries(&stored, &asking("packetsothr")) else {
        panic!("there is no such metric");
    };
    assert_eq!(nearest.as_deref(), Some("packetsother"));
    // Known, but nobody sent it.
    assert_eq!(value(&asking("dns.latency")), []);
    let backwards = SummariesRequest {
        from_ns: Some(2),
        to_ns: Some(1),
        ..SummariesRequest::default()
    };
    assert!(summaries(&stored, &backwards).is_err());
}
