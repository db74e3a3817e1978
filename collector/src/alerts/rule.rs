//! One rule: what is measured, over which flows, and from which value on that is an alert.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::collecting::exporters::Prefix;
use crate::limits::{ALERT_LABELS, ALERT_RULES, ALERT_TEXT_OCTETS};
use crate::normalize::columns::ColumnKind;
use crate::quantity::duration_text;
use crate::query::time::parse_duration;
use crate::query::{AggregateRequest, aggregate, filter};
use crate::store::Snapshot;

/// Where the values of a rule come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A metric over stored flows.
    Flows,
    /// How long nothing came from an exporter, nanoseconds; a group for each.
    ExporterSilence,
    /// The part of what an exporter sent that did not arrive, by its sequence numbers; a group for each.
    ExporterLoss,
    /// What the collector itself lost within the window, by reason.
    CollectorLost,
}

impl Source {
    /// Those that are no metrics of flows, by the name they have in a rule.
    pub const SPECIAL: [(Source, &'static str); 3] = [
        (Source::ExporterSilence, "exporter.silence"),
        (Source::ExporterLoss, "exporter.loss"),
        (Source::CollectorLost, "collector.lost"),
    ];

    fn of(metric: &str) -> Source {
        let special = Source::SPECIAL.iter().find(|(_, name)| *name == metric);
        special.map_or(Source::Flows, |(source, _)| *source)
    }
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// All of them, as they are written.
    pub const ALL: [(Comparison, &'static str); 4] = [
        (Comparison::Greater, ">"),
        (Comparison::GreaterOrEqual, ">="),
        (Comparison::Less, "<"),
        (Comparison::LessOrEqual, "<="),
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        let written = Comparison::ALL.iter().find(|(comparison, _)| *comparison == self);
        written.map_or(">", |(_, text)| text)
    }

    /// Whether it holds.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Comparison::Greater => value > bound,
            Comparison::GreaterOrEqual => value >= bound,
            Comparison::Less => value < bound,
            Comparison::LessOrEqual => value <= bound,
        }
    }

    /// Whether large values are the bad ones.
    pub fn is_upwards(self) -> bool {
        matches!(self, Comparison::Greater | Comparison::GreaterOrEqual)
    }
}

/// Severities, the least first.
pub const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, which no other rule has.
    pub name: String,
    /// What it is about, for people.
    pub description: String,
    /// Which flows; blank is all.
    pub filter: String,
    /// Which of these flows a ratio is of; without it there is none.
    pub part: Option<String>,
    /// The metric, as `/aggregate` takes it, or the name of a special one.
    pub metric: String,
    /// Columns whose values have states of their own.
    pub group_by: Vec<String>,
    /// Of which exporters, for the special metrics of exporters; empty is all.
    pub exporters: Vec<Prefix>,
    /// How much time a value is of.
    pub window_ns: i64,
    /// How long a value must be bad before it fires.
    pub for_ns: i64,
    /// What is bad.
    pub op: Comparison,
    /// From where on.
    pub threshold: f64,
    /// What fires goes on until the value is on the good side of this.
    pub clear: f64,
    /// A ratio of less than this says nothing.
    pub at_least: f64,
    /// One of [`SEVERITIES`].
    pub severity: &'static str,
    /// Whatever the receiver of an alert wants to know.
    pub labels: BTreeMap<String, String>,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            name: String::new(),
            description: String::new(),
            filter: String::new(),
            part: None,
            metric: String::new(),
            group_by: Vec::new(),
            exporters: Vec::new(),
            window_ns: 300_000_000_000,
            for_ns: 0,
            op: Comparison::Greater,
            threshold: 0.0,
            clear: 0.0,
            at_least: 0.0,
            severity: "warning",
            labels: BTreeMap::new(),
        }
    }
}

impl Rule {
    /// Where its values come from.
    pub fn source(&self) -> Source {
        Source::of(&self.metric)
    }

