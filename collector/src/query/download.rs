//! Everything that matches, a few rows at a time: what files are made of.
//!
//! How much it is, and what its columns hold, is known before the first row: a file that would be too large is refused and
//! never cut. Rows come as they lie in the store, by arrival, unless an order is asked for; then they come page by page.

use std::sync::Arc;

use tantivy::columnar::Column;

use super::bits::Bits;
use super::cursor::{Cursor, PageOf};
use super::evaluate::Selection;
use super::filter::ast::Subject;
use super::flows::{Fields, Found, Order, PageAsked, find, parse_order, rows_of, table_columns};
use super::kinds::Kinds;
use super::once::{self, LeftOut, OnceRule};
use super::scan::BLOCK;
use super::sound::without_damage;
use super::table::TableRow;
use super::{FlowsRequest, Limits, QueryError, Watch, time};
use crate::forms::{Facts, Head, ROWS_AT_ONCE};
use crate::limits::{DOWNLOAD_ELEMENTS, DOWNLOAD_SELECTED_OCTETS, FLOWS_PER_ANSWER, FLOWS_PER_DOWNLOAD};
use crate::normalize::columns::id;
use crate::normalize::row::Cell;
use crate::store::Snapshot;
use crate::store::segment::{Codes, Decode, Segment};

/// Rows that are still to come.
pub struct Download {
    snapshot: Arc<Snapshot>,
    request: FlowsRequest,
    fields: Fields,
    left_out: Option<LeftOut>,
    head: Head,
    rows: u64,
    segments_left_out: u64,
    left: Left,
}

/// Where it goes on.
enum Left {
    /// As rows lie in the store: the segments that have some, from the last one back.
    Stored { segments: Vec<Selected>, from: u32 },
    /// By a column.
    Ordered {
        order: Order,
        cursor: Option<Cursor>,
        page: std::vec::IntoIter<Found>,
        is_last: bool,
    },
}

struct Selected {
    at: usize,
    /// Which of its rows; looked for again where there are too many to keep in mind.
    documents: Option<Bits>,
}

/// Counts what matches and gets ready to hand it out.
///
/// # Errors
/// When a parameter is wrong, too much matches, the time is over, or the store cannot be read.
pub fn download(snapshot: Arc<Snapshot>, request: FlowsRequest) -> Result<Download, QueryError> {
    let reads = |segment: &Segment| segment.overlaps(request.from_ns, request.to_ns);
    let answer = || begin(Arc::clone(&snapshot), request.clone());
    without_damage(&snapshot, &request.limits, reads, answer)
}

fn begin(snapshot: Arc<Snapshot>, request: FlowsRequest) -> Result<Download, QueryError> {
    let watch = Watch::new(&request.limits);
    let order = request.order.as_deref().filter(|order| !order.is_empty());
    let order = order.map(|order| parse_order(Some(order))).transpose()?;
    let fields = Fields::parse(&request.fields, &snapshot)?;
    time::check_span(request.from_ns, request.to_ns).map_err(|detail| QueryError::Request {
        parameter: "from",
        detail,
        nearest: None,
    })?;
    let leave_out = |rule: &OnceRule| once::find(&snapshot, &selection(&request, order), rule, &watch);
    let left_out = request.once.as_ref().map(leave_out).transpose()?;
    let mut counted = Counted::new(&fields, left_out.as_ref());
    for (at, segment) in snapshot.segments().iter().enumerate() {
        if segment.overlaps(request.from_ns, request.to_ns) {
            counted.segment(at, segment, &selection(&request, order), &watch)?;
        }
    }
    let Counted {
        rows,
        facts,
        other,
        selected: mut segments,
        segments_left_out,
        ..
    } = counted;
    let left = match order {
        None => {
            segments.reverse();
            Left::Stored { segments, from: 0 }
        }
        Some(order) => Left::Ordered {
            order,
            cursor: None,
            page: Vec::new().into_iter(),
            is_last: rows == 0,
        },
    };
    let head = Head {
        columns: table_columns(&fields.columns()),
        facts,
        other: other.into_iter().collect(),
        has_ids: true,
        about: None,
    };
    Ok(Download {
        snapshot,
        request,
        fields,
        left_out,
        head: head.without_doubles(),
        rows,
        segments_left_out,
        left,
    })
}

fn selection(request: &FlowsRequest, order: Option<Order>) -> Selection<'_> {
    let ordered = Subject::Column(order.map_or(id::START, |order| order.column));
    Selection {
        kinds: Kinds::of(request.filter.as_ref(), std::iter::once(&ordered)),
        filter: request.filter.as_ref(),
        from_ns: request.from_ns,
        to_ns: request.to_ns,
        timed: false,
    }
}

impl Download {
    /// What there is to know before its rows.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many rows there are in all.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Segments that may have rows, too, and cannot be read.
    pub fn segments_left_out(&self) -> u64 {
        self.segments_left_out
    }

    /// Some more rows; none when all were handed out.
    ///
    /// # Errors
    /// When the time is over, or the store cannot be read.
    pub fn next(&mut self, limits: &Limits) -> Result<Option<Vec<TableRow>>, QueryError> {
        let found = match &mut self.left {
            Left::Stored { segments, from } => {
                let order = None;
                let selection = selection(&self.request, order);
                stored(
                    &self.snapshot,
                    &selection,
                    self.left_out.as_ref(),
                    segments,
                    from,
                    limits,
                )?
            }
            Left::Ordered {
                order,
                cursor,
                page,
                is_last,
            } => {
                if page.as_slice().is_empty() && !*is_last {
                    let watch = Watch::new(limits);
                    let selection = selection(&self.request, Some(*order));
                    let asked = PageAsked {
                        of: PageOf {
                            column: order.column,
                            descending: order.descending,
                            question: 0,
                            span_ns: (self.request.from_ns, self.request.to_ns),
                        },
                        order: *order,
                        cursor: cursor.as_ref(),
                        limit: FLOWS_PER_ANSWER,
                    };
                    let (found, next, _) = find(&self.snapshot, &selection, self.left_out.as_ref(), asked, &watch)?;
                    (*is_last, *cursor) = (next.is_none(), next);
                    *page = found.into_iter();
                }
                page.take(ROWS_AT_ONCE).collect()
            }
        };
        if found.is_empty() {
            return Ok(None);
        }
        rows_of(&self.snapshot, &found, &self.fields, &Watch::new(limits)).map(Some)
    }
}

