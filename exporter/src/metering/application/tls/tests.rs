//! Hellos in every form: fields and fingerprints, pieces, faults.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::ja4::{Carrier as Ja4Carrier, fingerprint};
use super::records::{First, first_message};
use super::*;
use crate::metering::application::tests::conversation::Flow;
use crate::metering::application::{ApplicationConfig, ApplicationCounters, Carrier, Fault, ProtocolSet};

/// Octets behind their length.
fn vector(width: usize, octets: &[u8]) -> Vec<u8> {
    let length = (octets.len() as u32).to_be_bytes();
    [&length[4 - width..], octets].concat()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [words(&[kind]), vector(2, data)].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &vector(2, &[&[0], &*vector(2, name)].concat()))
}

fn protocols(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|name| vector(1, name)).collect();
    extension(16, &vector(2, &list))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &*vector(3, body)].concat()
}

fn client_body(version: u16, suites: &[u16], extensions: &[Vec<u8>]) -> Vec<u8> {
    [
        words(&[version]),
        vec![7; 32],
        vector(1, &[9; 32]),
        vector(2, &words(suites)),
        vec![1, 0],
        vector(2, &extensions.concat()),
    ]
    .concat()
}

fn server_body(version: u16, random: &[u8; 32], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    [
        words(&[version]),
        random.to_vec(),
        vector(1, &[9; 32]),
        words(&[suite]),
        vec![0],
        vector(2, &extensions.concat()),
    ]
    .concat()
}

fn record(content: u8, fragment: &[u8]) -> Vec<u8> {
    [&[content, 3, 1], &*vector(2, fragment)].concat()
}

/// The hello of the example in FoxIO's description of JA4, in its order.
const SUITES: [u16; 15] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
    0x0035,
];
const KINDS: [u16; 16] = [
    0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b,
    0x000a, 0x0015,
];
const ALGORITHMS: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

fn example(algorithms: &[u16]) -> Vec<Vec<u8>> {
    let of = |kind: &u16| match kind {
        0x0000 => server_name(b"example.com"),
        0x0010 => protocols(&[b"h2", b"http/1.1"]),
        0x000d => extension(13, &vector(2, &words(algorithms))),
        0x002b => extension(43, &vector(1, &words(&[0x0304, 0x0303]))),
        other => extension(*other, &[]),
    };
    KINDS.iter().map(of).collect()
}

fn ja4_of(body: &[u8], carrier: Ja4Carrier) -> String {
    let hello = client_hello::parse_body(body, false).unwrap();
    assert_eq!((hello.complete, hello.fault), (true, None));
    String::from_utf8(fingerprint(&hello, carrier).unwrap().to_vec()).unwrap()
}

