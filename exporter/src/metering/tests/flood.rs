//! Floods of single packets: bounded memory, bounded records, exact totals.

use super::*;

fn from(source: u32, src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut packet = ipv4(A, 17, &udp(A, dst_port, 10));
    packet[12..16].copy_from_slice(&source.to_be_bytes());
    packet[20..22].copy_from_slice(&src_port.to_be_bytes());
    packet
}

/// The answer to such a packet.
fn back(source: u32, src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut packet = ipv4(B, 17, &udp(B, dst_port, 20));
    packet[16..20].copy_from_slice(&source.to_be_bytes());
    packet[22..24].copy_from_slice(&src_port.to_be_bytes());
    packet
}

const MOST: usize = 4096;

fn story() -> Story {
    Story::new(MeterConfig {
        max_flows: MOST,
        ..MeterConfig::default()
    })
}

fn sum(records: &[FlowRecord]) -> (u64, u64) {
    records
        .iter()
        .flat_map(counts)
        .fold((0, 0), |sum, way| (sum.0 + way.0, sum.1 + way.1))
}

struct Taken {
    flows: Vec<FlowRecord>,
    folds: Vec<(FlowRecord, FoldRecord)>,
}

fn take(story: &mut Story, taken: &mut Taken) {
    let records = story.meter.take_records();
    for flow in &records.flows {
        match records.fold(flow) {
            Some(fold) => taken.folds.push((flow.clone(), *fold)),
            None => taken.flows.push(flow.clone()),
        }
    }
}

fn finish(story: &mut Story, taken: &mut Taken) {
    while !story.meter.finish(FlowEndReason::ForcedEnd) {
        take(story, taken);
    }
    take(story, taken);
}

#[test]
fn a_flood_of_single_packets_is_folded_and_conversations_stay() {
    let mut story = story();
    let mut taken = Taken {
        flows: Vec::new(),
        folds: Vec::new(),
    };
    // A conversation from before goes on all the time.
    story.frame(0, &from(1, 99, 7777));
    let flows = 200_000;
    for flow in 0..flows {
        // Ten milliseconds altogether, so that nothing is idle; 50 000 sources, four packets each, to one service.
        let at = SECOND + i64::from(flow) * 50;
        story.frame(
            at,
            &from(0x0a00_0000 + flow % 50_000, 1000 + (flow / 50_000) as u16, 80),
        );
        if flow % 1000 == 0 {
            story.frame(at, &from(1, 99, 7777));
            take(&mut story, &mut taken);
        }
    }
    let counters = story.meter.counters().clone();
    assert_eq!((counters.floods, counters.flows_active), (1, MOST as u64));
    // So many had to leave before it was a flood.
    assert_eq!(counters.flows_evicted, 48);
    assert_eq!(counters.flows_created + counters.flows_folded, u64::from(flows) + 1);
    assert_eq!(counters.packets_folded, counters.flows_folded);
    assert_eq!((counters.folds_created, counters.packets_folded_together), (1, 0));

    finish(&mut story, &mut taken);
    let counters = story.meter.counters();
    let [(record, fold)] = &taken.folds[..] else {
        panic!("one aggregate")
    };
    assert_eq!(record.key.src, "0.0.0.0".parse::<IpAddr>().unwrap());
    assert_eq!(record.key.dst, "198.51.100.2".parse::<IpAddr>().unwrap());
    assert_eq!(
        (record.key.src_port, record.key.dst_port, record.key.protocol),
        (0, 80, 17)
    );
    assert_eq!(
        counts(record),
        [(counters.packets_folded, counters.packets_folded * 38), (0, 0)]
    );
    assert_eq!(fold.flows, counters.flows_folded);
    // All 50 000 sources are among those folded; the bound holds 19 times of 20, with this seed too.
    let [lower, upper] = fold.sources_between;
    assert!(lower <= 50_000.0 && 50_000.0 <= upper, "{fold:?}");
    assert!(upper < 1.3 * lower);

    let conversation: Vec<_> = taken
        .flows
        .iter()
        .filter(|record| record.key.dst_port == 7777)
        .collect();
    let [conversation] = &conversation[..] else {
        panic!("one record")
    };
    assert_eq!(conversation.forward.packets, 201);
    let (flows, folds) = (sum(&taken.flows), &taken.folds[0].0);
    assert_eq!(flows.0 + folds.forward.packets, counters.packets_metered);
    assert_eq!(flows.1 + folds.forward.octets, counters.octets_metered);
    assert_eq!(counters.records_total(), (taken.flows.len() + taken.folds.len()) as u64);
    assert_eq!(
        (counters.flows_created + counters.folds_created, counters.flows_active),
        (counters.records_total(), 0)
    );
}

