//! A kernel with SCTP for tests, where this machine's has none: tests/sctp-kernel.sh.

use std::process::Command;

use super::{program, root, skipped, text};

/// Set within the borrowed kernel.
const WITHIN: &str = "FLOWGAUGE_WITHIN_SCTP_KERNEL";

/// Runs the test of this whole name under a kernel with SCTP; says whether it has to run here, being under one.
pub fn has_sctp(test: &str) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    // Built outside: inside there is one processor, and it is a slow one.
    program("flowgauge-exporter");
    program("flowgauge-collector");
    let output = Command::new(root().join("tests/sctp-kernel.sh"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs([(WITHIN, "1"), ("FLOWGAUGE_BUILT", "1")])
        .output()
        .unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    match output.status.code() {
        Some(125) => skipped("SCTP", said.lines().last().unwrap_or("no kernel has it")),
        _ => assert!(output.status.success(), "{said}"),
    }
    false
}
