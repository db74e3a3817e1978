//! The packets of RFC 9001 and RFC 9369 appendix A, and handshakes in pieces, in any order, and hostile ones.

use std::collections::BTreeMap;

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use proptest::prelude::*;

use super::initial::{SCRATCH, Sender};
use super::keys::InitialKeys;
use super::packet::LongHeader;
use super::version::Version;
use super::*;
use crate::metering::application::tests::conversation::Flow;
use crate::metering::application::tls::octets::Octets;
use crate::metering::application::{ApplicationConfig, ApplicationCounters, Carrier, Fault, ProtocolSet};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

const V1: u32 = 1;
const V2: u32 = 0x6b33_43cf;
const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// The CRYPTO frame of the client, the same in both appendices.
const CLIENT_FRAME: &str = "060040f1010000ed0303ebf8fa56f129 39b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c000004130113 02010000c000000010000e00000b6578 616d706c652e636f6dff01000100000a
    00080006001d00170018001000070005 04616c706e0005000501000000000033 00260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce1 5d43e994ec74d748002b000302030400 0d0010000e0403050306030203080408
    050806002d00020101001c0002400100 3900320408ffffffffffffffff050480 00ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806 048000ffff";

/// The payload of the server, likewise.
const SERVER_FRAMES: &str = "02000000000600405a020000560303ee fce7f7b37ba1d1632e96677825ddf739
    88cfc79825df566dc5430b9a045a1200 130100002e00330024001d00209d3c94 0d89690b84d08a60993c144eca684d10
    81287c834d5311bcf32bb9da1a002b00 020304";

