//! Windows are read back through their templates, as a collector does, and compared with what they say; and whatever the
//! traffic does, no more leaves than was allowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::Template;
use flowgauge_templates::ipfix::list::TemplateScope;
use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, ExportingConfig, TransportKind};
use flowgauge_templates::text::{TextContext, record_json};
use serde_json::{Value, json};

use super::plan::{DECLARED, SummaryPlan};
use crate::config::{SummaryExportConfig, Times};
use crate::exporting::ExportingProcess;
use crate::exporting::limits::{SUMMARY_OCTETS, SUMMARY_OCTETS_WITHOUT_IMAGES};
use crate::metering::Records;
use crate::metering::dns::{DnsStatus, DnsTransaction, TextRange};
use crate::metering::facts::PacketFacts;
use crate::metering::{FlowEndReason, FlowKey, Place};
use crate::summaries::record::SummaryRecord;
use crate::summaries::sketch::{Cardinality, List};
use crate::summaries::{Kind, Metric, Summaries, SummariesConfig, Summary, Window};

const SECOND_NS: i64 = 1_000_000_000;
/// A whole minute.
const START_NS: i64 = 1_767_225_600 * SECOND_NS;
const NOW: i64 = START_NS + 70 * SECOND_NS;
const CUT_NAME_OCTETS: usize = 200;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A transaction whose name lies at the front of `octets`.
fn transaction(at_ns: i64, client: u32, status: DnsStatus, rcode: Option<u16>, latency_us: u32) -> DnsTransaction {
    DnsTransaction {
        key: FlowKey {
            src: std::net::Ipv4Addr::from(client).into(),
            dst: [192, 0, 2, 53].into(),
            src_port: 4000,
            dst_port: 53,
            protocol: 17,
            vlan: [0; 2],
            interface: 0,
        },
        start_ns: at_ns,
        end_ns: at_ns,
        status,
        end_reason: FlowEndReason::EndOfFlow,
        id: 1,
        qname: TextRange::default(),
        qtype: 28,
        qclass: 1,
        rcode,
        flags: 0x8180,
        latency_us: (status == DnsStatus::Answered).then_some(latency_us),
        query_octets: Some(40),
        response_octets: (status == DnsStatus::Answered).then_some(120),
        answers: 1,
        retries: 0,
        edns: None,
        extended_error: None,
        client_subnet: None,
        selector: 0,
        answer_lists: Place::NONE,
    }
}

/// A minute of `packets` from everywhere, a tenth as many DNS transactions beside them, their names with `label` in front.
fn window(packets: u64, label: &str) -> Window {
    let mut numbers = Numbers(packets);
    let mut summaries = Summaries::new(SummariesConfig::default());
    let mut closed = Vec::new();
    for at in 0..packets {
        let time_ns = START_NS + (60 * SECOND_NS) * at as i64 / packets as i64;
        summaries.packet(&PacketFacts {
            time_ns,
            src: 0xffff_0000_0000 | u128::from(numbers.next() as u32 % 5_000_000),
            dst: 0xffff_0a00_0000 | u128::from(numbers.below(1000) * numbers.below(1000) % 50_000),
            octets: 40 + numbers.below(1460) as u32,
            ports: [numbers.below(60_000) as u16 + 1024, numbers.below(40) as u16 + 1],
            protocol: if numbers.below(3) == 0 { 17 } else { 6 },
            is_ipv4: true,
            tcp_flags: 0x12,
        });
        if at % 10 == 0 {
            let name = format!(
                "{label}{}.zone{}.example",
                numbers.below(1_000_000),
                numbers.below(3000)
            );
            let (status, rcode) = match numbers.below(10) {
                0 => (DnsStatus::Unanswered, None),
                1 => (DnsStatus::Answered, Some(3)),
                2 => (DnsStatus::Answered, Some(2)),
                _ => (DnsStatus::Answered, Some(0)),
            };
            let latency = 200 + numbers.below(40_000) as u32;
            let one = transaction(time_ns, numbers.below(100_000) as u32, status, rcode, latency);
            summaries.transaction(&one, name.as_bytes());
        }
    }
    summaries.finish();
    closed.append(&mut summaries.take_closed());
    assert_eq!(closed.len(), 1);
    closed.remove(0)
}

fn config(budget: u32, images: bool) -> SummaryExportConfig {
    SummaryExportConfig { budget, images }
}

fn process(octets: u16) -> ExportingProcess {
    let mut config = ExportingConfig::of(TransportKind::Udp, 1);
    config.max_message_octets = usize::from(octets);
    ExportingProcess::new(config, Times::Milliseconds, Arc::new([])).unwrap()
}

