//! etherparse reads the same bytes: where both know a layer they must agree on it. Ours must also never panic.

use etherparse::{NetHeaders, PacketHeaders, TransportHeader};
use proptest::prelude::*;

use super::*;

/// What both parsers can say of a packet.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    src: Vec<u8>,
    dst: Vec<u8>,
    octets: u32,
    ttl: u8,
    protocol: u8,
    ports: [u16; 2],
    tcp: Option<(u32, u32, u16, u16, Vec<u8>)>,
    icmp: Option<(u8, u8)>,
}

/// What etherparse sees when it follows the packet to a transport and finds no fault.
fn theirs(frame: &[u8]) -> Option<Seen> {
    let headers = PacketHeaders::from_ethernet_slice(frame).ok()?;
    let mut seen = match headers.net? {
        NetHeaders::Ipv4(header, extensions) => Seen {
            src: header.source.to_vec(),
            dst: header.destination.to_vec(),
            octets: u32::from(header.total_len),
            ttl: header.time_to_live,
            protocol: extensions.auth.map_or(header.protocol.0, |auth| auth.next_header.0),
            ..Seen::default()
        },
        NetHeaders::Ipv6(header, extensions) => Seen {
            src: header.source.to_vec(),
            dst: header.destination.to_vec(),
            octets: u32::from(header.payload_length) + 40,
            ttl: header.hop_limit,
            protocol: extensions.next_header(header.next_header).ok()?.0,
            ..Seen::default()
        },
        NetHeaders::Arp(_) => return None,
    };
    match headers.transport? {
        TransportHeader::Udp(header) => seen.ports = [header.source_port, header.destination_port],
        TransportHeader::Tcp(header) => {
            seen.ports = [header.source_port, header.destination_port];
            let bytes = header.to_bytes();
            let flags = u16::from_be_bytes([bytes[12], bytes[13]]) & 0x01ff;
            let options = header.options.as_slice().to_vec();
            seen.tcp = Some((
                header.sequence_number,
                header.acknowledgment_number,
                flags,
                header.window_size,
                options,
            ));
        }
        TransportHeader::Icmpv4(header) => seen.icmp = first_two(&header.to_bytes()),
        TransportHeader::Icmpv6(header) => seen.icmp = first_two(&header.to_bytes()),
        TransportHeader::Igmp(_) => return None,
    }
    Some(seen)
}

fn first_two(bytes: &[u8]) -> Option<(u8, u8)> {
    bytes.first_chunk::<2>().map(|[kind, code]| (*kind, *code))
}

fn ours(frame: &[u8]) -> Option<Seen> {
    let headers = parse(LinkType::ETHERNET, frame, frame.len() as u32);
    let network = headers.network?;
    let octets = |bits: u128| match network.version {
        IpVersion::V4 => (bits as u32).to_be_bytes().to_vec(),
        IpVersion::V6 => bits.to_be_bytes().to_vec(),
    };
    let mut seen = Seen {
        src: octets(network.src_bits),
        dst: octets(network.dst_bits),
        octets: network.octets,
        ttl: network.ttl,
        protocol: network.protocol,
        ports: headers.ports,
        ..Seen::default()
    };
    match headers.transport {
        Transport::Tcp(tcp) => {
            let flags = tcp.flags.0 & 0x01ff;
            seen.tcp = Some((
                tcp.sequence,
                tcp.acknowledgment,
                flags,
                tcp.window?,
                tcp.options.to_vec(),
            ));
        }
        Transport::Icmp { kind, code } => seen.icmp = Some((kind, code)),
        _ => {}
    }
    Some(seen)
}

/// Sound frames of several kinds, built by etherparse.
fn frames() -> Vec<Vec<u8>> {
    use etherparse::PacketBuilder;
    let payload = *b"some payload of 32 octets, so ..";
    let built = |build: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        build(&mut frame);
        frame
    };
    let (v4, v6) = (([192, 0, 2, 1], [198, 51, 100, 2]), ([0x20; 16], [0x30; 16]));
    let link = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    vec![
        built(&|out| link().ipv4(v4.0, v4.1, 20).udp(1024, 53).write(out, &payload).unwrap()),
        built(&|out| link().ipv6(v6.0, v6.1, 30).udp(1024, 53).write(out, &payload).unwrap()),
        built(&|out| {
            let step = link().ipv4(v4.0, v4.1, 64).tcp(40000, 443, 7, 1024).syn().ece();
            let step = step
                .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
                .unwrap();
            step.write(out, &[]).unwrap();
        }),
        built(&|out| {
            link()
                .ipv6(v6.0, v6.1, 64)
                .tcp(40000, 443, 7, 1024)
                .ack(9)
                .psh()
                .write(out, &payload)
                .unwrap()
        }),
        built(&|out| {
            let vlan = link().double_vlan(5.try_into().unwrap(), 6.try_into().unwrap());
            vlan.ipv4(v4.0, v4.1, 3)
                .icmpv4_echo_request(1, 2)
                .write(out, &payload)
                .unwrap();
        }),
        built(&|out| {
            link()
                .ipv6(v6.0, v6.1, 64)
                .icmpv6_echo_reply(1, 2)
                .write(out, &payload)
                .unwrap()
        }),
    ]
}