/// An appendix: version, headers as they are before protection, first and last octets of the client's packet, the
/// server's whole packet.
struct Appendix {
    version: u32,
    headers: [&'static str; 2],
    client: [&'static str; 2],
    server: &'static str,
}

const APPENDICES: [Appendix; 2] = [
    Appendix {
        version: V1,
        headers: [
            "c300000001088394c8f03e5157080000449e00000002",
            "c1000000010008f067a5502a4262b50040750001",
        ],
        client: [
            "c000000001088394c8f03e5157080000 449e7b9aec34d1b1c98dd7689fb8ec11",
            "e221af44860018ab0856972e194cd934",
        ],
        server: "cf000000010008f067a5502a4262b500 4075c0d95a482cd0991cd25b0aac406a
            5816b6394100f37a1c69797554780bb3 8cc5a99f5ede4cf73c3ec2493a1839b3 dbcba3f6ea46c5b7684df3548e7ddeb9
            c3bf9c73cc3f3bded74b562bfb19fb84 022f8ef4cdd93795d77d06edbb7aaf2f 58891850abbdca3d20398c276456cbc4
            2158407dd074ee",
    },
    Appendix {
        version: V2,
        headers: [
            "d36b3343cf088394c8f03e5157080000449e00000002",
            "d16b3343cf0008f067a5502a4262b50040750001",
        ],
        client: [
            "d76b3343cf088394c8f03e5157080000 449ea0c95e82ffe67b6abcdb4298b485",
            "a18b2faa745b6fe189cf772a9f84cbfc",
        ],
        server: "dc6b3343cf0008f067a5502a4262b500 4075d92faaf16f05d8a4398c47089698
            baeea26b91eb761d9b89237bbf872630 17915358230035f7fd3945d88965cf17 f9af6e16886c61bfc703106fbaf3cb4c
            fa52382dd16a393e42757507698075b2 c984c707f0a0812d8cd5a6881eaf21ce da98f4bd23f6fe1a3e2c43edd9ce7ca8
            4bed8521e2e140",
    },
];

/// Seals frames behind a header that ends in a packet number; the way back of [`initial::open`].
fn protect(version: u32, id: &[u8], sender: Sender, header: &[u8], frames: &[u8]) -> Vec<u8> {
    let keys = InitialKeys::derive(Version::of(version).unwrap(), id, sender);
    let number_length = usize::from(header[0] & 3) + 1;
    let number_at = header.len() - number_length;
    let number = header[number_at..]
        .iter()
        .fold(0, |number, octet| number << 8 | u64::from(*octet));
    let mut text = frames.to_vec();
    let tag = keys
        .sealing
        .encrypt_inout_detached(&keys.nonce(number).into(), header, InOutBuf::from(&mut text[..]))
        .unwrap();
    let mut packet = [header, &text, &tag[..]].concat();
    let sample = packet[number_at + 4..].first_chunk().unwrap();
    let mask = keys.header_mask(sample);
    packet[0] ^= mask[0] & 0x0f;
    for (octet, mask) in packet[number_at..header.len()].iter_mut().zip(&mask[1..]) {
        *octet ^= mask;
    }
    packet
}

/// The tag at the end of a packet covers all of it, so first and last octets are enough to know it whole.
#[test]
fn packets_of_the_appendices() {
    for appendix in &APPENDICES {
        let [client_header, server_header] = appendix.headers.map(hex);
        let mut frames = hex(CLIENT_FRAME);
        frames.resize(1162, 0);
        let client = protect(appendix.version, &ID, Sender::Client, &client_header, &frames);
        let [first, last] = appendix.client.map(hex);
        assert_eq!((&client[..32], &client[client.len() - 16..]), (&first[..], &last[..]));
        assert_eq!(client.len(), 1200);
        let server = hex(appendix.server);
        assert_eq!(
            protect(
                appendix.version,
                &ID,
                Sender::Server,
                &server_header,
                &hex(SERVER_FRAMES)
            ),
            server
        );

        let mut flow = quic();
        flow.say(0, 0, &client);
        flow.say(1, 0, &server);
        let known = values(&mut flow);
        assert_eq!(known["quicVersion"], appendix.version.to_string());
        assert_eq!(known["tlsServerName"], "example.com");
        assert_eq!(known["tlsApplicationProtocol"], "alpn");
        assert_eq!(
            (known["tlsVersion"].as_str(), known["tlsCipherSuite"].as_str()),
            ("772", "4865")
        );
        // `printf 1301,1302 | sha256sum`, and likewise of the extensions and signature algorithms of the frame.
        assert_eq!(known["tlsClientFingerprintJa4"], "q13d0211an_62ed6f6ca7ad_4d634acda6c0");
        assert!(!flow.place.wants(0) && !flow.place.wants(1));
        assert_eq!(faults(&flow.end()), []);
    }
}

/// RFC 9001 appendix A.1 and RFC 9369 appendix A.1; the masks of A.2.
#[test]
fn masks_of_the_appendices() {
    for (version, sample, mask) in [
        (V1, "d1b1c98dd7689fb8ec11d242b123dc9b", "437b9aec36"),
        (V2, "ffe67b6abcdb4298b485dd04de806071", "94a0c95e80"),
    ] {
        let keys = InitialKeys::derive(Version::of(version).unwrap(), &ID, Sender::Client);
        let sample: [u8; 16] = hex(sample).try_into().unwrap();
        assert_eq!(keys.header_mask(&sample).to_vec(), hex(mask));
    }
}

fn quic() -> Flow {
    Flow::new(ApplicationConfig::default(), Carrier::Udp, [49152, 443])
}

fn values(flow: &mut Flow) -> BTreeMap<String, String> {
    let (protocol, mut values) = flow.known().expect("nothing known");
    assert_eq!(protocol, "quic");
    values.retain(|_, value| !value.is_empty());
    values
}

fn faults(counters: &ApplicationCounters) -> Vec<(Fault, u64)> {
    let counts = counters.faults[usize::from(ProtocolSet::place("quic").unwrap())];
    let counts = Fault::ALL.into_iter().zip(counts);
    counts.filter(|(_, count)| *count > 0).collect()
}

fn varint(number: usize) -> [u8; 4] {
    (number as u32 | 0x8000_0000).to_be_bytes()
}

/// An Initial packet with frames of our own.
fn initial(version: u32, id: &[u8], sender: Sender, [destination, source]: [&[u8]; 2], frames: &[u8]) -> Vec<u8> {
    let kind = if version == V2 { 0xd0 } else { 0xc0 };
    let mut frames = frames.to_vec();
    frames.resize(frames.len().max(4), 0);
    let header = [
        &[kind | 1][..],
        &version.to_be_bytes(),
        &[destination.len() as u8],
        destination,
        &[source.len() as u8],
        source,
        &[0],
        &varint(2 + frames.len() + 16),
        &[0, 9],
    ]
    .concat();
    protect(version, id, sender, &header, &frames)
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    [&[6], &varint(offset)[..], &varint(data.len()), data].concat()
}

fn client_hello() -> Vec<u8> {
    hex(CLIENT_FRAME)[4..].to_vec()
}

fn server_hello() -> Vec<u8> {
    hex(SERVER_FRAMES)[9..].to_vec()
}

/// The server chooses an ID and asks to begin again; keys follow from its ID from then on (RFC 9001 section 5.2).
#[test]
fn a_retry_changes_the_keys() {
    let chosen = [0x55; 5];
    let retry = [&[0xf0, 0, 0, 0, 1, 0, 5], &chosen[..], b"token", &[0; 16]].concat();
    let mut flow = quic();
    flow.say(
        0,
        0,
        &initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &client_hello())),
    );
    flow.say(1, 0, &retry);
    flow.say(
        1,
        0,
        &initial(V1, &chosen, Sender::Server, [&[], &[7; 4]], &crypto(0, &server_hello())),
    );
    assert_eq!(values(&mut flow)["tlsCipherSuite"], "4865");
    assert_eq!(faults(&flow.end()), []);

