//! HTTP/1, SSH, SMTP, DHCP and STUN through the whole Metering Process, beside the truth of generated traffic and beside
//! tshark on captures that others made.
//!
//! Neither is part of this repository: without them the tests say what they leave out and pass.
#![allow(clippy::unwrap_used)]

#[path = "applications/metering.rs"]
mod metering;
#[path = "applications/truth.rs"]
mod truth;
#[path = "applications/tshark.rs"]
mod tshark;

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
            "skipped: nothing at {}: applications there are not compared",
            folder.display()
        );
        return None;
    }
    Some(folder)
}
