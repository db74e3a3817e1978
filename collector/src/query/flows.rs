//! Lists single flows, a page at a time.
//!
//! Rows are ordered by a column and then by their number, which never changes, so that a cursor (the last row's value
//! and number) stays valid while rows arrive and segments are merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use tantivy::columnar::MonotonicallyMappableToU64;

use super::aggregate::metric::parse_subject;
use super::cursor::{Cursor, PageOf, fnv};
use super::ends::EndColumn;
use super::evaluate::Selection;
use super::filter::ast::Subject;
use super::filter::{Filter, nearest};
use super::kinds::Kinds;
use super::once::{self, LeftOut, OnceRule};
use super::order::total_order;
use super::scan::{BLOCK, first_codes};
use super::table::{TableColumn, TableRow};
use super::{Limits, QueryError, QueryStats, Table, Watch, time};
use crate::limits;
use crate::normalize::columns::{COLUMNS, ColumnId, ColumnKind, column, columns, id};
use crate::normalize::row::Cell;
use crate::query::sound::without_damage;
use crate::store::Snapshot;
use crate::store::segment::{Codes, OpenSegment, Segment};

/// Rows of a page when the request does not say.
const DEFAULT_LIMIT: usize = 100;

/// Rows that are made before somebody looks whether they are still wanted.
const ROWS_PER_CHECK: usize = 64;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct FlowsRequest {
    /// Which flows; `None` is all.
    pub filter: Option<Filter>,
    /// Flows that end at or after this time, nanoseconds.
    pub from_ns: Option<i64>,
    /// Flows that start before this time, nanoseconds.
    pub to_ns: Option<i64>,
    /// At most so many; 0 is 100.
    pub limit: usize,
    /// `next` of the page before, which is of the same question: its filter, its times and its order.
    pub cursor: Option<String>,
    /// Of conversations that several exporters saw, only the rows that count.
    pub once: Option<OnceRule>,
    /// Filter and times in the caller's words, so that pages of `-1h` belong together while time passes; without them
    /// pages are told apart by what they mean.
    pub asked: Option<String>,
    /// A column, `-` before it for descending; `None` is `-start`.
    pub order: Option<String>,
    /// Columns and element names to give; empty is everything.
    pub fields: Vec<String>,
    /// How long it may take.
    pub limits: Limits,
}

/// The column that rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub column: ColumnId,
    pub descending: bool,
}

/// A row that may be on the page.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub value: Option<Cell>,
    pub row: u64,
    pub segment: usize,
    pub doc: u32,
}

/// Lists flows.
///
/// # Errors
/// When a parameter is wrong, the time is over, or the store cannot be read.
pub fn flows(snapshot: &Snapshot, request: &FlowsRequest) -> Result<Table, QueryError> {
    let reads = |segment: &Segment| segment.overlaps(request.from_ns, request.to_ns);
    without_damage(snapshot, &request.limits, reads, || list(snapshot, request))
}

fn list(snapshot: &Snapshot, request: &FlowsRequest) -> Result<Table, QueryError> {
    let watch = Watch::new(&request.limits);
    let order = parse_order(request.order.as_deref())?;
    time::check_span(request.from_ns, request.to_ns).map_err(|detail| QueryError::Request {
        parameter: "from",
        detail,
        nearest: None,
    })?;
    let mut page_of = PageOf {
        column: order.column,
        descending: order.descending,
        question: fingerprint(request),
        span_ns: (request.from_ns, request.to_ns),
    };
    let cursor = request
        .cursor
        .as_deref()
        .map(|text| Cursor::parse(text, &mut page_of))
        .transpose()?;
    let limit = if request.limit == 0 {
        DEFAULT_LIMIT
    } else {
        request.limit.min(limits::FLOWS_PER_ANSWER)
    };
    let fields = Fields::parse(&request.fields, snapshot)?;
    let ordered = Subject::Column(order.column);
    let selection = Selection {
        kinds: Kinds::of(request.filter.as_ref(), std::iter::once(&ordered)),
        filter: request.filter.as_ref(),
        from_ns: page_of.span_ns.0,
        to_ns: page_of.span_ns.1,
        timed: false,
    };
    let leave_out = |rule: &OnceRule| once::find(snapshot, &selection, rule, &watch);
    let left_out = request.once.as_ref().map(leave_out).transpose()?;
    let page = PageAsked {
        of: page_of,
        order,
        cursor: cursor.as_ref(),
        limit,
    };
    let (found, next, stats) = find(snapshot, &selection, left_out.as_ref(), page, &watch)?;
    let mut table = rows_table(snapshot, &found, &fields, &watch)?;
    let once = request.once.as_ref().zip(left_out.as_ref());
    table.stats = QueryStats {
        elapsed_ms: watch.elapsed_ms(),
        once: once.map(|(rule, left_out)| (rule.words(), left_out.rows)),
        ..stats
    };
    table.next = next.map(|next| next.to_text());
    Ok(table)
}

