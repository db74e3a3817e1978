//! Any frame over any link type: no panic, and nothing handed out that the frame does not hold.
//!
//! Input: link type (2 octets, little-endian), how many octets more there were on the wire (1), the frame.
#![no_main]

use flowgauge_templates::packet::{Fault, Headers, LinkType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [low, high, missing, frame @ ..] = input else {
        return;
    };
    let link_type = LinkType(u16::from_le_bytes([*low, *high]));
    let wire_length = frame.len() as u32 + u32::from(*missing);
    let mut headers = Headers::default();
    headers.read_outer(link_type, frame, wire_length);
    check(frame, &headers);
    assert!(headers.tunnel.is_none());
    let outer = headers.network;
    headers.read(link_type, frame, wire_length);
    check(frame, &headers);
    // Opening tunnels never costs the packet around.
    assert_eq!(outer.is_some(), headers.network.is_some());
    assert!(headers.tunnel.is_some() || outer == headers.network);
});

fn check(frame: &[u8], headers: &Headers<'_>) {
    let end = frame.as_ptr() as usize + frame.len();
    let payload = headers.payload.as_ptr() as usize;
    assert!(
        headers.payload.is_empty() || (payload >= frame.as_ptr() as usize && payload + headers.payload.len() <= end)
    );
    assert_eq!(
        headers.network.is_none(),
        headers.fault.is_some_and(Fault::costs_packet)
    );
    if let Some(network) = headers.network {
        assert!(u32::from(network.header_octets) <= network.octets);
        assert!(headers.payload_octets + u32::from(network.header_octets) <= network.octets);
        assert!(headers.payload.len() <= headers.payload_octets as usize);
    }
}
