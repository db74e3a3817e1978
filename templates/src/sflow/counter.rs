//! Counter records: which counters each format holds, in the order of the wire, as sFlow.org's structures lay them out.
//!
//! Sources: "sFlow Version 5" and its extensions for LAGs, optics, hosts, virtual machines, Java, HTTP, applications and
//! devices. Counters are called as the MIB or the structure calls them, so that people find what they know.

use super::RecordFormat;
use super::layouts::LAYOUTS;
use super::xdr;
use crate::bytes::Reader;
use crate::error::{DecodeError, Layer};
use crate::limits::COUNTER_LANES;

/// How a counter is written, and whether it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterKind {
    /// Counts up and goes round at 2^32.
    Counter32,
    /// Counts up.
    Counter64,
    /// Goes up and down, or is a setting.
    Gauge32,
    /// The same with 64 bits.
    Gauge64,
    /// A number below zero, too.
    Signed32,
    /// A floating-point number.
    Float32,
    /// Text behind its length.
    Text,
    /// A MAC address, padded to eight octets.
    Mac,
    /// Sixteen octets.
    Uuid,
    /// Tells several records of one sample apart: a number.
    Key,
}

impl CounterKind {
    /// Whether its growth means something.
    #[must_use]
    pub const fn is_counter(self) -> bool {
        matches!(self, Self::Counter32 | Self::Counter64)
    }
}

/// One counter of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterField {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub kind: CounterKind,
}

/// What records of one format hold.
#[derive(Debug)]
pub struct CounterLayout {
    /// The format.
    pub format: RecordFormat,
    /// What the counters are about.
    pub group: &'static str,
    /// Every counter, in order.
    pub fields: &'static [CounterField],
    /// Those behind them that only newer agents send.
    pub newer: &'static [CounterField],
    /// Counters that are there once for each lane, behind the others; the last of `fields` says how many lanes.
    pub lanes: &'static [CounterField],
}

impl CounterLayout {
    /// The layout of a format, if it is known.
    #[must_use]
    pub fn of(format: RecordFormat) -> Option<&'static CounterLayout> {
        let at = LAYOUTS.binary_search_by_key(&format.0, |layout| layout.format.0).ok()?;
        LAYOUTS.get(at)
    }

    /// Every layout, by format.
    #[must_use]
    pub fn all() -> &'static [CounterLayout] {
        LAYOUTS
    }

    /// The counters of a record. Values that the agent does not know, which are all ones, are left out.
    #[must_use]
    pub fn read<'a>(&'static self, body: &'a [u8]) -> CounterValues<'a> {
        CounterValues {
            layout: self,
            reader: Reader::new(body, Layer::Record, 0),
            fields: self.fields.iter(),
            part: Part::Fields,
            lane: 0,
            lanes: 0,
        }
    }

    /// Every counter that records of this format may hold; those of lanes once.
    pub fn every(&self) -> impl Iterator<Item = &'static CounterField> {
        self.fields.iter().chain(self.newer).chain(self.lanes)
    }
}

/// A value of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CounterValue<'a> {
    /// A number.
    Number(u64),
    /// A number that may be below zero.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Text as it came.
    Text(&'a [u8]),
    /// A MAC address.
    Mac([u8; 6]),
    /// Octets.
    Octets(&'a [u8]),
}

/// One counter as it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter<'a> {
    /// Which.
    pub field: &'static CounterField,
    /// Of which lane, from 1 on; 0 where there are none.
    pub lane: u8,
    /// Its value.
    pub value: CounterValue<'a>,
}

/// The counters of a record, in order. An error ends them.
#[derive(Clone, Debug)]
pub struct CounterValues<'a> {
    layout: &'static CounterLayout,
    reader: Reader<'a>,
    /// What is left of the part that is read.
    fields: std::slice::Iter<'static, CounterField>,
    part: Part,
    lane: u8,
    lanes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fields,
    Newer,
    Lanes,
    Over,
}

impl<'a> CounterValues<'a> {
    /// Goes on to the next part of the record; false when there is none.
    fn go_on(&mut self) -> bool {
        let layout = self.layout;
        self.part = match self.part {
            Part::Fields => Part::Newer,
            Part::Newer | Part::Lanes if u64::from(self.lane) < self.lanes.min(COUNTER_LANES) => {
                self.lane += 1;
                Part::Lanes
            }
            _ => Part::Over,
        };
        self.fields = match self.part {
            // What only newer agents send may be absent.
            Part::Newer if self.reader.remaining() > 0 => layout.newer.iter(),
            Part::Lanes => layout.lanes.iter(),
            _ => [].iter(),
        };
        self.part != Part::Over
    }

