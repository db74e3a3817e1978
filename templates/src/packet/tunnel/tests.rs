//! One packet for each way of wrapping, built by hand from the specifications' pictures, and what must stay closed.

use super::super::tests::{ethernet, ipv4, ipv6, parsed, shown, tcp, udp};
use super::super::{LinkType, parse};
use super::*;

const INNER_V4: &str = "192.0.2.1 > 198.51.100.7 protocol 6 octets 46 tcp 0x2 49152:80 payload 2/2";
const INNER_V6: &str = "2001:db8::1 > 2001:db8::2 protocol 6 octets 66 tcp 0x2 49152:80 payload 2/2";

/// An IPv4 header from 10.0.0.1 to 10.0.0.2 around a payload.
fn around(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(protocol, payload);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

fn datagram(ports: [u16; 2], parts: &[&[u8]]) -> Vec<u8> {
    let mut datagram = udp(&parts.concat());
    datagram[..2].copy_from_slice(&ports[0].to_be_bytes());
    datagram[2..4].copy_from_slice(&ports[1].to_be_bytes());
    around(17, &datagram)
}

fn v4() -> Vec<u8> {
    ipv4(6, &tcp())
}

fn v6() -> Vec<u8> {
    ipv6(6, &tcp())
}

fn frame() -> Vec<u8> {
    ethernet(&[0x8100, 33, 0x0800], &v4())
}

/// Kind, identifier, ends and depth in one line.
fn tunnel(headers: &Headers<'_>) -> String {
    headers.tunnel.map_or("none".into(), |tunnel| {
        let identifier = tunnel
            .identifier
            .map_or("-".into(), |identifier| identifier.to_string());
        format!(
            "{} {identifier} {} > {} depth {}",
            tunnel.kind,
            tunnel.src(),
            tunnel.dst(),
            tunnel.depth
        )
    })
}

/// A packet must open to the inner one in `kind identifier`.
fn opens(packet: &[u8], inner: &str, expected: &str) {
    let headers = parsed(LinkType::RAW, packet);
    assert_eq!(shown(&headers), inner, "{expected}");
    assert_eq!(tunnel(&headers), format!("{expected} 10.0.0.1 > 10.0.0.2 depth 1"));
    assert_eq!(
        headers.tunnel.unwrap().outer_octets as usize,
        packet.len(),
        "{expected}: octets of the packet around"
    );
    let mut closed = Headers::default();
    closed.read_outer(LinkType::RAW, packet, packet.len() as u32);
    assert_eq!(closed.tunnel, None);
    assert_eq!(closed.network.unwrap().octets as usize, packet.len());
    // Whatever a snap length takes away, there is one packet, and never one that is counted longer or shorter.
    for captured in 20..packet.len() {
        let cut = parse(LinkType::RAW, &packet[..captured], packet.len() as u32);
        let octets = cut.network.unwrap().octets;
        let expected_octets = match cut.tunnel {
            Some(_) => headers.network.unwrap().octets,
            None => packet.len() as u32,
        };
        assert_eq!(octets, expected_octets, "{expected} cut to {captured}");
    }
}

/// A packet must stay what it is.
fn stays_closed(packet: &[u8], fault: Option<Fault>) {
    let headers = parsed(LinkType::RAW, packet);
    let network = headers.network.unwrap();
    assert_eq!((headers.tunnel, headers.fault), (None, fault), "{packet:02x?}");
    assert_eq!(network.octets as usize, packet.len());
    assert_eq!(network.src().to_string(), "10.0.0.1");
}

#[test]
fn opens_packets_in_packets() {
    opens(&around(4, &v4()), INNER_V4, "IP-in-IP -");
    opens(&around(41, &v6()), INNER_V6, "IP-in-IP -");
    opens(&around(97, &[&[0x30, 0][..], &frame()].concat()), INNER_V4, "EtherIP -");
    opens(
        &around(137, &[&[0, 1, 0x11, 64][..], &v4()].concat()),
        INNER_V4,
        "MPLS -",
    );
    for (packet, inner) in [(ipv6(4, &v4()), INNER_V4), (ipv6(41, &v6()), INNER_V6)] {
        let headers = parsed(LinkType::RAW, &packet);
        assert_eq!(shown(&headers), inner);
        assert_eq!(tunnel(&headers), "IP-in-IP - 2001:db8::1 > 2001:db8::2 depth 1");
    }
}

#[test]
fn opens_segment_routing() {
    // RFC 8754 section 2: next header, length, type 4, segments left, last entry, flags, tag, one segment.
    let routing = |next: u8| [&[next, 2, 4, 0, 0, 0, 0, 0][..], &[0x20; 16]].concat();
    let cases = [
        (ipv6(43, &[routing(41), v6()].concat()), INNER_V6),
        (ipv6(43, &[routing(4), v4()].concat()), INNER_V4),
        (ipv6(43, &[routing(143), frame()].concat()), INNER_V4),
        (ipv6(143, &frame()), INNER_V4),
    ];
    for (packet, inner) in &cases {
        let headers = parsed(LinkType::RAW, packet);
        assert_eq!(shown(&headers), *inner);
        assert_eq!(tunnel(&headers), "SRv6 - 2001:db8::1 > 2001:db8::2 depth 1");
    }
    let plain = ipv6(43, &[routing(6), tcp()].concat());
    let headers = parsed(LinkType::RAW, &plain);
    let network = headers.network.unwrap();
    assert_eq!(
        network.routing.map(|routing| (routing.kind, routing.segments_left)),
        Some((4, 0))
    );
    assert_eq!((headers.tunnel, headers.ports), (None, [49152, 80]));
}

#[test]
fn opens_generic_routing_encapsulation() {
    let gre = |head: &[u8], payload: &[u8]| around(47, &[head, payload].concat());
    opens(&gre(&[0, 0, 8, 0], &v4()), INNER_V4, "GRE -");
    opens(&gre(&[0, 0, 0x86, 0xdd], &v6()), INNER_V6, "GRE -");
    opens(&gre(&[0x20, 0, 8, 0, 0, 1, 0, 7], &v4()), INNER_V4, "GRE 65543");
    // Checksum and its reserved half, key, sequence number.
    let all = [0xb0, 0, 0x65, 0x58, 9, 9, 0, 0, 0, 0, 0, 77, 0, 0, 0, 1];
    opens(&gre(&all, &frame()), INNER_V4, "GRE 77");
    opens(&gre(&[0, 0, 0x88, 0x47, 0, 1, 0x11, 64], &v4()), INNER_V4, "GRE -");
    opens(&gre(&[0, 0, 0x88, 0x3e, 1, 2, 3, 4], &v4()), INNER_V4, "GRE -");
    // PPTP: flags K and S, with A an acknowledgment; payload length and call.
    let length = v4().len() as u8 + 4;
    let ppp = [&[0xff, 0x03, 0, 0x21][..], &v4()].concat();
    let call = [0x30, 0x81, 0x88, 0x0b, 0, length, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2];
    opens(&gre(&call, &ppp), INNER_V4, "PPTP 5");
    opens(
        &gre(&[0x30, 0x01, 0x88, 0x0b, 0, length, 0, 5, 0, 0, 0, 1], &ppp),
        INNER_V4,
        "PPTP 5",
    );

    // A keepalive, an acknowledgment alone, a source route, a version that is none, CDP, an ARP message.
    stays_closed(&gre(&[0, 0, 0, 0], &[]), None);
    stays_closed(&gre(&[0, 0, 8, 0], &[]), None);
    stays_closed(&gre(&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 5, 0, 0, 0, 2], &[]), None);
    stays_closed(&gre(&[0x40, 0, 8, 0, 0, 0, 0, 0], &v4()), None);
    stays_closed(&gre(&[0, 2, 8, 0], &v4()), None);
    stays_closed(&gre(&[0, 0, 0x20, 0], &v4()), None);
    stays_closed(&gre(&[0, 0, 8, 6], &[0; 28]), None);
    // What announces a packet and holds none is broken.
    stays_closed(&gre(&[0, 0, 8, 0], &v6()), Some(Fault::TunnelInner));
    stays_closed(&gre(&[0, 0, 8, 0], &v4()[..19]), Some(Fault::TunnelInner));
    stays_closed(&around(4, &[0x43; 40]), Some(Fault::TunnelInner));
}

