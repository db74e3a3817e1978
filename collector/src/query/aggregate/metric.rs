//! Metrics: what is asked (`octets`, `unique(src.ip)`, `p95(dns.latency)`) and what must be gathered for it.

use super::super::QueryError;
use super::super::filter::ast::Subject;
use super::super::filter::nearest;
use super::super::kinds::Kinds;
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::{COLUMNS, ColumnId, ColumnKind, column, id};
use crate::normalize::counters::{counter, growth_name, kept_name};
use crate::normalize::facts::LABEL;
use crate::normalize::row::cut;

/// One metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// As it was asked for.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// It is of an end of the flow, `host` or `peer`, instead of the source or the destination.
    of_end: bool,
    /// What is read instead of its columns when a flow is seen from its destination.
    pub other_end: Vec<Subject>,
    /// Which kinds of rows it is about, whatever else is asked for beside it.
    pub reads: Kinds,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// Rows of one kind of [`KINDS`](crate::normalize::codes::KINDS).
    Count(u64),
    /// The columns added up.
    Sum(Vec<Subject>),
    /// The columns added up, times a factor, for each second.
    Rate(Vec<Subject>, u64),
    /// Flows for each second.
    FlowRate,
    /// Different values.
    Unique(Subject),
    /// The smallest value.
    Min(Subject),
    /// The largest value.
    Max(Subject),
    /// The mean value.
    Avg(Subject),
    /// The value that this share of the values does not exceed (nearest rank).
    Quantile(Subject, f64),
}

const PLAIN: &[&str] = &[
    "octets",
    "packets",
    "flows",
    "transactions",
    "bps",
    "pps",
    "fps",
    "rev.octets",
    "rev.packets",
    "rev.bps",
    "rev.pps",
    "total.octets",
    "total.packets",
    "total.bps",
    "total.pps",
];

const FUNCTIONS: &[&str] = &[
    "unique", "sum", "min", "max", "avg", "p50", "p90", "p95", "p99", "increase", "rate",
];

/// Names of metrics as people may write them, for completion and errors.
pub fn metric_names() -> impl Iterator<Item = String> {
    PLAIN
        .iter()
        .map(|name| (*name).to_owned())
        .chain(FUNCTIONS.iter().map(|name| format!("{name}(FIELD)")))
        .chain(["share(METRIC)", "METRIC/METRIC"].map(str::to_owned))
}

/// A metric that is none.
pub fn wrong(detail: String, nearest: Option<String>) -> QueryError {
    QueryError::Request {
        parameter: "metrics",
        detail,
        nearest,
    }
}

/// A column, or an element no column takes.
pub fn parse_subject(name: &str, parameter: &'static str) -> Result<Subject, QueryError> {
    if let Some(column) = column(name) {
        return Ok(Subject::Column(column));
    }
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    let known = flowgauge_ie_registry::Registry::builtin()
        .by_name(name)
        .map(|element| element.name.to_string());
    let by_number = name
        .split_once('.')
        .is_some_and(|(pen, id)| is_number(pen) && is_number(id));
    let is_label = name.starts_with(LABEL);
    let known = known.or_else(|| kept_name(name));
    match known.or_else(|| (by_number || is_label).then(|| name.to_owned())) {
        Some(name) => Ok(Subject::Other(name)),
        None => Err(QueryError::Request {
            parameter,
            detail: format!("there is no column or element '{}'", cut(name, 48)),
            nearest: nearest(name, COLUMNS.iter().map(|column| column.name)),
        }),
    }
}

/// `host` and `peer`, `host.port` and `peer.port`, and so on: columns of the two ends of a flow, each seen as the host
/// once.
pub fn ends_of(name: &str) -> Option<[ColumnId; 2]> {
    let (of, is_peer) = match (name.strip_prefix("host"), name.strip_prefix("peer")) {
        (Some(of), _) => (of, false),
        (_, Some(of)) => (of, true),
        _ => return None,
    };
    let of = if of.is_empty() { "ip" } else { of.strip_prefix('.')? };
    let [src, dst] = [column(&format!("src.{of}"))?, column(&format!("dst.{of}"))?];
    Some(if is_peer { [dst, src] } else { [src, dst] })
}