/// Which rows of those selected.
#[derive(Clone, Copy)]
pub(super) struct PageAsked<'c> {
    /// What the next page will belong to.
    pub of: PageOf,
    /// By what they are ordered.
    pub order: Order,
    /// Behind which they come.
    pub cursor: Option<&'c Cursor>,
    /// At most so many.
    pub limit: usize,
}

/// The rows of a page, where the next one starts if there is more, and what it took.
pub(super) fn find(
    snapshot: &Snapshot,
    selection: &Selection<'_>,
    left_out: Option<&LeftOut>,
    asked: PageAsked<'_>,
    watch: &Watch,
) -> Result<(Vec<Found>, Option<Cursor>, QueryStats), QueryError> {
    let PageAsked {
        of: page_of,
        order,
        cursor,
        limit,
    } = asked;
    let mut stats = QueryStats {
        from_ns: selection.from_ns,
        to_ns: selection.to_ns,
        ..QueryStats::default()
    };
    let mut page = Page {
        order,
        limit: limit + 1,
        rows: Vec::new(),
    };
    let (mut partitions, mut left_out_segments) = (Vec::new(), 0);
    for at in segments_in_order(snapshot, selection, order) {
        let Some(segment) = snapshot.segments().get(at) else {
            continue;
        };
        if page.is_settled_before(segment) {
            continue;
        }
        let Some(open) = segment.open() else {
            left_out_segments += 1;
            continue;
        };
        let mut documents = selection.documents(segment, open, watch)?;
        if let Some(left_out) = left_out {
            left_out.take_out(segment, &mut documents);
        }
        stats.segments += 1;
        stats.rows_read += u64::from(segment.rows());
        stats.rows_matched += u64::from(documents.count());
        partitions.push(segment.partition());
        let best = best_of(segment, open, &documents, order, cursor, page.limit, watch)?;
        for (code, doc) in best {
            let value = code.map(|code| order.cell(open, code)).transpose()?;
            page.rows.push(Found {
                value,
                row: segment.meta().row_of(doc),
                segment: at,
                doc,
            });
        }
        page.shorten();
    }
    partitions.sort_unstable();
    partitions.dedup();
    stats.partitions = partitions.len() as u64;
    stats.leave_out(left_out_segments);

    let more = page.rows.len() > limit;
    page.rows.truncate(limit);
    let next = page.rows.last().filter(|_| more).map(|last| Cursor {
        of: page_of,
        value: last.value.clone(),
        row: last.row,
    });
    Ok((page.rows, next, stats))
}

/// What tells questions apart whose pages do not belong together.
fn fingerprint(request: &FlowsRequest) -> u64 {
    let meaning = || {
        let filter = request.filter.as_ref().map(Filter::to_string);
        let moment = |ns: Option<i64>| ns.map_or(String::new(), |ns| ns.to_string());
        let times = format!("{}\n{}", moment(request.from_ns), moment(request.to_ns));
        let once = request.once.as_ref().map(OnceRule::words).unwrap_or_default();
        format!("{}\n{times}\n{once}", filter.unwrap_or_default())
    };
    fnv(request.asked.clone().unwrap_or_else(meaning).as_bytes())
}

