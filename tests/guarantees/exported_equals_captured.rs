//! Every packet of a capture is in a biflow of the export, with its octets and in its direction.

use std::path::Path;

use crate::support::biflows::{self, Biflows};
use crate::support::{program, root, skipped, succeed, synth, text};

/// Longer than any capture here, so that no timeout splits a biflow.
const NEVER: &str = "1d";

pub fn export(capture: &Path, folder: &Path) -> Biflows {
    let file = folder.join("export.ipfix");
    let destination = format!("file:{}", file.display());
    let timeouts = ["--idle-timeout", NEVER, "--active-timeout", NEVER];
    let arguments = [
        &["run", "--read", capture.to_str().unwrap(), "--to", &destination][..],
        &timeouts,
    ]
    .concat();
    succeed(&program("flowgauge-exporter"), &arguments);
    let decoded = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    biflows::decoded(&text(&decoded.stdout))
}

fn compare(exported: &Biflows, truth: &Biflows, least: usize) {
    assert!(truth.len() >= least, "the truth has {} biflows", truth.len());
    let mut wrong = Vec::new();
    for (key, counts) in truth {
        match exported.get(key) {
            Some(found) if (found.packets, found.octets) == (counts.packets, counts.octets) => {}
            found => wrong.push(format!("{key:?}: {counts:?}, exported {found:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        truth.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}

#[test]
fn of_a_minute_in_an_office() {
    let folder = tempfile::tempdir().unwrap();
    let exported = export(&root().join("fixtures/office.pcap"), folder.path());
    let truth = biflows::truth(&root().join("fixtures/office.json"));
    compare(&exported, &truth, 100);
    assert_eq!(exported.len(), truth.len(), "no biflow is made up");
    for (key, counts) in &truth {
        assert_eq!(
            (exported[key].flags, exported[key].records),
            (counts.flags, 1),
            "{key:?}"
        );
    }
}

fn of_generated(profile: &str, seed: u32, packets: u32, least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let Some((capture, truth)) = synth(folder.path(), profile, seed, packets) else {
        return skipped("generated traffic", "the traffic generator is not beside the checkout");
    };
    compare(&export(&capture, folder.path()), &biflows::truth(&truth), least);
}

#[test]
fn of_generated_mixed_traffic() {
    of_generated("mix", 7, 200_000, 10_000);
}

#[test]
fn of_every_kind_of_conversation() {
    of_generated("tiny", 11, 3_000, 50);
}

#[test]
fn of_a_scan() {
    of_generated("scan", 3, 30_000, 5_000);
}
