//! Octets of all flows in pieces of a few sizes, because allocating for each flow would cost more than reading it does.
//!
//! A piece is twice as large as that of the class below, so at most half of it is unused. Memory grows by [`CHUNK_OCTETS`] up to
//! the budget and is used again, not given back.

/// Octets of the smallest class.
const SMALLEST: usize = 64;
/// 64 octets to 32 KiB.
const CLASSES: usize = 10;
/// Octets taken from the system at a time; the largest class has two pieces in it.
const CHUNK_OCTETS: usize = 64 * 1024;

/// A piece: its class in the highest four bits, its place in the class in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region(u32);

impl Region {
    /// No piece.
    pub const NONE: Region = Region(u32::MAX);

    pub fn is_some(self) -> bool {
        self != Region::NONE
    }

    fn class(self) -> usize {
        (self.0 >> 28) as usize
    }

    fn place(self) -> usize {
        (self.0 & 0x0fff_ffff) as usize
    }

    /// Octets of the piece; 0 for none.
    pub fn capacity(self) -> usize {
        match self.is_some() {
            true => SMALLEST << self.class(),
            false => 0,
        }
    }
}

impl Default for Region {
    fn default() -> Region {
        Region::NONE
    }
}

#[derive(Debug, Default)]
struct Class {
    chunks: Vec<Box<[u8]>>,
    /// Places used so far; those behind were never used.
    used: u32,
    vacant: Vec<u32>,
}

/// All pieces.
#[derive(Debug)]
pub(super) struct Memory {
    classes: [Class; CLASSES],
    budget: usize,
    taken: usize,
}

impl Memory {
    /// No piece yet, and at most `budget` octets of them.
    pub fn new(budget: usize) -> Memory {
        Memory {
            classes: Default::default(),
            budget,
            taken: 0,
        }
    }

    /// A piece of at least that many octets; none when the budget is reached or the largest piece is smaller.
    pub fn take(&mut self, octets: usize) -> Option<Region> {
        let number = (0..CLASSES).find(|class| SMALLEST << class >= octets)?;
        let class = self.classes.get_mut(number)?;
        let place = match class.vacant.pop() {
            Some(place) => place,
            None => {
                let size = SMALLEST << number;
                if class.used as usize * size >= class.chunks.len() * CHUNK_OCTETS {
                    if self.taken + CHUNK_OCTETS > self.budget || class.used >= 0x0fff_fff0 {
                        return None;
                    }
                    self.taken += CHUNK_OCTETS;
                    class.chunks.push(vec![0; CHUNK_OCTETS].into_boxed_slice());
                }
                class.used += 1;
                class.used - 1
            }
        };
        Some(Region((number as u32) << 28 | place))
    }

    /// Gives a piece back.
    pub fn free(&mut self, region: Region) {
        if let Some(class) = self.classes.get_mut(region.class()).filter(|_| region.is_some()) {
            class.vacant.push(region.place() as u32);
        }
    }

    /// The octets of a piece; empty for none.
    pub fn octets(&self, region: Region) -> &[u8] {
        let (chunk, start, end) = Memory::locate(region);
        self.classes
            .get(region.class())
            .and_then(|class| class.chunks.get(chunk)?.get(start..end))
            .unwrap_or_default()
    }

    /// The octets of a piece, to be written; empty for none.
    pub fn octets_mut(&mut self, region: Region) -> &mut [u8] {
        let (chunk, start, end) = Memory::locate(region);
        self.classes
            .get_mut(region.class())
            .and_then(|class| class.chunks.get_mut(chunk)?.get_mut(start..end))
            .unwrap_or_default()
    }

    /// Puts octets into a piece that has room for them: this one, or another one in its place. False, and nothing
    /// changed, when there is none.
    pub fn store(&mut self, region: &mut Region, octets: &[u8]) -> bool {
        if octets.len() > region.capacity() {
            let Some(larger) = self.take(octets.len()) else {
                return false;
            };
            self.free(*region);
            *region = larger;
        }
        if let Some(place) = self.octets_mut(*region).get_mut(..octets.len()) {
            place.copy_from_slice(octets);
        }
        true
    }

    /// Makes a piece at least `octets` large, keeping what is in it. False, and nothing changed, when there is none.
    pub fn grow(&mut self, region: &mut Region, octets: usize) -> bool {
        if octets <= region.capacity() {
            return true;
        }
        let Some(larger) = self.take(octets) else {
            return false;
        };
        let old = *region;
        // Pieces of different classes are in different chunks: the copy goes through a move of the old chunk's box.
        if old.is_some() {
            let (chunk, start, end) = Memory::locate(old);
            let source = self
                .classes
                .get_mut(old.class())
                .and_then(|class| class.chunks.get_mut(chunk))
                .map(std::mem::take);
            if let Some(source) = source {
                let from = source.get(start..end).unwrap_or_default();
                if let Some(to) = self.octets_mut(larger).get_mut(..from.len()) {
                    to.copy_from_slice(from);
                }
                if let Some(place) = self
                    .classes
                    .get_mut(old.class())
                    .and_then(|class| class.chunks.get_mut(chunk))
                {
                    *place = source;
                }
            }
            self.free(old);
        }
        *region = larger;
        true
    }

    /// Octets taken from the system.
    pub fn taken(&self) -> usize {
        self.taken
    }

    fn locate(region: Region) -> (usize, usize, usize) {
        let size = SMALLEST << region.class().min(CLASSES);
        let in_chunk = (CHUNK_OCTETS / size).max(1);
        let start = region.place() % in_chunk * size;
        (region.place() / in_chunk, start, start + size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_are_used_again() {
        let mut memory = Memory::new(1 << 20);
        let mut regions: Vec<Region> = (0..3000).map(|_| memory.take(64).unwrap()).collect();
        for (at, region) in regions.iter().enumerate() {
            memory.octets_mut(*region).fill(at as u8);
        }
        for (at, region) in regions.iter().enumerate() {
            assert_eq!(memory.octets(*region), [at as u8; 64]);
        }
        let taken = memory.taken();
        assert_eq!(taken, (3000usize * 64).div_ceil(CHUNK_OCTETS) * CHUNK_OCTETS);
        for region in regions.drain(..) {
            memory.free(region);
        }
        for _ in 0..3000 {
            memory.take(1).unwrap();
        }
        assert_eq!(memory.taken(), taken);
    }

    #[test]
    fn the_budget_holds_and_what_grows_keeps_its_octets() {
        let mut memory = Memory::new(2 * CHUNK_OCTETS);
        let mut region = Region::NONE;
        assert!(memory.store(&mut region, b"kept"));
        assert!(memory.grow(&mut region, 5000));
        assert_eq!(region.capacity(), 8192);
        assert_eq!(&memory.octets(region)[..4], b"kept");
        assert!(
            !memory.grow(&mut region, 20_000),
            "the third chunk is beyond the budget"
        );
        assert_eq!(&memory.octets(region)[..4], b"kept");
        assert!(memory.take(40_000).is_none(), "larger than the largest piece");
        assert!(memory.octets(Region::NONE).is_empty());
        memory.free(Region::NONE);
        assert_eq!(memory.taken(), 2 * CHUNK_OCTETS);
    }
}
