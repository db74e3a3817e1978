//! Reads a ServerHello, HelloRetryRequest included (RFC 8446 sections 4.1.3 and 4.1.4, RFC 5246 section 7.4.1.3).
//!
//! A HelloRetryRequest is enough: the ServerHello behind it must choose the same version and cipher suite.

use super::client_hello::protocol_names;
use super::octets::Octets;
use super::{HANDSHAKE_SERVER_HELLO, extension};
use crate::metering::application::Fault;

/// SHA-256 of "HelloRetryRequest", which that message has as its random value.
const RETRY_RANDOM: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// What a server chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version chosen: that of the supported_versions extension, or else that of the message.
    pub version: u16,
    /// The cipher suite chosen.
    pub cipher_suite: u16,
    /// The application protocol chosen; TLS 1.3 says it where only the two ends can read it.
    pub application_protocol: Option<&'a [u8]>,
    /// Whether the client has to say hello again.
    pub retry: bool,
    /// The first fault within an extension.
    pub fault: Option<Fault>,
}

/// Reads a handshake message, its header of four octets included; octets behind it do not matter.
///
/// # Errors
/// Another message than a ServerHello, or one that does not hold together up to the end of its extensions.
pub fn parse(message: &[u8]) -> Result<ServerHello<'_>, Fault> {
    let mut octets = Octets::new(message);
    if octets.u8()? != HANDSHAKE_SERVER_HELLO {
        return Err(Fault::Malformed);
    }
    let length = octets.u24()?;
    parse_body(octets.take(length)?)
}

/// Reads what is behind the header of the message.
///
/// # Errors
/// As [`parse`].
pub fn parse_body(body: &[u8]) -> Result<ServerHello<'_>, Fault> {
    let mut octets = Octets::new(body);
    let version = octets.u16()?;
    let random: &[u8; 32] = octets.array()?;
    // Drafts 18 to 21 of TLS 1.3 had neither session nor compression here, and the version in this place.
    let is_old_draft = matches!(version, 0x7f12..=0x7f15);
    if !is_old_draft {
        let _session_id = octets.vector8()?;
    }
    let cipher_suite = octets.u16()?;
    if !is_old_draft {
        let _compression = octets.u8()?;
    }
    let mut hello = ServerHello {
        version,
        cipher_suite,
        retry: random == &RETRY_RANDOM,
        ..ServerHello::default()
    };
    if octets.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Octets::new(Octets::only_vector16(octets.rest())?);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        if let Err(fault) = hello.take_extension(kind, data) {
            hello.fault.get_or_insert(fault);
        }
    }
    Ok(hello)
}

impl<'a> ServerHello<'a> {
    fn take_extension(&mut self, kind: u16, data: &'a [u8]) -> Result<(), Fault> {
        match kind {
            extension::SUPPORTED_VERSIONS => self.version = Octets::new(data).u16()?,
            extension::APPLICATION_PROTOCOLS => {
                self.application_protocol = Octets::new(protocol_names(data)?).vector8().ok();
            }
            _ => {}
        }
        Ok(())
    }
}