    /// The value, none when the agent does not know it.
    #[inline]
    fn value(&mut self, kind: CounterKind) -> Result<Option<CounterValue<'a>>, DecodeError> {
        let r = &mut self.reader;
        Ok(match kind {
            CounterKind::Counter32 | CounterKind::Gauge32 => {
                let number = r.u32()?;
                (number != u32::MAX).then_some(CounterValue::Number(number.into()))
            }
            CounterKind::Counter64 | CounterKind::Gauge64 => {
                let number = r.u64()?;
                (number != u64::MAX).then_some(CounterValue::Number(number))
            }
            CounterKind::Key => Some(CounterValue::Number(r.u32()?.into())),
            CounterKind::Signed32 => Some(CounterValue::Signed(r.u32()?.cast_signed().into())),
            CounterKind::Float32 => {
                let number = f32::from_bits(r.u32()?);
                // Agents that do not know a load say -1.
                (number.is_finite() && number != -1.0).then_some(CounterValue::Float(number.into()))
            }
            CounterKind::Text => Some(xdr::opaque(r)?)
                .filter(|text| !text.is_empty())
                .map(CounterValue::Text),
            CounterKind::Mac => Some(CounterValue::Mac(xdr::mac(r)?)),
            CounterKind::Uuid => Some(CounterValue::Octets(r.take(16)?)),
        })
    }
}

impl<'a> Iterator for CounterValues<'a> {
    type Item = Result<Counter<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(field) = self.fields.next() else {
                if self.go_on() {
                    continue;
                }
                return None;
            };
            match self.value(field.kind) {
                Ok(value) => {
                    // The last field of layouts with lanes says how many there are.
                    if self.part == Part::Fields
                        && self.fields.as_slice().is_empty()
                        && !self.layout.lanes.is_empty()
                        && let Some(CounterValue::Number(count)) = value
                    {
                        self.lanes = count;
                    }
                    if let Some(value) = value {
                        let lane = self.lane;
                        return Some(Ok(Counter { field, lane, value }));
                    }
                }
                Err(error) => {
                    self.fields = [].iter();
                    self.part = Part::Over;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: u32, body: &[u8]) -> Vec<Result<Counter<'_>, DecodeError>> {
        CounterLayout::of(RecordFormat(format)).unwrap().read(body).collect()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn layouts_are_in_order_and_names_are_used_once() {
        let mut names = std::collections::HashSet::new();
        for pair in LAYOUTS.windows(2) {
            assert!(pair[0].format.0 < pair[1].format.0, "{:?}", pair[1].format);
        }
        for layout in LAYOUTS {
            for field in layout.every() {
                assert!(names.insert(field.name), "{} of {}", field.name, layout.group);
            }
        }
    }

    #[test]
    fn what_an_agent_does_not_know_is_left_out() {
        // Octets, then packets of four kinds, behind the number of the VLAN ("sFlow Version 5", vlan_counters).
        let body = words(&[7, 0, 1000, 20, u32::MAX, 3, 4]);
        let read: Vec<_> = read(5, &body)
            .into_iter()
            .map(|counter| counter.map(|counter| (counter.field.name, counter.value)).unwrap())
            .collect();
        assert_eq!(
            read,
            [
                ("vlanNumber", CounterValue::Number(7)),
                ("vlanOctets", CounterValue::Number(1000)),
                ("vlanUcastPkts", CounterValue::Number(20)),
                ("vlanBroadcastPkts", CounterValue::Number(3)),
                ("vlanDiscards", CounterValue::Number(4)),
            ]
        );
    }

    #[test]
    fn a_record_that_ends_early_gives_what_it_has_and_an_error() {
        let body = words(&[7, 0, 1000, 20]);
        let read = read(5, &body);
        assert_eq!(read.len(), 4);
        assert!(read[..3].iter().all(Result::is_ok) && read[3].is_err());
    }

    #[test]
    fn newer_counters_may_be_absent_and_lanes_are_bounded() {
        assert_eq!(read(2003, &[0; 17 * 4]).len(), 17);
        assert_eq!(read(2003, &[0; 20 * 4]).len(), 20);
        let lane = [6u32, 500, 1, 2, 850, 400, 1, 2, 850, 9];
        let mut body = words(&[1, 4, 3300, (-5i32).cast_unsigned(), 2]);
        body.extend(words(&lane));
        body.extend(words(&lane));
        let two = read(10, &body);
        assert_eq!(two.len(), 5 + 2 * 10);
        assert_eq!(two[3].unwrap().value, CounterValue::Signed(-5));
        assert_eq!((two[5].unwrap().lane, two[24].unwrap().lane), (1, 2));
        let mut many = words(&[1, 4, 3300, 40, u32::MAX - 1]);
        many.resize(1 << 16, 0);
        assert_eq!(read(10, &many).len(), 5 + 10 * COUNTER_LANES as usize);
    }
}