/// An UDP datagram behind these IPv6 extension headers.
fn behind_extensions(kinds: &[u8]) -> Vec<u8> {
    let mut above = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let next = kinds.get(at + 1).copied().unwrap_or(17);
        above.extend(match kind {
            44 => vec![next, 0, 0, 0, 0, 0, 0, 9],
            51 => vec![next, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],
            _ => vec![next, 0, 1, 4, 0, 0, 0, 0],
        });
    }
    above.extend([4, 0, 0, 53, 0, 10, 0, 0, 1, 2]);
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0];
    frame.extend((above.len() as u16).to_be_bytes());
    frame.extend([*kinds.first().unwrap_or(&17), 64]);
    frame.extend([0x20; 16]);
    frame.extend([0x30; 16]);
    frame.extend(above);
    frame
}

/// Whether the two may differ by design: fragments, whose first one we read on; lengths of 0, which we complete;
/// ICMP of the other IP version, which means nothing.
fn differs_by_design(headers: &Headers<'_>, frame: &[u8]) -> bool {
    let Some(network) = headers.network else { return false };
    let states_no_length = match network.version {
        IpVersion::V4 => frame.windows(4).any(|bytes| bytes[0] >> 4 == 4 && bytes[2..] == [0, 0]),
        IpVersion::V6 => network.octets == 40,
    };
    let foreign_icmp = match network.version {
        IpVersion::V4 => network.protocol == protocol::ICMP6,
        IpVersion::V6 => network.protocol == protocol::ICMP,
    };
    network.fragment != Fragment::Whole || states_no_length || foreign_icmp
}

