//! Puts images together that came in parts, in whatever order; what does not become whole in time is given up.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::record::{Part, Piece, Readable, SummaryKey};
use crate::limits::{SUMMARY_IMAGES_OCTETS, SUMMARY_IMAGES_PARTIAL, SUMMARY_PART_AGE_S, SUMMARY_PARTS};

const NS_PER_S: i64 = 1_000_000_000;
/// What holding a part costs beside its octets.
const PART_COST: usize = 96;

/// A sketch as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Family, as the record says.
    pub family: u8,
    /// lg k, or k, as the record says.
    pub parameter: u16,
    /// The Apache image.
    pub octets: Vec<u8>,
}

/// A summary with everything that came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Which.
    pub key: SummaryKey,
    /// One packet in so many was looked at; 1 for all, 0 when it was not known.
    pub sampling: f64,
    /// The values people can read.
    pub readable: Option<Readable>,
    /// The image, when it was sent and came whole.
    pub image: Option<Image>,
}

/// What comes out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Summaries that are whole, or as whole as they will be, and of how many records.
    pub done: Vec<(Summary, u64)>,
    /// Records given up with parts of images that did not become whole.
    pub incomplete: u64,
    /// Records that came twice.
    pub repeated: u64,
}

/// An exporter's process sends from one port; two behind one address do not get mixed up.
type PartialKey = (SocketAddr, SummaryKey);

#[derive(Debug)]
struct Partial {
    sampling: f64,
    readable: Option<Readable>,
    family: u8,
    parameter: u16,
    whole: usize,
    parts: BTreeMap<usize, Vec<u8>>,
    octets: usize,
    /// Records, all with a part.
    records: u64,
    since_ns: i64,
    number: u64,
}

/// Images that lack parts.
#[derive(Debug, Default)]
pub struct Assembly {
    partial: HashMap<PartialKey, Partial>,
    /// The same by age.
    order: BTreeMap<u64, PartialKey>,
    next: u64,
    octets: usize,
    /// Given up because there were too many.
    pub evicted: u64,
    /// Given up because parts did not come.
    pub expired: u64,
}

impl Assembly {
    /// Records that wait for others.
    pub fn waiting(&self) -> u64 {
        self.partial.values().map(|partial| partial.records).sum()
    }

    /// Octets of parts held.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Takes what a record said.
    pub fn take(&mut self, now_ns: i64, peer: SocketAddr, piece: Piece, out: &mut Outcome) {
        let Piece {
            key,
            sampling,
            readable,
            part,
        } = piece;
        match part {
            Some(part) if part.octets.len() < part.whole => {
                self.take_part(now_ns, (peer, key), sampling, readable, part, out);
            }
            part => {
                let image = part.map(|part| Image {
                    family: part.family,
                    parameter: part.parameter,
                    octets: part.octets,
                });
                let summary = Summary {
                    key,
                    sampling,
                    readable,
                    image,
                };
                out.done.push((summary, 1));
            }
        }
    }

    fn take_part(
        &mut self,
        now_ns: i64,
        key: PartialKey,
        sampling: f64,
        readable: Option<Readable>,
        part: Part,
        out: &mut Outcome,
    ) {
        if let Some(partial) = self.partial.get(&key) {
            let same = partial.parts.get(&part.offset) == Some(&part.octets);
            if same && partial.is_of(&part) {
                out.repeated += 1;
                return;
            }
            // The exporter began anew, or sends another image: what is there will not become whole.
            if !partial.is_of(&part) || partial.parts.contains_key(&part.offset) || partial.parts.len() >= SUMMARY_PARTS
            {
                self.give_up(&key, out);
            }
        }
        let cost = part.octets.len() + PART_COST;
        while self.octets + cost > SUMMARY_IMAGES_OCTETS
            || (self.partial.len() >= SUMMARY_IMAGES_PARTIAL && !self.partial.contains_key(&key))
        {
            let Some(oldest) = self.order.values().next().cloned() else {
                break;
            };
            self.evicted += 1;
            self.give_up(&oldest, out);
        }
        let (next, order) = (&mut self.next, &mut self.order);
        let partial = self.partial.entry(key).or_insert_with_key(|key| {
            *next += 1;
            order.insert(*next, key.clone());
            Partial {
                sampling,
                readable: None,
                family: part.family,
                parameter: part.parameter,
                whole: part.whole,
                parts: BTreeMap::new(),
                octets: 0,
                records: 0,
                since_ns: now_ns,
                number: *next,
            }
        });
        self.octets += cost;
        partial.records += 1;
        partial.octets += part.octets.len();
        partial.readable = partial.readable.take().or(readable);
        partial.parts.insert(part.offset, part.octets);
        let number = partial.number;
        if partial.octets < partial.whole {
            return;
        }
        let Some(key) = self.order.get(&number).cloned() else {
            return;
        };
        let Some(partial) = self.remove(&key) else { return };
        match partial.image() {
            Some(image) => {
                let summary = Summary {
                    key: key.1,
                    sampling: partial.sampling,
                    readable: partial.readable,
                    image: Some(image),
                };
                out.done.push((summary, partial.records));
            }
            None => partial.leave(key.1, out),
        }
    }

    fn remove(&mut self, key: &PartialKey) -> Option<Partial> {
        let partial = self.partial.remove(key)?;
        self.order.remove(&partial.number);
        self.octets -= partial.octets + partial.parts.len() * PART_COST;
        Some(partial)
    }

    fn give_up(&mut self, key: &PartialKey, out: &mut Outcome) {
        if let Some(partial) = self.remove(key) {
            partial.leave(key.1.clone(), out);
        }
    }

    /// Gives up what waited for too long; everything when `all`.
    pub fn handle_timeout(&mut self, now_ns: i64, all: bool, out: &mut Outcome) {
        while let Some(key) = self.order.values().next().cloned() {
            let since_ns = self.partial.get(&key).map_or(i64::MIN, |partial| partial.since_ns);
            if !all && now_ns.saturating_sub(since_ns) < SUMMARY_PART_AGE_S * NS_PER_S {
                return;
            }
            self.expired += 1;
            self.give_up(&key, out);
        }
    }
}

impl Partial {
    fn is_of(&self, part: &Part) -> bool {
        (self.family, self.parameter, self.whole) == (part.family, part.parameter, part.whole)
    }

    /// The whole image; `None` when parts overlap.
    fn image(&self) -> Option<Image> {
        let mut octets = Vec::with_capacity(self.whole);
        for (offset, part) in &self.parts {
            (*offset == octets.len()).then_some(())?;
            octets.extend_from_slice(part);
        }
        (octets.len() == self.whole).then_some(Image {
            family: self.family,
            parameter: self.parameter,
            octets,
        })
    }

    /// What can be read stays.
    fn leave(self, key: SummaryKey, out: &mut Outcome) {
        let kept = u64::from(self.readable.is_some());
        out.incomplete += self.records - kept;
        if self.readable.is_some() {
            let summary = Summary {
                key,
                sampling: self.sampling,
                readable: self.readable,
                image: None,
            };
            out.done.push((summary, 1));
        }
    }
}