#[test]
fn the_example_of_the_description() {
    let body = client_body(0x0303, &SUITES, &example(&ALGORITHMS));
    assert_eq!(ja4_of(&body, Ja4Carrier::Tls), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(ja4_of(&body, Ja4Carrier::Quic), "q13d1516h2_8daaf6152771_e5627efa2ab1");
    // "If there are no signature algorithms [...] the string ends without an underscore".
    let body = client_body(0x0303, &SUITES, &example(&[]));
    assert_eq!(ja4_of(&body, Ja4Carrier::Tls), "t13d1516h2_8daaf6152771_6d807ffa2a79");
}

#[test]
fn grease_counts_nowhere() {
    let grease = |at: u16| 0x0a0a + 0x1010 * at;
    let suites = [&[grease(3)], &SUITES[..]].concat();
    let algorithms = [&[grease(7)], &ALGORITHMS[..]].concat();
    let mut extensions = example(&algorithms);
    extensions[11] = extension(43, &vector(1, &words(&[grease(15), 0x0304, 0x0303])));
    extensions[3] = protocols(&[&[0x0a, 0x0a], b"h2"]);
    extensions.insert(0, extension(grease(0), &[]));
    extensions.push(extension(grease(9), &[0]));
    let body = client_body(0x0303, &suites, &extensions);
    assert_eq!(ja4_of(&body, Ja4Carrier::Tls), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    // Only values of two equal octets are GREASE (RFC 8701).
    assert!(is_grease(0xfafa) && is_grease(0x0a0a) && !is_grease(0x0a1a) && !is_grease(0x1301));
}

/// The list of such names in the description, and what it says of counts and of nothing at all.
#[test]
fn the_readable_part_has_its_corners() {
    let text = |name: &[u8]| ja4_of(&client_body(0x0301, &[], &[protocols(&[name])]), Ja4Carrier::Tls);
    for (name, expected) in [
        (&[0xab][..], "ab"),
        (&[0xab, 0xcd], "ad"),
        (&[0x30, 0xab], "3b"),
        (&[0x30, 0x31, 0xab, 0xcd], "3d"),
        (&[0x30, 0xab, 0xcd, 0x31], "01"),
        (b"h", "hh"),
        (b"http/1.1", "h1"),
        (b"", "00"),
    ] {
        assert_eq!(text(name), format!("t10i0001{expected}_000000000000_000000000000"));
    }
    let nothing = [words(&[0x0002]), vec![7; 32], vec![0, 0, 0, 0]].concat();
    assert_eq!(
        ja4_of(&nothing, Ja4Carrier::Dtls),
        "ds2i000000_000000000000_000000000000"
    );
    let many: Vec<u16> = (0x1000..0x1000 + 300).filter(|value| !is_grease(*value)).collect();
    assert!(ja4_of(&client_body(0x7f17, &many, &[]), Ja4Carrier::Tls).starts_with("t00i990000_"));
    let too_many: Vec<u16> = (0..600).collect();
    let body = client_body(0x0303, &too_many, &[]);
    let hello = client_hello::parse_body(&body, false).unwrap();
    assert_eq!(fingerprint(&hello, Ja4Carrier::Tls), Err(Fault::TooLong));
}

fn tls() -> Flow {
    Flow::tcp(443)
}

fn values(flow: &mut Flow) -> BTreeMap<String, String> {
    let (_, mut values) = flow.known().expect("nothing known");
    values.retain(|_, value| !value.is_empty());
    values.remove("applicationName");
    values
}

fn faults(counters: &ApplicationCounters, protocol: &str) -> Vec<(Fault, u64)> {
    let counts = counters.faults[usize::from(ProtocolSet::place(protocol).unwrap())];
    let counts = Fault::ALL.into_iter().zip(counts);
    counts.filter(|(_, count)| *count > 0).collect()
}

fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const JA4: &str = "t13d1516h2_8daaf6152771_e5627efa2ab1";

fn hello() -> Vec<u8> {
    record(22, &message(1, &client_body(0x0303, &SUITES, &example(&ALGORITHMS))))
}

/// Before a ServerHello the highest version and all protocols offered, then what was chosen as far as it is said.
#[test]
fn what_the_server_chose_takes_the_place_of_what_was_offered() {
    let mut flow = tls();
    flow.say(0, 0, &hello());
    let offered = [
        ("tlsServerName", "example.com"),
        ("tlsApplicationProtocol", "h2,http/1.1"),
        ("tlsVersion", "772"),
        ("tlsClientFingerprintJa4", JA4),
    ];
    assert_eq!(values(&mut flow), map(&offered));
    let chosen = server_body(
        0x0303,
        &[5; 32],
        0xc02f,
        &[extension(23, &[]), protocols(&[b"http/1.1"])],
    );
    flow.say(1, 0, &record(22, &message(2, &chosen)));
    let expected = [
        ("tlsServerName", "example.com"),
        ("tlsApplicationProtocol", "http/1.1"),
        ("tlsVersion", "771"),
        ("tlsCipherSuite", "49199"),
        ("tlsClientFingerprintJa4", JA4),
    ];
    assert_eq!(values(&mut flow), map(&expected));
    assert!(!flow.place.wants(0) && !flow.place.wants(1));
    assert_eq!(faults(&flow.end(), "tls"), []);
}

#[test]
fn a_request_to_begin_again_tells_version_and_suite() {
    // SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    let random = <sha2::Sha256 as sha2::Digest>::digest("HelloRetryRequest").into();
    let versions = extension(43, &[3, 4]);
    let body = server_body(0x0303, &random, 0x1302, std::slice::from_ref(&versions));
    let parsed = server_hello::parse_body(&body).unwrap();
    assert_eq!(
        (parsed.version, parsed.cipher_suite, parsed.retry),
        (0x0304, 0x1302, true)
    );
    let body = server_body(0x0303, &[1; 32], 0x1302, &[versions]);
    assert!(!server_hello::parse_body(&body).unwrap().retry);
}

/// RFC 6066 section 3: a server may warn that it does not know the name, and go on.
#[test]
fn a_warning_may_precede_the_server_hello_and_an_alert_replaces_it() {
    let chosen = record(22, &message(2, &server_body(0x0302, &[5; 32], 0x0035, &[])));
    let mut flow = tls();
    flow.say(0, 0, &hello());
    flow.say(1, 0, &[record(21, &[1, 112]), chosen.clone()].concat());
    assert_eq!(values(&mut flow)["tlsVersion"], "770");
    assert_eq!(faults(&flow.end(), "tls"), []);

    let mut flow = tls();
    flow.say(0, 0, &hello());
    flow.say(1, 0, &record(21, &[2, 40]));
    assert!(!flow.place.wants(1));
    let known = values(&mut flow);
    assert_eq!(
        (known["tlsVersion"].as_str(), known.get("tlsCipherSuite")),
        ("772", None)
    );
    assert_eq!(faults(&flow.end(), "tls"), []);
}

/// RFC 5246 appendix E.2, and a server of SSL 2.0.
#[test]
fn the_form_of_ssl_2_tells_its_version_only() {
    let body = [&[1, 3, 1, 0, 6, 0, 0, 0, 16][..], &[0, 0, 5, 1, 0, 0x80], &[3; 16]].concat();
    let client = [vec![0x80, body.len() as u8], body].concat();
    let mut flow = tls();
    flow.say(0, 0, &client);
    assert_eq!(values(&mut flow), map(&[("tlsVersion", "769")]));
    flow.say(
        1,
        0,
        &record(22, &message(2, &server_body(0x0300, &[5; 32], 0x0005, &[]))),
    );
    assert_eq!(
        values(&mut flow),
        map(&[("tlsVersion", "768"), ("tlsCipherSuite", "5")])
    );

    let body = [&[4, 0, 1, 0, 2, 0, 4, 0, 3, 0, 16][..], &[1; 4], &[2; 3], &[3; 16]].concat();
    let server = [vec![0x80, body.len() as u8], body].concat();
    let mut flow = tls();
    flow.say(0, 0, &client);
    flow.say(1, 0, &server);
    assert_eq!(flow.end().faults_total(), 0);
    // One octet more than its lengths say: something else.
    let mut flow = tls();
    flow.say(0, 0, &[&[0x80, 32], &client[2..], &[0]].concat());
    assert_eq!(flow.known(), None);
}

#[test]
fn what_contradicts_itself_costs_what_is_behind_it_and_is_counted() {
    let mut extensions = example(&ALGORITHMS);
    extensions[3] = extension(16, &[0, 9, 2, b'h']);
    let body = client_body(0x0303, &SUITES, &extensions);
    let mut flow = tls();
    flow.say(0, 0, &record(22, &message(1, &body)));
    let known = values(&mut flow);
    assert_eq!(known.get("tlsApplicationProtocol"), None);
    assert_eq!(known["tlsServerName"], "example.com");
    assert_eq!(known["tlsClientFingerprintJa4"], JA4.replace("h2", "00"));
    assert_eq!(faults(&flow.end(), "tls"), [(Fault::Malformed, 1)]);

    // The last extension says that it is longer than the message.
    let mut body = client_body(0x0303, &SUITES, &example(&ALGORITHMS));
    let end = body.len();
    body[end - 1] = 1;
    let mut flow = tls();
    flow.say(0, 0, &record(22, &message(1, &body)));
    let known = values(&mut flow);
    assert_eq!(
        (known["tlsServerName"].as_str(), known.get("tlsClientFingerprintJa4")),
        ("example.com", None)
    );
    assert_eq!(faults(&flow.end(), "tls"), [(Fault::Malformed, 1)]);
}

#[test]
fn a_hello_captured_in_part_tells_what_is_there() {
    let hello = hello();
    let captured = hello.windows(11).position(|window| window == b"example.com").unwrap() + 11;
    let mut flow = tls();
    flow.packet(0, 0, &hello[..captured], hello.len());
    assert_eq!(values(&mut flow), map(&[("tlsServerName", "example.com")]));
    assert_eq!(faults(&flow.end(), "tls"), [(Fault::Cut, 1)]);
}

#[test]
fn bounds_hold_and_count() {
    // A message of 17 kB is not waited for.
    let mut flow = tls();
    flow.say(0, 0, &[&[22, 3, 1, 0x3f, 0xff, 1, 0, 0x44, 0], &[0; 60][..]].concat());
    assert!(!flow.place.wants(0));
    assert_eq!(faults(&flow.end(), "tls"), [(Fault::TooLong, 1)]);
    // A name longer than any host's is cut.
    let long = server_name(&[b'a'; 300]);
    let mut flow = tls();
    flow.say(0, 0, &record(22, &message(1, &client_body(0x0303, &[1], &[long]))));
    assert_eq!(values(&mut flow)["tlsServerName"].len(), 255);
    assert_eq!(flow.end().texts_cut, 1);
    // Protocols are left out from the end.
    let names = [[b'a'; 100], [b'b'; 100], [b'c'; 100]];
    let list = protocols(&names.each_ref().map(|name| &name[..]));
    let mut flow = tls();
    flow.say(0, 0, &record(22, &message(1, &client_body(0x0303, &[1], &[list]))));
    let expected = format!("{},{}", "a".repeat(100), "b".repeat(100));
    assert_eq!(values(&mut flow)["tlsApplicationProtocol"], expected);
}

fn dtls_fragment(kind: u8, body: &[u8], sequence: u16, from: usize, to: usize) -> Vec<u8> {
    let part = &body[from..to];
    let width = |number: usize| (number as u32).to_be_bytes()[1..].to_vec();
    let header = [
        vec![kind],
        width(body.len()),
        words(&[sequence]),
        width(from),
        width(part.len()),
    ]
    .concat();
    let fragment = [header, part.to_vec()].concat();
    [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..], &vector(2, &fragment)].concat()
}

#[test]
fn dtls_hellos_come_in_pieces_and_in_any_order() {
    let versions = extension(43, &vector(1, &words(&[0xfeff, 0xfefc, 0xfefd])));
    let plain = client_body(0xfefd, &[0x1301, 0xc02b], &[server_name(b"dtls.example"), versions]);
    // A cookie stands behind the session.
    let body = [&plain[..67], &[3, 1, 2, 3], &plain[67..]].concat();
    let third = body.len() / 3;
    let pieces = [
        dtls_fragment(1, &body, 0, 2 * third, body.len()),
        dtls_fragment(1, &body, 0, 0, third + 5),
        dtls_fragment(1, &body, 0, third, 2 * third),
    ];
    let mut flow = Flow::new(ApplicationConfig::default(), Carrier::Udp, [40000, 4433]);
    flow.say(0, 0, &pieces[0]);
    flow.say(0, 0, &[pieces[1].clone(), pieces[2].clone()].concat());
    flow.say(1, 0, &dtls_fragment(3, &[0xfe, 0xff, 1, 0], 0, 0, 4));
    let chosen = server_body(0xfefd, &[5; 32], 0xc02b, &[]);
    flow.say(1, 0, &dtls_fragment(2, &chosen, 1, 0, chosen.len()));
    let known = values(&mut flow);
    assert_eq!(known["tlsServerName"], "dtls.example");
    assert_eq!(
        (known["tlsVersion"].as_str(), known["tlsCipherSuite"].as_str()),
        ("65277", "49195")
    );
    assert!(known["tlsClientFingerprintJa4"].starts_with("dd3d0202"), "{known:?}");
    assert!(!flow.place.wants(0) && !flow.place.wants(1));
    assert_eq!(faults(&flow.end(), "dtls"), []);
}

#[test]
fn pieces_are_put_in_order_within_their_bounds() {
    let mut notes = vec![0xaa; 3];
    let mut gather = Gather::new(&mut notes, 3, 1);
    gather.put(4, b"efgh", 100).unwrap();
    assert_eq!(gather.ready(), b"");
    gather.put(0, b"abc", 100).unwrap();
    assert_eq!(gather.ready(), b"abc");
    gather.put(2, b"cde", 100).unwrap();
    assert_eq!(gather.ready(), b"abcdefgh");
    assert_eq!(gather.put(98, b"xyz", 100), Err(Fault::TooLong));
    assert_eq!(gather.put(usize::MAX, b"x", 100), Err(Fault::TooLong));
    // Another message takes its place; what the protocol keeps itself stays.
    assert_eq!(Gather::new(&mut notes, 3, 2).ready(), b"");
    Gather::clear(&mut notes, 3);
    assert_eq!(notes, [0xaa; 3]);
    let mut gather = Gather::new(&mut notes, 3, 1);
    for at in 0..limits::MAX_PARTS {
        gather.put(2 * at + 1, b"x", 1000).unwrap();
    }
    assert_eq!(gather.put(999, b"x", 1000), Err(Fault::TooLong));
    gather.put(2, b"y", 1000).unwrap();
    gather.put(999, b"x", 1000).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However a hello is parted into records, and these into segments, it says the same.
    #[test]
    fn any_parting_into_records_and_segments(
        fragments in prop::collection::vec(1usize..80, 1..30),
        segments in prop::collection::vec(1usize..200, 1..30),
    ) {
        let message = message(1, &client_body(0x0303, &SUITES, &example(&ALGORITHMS)));
        let cut = |octets: &[u8], lengths: &[usize]| -> Vec<Vec<u8>> {
            let mut rest = octets;
            let mut parts = Vec::new();
            for length in lengths.iter().cycle() {
                let (part, behind) = rest.split_at((*length).min(rest.len()));
                parts.push(part.to_vec());
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            parts
        };
        let records: Vec<u8> = cut(&message, &fragments).iter().flat_map(|part| record(22, part)).collect();
        let mut flow = tls();
        let mut offset = 0;
        for segment in cut(&records, &segments) {
            flow.say(0, offset, &segment);
            offset += segment.len();
        }
        prop_assert_eq!(&values(&mut flow)["tlsClientFingerprintJa4"], JA4);
        prop_assert!(!flow.place.wants(0));
        prop_assert_eq!(flow.end().faults_total(), 0);
    }

    /// Any octets, and sound hellos with octets changed, end in a value or a fault.
    #[test]
    fn any_octets(
        octets in prop::collection::vec(any::<u8>(), 0..300),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut changed = client_body(0x0303, &SUITES, &example(&ALGORITHMS));
        for (place, octet) in &changes {
            let at = place.index(changed.len());
            changed[at] = *octet;
        }
        changed.truncate(end.index(changed.len()) + 1);
        for body in [&octets, &changed] {
            for dtls in [false, true] {
                if let Ok(hello) = client_hello::parse_body(body, dtls) {
                    let fingerprint = fingerprint(&hello, Ja4Carrier::Tls);
                    prop_assert!(fingerprint.is_ok_and(|text| text.is_ascii()));
                    prop_assert!(hello.extension_types().count() <= body.len() / 4);
                    prop_assert!(hello.protocols().count() <= body.len());
                }
            }
            let _ = client_hello::parse(body);
            let _ = client_hello::parse_part(body);
            let _ = server_hello::parse(body);
            let _ = server_hello::parse_body(body);
            let mut scratch = Vec::new();
            for stream in [body.clone(), record(22, body)] {
                if let Ok(First::Message(_, message)) = first_message(&stream, &mut scratch) {
                    prop_assert!(message.len() <= stream.len());
                }
            }
        }
    }
}