struct Known<'t>(&'t [Arc<Template>]);

impl TemplateScope for Known<'_> {
    fn template(&self, id: u16) -> Option<&Arc<Template>> {
        self.0.iter().find(|template| template.id() == id)
    }
}

/// What a collector hears.
struct Heard {
    rows: Vec<Value>,
    /// Octets of Messages, but for templates and options, which are repeated by time and not by window.
    octets: usize,
    longest: usize,
}

fn hear(process: &mut ExportingProcess, batch: &Records, skip: usize) -> Heard {
    process.handle_records(NOW, batch, skip);
    assert_eq!(process.take_refused(), 0);
    let mut session = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
    let (mut registry, mut templates) = (Registry::new(), Vec::new());
    let mut heard = Heard {
        rows: Vec::new(),
        octets: 0,
        longest: 0,
    };
    while let Some(message) = process.poll_message() {
        heard.longest = heard.longest.max(message.bytes.len());
        let parsed = flowgauge_templates::ipfix::Message::parse(&message.bytes).unwrap();
        let of_templates: usize = parsed
            .sets()
            .map(Result::unwrap)
            .filter(|set| set.id < 256)
            .map(|set| set.body.len() + 4)
            .sum();
        let before = heard.rows.len();
        session
            .handle_message(NOW, &message.bytes, &mut registry, &mut |event| match event {
                Event::Template { template, .. } => templates.push(template.clone()),
                Event::Records { template, records, .. } if !template.is_options() => {
                    let scope = Known(&templates);
                    let context = TextContext {
                        registry: Registry::builtin(),
                        scope: &scope,
                    };
                    heard
                        .rows
                        .extend(records.map(|record| Value::Object(record_json(&record, context))));
                }
                Event::Error(error) => panic!("{error:?}"),
                _ => {}
            })
            .unwrap();
        assert_eq!(heard.rows.len() - before, message.flow_records as usize);
        if message.flow_records > 0 {
            heard.octets += message.bytes.len() - of_templates;
        }
    }
    heard
}

fn batch(summaries: Vec<SummaryRecord>) -> Records {
    Records {
        summaries,
        ..Records::default()
    }
}

/// The first record of a metric.
fn of_metric<'r>(rows: &'r [Value], metric: &str) -> &'r Value {
    rows.iter()
        .find(|row| row["summaryMetric"] == metric)
        .unwrap_or_else(|| panic!("no {metric}"))
}

/// The images that come in parts, put together by their offsets.
fn images(rows: &[Value]) -> BTreeMap<String, Vec<u8>> {
    let mut images: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.get("sketchImage").is_some()) {
        let text = row["sketchImage"].as_str().unwrap();
        let octets = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap());
        let whole = row["sketchImageOctets"].as_u64().unwrap() as usize;
        let image = images
            .entry(row["summaryMetric"].as_str().unwrap().to_owned())
            .or_default();
        assert_eq!(
            row["sectionOffset"].as_u64().unwrap() as usize,
            image.len(),
            "in order, and no gap"
        );
        image.extend(octets);
        assert!(image.len() <= whole);
    }
    images
}

