//! A stream tells the same however it is cut into segments, and whatever becomes of their order on the way.

use proptest::prelude::*;

use super::conversation::{self, Flow};
use super::*;

/// Segments of one message: direction, offset, octets.
fn segments(conversation: &Conversation, mut next_length: impl FnMut() -> usize) -> Vec<Vec<(usize, usize, Vec<u8>)>> {
    let mut offsets = [0; 2];
    let mut messages = Vec::new();
    for (direction, octets) in &conversation.messages {
        let mut pieces = Vec::new();
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(next_length().clamp(1, rest.len()));
            pieces.push((*direction, offsets[*direction], piece.to_vec()));
            offsets[*direction] += piece.len();
            rest = behind;
        }
        messages.push(pieces);
    }
    messages
}

fn streams() -> impl Iterator<Item = Conversation> {
    let all = conversation::all().into_iter();
    all.filter(|conversation| conversation.carrier == Carrier::Tcp)
}

#[test]
fn one_octet_at_a_time() {
    for conversation in streams() {
        for syn_seen in [true, false] {
            let mut flow = Flow::tcp(conversation.ports[1]);
            flow.syn_seen = syn_seen;
            for (direction, offset, octets) in segments(&conversation, || 1).concat() {
                flow.say(direction, offset, &octets);
            }
            assert_known(&conversation, &mut flow);
            assert_eq!(flow.end().faults_total(), 0, "{}", conversation.file);
        }
    }
}

/// The second segment overtakes the first, in both directions: only the SYN tells which is which.
#[test]
fn first_segments_out_of_order() {
    for conversation in streams() {
        let mut flow = Flow::tcp(conversation.ports[1]);
        for mut pieces in segments(&conversation, || 20) {
            let early = 2.min(pieces.len());
            pieces[..early].reverse();
            for (direction, offset, octets) in pieces {
                flow.say(direction, offset, &octets);
            }
        }
        assert_known(&conversation, &mut flow);
        assert_eq!(flow.end().faults_total(), 0, "{}", conversation.file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Cut anywhere, each segment sent up to three times, overlapping ones among them, neighbours swapped.
    #[test]
    fn any_cut_and_repetition(
        lengths in prop::collection::vec(1usize..90, 1..40),
        repeats in prop::collection::vec(0u8..3, 1..40),
        swaps in prop::collection::vec(any::<bool>(), 1..40),
        overlap in 0usize..30,
        which in 0usize..16,
    ) {
        let all: Vec<_> = streams().collect();
        let conversation = &all[which % all.len()];
        let mut lengths = lengths.into_iter().cycle();
        let mut repeats = repeats.into_iter().cycle();
        let mut swaps = swaps.into_iter().cycle();
        let mut said: [Vec<u8>; 2] = Default::default();
        let mut flow = Flow::tcp(conversation.ports[1]);
        for mut pieces in segments(conversation, || lengths.next().unwrap()) {
            for (direction, _, octets) in &pieces {
                said[*direction].extend(octets);
            }
            for at in (1..pieces.len()).step_by(2) {
                if swaps.next().unwrap() {
                    pieces.swap(at - 1, at);
                }
            }
            for (direction, offset, octets) in pieces {
                flow.say(direction, offset, &octets);
                for _ in 0..repeats.next().unwrap() {
                    let start = offset.saturating_sub(overlap);
                    flow.say(direction, start, &said[direction][start..offset + octets.len()]);
                }
            }
        }
        assert_known(conversation, &mut flow);
        prop_assert_eq!(flow.end().faults_total(), 0);
    }
}
