//! Conversations from `fixtures/application`, whole and in pieces; and what must hold for any octets at all.

pub(super) mod conversation;
mod hostile;
mod http;
mod pieces;

use std::collections::BTreeSet;

use conversation::{Conversation, Flow};

use super::*;

/// Holds what is known of a flow against what the fixture says.
fn assert_known(conversation: &Conversation, flow: &mut Flow) {
    let file = &conversation.file;
    let (protocol, values) = flow.known().unwrap_or_else(|| panic!("{file}: nothing known"));
    assert_eq!(protocol, conversation.protocol, "{file}");
    assert_eq!(values["applicationName"], conversation.protocol, "{file}");
    for (name, value) in &conversation.values {
        assert_eq!(values.get(name).map_or("", String::as_str), value, "{file}: {name}");
    }
}

#[test]
fn every_fixture_tells_what_it_must_and_every_protocol_has_one() {
    let mut names = BTreeSet::new();
    for conversation in conversation::all() {
        let mut flow = Flow::new(ApplicationConfig::default(), conversation.carrier, conversation.ports);
        let mut offsets = [0; 2];
        for (direction, octets) in &conversation.messages {
            flow.say(*direction, offsets[*direction], octets);
            offsets[*direction] += octets.len();
        }
        assert_known(&conversation, &mut flow);
        // A later record of the flow says the same.
        assert_known(&conversation, &mut flow);
        let counters = flow.end();
        let at = usize::from(ProtocolSet::place(&conversation.protocol).unwrap());
        assert_eq!((counters.flows_inspected, counters.recognised[at]), (1, 1));
        assert_eq!(counters.recognised_total(), 1);
        assert_eq!(counters.faults_total(), 0, "{}", conversation.file);
        names.insert(conversation.protocol);
    }
    let all: BTreeSet<String> = ProtocolSet::names().map(str::to_owned).collect();
    assert_eq!(
        names, all,
        "protocols without a fixture, or fixtures without a protocol"
    );
}

#[test]
fn a_protocol_that_is_switched_off_is_not_recognised() {
    for conversation in conversation::all() {
        let at = ProtocolSet::place(&conversation.protocol).unwrap();
        let others = (0..PROTOCOLS.len() as u8).filter(|other| *other != at);
        let config = ApplicationConfig {
            enabled: others.fold(ProtocolSet::NONE, ProtocolSet::with),
            ..ApplicationConfig::default()
        };
        let mut flow = Flow::new(config, conversation.carrier, conversation.ports);
        for (direction, octets) in &conversation.messages {
            flow.say(*direction, 0, octets);
        }
        assert_eq!(flow.known(), None, "{}", conversation.file);
        assert_eq!(flow.end().recognised_total(), 0);
    }
}

/// Nothing waits for the rest of a conversation that told all it can.
#[test]
fn what_is_read_is_let_go_of() {
    for name in ["http", "ssh", "smtp", "dhcp", "dhcpv6", "arp"] {
        let conversation = conversation::all()
            .into_iter()
            .find(|one| one.protocol == name)
            .unwrap();
        let mut flow = Flow::new(ApplicationConfig::default(), conversation.carrier, conversation.ports);
        let mut offsets = [0; 2];
        for (direction, octets) in &conversation.messages {
            flow.say(*direction, offsets[*direction], octets);
            offsets[*direction] += octets.len();
        }
        assert!(!flow.place.wants(0) && !flow.place.wants(1), "{name}");
        assert_eq!(flow.applications.counters().reading_now, 0, "{name}");
        assert_eq!(flow.applications.counters().known_now, 1, "{name}");
    }
}

/// The guide shows the protocol and its fixture as they are in the tree.
#[test]
fn the_guide_shows_what_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let guide = text("docs/guides/add-an-application.md");
    for shown in [include_str!("../stun.rs"), &text("fixtures/application/stun.txt")] {
        assert!(guide.contains(shown), "not in the guide as it is in the tree:\n{shown}");
    }
    let line = "32473,62,stunSoftware,string,,,current,,\n";
    assert!(guide.contains(line) && text("ie-registry/data/flowgauge.csv").contains(line));
}