/// The next rows in the order of the store.
fn stored(
    snapshot: &Snapshot,
    selection: &Selection<'_>,
    left_out: Option<&LeftOut>,
    segments: &mut Vec<Selected>,
    from: &mut u32,
    limits: &Limits,
) -> Result<Vec<Found>, QueryError> {
    let watch = Watch::new(limits);
    let mut docs = Vec::new();
    while let Some(selected) = segments.last_mut() {
        let segment = snapshot.segments().get(selected.at);
        let Some((segment, open)) = segment.and_then(|segment| Some((segment, segment.open()?))) else {
            segments.pop();
            continue;
        };
        let documents = match &mut selected.documents {
            Some(documents) => documents,
            none => {
                let documents = none.insert(selection.documents(segment, open, &watch)?);
                if let Some(left_out) = left_out {
                    left_out.take_out(segment, documents);
                }
                documents
            }
        };
        while *from < documents.len() {
            let to = documents.len().min(*from + BLOCK);
            documents.docs_of(*from, to, &mut docs);
            *from = to;
            if !docs.is_empty() {
                let found = docs.iter().map(|doc| Found {
                    value: None,
                    row: segment.meta().row_of(*doc),
                    segment: selected.at,
                    doc: *doc,
                });
                return Ok(found.collect());
            }
        }
        segments.pop();
        *from = 0;
    }
    Ok(Vec::new())
}

/// What was found while counting.
struct Counted<'f> {
    fields: &'f Fields,
    left_out: Option<&'f LeftOut>,
    rows: u64,
    facts: Vec<Facts>,
    other: std::collections::BTreeMap<String, Facts>,
    selected: Vec<Selected>,
    kept_octets: usize,
    segments_left_out: u64,
}

impl<'f> Counted<'f> {
    fn new(fields: &'f Fields, left_out: Option<&'f LeftOut>) -> Counted<'f> {
        let named = match fields {
            Fields::All => &[][..],
            Fields::Some { other, .. } => other,
        };
        Counted {
            fields,
            left_out,
            rows: 0,
            facts: vec![Facts::default(); fields.columns().len()],
            other: named.iter().map(|name| (name.clone(), Facts::default())).collect(),
            selected: Vec::new(),
            kept_octets: 0,
            segments_left_out: 0,
        }
    }

    fn segment(
        &mut self,
        at: usize,
        segment: &Arc<Segment>,
        selection: &Selection<'_>,
        watch: &Watch,
    ) -> Result<(), QueryError> {
        let Some(open) = segment.open() else {
            self.segments_left_out += 1;
            return Ok(());
        };
        let mut documents = selection.documents(segment, open, watch)?;
        if let Some(left_out) = self.left_out {
            left_out.take_out(segment, &mut documents);
        }
        if documents.is_empty() {
            return Ok(());
        }
        self.rows += u64::from(documents.count());
        if self.rows > FLOWS_PER_DOWNLOAD {
            return Err(QueryError::TooMuch {
                detail: format!(
                    "more than {FLOWS_PER_DOWNLOAD} flows match, which are the most for one file; ask about a shorter time, or filter more"
                ),
            });
        }
        for (facts, column) in self.facts.iter_mut().zip(self.fields.columns()) {
            match open.column(column) {
                _ if column == id::END => facts.add(Some(&Cell::Signed(0))),
                Some(codes) => add(facts, codes),
                None => {}
            }
        }
        for name in self.fields.other(segment) {
            for codes in open.other(name) {
                watch.check()?;
                if has_any(&codes.column, &documents) {
                    add(self.other.entry(name.to_owned()).or_default(), &codes);
                }
            }
        }
        if self.other.len() > DOWNLOAD_ELEMENTS {
            return Err(QueryError::TooMuch {
                detail: format!(
                    "these flows have more than {DOWNLOAD_ELEMENTS} elements besides columns; name those wanted with fields"
                ),
            });
        }
        let octets = (documents.len() / 8) as usize;
        let is_kept = self.kept_octets + octets <= DOWNLOAD_SELECTED_OCTETS;
        self.kept_octets += if is_kept { octets } else { 0 };
        self.selected.push(Selected {
            at,
            documents: is_kept.then_some(documents),
        });
        Ok(())
    }
}

/// What a segment's column may hold.
fn add(facts: &mut Facts, codes: &Codes) {
    facts.add(Some(&match codes.decode {
        Decode::Number => Cell::Number(codes.column.max_value()),
        Decode::Signed => Cell::Signed(0),
        Decode::Float => Cell::Float(0.0),
        Decode::Bool => Cell::Bool(false),
        Decode::Ip(_) => Cell::Ip(0),
        Decode::Text(_) => Cell::Mac(0),
    }));
}

/// Whether any of the documents has a value.
fn has_any(column: &Column<u64>, documents: &Bits) -> bool {
    let mut docs = Vec::new();
    (0..documents.len()).step_by(BLOCK as usize).any(|from| {
        docs.clear();
        documents.docs_of(from, documents.len().min(from + BLOCK), &mut docs);
        docs.iter().any(|doc| column.index.has_value(*doc))
    })
}
