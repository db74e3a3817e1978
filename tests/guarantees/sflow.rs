//! What the exporter samples for sFlow is what our own collector stores: every packet once, with its octets, and counters
//! as counters.

use crate::support::collector::Collector;
use crate::support::{biflows, program, root, succeed, text};

#[test]
fn our_collector_stores_every_sample_of_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, file) = (root().join("fixtures/office.pcap"), folder.path().join("office.ipfix"));
    let collector = Collector::start(&folder.path().join("store"));
    let sflow = format!("sflow://127.0.0.1:{}", collector.port);
    let output = succeed(
        &program("flowgauge-exporter"),
        &[
            "run",
            "--read",
            capture.to_str().unwrap(),
            "--to",
            &sflow,
            "--to",
            &format!("file:{}", file.display()),
            "--sflow-sample",
            "1/1",
            "--sflow-polling",
            "1h",
        ],
    );
    let said = text(&output.stderr);
    // Metering's account of the same packets, in flow records.
    let decoded = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let (packets, octets) = biflows::totals(&biflows::decoded(&text(&decoded.stdout)));
    assert!(
        said.contains(&format!(
            "sFlow: {packets} packets seen = {packets} sampled + 0 not sampled; {packets} flow samples and 1 counter samples sent"
        )),
        "{said}"
    );
    // A row for each sample, and one for the counters.
    collector.wait_for(packets);
    let rows = collector.get("/api/v1/aggregate?metrics=flows,packets,octets&filter=kind%20%3D%20flow")["rows"].clone();
    let number = |name: &str| rows[0][name].as_f64().unwrap() as u64;
    assert_eq!(
        (number("flows"), number("packets"), number("octets")),
        (packets, packets, octets)
    );
    let ledger = collector.get("/api/v1/status")["ledger"].clone();
    assert_eq!(ledger["errors"]["total"].as_u64().unwrap_or(0), 0, "{ledger}");
}
