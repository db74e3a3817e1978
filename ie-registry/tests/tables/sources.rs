//! Finding and scanning the source files, on purpose not with the script that made the tables.

use std::path::{Path, PathBuf};

/// The text of a file of the registry folder, or `None` after a line that says what was left out.
pub fn registry_file(name: &str) -> Option<String> {
    shared_file(&format!("registry/{name}"))
}

/// Where the sources are when they are there.
pub fn shared_dir() -> PathBuf {
    std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    )
}

pub fn shared_file(name: &str) -> Option<String> {
    match std::fs::read_to_string(shared_dir().join(name)) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("skipped: the comparison with {name}, which is not there");
            None
        }
    }
}

/// What is between the tags of each element of that name that starts in the text.
pub fn blocks<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, open_with, close) = (format!("<{tag}>"), format!("<{tag} "), format!("</{tag}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = [rest.find(&open), rest.find(&open_with)].into_iter().flatten().min() {
        let inside = &rest[start + 1 + rest[start..].find('>').unwrap()..];
        let end = inside.find(&close).unwrap();
        found.push(&inside[..end]);
        rest = &inside[end..];
    }
    found
}

/// The text of the first tag of that name, blanks folded; empty when there is none.
pub fn text_of(block: &str, tag: &str) -> String {
    let inside = blocks(block, tag);
    let text = inside.first().copied().unwrap_or("");
    text.replace("&amp;", "&")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
