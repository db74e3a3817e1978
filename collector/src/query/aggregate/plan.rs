//! What an aggregate request asks for, checked.

use super::super::filter::ast::Subject;
use super::super::kinds::Kinds;
use super::super::{QueryError, time};
use super::metric::{Metric, ends_of, parse_subject};
use super::output::{Formula, Output};
use super::{AggregateRequest, Compare, Interval};
use crate::limits;
use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::cut;
use crate::store::Snapshot;

const NS_PER_S: i64 = 1_000_000_000;
/// Widths that `auto` chooses from, seconds.
const WIDTHS_S: [i64; 17] = [
    1,
    5,
    10,
    30,
    60,
    300,
    600,
    1_800,
    3_600,
    10_800,
    21_600,
    43_200,
    86_400,
    604_800,
    2_592_000,
    31_536_000,
    315_360_000,
];
/// Buckets that `auto` aims at.
const AUTO_BUCKETS: i64 = 120;
/// Groups when the request does not say.
const DEFAULT_LIMIT: usize = 10;

/// A column to group by.
#[derive(Clone, Debug)]
pub struct Group {
    /// As it was asked for.
    pub name: String,
    /// Whose values.
    pub subject: Subject,
    /// The columns at the two ends of a flow, when it counts at both.
    pub ends: Option<[ColumnId; 2]>,
    /// Bits of addresses that count.
    pub prefix: Option<Prefix>,
}

/// How many bits of addresses count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Of IPv4 addresses.
    pub v4: u32,
    /// Of IPv6 addresses.
    pub v6: u32,
}

/// Bits of IPv6 addresses that count when only those of IPv4 are told: a subnet (RFC 4291 section 2.5.1).
const SUBNET_V6: u32 = 64;

impl Prefix {
    /// Reads `24`, `24/48` or, as there are no such lengths in IPv4, `48`.
    fn parse(text: &str) -> Option<Prefix> {
        let length = |text: &str, most: u32| text.parse().ok().filter(|length| *length <= most);
        match text.split_once('/') {
            Some((v4, v6)) => Some(Prefix {
                v4: length(v4, 32)?,
                v6: length(v6, 128)?,
            }),
            None => length(text, 128).map(|length| Prefix {
                v4: length.min(32),
                v6: if length <= 32 { SUBNET_V6 } else { length },
            }),
        }
    }
}

/// What groups are put in order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The output at this place.
    Output(usize),
    /// The group column at this place.
    Group(usize),
}

/// A request, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which kinds of rows.
    pub kinds: Kinds,
    /// Columns to group by.
    pub groups: Vec<Group>,
    /// Metrics to gather, each once.
    pub metrics: Vec<Metric>,
    /// What rows show, made of metrics; behind it, at most one more that is only ordered by.
    pub outputs: Vec<Output>,
    /// How many of them are shown.
    pub shown: usize,
    /// Everything outside the groups shown is a row, too.
    pub other: bool,
    /// How much earlier the time is that is compared with.
    pub compare_ns: Option<i64>,
    /// How much earlier this plan looks for rows than it says.
    pub shift_ns: i64,
    /// Width of a bucket.
    pub interval_ns: Option<i64>,
    /// At most so many groups.
    pub limit: usize,
    /// Order of the groups.
    pub order: OrderBy,
    /// Whether the largest come first.
    pub descending: bool,
    /// Series begin with their last bucket.
    pub newest_first: bool,
    /// Flows that end at or after this.
    pub from_ns: Option<i64>,
    /// Flows that start before this.
    pub to_ns: Option<i64>,
    /// The time rates are about: asked for, or what the store holds.
    pub span_ns: (i64, i64),
    /// Where the first and the last bucket of a series are cut off, because no more was asked for.
    pub cut_ns: (Option<i64>, Option<i64>),
}

fn wrong(parameter: &'static str, detail: String) -> QueryError {
    QueryError::Request {
        parameter,
        detail,
        nearest: None,
    }
}

