//! Enrichment against second sources: the source of MaxMind's test databases, Python's `ipaddress`, and naive models.

mod files;
mod names;
mod networks;
mod places;
mod rows;

use std::path::{Path, PathBuf};

/// The test databases of MaxMind, where they are.
fn databases() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let folder = shared.join("registry/geo");
    if !folder.is_dir() {
        println!(
            "skipped: no databases at {}: places are not looked up",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// An address in the mapped form.
fn ip(text: &str) -> u128 {
    crate::normalize::row::ip_to_u128(text.parse().unwrap())
}
