//! What can be told of a datagram without any state: what kind of DTLS record it begins with, and whether who says hello
//! can be reached where it says it is (RFC 6347 section 4.2.1).
//!
//! Only a ClientHello that brings back our cookie makes the collector remember anything.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

/// Octets before what a record carries: type, version, epoch, sequence number, length.
pub(super) const RECORD_HEADER: usize = 13;
/// Octets before the body of a handshake message.
const HANDSHAKE_HEADER: usize = 12;
/// What a record carries.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Kinds of handshake message.
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
/// DTLS 1.0, which hellos are sent as, and 1.2; every version begins with the same octet.
const DTLS_1_0: [u8; 2] = [254, 255];
const DTLS_1_2: [u8; 2] = [254, 253];
/// Octets of our cookies.
const COOKIE_OCTETS: usize = 32;
/// How long a cookie is good at least; at most twice as long.
const COOKIE_SLOT: Duration = Duration::from_secs(30);

/// A datagram by its first record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Datagram<'d> {
    /// The beginning of a handshake.
    Hello(Hello<'d>),
    /// A ClientHello that is cut, in fragments, or not one.
    BadHello,
    /// The rest of a handshake, or one that is repeated.
    Handshake,
    /// An alert that anybody can have sent.
    OpenAlert,
    /// Encrypted: data, or the end of a session.
    Encrypted {
        /// Whether it is data.
        data: bool,
    },
    /// No DTLS.
    Other,
}

/// What matters of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello<'d> {
    /// The number of its record.
    pub sequence: [u8; 6],
    /// Which of the handshake's messages it is.
    pub message: u16,
    /// By which one hello is told from another.
    pub random: &'d [u8],
    /// Ours, brought back; empty at first.
    pub cookie: &'d [u8],
}

/// What a datagram is.
pub(super) fn datagram(bytes: &[u8]) -> Datagram<'_> {
    let Some((header, body)) = bytes.split_at_checked(RECORD_HEADER) else {
        return Datagram::Other;
    };
    let [
        kind,
        major,
        _,
        epoch_high,
        epoch_low,
        sequence @ ..,
        length_high,
        length_low,
    ] = header
    else {
        return Datagram::Other;
    };
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    let Some(body) = body.get(..length).filter(|_| [*major] == DTLS_1_0[..1]) else {
        return Datagram::Other;
    };
    let is_open = [*epoch_high, *epoch_low] == [0, 0];
    match *kind {
        HANDSHAKE if is_open && body.first() == Some(&CLIENT_HELLO) => match hello(sequence, body) {
            Some(hello) => Datagram::Hello(hello),
            None => Datagram::BadHello,
        },
        HANDSHAKE | CHANGE_CIPHER_SPEC => Datagram::Handshake,
        ALERT if is_open => Datagram::OpenAlert,
        ALERT => Datagram::Encrypted { data: false },
        APPLICATION_DATA if !is_open => Datagram::Encrypted { data: true },
        _ => Datagram::Other,
    }
}

fn hello<'d>(sequence: &[u8], message: &'d [u8]) -> Option<Hello<'d>> {
    let (header, body) = message.split_at_checked(HANDSHAKE_HEADER)?;
    let [_, length @ .., message_high, message_low, o1, o2, o3, f1, f2, f3] = header else {
        return None;
    };
    // A hello in fragments could not be checked without keeping them, and none that is honest needs them.
    let whole = [*o1, *o2, *o3] == [0; 3] && length == [*f1, *f2, *f3];
    let octets = length.iter().fold(0, |octets, octet| octets << 8 | usize::from(*octet));
    let body = body.get(..octets).filter(|_| whole)?;
    let random = body.get(2..34)?;
    let rest = body.get(34..)?;
    let (_session, rest) = opaque(rest)?;
    let (cookie, _) = opaque(rest)?;
    Some(Hello {
        sequence: sequence.try_into().ok()?,
        message: u16::from_be_bytes([*message_high, *message_low]),
        random,
        cookie,
    })
}

