//! Frames built by hand from the RFCs' pictures, one for each way of wrapping and each fault.

use std::net::IpAddr;

use super::*;

/// An IPv4 header without options, then the payload; the length is what it should be.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut packet = vec![
        0x45,
        0x2e,
        (total >> 8) as u8,
        total as u8,
        0x12,
        0x34,
        0x40,
        0,
        63,
        protocol,
        0,
        0,
    ];
    packet.extend([192, 0, 2, 1, 198, 51, 100, 7]);
    packet.extend(payload);
    packet
}

/// An IPv6 header with traffic class 0x2e and flow label 0x12345, then the payload.
pub(super) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut packet = vec![
        0x62,
        0xe1,
        0x23,
        0x45,
        (length >> 8) as u8,
        length as u8,
        next_header,
        61,
    ];
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend(payload);
    packet
}

pub(super) fn udp(payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut datagram = vec![0x30, 0x39, 0, 53, (length >> 8) as u8, length as u8, 0, 0];
    datagram.extend(payload);
    datagram
}

/// SYN with a maximum segment size option and two octets of payload.
pub(super) fn tcp() -> Vec<u8> {
    let mut segment = vec![
        0xc0, 0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, 0x02, 0x20, 0x01, 0, 0, 0, 0,
    ];
    segment.extend([2, 4, 5, 0xb4, b'h', b'i']);
    segment
}

pub(super) fn ethernet(types: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for half in types {
        frame.extend(half.to_be_bytes());
    }
    frame.extend(packet);
    frame
}

pub(super) fn parsed(link_type: LinkType, frame: &[u8]) -> Headers<'_> {
    parse(link_type, frame, frame.len() as u32)
}

/// Everything about the network and transport in one line.
pub(super) fn shown(headers: &Headers<'_>) -> String {
    let Some(network) = headers.network else {
        return format!("{:?}", headers.fault);
    };
    let ports = headers.ports;
    let fault = headers.fault.map_or(String::new(), |fault| format!(" !{fault}"));
    let transport = match headers.transport {
        Transport::None => "none".into(),
        Transport::Tcp(tcp) => format!("tcp {:#x}", tcp.flags.0),
        Transport::Icmp { kind, code } => format!("icmp {kind}/{code}"),
        other => format!("{other:?}").to_lowercase(),
    };
    format!(
        "{} > {} protocol {} octets {} {transport} {}:{} payload {}/{}{fault}",
        network.src(),
        network.dst(),
        network.protocol,
        network.octets,
        ports[0],
        ports[1],
        headers.payload.len(),
        headers.payload_octets
    )
}

const UDP_V4: &str = "192.0.2.1 > 198.51.100.7 protocol 17 octets 33 udp 12345:53 payload 5/5";
const UDP_V6: &str = "2001:db8::1 > 2001:db8::2 protocol 17 octets 53 udp 12345:53 payload 5/5";

#[test]
fn reads_tcp_over_ipv4_over_ethernet() {
    let frame = ethernet(&[0x0800], &ipv4(6, &tcp()));
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!(
        shown(&headers),
        "192.0.2.1 > 198.51.100.7 protocol 6 octets 46 tcp 0x2 49152:80 payload 2/2"
    );
    assert_eq!(headers.link.src_mac, Some(&[2, 0, 0, 0, 0, 2]));
    assert_eq!(headers.link.dst_mac, Some(&[2, 0, 0, 0, 0, 1]));
    let network = headers.network.unwrap();
    assert_eq!((network.tos, network.ttl, network.header_octets), (0x2e, 63, 20));
    assert_eq!((network.fragment, network.fragment_id), (Fragment::Whole, 0x1234));
    let Transport::Tcp(tcp) = headers.transport else {
        panic!("{:?}", headers.transport)
    };
    assert_eq!(
        (tcp.sequence, tcp.acknowledgment, tcp.window),
        (0x0102_0304, 0x0506_0708, Some(0x2001))
    );
    assert_eq!(tcp.options, [2, 4, 5, 0xb4]);
    assert_eq!(headers.payload, b"hi");
}

