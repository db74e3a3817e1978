//! Flow samples and counter samples as octets, in the compact form or in the expanded one.
//!
//! An agent writes either the one or the other: the compact form has 24 bits for the number of an interface.

use super::xdr::{Place, Xdr};

/// Interfaces from this number on need the expanded form.
const COMPACT_END: u32 = 1 << 24;
/// The number that stands for the device itself, in place of an interface.
const INTERNAL: u32 = 0x3fff_ffff;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Class and number in one word each.
    Compact,
    /// A word for each.
    Expanded,
}

impl Form {
    /// The one that takes all of these interfaces.
    pub fn of(interfaces: impl IntoIterator<Item = u32>) -> Form {
        match interfaces.into_iter().all(|interface| interface < COMPACT_END) {
            true => Form::Compact,
            false => Form::Expanded,
        }
    }

    /// Whether an interface can be named.
    pub fn takes(self, interface: u32) -> bool {
        self == Form::Expanded || interface < COMPACT_END
    }
}

/// What was sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// An interface, by its number.
    Interface(u32),
    /// The host itself: the first physical entity.
    Host,
}

impl DataSource {
    fn words(self) -> [u32; 2] {
        match self {
            DataSource::Interface(index) => [0, index],
            DataSource::Host => [2, 1],
        }
    }
}

/// Where a packet came in or went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Nobody knows.
    Unknown,
    /// An interface, by its number.
    Interface(u32),
    /// The host sent or took it itself.
    Internal,
}

impl Port {
    fn value(self) -> u32 {
        match self {
            Port::Unknown => 0,
            Port::Interface(index) => index,
            Port::Internal => INTERNAL,
        }
    }
}

/// What a flow sample says beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSample {
    /// Number of the sample, from 1, of this data source.
    pub sequence: u32,
    /// Whose packet.
    pub source: DataSource,
    /// One packet in so many.
    pub rate: u32,
    /// Packets that could have been sampled.
    pub pool: u64,
    /// Packets that were sampled and are missing.
    pub drops: u64,
    /// Where it came in.
    pub input: Port,
    /// Where it went out.
    pub output: Port,
}

/// A sample under construction.
#[derive(Debug)]
pub struct Records<'v> {
    out: &'v mut Vec<u8>,
    most: usize,
    place: Place,
    count: u32,
    /// The sample's format.
    format: u32,
}

impl<'v> Records<'v> {
    /// Begins a flow sample of at most so many octets in place of what was there.
    pub fn flow(out: &'v mut Vec<u8>, most: usize, form: Form, head: &FlowSample) -> Records<'v> {
        out.clear();
        let mut xdr = Xdr(out);
        xdr.word(head.sequence);
        source(&mut xdr, form, head.source);
        // Counters of 32 bits that wrap.
        xdr.words(&[head.rate, head.pool as u32, head.drops as u32]);
        for port in [head.input, head.output] {
            if form == Form::Expanded {
                xdr.word(0);
            }
            xdr.word(port.value());
        }
        let place = xdr.later();
        let format = match form {
            Form::Compact => 1,
            Form::Expanded => 3,
        };
        Records {
            out,
            most,
            place,
            count: 0,
            format,
        }
    }

    /// Begins a counter sample likewise.
    pub fn counters(out: &'v mut Vec<u8>, most: usize, form: Form, of: DataSource, sequence: u32) -> Records<'v> {
        out.clear();
        let mut xdr = Xdr(out);
        xdr.word(sequence);
        source(&mut xdr, form, of);
        let place = xdr.later();
        let format = match form {
            Form::Compact => 2,
            Form::Expanded => 4,
        };
        Records {
            out,
            most,
            place,
            count: 0,
            format,
        }
    }

    /// Adds a record of this format; says false where there is no room, and then nothing was added.
    pub fn add(&mut self, format: u32, write: impl FnOnce(&mut Xdr<'_>)) -> bool {
        let before = self.out.len();
        let mut xdr = Xdr(self.out);
        xdr.word(format);
        let length = xdr.later();
        write(&mut xdr);
        xdr.end(length);
        if self.out.len() > self.most {
            self.out.truncate(before);
            return false;
        }
        self.count += 1;
        true
    }

    /// Whether no record was added yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Ends the sample; says its format.
    pub fn finish(self) -> u32 {
        Xdr(self.out).set(&self.place, self.count);
        self.format
    }
}

fn source(xdr: &mut Xdr<'_>, form: Form, of: DataSource) {
    let [class, index] = of.words();
    match form {
        Form::Compact => xdr.word(class << 24 | index),
        Form::Expanded => xdr.words(&[class, index]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(octets: &[u8]) -> Vec<u32> {
        let word = |octets: &[u8]| u32::from_be_bytes(octets.try_into().unwrap());
        octets.chunks(4).map(word).collect()
    }

    #[test]
    fn both_forms_are_those_of_the_specification() {
        let head = FlowSample {
            sequence: 1,
            source: DataSource::Interface(5),
            rate: 400,
            pool: (1 << 32) + 6,
            drops: 7,
            input: Port::Interface(5),
            output: Port::Internal,
        };
        let mut out = vec![1, 2, 3];
        let mut records = Records::flow(&mut out, 100, Form::Compact, &head);
        assert!(records.add(1001, |xdr| xdr.words(&[1, 2, 3, 4])));
        assert!(!records.add(9, |xdr| xdr.fixed(&[0; 64])), "no room");
        assert_eq!(records.finish(), 1);
        assert_eq!(words(&out), [1, 5, 400, 6, 7, 5, 0x3fff_ffff, 1, 1001, 16, 1, 2, 3, 4]);
        assert_eq!(Records::flow(&mut out, 100, Form::Expanded, &head).finish(), 3);
        assert_eq!(words(&out), [1, 0, 5, 400, 6, 7, 0, 5, 0, 0x3fff_ffff, 0]);
        assert_eq!(
            Records::counters(&mut out, 100, Form::Compact, DataSource::Host, 3).finish(),
            2
        );
        assert_eq!(words(&out), [3, 0x0200_0001, 0]);
        assert_eq!(
            Records::counters(&mut out, 100, Form::Expanded, DataSource::Host, 3).finish(),
            4
        );
        assert_eq!(words(&out), [3, 2, 1, 0]);
    }

    #[test]
    fn large_numbers_need_the_expanded_form() {
        assert_eq!(Form::of([1, (1 << 24) - 1]), Form::Compact);
        assert_eq!(Form::of([1, 1 << 24]), Form::Expanded);
        assert!(!Form::Compact.takes(1 << 24) && Form::Expanded.takes(u32::MAX));
    }
}
