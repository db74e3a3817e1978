//! Finds entries in octets from disk, whatever became of them: damage costs the entries it hit and is counted.

use super::entry::{Entry, Fault};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Scanned<'a> {
    /// A whole entry, and the octet behind it.
    Entry(Entry<'a>, usize),
    /// More octets are needed, from here on.
    More(usize),
    /// Nothing is left.
    End,
}

/// Goes through octets, entry by entry.
#[derive(Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    sync: u32,
    at: usize,
    /// No octets follow: what is not whole never will be.
    is_last: bool,
    /// Where the damage being passed over began.
    damaged_from: Option<usize>,
    damaged: u64,
    damaged_octets: u64,
}

impl<'a> Scan<'a> {
    /// Begins at the front of `bytes`. `is_last` says that no more will come behind them.
    pub fn new(bytes: &'a [u8], sync: u32, is_last: bool) -> Scan<'a> {
        Scan {
            bytes,
            sync,
            at: 0,
            is_last,
            damaged_from: None,
            damaged: 0,
            damaged_octets: 0,
        }
    }

    /// Begins within damage: what was passed over before counts on.
    pub fn within_damage(mut self, is_within: bool) -> Scan<'a> {
        self.damaged_from = is_within.then_some(0);
        self
    }

    /// Whether it stopped within damage.
    pub fn is_within_damage(&self) -> bool {
        self.damaged_from.is_some()
    }

    /// Stretches of damage that ended, each of at least one entry.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Octets passed over.
    pub fn damaged_octets(&self) -> u64 {
        self.damaged_octets
    }

    /// The next whole entry.
    pub fn next_entry(&mut self) -> Scanned<'a> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                if !self.is_last {
                    return Scanned::More(self.at);
                }
                self.end_damage();
                return Scanned::End;
            }
            match Entry::decode(rest, self.sync) {
                Ok(entry) => {
                    self.end_damage();
                    self.at += entry.octets();
                    return Scanned::Entry(entry, self.at);
                }
                Err(Fault::Short(_)) if !self.is_last => return Scanned::More(self.at),
                Err(_) => {
                    self.damaged_from.get_or_insert(self.at);
                    let step = 1 + self.distance(rest.get(1..).unwrap_or_default());
                    self.damaged_octets += step as u64;
                    self.at += step;
                }
            }
        }
    }

    /// How far behind the front of `rest` the next entry may begin.
    fn distance(&self, rest: &[u8]) -> usize {
        let sync = self.sync.to_le_bytes();
        let found = rest.windows(sync.len()).position(|window| window == sync);
        // The beginning of one may stand at the very end.
        let kept = if self.is_last { 0 } else { sync.len() - 1 };
        found.unwrap_or(rest.len().saturating_sub(kept))
    }

    fn end_damage(&mut self) {
        self.damaged += u64::from(self.damaged_from.take().is_some());
    }
}