#[test]
fn reads_ipv6() {
    let frame = ethernet(&[0x86dd], &ipv6(17, &udp(b"hello")));
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!(shown(&headers), UDP_V6);
    let network = headers.network.unwrap();
    assert_eq!((network.tos, network.ttl, network.flow_label), (0x2e, 61, 0x12345));
    assert_eq!(network.src(), "2001:db8::1".parse::<IpAddr>().unwrap());
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    let (v4, v6) = (ipv4(17, &udp(b"hello")), ipv6(17, &udp(b"hello")));
    let with = |head: &[u8], packet: &[u8]| [head, packet].concat();
    let cooked_1 = |kind: u16| [&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0][..], &kind.to_be_bytes()].concat();
    let cooked_2 = |kind: u16| {
        [
            &kind.to_be_bytes()[..],
            &[0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 9, 0, 0],
        ]
        .concat()
    };
    let cases: Vec<(LinkType, Vec<u8>, &str)> = vec![
        (LinkType::RAW, v4.clone(), UDP_V4),
        (LinkType::RAW_12, v6.clone(), UDP_V6),
        (LinkType::RAW_14, v4.clone(), UDP_V4),
        (LinkType::IPV4, v4.clone(), UDP_V4),
        (LinkType::IPV6, v6.clone(), UDP_V6),
        (LinkType::NULL, with(&[2, 0, 0, 0], &v4), UDP_V4),
        (LinkType::NULL, with(&[0, 0, 0, 30], &v6), UDP_V6),
        (LinkType::NULL, with(&[24, 0, 0, 0], &v6), UDP_V6),
        (LinkType::LOOP, with(&[0, 0, 0, 2], &v4), UDP_V4),
        (LinkType::PPP, with(&[0xff, 0x03, 0x00, 0x21], &v4), UDP_V4),
        (LinkType::PPP, with(&[0x21], &v4), UDP_V4),
        (LinkType::PPP_HDLC, with(&[0xff, 0x03, 0x00, 0x57], &v6), UDP_V6),
        (LinkType::C_HDLC, with(&[0x0f, 0, 0x08, 0x00], &v4), UDP_V4),
        (LinkType::PPP_ETHER, with(&[0x11, 0, 0, 7, 0, 35, 0, 0x21], &v4), UDP_V4),
        (LinkType::LINUX_SLL, with(&cooked_1(0x0800), &v4), UDP_V4),
        (LinkType::LINUX_SLL, with(&cooked_1(0x86dd), &v6), UDP_V6),
        (LinkType::LINUX_SLL2, with(&cooked_2(0x0800), &v4), UDP_V4),
        (LinkType::LINUX_SLL2, with(&cooked_2(0x86dd), &v6), UDP_V6),
    ];
    for (link_type, frame, expected) in &cases {
        assert_eq!(shown(&parsed(*link_type, frame)), *expected, "{link_type:?}");
    }
    let sll = with(&cooked_2(0x0800), &v4);
    let link = parsed(LinkType::LINUX_SLL2, &sll).link;
    assert_eq!((link.src_mac, link.interface), (Some(&[2, 0, 0, 0, 0, 9]), Some(3)));
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &v4].concat();
    assert_eq!(
        shown(&parsed(LinkType::ETHERNET, &ethernet(&[snap.len() as u16], &snap))),
        UDP_V4
    );
}

