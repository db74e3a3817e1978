//! Rules of the house that a machine can hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{root, text};

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if !path.ends_with("node_modules") && !path.ends_with("dist") => open.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--package",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The exporter and the collector meet only here; templates know no runtime; the registry knows nobody.
#[test]
fn the_arrows_run_one_way() {
    assert!(!dependencies("flowgauge-exporter").contains("flowgauge-collector"));
    assert!(!dependencies("flowgauge-collector").contains("flowgauge-exporter"));
    let templates = dependencies("flowgauge-templates");
    assert!(
        templates.is_disjoint(&["tokio", "axum", "pcap", "tantivy"].map(str::to_owned).into()),
        "{templates:?}"
    );
    let ours: Vec<_> = dependencies("flowgauge-ie-registry")
        .into_iter()
        .filter(|name| name.starts_with("flowgauge"))
        .collect();
    assert_eq!(ours, ["flowgauge-ie-registry"]);
}

/// The names that a store never sees, since arrows run from it.
#[test]
fn the_store_does_not_know_who_asks() {
    // Its tests may look at it through a query.
    for path in sources("collector/src/store")
        .into_iter()
        .filter(|path| !path.to_string_lossy().ends_with("tests.rs"))
    {
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(
            !source.contains("crate::query") && !source.contains("crate::api"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for folder in [
        "ie-registry/src",
        "templates/src",
        "exporter/src",
        "collector/src",
        "tests/guarantees",
    ] {
        for path in sources(folder) {
            let source = std::fs::read_to_string(&path).unwrap();
            assert!(source.starts_with("//!"), "{} has no first line", path.display());
        }
    }
}

#[test]
fn no_file_is_named_for_nothing() {
    for folder in ["ie-registry/src", "templates/src", "exporter/src", "collector/src"] {
        for path in sources(folder) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(
                !["util", "utils", "helper", "helpers", "common", "manager", "misc"].contains(&&*name),
                "{}",
                path.display()
            );
        }
    }
}

/// Each decision has a number and a heading, and each crate that is depended on has its line of reason.
#[test]
fn every_dependency_has_its_reason() {
    let reasons = std::fs::read_to_string(root().join("docs/decisions/dependencies.md")).unwrap();
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    for line in section.lines() {
        let Some((name, _)) = line.split_once(" = ") else {
            continue;
        };
        assert!(
            name.starts_with("flowgauge") || reasons.contains(&format!("`{name}`")),
            "{name} has no reason"
        );
    }
}

#[test]
fn links_within_the_documents_lead_somewhere() {
    let mut documents = vec![root().join("README.md"), root().join("fixtures/README.md")];
    let mut open = vec![root().join("docs")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.starts_with("http") {
                continue;
            }
            let place = document.parent().unwrap_or(Path::new(".")).join(path);
            assert!(place.exists(), "{}: {target}", document.display());
        }
    }
}