/// Fills the table with single packets until it is a flood.
fn flood(story: &mut Story) {
    for flow in 0..MOST as u32 + 100 {
        story.frame(0, &from(0x0b00_0000 + flow, 5, 80));
    }
    assert_eq!(story.meter.counters().floods, 1);
    story.records();
}

#[test]
fn answers_are_the_other_direction_and_who_sends_again_gets_a_place() {
    let mut story = story();
    flood(&mut story);
    let before = story.meter.counters().clone();
    story.frame(MS, &from(1, 4000, 80));
    story.frame(2 * MS, &back(1, 4000, 80));
    let counters = story.meter.counters();
    assert_eq!(
        (counters.flows_folded, counters.packets_folded),
        (before.flows_folded + 1, before.packets_folded + 2)
    );
    story.frame(3 * MS, &from(1, 4000, 80));
    story.frame(4 * MS, &back(1, 4000, 80));
    let counters = story.meter.counters().clone();
    assert_eq!(
        (counters.flows_unfolded, counters.flows_created),
        (1, before.flows_created + 1)
    );
    assert_eq!(counters.packets_folded, before.packets_folded + 2);
    let mut taken = Taken {
        flows: Vec::new(),
        folds: Vec::new(),
    };
    finish(&mut story, &mut taken);
    let place = taken.flows.iter().find(|record| record.key.src_port == 4000);
    assert_eq!(place.map(counts), Some([(1, 38), (1, 48)]));
    let [(record, fold)] = &taken.folds[..] else {
        panic!("one aggregate")
    };
    let folded = before.packets_folded + 1;
    assert_eq!(counts(record), [(folded, folded * 38), (1, 48)]);
    assert_eq!(fold.flows, folded);
}

#[test]
fn too_many_destinations_share_one_aggregate_of_their_protocol() {
    let mut story = story();
    flood(&mut story);
    let before = story.meter.counters().clone();
    for port in 0..1000_u16 {
        story.frame(MS, &from(9, 9, 1000 + port));
    }
    // 64 aggregates for so small a table, one of which was there.
    let counters = story.meter.counters().clone();
    assert_eq!(counters.folds_created, before.folds_created + 63 + 1);
    assert_eq!(counters.packets_folded_together, 1000 - 63);
    assert_eq!(counters.flows_folded, before.flows_folded + 1000);
    let mut taken = Taken {
        flows: Vec::new(),
        folds: Vec::new(),
    };
    finish(&mut story, &mut taken);
    let rest = taken.folds.iter().find(|(record, _)| record.key.dst_port == 0);
    let (record, fold) = rest.expect("an aggregate of the rest");
    assert_eq!(record.key.dst, "0.0.0.0".parse::<IpAddr>().unwrap());
    assert_eq!((record.key.protocol, record.forward.packets), (17, 937));
    assert_eq!((fold.flows, fold.sources), (937, 1));
    let folded: u64 = taken.folds.iter().map(|(record, _)| record.forward.packets).sum();
    assert_eq!(folded, counters.packets_folded);
}

#[test]
fn aggregates_leave_by_their_timeouts_and_the_flood_ends_with_room() {
    let mut story = story();
    flood(&mut story);
    let before = story.meter.counters().flows_folded;
    let mut taken = Taken {
        flows: Vec::new(),
        folds: Vec::new(),
    };
    for second in 1..=61 {
        // The flood goes on slowly enough to keep the aggregate but not the flows of the table.
        story.frame(second * SECOND, &from(0x0c00_0000 + second as u32, 5, 80));
        take(&mut story, &mut taken);
    }
    // Behind 15 s the table emptied itself: no flood any more, and what came from 16 s on had a flow of its own. Those up
    // to 45 s have ended since.
    assert_eq!(taken.flows.len(), MOST + 30);
    let [(record, fold)] = &taken.folds[..] else {
        panic!("one aggregate")
    };
    assert_eq!(record.end_reason, FlowEndReason::IdleTimeout);
    assert_eq!((fold.flows, record.forward.packets), (before + 15, before + 15));
    assert_eq!(times(record), (0, 15 * SECOND));
}