#[test]
fn rarer_links_lead_to_the_same_packet() {
    let (v4, v6) = (ipv4(17, &udp(b"hello")), ipv6(17, &udp(b"hello")));
    let snap = |packet: &[u8]| {
        let kind: [u8; 2] = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
        [&[0xaa, 0xaa, 3, 0, 0, 0][..], &kind, packet].concat()
    };
    let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let mut routed = macs;
    routed[6] |= 0x80;
    let air =
        |control: [u8; 2], more: &[u8]| [&control[..], &[0; 2], &macs, &[2, 0, 0, 0, 0, 3, 0x10, 0], more].concat();
    let radiotap = |fields: &[u8], frame: &[u8]| [&[0, 0, fields.len() as u8 + 4, 0][..], fields, frame].concat();
    let plain = air([0x08, 0x01], &snap(&v4));
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &plain].concat();
    let cases: Vec<(LinkType, Vec<u8>, &str)> = vec![
        (LinkType::SLIP, [&[0; 16], &v4[..]].concat(), UDP_V4),
        (LinkType::FDDI, [&[0x57][..], &macs, &snap(&v6)].concat(), UDP_V6),
        (
            LinkType::TOKEN_RING,
            [&[0x10, 0x40][..], &macs, &snap(&v4)].concat(),
            UDP_V4,
        ),
        (
            LinkType::TOKEN_RING,
            [&[0x10, 0x40][..], &routed, &[0x06, 0x10, 1, 2, 3, 4], &snap(&v4)].concat(),
            UDP_V4,
        ),
        (LinkType::ATM_LLC, snap(&v4), UDP_V4),
        (
            LinkType::ATM_LLC,
            [
                &[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0][..],
                &ethernet(&[0x0800], &v4),
            ]
            .concat(),
            UDP_V4,
        ),
        (
            LinkType::FRAME_RELAY,
            [&[0x18, 0x41, 3, 0xcc][..], &v4].concat(),
            UDP_V4,
        ),
        (LinkType::FRAME_RELAY, [&[0x18, 0x41, 8, 0][..], &v4].concat(), UDP_V4),
        (
            LinkType::FRAME_RELAY,
            [&[0x18, 0x40, 0x40, 0x05, 3, 0, 0x80, 0, 0, 0, 0x86, 0xdd][..], &v6].concat(),
            UDP_V6,
        ),
        (
            LinkType::PPP,
            [&[0xff, 3, 0x02, 0x81, 0, 1, 0x11, 64][..], &v4].concat(),
            UDP_V4,
        ),
        (LinkType::NULL, [&[0x0f, 0, 8, 0][..], &v4].concat(), UDP_V4),
        (LinkType::IPNET, [&[1; 24], &v6[..]].concat(), UDP_V6),
        (
            LinkType::IP_OVER_INFINIBAND,
            [&[0; 40][..], &[8, 0, 0, 0], &v4].concat(),
            UDP_V4,
        ),
        (
            LinkType::NFLOG,
            [
                &[
                    2, 0, 0, 42, 8, 0, 1, 0, 0, 0, 3, 0, 5, 0, 10, 0, 0, 0, 0, 0, 37, 0, 9, 0,
                ][..],
                &v4,
            ]
            .concat(),
            UDP_V4,
        ),
        (
            LinkType::NFLOG,
            [&[10, 0, 0, 42, 0, 8, 0, 1, 0, 0, 3, 0, 0, 57, 0, 9][..], &v6].concat(),
            UDP_V6,
        ),
        (LinkType::IEEE802_11, plain.clone(), UDP_V4),
        (LinkType::IEEE802_11, air([0x08, 0x02], &snap(&v6)), UDP_V6),
        // Four addresses, QoS, HT control.
        (
            LinkType::IEEE802_11,
            air(
                [0x88, 0x83],
                &[&[2, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0][..], &snap(&v4)].concat(),
            ),
            UDP_V4,
        ),
        (LinkType::IEEE802_11_RADIOTAP, radiotap(&[0; 4], &plain), UDP_V4),
        // Timestamp and flags, the latter saying that the header of 26 octets was padded; two more words of present bits.
        (
            LinkType::IEEE802_11_RADIOTAP,
            radiotap(
                &[3, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0x20],
                &air([0x88, 0x01], &[&[0; 4][..], &snap(&v4)].concat()),
            ),
            UDP_V4,
        ),
        (LinkType::IEEE802_11_AVS, avs.clone(), UDP_V4),
        (LinkType::IEEE802_11_PRISM, avs, UDP_V4),
        (LinkType::IEEE802_11_PRISM, [&[0; 144][..], &plain].concat(), UDP_V4),
        (
            LinkType::PPI,
            [&[0, 0, 12, 0, 105, 0, 0, 0, 1, 2, 3, 4][..], &plain].concat(),
            UDP_V4,
        ),
    ];
    for (link_type, frame, expected) in &cases {
        assert_eq!(
            shown(&parsed(*link_type, frame)),
            *expected,
            "{link_type:?} {frame:02x?}"
        );
        for length in 0..frame.len() {
            let cut = parse(*link_type, &frame[..length], frame.len() as u32);
            assert_eq!(cut.network.is_none(), cut.fault.is_some_and(Fault::costs_packet));
        }
    }
    let link = parsed(LinkType::IEEE802_11, &plain).link;
    assert_eq!(
        link.dst_mac,
        Some(&[2, 0, 0, 0, 0, 3]),
        "to the distribution system: the third address"
    );
    assert_eq!(link.src_mac, Some(&[2, 0, 0, 0, 0, 2]));
    let nothing = [
        (LinkType::PPI, vec![0, 0, 8, 0, 192, 0, 0, 0], Fault::UnknownLinkType),
        // A beacon, a null function, an encrypted frame, an aggregate, a later fragment.
        (LinkType::IEEE802_11, air([0x80, 0], &snap(&v4)), Fault::NotIp),
        (LinkType::IEEE802_11, air([0x48, 1], &snap(&v4)), Fault::NotIp),
        (LinkType::IEEE802_11, air([0x08, 0x41], &snap(&v4)), Fault::NotIp),
        (
            LinkType::IEEE802_11,
            air([0x88, 0x01], &[&[0x80, 0][..], &snap(&v4)].concat()),
            Fault::NotIp,
        ),
        (LinkType::FDDI, vec![0x41; 60], Fault::NotIp),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 8], Fault::NotIp),
        (LinkType::NFLOG, vec![2, 0, 0, 0, 3, 0, 9, 0], Fault::NotIp),
        (
            LinkType::NFLOG,
            [&[2, 0, 0, 0][..], &[4, 0, 1, 0].repeat(40)].concat(),
            Fault::NotIp,
        ),
    ];
    for (link_type, frame, fault) in &nothing {
        assert_eq!(
            parsed(*link_type, frame).fault,
            Some(*fault),
            "{link_type:?} {frame:02x?}"
        );
    }
}

