//! Which way a packet went through this host, as far as addresses say it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use flowgauge_templates::packet::Headers;

use super::counters::parse_mac;
use super::sample::Port;
use super::system::System;
use crate::io::live;

/// What is known of this host's own interfaces. Knows none for captures that were made elsewhere.
#[derive(Debug, Default)]
pub struct Interfaces {
    /// By number; none for loopback and for links without addresses of their own.
    known: HashMap<u32, Option<[u8; 6]>>,
    addresses: HashSet<IpAddr>,
}

impl Interfaces {
    /// Asks the system.
    pub fn read(system: &System) -> Interfaces {
        let mut known = HashMap::new();
        for name in system.interfaces() {
            let index = system.number_of_interface(&name, "ifindex");
            let address = system.of_interface(&name, "address");
            if let Some(Ok(index)) = index.map(u32::try_from) {
                let address = address.and_then(|address| parse_mac(&address));
                known.insert(index, address.filter(|address| *address != [0; 6]));
            }
        }
        let interfaces = live::interfaces().unwrap_or_default();
        let texts = interfaces.iter().flat_map(|interface| &interface.addresses);
        Interfaces {
            known,
            addresses: texts.filter_map(|text| text.parse().ok()).collect(),
        }
    }

    /// The numbers of all interfaces.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.known.keys().copied()
    }

    /// Whether an address is this host's.
    pub fn is_ours(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Where a packet that an interface saw came in and went out.
    pub fn ports(&self, interface: u32, headers: &Headers<'_>) -> [Port; 2] {
        let here = match interface {
            0 => Port::Unknown,
            interface => Port::Interface(interface),
        };
        let Some(own) = self.known.get(&interface) else {
            return [here, Port::Unknown];
        };
        let network = headers.network.as_ref();
        let from_us = network.is_some_and(|network| self.is_ours(network.src()));
        let to_us = network.is_some_and(|network| self.is_ours(network.dst()));
        let leaves = match (own, headers.link.src_mac) {
            (Some(own), Some(source)) => own == source,
            // Without addresses of the link, and never on loopback, where all comes back.
            _ => from_us && !to_us,
        };
        // What has neither end here is passed on, or is somebody else's traffic.
        let end = |is_ours| if is_ours { Port::Internal } else { Port::Unknown };
        match leaves {
            true => [end(from_us), here],
            false => [here, end(to_us)],
        }
    }
}

#[cfg(test)]
mod tests {
    use flowgauge_templates::packet::{LinkType, parse};

    use super::*;

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn interfaces() -> Interfaces {
        Interfaces {
            known: [(1, None), (3, Some(OWN))].into(),
            addresses: ["192.0.2.1", "127.0.0.1"].map(|text| text.parse().unwrap()).into(),
        }
    }

    fn frame(from: [u8; 6], to: [u8; 6], src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
        let mut frame = [to, from].concat();
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend([src, dst].concat());
        frame.extend([0, 53, 0, 53, 0, 8, 0, 0]);
        frame
    }

    #[test]
    fn our_own_packets_are_told_from_those_passed_on() {
        let (ours, theirs) = ([192, 0, 2, 1], [198, 51, 100, 7]);
        for (frame, interface, ports) in [
            (frame(OWN, OTHER, ours, theirs), 3, [Port::Internal, Port::Interface(3)]),
            (frame(OTHER, OWN, theirs, ours), 3, [Port::Interface(3), Port::Internal]),
            (
                frame(OTHER, OWN, theirs, theirs),
                3,
                [Port::Interface(3), Port::Unknown],
            ),
            (
                frame(OWN, OTHER, theirs, theirs),
                3,
                [Port::Unknown, Port::Interface(3)],
            ),
            (
                frame(OTHER, OTHER, theirs, theirs),
                3,
                [Port::Interface(3), Port::Unknown],
            ),
            // Loopback.
            (
                frame([0; 6], [0; 6], [127, 0, 0, 1], [127, 0, 0, 1]),
                1,
                [Port::Interface(1), Port::Internal],
            ),
            // Of a file.
            (frame(OWN, OTHER, ours, theirs), 0, [Port::Unknown, Port::Unknown]),
            (frame(OWN, OTHER, ours, theirs), 9, [Port::Interface(9), Port::Unknown]),
        ] {
            let headers = parse(LinkType::ETHERNET, &frame, frame.len() as u32);
            assert_eq!(interfaces().ports(interface, &headers), ports);
        }
    }
}
