//! Capture files built octet by octet in both byte orders, sound and damaged.

use flowgauge_templates::packet::LinkType;

use super::*;
use crate::limits::{MAX_FRAME_OCTETS, MAX_INTERFACES};

/// Writes integers in one byte order.
#[derive(Clone, Copy)]
struct Order(bool);

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.0 {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32s(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }

    fn pcap_header(self, magic: u32, version: (u16, u16), link_type: u32) -> Vec<u8> {
        let version = [self.u16(version.0), self.u16(version.1)].concat();
        [&self.u32(magic)[..], &version, &self.u32s(&[0, 0, 65_535, link_type])].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &length, &body, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(
            0x0a0d_0d0a,
            &[&self.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat(),
        )
    }

    fn interface(self, link_type: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [&self.u16(link_type)[..], &[0, 0], &self.u32(snap_length)].concat();
        for (code, value) in options {
            body.extend([self.u16(*code), self.u16(value.len() as u16)].concat());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, wire: u32, frame: &[u8]) -> Vec<u8> {
        let fields = self.u32s(&[interface, (ticks >> 32) as u32, ticks as u32, frame.len() as u32, wire]);
        self.block(6, &[&fields[..], frame].concat())
    }
}

const ORDERS: [Order; 2] = [Order(true), Order(false)];

/// Frames as (time, link type, interface, wire length, octets), then the fault if there was one.
type Read = (Vec<(i64, u16, u32, u32, Vec<u8>)>, Option<FormatFault>);

/// Reads a whole file, offering more octets only when asked for them.
fn read(file: &[u8]) -> Read {
    let (mut decoder, mut frames) = (CaptureDecoder::new(), Vec::new());
    let (mut at, mut offered) = (0, 0);
    loop {
        match decoder.step(&file[at.min(file.len())..(at + offered).min(file.len())]) {
            Err(fault) => return (frames, Some(fault)),
            Ok(Step::Need(octets)) => {
                assert!(octets > offered, "asks for what it has");
                if at + octets > file.len() {
                    let left = file.len() - at.min(file.len());
                    let cut = FormatFault::Truncated {
                        part: decoder.part(),
                        missing: octets - left,
                    };
                    return (frames, (left > 0).then_some(cut));
                }
                offered = octets;
            }
            Ok(Step::Skip(octets)) => {
                at += octets as usize;
                offered = 0;
            }
            Ok(Step::Frame(place)) => {
                let start = at + place.start;
                let octets = file[start..start + place.captured].to_vec();
                frames.push((
                    place.time_ns,
                    place.link_type.0,
                    place.interface,
                    place.wire_length,
                    octets,
                ));
                at += place.consumed;
                offered = 0;
            }
        }
    }
}

#[test]
fn reads_pcap_in_both_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, fraction, ns) in [
            (0xa1b2_c3d4, 999_999, 999_999_000),
            (0xa1b2_3c4d, 999_999_999, 999_999_999),
        ] {
            let mut file = order.pcap_header(magic, (2, 4), 113);
            file.extend(order.u32s(&[0xffff_fff0, fraction, 3, 1500]));
            file.extend(b"abc");
            file.extend(order.u32s(&[1, 0, 0, 0]));
            let first = (0xffff_fff0 * 1_000_000_000 + ns, 113, 0, 1500, b"abc".to_vec());
            assert_eq!(read(&file), (vec![first, (1_000_000_000, 113, 0, 0, vec![])], None));
        }
    }
}

#[test]
fn reads_old_and_modified_pcap() {
    let order = Order(false);
    let modified = [
        order.pcap_header(0xa1b2_cd34, (2, 4), 1),
        order.u32s(&[1, 2, 2, 9, 7, 7]),
        b"ab".to_vec(),
    ]
    .concat();
    assert_eq!(read(&modified), (vec![(1_000_002_000, 1, 0, 9, b"ab".to_vec())], None));
    // Before 2.3 the length on the wire came first; 2.3 itself was written in either way.
    for version in [(2, 2), (2, 3), (543, 0)] {
        let old = [
            order.pcap_header(0xa1b2_c3d4, version, 1),
            order.u32s(&[1, 2, 9, 2]),
            b"ab".to_vec(),
        ]
        .concat();
        assert_eq!(
            read(&old),
            (vec![(1_000_002_000, 1, 0, 9, b"ab".to_vec())], None),
            "{version:?}"
        );
    }
    // A frame check sequence is announced in the upper bits of the link type.
    let checked = [
        order.pcap_header(0xa1b2_c3d4, (2, 4), 0x2400_0001),
        order.u32s(&[0, 0, 0, 0]),
    ]
    .concat();
    assert_eq!(read(&checked).0[0].1, LinkType::ETHERNET.0);
}