#[test]
fn opens_mirrored_frames() {
    let gre = |head: &[u8], payload: &[u8]| around(47, &[head, payload].concat());
    opens(&gre(&[0, 0, 0x88, 0xbe], &frame()), INNER_V4, "ERSPAN -");
    // Session 0x102 and, above it, the bit that says that the frame was cut.
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 33, 0x05, 0x02, 0, 0, 0, 0];
    opens(&gre(&second, &frame()), INNER_V4, "ERSPAN 258");
    let cut = gre(&second, &frame()[..42]);
    let headers = parsed(LinkType::RAW, &cut);
    assert_eq!(headers.network.unwrap().octets, 46, "the mirrored packet's own length");
    assert_ne!(headers.fault, Some(Fault::IpLongerThanFrame));
    let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 33, 0, 3, 1, 2, 3, 4, 0, 0, 0, 0];
    opens(&gre(&third, &frame()), INNER_V4, "ERSPAN 3");
    let with_more = [
        0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 33, 0, 3, 1, 2, 3, 4, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9,
    ];
    opens(&gre(&with_more, &frame()), INNER_V4, "ERSPAN 3");
    let packets = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 33, 0, 3, 1, 2, 3, 4, 0, 0, 8, 0];
    opens(&gre(&packets, &v4()), INNER_V4, "ERSPAN 3");
}