#[test]
fn reads_frames_in_frames() {
    let v4 = ipv4(17, &udp(b"hello"));
    let inside = ethernet(&[0x8100, 33, 0x0800], &v4);
    let read = |types: &[u16], parts: &[&[u8]]| {
        let frame = ethernet(types, &parts.concat());
        let headers = parsed(LinkType::ETHERNET, &frame);
        assert_eq!(shown(&headers), UDP_V4, "{types:x?}");
        assert_eq!(headers.tunnel, None, "nothing around it is a packet");
        (headers.link.vlan, headers.link.mpls_labels)
    };
    assert_eq!(read(&[0x88a8, 7, 0x88e7], &[&[0, 0, 1, 2], &inside]), ([33, 0], 0));
    assert_eq!(read(&[0x8903], &[&[0, 1], &inside]), ([33, 0], 0));
    assert_eq!(read(&[0x8926], &[&[0, 1, 2, 3, 0x81, 0, 0, 9, 8, 0], &v4]), ([9, 0], 0));
    assert_eq!(read(&[0x892f], &[&[0, 1, 2, 3, 8, 0], &v4]), ([0, 0], 0));
    assert_eq!(read(&[0x8909], &[&[1, 1, 0, 1, 0, 2, 8, 0], &v4]), ([0, 0], 0));
    assert_eq!(read(&[0x894f], &[&[0, 2, 1, 3, 0, 0, 1, 255], &inside]), ([33, 0], 0));
    // 802.1AE, authenticated only: without and with the channel.
    assert_eq!(read(&[0x88e5], &[&[0, 0, 0, 0, 0, 1, 8, 0], &v4]), ([0, 0], 0));
    let channel = [0x20, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 0];
    assert_eq!(read(&[0x88e5], &[&channel, &v4]), ([0, 0], 0));
    // Pseudowires (RFC 4448): with a control word, and without.
    let labels = [0, 1, 0x10, 64, 0, 2, 0x21, 64];
    assert_eq!(read(&[0x8847], &[&labels, &[0, 0, 0, 9], &inside]), ([33, 0], 2));
    assert_eq!(read(&[0x8847], &[&labels, &inside]), ([33, 0], 2));
    let mut like_ipv4 = inside.clone();
    like_ipv4[0] = 0x45;
    assert_eq!(read(&[0x8847], &[&labels, &like_ipv4]), ([33, 0], 2));

    let nothing = |types: &[u16], rest: &[u8]| parsed(LinkType::ETHERNET, &ethernet(types, rest)).fault;
    assert_eq!(nothing(&[0x88e5], &[0x0c; 60]), Some(Fault::NotIp), "encrypted");
    let associated = [&labels[..], &[0x10, 0, 0, 1], &inside].concat();
    assert_eq!(nothing(&[0x8847], &associated), Some(Fault::MplsPayload), "RFC 5586");
    let endless = [&[0, 0, 1, 2][..], &[2; 12], &[0x88, 0xe7]].concat().repeat(30);
    assert_eq!(nothing(&[0x88e7], &endless), Some(Fault::TagLimit));
}