/// Compares; false when etherparse does not follow the packet to its end.
fn agree(frame: &[u8]) -> Result<bool, TestCaseError> {
    let headers = parse(LinkType::ETHERNET, frame, frame.len() as u32);
    match theirs(frame) {
        Some(theirs) if !differs_by_design(&headers, frame) => {
            prop_assert_eq!(ours(frame), Some(theirs), "{:02x?}", frame);
            // It does not look at the length of a UDP datagram.
            let sound = matches!(headers.fault, None | Some(Fault::TransportLength));
            prop_assert!(sound, "{:?} {:02x?}", headers.fault, frame);
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[test]
fn agrees_on_sound_frames() {
    let extended = [&[0][..], &[60], &[0, 43], &[0, 60, 43, 44, 51], &[51]];
    let frames = frames()
        .into_iter()
        .chain(extended.iter().map(|kinds| behind_extensions(kinds)));
    for frame in frames {
        assert!(agree(&frame).unwrap(), "not compared: {frame:02x?}");
    }
}

/// What holds for any octets whatever.
fn consistent(frame: &[u8], headers: &Headers<'_>) -> Result<(), TestCaseError> {
    let (start, end) = (frame.as_ptr() as usize, frame.as_ptr() as usize + frame.len());
    let payload = headers.payload.as_ptr() as usize;
    prop_assert!(headers.payload.is_empty() || (payload >= start && payload + headers.payload.len() <= end));
    prop_assert_eq!(
        headers.network.is_none(),
        headers.fault.is_some_and(Fault::costs_packet)
    );
    let Some(network) = headers.network else {
        prop_assert_eq!(headers.tunnel, None);
        return Ok(());
    };
    let header_octets = u32::from(network.header_octets);
    prop_assert!(
        header_octets + headers.payload_octets <= network.octets,
        "{:?}",
        headers
    );
    prop_assert!(
        headers.payload.len() <= headers.payload_octets as usize,
        "{:?}",
        headers
    );
    prop_assert!(
        headers
            .tunnel
            .is_none_or(|tunnel| usize::from(tunnel.depth) <= limits::MAX_TUNNELS)
    );
    Ok(())
}

/// Beginnings of what tunnels carry.
fn heads() -> Vec<Vec<u8>> {
    let frame = |kind: [u8; 2]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind].concat();
    let packet = |protocol: u8| vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    vec![
        vec![0x08, 0, 0, 0, 0, 0, 7, 0],
        vec![0x0c, 0, 0, 3, 0, 0, 7, 0],
        vec![0x01, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4],
        vec![0x30, 0xff, 0, 60, 0, 0, 0, 9],
        vec![0x36, 0xff, 0, 60, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 0, 0],
        vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![0x02, 0x02, 0, 1, 0, 2, 0, 0, 0xff, 0x03, 0, 0x21],
        vec![0, 0, 0x08, 0],
        vec![0x30, 0, 0x65, 0x58, 0, 0, 0, 7, 0, 0, 0, 1],
        vec![0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 1, 0, 0, 0, 0],
        vec![0x30, 0x81, 0x88, 0x0b, 0, 60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        vec![0x30, 0],
        vec![0, 1, 0x11, 64],
        frame([0x08, 0]),
        frame([0x86, 0xdd]),
        frame([0x81, 0]),
        frame([0x88, 0xe7]),
        frame([0x89, 0x4f]),
        packet(4),
        packet(17),
        packet(47),
        packet(41),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Sound frames with some bits of their headers turned and, now and then, their end cut off.
    #[test]
    fn agrees_on_damaged_frames(
        which in 0usize..12,
        damage in prop::collection::vec((12usize..70, 0u8..8), 0..3),
        cut in 0usize..400,
    ) {
        let mut frame = match which {
            0..=5 => frames().swap_remove(which),
            6 => behind_extensions(&[0]),
            7 => behind_extensions(&[0, 43, 60]),
            8 => behind_extensions(&[44]),
            9 => behind_extensions(&[51, 60]),
            10 => behind_extensions(&[60, 60]),
            _ => behind_extensions(&[]),
        };
        for (at, bit) in damage {
            if let Some(octet) = frame.get_mut(at) {
                *octet ^= 1 << bit;
            }
        }
        frame.truncate(frame.len() - cut.saturating_sub(350));
        agree(&frame)?;
    }

    /// Any octets over any link type: no panic, and what is handed out lies within the frame.
    #[test]
    fn never_panics(link_type in 0u16..300, frame in prop::collection::vec(any::<u8>(), 0..200), wire in any::<u32>()) {
        consistent(&frame, &parse(LinkType(link_type), &frame, wire))?;
    }

    /// Octets on the ports and protocols of tunnels, with beginnings that get further.
    #[test]
    fn never_panics_in_tunnels(
        port in prop::sample::select(vec![1701u16, 2152, 3544, 4341, 4789, 4790, 5072, 5247, 6081, 6635, 8472]),
        protocol in prop::sample::select(vec![17u8, 17, 17, 17, 4, 41, 47, 97, 137, 143]),
        heads in prop::collection::vec(prop::sample::select(heads()), 0..6),
        rest in prop::collection::vec(prop_oneof![Just(0u8), Just(0x45), Just(0x60), any::<u8>()], 0..80),
    ) {
        let inside = [heads.concat(), rest].concat();
        let above = match protocol {
            17 => {
                let length = (inside.len() + 8) as u16;
                [&[0xc0, 0][..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], &inside].concat()
            }
            _ => inside,
        };
        let total = (above.len() + 20) as u16;
        let mut packet = vec![0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend(above);
        let mut headers = parse(LinkType::RAW, &packet, u32::from(total));
        consistent(&packet, &headers)?;
        prop_assert!(headers.network.is_some(), "a sound packet around stays whatever is inside");
        headers.read_outer(LinkType::RAW, &packet, u32::from(total));
        prop_assert_eq!(headers.network.map(|network| network.octets), Some(u32::from(total)));
    }

    /// Octets that begin like a packet get further.
    #[test]
    fn never_panics_inside(
        link in prop::sample::select(vec![LinkType::RAW, LinkType::IPV6, LinkType::LOOP, LinkType::ETHERNET]),
        head in prop::sample::select(vec![vec![0x45u8, 0, 0, 60], vec![0x60, 0, 0, 0, 0, 40, 0, 64], vec![0, 0, 0, 2, 0x4f]]),
        rest in prop::collection::vec(prop_oneof![Just(0u8), Just(60), Just(44), Just(0xff), any::<u8>()], 0..160),
    ) {
        let frame = [head, rest].concat();
        let headers = parse(link, &frame, frame.len() as u32);
        consistent(&frame, &headers)?;
        let again = parse(link, &frame, frame.len() as u32);
        prop_assert_eq!(headers.fault, again.fault);
    }
}
