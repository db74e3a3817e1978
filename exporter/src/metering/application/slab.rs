//! Places for values of one size, used again once they are free, so that flows come and go without allocation.

/// A growing array of places.
#[derive(Debug, Default)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    vacant: Vec<u32>,
}

impl<T: Copy + Default> Slab<T> {
    /// Puts a value into a free place; none when `most` places are taken.
    pub fn insert(&mut self, value: T, most: u32) -> Option<u32> {
        if let Some(at) = self.vacant.pop() {
            *self.places.get_mut(at as usize)? = value;
            return Some(at);
        }
        let at = u32::try_from(self.places.len()).ok().filter(|at| *at < most)?;
        self.places.push(value);
        Some(at)
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        self.places.get(at as usize)
    }

    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)
    }

    /// Empties a place that is taken, and gives what was there.
    pub fn remove(&mut self, at: u32) -> T {
        let value = self.places.get_mut(at as usize).map(std::mem::take);
        if value.is_some() {
            self.vacant.push(at);
        }
        value.unwrap_or_default()
    }

    /// Places that are taken.
    pub fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }
}
