//! Text under construction in Prometheus' format (0.0.4) or OpenMetrics' (1.0): they differ in the names of counters,
//! in what a unit is, and in how the text ends.

use std::fmt::Write as _;

/// What kind of numbers a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name does not have `_total` yet.
    Counter,
    /// May fall.
    Gauge,
    /// Quantiles, by their label.
    Summary,
}

/// Labels of one sample: names and values.
pub type Labels<'l> = &'l [(&'static str, &'l str)];

/// The text.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    open_metrics: bool,
    /// Name of the samples of the family that was begun last.
    sample: String,
}

impl Exposition {
    /// Nothing yet.
    pub fn new(open_metrics: bool) -> Exposition {
        Exposition {
            text: String::with_capacity(8192),
            open_metrics,
            sample: String::new(),
        }
    }

    /// Begins a family, whose name ends with its unit.
    pub fn family(&mut self, name: &str, kind: Kind, unit: &str, help: &str) {
        debug_assert!(unit.is_empty() || name.ends_with(unit), "{name} {unit}");
        self.sample.clear();
        self.sample.push_str(name);
        let (word, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Summary => ("summary", ""),
        };
        self.sample.push_str(suffix);
        let family = if self.open_metrics { name } else { &self.sample };
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "# HELP {family} {help}");
        let _ = writeln!(self.text, "# TYPE {family} {word}");
        if !unit.is_empty() {
            // In the older format a comment, which parsers pass over.
            let _ = writeln!(self.text, "# UNIT {family} {unit}");
        }
    }

    /// A sample of the family that was begun last.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl std::fmt::Display) {
        self.text.push_str(&self.sample);
        for (at, (label, value)) in labels.iter().enumerate() {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{escaped}\"", if at == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, unit: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, unit, help);
        self.sample(&[], value);
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.open_metrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(open_metrics: bool) -> String {
        let mut text = Exposition::new(open_metrics);
        text.family("x_packets", Kind::Counter, "packets", "Packets.");
        text.sample(&[("interface", "a\"b\\c\n")], 7);
        text.single("x_up", Kind::Gauge, "", "Whether it is up.", 1);
        text.finish()
    }

    #[test]
    fn counters_are_named_as_each_format_wants() {
        assert_eq!(
            text(false),
            "# HELP x_packets_total Packets.\n# TYPE x_packets_total counter\n# UNIT x_packets_total packets\n\
             x_packets_total{interface=\"a\\\"b\\\\c\\n\"} 7\n# HELP x_up Whether it is up.\n# TYPE x_up gauge\nx_up 1\n"
        );
        assert_eq!(
            text(true),
            "# HELP x_packets Packets.\n# TYPE x_packets counter\n# UNIT x_packets packets\n\
             x_packets_total{interface=\"a\\\"b\\\\c\\n\"} 7\n# HELP x_up Whether it is up.\n# TYPE x_up gauge\nx_up 1\n# EOF\n"
        );
    }
}
