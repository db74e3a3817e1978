//! A set of documents of one segment, one bit each.

/// Documents 0 to `len`, exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

const WORD: u32 = u64::BITS;

impl Bits {
    /// No document.
    pub fn none(len: u32) -> Self {
        Self {
            words: vec![0; len.div_ceil(WORD) as usize],
            len,
        }
    }

    /// Every document.
    pub fn all(len: u32) -> Self {
        let mut bits = Self {
            words: vec![u64::MAX; len.div_ceil(WORD) as usize],
            len,
        };
        if let Some(last) = bits.words.last_mut()
            && !len.is_multiple_of(WORD)
        {
            *last = (1 << (len % WORD)) - 1;
        }
        bits
    }

    /// How many documents there could be.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many are in it.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// How many of `from..to` are in it; both multiples of 64 or the end.
    pub fn count_range(&self, from: u32, to: u32) -> u32 {
        let words = self
            .words
            .get((from / WORD) as usize..to.div_ceil(WORD) as usize)
            .unwrap_or_default();
        words.iter().map(|word| word.count_ones()).sum()
    }

    /// Puts a document in.
    #[inline]
    pub fn insert(&mut self, doc: u32) {
        if let Some(word) = self.words.get_mut((doc / WORD) as usize) {
            *word |= 1 << (doc % WORD);
        }
    }

    /// Whether a document is in it.
    #[inline]
    pub fn contains(&self, doc: u32) -> bool {
        self.words
            .get((doc / WORD) as usize)
            .is_some_and(|word| word >> (doc % WORD) & 1 == 1)
    }

    /// Keeps those that are also in `other`.
    pub fn and(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Keeps those that are not in `other`.
    pub fn and_not(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Takes in those of `other`.
    pub fn or(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Word `at`: 64 documents.
    pub fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// The 64 documents of word `at`, for a block that was looked at.
    pub fn set_word(&mut self, at: usize, bits: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word = bits;
        }
    }

    /// Documents in `from..to`, in order, appended to `out`; `from` is a multiple of 64.
    pub fn docs_of(&self, from: u32, to: u32, out: &mut Vec<u32>) {
        let words = self
            .words
            .get((from / WORD) as usize..to.div_ceil(WORD) as usize)
            .unwrap_or_default();
        for (word, base) in words.iter().zip((from..).step_by(WORD as usize)) {
            let mut bits = *word;
            while bits != 0 {
                out.push(base + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_no_document_behind_the_end() {
        for len in [0, 1, 63, 64, 65, 1_000] {
            let all = Bits::all(len);
            assert_eq!(all.count(), len);
            let mut docs = Vec::new();
            all.docs_of(0, len, &mut docs);
            assert_eq!(docs, (0..len).collect::<Vec<_>>());
            let mut none = all.clone();
            none.and_not(&all);
            assert!(none.is_empty());
            assert_eq!(none, Bits::none(len));
        }
    }
}