#[test]
fn every_value_arrives_as_the_summary_prints_it() {
    let window = window(6000, "host");
    let mut plan = SummaryPlan::new(config(4 << 20, true), 1400, 0);
    let records = plan.records(&window);
    let rows = hear(&mut process(1400), &batch(records), 0).rows;
    let printed = crate::summaries::json::window(&window, 10);
    let mut compared = 0;
    for metric in Metric::ALL.iter().filter(|metric| !window.summary(**metric).is_empty()) {
        let (name, kind) = (metric.about().name, metric.about().kind);
        let (said, printed) = (of_metric(&rows, name), &printed["metrics"][name]);
        assert_eq!(said["summaryKind"], kind as u8);
        assert_eq!(said["flowStartMilliseconds"], "2026-01-01T00:00:00.000Z");
        assert_eq!(said["flowEndMilliseconds"], "2026-01-01T00:01:00.000Z");
        let list = || said["subTemplateList"].as_array().unwrap().clone();
        match kind {
            Kind::Counter => assert_eq!(said["sketchStreamWeight"], printed["value"], "{name}"),
            Kind::Cardinality => {
                for (element, key) in [
                    ("sketchEstimate", "value"),
                    ("lowerCILimit", "lower"),
                    ("upperCILimit", "upper"),
                    ("confidenceLevel", "confidence"),
                ] {
                    assert_eq!(said[element], printed[key], "{name}");
                }
            }
            Kind::Quantiles => {
                assert_eq!(said["sketchStreamWeight"], printed["count"], "{name}");
                let expected = |key: &str| match key {
                    "min" | "max" => {
                        let value = &printed[key];
                        json!({"value": value, "lower": value, "upper": value})
                    }
                    _ => printed[key].clone(),
                };
                let keys = ["min", "p50", "p90", "p95", "p99", "p99.9", "max"];
                assert_eq!(list().len(), keys.len());
                for (row, key) in list().iter().zip(keys) {
                    let expected = expected(key);
                    for (element, part) in [
                        ("summaryQuantileValue", "value"),
                        ("lowerCILimit", "lower"),
                        ("upperCILimit", "upper"),
                    ] {
                        assert_eq!(row[element].as_f64(), expected[part].as_f64(), "{name} {key}");
                    }
                }
                assert_eq!(list()[3]["summaryQuantileRank"], 0.95);
            }
            Kind::FrequentItems => {
                assert_eq!(said["sketchStreamWeight"], printed["weight"], "{name}");
                let expected: Vec<Value> = printed["rows"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| {
                        json!({"summaryItem": row["item"], "summaryItemWeight": row["value"],
                            "summaryItemLowerBound": row["lower"], "summaryItemUpperBound": row["upper"]})
                    })
                    .collect();
                assert_eq!(list(), expected, "{name}");
            }
        }
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
    assert_eq!(plan.counters().left_out(), [0; 4]);
    // With nothing left out, images are those of the sketches themselves.
    let images = images(&rows);
    for metric in Metric::ALL.iter().filter(|metric| !window.summary(**metric).is_empty()) {
        let image = match window.summary(*metric) {
            Summary::Counter(_) => continue,
            Summary::Cardinality(sketch) => sketch.image(),
            Summary::Quantiles(sketch) => sketch.image(),
            Summary::FrequentItems(list) => list.image(),
        };
        assert_eq!(
            images[metric.about().name].len(),
            image.len(),
            "{}",
            metric.about().name
        );
        match window.summary(*metric) {
            // Their order is that of a table whose seed differs from sketch to sketch.
            Summary::FrequentItems(list) => {
                let read = List::of_image(&images[metric.about().name]).unwrap();
                assert_eq!((read.rows(1000), read.weight()), (list.rows(1000), list.weight()));
            }
            Summary::Cardinality(_) => {
                assert!(images[metric.about().name] == image);
                Cardinality::of_image(&image).unwrap();
            }
            _ => assert!(images[metric.about().name] == image),
        }
    }
}

#[test]
fn no_message_is_longer_than_the_path_takes() {
    let long = format!("{}.", "a".repeat(63)).repeat(3);
    for (label, octets) in [
        ("host", 512),
        ("host", 1400),
        (long.as_str(), 512),
        (long.as_str(), 1400),
    ] {
        assert!(label.len() <= CUT_NAME_OCTETS);
        let window = window(3000, label);
        for budget in [SUMMARY_OCTETS, 1 << 20] {
            let mut plan = SummaryPlan::new(config(budget, true), octets, 0);
            let records = plan.records(&window);
            let count = records.len();
            let heard = hear(&mut process(octets), &batch(records), 0);
            assert_eq!(heard.rows.len(), count);
            assert!(heard.longest <= usize::from(octets), "{} above {octets}", heard.longest);
            // Every metric is there, each image is whole, and what is missing is said.
            for (name, image) in images(&heard.rows) {
                let whole = of_metric(&heard.rows, &name);
                let metric = Metric::by_name(&name).unwrap();
                assert_eq!(metric.about().kind as u8, whole["summaryKind"]);
                assert!(!image.is_empty());
                if let Summary::FrequentItems(list) = window.summary(metric) {
                    assert_eq!(List::of_image(&image).unwrap().weight(), list.weight(), "{name}");
                }
            }
            let declared = DECLARED.map(|name| {
                let row = heard.rows.iter().find(|row| row["summaryMetric"] == name);
                row.map_or(0, |row| row["sketchStreamWeight"].as_u64().unwrap())
            });
            assert_eq!(declared, plan.counters().left_out());
        }
    }
}

/// The budget is kept whatever the traffic does, and full sketches of little and of much traffic take as much.
#[test]
fn the_budget_does_not_follow_the_traffic() {
    let mut sizes = Vec::new();
    for packets in [60_000, 240_000, 600_000] {
        let window = window(packets, "host");
        for (budget, images) in [
            (SUMMARY_OCTETS, true),
            (SUMMARY_OCTETS_WITHOUT_IMAGES, false),
            (16_384, true),
            (2048, true),
        ] {
            let mut plan = SummaryPlan::new(config(budget, images), 1400, 0);
            let records = plan.records(&window);
            let heard = hear(&mut process(1400), &batch(records), 0);
            let counted = plan.counters();
            assert!(heard.octets <= budget as usize, "{} of {budget}", heard.octets);
            assert!(
                heard.octets as u64 <= counted.octets,
                "{} above {}",
                heard.octets,
                counted.octets
            );
            if budget == SUMMARY_OCTETS {
                assert_eq!((counted.metrics_left_out, counted.rows_left_out), (0, 0));
                sizes.push(heard.octets);
            }
            if budget == 2048 {
                assert!(counted.metrics_left_out > 0 && counted.rows_left_out > 0, "{counted:?}");
            }
        }
    }
    let (least, most) = (*sizes.iter().min().unwrap() as f64, *sizes.iter().max().unwrap() as f64);
    assert!(most <= 1.1 * least, "{sizes:?}");
}

/// A minute of short windows takes no more than one of a long one, and an hour's window no more than a minute's.
#[test]
fn the_budget_is_of_a_minute_however_long_windows_are() {
    let mut window = window(30_000, "host");
    for seconds in [1, 10, 60, 3600] {
        let mut plan = SummaryPlan::new(config(SUMMARY_OCTETS, true), 1400, 0);
        let mut process = process(1400);
        let mut octets = 0;
        let windows = (60 / seconds).max(1);
        for at in 0..windows {
            window.start_ns = START_NS + at * seconds * SECOND_NS;
            window.end_ns = window.start_ns + seconds * SECOND_NS;
            let records = plan.records(&window);
            assert!(!records.is_empty());
            let said = batch(records);
            process.handle_records(NOW, &said, 0);
            octets += std::iter::from_fn(|| process.poll_message())
                .filter(|message| message.flow_records > 0)
                .map(|message| message.bytes.len())
                .sum::<usize>();
        }
        assert_eq!(plan.counters().windows, windows as u64);
        // Templates and their types are repeated by time; here they come once.
        assert!(
            octets <= SUMMARY_OCTETS as usize + 2000,
            "{octets} in windows of {seconds} s"
        );
    }
}

/// Where a window's share is too small for anything, nothing leaves, and that is counted.
#[test]
fn a_budget_for_nothing_is_kept_too() {
    let mut window = window(3000, "host");
    for (budget, leaves) in [(1024, false), (16_384, true)] {
        let mut plan = SummaryPlan::new(config(budget, true), 1400, 0);
        for at in 0..60 {
            window.start_ns = START_NS + at * SECOND_NS;
            window.end_ns = window.start_ns + SECOND_NS;
            assert_eq!(!plan.records(&window).is_empty(), leaves, "{budget}");
        }
        let counted = plan.counters();
        assert!(counted.octets <= u64::from(budget), "{} of {budget}", counted.octets);
        assert!(
            counted.metrics_left_out > 60 && counted.images_left_out > 60,
            "{counted:?}"
        );
    }
}

#[test]
fn what_comes_late_takes_what_was_kept_for_it() {
    let window = window(30_000, "host");
    let budget = 16_384;
    let mut plan = SummaryPlan::new(config(budget, true), 1400, 7);
    let mut octets = 0;
    let mut windows = Vec::new();
    for _ in 0..4 {
        let records = plan.records(&window);
        assert!(records.iter().all(|record| record.selector == 7));
        windows.push(records.len());
        let heard = hear(&mut process(1400), &batch(records), 0);
        assert!(heard.rows.iter().all(|row| row["selectorId"] == 7));
        octets += heard.octets;
    }
    assert!(octets <= budget as usize, "{octets}");
    assert!(windows[0] > windows[1] && windows[1] > 0, "{windows:?}");
    assert!(
        plan.counters().metrics_left_out > 0,
        "counted even where nothing leaves"
    );
}

#[test]
fn a_batch_that_is_sent_again_goes_on_where_it_was() {
    let window = window(3000, "host");
    let records = SummaryPlan::new(SummaryExportConfig::default(), 1400, 0).records(&window);
    let all = batch(records);
    let whole = hear(&mut process(1400), &all, 0).rows;
    let rest = hear(&mut process(1400), &all, 20).rows;
    assert_eq!(rest, whole[20..]);
}