impl Plan {
    /// Checks a request.
    pub fn new(snapshot: &Snapshot, request: &AggregateRequest) -> Result<Self, QueryError> {
        let groups = request
            .group_by
            .iter()
            .map(|name| parse_group(name))
            .collect::<Result<Vec<_>, _>>()?;
        if groups.len() > limits::GROUP_COLUMNS {
            return Err(wrong(
                "group_by",
                format!("at most {} columns to group by", limits::GROUP_COLUMNS),
            ));
        }
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = groups.iter().find(|group| !names.insert(group.name.as_str())) {
            let detail = format!("{} is there twice: rows have one place for it", cut(&twice.name, 48));
            return Err(wrong("group_by", detail));
        }
        let is_grouped = |name: &str| groups.iter().any(|group| group.name == name);
        let default: Vec<_> = ["octets", "packets", "flows"]
            .into_iter()
            .filter(|name| !is_grouped(name))
            .map(str::to_owned)
            .collect();
        let names = if request.metrics.is_empty() {
            &default
        } else {
            &request.metrics
        };
        if names.len() > limits::METRICS_PER_AGGREGATE {
            return Err(wrong(
                "metrics",
                format!("at most {} metrics", limits::METRICS_PER_AGGREGATE),
            ));
        }
        let mut metrics = Vec::new();
        let mut outputs = names
            .iter()
            .map(|name| Output::parse(name, &mut metrics))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) = outputs.iter().find(|output| is_grouped(&output.name)) {
            let name = &twice.name;
            return Err(wrong(
                "metrics",
                format!("{name} is what the rows are grouped by: a row has one place for it; ask for sum({name})"),
            ));
        }
        let shown = outputs.len();
        let ranking = parse_order(request, &groups, &mut outputs, &mut metrics)?;
        time::check_span(request.from_ns, request.to_ns).map_err(|detail| wrong("from", detail))?;
        if request.from_ns.is_some() && request.from_ns == request.to_ns {
            return Err(wrong(
                "from",
                "from is not before to: there is no time between them".to_owned(),
            ));
        }
        let stored = snapshot.believed_ns().unwrap_or((0, 0));
        // Who asks about times before or behind all that can be believed asks about the others.
        let any = snapshot.span_ns().unwrap_or(stored);
        let first = if request.to_ns.is_some_and(|to| to <= stored.0) {
            any.0
        } else {
            stored.0
        };
        let last = if request.from_ns.is_some_and(|from| from > stored.1) {
            any.1
        } else {
            stored.1
        };
        let from = request.from_ns.unwrap_or(first);
        let to = request
            .to_ns
            .unwrap_or(last.saturating_add(1))
            .max(from.saturating_add(1));
        let has_ends = groups.iter().any(|group| group.ends.is_some());
        for metric in &mut metrics {
            metric.see_ends(has_ends)?;
        }
        let named = Kinds::of(request.filter.as_ref(), groups.iter().map(|group| &group.subject));
        for metric in &mut metrics {
            metric.read_besides(named);
        }
        let mut plan = Self {
            kinds: Kinds::together(metrics.iter().map(|metric| metric.reads)),
            groups,
            metrics,
            outputs,
            shown,
            other: request.other,
            compare_ns: request.compare.map(|compare| shift(compare, request)).transpose()?,
            shift_ns: 0,
            interval_ns: None,
            limit: if request.limit == 0 {
                DEFAULT_LIMIT
            } else {
                request.limit.min(limits::ROWS_PER_AGGREGATE)
            },
            order: ranking.order,
            descending: ranking.descending,
            newest_first: ranking.newest_first,
            from_ns: request.from_ns,
            to_ns: request.to_ns,
            span_ns: (from, to),
            cut_ns: (request.from_ns, request.to_ns),
        };
        plan.interval_ns = request.interval.map(|interval| plan.width(interval)).transpose()?;
        Ok(plan)
    }

    /// The same without flows of odd clocks, of which a series that nobody gave ends would have decades.
    #[must_use]
    pub fn without_odd_times(mut self, snapshot: &Snapshot) -> Self {
        let (from, to) = self.span_ns;
        if self.interval_ns.is_some() && snapshot.span_ns() != snapshot.believed_ns() {
            self.from_ns = self.from_ns.or(Some(from));
            self.to_ns = self.to_ns.or(Some(to));
        }
        self
    }

    fn width(&self, interval: Interval) -> Result<i64, QueryError> {
        let span = self.span_ns.1.saturating_sub(self.span_ns.0);
        match interval {
            Interval::Auto => Ok(auto_width(span)),
            Interval::Ns(width) if width <= 0 => Err(wrong("interval", "the interval is not longer than 0".to_owned())),
            Interval::Ns(width) => Ok(width),
        }
    }

    /// The bucket of a flow that starts at `start`: those that began before the time asked about are in the first.
    pub fn bucket(&self, start_ns: i64) -> i64 {
        let Some(width) = self.interval_ns else { return 0 };
        let start_ns = start_ns.saturating_add(self.shift_ns);
        self.from_ns
            .map_or(start_ns, |from| start_ns.max(from))
            .div_euclid(width)
    }

    /// The time that rows are looked for in.
    pub fn rows_span(&self) -> (Option<i64>, Option<i64>) {
        let shifted = |ns: i64| ns.saturating_sub(self.shift_ns);
        (self.from_ns.map(shifted), self.to_ns.map(shifted))
    }

    /// The same question about the time it is compared with; rows are put into the buckets of the present.
    pub fn of_previous(&self) -> Option<Self> {
        Some(Self {
            shift_ns: self.compare_ns?,
            ..self.clone()
        })
    }

    /// A flow counts twice: as what its source sent and as what its destination got.
    pub fn has_ends(&self) -> bool {
        self.groups.iter().any(|group| group.ends.is_some())
    }

    /// What is outside the groups shown must be known, too.
    pub fn needs_rest(&self) -> bool {
        let is_share = |output: &Output| matches!(output.formula, Formula::Share(_));
        !self.groups.is_empty() && (self.other || self.outputs.iter().any(is_share))
    }

    /// Seconds a rate is about: of a bucket, what of it was asked about; without one, of everything.
    pub fn seconds(&self, bucket: Option<i64>) -> f64 {
        let ns = match (self.interval_ns, bucket) {
            (None, _) => self.span_ns.1.saturating_sub(self.span_ns.0),
            (Some(width), None) => width,
            (Some(width), Some(bucket)) => {
                let start = bucket.saturating_mul(width);
                let end = start.saturating_add(width);
                let (from, to) = self.cut_ns;
                let from = from.map_or(start, |from| from.max(start));
                to.map_or(end, |to| to.min(end)).saturating_sub(from)
            }
        };
        (ns as f64 / NS_PER_S as f64).max(1e-9)
    }

    /// The same without buckets, to find the groups whose series are wanted.
    pub fn without_interval(&self) -> Self {
        Self {
            interval_ns: None,
            ..self.clone()
        }
    }
}

