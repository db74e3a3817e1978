//! Summaries that are exported say what `summary` prints of the same packets, and other people's programs read them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::peers::{Nfcapd, is_installed};
use crate::support::{free_port, program, root, skipped, succeed, synth, text};

/// One window holds all of a capture.
const WINDOW: &str = "1h";

/// Traffic of DNS where the generator is there, else the fixture.
fn capture(folder: &Path) -> std::path::PathBuf {
    synth(folder, "dns", 11, 20_000).map_or_else(|| root().join("fixtures/office.pcap"), |(capture, _)| capture)
}

fn export(capture: &Path, more: &[&str]) -> String {
    let mut arguments = vec!["run", "--read", capture.to_str().unwrap()];
    arguments.extend(more);
    text(&succeed(&program("flowgauge-exporter"), &arguments).stderr)
}

/// The fields of the records that are summaries.
fn summaries(lines: impl Iterator<Item = Value>) -> Vec<Value> {
    lines.filter(|fields| fields.get("summaryMetric").is_some()).collect()
}

/// Without the keys with which every line begins, which are of no element.
fn of_json(file: &Path) -> Vec<Value> {
    const HEAD: usize = 7;
    let lines = std::fs::read_to_string(file).unwrap();
    summaries(lines.lines().map(|line| {
        let fields: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        fields.into_iter().skip(HEAD).collect()
    }))
}

fn of_ipfix(file: &Path) -> Vec<Value> {
    let output = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let lines = text(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    summaries(lines.map(|mut line| line["fields"].take()))
}

/// The values of a record in the form in which `summary` prints them; floats of 32 bits as they are printed there.
fn printed(fields: &Value) -> Value {
    let rows = || fields["subTemplateList"].as_array().cloned().unwrap_or_default();
    match fields["summaryKind"].as_u64() {
        Some(1) => json!({"value": fields["sketchStreamWeight"]}),
        Some(2) => json!({"value": fields["sketchEstimate"], "lower": fields["lowerCILimit"],
            "upper": fields["upperCILimit"], "confidence": fields["confidenceLevel"]}),
        Some(3) => {
            let mut value = json!({"count": fields["sketchStreamWeight"]});
            let names = [
                (0.0, "min"),
                (0.5, "p50"),
                (0.9, "p90"),
                (0.95, "p95"),
                (0.99, "p99"),
                (0.999, "p99.9"),
                (1.0, "max"),
            ];
            for row in rows() {
                let rank = row["summaryQuantileRank"].as_f64().unwrap();
                let (_, name) = names.iter().find(|(known, _)| *known == rank).unwrap();
                value[*name] = match *name {
                    "min" | "max" => row["summaryQuantileValue"].clone(),
                    _ => json!({"value": row["summaryQuantileValue"], "lower": row["lowerCILimit"],
                        "upper": row["upperCILimit"], "confidence": fields["confidenceLevel"]}),
                };
            }
            value
        }
        Some(4) => {
            let rows: Vec<Value> = rows()
                .iter()
                .map(|row| {
                    json!({"item": row["summaryItem"], "value": row["summaryItemWeight"],
                        "lower": row["summaryItemLowerBound"], "upper": row["summaryItemUpperBound"]})
                })
                .collect();
            json!({"weight": fields["sketchStreamWeight"], "rows": rows})
        }
        kind => panic!("kind {kind:?}"),
    }
}

#[test]
fn what_leaves_is_what_summary_prints() {
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path());
    let (lines, file) = (folder.path().join("a.json"), folder.path().join("a.ipfix"));
    // DNS transactions are summed up although none is exported.
    let accounts = export(
        &capture,
        &[
            "--summaries",
            WINDOW,
            "--dns",
            "off",
            "--to",
            &format!("json:{}", lines.display()),
            &format!("file:{}", file.display()),
        ],
    );
    let arguments = ["summary", "--read", capture.to_str().unwrap(), "--window", WINDOW];
    let summary = text(&succeed(&program("flowgauge-exporter"), &arguments).stdout);
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["windows"], 1);
    let metrics = summary["metrics"].as_object().unwrap();
    let (of_json, of_ipfix) = (of_json(&lines), of_ipfix(&file));
    assert_eq!(of_json, of_ipfix, "several destinations each get everything");

    let mut readable: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut images: BTreeMap<&str, usize> = BTreeMap::new();
    for fields in &of_ipfix {
        let name = fields["summaryMetric"].as_str().unwrap();
        assert_eq!(
            fields["flowStartMilliseconds"].as_str(),
            summary["from"].as_str().map(with_milliseconds).as_deref()
        );
        if let Some(image) = fields.get("sketchImage") {
            let before = images.entry(name).or_default();
            assert_eq!(
                fields["sectionOffset"].as_u64(),
                Some(*before as u64),
                "{name}: parts follow each other"
            );
            *before += image.as_str().unwrap().len() / 2;
            assert!(*before as u64 <= fields["sketchImageOctets"].as_u64().unwrap());
        }
        if fields.get("sketchStreamWeight").is_some() || fields.get("sketchEstimate").is_some() {
            assert!(readable.insert(name, fields).is_none(), "{name} is readable once");
        }
    }
    for (name, metric) in metrics {
        // Counters of nothing do not leave.
        if metric["value"] == 0 {
            assert!(!readable.contains_key(name.as_str()));
            continue;
        }
        let said = printed(
            readable
                .remove(name.as_str())
                .unwrap_or_else(|| panic!("{name} did not leave")),
        );
        for (key, value) in said.as_object().unwrap() {
            if key.starts_with('p') {
                // Sketches of quantiles draw lots: two of the same values differ, within their limits.
                let limits = |of: &Value| ["lower", "upper"].map(|limit| of[limit].as_f64().unwrap());
                let ([lower, upper], [least, most]) = (limits(value), limits(&metric[key]));
                assert!(
                    lower <= most && least <= upper,
                    "{name} {key}: {value} and {}",
                    metric[key]
                );
                assert_eq!(value["confidence"], metric[key]["confidence"]);
            } else {
                assert_eq!(value, &metric[key], "{name} {key}");
            }
        }
        if metric["kind"] != "counter" {
            assert!(images[name.as_str()] > 0, "{name} has an image");
        }
    }
    let left: Vec<_> = readable.keys().filter(|name| !name.starts_with("export.")).collect();
    assert!(left.is_empty(), "{left:?} in no summary");
    assert!(accounts.contains("1 windows closed, 1 exported in "), "{accounts}");
    assert!(
        !of_json.iter().any(|fields| fields.get("dnsQueryName").is_some()),
        "no transactions"
    );
}

