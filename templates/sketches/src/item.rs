//! What a list counts: canonical octets, kept in place when they are short, since most are and lists take in new items
//! at the rate of packets when traffic is random.

use std::hash::{Hash, Hasher};

use datasketches::codec::{SketchBytes, SketchSlice};
use datasketches::error::{Error, ErrorKind};
use datasketches::frequencies::FrequentItemValue;

use crate::limits::ITEM_OCTETS;

const INLINE: usize = 46;

/// The octets of an item. In images they are a length of 32 bits and the octets, as the C++ library writes strings.
#[derive(Clone, Debug)]
pub enum Item {
    /// Short ones.
    Inline(u8, [u8; INLINE]),
    /// Long ones.
    Boxed(Box<[u8]>),
}

impl Item {
    /// Copies them.
    #[inline]
    pub fn new(octets: &[u8]) -> Item {
        let mut inline = [0; INLINE];
        match inline.get_mut(..octets.len()) {
            Some(place) => {
                place.copy_from_slice(octets);
                Item::Inline(octets.len() as u8, inline)
            }
            None => Item::Boxed(octets.into()),
        }
    }

    /// Borrows them.
    #[inline]
    pub fn octets(&self) -> &[u8] {
        match self {
            Item::Inline(length, octets) => octets.get(..usize::from(*length)).unwrap_or_default(),
            Item::Boxed(octets) => octets,
        }
    }
}

impl PartialEq for Item {
    #[inline]
    fn eq(&self, other: &Item) -> bool {
        self.octets() == other.octets()
    }
}

impl Eq for Item {}

impl Hash for Item {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.octets());
    }
}

impl FrequentItemValue for Item {
    fn serialize_size(item: &Item) -> usize {
        size_of::<u32>() + item.octets().len()
    }

    fn serialize_value(&self, bytes: &mut SketchBytes) {
        bytes.write_u32_le(self.octets().len() as u32);
        bytes.write(self.octets());
    }

    fn deserialize_value(cursor: &mut SketchSlice<'_>) -> Result<Item, Error> {
        let length = match cursor.remaining() {
            [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
            _ => return Err(refusal()),
        };
        let octets = cursor.remaining().get(4..).and_then(|rest| rest.get(..length));
        let item = match octets {
            Some(octets) if length <= ITEM_OCTETS => Item::new(octets),
            _ => return Err(refusal()),
        };
        cursor.advance(4 + length as u64);
        Ok(item)
    }
}

fn refusal() -> Error {
    Error::new(ErrorKind::InvalidData, "an item that is cut, or longer than any name")
}