/// One flow by its `_id` with every element, as a table of one row; no row when it is gone.
///
/// # Errors
/// When the id is none, or the store cannot be read.
pub fn flow(snapshot: &Snapshot, id: &str) -> Result<Table, QueryError> {
    let watch = Watch::new(&Limits::default());
    let row = u64::from_str_radix(id, 16).map_err(|_| QueryError::Request {
        parameter: "id",
        detail: format!("'{}' is no flow id", crate::normalize::row::cut(id, 48)),
        nearest: None,
    })?;
    let found = snapshot.find_row(row).and_then(|(segment, doc)| {
        let at = snapshot.segments().iter().position(|held| Arc::ptr_eq(held, segment))?;
        Some(Found {
            value: None,
            row,
            segment: at,
            doc,
        })
    });
    let reads = |segment: &Segment| segment.meta().doc_of(row).is_some();
    let read = || rows_table(snapshot, found.as_slice(), &Fields::All, &watch);
    let mut table = without_damage(snapshot, &Limits::default(), reads, read)?;
    table.stats = QueryStats {
        rows_read: found.iter().len() as u64,
        rows_matched: found.iter().len() as u64,
        elapsed_ms: watch.elapsed_ms(),
        ..QueryStats::default()
    };
    Ok(table)
}

pub(super) fn parse_order(text: Option<&str>) -> Result<Order, QueryError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(Order {
            column: id::START,
            descending: true,
        });
    };
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let column = column(name.strip_prefix('+').unwrap_or(name)).ok_or_else(|| QueryError::Request {
        parameter: "order",
        detail: format!(
            "there is no column '{}' to order by",
            crate::normalize::row::cut(name, 48)
        ),
        nearest: nearest(name, COLUMNS.iter().map(|column| column.name)),
    })?;
    Ok(Order { column, descending })
}

/// Segments that may have selected rows, the one with the first rows of the page first.
fn segments_in_order(snapshot: &Snapshot, selection: &Selection<'_>, order: Order) -> Vec<usize> {
    let overlapping = |segment: &Segment| segment.overlaps(selection.from_ns, selection.to_ns);
    let mut chosen: Vec<usize> = snapshot
        .segments()
        .iter()
        .enumerate()
        .filter(|(_, segment)| overlapping(segment))
        .map(|(at, _)| at)
        .collect();
    let meta = |at: &usize| snapshot.segments().get(*at).map(|segment| segment.meta().start_ns);
    match order.descending {
        true => chosen.sort_by_key(|at| std::cmp::Reverse(meta(at).map(|(_, last)| last))),
        false => chosen.sort_by_key(|at| meta(at).map(|(first, _)| first)),
    }
    chosen
}

impl Order {
    fn cell(self, open: &OpenSegment, code: u64) -> Result<Cell, QueryError> {
        if self.column == id::END {
            return Ok(Cell::Signed(i64::from_u64(code)));
        }
        let cell = open.column(self.column).map(|codes| codes.cell(code)).transpose();
        let cell = cell.map_err(|error| QueryError::Store {
            detail: error.to_string(),
        })?;
        cell.ok_or_else(|| QueryError::Store {
            detail: "a column went away".to_owned(),
        })
    }

    /// How two rows follow each other: rows without the value last, the same value by number.
    fn compare(self, left: (&Option<Cell>, u64), right: (&Option<Cell>, u64)) -> Ordering {
        let values = match (left.0, right.0) {
            (Some(left), Some(right)) => {
                let order = total_order(left, right);
                if self.descending { order.reverse() } else { order }
            }
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        let rows = if self.descending {
            right.1.cmp(&left.1)
        } else {
            left.1.cmp(&right.1)
        };
        values.then(rows)
    }
}

struct Page {
    order: Order,
    limit: usize,
    rows: Vec<Found>,
}

impl Page {
    fn shorten(&mut self) {
        let order = self.order;
        self.rows
            .sort_by(|left, right| order.compare((&left.value, left.row), (&right.value, right.row)));
        self.rows.truncate(self.limit);
    }

