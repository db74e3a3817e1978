//! What a flow keeps of its application: four octets, of which the meter asks one bit a packet.

/// Where a flow stands with its application. As it begins, nothing was looked at.
///
/// The two highest bits say, for each direction, that nothing more is wanted of it. The third says that the low bits are
/// a place: of what is being read while a direction is wanted, of what is known once none is. Without it they count, four bits a direction,
/// packets that nothing recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplicationPlace(u32);

const CLOSED: [u32; 2] = [1 << 31, 1 << 30];
const BOTH: u32 = CLOSED[0] | CLOSED[1];
const HAS_PLACE: u32 = 1 << 29;
const LOW: u32 = HAS_PLACE - 1;

/// What stands in an [`ApplicationPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is recognised yet, or nothing will be.
    Nothing,
    /// Being read, in that place of the readings.
    Reading(u32),
    /// All read, in that place of what is known.
    Known(u32),
}

impl ApplicationPlace {
    /// Places there can be at most.
    pub(super) const MAX_PLACES: u32 = LOW;

    /// Whether a packet with payload from this direction (0 forward, 1 reverse) can still tell anything.
    #[inline(always)]
    pub fn wants(self, direction: usize) -> bool {
        self.0 & CLOSED[direction & 1] == 0
    }

    /// Whether anything is held for the flow, so that [`super::Applications::free`] must be called.
    #[inline(always)]
    pub fn is_held(self) -> bool {
        self.0 & HAS_PLACE != 0
    }

    pub(super) fn standing(self) -> Standing {
        match (self.is_held(), self.0 & BOTH == BOTH) {
            (false, _) => Standing::Nothing,
            (true, false) => Standing::Reading(self.0 & LOW),
            (true, true) => Standing::Known(self.0 & LOW),
        }
    }

    /// Whether no packet was looked at in vain yet.
    pub(super) fn is_new(self) -> bool {
        self.0 == 0
    }

    /// Begins to read, in that place. The directions stay as wanted as they were.
    pub(super) fn set_reading(&mut self, place: u32) {
        self.0 = self.0 & BOTH | HAS_PLACE | place & LOW;
    }

    /// Nothing more is wanted; what is known is in that place.
    pub(super) fn set_known(&mut self, place: u32) {
        self.0 = BOTH | HAS_PLACE | place & LOW;
    }

    /// Nothing is read any more, as nothing was recognised; the directions stay as wanted as they were.
    pub(super) fn set_nothing(&mut self) {
        self.0 &= BOTH;
    }

    /// Nothing more is wanted, and nothing is known.
    pub(super) fn give_up(&mut self) {
        self.0 = BOTH;
    }

    /// Nothing more is wanted from this direction; true when none is left.
    pub(super) fn close(&mut self, direction: usize) -> bool {
        self.0 |= CLOSED[direction & 1];
        self.0 & BOTH == BOTH
    }

    /// Packets of that direction that nothing recognised, while nothing is read.
    pub(super) fn unrecognised(self, direction: usize) -> u8 {
        match self.is_held() {
            true => 0,
            false => (self.0 >> (4 * (direction as u32 & 1)) & 15) as u8,
        }
    }

    /// Counts a packet of that direction which nothing recognised; after `most` of them the direction is not wanted.
    pub(super) fn count_unrecognised(&mut self, direction: usize, most: u32) {
        if self.is_held() {
            return;
        }
        let shift = 4 * (direction as u32 & 1);
        let count = (self.0 >> shift & 15) + 1;
        self.0 = self.0 & !(15 << shift) | count.min(15) << shift;
        if count >= most {
            self.close(direction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_close_on_their_own_and_the_place_is_kept() {
        let mut place = ApplicationPlace::default();
        assert!(place.wants(0) && place.wants(1) && !place.is_held() && place.is_new());
        place.count_unrecognised(1, 3);
        assert!(place.wants(1) && !place.is_new());
        place.set_reading(77);
        assert_eq!(place.standing(), Standing::Reading(77));
        assert!(!place.close(0));
        assert!(!place.wants(0) && place.wants(1) && place.is_held());
        assert_eq!(place.standing(), Standing::Reading(77));
        assert!(place.close(1));
        place.set_known(ApplicationPlace::MAX_PLACES);
        assert_eq!(place.standing(), Standing::Known(ApplicationPlace::MAX_PLACES));
        assert!(!place.wants(0) && !place.wants(1));
    }

    #[test]
    fn a_direction_that_nothing_recognises_closes_without_the_other() {
        let mut place = ApplicationPlace::default();
        for _ in 0..3 {
            assert!(place.wants(0));
            place.count_unrecognised(0, 3);
        }
        assert_eq!([place.unrecognised(0), place.unrecognised(1)], [3, 0]);
        assert!(!place.wants(0) && place.wants(1));
        assert_eq!(place.standing(), Standing::Nothing);
    }
}