    // The same when only part of the hello was there before: the client begins it anew.
    let mut flow = quic();
    let half = client_hello().len() / 2;
    flow.say(
        0,
        0,
        &initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &client_hello()[..half])),
    );
    flow.say(
        0,
        0,
        &initial(V1, &chosen, Sender::Client, [&chosen, &[]], &crypto(0, &client_hello())),
    );
    flow.say(
        1,
        0,
        &initial(V1, &chosen, Sender::Server, [&[], &[7; 4]], &crypto(0, &server_hello())),
    );
    assert_eq!(values(&mut flow)["tlsServerName"], "example.com");
    assert_eq!(values(&mut flow)["tlsCipherSuite"], "4865");
    assert_eq!(faults(&flow.end()), []);
}

/// Later packets of a client go to the ID that the server chose; their keys stay those of the first.
#[test]
fn later_packets_keep_the_first_keys() {
    let hello = client_hello();
    let mut flow = quic();
    flow.say(
        0,
        0,
        &initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &hello[..100])),
    );
    flow.say(
        1,
        0,
        &initial(V1, &ID, Sender::Server, [&[], &[7; 4]], &[2, 0, 0, 0, 0]),
    );
    flow.say(
        0,
        0,
        &initial(V1, &ID, Sender::Client, [&[7; 4], &[]], &crypto(100, &hello[100..])),
    );
    assert_eq!(values(&mut flow)["tlsServerName"], "example.com");
    assert_eq!(faults(&flow.end()), []);
}

/// RFC 9368: the server answers in version 2, with keys of version 2 from the same ID.
#[test]
fn the_server_may_choose_another_version() {
    let mut flow = quic();
    flow.say(
        0,
        0,
        &initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &client_hello())),
    );
    assert_eq!(values(&mut flow)["quicVersion"], "1");
    flow.say(
        1,
        0,
        &initial(V2, &ID, Sender::Server, [&[], &[7; 4]], &crypto(0, &server_hello())),
    );
    assert_eq!(values(&mut flow)["quicVersion"], V2.to_string());
    assert_eq!(values(&mut flow)["tlsCipherSuite"], "4865");
}

/// 0-RTT, Handshake and Initial packets share a datagram (RFC 9000 section 12.2).
#[test]
fn packets_that_share_a_datagram() {
    let other = |kind: u8| [&[kind, 0, 0, 0, 1, 8], &ID[..], &[0, 3, 1, 2, 3]].concat();
    let hello = client_hello();
    let first = initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(9, &hello[9..]));
    let second = initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &hello[..9]));
    let mut flow = quic();
    flow.say(
        0,
        0,
        &[other(0xd0), first, other(0xe0), second, vec![0x40; 30]].concat(),
    );
    assert_eq!(values(&mut flow)["tlsServerName"], "example.com");
    assert_eq!(faults(&flow.end()), []);
}

