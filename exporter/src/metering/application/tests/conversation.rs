//! Conversations as text: what each side says, and what must be known of it. See `fixtures/README.md`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use flowgauge_ie_registry::{DataType, Registry};

use super::super::*;
use crate::metering::records::Records;

/// One fixture.
pub struct Conversation {
    pub file: String,
    /// The protocol that must be recognised.
    pub protocol: String,
    pub carrier: Carrier,
    pub ports: [u16; 2],
    /// Direction and octets.
    pub messages: Vec<(usize, Vec<u8>)>,
    /// Values that must be told, by element; empty for one that must not be.
    pub values: BTreeMap<String, String>,
}

/// Every fixture, by file name.
pub fn all() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/application");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Conversation {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let head: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let mut conversation = Conversation {
        file: file.file_name().unwrap().to_string_lossy().into_owned(),
        protocol: head[0].to_owned(),
        carrier: match head[1] {
            "tcp" => Carrier::Tcp,
            "udp" => Carrier::Udp,
            "arp" => Carrier::Arp,
            other => panic!("{other}: no carrier"),
        },
        ports: [head[2].parse().unwrap(), head[3].parse().unwrap()],
        messages: Vec::new(),
        values: BTreeMap::new(),
    };
    for line in lines {
        let (mark, rest) = line.split_at(2);
        match mark {
            "> " => conversation.messages.push((0, octets(rest))),
            "< " => conversation.messages.push((1, octets(rest))),
            "= " => {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                conversation.values.insert(name.to_owned(), value.to_owned());
            }
            _ => panic!("{line}: neither said nor known"),
        }
    }
    conversation
}

/// Text with `\r`, `\n` and `\xNN`, and `{N*NN}` for N times one octet.
fn octets(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (*first, behind) {
            (b'\\', [b'r', behind @ ..]) => (out.push(b'\r'), rest = behind).0,
            (b'\\', [b'n', behind @ ..]) => (out.push(b'\n'), rest = behind).0,
            (b'\\', [b'x', high, low, behind @ ..]) => (out.push(hex(&[*high, *low])), rest = behind).0,
            (b'{', _) => {
                let end = behind.iter().position(|octet| *octet == b'}').unwrap();
                let inner = std::str::from_utf8(&behind[..end]).unwrap();
                let (times, octet) = inner.split_once('*').unwrap();
                out.extend(vec![hex(octet.as_bytes()); times.parse().unwrap()]);
                rest = &behind[end + 1..];
            }
            (other, _) => out.push(other),
        }
    }
    out
}

fn hex(digits: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}

/// A flow between two hosts, and what looks at it.
pub struct Flow {
    pub applications: Applications,
    pub place: ApplicationPlace,
    pub carrier: Carrier,
    pub ports: [u16; 2],
    /// Whether the meter saw the SYNs.
    pub syn_seen: bool,
}

/// Sequence number of each direction's first octet: close to where they wrap.
pub const FIRST: [u32; 2] = [u32::MAX - 40, 77];

impl Flow {
    pub fn new(config: ApplicationConfig, carrier: Carrier, ports: [u16; 2]) -> Flow {
        Flow {
            applications: Applications::new(config),
            place: ApplicationPlace::default(),
            carrier,
            ports,
            syn_seen: true,
        }
    }

    pub fn tcp(port: u16) -> Flow {
        Flow::new(ApplicationConfig::default(), Carrier::Tcp, [49152, port])
    }

    /// A segment that begins `offset` octets into its direction, or a datagram; `octets` long though less was captured.
    pub fn packet(&mut self, direction: usize, offset: usize, bytes: &[u8], octets: usize) {
        let tcp = self.carrier == Carrier::Tcp;
        let [src, dst] = self.ports;
        let payload = Payload {
            bytes,
            octets: octets as u32,
            direction,
            sequence: tcp.then(|| FIRST[direction].wrapping_add(offset as u32)),
            first_sequence: (tcp && self.syn_seen).then_some(FIRST[direction]),
            ports: if direction == 0 { [src, dst] } else { [dst, src] },
            carrier: self.carrier,
            now_ns: 0,
        };
        if self.place.wants(direction) {
            self.applications.inspect(&mut self.place, &payload);
        }
    }

    /// A whole packet.
    pub fn say(&mut self, direction: usize, offset: usize, bytes: &[u8]) {
        self.packet(direction, offset, bytes, bytes.len());
    }

    /// The protocol's name and the values that are known, as text.
    pub fn known(&mut self) -> Option<(String, BTreeMap<String, String>)> {
        let mut records = Records::default();
        let place = self.applications.take(&self.place, &mut records);
        let record = *place.of(&records.applications)?;
        let mut values = BTreeMap::new();
        let mut rest = &records.octets[record.start as usize..][..record.length as usize];
        for specifier in field_specifiers(record.protocol, record.present) {
            let element = Registry::builtin().element(specifier.element).unwrap();
            let length = match (specifier.length, rest) {
                (65535, [255, high, low, behind @ ..]) => {
                    rest = behind;
                    usize::from(u16::from_be_bytes([*high, *low]))
                }
                (65535, [short, behind @ ..]) => {
                    rest = behind;
                    usize::from(*short)
                }
                (fixed, _) => usize::from(fixed),
            };
            let (value, behind) = rest.split_at(length);
            rest = behind;
            let value = match element.data_type {
                DataType::String => String::from_utf8(value.to_vec()).unwrap(),
                DataType::Ipv4Address => Ipv4Addr::from(<[u8; 4]>::try_from(value).unwrap()).to_string(),
                _ => value
                    .iter()
                    .fold(0, |number, octet| number << 8 | u64::from(*octet))
                    .to_string(),
            };
            values.insert(element.name.to_string(), value);
        }
        assert!(rest.is_empty(), "values and template disagree by {} octets", rest.len());
        Some((PROTOCOLS[usize::from(record.protocol)].about().name.to_owned(), values))
    }

    /// Ends the flow and holds that nothing of it is kept.
    pub fn end(mut self) -> ApplicationCounters {
        self.applications.free(&mut self.place);
        assert_eq!(self.place, ApplicationPlace::default());
        let counters = self.applications.counters();
        assert_eq!((counters.reading_now, counters.known_now), (0, 0));
        counters
    }
}