#[test]
fn opens_virtual_networks() {
    let vxlan = [8, 0, 0, 0, 0, 0x13, 0x88, 0];
    opens(&datagram([50_000, 4789], &[&vxlan, &frame()]), INNER_V4, "VXLAN 5000");
    opens(&datagram([50_000, 8472], &[&vxlan, &frame()]), INNER_V4, "VXLAN 5000");
    // RFC 7348 section 5: reserved bits are "ignored on receipt"; a group policy uses some.
    let policy = [0x88, 0x40, 0, 7, 0, 0x13, 0x88, 0xff];
    opens(&datagram([50_000, 4789], &[&policy, &frame()]), INNER_V4, "VXLAN 5000");
    let generic = |next: u8| [0x0c, 0, 0, next, 0, 0, 9, 0];
    let ports = [50_000, 4790];
    opens(&datagram(ports, &[&generic(1), &v4()]), INNER_V4, "VXLAN-GPE 9");
    opens(&datagram(ports, &[&generic(2), &v6()]), INNER_V6, "VXLAN-GPE 9");
    opens(&datagram(ports, &[&generic(3), &frame()]), INNER_V4, "VXLAN-GPE 9");
    // RFC 8300: length 2 words, metadata type 2, next protocol, path, index.
    let service = |next: u8| [0, 2, 2, next, 0, 0, 1, 255];
    opens(
        &datagram(ports, &[&generic(4), &service(1), &v4()]),
        INNER_V4,
        "VXLAN-GPE 9",
    );
    opens(
        &datagram(ports, &[&generic(4), &service(3), &frame()]),
        INNER_V4,
        "VXLAN-GPE 9",
    );
    let geneve = |kind: [u8; 2]| [1, 0x40, kind[0], kind[1], 0, 0, 7, 0, 0xff, 0xff, 1, 0];
    let ports = [50_000, 6081];
    opens(
        &datagram(ports, &[&geneve([0x65, 0x58]), &frame()]),
        INNER_V4,
        "GENEVE 7",
    );
    opens(&datagram(ports, &[&geneve([0x86, 0xdd]), &v6()]), INNER_V6, "GENEVE 7");

    let headers_of = |packet: &[u8]| parsed(LinkType::RAW, packet).link.vlan;
    assert_eq!(headers_of(&datagram([1, 4789], &[&vxlan, &frame()])), [33, 0]);

    // No I flag; no frame in it; ARP in it; a port that is none; a DNS query that merely came from such a port.
    stays_closed(&datagram([50_000, 4789], &[&[0; 8], &frame()]), None);
    stays_closed(&datagram([50_000, 4789], &[&vxlan, &[0x41; 60]]), None);
    let arp = ethernet(&[0x0806], &[0, 1, 8, 0, 6, 4, 0, 1]);
    stays_closed(&datagram([50_000, 4789], &[&vxlan, &arp]), None);
    stays_closed(&datagram([50_000, 4788], &[&vxlan, &frame()]), None);
    stays_closed(&datagram([4789, 53], &[&vxlan, &frame()]), None);
    stays_closed(&datagram([50_000, 6081], &[&[0x41, 0, 8, 0, 0, 0, 7, 0], &v4()]), None);
}