#[test]
fn what_does_not_open_is_given_up_and_counted() {
    let mut flow = quic();
    let forged = initial(V1, b"another", Sender::Client, [&ID, &[]], &crypto(0, &client_hello()));
    for sent in 1..=limits::MAX_SEALED_PACKETS {
        assert!(flow.place.wants(0), "after {sent}");
        flow.say(0, 0, &forged);
    }
    assert!(!flow.place.wants(0));
    let known = values(&mut flow);
    assert_eq!((known["quicVersion"].as_str(), known.get("tlsServerName")), ("1", None));
    assert_eq!(faults(&flow.end()), [(Fault::Sealed, 1)]);

    // Larger than any path lets through in one packet.
    let mut flow = quic();
    let large = initial(V1, &ID, Sender::Client, [&ID, &[]], &[0; limits::MAX_INITIAL_OCTETS]);
    flow.say(0, 0, &large);
    assert_eq!(faults(&flow.end()), [(Fault::TooLong, 1)]);

    // Captured in part.
    let mut flow = quic();
    let whole = initial(V1, &ID, Sender::Client, [&ID, &[]], &crypto(0, &client_hello()));
    flow.packet(0, 0, &whole[..200], whole.len());
    assert_eq!(values(&mut flow)["quicVersion"], "1");
    assert_eq!(faults(&flow.end()), [(Fault::Cut, 1)]);
}

#[test]
fn versions_before_tls_tell_their_number_and_unknown_ones_nothing() {
    let long = |version: u32| [&[0xc3][..], &version.to_be_bytes(), &[8], &ID, &[0], &[0; 40]].concat();
    let mut flow = quic();
    flow.say(0, 0, &long(u32::from_be_bytes(*b"Q046")));
    assert_eq!(
        values(&mut flow)["quicVersion"],
        u32::from_be_bytes(*b"Q046").to_string()
    );
    assert!(!flow.place.wants(0) && !flow.place.wants(1));
    for unknown in [0, 0x1a2a_3a4a, 0xff00_0001, 0x5130_3939] {
        let mut flow = quic();
        flow.say(0, 0, &long(unknown));
        assert_eq!(flow.known(), None, "{unknown:08x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// However the hello is cut into CRYPTO frames, in whatever order and in however many packets, some sent twice.
    #[test]
    fn any_parting_into_frames_and_packets(
        cuts in prop::collection::btree_set(1usize..240, 0..20),
        order in any::<u64>(),
        packets in 1usize..6,
        again in any::<prop::sample::Index>(),
    ) {
        let hello = client_hello();
        let mut edges: Vec<usize> = cuts.into_iter().collect();
        edges.insert(0, 0);
        edges.push(hello.len());
        let mut frames: Vec<Vec<u8>> = edges.windows(2).map(|edge| crypto(edge[0], &hello[edge[0]..edge[1]])).collect();
        frames.push(frames[again.index(frames.len())].clone());
        let mut state = order | 1;
        for at in (1..frames.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            frames.swap(at, (state % (at as u64 + 1)) as usize);
        }
        let mut flow = quic();
        for frames in frames.chunks(frames.len().div_ceil(packets)) {
            // PING and PADDING between.
            let frames = frames.join(&[1, 0, 0][..]);
            flow.say(0, 0, &initial(V1, &ID, Sender::Client, [&ID, &[]], &frames));
        }
        let known = values(&mut flow);
        prop_assert_eq!(&known["tlsServerName"], "example.com");
        prop_assert!(!flow.place.wants(0));
        prop_assert_eq!(flow.end().faults_total(), 0);
    }

    /// Any frames behind a sound seal, and any octets at all.
    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 4..300), first in 0xc0u8..=0xff, kind in 0u8..8) {
        let mut flow = quic();
        flow.say(0, 0, &initial(V1, &ID, Sender::Client, [&ID, &[]], &[&[kind][..], &octets].concat()));
        flow.say(0, 0, &[&[first, 0, 0, 0, 1][..], &octets].concat());
        flow.say(1, 0, &initial(V1, &ID, Sender::Server, [&[], &[]], &octets));
        prop_assert!(flow.end().faults_total() <= 2);
        let mut rest = Octets::new(&octets);
        if let Some(header) = LongHeader::read(&mut rest) {
            prop_assert!(header.destination.len() <= 20);
            let mut datagram = &octets[..];
            if let Ok(packet) = packet::take(&mut datagram, &header, rest, Version::of(V1).unwrap()) {
                prop_assert!(packet.bytes.len() + datagram.len() == octets.len());
                let mut scratch = SCRATCH;
                let opened = initial::open(&packet, Version::of(V1).unwrap(), &ID, Sender::Client, &mut scratch);
                prop_assert!(opened.is_err());
            }
        }
    }
}