#[test]
fn reads_who_asks_for_whom() {
    let message = [
        0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 192, 0, 2, 1, 2, 0, 0, 0, 0, 8, 192, 0, 2, 77,
    ];
    let frame = ethernet(&[0x8100, 5, 0x0806], &message);
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!((headers.fault, headers.link.vlan), (Some(Fault::Arp), [5, 0]));
    let arp = headers.arp.unwrap();
    assert_eq!((arp.operation, arp.sender_mac), (2, [2, 0, 0, 0, 0, 9]));
    assert_eq!(
        (arp.sender_ip.to_string(), arp.target_ip.to_string()),
        ("192.0.2.1".into(), "192.0.2.77".into())
    );
    let mut of_other_hardware = message;
    of_other_hardware[1] = 6;
    for message in [&message[..27], &of_other_hardware, &[]] {
        let frame = ethernet(&[0x0806], message);
        let headers = parsed(LinkType::ETHERNET, &frame);
        assert_eq!((headers.fault, headers.arp), (Some(Fault::Arp), None));
    }
    // What was read before is gone with the next frame.
    let packet = ethernet(&[0x0800], &ipv4(17, &udp(b"hello")));
    let mut reused = headers;
    reused.read(LinkType::ETHERNET, &packet, packet.len() as u32);
    assert_eq!((reused.arp, reused.fault), (None, None));
}

#[test]
fn reads_tags_labels_and_sessions_in_any_order() {
    let v4 = ipv4(17, &udp(b"hello"));
    let tagged = |types: &[u16]| {
        let frame = ethernet(types, &v4);
        let link = parsed(LinkType::ETHERNET, &frame).link;
        assert_eq!(shown(&parsed(LinkType::ETHERNET, &frame)), UDP_V4, "{types:x?}");
        (link.vlan, link.vlan_tags)
    };
    assert_eq!(
        tagged(&[0x8100, 0xe064, 0x0800]),
        ([100, 0], 1),
        "priority bits are no part of the id"
    );
    assert_eq!(tagged(&[0x88a8, 5, 0x8100, 6, 0x0800]), ([5, 6], 2));
    assert_eq!(tagged(&[0x9100, 7, 0x88a8, 8, 0x8100, 9, 0x0800]), ([7, 8], 3));
    assert_eq!(tagged(&[0x8100, 0, 0x0800]), ([0, 0], 1), "a priority tag");

    let labels = [&[0, 1, 0x10, 64, 0, 2, 0x21, 64][..], &v4].concat();
    let frame = ethernet(&[0x8847], &labels);
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!(shown(&headers), UDP_V4);
    assert_eq!(
        (headers.link.mpls, headers.link.mpls_labels),
        ([0x0001_1040, 0x0002_2140], 2)
    );

    let session = [&[0x11, 0, 0x0b, 0xb8, 0, 35, 0, 0x21][..], &v4, &[0xee; 9]].concat();
    let frame = ethernet(&[0x8100, 3, 0x8864], &session);
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!(shown(&headers), UDP_V4);
    assert_eq!((headers.link.pppoe_session, headers.link.vlan), (Some(3000), [3, 0]));
}