/// The width of buckets that `auto` chooses for a time of so many nanoseconds.
pub fn auto_width(span_ns: i64) -> i64 {
    let fits = |width: &i64| span_ns / (width * NS_PER_S) < AUTO_BUCKETS;
    WIDTHS_S.into_iter().find(fits).unwrap_or(315_360_000) * NS_PER_S
}

fn parse_group(name: &str) -> Result<Group, QueryError> {
    let name = name.trim();
    let (field, prefix) = match name.split_once('/') {
        Some((field, lengths)) => {
            let prefix = Prefix::parse(lengths).ok_or_else(|| {
                let detail = format!(
                    "'{}': a prefix length is from 0 to 32 for IPv4 and to 128 for IPv6, both as in src.ip/24/48",
                    cut(name, 48)
                );
                wrong("group_by", detail)
            })?;
            (field, Some(prefix))
        }
        None => (name, None),
    };
    let ends = ends_of(field);
    let subject = match ends {
        Some([first, _]) => Subject::Column(first),
        None => parse_subject(field, "group_by")?,
    };
    let is_ip = match &subject {
        Subject::Column(column) => column.column().kind == ColumnKind::Ip,
        Subject::Other(_) => true,
    };
    if prefix.is_some() && !is_ip {
        return Err(wrong(
            "group_by",
            format!("{subject} holds no addresses: a prefix length means nothing"),
        ));
    }
    Ok(Group {
        name: name.to_owned(),
        subject,
        ends,
        prefix,
    })
}

