//! TLS, DTLS and QUIC hellos of captures that others made, beside what others read in them.
//!
//! Each test prints its table: how many agree, and each difference with its reason. Captures and goldens are not part of
//! this repository: without them the tests say what they leave out and pass.
#![allow(clippy::unwrap_used)]

#[path = "tls/foxio.rs"]
mod foxio;
#[path = "tls/reading.rs"]
mod reading;
#[path = "tls/synth.rs"]
mod synth;
#[path = "tls/tshark.rs"]
mod tshark;
#[path = "tls/zeek.rs"]
mod zeek;

use std::path::{Path, PathBuf};

/// A folder of shared material, or a line that it is not there.
fn shared(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join(folder);
    if !folder.is_dir() {
        println!(
            "skipped: nothing at {}: TLS and QUIC there are not compared",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// Every capture below a folder, sorted.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if name.contains(".pcap") || name.ends_with(".cap") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The name of a capture below `folder`.
fn name(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// Differences that are known, by a part of their text, with their reason. The rest fails a test.
fn explain(differences: Vec<String>, reasons: &[(&str, &str)]) {
    let mut unexplained = Vec::new();
    for difference in differences {
        match reasons.iter().find(|(part, _)| difference.contains(part)) {
            Some((_, reason)) => println!("  differs: {difference}: {reason}"),
            None => unexplained.push(difference),
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} differ without a reason:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}