    /// Whether each value of some column has a state of its own.
    pub fn has_groups(&self) -> bool {
        self.source() != Source::Flows || !self.group_by.is_empty()
    }

    /// Whether both ask for the same value, so that a state of one is one of the other.
    pub fn asks_as(&self, other: &Rule) -> bool {
        let question = |rule: &Rule| (rule.filter.clone(), rule.part.clone(), rule.metric.clone());
        self.name == other.name
            && question(self) == question(other)
            && self.group_by == other.group_by
            && self.op == other.op
    }

    /// Everything about one rule that can be seen without others.
    ///
    /// # Errors
    /// The key that is wrong and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |key: &'static str, why: &str| Err((key, why.to_owned()));
        self.check_texts()?;
        if self.metric.is_empty() {
            return wrong(
                "metric",
                "it is missing: octets, bps, unique(src.ip), exporter.silence, ..",
            );
        }
        if self.window_ns <= 0 {
            return wrong("window", "it is not longer than 0");
        }
        let (up, clear, threshold) = (self.op.is_upwards(), self.clear, self.threshold);
        if up && clear > threshold || !up && clear < threshold {
            let side = if up { "at most" } else { "at least" };
            let why = format!("with op {} it is {side} the threshold, {threshold}", self.op.as_str());
            return Err(("clear", why));
        }
        if self.source() != Source::Flows {
            for (key, is_there) in [
                ("filter", !self.filter.trim().is_empty()),
                ("where", self.part.is_some()),
                ("group_by", !self.group_by.is_empty()),
            ] {
                if is_there {
                    return Err((key, format!("{} is not measured on flows", self.metric)));
                }
            }
            return Ok(());
        }
        if !self.exporters.is_empty() {
            return wrong(
                "exporters",
                "of a metric of flows; write filter = \"exporter.ip in (..)\"",
            );
        }
        for (key, text) in [("filter", Some(&self.filter)), ("where", self.part.as_ref())] {
            if let Some(text) = text {
                let told = |text: String| text.strip_prefix("filter, ").unwrap_or(&text).to_owned();
                filter::parse(text, 0).map_err(|error| (key, told(error.to_string())))?;
            }
        }
        if self.at_least != 0.0 && self.part.is_none() {
            return wrong(
                "at_least",
                "it is for ratios, and there is none; add where = \"..\", what a ratio is of, or leave at_least out",
            );
        }
        self.check_question()
    }

    /// Asks the empty store: what it can say nothing about is refused here.
    fn check_question(&self) -> Result<(), (&'static str, String)> {
        let request = AggregateRequest {
            from_ns: Some(0),
            to_ns: Some(self.window_ns),
            group_by: self.group_by.clone(),
            metrics: vec![self.metric.clone()],
            ..AggregateRequest::default()
        };
        match aggregate(&Snapshot::default(), &request) {
            Ok(table) => {
                let metric = table.columns.get(self.group_by.len());
                let is_number = |kind| matches!(kind, ColumnKind::Number | ColumnKind::Float | ColumnKind::Duration);
                match metric.is_none_or(|column| is_number(column.kind)) {
                    true => Ok(()),
                    false => {
                        let why = format!(
                            "{} is no number, and no threshold is above or below it; take a number or a duration, as \
                             max(duration) is, or exporter.silence for how long nothing came",
                            self.metric
                        );
                        Err(("metric", why))
                    }
                }
            }
            Err(error) => {
                let text = error.to_string();
                let (key, nearest) = match error {
                    crate::query::QueryError::Request { parameter, nearest, .. } => (parameter, nearest),
                    _ => ("metric", None),
                };
                let key = if key == "group_by" { "group_by" } else { "metric" };
                let near = nearest.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                Err((key, format!("{text}{near}")))
            }
        }
    }

    fn check_texts(&self) -> Result<(), (&'static str, String)> {
        let is_wrong = |text: &str| text.len() > ALERT_TEXT_OCTETS || text.chars().any(char::is_control);
        let why = || format!("it has more than {ALERT_TEXT_OCTETS} octets, or control characters");
        if self.name.trim().is_empty() {
            return Err(("name", "it is missing".to_owned()));
        }
        for (key, text) in [("name", &self.name), ("description", &self.description)] {
            if is_wrong(text) {
                return Err((key, why()));
            }
        }
        if self.labels.iter().any(|(name, text)| is_wrong(name) || is_wrong(text)) {
            return Err(("labels", why()));
        }
        match self.labels.len() > ALERT_LABELS {
            true => Err(("labels", format!("there are more than {ALERT_LABELS}"))),
            false => Ok(()),
        }
    }
}

