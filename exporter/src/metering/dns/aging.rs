//! Places in the order of their last use: the oldest is what times out first, and what makes room.

/// No place.
const NONE: u32 = u32::MAX;

/// A list through places. Every place is in it or not; moving one costs no search.
#[derive(Debug)]
pub(super) struct Aging {
    /// Of each place, the next older and the next newer one.
    links: Vec<[u32; 2]>,
    oldest: u32,
    newest: u32,
}

impl Default for Aging {
    fn default() -> Aging {
        Aging {
            links: Vec::new(),
            oldest: NONE,
            newest: NONE,
        }
    }
}

impl Aging {
    /// The place that was not used for longest.
    #[inline]
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Puts a place that is not in the list at its new end.
    #[inline]
    pub fn add(&mut self, place: u32) {
        let at = place as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, [NONE; 2]);
        }
        self.links[at] = [self.newest, NONE];
        match self.links.get_mut(self.newest as usize) {
            Some(link) => link[1] = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    /// Takes a place that is in the list out of it.
    #[inline]
    pub fn remove(&mut self, place: u32) {
        let Some([older, newer]) = self.links.get(place as usize).copied() else {
            return;
        };
        match self.links.get_mut(older as usize) {
            Some(link) => link[1] = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(link) => link[0] = older,
            None => self.newest = older,
        }
    }

    /// Makes a place the newest.
    #[inline]
    pub fn renew(&mut self, place: u32) {
        if self.newest != place {
            self.remove(place);
            self.add(place);
        }
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.links.capacity() * size_of::<[u32; 2]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_use() {
        let mut aging = Aging::default();
        (0..5).for_each(|place| aging.add(place));
        aging.renew(0);
        aging.renew(4);
        aging.remove(2);
        aging.renew(1);
        let mut order = Vec::new();
        while let Some(place) = aging.oldest() {
            order.push(place);
            aging.remove(place);
        }
        assert_eq!(order, [3, 0, 4, 1]);
        aging.add(7);
        assert_eq!(aging.oldest(), Some(7));
    }
}