#[test]
fn the_frame_inside_gives_addresses_and_tags() {
    let vxlan = [8, 0, 0, 0, 0, 0x13, 0x88, 0];
    let mut inside = frame();
    inside[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x0b]);
    let packet = datagram([50_000, 4789], &[&vxlan, &inside]);
    let outside = ethernet(&[0x88a8, 100, 0x8100, 200, 0x0800], &packet);
    let headers = parsed(LinkType::ETHERNET, &outside);
    assert_eq!(shown(&headers), INNER_V4);
    assert_eq!((headers.link.vlan, headers.link.vlan_tags), ([33, 0], 1));
    assert_eq!(headers.link.src_mac, Some(&[2, 0, 0, 0, 0, 0x0b]));
    assert_eq!(headers.link.dst_mac, Some(&[2, 0, 0, 0, 0, 0x0a]));
    assert_eq!(headers.tunnel.unwrap().outer_vlan, [100, 200]);
    // A packet without a frame of its own keeps what is around it.
    let outside = ethernet(&[0x8100, 100, 0x0800], &around(4, &v4()));
    let headers = parsed(LinkType::ETHERNET, &outside);
    assert_eq!((headers.link.vlan, headers.link.vlan_tags), ([100, 0], 1));
    assert_eq!(headers.link.src_mac, Some(&[2, 0, 0, 0, 0, 2]));
}

