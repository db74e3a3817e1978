//! The JA4 fingerprint of a client, from its ClientHello.
//!
//! JA4 is FoxIO's, published under the BSD 3-Clause licence; only JA4 itself is made here, none of its relatives.
//! `t13d1516h2_8daaf6152771_e5627efa2ab1`: transport, highest version, whether a server is named, how many cipher
//! suites and extensions, first and last character of the first application protocol; a hash of the sorted cipher
//! suites; a hash of the sorted extensions (names of servers and protocols left out) and of the signature algorithms
//! as they stand. GREASE values (RFC 8701) count nowhere.

use sha2::{Digest, Sha256};

use super::client_hello::ClientHello;
use super::limits::MAX_FINGERPRINT_VALUES;
use super::octets::numbers;
use super::{extension, is_grease};
use crate::metering::application::Fault;

/// The 36 characters of a JA4 fingerprint.
pub type Ja4 = [u8; 36];

/// What carries the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TLS over TCP: `t`.
    Tls,
    /// QUIC: `q`.
    Quic,
    /// DTLS: `d`.
    Dtls,
}

/// The fingerprint of a ClientHello.
///
/// # Errors
/// `TooLong` for a hello with more cipher suites or extensions than [`MAX_FINGERPRINT_VALUES`].
pub fn fingerprint(hello: &ClientHello<'_>, carrier: Carrier) -> Result<Ja4, Fault> {
    let mut values = [0; MAX_FINGERPRINT_VALUES];
    let cipher_suites = gather(&mut values, numbers(hello.cipher_suites))?;
    let cipher_suite_count = cipher_suites.len();
    cipher_suites.sort_unstable();
    let cipher_suite_hash = hash(cipher_suites, &[]);

    let extensions = gather(&mut values, hello.extension_types())?;
    let extension_count = extensions.len();
    let is_named = |kind: u16| matches!(kind, extension::SERVER_NAME | extension::APPLICATION_PROTOCOLS);
    extensions.sort_unstable_by_key(|kind| (is_named(*kind), *kind));
    let end = extensions.partition_point(|kind| !is_named(*kind));
    let extension_hash = hash(extensions.get(..end).unwrap_or_default(), hello.signature_algorithms);

    let mut text = *b"t00i000000_000000000000_000000000000";
    let (readable, hashes) = text.split_at_mut(10);
    if let [transport, version @ .., server, c1, c0, e1, e0, p0, p1] = readable {
        *transport = match carrier {
            Carrier::Tls => b't',
            Carrier::Quic => b'q',
            Carrier::Dtls => b'd',
        };
        version.copy_from_slice(version_text(hello.highest_version()));
        *server = if hello.has_server_name { b'd' } else { b'i' };
        [*c1, *c0] = two_digits(cipher_suite_count);
        [*e1, *e0] = two_digits(extension_count);
        [*p0, *p1] = protocol_text(hello.protocols().find(|name| !is_grease_name(name)));
    }
    for (place, hash) in hashes.chunks_exact_mut(13).zip([cipher_suite_hash, extension_hash]) {
        if let (Some(place), Some(hash)) = (place.get_mut(1..), hash) {
            for (pair, octet) in place.chunks_exact_mut(2).zip(hash) {
                pair.copy_from_slice(&[hex_digit(octet >> 4), hex_digit(octet & 15)]);
            }
        }
    }
    Ok(text)
}

/// Puts the values that are no GREASE into `place`.
fn gather(place: &mut [u16], values: impl Iterator<Item = u16>) -> Result<&mut [u16], Fault> {
    let mut count = 0;
    for value in values.filter(|value| !is_grease(*value)) {
        *place.get_mut(count).ok_or(Fault::TooLong)? = value;
        count += 1;
    }
    place.get_mut(..count).ok_or(Fault::TooLong)
}

fn version_text(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    }
}

fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character; where one of them is neither letter nor digit, first and last of the name in hex.
fn protocol_text(name: Option<&[u8]>) -> [u8; 2] {
    match name.unwrap_or_default() {
        [] => *b"00",
        [first @ last] | [first, .., last] => {
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                [*first, *last]
            } else {
                [hex_digit(first >> 4), hex_digit(last & 15)]
            }
        }
    }
}

/// GREASE names are two equal octets with the low half 0xA, as the 16-bit values are.
fn is_grease_name(name: &[u8]) -> bool {
    matches!(*name, [high, low] if is_grease(u16::from_be_bytes([high, low])))
}

#[inline]
fn hex_digit(half: u8) -> u8 {
    b"0123456789abcdef"[usize::from(half & 15)]
}

/// The first six octets of SHA-256 over the values in hex with commas between; `second`, when there is any, follows
/// behind an underscore. Nothing when there are no values.
fn hash(first: &[u16], second: &[u8]) -> Option<[u8; 6]> {
    if first.is_empty() {
        return None;
    }
    let mut hasher = HexHasher {
        sha: Sha256::new(),
        text: [0; 320],
        from: 1,
        filled: 0,
    };
    hasher.values(b',', first.iter().copied());
    hasher.values(b'_', numbers(second).filter(|value| !is_grease(*value)));
    let digest = hasher.finish();
    digest.first_chunk::<6>().copied()
}

/// Feeds the hash in pieces of 320 characters, as one by one costs more than the hash.
struct HexHasher {
    sha: Sha256,
    text: [u8; 320],
    /// Where the text to hash begins: behind the mark in front of the first value of all, later at 0.
    from: usize,
    filled: usize,
}

impl HexHasher {
    /// Each value behind a comma, the first one behind `mark`.
    fn values(&mut self, mark: u8, values: impl Iterator<Item = u16>) {
        for (index, value) in values.enumerate() {
            let [high, low] = value.to_be_bytes();
            let digits = [high >> 4, high & 15, low >> 4, low & 15].map(hex_digit);
            let separator = if index == 0 { mark } else { b',' };
            if let Some(place) = self.text.get_mut(self.filled..self.filled + 5) {
                let [a, b, c, d] = digits;
                place.copy_from_slice(&[separator, a, b, c, d]);
                self.filled += 5;
            }
            if self.filled == self.text.len() {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        self.sha
            .update(self.text.get(self.from..self.filled).unwrap_or_default());
        (self.from, self.filled) = (0, 0);
    }

    fn finish(mut self) -> [u8; 32] {
        self.flush();
        self.sha.finalize().into()
    }
}