/// Octets behind the one that says how many they are, and what follows.
fn opaque(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// Makes cookies, and knows them again.
pub(super) struct Cookies {
    key: PKey<Private>,
    began: Instant,
}

impl Cookies {
    /// With a key that nobody else has.
    pub fn new() -> Result<Cookies, ErrorStack> {
        let mut key = [0; COOKIE_OCTETS];
        rand_bytes(&mut key)?;
        Ok(Cookies {
            key: PKey::hmac(&key)?,
            began: Instant::now(),
        })
    }

    fn slot(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / COOKIE_SLOT.as_secs()
    }

    fn cookie(&self, slot: u64, peer: SocketAddr, random: &[u8]) -> Result<[u8; COOKIE_OCTETS], ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        signer.update(&slot.to_be_bytes())?;
        match peer.ip() {
            std::net::IpAddr::V4(address) => signer.update(&address.octets())?,
            std::net::IpAddr::V6(address) => signer.update(&address.octets())?,
        }
        signer.update(&peer.port().to_be_bytes())?;
        signer.update(random)?;
        let mut cookie = [0; COOKIE_OCTETS];
        signer.sign(&mut cookie)?;
        Ok(cookie)
    }

    /// Whether the cookie in a hello is ours, for that peer, and young.
    pub fn is_valid(&self, now: Instant, peer: SocketAddr, hello: &Hello<'_>) -> bool {
        let slot = self.slot(now);
        hello.cookie.len() == COOKIE_OCTETS
            && [Some(slot), slot.checked_sub(1)].into_iter().flatten().any(|slot| {
                self.cookie(slot, peer, hello.random)
                    .is_ok_and(|cookie| memcmp::eq(&cookie, hello.cookie))
            })
    }

    /// The HelloVerifyRequest that asks a peer to say its hello again, with a cookie.
    pub fn request(&self, now: Instant, peer: SocketAddr, hello: &Hello<'_>) -> Result<Vec<u8>, ErrorStack> {
        let cookie = self.cookie(self.slot(now), peer, hello.random)?;
        // RFC 6347 section 4.2.1: "The server_version field ... SHOULD be DTLS 1.0", and the record has the number of the
        // hello's.
        let mut body = DTLS_1_0.to_vec();
        body.push(COOKIE_OCTETS as u8);
        body.extend_from_slice(&cookie);
        Ok(handshake_record(DTLS_1_0, hello.sequence, HELLO_VERIFY_REQUEST, &body))
    }
}

/// A handshake message of its own, the first of its handshake, in a record.
fn handshake_record(version: [u8; 2], sequence: [u8; 6], kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (body.len() as u32).to_be_bytes();
    let mut record = vec![HANDSHAKE];
    record.extend(version);
    record.extend([0, 0]);
    record.extend(sequence);
    record.extend(((HANDSHAKE_HEADER + body.len()) as u16).to_be_bytes());
    record.push(kind);
    record.extend(length);
    record.extend([0; 5]);
    record.extend(length);
    record.extend(body);
    record
}

/// A hello without a cookie, as short as can be. A handshake of OpenSSL that is to begin with the second hello has to
/// have seen a first, of which it keeps nothing.
pub(super) fn first_hello() -> Vec<u8> {
    let mut body = DTLS_1_2.to_vec();
    body.extend([0; 32]);
    // No session, no cookie, one cipher suite (TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), no compression.
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    handshake_record(DTLS_1_0, [0; 6], CLIENT_HELLO, &body)
}

/// An alert in the clear for who goes on with a session that is not known here. Any sender can have made it up, so
/// DTLS itself ignores it; an exporter of ours takes it as it takes a closed port.
pub(super) fn unknown_session() -> [u8; RECORD_HEADER + 2] {
    const FATAL: u8 = 2;
    const UNEXPECTED_MESSAGE: u8 = 10;
    let [major, minor] = DTLS_1_2;
    [
        ALERT,
        major,
        minor,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        2,
        FATAL,
        UNEXPECTED_MESSAGE,
    ]
}

