//! Places for what only some flows need: given when needed, used again, never more than a stated number.
//!
//! Memory grows by chunks, so that nothing is moved and no packet waits for a large copy.

use std::fmt::Debug;

/// Entries of one chunk.
const CHUNK: usize = 64;

/// No place.
pub const NONE: u32 = u32::MAX;

/// What a pool holds: made once, then made ready for each new use.
pub trait Pooled: Debug {
    /// A new entry.
    fn new() -> Self;
    /// Forgets the use before.
    fn reset(&mut self);
}

/// A bounded pool.
#[derive(Debug)]
pub struct Pool<T> {
    chunks: Vec<Box<[T]>>,
    vacant: Vec<u32>,
    /// Places given out at least once.
    made: usize,
    max: usize,
    /// Times that there was no place.
    refused: u64,
}

impl<T: Pooled> Pool<T> {
    /// An empty pool that grows to `max` entries.
    pub fn new(max: usize) -> Pool<T> {
        Pool {
            chunks: Vec::new(),
            vacant: Vec::new(),
            made: 0,
            max: max.min(NONE as usize),
            refused: 0,
        }
    }

    /// A place, ready for use; none when all are in use.
    pub fn take(&mut self) -> Option<u32> {
        let place = match self.vacant.pop() {
            Some(place) => place,
            None if self.made < self.max => {
                if self.made == self.chunks.len() * CHUNK {
                    let size = CHUNK.min(self.max - self.made);
                    self.chunks.push((0..size).map(|_| T::new()).collect());
                }
                self.made += 1;
                (self.made - 1) as u32
            }
            None => {
                self.refused += 1;
                return None;
            }
        };
        self.at(place)?.reset();
        Some(place)
    }

    /// The place held already, or a new one.
    pub fn ensure(&mut self, place: &mut u32) -> Option<&mut T> {
        if *place == NONE {
            *place = self.take()?;
        }
        self.at(*place)
    }

    /// What is at a place.
    #[inline(always)]
    pub fn at(&mut self, place: u32) -> Option<&mut T> {
        let place = place as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// What is at a place, to look at.
    pub fn look(&self, place: u32) -> Option<&T> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)
    }

    /// Gives a place back, if it is one.
    pub fn free(&mut self, place: &mut u32) {
        if *place != NONE {
            self.vacant.push(*place);
            *place = NONE;
        }
    }

    /// Entries in use.
    pub fn in_use(&self) -> usize {
        self.made - self.vacant.len()
    }

    /// Times that there was no place.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Pooled for u64 {
        fn new() -> u64 {
            0
        }
        fn reset(&mut self) {
            *self = 0;
        }
    }

    #[test]
    fn places_are_used_again_and_never_exceeded() {
        let mut pool: Pool<u64> = Pool::new(70);
        let mut places: Vec<u32> = (0..70).filter_map(|_| pool.take()).collect();
        assert_eq!((places.len(), pool.in_use(), pool.take()), (70, 70, None));
        assert_eq!(pool.refused(), 1);
        *pool.at(69).unwrap() = 5;
        let mut last = places.pop().unwrap();
        pool.free(&mut last);
        pool.free(&mut last);
        assert_eq!((last, pool.in_use()), (NONE, 69));
        assert_eq!(pool.take(), Some(69));
        assert_eq!(pool.look(69), Some(&0));
    }
}
