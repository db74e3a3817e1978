//! What the comparisons found, as parts of docs/reference/agreement-collector.md: `make agreement` puts them together.

use std::fmt::Write as _;

/// A part of the page, with a table.
pub struct Part {
    name: &'static str,
    text: String,
}

impl Part {
    /// A part under a title; parts stand in the order of their names.
    pub fn new(name: &'static str, title: &str, about: &str, columns: &[&str]) -> Part {
        let mut part = Part {
            name,
            text: format!("## {title}\n\n{about}\n\n"),
        };
        let heads: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        part.row(&heads);
        let rules: Vec<String> = (0..columns.len())
            .map(|at| if at == 0 { "---" } else { "--:" }.to_owned())
            .collect();
        part.row(&rules);
        part
    }

    /// A row of the table.
    pub fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    /// What differs, and why; nothing where nothing does.
    pub fn differences(&mut self, differences: &[(&str, &str)]) {
        if !differences.is_empty() {
            self.text.push_str("\nDifferences:\n\n");
        }
        for (what, why) in differences {
            let _ = writeln!(self.text, "- {what}: {why}");
        }
    }

    /// Writes it where `FLOWGAUGE_AGREEMENT` says, if it does.
    pub fn write(self) {
        if let Some(folder) = std::env::var_os("FLOWGAUGE_AGREEMENT") {
            let path = std::path::Path::new(&folder).join(self.name).with_extension("md");
            std::fs::write(path, self.text).unwrap();
        }
    }
}