#[test]
fn reads_pcapng_with_several_interfaces_and_sections() {
    for order in ORDERS {
        let offset = if order.0 {
            10i64.to_be_bytes()
        } else {
            10i64.to_le_bytes()
        };
        let mut file = order.section();
        file.extend(order.block(0x0bad, b"unknown"));
        file.extend(order.interface(1, 0, &[(2, b"eth0"), (9, &[9])]));
        file.extend(order.interface(101, 4, &[]));
        file.extend(order.interface(276, 0, &[(9, &[0x8a]), (14, &offset), (0, &[]), (9, &[200])]));
        file.extend(order.interface(1, 0, &[(9, &[12])]));
        file.extend(order.enhanced(0, 1_767_225_600_123_456_789, 60, b"first"));
        file.extend(order.enhanced(1, 1_000_001, 2, b"second"));
        file.extend(order.enhanced(2, 512, 6, b"third"));
        file.extend(order.enhanced(3, 5_500_000_000_001, 6, b"fourth"));
        file.extend(order.block(3, &[&order.u32(9)[..], b"simple frame"].concat()));
        let obsolete = [&order.u16(1)[..], &order.u16(7), &order.u32s(&[0, 3, 3, 3]), b"old"].concat();
        file.extend(order.block(2, &obsolete));
        // Another section in the other byte order, with its own interfaces.
        let other = Order(!order.0);
        file.extend(other.section());
        file.extend(other.interface(228, 0, &[]));
        file.extend(other.enhanced(0, 7, 1, b"z"));
        let (frames, fault) = read(&file);
        assert_eq!(fault, None);
        let expected: [(i64, u16, u32, u32, &[u8]); 7] = [
            (1_767_225_600_123_456_789, 1, 0, 60, b"first"),
            (1_000_001_000, 101, 1, 6, b"second"),
            (10_500_000_000, 276, 2, 6, b"third"),
            (5_500_000_000, 1, 3, 6, b"fourth"),
            // All of it that the first interface, which has no snap length, gives.
            (5_500_000_000, 1, 0, 9, b"simple fr"),
            (3000, 101, 1, 3, b"old"),
            (7000, 228, 0, 1, b"z"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(time, link, at, wire, octets)| (*time, *link, *at, *wire, octets.to_vec()))
            .collect();
        assert_eq!(frames, expected);
    }
}

#[test]
fn a_simple_packet_is_cut_by_the_snap_length() {
    let order = Order(true);
    let file = [
        order.section(),
        order.interface(101, 4, &[]),
        order.block(3, &[&order.u32(9)[..], b"four", &[]].concat()),
    ];
    assert_eq!(read(&file.concat()).0, [(0, 101, 0, 9, b"four".to_vec())]);
}

#[test]
fn every_cut_gives_the_frames_before_it_and_says_so() {
    let order = Order(false);
    let pcap = [
        order.pcap_header(0xa1b2_c3d4, (2, 4), 1),
        order.u32s(&[1, 0, 3, 3]),
        b"abc".to_vec(),
        order.u32s(&[2, 0, 3, 3]),
        b"def".to_vec(),
    ];
    let pcapng = [
        order.section(),
        order.interface(1, 0, &[]),
        order.enhanced(0, 1, 3, b"abc"),
        order.enhanced(0, 2, 3, b"def"),
    ];
    for (parts, part) in [(pcap.concat(), "record"), (pcapng.concat(), "block")] {
        let (whole, fault) = read(&parts);
        assert_eq!((whole.len(), fault), (2, None));
        for length in 0..parts.len() {
            let (frames, fault) = read(&parts[..length]);
            assert_eq!(frames, whole[..frames.len()]);
            match fault {
                Some(FormatFault::Truncated { part: at, missing }) => {
                    assert!(missing > 0 && (at == part || at == "file header"), "{at}");
                }
                None => assert!(read(&parts[..length]).0.len() <= whole.len()),
                other => panic!("{other:?} at {length}"),
            }
        }
    }
}

#[test]
fn faults_have_names() {
    let order = Order(true);
    let header = order.pcap_header(0xa1b2_c3d4, (2, 4), 1);
    let start = [order.section(), order.interface(1, 0, &[])].concat();
    let too_long = MAX_FRAME_OCTETS as u32 + 1;
    let mut differ = order.enhanced(0, 1, 3, b"abc");
    let last = differ.len() - 1;
    differ[last] ^= 4;
    let mut wrong_magic = order.section();
    wrong_magic[8] = 0;
    let cases: Vec<(Vec<u8>, FormatFault)> = vec![
        (b"GIF89a..".to_vec(), FormatFault::UnknownMagic(0x4749_4638)),
        (
            order.pcap_header(0xa1b2_c3d4, (3, 0), 1),
            FormatFault::Version {
                format: "pcap",
                major: 3,
                minor: 0,
            },
        ),
        (
            [header, order.u32s(&[0, 0, too_long, too_long])].concat(),
            FormatFault::FrameTooLong(too_long),
        ),
        (wrong_magic, FormatFault::ByteOrderMagic(0x002b_3c4d)),
        (
            [&start[..], &order.u32s(&[6, 30, 0])].concat(),
            FormatFault::BlockLength { kind: 6, length: 30 },
        ),
        (
            [&start[..], &order.u32s(&[6, 0, 0])].concat(),
            FormatFault::BlockLength { kind: 6, length: 0 },
        ),
        (
            [&start[..], &order.u32s(&[6, 0xffff_fffc, 0])].concat(),
            FormatFault::BlockLength {
                kind: 6,
                length: 0xffff_fffc,
            },
        ),
        (
            [&start[..], &differ].concat(),
            FormatFault::BlockLengthsDiffer { before: 36, after: 32 },
        ),
        (
            [&start[..], &order.enhanced(1, 0, 3, b"abc")].concat(),
            FormatFault::UnknownInterface(1),
        ),
        (
            [order.section(), order.block(3, &[0; 8])].concat(),
            FormatFault::UnknownInterface(0),
        ),
        (
            [order.section(), order.interface(1, 0, &[(9, &[0x7f])])].concat(),
            FormatFault::TimeResolution(0x7f),
        ),
        (
            [&start[..], &order.block(6, &order.u32s(&[0, 0, 0, 9, 9, 0]))].concat(),
            FormatFault::Truncated {
                part: "frame",
                missing: 5,
            },
        ),
        (
            [order.section(), order.interface(1, 0, &[]).repeat(MAX_INTERFACES + 1)].concat(),
            FormatFault::TooManyInterfaces,
        ),
    ];
    for (file, fault) in cases {
        assert_eq!(read(&file), (vec![], Some(fault)), "{fault}");
    }
}

mod any_octets {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Sound files with octets changed end, with frames that lie within them.
        #[test]
        fn always_come_to_an_end(
            pcapng in any::<bool>(),
            damage in prop::collection::vec((0usize..200, any::<u8>()), 0..6),
        ) {
            let order = Order(false);
            let mut file = if pcapng {
                let mut file = [order.section(), order.interface(1, 0, &[(9, &[6]), (14, &[1; 8])])].concat();
                (0..3).for_each(|at| file.extend(order.enhanced(0, at, 9, b"some frame")));
                file
            } else {
                let mut file = order.pcap_header(0xa1b2_c3d4, (2, 4), 1);
                (0..5).for_each(|at| file.extend([order.u32s(&[at, 0, 4, 4]), b"abcd".to_vec()].concat()));
                file
            };
            for (at, value) in damage {
                if let Some(octet) = file.get_mut(at) {
                    *octet = value;
                }
            }
            let (frames, _) = read(&file);
            prop_assert!(frames.len() <= 5);
        }
    }
}