/// What a column is when the destination is the host: what came back is what it sent.
fn from_the_other_end(of: ColumnId, is_end: bool) -> ColumnId {
    let name = of.column().name;
    let found = if is_end {
        match (name.strip_prefix("src."), name.strip_prefix("dst.")) {
            (Some(end), _) => column(&format!("dst.{end}")),
            (_, Some(end)) => column(&format!("src.{end}")),
            _ => None,
        }
    } else {
        let (raw, plain) = name.strip_prefix("raw.").map_or(("", name), |plain| ("raw.", plain));
        match plain.strip_prefix("rev.") {
            Some(back) => column(&format!("{raw}{back}")),
            None => column(&format!("{raw}rev.{plain}")),
        }
    };
    found.unwrap_or(of)
}

/// What a counter's growth is kept under.
fn growth_of(field: &Subject, text: &str) -> Result<Subject, QueryError> {
    match field {
        Subject::Other(name) if counter(name).is_some_and(|counter| counter.kind.is_counter()) => {
            Ok(Subject::Other(growth_name(name)))
        }
        _ => Err(wrong(
            format!("'{}' needs a counter of devices, like ifInOctets", cut(text, 48)),
            None,
        )),
    }
}

impl Metric {
    /// Understands a metric.
    ///
    /// # Errors
    /// When there is none of this name, or its column cannot be used so.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let text = text.trim();
        let mut of_end = false;
        let kind = match text.split_once('(') {
            Some((function, rest)) => {
                let field = rest
                    .strip_suffix(')')
                    .ok_or_else(|| wrong(format!("'{}' lacks a ')'", cut(text, 48)), None))?
                    .trim();
                let subject = match ends_of(field) {
                    Some([first, _]) => {
                        of_end = true;
                        Subject::Column(first)
                    }
                    None => parse_subject(field, "metrics")?,
                };
                Self::function(function.trim(), subject, text)?
            }
            None => Self::plain(text)?,
        };
        Ok(Self {
            name: text.to_owned(),
            kind,
            of_end,
            other_end: Vec::new(),
            reads: Kinds::Flows,
        })
    }

    /// Tells which kinds of rows the filter and the groups are about: it is about these, and about those of its columns.
    pub fn read_besides(&mut self, named: Kinds) {
        self.reads = match self.counted() {
            Some(KIND_DNS) => Kinds::All,
            _ => named.widened(self.subjects().iter()),
        };
    }

    /// Gathers the same.
    pub fn is_like(&self, other: &Metric) -> bool {
        self.kind == other.kind && self.of_end == other.of_end
    }

    /// Tells whether flows are seen from both of their ends.
    ///
    /// # Errors
    /// When it is of an end, but flows have none.
    pub fn see_ends(&mut self, has_ends: bool) -> Result<(), QueryError> {
        if has_ends {
            let other_end = self.subjects().iter().map(|subject| match subject {
                Subject::Column(column) => Subject::Column(from_the_other_end(*column, self.of_end)),
                other => other.clone(),
            });
            self.other_end = other_end.collect();
        } else if self.of_end {
            let detail = format!(
                "'{}' needs groups by host: without, a flow has src. and dst.",
                cut(&self.name, 48)
            );
            return Err(wrong(detail, None));
        }
        Ok(())
    }

    fn plain(name: &str) -> Result<MetricKind, QueryError> {
        let subjects = |columns: &[ColumnId]| {
            columns
                .iter()
                .map(|column| Subject::Column(*column))
                .collect::<Vec<_>>()
        };
        let (octets, packets) = (&[id::OCTETS][..], &[id::PACKETS][..]);
        let (rev_octets, rev_packets) = (&[id::REV_OCTETS][..], &[id::REV_PACKETS][..]);
        let both_octets = &[id::OCTETS, id::REV_OCTETS][..];
        let both_packets = &[id::PACKETS, id::REV_PACKETS][..];
        Ok(match name {
            "flows" => MetricKind::Count(KIND_FLOW),
            "transactions" => MetricKind::Count(KIND_DNS),
            "fps" => MetricKind::FlowRate,
            "octets" => MetricKind::Sum(subjects(octets)),
            "packets" => MetricKind::Sum(subjects(packets)),
            "rev.octets" => MetricKind::Sum(subjects(rev_octets)),
            "rev.packets" => MetricKind::Sum(subjects(rev_packets)),
            "total.octets" => MetricKind::Sum(subjects(both_octets)),
            "total.packets" => MetricKind::Sum(subjects(both_packets)),
            "bps" => MetricKind::Rate(subjects(octets), 8),
            "pps" => MetricKind::Rate(subjects(packets), 1),
            "rev.bps" => MetricKind::Rate(subjects(rev_octets), 8),
            "rev.pps" => MetricKind::Rate(subjects(rev_packets), 1),
            "total.bps" => MetricKind::Rate(subjects(both_octets), 8),
            "total.pps" => MetricKind::Rate(subjects(both_packets), 1),
            _ => {
                let names: Vec<String> = metric_names().collect();
                let near = nearest(name, names.iter().map(String::as_str));
                return Err(wrong(
                    format!("there is no metric '{}'; use {}", cut(name, 48), names.join(", ")),
                    near,
                ));
            }
        })
    }

    fn function(function: &str, field: Subject, text: &str) -> Result<MetricKind, QueryError> {
        let kind = match &field {
            Subject::Column(column) => Some(column.column().kind),
            Subject::Other(_) => None,
        };
        let is_number =
            kind.is_none_or(|kind| matches!(kind, ColumnKind::Number | ColumnKind::Duration | ColumnKind::Float));
        let has_order = is_number || kind == Some(ColumnKind::Time);
        let quantile = match function {
            "p50" => Some(0.50),
            "p90" => Some(0.90),
            "p95" => Some(0.95),
            "p99" => Some(0.99),
            _ => None,
        };
        let metric = match function {
            "unique" => return Ok(MetricKind::Unique(field)),
            "increase" => MetricKind::Sum(vec![growth_of(&field, text)?]),
            "rate" => MetricKind::Rate(vec![growth_of(&field, text)?], 1),
            "sum" if is_number => MetricKind::Sum(vec![field]),
            "avg" if is_number => MetricKind::Avg(field),
            "min" if has_order => MetricKind::Min(field),
            "max" if has_order => MetricKind::Max(field),
            _ if quantile.is_some() && has_order => MetricKind::Quantile(field, quantile.unwrap_or(0.5)),
            _ if FUNCTIONS.contains(&function) => {
                return Err(wrong(format!("'{}' needs a column of numbers", cut(text, 48)), None));
            }
            _ => {
                let near = nearest(function, FUNCTIONS.iter().copied());
                return Err(wrong(
                    format!(
                        "there is no function '{}'; use {}, share",
                        cut(function, 48),
                        FUNCTIONS.join(", ")
                    ),
                    near,
                ));
            }
        };
        Ok(metric)
    }

    /// The columns it reads.
    pub fn subjects(&self) -> &[Subject] {
        match &self.kind {
            MetricKind::Count(_) | MetricKind::FlowRate => &[],
            MetricKind::Sum(subjects) | MetricKind::Rate(subjects, _) => subjects,
            MetricKind::Unique(subject)
            | MetricKind::Min(subject)
            | MetricKind::Max(subject)
            | MetricKind::Avg(subject)
            | MetricKind::Quantile(subject, _) => std::slice::from_ref(subject),
        }
    }

    /// The kind of rows that it counts, if it counts rows.
    pub fn counted(&self) -> Option<u64> {
        match self.kind {
            MetricKind::Count(kind) => Some(kind),
            MetricKind::FlowRate => Some(KIND_FLOW),
            _ => None,
        }
    }

    /// How its values are shown, and their unit.
    pub fn shown(&self) -> (ColumnKind, &'static str) {
        let field = |subject: &Subject| match subject {
            Subject::Column(column) => (column.column().kind, column.column().unit),
            Subject::Other(_) => (ColumnKind::Float, ""),
        };
        match &self.kind {
            MetricKind::Count(KIND_DNS) => (ColumnKind::Number, "transactions"),
            MetricKind::Count(_) => (ColumnKind::Number, "flows"),
            MetricKind::Unique(_) => (ColumnKind::Number, ""),
            MetricKind::FlowRate => (ColumnKind::Float, "flows/s"),
            MetricKind::Rate(_, 8) => (ColumnKind::Float, "bit/s"),
            MetricKind::Rate(subjects, _) if matches!(subjects.as_slice(), [Subject::Other(_)]) => {
                (ColumnKind::Float, "1/s")
            }
            MetricKind::Rate(..) => (ColumnKind::Float, "packets/s"),
            MetricKind::Sum(subjects) => subjects.first().map_or((ColumnKind::Number, ""), field),
            MetricKind::Avg(subject) => match field(subject) {
                (ColumnKind::Duration, unit) => (ColumnKind::Duration, unit),
                (_, unit) => (ColumnKind::Float, unit),
            },
            MetricKind::Min(subject) | MetricKind::Max(subject) | MetricKind::Quantile(subject, _) => field(subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_turned_round() {
        assert_eq!(ends_of("host"), Some([id::SRC_IP, id::DST_IP]));
        assert_eq!(ends_of("peer.port"), Some([id::DST_PORT, id::SRC_PORT]));
        for none in ["hosts", "host.", "peer.octets", "src.ip", "http.host", ""] {
            assert_eq!(ends_of(none), None, "{none}");
        }
        assert_eq!(from_the_other_end(id::OCTETS, false), id::REV_OCTETS);
        assert_eq!(from_the_other_end(id::REV_PACKETS, false), id::PACKETS);
        assert_eq!(from_the_other_end(id::RAW_OCTETS, false), id::RAW_REV_OCTETS);
        assert_eq!(from_the_other_end(id::DURATION, false), id::DURATION);
        assert_eq!(from_the_other_end(id::DST_AS, true), id::SRC_AS);
        let mut metric = Metric::parse("unique(peer)").unwrap();
        assert!(metric.see_ends(false).is_err());
        metric.see_ends(true).unwrap();
        assert_eq!(metric.other_end, [Subject::Column(id::SRC_IP)]);
    }

    #[test]
    fn metrics_in_every_form() {
        for name in PLAIN {
            assert_eq!(Metric::parse(name).unwrap().name, *name);
        }
        for function in FUNCTIONS {
            if ["increase", "rate"].contains(function) {
                let text = format!("{function}(ifinoctets)");
                let growth = Subject::Other("ifInOctetsDelta".to_owned());
                assert_eq!(Metric::parse(&text).unwrap().subjects(), [growth]);
                continue;
            }
            let text = format!("{function}( dns.latency )");
            assert_eq!(
                Metric::parse(&text).unwrap().subjects(),
                [Subject::Column(id::DNS_LATENCY)]
            );
        }
        for wrong in [
            "octet",
            "rate(octets)",
            "rate(loadOne)",
            "unique(src.ipp)",
            "sum(src.ip)",
            "p42(octets)",
            "unique(src.ip",
            "",
        ] {
            assert!(Metric::parse(wrong).is_err(), "{wrong}");
        }
        let Err(QueryError::Request { nearest, .. }) = Metric::parse("octet") else {
            panic!()
        };
        assert_eq!(nearest.as_deref(), Some("octets"));
    }
}