    /// No row of this segment can come before the last of a full page.
    fn is_settled_before(&self, segment: &Segment) -> bool {
        let Some(last) = self.rows.get(self.limit - 1) else {
            return false;
        };
        let (id::START, Some(Cell::Signed(last))) = (self.order.column, &last.value) else {
            return false;
        };
        let (first_ns, last_ns) = segment.meta().start_ns;
        if self.order.descending {
            last_ns < *last
        } else {
            first_ns > *last
        }
    }
}

/// A candidate within a segment: smaller is earlier on the page.
type Key = (bool, u64, u32);

/// The first rows of a segment in the order asked for, as codes and documents.
fn best_of(
    segment: &Segment,
    open: &OpenSegment,
    documents: &super::bits::Bits,
    order: Order,
    cursor: Option<&Cursor>,
    limit: usize,
    watch: &Watch,
) -> Result<Vec<(Option<u64>, u32)>, QueryError> {
    let ends = if order.column == id::END {
        EndColumn::open(open)
    } else {
        None
    };
    let column = open.column(order.column);
    let behind = cursor.map(|cursor| cursor.behind(column, order.column)).transpose()?;
    let flip = |code: u64| if order.descending { !code } else { code };
    let mut heap: BinaryHeap<Key> = BinaryHeap::with_capacity(limit.min(BLOCK as usize) + 1);
    let (mut docs, mut codes) = (Vec::new(), Vec::new());
    for from in (0..documents.len()).step_by(BLOCK as usize) {
        docs.clear();
        documents.docs_of(from, documents.len().min(from + BLOCK), &mut docs);
        if docs.is_empty() {
            continue;
        }
        watch.check()?;
        match (&ends, column) {
            (Some(ends), _) => ends.codes(&docs, &mut codes),
            (None, Some(column)) => first_codes(&column.column, &docs, &mut codes),
            (None, None) => {
                codes.clear();
                codes.resize(docs.len(), None);
            }
        }
        for (doc, code) in docs.iter().zip(&codes) {
            if let Some(behind) = &behind
                && !behind.contains(*code, segment.meta().row_of(*doc), order.descending)
            {
                continue;
            }
            // Document order is row order, so that flipping both keeps later rows first when descending.
            let doc_key = if order.descending { !*doc } else { *doc };
            let key = (code.is_none(), code.map_or(0, flip), doc_key);
            if heap.len() < limit {
                heap.push(key);
            } else if heap.peek().is_some_and(|worst| key < *worst) {
                heap.pop();
                heap.push(key);
            }
        }
    }
    let back = |(absent, code, doc): Key| ((!absent).then(|| flip(code)), if order.descending { !doc } else { doc });
    Ok(heap.into_sorted_vec().into_iter().map(back).collect())
}

/// What of a row is asked for.
pub(super) enum Fields {
    All,
    Some { columns: Vec<ColumnId>, other: Vec<String> },
}

impl Fields {
    pub fn parse(names: &[String], snapshot: &Snapshot) -> Result<Self, QueryError> {
        if names.is_empty() {
            return Ok(Self::All);
        }
        let (mut wanted, mut other) = (Vec::new(), Vec::new());
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            match column(name) {
                Some(column) if !wanted.contains(&column) => wanted.push(column),
                Some(_) => {}
                None => {
                    let known = match parse_subject(name, "fields") {
                        Ok(Subject::Other(known)) => known,
                        Ok(Subject::Column(_)) => continue,
                        // Elements that exporters or the user named are known by being there.
                        Err(_) if snapshot.has_other(name) => name.to_owned(),
                        Err(error) => return Err(error),
                    };
                    if !other.contains(&known) {
                        other.push(known);
                    }
                }
            }
            if other.len() > limits::FIELD_ELEMENTS {
                return Err(QueryError::Request {
                    parameter: "fields",
                    detail: format!(
                        "at most {} elements besides columns; without fields there is everything",
                        limits::FIELD_ELEMENTS
                    ),
                    nearest: None,
                });
            }
        }
        Ok(Self::Some { columns: wanted, other })
    }

    pub fn columns(&self) -> Vec<ColumnId> {
        match self {
            Self::All => columns().map(|(column, _)| column).collect(),
            Self::Some { columns, .. } => columns.clone(),
        }
    }