/// How much earlier the time is that is compared with.
fn shift(compare: Compare, request: &AggregateRequest) -> Result<i64, QueryError> {
    let (Some(from), Some(to)) = (request.from_ns, request.to_ns) else {
        let missing = if request.from_ns.is_none() { "from" } else { "to" };
        return Err(wrong(
            "compare",
            format!("compare needs the time that it compares: give {missing}, too"),
        ));
    };
    let shift = match compare {
        Compare::Previous => to.checked_sub(from),
        Compare::Ns(shift) if shift <= 0 => {
            return Err(wrong(
                "compare",
                "compare needs a duration longer than 0, or previous".to_owned(),
            ));
        }
        Compare::Ns(shift) => Some(shift),
    };
    let reaches = shift.filter(|shift| from.checked_sub(*shift).is_some());
    reaches.ok_or_else(|| {
        wrong(
            "compare",
            "compare reaches back before all time; ask about a shorter one".to_owned(),
        )
    })
}

/// How groups, and the buckets of series, follow each other.
struct Ranking {
    order: OrderBy,
    descending: bool,
    newest_first: bool,
}

fn parse_order(
    request: &AggregateRequest,
    groups: &[Group],
    outputs: &mut Vec<Output>,
    metrics: &mut Vec<Metric>,
) -> Result<Ranking, QueryError> {
    let by = |order, descending| Ranking {
        order,
        descending,
        newest_first: false,
    };
    let text = request.order_by.as_deref().map(str::trim);
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(by(OrderBy::Output(0), true));
    };
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let name = name.strip_prefix('+').unwrap_or(name);
    if let Some(at) = groups.iter().position(|group| group.name == name) {
        return Ok(by(OrderBy::Group(at), descending));
    }
    if name == "time" {
        if !groups.is_empty() && request.interval.is_none() {
            let detail = "without an interval, groups have no time to be in order of; order by a metric or a group";
            return Err(wrong("order_by", detail.to_owned()));
        }
        // Which groups have a series is for their first metric to say.
        return Ok(Ranking {
            newest_first: descending,
            ..by(OrderBy::Output(0), true)
        });
    }
    if let Some(at) = outputs.iter().position(|output| output.name == name) {
        return Ok(by(OrderBy::Output(at), descending));
    }
    let output = Output::parse(name, metrics).map_err(|error| match error {
        QueryError::Request { detail, nearest, .. } => QueryError::Request {
            parameter: "order_by",
            detail,
            nearest,
        },
        other => other,
    })?;
    outputs.push(output);
    Ok(by(OrderBy::Output(outputs.len() - 1), descending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_both_families() {
        let of = |text| Prefix::parse(text).map(|prefix| (prefix.v4, prefix.v6));
        assert_eq!(of("24"), Some((24, 64)));
        assert_eq!(of("0"), Some((0, 64)));
        assert_eq!(of("24/48"), Some((24, 48)));
        assert_eq!(of("32/128"), Some((32, 128)));
        assert_eq!(of("48"), Some((32, 48)));
        for wrong in ["", "129", "33/48", "24/129", "24/", "/48", "24/48/1", "-1", "a"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
