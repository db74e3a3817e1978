//! A filter over one segment: every leaf becomes a set of documents, the cheapest ones first.

use std::io;

use tantivy::columnar::MonotonicallyMappableToU64;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet as _, TERMINATED, Term};

use super::bits::Bits;
use super::ends::EndColumn;
use super::filter::ast::{Literal, Node, NodeKind, Operator, Subject, Test};
use super::filter::pattern::Pattern;
use super::kinds::Kinds;
use super::order::compare_cells;
use super::ranges::{Ranges, ranges, set_ranges};
use super::scan::{BLOCK, first_codes, present, scan};
use super::{Filter, QueryError, Watch};
use crate::normalize::columns::{ColumnKind, columns, id};
use crate::normalize::row::{Cell, ip_to_u128};
use crate::store::segment::{Codes, Decode, OpenSegment, Segment, ip_term_address};

/// Sets larger than this are looked up in the column rather than in the inverted index.
const POSTINGS_PER_SET: usize = 64;

/// What looking at a whole column costs, next to the inverted index.
const SCAN_COST: u32 = 20;

/// Which rows a question is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'f> {
    /// Which kinds of rows.
    pub kinds: Kinds,
    /// The filter, `None` for all.
    pub filter: Option<&'f Filter>,
    /// Flows that end at or after this.
    pub from_ns: Option<i64>,
    /// Flows that start before this.
    pub to_ns: Option<i64>,
    /// Only what has a time at all.
    pub timed: bool,
}

impl Selection<'_> {
    /// The documents of a segment it selects.
    pub fn documents(&self, segment: &Segment, open: &OpenSegment, watch: &Watch) -> Result<Bits, QueryError> {
        let documents = self.of_any_time(segment, open, watch)?;
        Ok(match (self.timed, open.column(id::START)) {
            (false, _) => documents,
            (true, Some(starts)) => present(&starts.column, &documents),
            (true, None) => Bits::none(documents.len()),
        })
    }

    fn of_any_time(&self, segment: &Segment, open: &OpenSegment, watch: &Watch) -> Result<Bits, QueryError> {
        let evaluation = Evaluation { open, watch };
        let all = Bits::all(segment.rows());
        let Some(filter) = self.filter else {
            let bits = self.in_time(&evaluation, segment, all)?;
            return self.kinds.select(open, bits, watch);
        };
        // The inverted index leaves fewer rows to look at than the time does.
        if cost(&filter.root) < SCAN_COST {
            let bits = evaluation.node(&filter.root, &all)?;
            let bits = self.in_time(&evaluation, segment, bits)?;
            return self.kinds.select(open, bits, watch);
        }
        let bits = self.in_time(&evaluation, segment, all)?;
        let bits = self.kinds.select(open, bits, watch)?;
        if bits.is_empty() {
            Ok(bits)
        } else {
            evaluation.node(&filter.root, &bits)
        }
    }

    fn in_time(&self, evaluation: &Evaluation<'_>, segment: &Segment, mut bits: Bits) -> Result<Bits, QueryError> {
        let meta = segment.meta();
        if let Some(to) = self.to_ns.filter(|to| meta.start_ns.1 >= *to) {
            let start = Subject::Column(id::START);
            bits = evaluation.compare(&start, Operator::Less, &Literal::Time(to), &bits)?;
        }
        if let Some(from) = self.from_ns.filter(|from| meta.end_ns.0 < *from) {
            let end = Subject::Column(id::END);
            bits = evaluation.compare(&end, Operator::GreaterOrEqual, &Literal::Time(from), &bits)?;
        }
        Ok(bits)
    }
}

/// The codes of a subject in a segment; several when an element had values of several kinds.
pub fn subject_codes(open: &OpenSegment, subject: &Subject) -> Vec<Codes> {
    match subject {
        Subject::Column(column) => open.column(*column).cloned().into_iter().collect(),
        Subject::Other(name) => open.other(name),
    }
}

struct Evaluation<'s> {
    open: &'s OpenSegment,
    watch: &'s Watch,
}

fn store_error(error: io::Error) -> QueryError {
    QueryError::Store {
        detail: error.to_string(),
    }
}

