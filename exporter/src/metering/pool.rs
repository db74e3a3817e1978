//! What few flows have, kept beside the flow table: a flow holds only a place in here, or none.

/// Where in a [`Pool`] a flow's part is, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolPlace(u32);

impl PoolPlace {
    /// The flow has no such part.
    pub const NONE: PoolPlace = PoolPlace(u32::MAX);
}

impl Default for PoolPlace {
    fn default() -> PoolPlace {
        PoolPlace::NONE
    }
}

/// Parts of all flows that have one: never more than there are flows. Places of flows that ended are used again.
#[derive(Debug)]
pub(super) struct Pool<T> {
    parts: Vec<T>,
    vacant: Vec<u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool {
            parts: Vec::new(),
            vacant: Vec::new(),
        }
    }
}

impl<T> Pool<T> {
    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.parts.capacity() * size_of::<T>() + self.vacant.capacity() * size_of::<u32>()
    }

    /// Keeps a flow's part.
    pub fn add(&mut self, part: T) -> PoolPlace {
        if let Some(at) = self.vacant.pop()
            && let Some(place) = self.parts.get_mut(at as usize)
        {
            *place = part;
            return PoolPlace(at);
        }
        self.parts.push(part);
        PoolPlace(self.parts.len() as u32 - 1)
    }

    /// A flow's part.
    #[inline(always)]
    pub fn get(&self, place: PoolPlace) -> Option<&T> {
        match place {
            PoolPlace::NONE => None,
            PoolPlace(at) => self.parts.get(at as usize),
        }
    }

    /// A flow's part, to be changed.
    pub fn get_mut(&mut self, place: PoolPlace) -> Option<&mut T> {
        self.parts.get_mut(place.0 as usize)
    }

    /// Forgets a flow's part.
    #[inline(always)]
    pub fn free(&mut self, place: &mut PoolPlace) {
        if *place != PoolPlace::NONE {
            self.vacant.push(place.0);
            *place = PoolPlace::NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut pool = Pool::default();
        let (mut first, second) = (pool.add('a'), pool.add('b'));
        assert_eq!((pool.get(first), pool.get(second)), (Some(&'a'), Some(&'b')));
        assert_eq!(pool.get(PoolPlace::NONE), None);
        let was = first;
        pool.free(&mut first);
        pool.free(&mut first);
        assert_eq!(first, PoolPlace::NONE);
        assert_eq!(pool.add('c'), was);
        assert_eq!((pool.get(was), pool.get(second)), (Some(&'c'), Some(&'b')));
        assert_ne!(pool.add('d'), was);
    }
}
