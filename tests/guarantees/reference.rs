//! The pages of docs/reference that the programs can say themselves are what they say today.

use std::path::Path;
use std::process::Command;

use crate::support::{program, root, skipped, text};

/// The line in which two texts part, counted from 1.
fn first_difference<'t>(left: &'t str, right: &'t str) -> (usize, &'t str, &'t str) {
    let (mut left, mut right) = (left.lines(), right.lines());
    let mut line = 1;
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => line += 1,
            (a, b) => return (line, a.unwrap_or("(the end)"), b.unwrap_or("(the end)")),
        }
    }
}

#[test]
fn the_reference_pages_are_what_the_programs_say() {
    if Command::new("python3").arg("--version").output().is_err() {
        skipped("reference pages beside the programs", "no python3");
        return;
    }
    let programs = program("flowgauge-collector");
    let programs = programs.parent().unwrap();
    program("flowgauge-exporter");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(root().join("tests/reference.sh"))
        .arg(folder.path())
        .env("FLOWGAUGE_PROGRAMS", programs)
        .output()
        .expect("bash");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.to_string_lossy()).collect();
    assert_eq!(
        names,
        [
            "columns.md",
            "configuration.md",
            "elements.md",
            "filter.md",
            "http.md",
            "metrics.md"
        ]
    );
    let read = |folder: &Path, page| std::fs::read_to_string(folder.join(page)).unwrap();
    for page in &pages {
        let (kept, made) = (read(&root().join("docs/reference"), page), read(folder.path(), page));
        if kept != made {
            let (line, kept, made) = first_difference(&kept, &made);
            panic!(
                "docs/reference/{}:{line}: is {kept:?} and would be {made:?}; run tests/reference.sh and look at the diff",
                page.display()
            );
        }
    }
}
