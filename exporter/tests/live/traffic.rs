//! Traffic of which everything is known: conversations of TCP, UDP and ICMP, interleaved.

use std::collections::BTreeMap;

use serde_json::Value;

use super::namespaces::number;

/// One conversation: client 10.0.x.y, server 10.1.0.z.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    number: u16,
    protocol: u8,
}

/// Protocol, client address, client port, server address, server port.
pub type Key = (u64, String, u64, String, u64);
/// Packets and octets of the client, packets and octets of the server.
pub type Counts = [u64; 4];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

pub fn conversations(count: u16) -> Vec<Conversation> {
    let protocol = |number| [UDP, TCP, UDP, ICMP][usize::from(number % 4)];
    (0..count)
        .map(|number| Conversation {
            number,
            protocol: protocol(number),
        })
        .collect()
}

impl Conversation {
    fn addresses(self) -> [[u8; 4]; 2] {
        let [high, low] = self.number.to_be_bytes();
        [[10, 0, high, low], [10, 1, 0, 1 + low % 7]]
    }

    fn ports(self) -> [u16; 2] {
        match self.protocol {
            ICMP => [0, 0],
            TCP => [20_000 + self.number, 443],
            _ => [30_000 + self.number, 9],
        }
    }

    fn payload_octets(self, reverse: bool) -> usize {
        8 + usize::from(self.number) % 40 + if reverse { 100 } else { 0 }
    }

    /// The `turn`-th packet each way; on Ethernet, for a host that is not there, so that nobody answers.
    pub fn frame(self, turn: u32, reverse: bool) -> Vec<u8> {
        let mut frame = vec![
            2,
            0,
            0,
            0,
            9,
            u8::from(reverse),
            2,
            0,
            0,
            0,
            9,
            u8::from(!reverse),
            8,
            0,
        ];
        frame.extend(self.packet(turn, reverse));
        frame
    }

    fn packet(self, turn: u32, reverse: bool) -> Vec<u8> {
        let [mut from, mut to] = self.addresses();
        let [mut src, mut dst] = self.ports();
        if reverse {
            (from, to, src, dst) = (to, from, dst, src);
        }
        let payload = self.payload_octets(reverse);
        let mut segment = Vec::new();
        match self.protocol {
            ICMP => {
                segment.extend([if reverse { 0 } else { 8 }, 0, 0, 0]);
                segment.extend(self.number.to_be_bytes());
                segment.extend((turn as u16).to_be_bytes());
            }
            TCP => {
                segment.extend(src.to_be_bytes());
                segment.extend(dst.to_be_bytes());
                let sequence = 1000 + turn * payload as u32;
                segment.extend(sequence.to_be_bytes());
                segment.extend((1000 + turn * self.payload_octets(!reverse) as u32).to_be_bytes());
                // Acknowledgments and pushed data of a connection that was there before.
                segment.extend([0x50, 0x18, 0x20, 0, 0, 0, 0, 0]);
            }
            _ => {
                segment.extend(src.to_be_bytes());
                segment.extend(dst.to_be_bytes());
                segment.extend((8 + payload as u16).to_be_bytes());
                segment.extend([0, 0]);
            }
        }
        segment.extend(turn.to_be_bytes());
        segment.resize(segment.len() - 4 + payload, 0x2e);
        let mut packet = vec![0x45, 0];
        packet.extend((20 + segment.len() as u16).to_be_bytes());
        packet.extend((turn as u16).to_be_bytes());
        packet.extend([0, 0, 64, self.protocol, 0, 0]);
        packet.extend(from);
        packet.extend(to);
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(segment);
        packet
    }

    /// What a record of `forward` packets one way and `reverse` the other has to say.
    pub fn truth(self, forward: u64, reverse: u64) -> (Key, Counts) {
        let [client, server] = self
            .addresses()
            .map(|address| std::net::Ipv4Addr::from(address).to_string());
        let [src, dst] = self.ports().map(u64::from);
        let octets = |reverse| self.packet(0, reverse).len() as u64;
        (
            (u64::from(self.protocol), client, src, server, dst),
            [forward, forward * octets(false), reverse, reverse * octets(true)],
        )
    }
}

fn checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Records added up by conversation, whichever direction was forward.
pub fn by_conversation(records: &[Value]) -> BTreeMap<Key, Counts> {
    let mut found: BTreeMap<Key, Counts> = BTreeMap::new();
    for record in records {
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let (source, destination) = (text("sourceIPv4Address"), text("destinationIPv4Address"));
        let mut counts = [
            "packetDeltaCount",
            "octetDeltaCount",
            "reversePacketDeltaCount",
            "reverseOctetDeltaCount",
        ]
        .map(|field| number(record, field));
        let ports = ["sourceTransportPort", "destinationTransportPort"].map(|field| number(record, field));
        let protocol = number(record, "protocolIdentifier");
        let key = if source.starts_with("10.1.") {
            counts.rotate_left(2);
            (protocol, destination, ports[1], source, ports[0])
        } else {
            (protocol, source, ports[0], destination, ports[1])
        };
        let sum = found.entry(key).or_default();
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    found
}