/// Adds `shift` to the numbers of records that are not encrypted: RFC 6347 section 4.2.1, "the server MUST use the record
/// sequence number in the ClientHello as the record sequence number in its initial ServerHello". OpenSSL begins at 1.
pub(super) fn shift_records(mut bytes: &mut [u8], shift: u64) {
    while let Some((header, rest)) = bytes.split_at_mut_checked(RECORD_HEADER) {
        let [_, _, _, e1, e2, s1, s2, s3, s4, s5, s6, l1, l2] = header else {
            return;
        };
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        if [*e1, *e2] == [0, 0] {
            let sequence = u64::from_be_bytes([0, 0, *s1, *s2, *s3, *s4, *s5, *s6]).wrapping_add(shift);
            [_, _, *s1, *s2, *s3, *s4, *s5, *s6] = sequence.to_be_bytes();
        }
        let Some((_, next)) = rest.split_at_mut_checked(length) else {
            return;
        };
        bytes = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `openssl s_client -dtls1_2` begins with, its extensions cut.
    fn client_hello(cookie: &[u8], message: u8) -> Vec<u8> {
        let mut body = vec![254, 253];
        body.extend([7; 32]);
        body.push(0);
        body.push(cookie.len() as u8);
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let mut record = handshake_record(DTLS_1_0, [0, 0, 0, 0, 0, message], CLIENT_HELLO, &body);
        record[RECORD_HEADER + 5] = message;
        record
    }

    fn parsed(bytes: &[u8]) -> Hello<'_> {
        match datagram(bytes) {
            Datagram::Hello(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn datagrams_are_told_by_their_first_record() {
        let hello = client_hello(&[], 0);
        assert_eq!(parsed(&hello).random, [7; 32]);
        assert_eq!((parsed(&hello).cookie, parsed(&hello).message), (&[][..], 0));
        let with_cookie = client_hello(&[1, 2, 3], 1);
        assert_eq!(
            (parsed(&with_cookie).cookie, parsed(&with_cookie).message),
            (&[1, 2, 3][..], 1)
        );
        assert_eq!(parsed(&with_cookie).sequence, [0, 0, 0, 0, 0, 1]);
        assert!(parsed(&first_hello()).cookie.is_empty());
        let record = |kind, epoch| [kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 1, 0];
        assert_eq!(datagram(&record(23, 1)), Datagram::Encrypted { data: true });
        assert_eq!(datagram(&record(21, 1)), Datagram::Encrypted { data: false });
        assert_eq!(datagram(&record(21, 0)), Datagram::OpenAlert);
        assert_eq!(datagram(&record(22, 0)), Datagram::Handshake);
        assert_eq!(datagram(&record(20, 0)), Datagram::Handshake);
        assert_eq!(datagram(&record(23, 0)), Datagram::Other, "data in the clear");
        assert_eq!(datagram(&record(24, 1)), Datagram::Other);
        assert_eq!(datagram(&unknown_session()), Datagram::OpenAlert);
        // IPFIX, NetFlow and TLS in the clear; a record that is cut.
        let ipfix = [[0, 10, 0, 16].as_slice(), &[0; 12]].concat();
        let tls = [[22, 3, 1].as_slice(), &[0; 20]].concat();
        for other in [&ipfix[..], &tls, &[0, 9], &[], &record(23, 1)[..13]] {
            assert_eq!(datagram(other), Datagram::Other);
        }
        // The second of two fragments, and a hello that ends within its cookie.
        let mut fragment = client_hello(&[], 0);
        fragment[RECORD_HEADER + 8] = 1;
        assert_eq!(datagram(&fragment), Datagram::BadHello);
        let mut cut = client_hello(&[], 0);
        cut[RECORD_HEADER + HANDSHAKE_HEADER + 35] = 200;
        assert_eq!(datagram(&cut), Datagram::BadHello);
    }

    #[test]
    fn a_cookie_is_for_one_peer_one_hello_and_a_minute() {
        let cookies = Cookies::new().unwrap();
        let (peer, now) = ("192.0.2.1:5000".parse().unwrap(), Instant::now());
        let first = client_hello(&[], 0);
        let request = cookies.request(now, peer, &parsed(&first)).unwrap();
        assert!(
            request.len() <= first.len(),
            "no amplifier: {} {}",
            request.len(),
            first.len()
        );
        // RFC 6347 section 4.2.1: server_version and the cookie behind its length.
        assert_eq!(request[..3], [22, 254, 255]);
        assert_eq!((request[13], &request[25..28]), (3, &[254, 255, 32][..]));
        let second = client_hello(&request[28..], 1);
        let hello = parsed(&second);
        assert!(cookies.is_valid(now, peer, &hello));
        assert!(cookies.is_valid(now + Duration::from_secs(30), peer, &hello));
        assert!(
            !cookies.is_valid(now + Duration::from_secs(60), peer, &hello),
            "too old"
        );
        for other in ["192.0.2.1:5001", "192.0.2.2:5000", "[2001:db8::1]:5000"] {
            assert!(!cookies.is_valid(now, other.parse().unwrap(), &hello), "{other}");
        }
        let random = [8; 32];
        assert!(!cookies.is_valid(
            now,
            peer,
            &Hello {
                random: &random,
                ..hello
            }
        ));
        assert!(!cookies.is_valid(now, peer, &parsed(&first)));
        assert!(
            !Cookies::new().unwrap().is_valid(now, peer, &hello),
            "another collector's"
        );
    }

    #[test]
    fn records_in_the_clear_are_numbered_on() {
        let mut bytes = [
            first_hello(),
            first_hello(),
            vec![22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        bytes[first_hello().len() + 10] = 1;
        let before = bytes.clone();
        shift_records(&mut bytes, 0x0100);
        let changed: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != before[*at]).collect();
        assert_eq!(changed, [9, first_hello().len() + 9], "nothing that is encrypted");
        shift_records(&mut bytes[..5], 1);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..90usize, by in any::<u8>()) {
            let _ = datagram(&bytes);
            let mut hello = client_hello(&[5; 20], 1);
            if let Some(octet) = hello.get_mut(at) {
                *octet = by;
            }
            let _ = datagram(&hello);
            shift_records(&mut hello, u64::MAX);
        }
    }
}
