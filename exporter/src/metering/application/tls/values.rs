//! The fields of records of TLS, DTLS and QUIC, and what hellos put into them.
//!
//! Rules: tlsVersion is the version that the server chose, and as long as no ServerHello was seen the highest that the
//! client offers. tlsApplicationProtocol is the protocol that the server chose where that is visible (before TLS 1.3),
//! else the client's list in its order with commas between.

use flowgauge_ie_registry::ids;

use super::ja4::{self, Carrier};
use super::limits::{MAX_PROTOCOLS_OCTETS, MAX_SERVER_NAME_OCTETS};
use super::{ClientHello, ServerHello, is_grease};
use crate::metering::application::{Fault, Field, Values};

/// What a record of TLS or DTLS holds.
pub const FIELDS: [Field; 6] = [
    Field::NAME,
    Field::text(ids::TLS_SERVER_NAME, MAX_SERVER_NAME_OCTETS as u16),
    Field::text(ids::TLS_APPLICATION_PROTOCOL, MAX_PROTOCOLS_OCTETS as u16),
    Field::fixed(ids::TLS_VERSION, 2),
    Field::fixed(ids::TLS_CIPHER_SUITE, 2),
    Field::text(ids::TLS_CLIENT_FINGERPRINT_JA4, 36),
];

/// Sets what a client offers. A hello of which only a part is there has no fingerprint.
pub fn set_client_hello(values: &mut Values, hello: &ClientHello<'_>, carrier: Carrier) -> Result<(), Fault> {
    values.set_text(ids::TLS_SERVER_NAME, hello.server_name.unwrap_or_default());
    let mut list = [0; MAX_PROTOCOLS_OCTETS];
    values.set_text(ids::TLS_APPLICATION_PROTOCOL, protocol_list(hello, &mut list));
    if hello.complete || !hello.supported_versions.is_empty() {
        values.set_number(ids::TLS_VERSION, hello.highest_version().into());
    }
    if hello.complete {
        let fingerprint = ja4::fingerprint(hello, carrier)?;
        values.set_text(ids::TLS_CLIENT_FINGERPRINT_JA4, &fingerprint);
    }
    hello.fault.map_or(Ok(()), Err)
}

/// Sets what a server chose, in place of what the client offered.
pub fn set_server_hello(values: &mut Values, hello: &ServerHello<'_>) -> Result<(), Fault> {
    values.clear(ids::TLS_VERSION);
    values.set_number(ids::TLS_VERSION, hello.version.into());
    values.set_number(ids::TLS_CIPHER_SUITE, hello.cipher_suite.into());
    if let Some(protocol) = hello.application_protocol {
        values.clear(ids::TLS_APPLICATION_PROTOCOL);
        values.set_text(ids::TLS_APPLICATION_PROTOCOL, protocol);
    }
    hello.fault.map_or(Ok(()), Err)
}

/// The names of protocols with commas between, as many from the first one on as there is room for.
fn protocol_list<'a>(hello: &ClientHello<'_>, list: &'a mut [u8; MAX_PROTOCOLS_OCTETS]) -> &'a [u8] {
    let mut length = 0;
    let is_grease_name = |name: &[u8]| matches!(*name, [high, low] if is_grease(u16::from_be_bytes([high, low])));
    for name in hello.protocols().filter(|name| !is_grease_name(name)) {
        let start = if length == 0 { 0 } else { length + 1 };
        let Some(place) = list.get_mut(start..start + name.len()) else {
            break;
        };
        place.copy_from_slice(name);
        if let Some(comma) = list.get_mut(length).filter(|_| start > 0) {
            *comma = b',';
        }
        length = start + name.len();
    }
    list.get(..length).unwrap_or_default()
}