/// What can only be wrong between rules: too many, or two of one name. The place of the rule and why.
pub fn check_together(rules: &[Rule]) -> Result<(), (usize, String)> {
    if rules.len() > ALERT_RULES {
        return Err((ALERT_RULES, format!("more than {ALERT_RULES} rules")));
    }
    for (at, rule) in rules.iter().enumerate() {
        if rules.iter().take(at).any(|other| other.name == rule.name) {
            return Err((at, format!("two rules are named {:?}", rule.name)));
        }
    }
    Ok(())
}

/// A value of a metric as people write it: `0.05`, `5%`, `100M` (powers of 1000), `200ms` (durations are nanoseconds).
///
/// # Errors
/// One line that names the forms.
pub fn parse_value(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no value; write it like 0.05, 5%, 100M or 200ms");
    let plain = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    if let Some(value) = plain(text) {
        return Ok(value);
    }
    if let Some(value) = text.strip_suffix('%').and_then(plain) {
        return Ok(value / 100.0);
    }
    for (suffix, factor) in [("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)] {
        if let Some(value) = text.strip_suffix(suffix).and_then(plain) {
            return Ok(value * factor);
        }
    }
    parse_duration(text).map(|ns| ns as f64).map_err(|_| wrong())
}

/// Rules as TOML, as [`super::read_rules`] reads them back.
pub fn rules_toml(rules: &[Rule]) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    for rule in rules {
        out.push_str("\n[[alerts.rule]]\n");
        let mut line = |key: &str, text: String| {
            let _ = writeln!(out, "{key} = {text}");
        };
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        let duration = |ns: i64| quoted(&duration_text(ns));
        line("name", quoted(&rule.name));
        if !rule.description.is_empty() {
            line("description", quoted(&rule.description));
        }
        if rule.source() == Source::Flows {
            line("filter", quoted(&rule.filter));
        }
        if let Some(part) = &rule.part {
            line("where", quoted(part));
        }
        if rule.at_least != 0.0 {
            line("at_least", format!("{:?}", rule.at_least));
        }
        line("metric", quoted(&rule.metric));
        if !rule.group_by.is_empty() {
            line(
                "group_by",
                list(rule.group_by.iter().map(|name| quoted(name)).collect()),
            );
        }
        if !rule.exporters.is_empty() {
            let exporters = rule.exporters.iter().map(|prefix| quoted(&prefix.to_string()));
            line("exporters", list(exporters.collect()));
        }
        line("window", duration(rule.window_ns));
        line("for", duration(rule.for_ns));
        line("op", quoted(rule.op.as_str()));
        line("threshold", format!("{:?}", rule.threshold));
        line("clear", format!("{:?}", rule.clear));
        line("severity", quoted(rule.severity));
        if !rule.labels.is_empty() {
            let labels = rule.labels.iter();
            let labels: Vec<String> = labels
                .map(|(name, text)| format!("{} = {}", quoted(name), quoted(text)))
                .collect();
            line("labels", format!("{{ {} }}", labels.join(", ")));
        }
    }
    out
}

/// A duration that is not negative, nanoseconds.
pub(super) fn positive(text: &str) -> Result<i64, String> {
    match text.trim() {
        "0" => Ok(0),
        text => parse_duration(text),
    }
}

/// Nanoseconds of a duration.
pub(super) fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