    pub fn other<'n>(&'n self, segment: &'n Segment) -> Vec<&'n str> {
        match self {
            Self::All => segment.meta().other.iter().map(String::as_str).collect(),
            Self::Some { other, .. } => other
                .iter()
                .filter(|name| segment.meta().other.binary_search(name).is_ok())
                .map(String::as_str)
                .collect(),
        }
    }
}

fn rows_table(snapshot: &Snapshot, found: &[Found], fields: &Fields, watch: &Watch) -> Result<Table, QueryError> {
    let named = match fields {
        Fields::All => Vec::new(),
        Fields::Some { other, .. } => other.clone(),
    };
    Ok(Table {
        columns: table_columns(&fields.columns()),
        rows: rows_of(snapshot, found, fields, watch)?,
        named,
        ..Table::default()
    })
}

pub(super) fn table_columns(columns: &[ColumnId]) -> Vec<TableColumn> {
    let columns = columns.iter().map(|id| {
        let column = id.column();
        TableColumn {
            name: column.name.to_owned(),
            kind: column.kind,
            unit: column.unit,
        }
    });
    columns.collect()
}

/// The cells of rows that were found, in the same order.
///
/// # Errors
/// When the time is over, they have too many values together, or the store cannot be read.
pub(super) fn rows_of(
    snapshot: &Snapshot,
    found: &[Found],
    fields: &Fields,
    watch: &Watch,
) -> Result<Vec<TableRow>, QueryError> {
    let columns = fields.columns();
    let mut values = 0;
    let mut rows: Vec<Option<TableRow>> = vec![None; found.len()];
    let mut by_segment: Vec<(usize, &Found)> = found.iter().enumerate().collect();
    by_segment.sort_by_key(|(_, found)| (found.segment, found.doc));
    for group in by_segment.chunk_by(|left, right| left.1.segment == right.1.segment) {
        let Some(segment) = group
            .first()
            .and_then(|(_, found)| snapshot.segments().get(found.segment))
        else {
            continue;
        };
        let Some(open) = segment.open() else { continue };
        let others: Vec<(&str, Vec<Codes>)> = fields
            .other(segment)
            .into_iter()
            .map(|name| (name, open.other(name)))
            .collect();
        for (done, (at, found)) in group.iter().enumerate() {
            if done % ROWS_PER_CHECK == 0 {
                watch.check()?;
            }
            let mut cells = Vec::with_capacity(columns.len());
            for column in &columns {
                cells.push(cell_of(open, *column, found.doc)?);
            }
            let mut other = Vec::new();
            for (name, codes) in &others {
                for codes in codes {
                    for code in codes.column.values_for_doc(found.doc) {
                        other.push(((*name).to_owned(), codes.cell(code).map_err(store_error)?));
                    }
                }
            }
            values += cells.len() + other.len();
            if values > limits::CELLS_PER_ANSWER {
                return Err(QueryError::TooMuch {
                    detail: format!(
                        "these flows have more than {} values together; ask for fewer fields, or fewer flows",
                        limits::CELLS_PER_ANSWER
                    ),
                });
            }
            if let Some(slot) = rows.get_mut(*at) {
                *slot = Some(TableRow {
                    id: format!("{:x}", found.row),
                    cells,
                    other,
                });
            }
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

fn store_error(error: std::io::Error) -> QueryError {
    QueryError::Store {
        detail: error.to_string(),
    }
}

fn cell_of(open: &OpenSegment, column: ColumnId, doc: u32) -> Result<Option<Cell>, QueryError> {
    if column == id::END {
        let mut codes = Vec::new();
        if let Some(ends) = EndColumn::open(open) {
            ends.codes(&[doc], &mut codes);
        }
        return Ok(codes
            .first()
            .copied()
            .flatten()
            .map(|code| Cell::Signed(i64::from_u64(code))));
    }
    let Some(codes) = open.column(column) else {
        return Ok(None);
    };
    let cell = codes
        .column
        .first(doc)
        .map(|code| codes.cell(code))
        .transpose()
        .map_err(store_error)?;
    Ok(match cell {
        Some(Cell::Number(value)) if column.column().kind == ColumnKind::Mac => Some(Cell::Mac(value)),
        cell => cell,
    })
}
