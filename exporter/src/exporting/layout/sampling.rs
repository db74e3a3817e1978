//! The Selector that chose a flow's packets, and its rate in the record itself: a collector that has lost the options
//! data, or knows nothing of Selectors, still rescales exactly.

use super::variant::*;
use crate::exporting::selectors::Rate;
use crate::metering::sampling::Selector;

super::group! { |v, s: &Selector|
    if v.has(SELECTED) => {
        value SELECTOR_ID[4] => s.id.to_be_bytes();
    }
    if v.has(SELECTED_IN_TURN) => {
        value SAMPLING_PACKET_INTERVAL[4] => in_turn(s)[0].to_be_bytes();
        value SAMPLING_PACKET_SPACE[4]    => in_turn(s)[1].to_be_bytes();
    }
    if v.has(SELECTED_ONE_OF) => {
        value SAMPLING_INTERVAL[4] => one_of(s).to_be_bytes();
    }
    if v.has(SELECTED_BY_CHANCE) => {
        value SAMPLING_PROBABILITY[8] => s.probability().to_be_bytes();
    }
}

fn in_turn(selector: &Selector) -> [u32; 2] {
    match Rate::of(selector) {
        Rate::InTurn { interval, space } => [interval, space],
        // The variant has the bit only with this rate.
        _ => [1, 0],
    }
}

fn one_of(selector: &Selector) -> u32 {
    match Rate::of(selector) {
        Rate::OneOf(factor) => factor,
        _ => 1,
    }
}