#[test]
fn link_padding_is_not_payload() {
    let mut frame = ethernet(&[0x0800], &ipv4(17, &udp(b"")));
    frame.resize(60, 0xaa);
    let headers = parsed(LinkType::ETHERNET, &frame);
    assert_eq!((headers.payload, headers.payload_octets), (&[][..], 0));
    assert_eq!(headers.network.unwrap().octets, 28);
}

#[test]
fn a_snap_length_takes_layers_away_but_changes_no_length() {
    let whole = ethernet(&[0x0800], &ipv4(6, &tcp()));
    let cut = |length: usize| shown(&parse(LinkType::ETHERNET, &whole[..length], whole.len() as u32));
    let line = |rest: &str| format!("192.0.2.1 > 198.51.100.7 protocol 6 octets 46 {rest}");
    assert_eq!(cut(13), "Some(LinkHeaderCut)");
    assert_eq!(cut(33), "Some(IpHeaderCut)");
    assert_eq!(cut(37), line("none 0:0 payload 0/6 !transport_cut"));
    assert_eq!(cut(40), line("none 49152:80 payload 0/6 !transport_cut"));
    assert_eq!(cut(48), line("tcp 0x2 49152:80 payload 0/2 !transport_cut"));
    assert_eq!(cut(54), line("tcp 0x2 49152:80 payload 0/2 !transport_cut"));
    assert_eq!(cut(59), line("tcp 0x2 49152:80 payload 1/2"));
}