fn with_milliseconds(time: &str) -> String {
    time.replace('Z', ".000Z")
}

/// nfcapd takes every Data Record that has a time for a flow: the records are counted, nothing else changes.
#[test]
fn nfcapd_finds_no_gap_and_no_packet_more() {
    if !is_installed("nfcapd") {
        return skipped("nfcapd", "it is not installed (Debian: nfdump)");
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path());
    let mut summaries = Vec::new();
    for window in ["off", "10s"] {
        let (port, store) = (free_port(), folder.path().join(window));
        std::fs::create_dir(&store).unwrap();
        let peer = Nfcapd::start(&store, port);
        let file = folder.path().join(format!("{window}.json"));
        let (to, json) = (format!("udp://127.0.0.1:{port}"), format!("json:{}", file.display()));
        export(&capture, &["--summaries", window, "--to", &to, &json]);
        let said = peer.summary();
        assert_eq!(said.get("Sequence failures"), Some(&0), "{said:?}");
        let lines = std::fs::read_to_string(&file).unwrap().lines().count() as u64;
        assert_eq!(said["Flows"], lines);
        summaries.push(["Packets", "Bytes"].map(|name| said[name]));
    }
    assert_eq!(summaries[0], summaries[1]);
}

#[test]
fn ipfixdump_and_tshark_read_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path());
    let file = folder.path().join("a.ipfix");
    // tshark takes templates of at most 60 fields unless told otherwise.
    export(
        &capture,
        &[
            "--summaries",
            WINDOW,
            "--tcp-performance",
            "off",
            "--applications",
            "none",
            "--to",
            &format!("file:{}", file.display()),
        ],
    );
    let ours = of_ipfix(&file);
    if !is_installed("ipfixDump") {
        skipped("ipfixDump", "it is not installed (Debian: libfixbuf-tools)");
    } else {
        let dump = Command::new("ipfixDump")
            .args(["--in", file.to_str().unwrap(), "--rfc5610"])
            .output()
            .unwrap();
        assert!(dump.status.success(), "{}", text(&dump.stderr));
        assert_eq!(text(&dump.stderr), "", "no warning");
        let lines = text(&dump.stdout);
        let values = |name: &str| -> Vec<String> {
            let mark = format!(" {name} : ");
            let found = lines
                .lines()
                .filter_map(|line| Some(line.split_once(&mark)?.1.to_owned()));
            // Text has its length before it.
            found
                .map(|value| {
                    value
                        .split_once(") ")
                        .map_or(value.clone(), |(_, text)| text.to_owned())
                })
                .collect()
        };
        let number = |value: &Value| value.to_string();
        let of_ours = |name: &str| -> Vec<&Value> { ours.iter().filter_map(|fields| fields.get(name)).collect() };
        let metrics: Vec<&str> = of_ours("summaryMetric")
            .iter()
            .filter_map(|name| name.as_str())
            .collect();
        assert_eq!(values("summaryMetric"), metrics);
        let weights: Vec<String> = of_ours("sketchStreamWeight").into_iter().map(number).collect();
        assert_eq!(values("sketchStreamWeight"), weights);
        let offsets: Vec<String> = of_ours("sectionOffset").into_iter().map(number).collect();
        assert_eq!(values("sectionOffset"), offsets);
        let rows: Vec<&Value> = of_ours("subTemplateList")
            .into_iter()
            .flat_map(|list| list.as_array().unwrap())
            .collect();
        let items: Vec<&str> = rows.iter().filter_map(|row| row.get("summaryItem")?.as_str()).collect();
        assert!(items.len() > 10);
        assert_eq!(values("summaryItem"), items);
        let weights: Vec<String> = rows
            .iter()
            .filter_map(|row| row.get("summaryItemWeight"))
            .map(number)
            .collect();
        assert_eq!(values("summaryItemWeight"), weights);
    }
    if !is_installed("tshark") {
        return skipped("tshark", "it is not installed (Debian: tshark)");
    }
    let wrong = Command::new("tshark")
        .args([
            "-r",
            file.to_str().unwrap(),
            "-Y",
            "_ws.malformed || _ws.expert.severity >= warning",
        ])
        .output()
        .unwrap();
    assert!(wrong.status.success());
    assert_eq!(text(&wrong.stdout), "");
}