#[test]
fn opens_what_only_looks_like_a_packet() {
    let length = v4().len() as u8;
    let gtp = [0x30, 0xff, 0, length, 0, 0, 1, 0];
    opens(&datagram([2152, 2152], &[&gtp, &v4()]), INNER_V4, "GTP-U 256");
    // Extension headers: a PDU session container of one word, then a long one of two.
    let length = v4().len() as u8 + 4 + 4 + 8;
    let extended = [
        0x34, 0xff, 0, length, 0, 0, 1, 0, 0, 0, 0, 0x85, 1, 0x10, 9, 0x83, 2, 0, 0, 0, 0, 0, 0, 0,
    ];
    opens(&datagram([2152, 2152], &[&extended, &v4()]), INNER_V4, "GTP-U 256");
    let teredo = [3797, 3544];
    opens(&datagram(teredo, &[&v6()]), INNER_V6, "Teredo -");
    let origin = [0, 0, 1, 2, 3, 4, 5, 6];
    let authentication = [0, 1, 1, 2, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    opens(
        &datagram(teredo, &[&authentication, &origin, &v6()]),
        INNER_V6,
        "Teredo -",
    );
    opens(&datagram([3544, 3797], &[&origin, &v6()]), INNER_V6, "Teredo -");
    // Flags L, S and O: length, tunnel 1, session 2, sequence numbers, an offset of 2.
    let l2tp = [0x4a, 2, 0, 80, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0xff, 0x03, 0, 0x21];
    opens(&datagram([1701, 1701], &[&l2tp, &v4()]), INNER_V4, "L2TP 65538");
    opens(
        &datagram([1701, 60_000], &[&[0, 2, 0, 1, 0, 2, 0x21], &v4()]),
        INNER_V4,
        "L2TP 65538",
    );
    opens(
        &datagram([50_000, 4341], &[&[0x08, 0, 0, 0, 0, 0, 5, 1], &v6()]),
        INNER_V6,
        "LISP 5",
    );
    opens(
        &datagram([50_000, 6635], &[&[0, 1, 0x11, 64], &v4()]),
        INNER_V4,
        "MPLS -",
    );
    let ayiya = [&[0x41, 0x52, 0x11, 41, 0, 0, 0, 0][..], &[1; 16], &[2; 20]].concat();
    opens(&datagram([50_000, 5072], &[&ayiya, &v6()]), INNER_V6, "AYIYA -");
    let capwap = |binding: u8| [0, 0x10, binding, 0, 0, 0, 0, 0];
    opens(&datagram([5247, 50_000], &[&capwap(2), &frame()]), INNER_V4, "CAPWAP -");
    let air = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    opens(
        &datagram([50_000, 5247], &[&capwap(3), &air, &v4()]),
        INNER_V4,
        "CAPWAP -",
    );
    let swapped = [&[0x01, 0x08, 0, 0][..], &[2; 18], &[0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    opens(
        &datagram([50_000, 5247], &[&capwap(3), &swapped, &v4()]),
        INNER_V4,
        "CAPWAP -",
    );

    // Signalling, versions that are none, what does not fit, an extension header of length 0 or without end.
    stays_closed(
        &datagram([2152, 2152], &[&[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0]]),
        None,
    );
    stays_closed(
        &datagram([2152, 2152], &[&[0x50, 0xff, 0, 46, 0, 0, 1, 0], &v4()]),
        None,
    );
    let mut longer = v4();
    longer[3] += 1;
    stays_closed(&datagram([2152, 2152], &[&gtp, &longer]), None);
    let none = [0x34, 0xff, 0, 60, 0, 0, 1, 0, 0, 0, 0, 0x85, 0, 0, 0, 0];
    stays_closed(&datagram([2152, 2152], &[&none, &v4()]), None);
    let endless = [
        &[0x34, 0xff, 0, 90, 0, 0, 1, 0, 0, 0, 0, 0x85][..],
        &[1, 0, 0, 0x85].repeat(20),
    ]
    .concat();
    stays_closed(&datagram([2152, 2152], &[&endless]), None);
    stays_closed(&datagram(teredo, &[&v4()]), None);
    stays_closed(
        &datagram([1701, 1701], &[&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]]),
        None,
    );
    stays_closed(
        &datagram([50_000, 5247], &[&[1, 0x10, 2, 0, 0, 0, 0, 0], &frame()]),
        None,
    );
}

#[test]
fn a_packet_cut_by_its_sender_is_believed_for_its_checksum() {
    let mut inside = v4();
    inside.truncate(40);
    let checksum = |packet: &mut Vec<u8>| {
        let sum: u32 = packet[..20]
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&folded.to_be_bytes());
    };
    let gtp = [0x30, 0xff, 0, 40, 0, 0, 1, 0];
    stays_closed(&datagram([2152, 2152], &[&gtp, &inside]), None);
    checksum(&mut inside);
    let packet = datagram([2152, 2152], &[&gtp, &inside]);
    let headers = parsed(LinkType::RAW, &packet);
    assert_eq!(tunnel(&headers), "GTP-U 256 10.0.0.1 > 10.0.0.2 depth 1");
    assert_eq!(
        (headers.network.unwrap().octets, headers.fault),
        (46, Some(Fault::IpLongerThanFrame))
    );
}

#[test]
fn the_first_fragment_around_is_opened_and_later_ones_are_not() {
    let whole = around(47, &[&[0, 0, 8, 0][..], &v4()].concat());
    let mut first = whole[..60].to_vec();
    first[2..4].copy_from_slice(&60u16.to_be_bytes());
    first[6..8].copy_from_slice(&[0x20, 0]);
    let headers = parsed(LinkType::RAW, &first);
    assert_eq!(
        shown(&headers),
        "192.0.2.1 > 198.51.100.7 protocol 6 octets 46 tcp 0x2 49152:80 payload 0/2",
        "its own length, and no fault: the rest is in the fragments behind"
    );
    assert_eq!(headers.tunnel.map(|tunnel| tunnel.outer_octets), Some(60));
    let mut later = around(47, &v4());
    later[6..8].copy_from_slice(&[0, 7]);
    let headers = parsed(LinkType::RAW, &later);
    assert_eq!((headers.tunnel, headers.fault), (None, None));
    assert_eq!(headers.network.unwrap().fragment, Fragment::Later);
}

#[test]
fn tunnels_in_tunnels_end_at_the_limit() {
    let mut packet = v4();
    for depth in 1..=MAX_TUNNELS {
        packet = around(4, &packet);
        let headers = parsed(LinkType::RAW, &packet);
        assert_eq!(shown(&headers), INNER_V4);
        assert_eq!(
            tunnel(&headers),
            format!("IP-in-IP - 10.0.0.1 > 10.0.0.2 depth {depth}")
        );
        assert_eq!(headers.tunnel.unwrap().outer_octets as usize, packet.len());
    }
    let packet = around(4, &packet);
    let headers = parsed(LinkType::RAW, &packet);
    assert_eq!(headers.fault, Some(Fault::TunnelLimit));
    assert_eq!(
        headers.tunnel.map(|tunnel| usize::from(tunnel.depth)),
        Some(MAX_TUNNELS)
    );
    assert_eq!(
        headers.network.unwrap().protocol,
        4,
        "what is beyond the limit is not opened"
    );

    // IPv6 in IPv4 in IPv6 ...: the nearest wrap is told.
    let mixed = ipv6(4, &around(41, &v6()));
    let headers = parsed(LinkType::RAW, &mixed);
    assert_eq!(shown(&headers), INNER_V6);
    assert_eq!(tunnel(&headers), "IP-in-IP - 10.0.0.1 > 10.0.0.2 depth 2");
}

#[test]
fn numbers_and_labels_are_those_of_the_code_list() {
    let registry = flowgauge_ie_registry::Registry::builtin();
    let element = registry.by_name("tunnelKind").unwrap();
    let codes = element.codes.unwrap();
    for kind in TunnelKind::ALL {
        assert_eq!(codes.label(kind as u64), Some(kind.as_str()));
    }
    assert_eq!(codes.entries.len(), TunnelKind::ALL.len());
}
