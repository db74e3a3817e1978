//! Data Records cut out of a Set by a template's plan: borrowed, without allocation.

use super::template::{Field, Layout, Template};
use super::value::Value;
use crate::bytes::split_variable;
use crate::error::{DecodeError, DecodeErrorKind, Layer};

/// Iterator over the records of one Data Set.
#[derive(Clone, Debug)]
pub struct Records<'t, 'a> {
    template: &'t Template,
    rest: &'a [u8],
    octets: usize,
    count: usize,
    error: Option<DecodeError>,
}

impl<'t, 'a> Records<'t, 'a> {
    pub(super) fn new(template: &'t Template, body: &'a [u8]) -> Self {
        Self {
            template,
            rest: body,
            octets: body.len(),
            count: 0,
            error: None,
        }
    }

    /// The template they are cut with.
    #[must_use]
    pub fn template(&self) -> &'t Template {
        self.template
    }

    /// Records handed out so far.
    #[must_use]
    pub fn count_so_far(&self) -> usize {
        self.count
    }

    /// What was wrong with the last record, after the end. Offsets count from the start of the Set's body.
    #[must_use]
    pub fn error(&self) -> Option<DecodeError> {
        self.error
    }

    /// Reads to the end, and says how many records there were in all.
    pub fn finish(&mut self) -> usize {
        if let (Some(length), None) = (self.template.fixed_length(), self.error)
            && length > 0
        {
            let whole = self.rest.len() / length;
            self.count += whole;
            self.rest = self.rest.get(whole * length..).unwrap_or_default();
        }
        while self.next().is_some() {}
        self.count
    }

    fn cut(&mut self, length: usize) -> Option<DataRecord<'t, 'a>> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        self.count += 1;
        Some(DataRecord {
            template: self.template,
            bytes,
        })
    }

    fn fail(&mut self, needed: usize) -> Option<DataRecord<'t, 'a>> {
        self.error = Some(DecodeError {
            kind: DecodeErrorKind::RecordCut,
            layer: Layer::Record,
            offset: self.octets - self.rest.len(),
            needed,
            available: self.rest.len(),
        });
        self.rest = &[];
        None
    }
}

impl<'t, 'a> Iterator for Records<'t, 'a> {
    type Item = DataRecord<'t, 'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // "The padding length MUST be shorter than any allowable record" (RFC 7011 section 3.3.1).
        // A template whose records take nothing would hand them out for ever; nobody gets one accepted.
        let min_length = self.template.min_length();
        if self.rest.len() < min_length || min_length == 0 {
            return None;
        }
        match self.template.layout() {
            Layout::Fixed(_) => self.cut(min_length),
            Layout::Variable => match variable_length(self.template.fields(), self.rest) {
                Ok(length) => self.cut(length),
                Err(needed) => self.fail(needed),
            },
        }
    }
}

/// Octets of the record at the front of `bytes`, or how many would be needed at least.
fn variable_length(fields: &[Field], bytes: &[u8]) -> Result<usize, usize> {
    let mut rest = bytes;
    for field in fields {
        rest = split_field(field, rest).ok_or(bytes.len() + 1)?.1;
    }
    Ok(bytes.len() - rest.len())
}

#[inline]
fn split_field<'a>(field: &Field, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if field.specifier.is_variable() {
        split_variable(bytes).map(|(_, value, rest)| (value, rest))
    } else {
        bytes.split_at_checked(usize::from(field.specifier.length))
    }
}

/// One Data Record, borrowed from the Message and its template.
#[derive(Clone, Copy, Debug)]
pub struct DataRecord<'t, 'a> {
    template: &'t Template,
    bytes: &'a [u8],
}

impl<'t, 'a> DataRecord<'t, 'a> {
    /// The template.
    #[must_use]
    pub fn template(&self) -> &'t Template {
        self.template
    }

    /// The record's octets.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Each field's octets, without the length of those that bring one, in the order of the template.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> RawFields<'t, 'a> {
        let ends = match self.template.layout() {
            Layout::Fixed(offsets) => Some(offsets.get(1..).unwrap_or_default().iter()),
            Layout::Variable => None,
        };
        RawFields {
            fields: self.template.fields(),
            ends,
            index: 0,
            start: 0,
            bytes: self.bytes,
        }
    }

    /// The octets of the field at `index`: at once where records have one length, else by walking there.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        match self.template.layout() {
            Layout::Fixed(offsets) => {
                let (from, to) = (*offsets.get(index)?, *offsets.get(index + 1)?);
                self.bytes.get(from as usize..to as usize)
            }
            Layout::Variable => self.raw().nth(index).map(|(_, bytes)| bytes),
        }
    }

    /// The value of the field at `index`.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        let field = self.template.fields().get(index)?;
        self.get(index).map(|bytes| field.reader.read(bytes))
    }

    /// Fields with their values, in the order of the template.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = (&'t Field, Value<'a>)> + use<'t, 'a> {
        let raw = self.raw();
        let fields = self.template.fields().iter();
        fields
            .zip(raw)
            .map(|(field, (_, bytes))| (field, field.reader.read(bytes)))
    }
}

/// Iterator over the octets of a record's fields, with their index in the template.
#[derive(Clone, Debug)]
pub struct RawFields<'t, 'a> {
    fields: &'t [Field],
    /// Where each field ends, for records of one length.
    ends: Option<std::slice::Iter<'t, u32>>,
    index: usize,
    start: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for RawFields<'_, 'a> {
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let value = match &mut self.ends {
            Some(ends) => {
                let end = *ends.next()? as usize;
                let value = self.bytes.get(self.start..end)?;
                self.start = end;
                value
            }
            None => {
                let (value, rest) = split_field(self.fields.get(index)?, self.bytes)?;
                self.bytes = rest;
                value
            }
        };
        self.index += 1;
        Some((index, value))
    }
}
