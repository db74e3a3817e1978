//! Addresses of a segment as codes of their networks: groups by prefix are few from the start, not as many as addresses.

use super::plan::Prefix;
use super::values::cut_address;
use crate::limits;
use crate::store::segment::{Codes, Decode};

/// Codes are found beforehand when there are at most so many for each document.
const CODES_PER_DOCUMENT: u64 = 4;
/// IPv4 among all addresses.
const V4: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// A column of addresses, and for each code one of the same network.
pub struct Networks {
    /// The column.
    pub codes: Codes,
    least: u64,
    /// By code, from the least one on: how far behind the least one the first of its network is.
    firsts: Vec<u32>,
}

impl Networks {
    /// Finds the networks of a column; `None` when that is no less work than to look at each address.
    pub fn open(codes: &Codes, prefix: Prefix, documents: u32) -> Option<Self> {
        let Decode::Ip(accessor) = &codes.decode else {
            return None;
        };
        if codes.column.values.num_vals() == 0 {
            return None;
        }
        let (least, largest) = (codes.column.min_value(), codes.column.max_value());
        let places = largest.saturating_sub(least) + 1;
        if places > u64::from(documents) * CODES_PER_DOCUMENT || places > limits::TOP_TABLE_CODES {
            return None;
        }
        let find = |place: u32| accessor.compact_to_u128((least + u64::from(place)) as u32);
        let firsts = firsts(places as u32, prefix, &find);
        Some(Self {
            codes: codes.clone(),
            least,
            firsts,
        })
    }

    /// A code of the same network; networks that lie apart may have several.
    #[inline]
    pub fn of(&self, code: u64) -> u64 {
        let place = code.wrapping_sub(self.least) as usize;
        self.firsts
            .get(place)
            .map_or(code, |first| self.least + u64::from(*first))
    }
}

/// The first of its network for each of so many addresses, of which there is at least one.
fn firsts(count: u32, prefix: Prefix, find: &impl Fn(u32) -> u128) -> Vec<u32> {
    let mut firsts = vec![0; count as usize];
    let (least, largest) = (find(0), find(count - 1));
    fill(&mut firsts, 0, (least, largest), prefix, find);
    // Halves of a network that was divided become one again.
    let (mut held, mut address, mut last) = (0, least, 0);
    for first in &mut firsts {
        if *first != last {
            last = *first;
            let other = find(last);
            if !is_one_network(address, other, prefix) {
                (held, address) = (last, other);
            }
        }
        *first = held;
    }
    firsts
}

/// Codes go up with addresses, so that a network's are beside each other.
fn fill(firsts: &mut [u32], place: u32, (least, largest): (u128, u128), prefix: Prefix, find: &impl Fn(u32) -> u128) {
    if firsts.len() < 2 || is_one_network(least, largest, prefix) {
        firsts.fill(place);
        return;
    }
    let (left, right) = firsts.split_at_mut(firsts.len() / 2);
    let middle = place + left.len() as u32;
    fill(left, place, (least, find(middle - 1)), prefix, find);
    fill(right, middle, (find(middle), largest), prefix, find);
}

/// Whether everything from one address to another is of one network.
fn is_one_network(least: u128, largest: u128, prefix: Prefix) -> bool {
    // IPv4 lies in the middle of IPv6.
    let spans_v4 = least < V4.0 && largest > V4.1;
    !spans_v4 && cut_address(least, prefix) == cut_address(largest, prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::row::ip_to_u128;

    #[test]
    fn codes_of_a_network_become_one() {
        let texts = [
            "::5",
            "0.0.0.9",
            "10.0.0.1",
            "10.0.0.200",
            "10.0.1.1",
            "10.0.1.2",
            "10.0.1.3",
            "192.0.2.1",
            "255.255.255.255",
            "::1:0:0:0:0",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:1::",
        ];
        let all: Vec<u128> = texts.iter().map(|text| ip_to_u128(text.parse().unwrap())).collect();
        assert!(all.is_sorted());
        for (v4, v6) in [(24, 64), (0, 0), (32, 128), (8, 32), (0, 128), (25, 0)] {
            let prefix = Prefix { v4, v6 };
            for from in 0..all.len() {
                for to in from..all.len() {
                    let firsts = firsts((to + 1 - from) as u32, prefix, &|place| all[from + place as usize]);
                    for (place, first) in firsts.iter().enumerate() {
                        assert!(*first as usize <= place);
                        let (address, shown) = (all[from + place], all[from + *first as usize]);
                        assert_eq!(
                            cut_address(address, prefix),
                            cut_address(shown, prefix),
                            "{prefix:?} {from}..={to}"
                        );
                    }
                    if from == 2 && to == 7 && v4 == 24 {
                        assert_eq!(firsts, [0, 0, 2, 2, 2, 5]);
                    }
                }
            }
        }
    }
}