#[test]
fn walks_extension_headers() {
    let chain = |headers: &[&[u8]]| [headers.concat(), udp(b"hello")].concat();
    let hop_by_hop = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let routing = |next: u8| {
        [
            next, 2, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]
    };
    let authentication = |next: u8| [next, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    let payload = chain(&[&hop_by_hop(43), &routing(51), &authentication(60), &hop_by_hop(17)]);
    let packet = ipv6(0, &payload);
    let headers = parsed(LinkType::RAW, &packet);
    assert_eq!(
        shown(&headers),
        "2001:db8::1 > 2001:db8::2 protocol 17 octets 105 udp 12345:53 payload 5/5"
    );
    let network = headers.network.unwrap();
    assert_eq!((network.extension_headers, network.header_octets), (4, 92));

    let packet = ipv4(51, &chain(&[&authentication(17)]));
    assert!(shown(&parsed(LinkType::RAW, &packet)).contains("protocol 17 octets 45 udp 12345:53"));

    let endless = ipv6(60, &hop_by_hop(60).repeat(20));
    let headers = parsed(LinkType::RAW, &endless);
    assert_eq!(headers.fault, Some(Fault::ExtensionLimit));
    assert_eq!(headers.network.unwrap().extension_headers, 16);
    let beyond = ipv6(60, &[17, 9, 0, 0, 0, 0, 0, 0]);
    assert_eq!(parsed(LinkType::RAW, &beyond).fault, Some(Fault::ExtensionLength));
    let cut = &ipv6(60, &chain(&[&hop_by_hop(17)]))[..44];
    assert_eq!(parse(LinkType::RAW, cut, 100).fault, Some(Fault::ExtensionCut));
    let nothing = ipv6(59, b"??");
    assert!(shown(&parsed(LinkType::RAW, &nothing)).contains("protocol 59 octets 42 none 0:0 payload 2/2"));
}

#[test]
fn only_first_fragments_have_ports() {
    let fragment = |offset_and_flags: u16| {
        let mut packet = ipv4(17, &udp(b"hello"));
        packet[6..8].copy_from_slice(&offset_and_flags.to_be_bytes());
        let headers = parsed(LinkType::RAW, &packet);
        (headers.network.unwrap().fragment, headers.ports, headers.fault)
    };
    assert_eq!(fragment(0x2000), (Fragment::First, [12345, 53], None));
    assert_eq!(fragment(0x2005), (Fragment::Later, [0, 0], None));
    assert_eq!(fragment(0x0005), (Fragment::Later, [0, 0], None));
    assert_eq!(fragment(0x4000), (Fragment::Whole, [12345, 53], None));

    let fragment_6 = |offset_and_flags: u16| {
        let [high, low] = offset_and_flags.to_be_bytes();
        let packet = ipv6(44, &[&[17, 0, high, low, 0, 0, 0, 9][..], &udp(b"hello")].concat());
        let headers = parsed(LinkType::RAW, &packet);
        let network = headers.network.unwrap();
        assert_eq!((network.protocol, network.fragment_id), (17, 9));
        (network.fragment, headers.ports)
    };
    assert_eq!(fragment_6(0x0001), (Fragment::First, [12345, 53]));
    assert_eq!(fragment_6(0x0008), (Fragment::Later, [0, 0]));
    assert_eq!(
        fragment_6(0x0000),
        (Fragment::Whole, [12345, 53]),
        "an atomic fragment (RFC 6946)"
    );
}

#[test]
fn reads_the_other_transports() {
    let transport = |protocol: u8, payload: &[u8]| {
        let packet = ipv4(protocol, payload);
        let line = shown(&parsed(LinkType::RAW, &packet));
        line.split_once("octets ").unwrap().1.to_owned()
    };
    assert_eq!(
        transport(132, &[0x0b, 0x59, 0x0b, 0x5a, 0, 0, 0, 1, 0, 0, 0, 0]),
        "32 sctp 2905:2906 payload 0/0"
    );
    assert_eq!(transport(136, &udp(b"x")), "29 udp 12345:53 payload 1/1");
    assert_eq!(
        transport(33, &[0, 1, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0]),
        "32 dccp 1:2 payload 0/0"
    );
    assert_eq!(transport(1, &[8, 0, 0, 0, 0, 1, 0, 2]), "28 icmp 8/0 0:0 payload 4/4");
    assert_eq!(transport(47, &[0, 0, 8, 0]), "24 none 0:0 payload 4/4");
    assert_eq!(
        transport(58, &[128, 0, 0, 0]),
        "24 none 0:0 payload 4/4",
        "ICMPv6 is nothing in IPv4"
    );
    assert!(shown(&parsed(LinkType::RAW, &ipv6(58, &[128, 0, 0, 0, 0, 1, 0, 2]))).contains("icmp 128/0"));
}

#[test]
fn large_segments_have_the_length_of_the_wire() {
    // The host's own capture of a segment that its network card will cut: total length 0.
    let mut packet = ipv4(6, &[tcp(), vec![0; 9000]].concat());
    packet[2..4].copy_from_slice(&[0, 0]);
    let frame = ethernet(&[0x0800], &packet);
    let headers = parse(LinkType::ETHERNET, &frame[..80], frame.len() as u32);
    let (octets, payload_octets) = (packet.len() as u32, packet.len() as u32 - 44);
    assert_eq!(
        (headers.network.unwrap().octets, headers.payload_octets),
        (octets, payload_octets)
    );
    // A jumbogram (RFC 2675): payload length 0, its true length in a hop-by-hop option.
    let jumbo = [&[6, 0, 0xc2, 4, 0, 1, 0, 8][..], &tcp()].concat();
    let mut packet = ipv6(0, &jumbo);
    packet[4..6].copy_from_slice(&[0, 0]);
    let headers = parse(LinkType::RAW, &packet, 65_544 + 40);
    assert_eq!(
        (headers.network.unwrap().octets, headers.payload_octets),
        (65_584, 65_544 - 8 - 24)
    );
    // Without the option and within what the field can hold, 0 means 0.
    let headers = parsed(LinkType::RAW, &packet);
    assert_eq!(headers.network.unwrap().octets, 65_584);
    let mut empty = ipv6(59, b"");
    empty.extend([0; 20]);
    assert_eq!(parsed(LinkType::RAW, &empty).network.unwrap().octets, 40);
}

#[test]
fn names_what_is_no_ip_packet() {
    let faults = [
        (LinkType(147), vec![0; 60], Fault::UnknownLinkType),
        (LinkType::ETHERNET, ethernet(&[0x0806], &[0; 28]), Fault::Arp),
        (LinkType::ETHERNET, ethernet(&[0x88cc], &[0; 28]), Fault::NotIp),
        (LinkType::ETHERNET, ethernet(&[0x8863], &[0; 28]), Fault::NotIp),
        (
            LinkType::ETHERNET,
            ethernet(&[38], &[0x42, 0x42, 3, 0, 0, 0, 0, 0]),
            Fault::Llc,
        ),
        (
            LinkType::ETHERNET,
            ethernet(&[0x8100, 1].repeat(9), &[0; 28]),
            Fault::TagLimit,
        ),
        (
            LinkType::ETHERNET,
            ethernet(&[0x8847], &[0, 1, 0, 64].repeat(17)),
            Fault::TagLimit,
        ),
        (
            LinkType::ETHERNET,
            ethernet(&[0x8847], &[0, 1, 1, 64, 0, 0, 0, 0]),
            Fault::MplsPayload,
        ),
        (
            LinkType::ETHERNET,
            ethernet(&[0x0800], &ipv6(17, &udp(b""))),
            Fault::IpVersion,
        ),
        (LinkType::ETHERNET, ethernet(&[0x0800], &[3; 46]), Fault::IpVersion),
        (LinkType::ETHERNET, ethernet(&[0x0800], &[]), Fault::IpHeaderCut),
        (LinkType::RAW, vec![0x44; 20], Fault::IpHeaderLength),
        (
            LinkType::RAW,
            [&[0x46, 0, 0, 20][..], &[0; 20]].concat(),
            Fault::IpHeaderLength,
        ),
        (LinkType::NULL, vec![7, 0, 0, 0, 0x45], Fault::NotIp),
        (LinkType::PPP, vec![0xff, 0x03, 0xc0, 0x21], Fault::NotIp),
    ];
    for (link_type, frame, fault) in &faults {
        let headers = parsed(*link_type, frame);
        assert_eq!(
            (headers.network, headers.fault),
            (None, Some(*fault)),
            "{link_type:?} {frame:x?}"
        );
        assert!(fault.costs_packet());
    }
}

#[test]
fn names_contradictions_above_and_keeps_what_is_sound() {
    let mut short = ipv4(17, &udp(b"hello"));
    short[24..26].copy_from_slice(&[0, 7]);
    let mut longer = ipv4(17, &udp(b"hello"));
    longer[2..4].copy_from_slice(&[0, 99]);
    let mut offset = ipv4(6, &tcp());
    offset[32] = 0x40;
    let cases = [
        (short, Fault::TransportLength, 33),
        (longer, Fault::IpLongerThanFrame, 99),
        (offset, Fault::TransportLength, 46),
        (ipv4(6, &tcp()[..10]), Fault::TransportLength, 30),
        (ipv4(1, &[8]), Fault::TransportLength, 21),
    ];
    for (packet, fault, octets) in &cases {
        let headers = parsed(LinkType::RAW, packet);
        assert_eq!(
            (headers.fault, headers.network.unwrap().octets),
            (Some(*fault), *octets),
            "{packet:x?}"
        );
        assert!(!fault.costs_packet());
    }
}

#[test]
fn fault_numbers_are_places_in_the_list() {
    for (number, fault) in Fault::ALL.iter().enumerate() {
        assert_eq!(*fault as usize, number, "{fault}");
    }
    let mut labels: Vec<&str> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Fault::ALL.len());
}
