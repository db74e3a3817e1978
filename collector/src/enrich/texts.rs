//! Names that many entries share: each is kept once, for as long as somebody refers to it.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// What a name takes beside its octets: its place, its entry in the table, and what the allocator needs.
const AROUND_OCTETS: usize = 48;

/// A name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameId(u32);

#[derive(Debug)]
struct Slot {
    text: Box<str>,
    users: u32,
}

/// Names by number, with how many use them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_text: HashTable<u32>,
    hasher: RandomState,
    octets: usize,
}

impl Texts {
    /// Octets that all of them take.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Octets that one of this length takes.
    pub fn octets_of(text: &str) -> usize {
        text.len() + AROUND_OCTETS
    }

    /// A name that is there already, whoever uses it.
    pub fn find(&self, text: &str) -> Option<NameId> {
        let hash = self.hasher.hash_one(text);
        let is_it = |id: &u32| self.text(NameId(*id)) == text;
        self.by_text.find(hash, is_it).map(|id| NameId(*id))
    }

    /// One more use of a name, which is taken in when it is new.
    pub fn take(&mut self, text: &str) -> NameId {
        if let Some(id) = self.find(text) {
            self.retain(id);
            return id;
        }
        let slot = Slot {
            text: text.into(),
            users: 1,
        };
        self.octets += Texts::octets_of(text);
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.slots.get_mut(id as usize) {
                    *place = slot;
                }
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |id: &u32| hasher.hash_one(slots.get(*id as usize).map_or("", |slot| &*slot.text));
        self.by_text.insert_unique(hasher.hash_one(text), id, hash);
        NameId(id)
    }

    /// One more use of a name that is there.
    pub fn retain(&mut self, id: NameId) {
        if let Some(slot) = self.slots.get_mut(id.0 as usize) {
            slot.users += 1;
        }
    }

    /// One use less; a name that nobody uses goes.
    pub fn release(&mut self, id: NameId) {
        let Some(slot) = self.slots.get_mut(id.0 as usize) else {
            return;
        };
        slot.users = slot.users.saturating_sub(1);
        if slot.users > 0 {
            return;
        }
        let text = std::mem::take(&mut slot.text);
        self.octets = self.octets.saturating_sub(Texts::octets_of(&text));
        let hash = self.hasher.hash_one(&*text);
        if let Ok(entry) = self.by_text.find_entry(hash, |known| *known == id.0) {
            entry.remove();
        }
        self.free.push(id.0);
    }

    /// The name.
    pub fn text(&self, id: NameId) -> &str {
        self.slots.get(id.0 as usize).map_or("", |slot| &slot.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_while_it_is_used_and_its_octets_with_it() {
        let mut texts = Texts::default();
        let one = texts.take("www.example.com");
        assert_eq!(texts.take("www.example.com"), one);
        let other = texts.take("example.net");
        assert_ne!(one, other);
        let octets = Texts::octets_of("www.example.com") + Texts::octets_of("example.net");
        assert_eq!((texts.len(), texts.octets()), (2, octets));
        texts.release(one);
        assert_eq!(
            (texts.find("www.example.com"), texts.text(one)),
            (Some(one), "www.example.com")
        );
        texts.release(one);
        assert_eq!((texts.find("www.example.com"), texts.len()), (None, 1));
        // Its place is used again.
        assert_eq!(texts.take("example.org"), one);
        texts.release(other);
        texts.release(one);
        assert_eq!((texts.len(), texts.octets()), (0, 0));
    }
}