impl Evaluation<'_> {
    /// Those of `within` that fit.
    fn node(&self, node: &Node, within: &Bits) -> Result<Bits, QueryError> {
        match &node.kind {
            NodeKind::And(parts) => {
                let mut bits = within.clone();
                for part in by_cost(parts) {
                    if bits.is_empty() {
                        break;
                    }
                    bits = self.node(part, &bits)?;
                }
                Ok(bits)
            }
            NodeKind::Or(parts) => {
                let mut found = Bits::none(within.len());
                let mut left = within.clone();
                for part in by_cost(parts) {
                    let bits = self.node(part, &left)?;
                    left.and_not(&bits);
                    found.or(&bits);
                }
                Ok(found)
            }
            NodeKind::Not(inner) => {
                let mut bits = within.clone();
                bits.and_not(&self.node(inner, within)?);
                Ok(bits)
            }
            NodeKind::Test(test) => self.test(test, within),
        }
    }

    fn test(&self, test: &Test, within: &Bits) -> Result<Bits, QueryError> {
        self.watch.check()?;
        match test {
            Test::Exists(subject) => Ok(self.exists(subject, within)),
            Test::Compare(subject, operator, literal) => self.compare(subject, *operator, literal, within),
            Test::In(subject, literals) => self.set(subject, literals, within),
            Test::Matches(subject, pattern) => {
                let mut found = Bits::none(within.len());
                for codes in subject_codes(self.open, subject) {
                    self.matches(&codes, pattern, within, &mut found)?;
                }
                Ok(found)
            }
            Test::Flags(subject, mask) => {
                let mut found = Bits::none(within.len());
                for codes in subject_codes(self.open, subject) {
                    scan(&codes.column, within, &mut found, self.watch, |code| {
                        code & mask == *mask
                    })?;
                }
                Ok(found)
            }
            Test::Columns(left, operator, right) => self.columns(left, *operator, right, within),
            Test::Word(pattern) => {
                let mut found = Bits::none(within.len());
                let texts = columns().filter(|(_, column)| column.kind == ColumnKind::Text);
                for codes in texts.filter_map(|(id, _)| self.open.column(id)) {
                    self.matches(codes, pattern, within, &mut found)?;
                }
                Ok(found)
            }
        }
    }

    fn exists(&self, subject: &Subject, within: &Bits) -> Bits {
        let subject = if *subject == Subject::Column(id::END) {
            &Subject::Column(id::START)
        } else {
            subject
        };
        let mut found = Bits::none(within.len());
        for codes in subject_codes(self.open, subject) {
            found.or(&present(&codes.column, within));
        }
        found
    }

    fn compare(
        &self,
        subject: &Subject,
        operator: Operator,
        literal: &Literal,
        within: &Bits,
    ) -> Result<Bits, QueryError> {
        if operator == Operator::Equal
            && let Some(found) = self.postings(subject, std::slice::from_ref(literal), within)?
        {
            return Ok(found);
        }
        if *subject == Subject::Column(id::END) {
            let fits = ranges(&Decode::Signed, operator, literal).map_err(store_error)?;
            return self.ends(&fits, within);
        }
        let mut found = Bits::none(within.len());
        for codes in subject_codes(self.open, subject) {
            if let (Decode::Text(_), Literal::Ip(_) | Literal::Net(..)) = (&codes.decode, literal) {
                self.terms(&codes, within, &mut found, |term| address_fits(term, operator, literal))?;
                continue;
            }
            let fits = ranges(&codes.decode, operator, literal).map_err(store_error)?;
            self.in_ranges(&codes, &fits, within, &mut found)?;
        }
        Ok(found)
    }

    fn set(&self, subject: &Subject, literals: &[Literal], within: &Bits) -> Result<Bits, QueryError> {
        if let Some(found) = self.postings(subject, literals, within)? {
            return Ok(found);
        }
        if *subject == Subject::Column(id::END) {
            let fits = set_ranges(&Decode::Signed, literals).map_err(store_error)?;
            return self.ends(&fits, within);
        }
        let mut found = Bits::none(within.len());
        for codes in subject_codes(self.open, subject) {
            let fits = set_ranges(&codes.decode, literals).map_err(store_error)?;
            self.in_ranges(&codes, &fits, within, &mut found)?;
            if literals
                .iter()
                .any(|literal| matches!(literal, Literal::Ip(_) | Literal::Net(..)))
            {
                self.terms(&codes, within, &mut found, |term| {
                    literals
                        .iter()
                        .any(|literal| address_fits(term, Operator::Equal, literal))
                })?;
            }
        }
        Ok(found)
    }

    fn in_ranges(&self, codes: &Codes, fits: &Ranges, within: &Bits, out: &mut Bits) -> Result<(), QueryError> {
        let column = &codes.column;
        match fits.0.as_slice() {
            [] => Ok(()),
            // One subtraction and one comparison.
            [(first, last)] => scan(column, within, out, self.watch, |code| {
                code.wrapping_sub(*first) <= last - first
            }),
            _ => scan(column, within, out, self.watch, |code| fits.contains(code)),
        }
    }

    fn ends(&self, fits: &Ranges, within: &Bits) -> Result<Bits, QueryError> {
        let mut found = Bits::none(within.len());
        let Some(ends) = EndColumn::open(self.open) else {
            return Ok(found);
        };
        let mut codes = Vec::new();
        self.blocks(within, |docs| {
            ends.codes(docs, &mut codes);
            for (doc, code) in docs.iter().zip(&codes) {
                if code.is_some_and(|code| fits.contains(code)) {
                    found.insert(*doc);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn blocks(&self, within: &Bits, mut see: impl FnMut(&[u32]) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let mut docs = Vec::new();
        for from in (0..within.len()).step_by(BLOCK as usize) {
            docs.clear();
            within.docs_of(from, within.len().min(from + BLOCK), &mut docs);
            if !docs.is_empty() {
                self.watch.check()?;
                see(&docs)?;
            }
        }
        Ok(())
    }

    /// The answer of the inverted index, `None` when it cannot tell or would take longer than looking.
    fn postings(&self, subject: &Subject, literals: &[Literal], within: &Bits) -> Result<Option<Bits>, QueryError> {
        let Subject::Column(column) = subject else {
            return Ok(None);
        };
        if literals.len() > POSTINGS_PER_SET || !column.column().indexed {
            return Ok(None);
        }
        let Ok(field) = self.open.reader.schema().get_field(column.column().name) else {
            return Ok(None);
        };
        if !self.open.reader.schema().get_field_entry(field).is_indexed() {
            return Ok(None);
        }
        let mut terms = Vec::with_capacity(literals.len());
        for literal in literals {
            terms.push(match literal {
                Literal::Number(value) => Term::from_field_u64(field, *value),
                Literal::Ip(address) => Term::from_field_ip_addr(field, ip_term_address(*address)),
                Literal::Text(text) => Term::from_field_text(field, text),
                _ => return Ok(None),
            });
        }
        let inverted = self
            .open
            .reader
            .inverted_index(field)
            .map_err(|error| QueryError::Store {
                detail: error.to_string(),
            })?;
        let candidates = within.count();
        let mut found = Bits::none(within.len());
        for term in terms {
            let Some(info) = inverted.get_term_info(&term).map_err(store_error)? else {
                continue;
            };
            if info.doc_freq / 32 > candidates {
                return Ok(None);
            }
            let mut postings = inverted
                .read_postings_from_terminfo(&info, IndexRecordOption::Basic)
                .map_err(store_error)?;
            let mut doc = postings.doc();
            while doc != TERMINATED {
                found.insert(doc);
                doc = postings.advance();
            }
        }
        found.and(within);
        Ok(Some(found))
    }

    fn matches(&self, codes: &Codes, pattern: &Pattern, within: &Bits, out: &mut Bits) -> Result<(), QueryError> {
        self.terms(codes, within, out, |term| pattern.fits_octets(term))
    }

    /// Asks once for each text of the segment, then looks for those that fit.
    fn terms(
        &self,
        codes: &Codes,
        within: &Bits,
        out: &mut Bits,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<(), QueryError> {
        let Decode::Text(text) = &codes.decode else {
            return Ok(());
        };
        let terms = text.dictionary().num_terms();
        let mut fits = Bits::none(u32::try_from(terms).unwrap_or(u32::MAX));
        let mut stream = text.dictionary().stream().map_err(store_error)?;
        let mut any = false;
        let mut ord = 0u32;
        while stream.advance() {
            if ord.is_multiple_of(BLOCK) {
                self.watch.check()?;
            }
            if wanted(stream.key()) {
                fits.insert(ord);
                any = true;
            }
            ord += 1;
        }
        if any {
            scan(&codes.column, within, out, self.watch, |code| {
                u32::try_from(code).is_ok_and(|ord| fits.contains(ord))
            })?;
        }
        Ok(())
    }

    fn columns(&self, left: &Subject, operator: Operator, right: &Subject, within: &Bits) -> Result<Bits, QueryError> {
        let mut found = Bits::none(within.len());
        let lefts = self.readers(left);
        let rights = self.readers(right);
        for left in &lefts {
            for right in &rights {
                self.compare_readers(left, operator, right, within, &mut found)?;
            }
        }
        Ok(found)
    }

    fn readers(&self, subject: &Subject) -> Vec<Reader<'_>> {
        if *subject == Subject::Column(id::END) {
            return EndColumn::open(self.open).map(Reader::End).into_iter().collect();
        }
        subject_codes(self.open, subject)
            .into_iter()
            .map(Reader::Codes)
            .collect()
    }

    fn compare_readers(
        &self,
        left: &Reader<'_>,
        operator: Operator,
        right: &Reader<'_>,
        within: &Bits,
        found: &mut Bits,
    ) -> Result<(), QueryError> {
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        let by_code = left.same_codes(right);
        self.blocks(within, |docs| {
            left.codes(docs, &mut lefts);
            right.codes(docs, &mut rights);
            for (doc, codes) in docs.iter().zip(lefts.iter().zip(&rights)) {
                let (Some(a), Some(b)) = codes else { continue };
                let order = if by_code {
                    Some(a.cmp(b))
                } else {
                    let a = left.cell(*a).map_err(store_error)?;
                    compare_cells(&a, &right.cell(*b).map_err(store_error)?)
                };
                if order.is_some_and(|order| operator.holds(order)) {
                    found.insert(*doc);
                }
            }
            Ok(())
        })
    }
}

enum Reader<'s> {
    Codes(Codes),
    End(EndColumn<'s>),
}

impl Reader<'_> {
    fn codes(&self, docs: &[u32], out: &mut Vec<Option<u64>>) {
        match self {
            Self::Codes(codes) => first_codes(&codes.column, docs, out),
            Self::End(end) => end.codes(docs, out),
        }
    }

    fn decode(&self) -> &Decode {
        match self {
            Self::Codes(codes) => &codes.decode,
            Self::End(_) => &Decode::Signed,
        }
    }

    fn cell(&self, code: u64) -> io::Result<Cell> {
        match self {
            Self::Codes(codes) => codes.cell(code),
            Self::End(_) => Ok(Cell::Signed(i64::from_u64(code))),
        }
    }

    /// Codes of both mean the same values.
    fn same_codes(&self, other: &Self) -> bool {
        matches!(
            (self.decode(), other.decode()),
            (Decode::Number, Decode::Number) | (Decode::Signed, Decode::Signed) | (Decode::Bool, Decode::Bool)
        )
    }
}

/// Whether an address that was kept as text compares so.
fn address_fits(term: &[u8], operator: Operator, literal: &Literal) -> bool {
    let address = std::str::from_utf8(term).ok().and_then(|term| term.parse().ok());
    let Some(address) = address.map(ip_to_u128) else {
        return false;
    };
    match literal {
        Literal::Ip(wanted) => operator.holds(address.cmp(wanted)),
        Literal::Net(first, last) => (*first..=*last).contains(&address) == (operator == Operator::Equal),
        _ => false,
    }
}

/// Parts in the order that leaves most to the cheap ones.
fn by_cost(parts: &[Node]) -> Vec<&Node> {
    let mut parts: Vec<&Node> = parts.iter().collect();
    parts.sort_by_key(|part| cost(part));
    parts
}

fn cost(node: &Node) -> u32 {
    match &node.kind {
        NodeKind::And(parts) => parts.iter().map(cost).min().unwrap_or(0) + 1,
        NodeKind::Or(parts) => parts.iter().map(cost).sum(),
        NodeKind::Not(inner) => cost(inner).max(SCAN_COST) + 1,
        NodeKind::Test(test) => match test {
            Test::Compare(Subject::Column(column), Operator::Equal, literal)
                if column.column().indexed && !matches!(literal, Literal::Net(..)) =>
            {
                1
            }
            Test::In(Subject::Column(column), literals)
                if column.column().indexed && literals.len() <= POSTINGS_PER_SET =>
            {
                2 + literals.len() as u32
            }
            Test::Exists(_) => 10,
            Test::Compare(..) | Test::Flags(..) => SCAN_COST,
            Test::In(..) => 30,
            Test::Columns(..) => 100,
            Test::Matches(..) => 120,
            Test::Word(_) => 1_000,
        },
    }
}
