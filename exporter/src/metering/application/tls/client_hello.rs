//! Reads a ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2, DTLS: RFC 6347 section 4.2.1).
//!
//! Nothing is copied: the fields are places in the message. A fault within an extension costs that extension only, one
//! between them costs those behind it.

use super::octets::{Octets, numbers};
use super::{HANDSHAKE_CLIENT_HELLO, extension, is_grease};
use crate::metering::application::Fault;

/// What a client offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The version field of the message, which TLS 1.3 left at TLS 1.2.
    pub legacy_version: u16,
    /// Cipher suites, two octets each, GREASE among them.
    pub cipher_suites: &'a [u8],
    /// Extensions as they are: type, length, data, one after the other.
    pub extensions: &'a [u8],
    /// Whether there is a server_name extension at all (RFC 6066 section 3).
    pub has_server_name: bool,
    /// The first host name of it.
    pub server_name: Option<&'a [u8]>,
    /// Names of application protocols, each behind its length (RFC 7301); every one of them is whole.
    pub application_protocols: &'a [u8],
    /// The versions of the supported_versions extension, two octets each; none when it is not there.
    pub supported_versions: &'a [u8],
    /// The algorithms of the signature_algorithms extension, two octets each.
    pub signature_algorithms: &'a [u8],
    /// Whether the message is there and sound up to its end, as far as its extensions stand apart.
    pub complete: bool,
    /// The first fault behind the cipher suites.
    pub fault: Option<Fault>,
}

/// Reads a handshake message of TLS, its header of four octets included; octets behind it do not matter.
///
/// # Errors
/// Another message than a ClientHello, or one that is not there up to its cipher suites.
pub fn parse(message: &[u8]) -> Result<ClientHello<'_>, Fault> {
    let mut octets = Octets::new(message);
    if octets.u8()? != HANDSHAKE_CLIENT_HELLO {
        return Err(Fault::Malformed);
    }
    let length = octets.u24()?;
    parse_body(octets.take(length)?, false)
}

/// Reads what is behind the header of the message; that of DTLS has a cookie more.
///
/// # Errors
/// As [`parse`].
pub fn parse_body(body: &[u8], dtls: bool) -> Result<ClientHello<'_>, Fault> {
    read(body, dtls, true)
}

/// Reads the beginning of a message that was captured in part: what of its extensions is whole.
///
/// # Errors
/// As [`parse`].
pub fn parse_part(body: &[u8]) -> Result<ClientHello<'_>, Fault> {
    read(body, false, false)
}

fn read(body: &[u8], dtls: bool, whole: bool) -> Result<ClientHello<'_>, Fault> {
    let mut octets = Octets::new(body);
    let legacy_version = octets.u16()?;
    let _random: &[u8; 32] = octets.array()?;
    let _session_id = octets.vector8()?;
    if dtls {
        let _cookie = octets.vector8()?;
    }
    let cipher_suites = octets.vector16()?;
    if cipher_suites.len() % 2 != 0 {
        return Err(Fault::Malformed);
    }
    let mut hello = ClientHello {
        legacy_version,
        cipher_suites,
        ..ClientHello::default()
    };
    match hello.take_extensions(octets, whole) {
        Ok(()) => hello.complete = whole,
        Err(fault) if whole => hello.fault = Some(fault),
        Err(_) => {}
    }
    Ok(hello)
}

impl<'a> ClientHello<'a> {
    /// Takes what is behind the cipher suites.
    fn take_extensions(&mut self, mut octets: Octets<'a>, whole: bool) -> Result<(), Fault> {
        let _compression = octets.vector8()?;
        // RFC 5246: "The presence of extensions can be detected by determining whether there are bytes following".
        if octets.is_empty() {
            return Ok(());
        }
        self.extensions = match whole {
            true => Octets::only_vector16(octets.rest())?,
            false => octets.rest().get(2..).unwrap_or_default(),
        };
        let mut extensions = Octets::new(self.extensions);
        let mut first_fault = None;
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let data = extensions.vector16()?;
            if let Err(fault) = self.take_extension(kind, data) {
                first_fault.get_or_insert(fault);
            }
        }
        self.fault = first_fault;
        Ok(())
    }

    fn take_extension(&mut self, kind: u16, data: &'a [u8]) -> Result<(), Fault> {
        match kind {
            extension::SERVER_NAME => {
                self.has_server_name = true;
                self.server_name = host_name(data)?;
            }
            extension::APPLICATION_PROTOCOLS => self.application_protocols = protocol_names(data)?,
            extension::SUPPORTED_VERSIONS => {
                let mut octets = Octets::new(data);
                self.supported_versions = even(octets.vector8()?)?;
            }
            extension::SIGNATURE_ALGORITHMS => self.signature_algorithms = even(Octets::only_vector16(data)?)?,
            _ => {}
        }
        Ok(())
    }

    /// The types of the extensions, in their order.
    pub fn extension_types(&self) -> impl Iterator<Item = u16> + '_ {
        let mut octets = Octets::new(self.extensions);
        std::iter::from_fn(move || {
            let kind = octets.u16().ok()?;
            octets.vector16().ok()?;
            Some(kind)
        })
    }

    /// Names of the application protocols offered, in their order.
    pub fn protocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut octets = Octets::new(self.application_protocols);
        std::iter::from_fn(move || octets.vector8().ok())
    }

    /// The highest version offered. Versions of DTLS count downwards, so the smallest of them is the highest.
    pub fn highest_version(&self) -> u16 {
        numbers(self.supported_versions)
            .filter(|version| !is_grease(*version))
            .reduce(|a, b| {
                if a >> 8 == 0xfe && b >> 8 == 0xfe {
                    a.min(b)
                } else {
                    a.max(b)
                }
            })
            .unwrap_or(self.legacy_version)
    }
}

fn even(vector: &[u8]) -> Result<&[u8], Fault> {
    if vector.len().is_multiple_of(2) {
        Ok(vector)
    } else {
        Err(Fault::Malformed)
    }
}

/// The first name of type host_name. A server's answer, an empty extension, has none.
fn host_name(data: &[u8]) -> Result<Option<&[u8]>, Fault> {
    if data.is_empty() {
        return Ok(None);
    }
    let mut names = Octets::new(Octets::only_vector16(data)?);
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        if kind == 0 {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The list of an application_layer_protocol_negotiation extension, looked through once so that it holds together.
pub(super) fn protocol_names(data: &[u8]) -> Result<&[u8], Fault> {
    let list = Octets::only_vector16(data)?;
    let mut names = Octets::new(list);
    while !names.is_empty() {
        names.vector8()?;
    }
    Ok(list)
}
