//! What other flow meters said about the same captures holds, but for differences with a written reason.

use std::process::Command;

use crate::support::{program, root, shared, skipped, text};

#[test]
fn biflows_agree_with_what_other_meters_expect() {
    const WHAT: &str = "FlowTest, ipfixprobe, Zeek, JA4, suricata-verify and nDPI beside the exporter";
    let Some(shared) = shared() else {
        skipped(WHAT, "no corpus");
        return;
    };
    let has_yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    if !has_yaml.is_ok_and(|output| output.status.success()) {
        skipped(WHAT, "no python3 with PyYAML (Debian: python3-yaml)");
        return;
    }
    let output = Command::new("python3")
        .arg(root().join("tests/agreement"))
        .arg("--exporter")
        .arg(program("flowgauge-exporter"))
        .arg("--shared")
        .arg(shared)
        .arg("--check")
        .arg(root().join("docs/reference/agreement.md"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    println!("{}", text(&output.stdout));
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}
