//! What is known about addresses, kept ready: most flows are of few addresses, and looking one up takes longer than all else
//! that is done with a row.

use super::files::Contents;
use super::geo::GeoFacts;
use super::networks::NetworkId;
use crate::limits::ADDRESSES_READY;
use crate::normalize::row::u128_to_ip;

/// What files say about an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub geo: GeoFacts,
    pub network: NetworkId,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    address: u128,
    facts: Facts,
}

/// Facts of addresses, each at the one place that its octets give it; the last comer has it. No room is made before there is
/// an address.
#[derive(Debug, Default)]
pub(super) struct Ready {
    slots: Vec<Slot>,
    pub hits: u64,
    pub misses: u64,
    pub faults: u64,
}

impl Ready {
    /// Forgets everything: the files changed.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// What is known about an address.
    #[inline]
    pub fn of(&mut self, address: u128, contents: &Contents) -> Facts {
        let folded = (address >> 64) as u64 ^ (address as u64).rotate_left(17);
        let at = (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (ADDRESSES_READY - 1);
        if let Some(slot) = self.slots.get(at).filter(|slot| slot.address == address) {
            self.hits += 1;
            return slot.facts;
        }
        self.look_up(at, address, contents)
    }

    #[cold]
    fn look_up(&mut self, at: usize, address: u128, contents: &Contents) -> Facts {
        self.misses += 1;
        let facts = Facts {
            geo: contents.geo.look_up(u128_to_ip(address), &mut self.faults),
            network: contents.networks.find(address),
        };
        if self.slots.is_empty() {
            let unused = Slot {
                address: 0,
                facts: Facts {
                    geo: contents.geo.look_up(u128_to_ip(0), &mut 0),
                    network: contents.networks.find(0),
                },
            };
            self.slots.resize(ADDRESSES_READY, unused);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { address, facts };
        }
        facts
    }
}
