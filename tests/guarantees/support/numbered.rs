//! Records that are numbered, so that a sum says whether each is there once.

/// Source address, source port, octets, packets, ingress interface.
const FIELDS: [(u16, u16); 5] = [(8, 4), (7, 2), (1, 8), (2, 4), (10, 4)];

/// Seconds since 1970.
pub fn epoch_s() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs() as u32
}

fn message(domain: u32, sequence: u32, export_s: u32, set_id: u16, body: &[u8]) -> Vec<u8> {
    let length = 20 + body.len() as u16;
    [
        &10u16.to_be_bytes()[..],
        &length.to_be_bytes(),
        &export_s.to_be_bytes(),
        &sequence.to_be_bytes(),
        &domain.to_be_bytes(),
        &set_id.to_be_bytes(),
        &(length - 16).to_be_bytes(),
        body,
    ]
    .concat()
}

/// The template of the records.
pub fn template(domain: u32, sequence: u32, export_s: u32) -> Vec<u8> {
    let mut body = [256u16.to_be_bytes(), (FIELDS.len() as u16).to_be_bytes()].concat();
    for (element, length) in FIELDS {
        body.extend(element.to_be_bytes());
        body.extend(length.to_be_bytes());
    }
    message(domain, sequence, export_s, 2, &body)
}

/// So many records of a domain and tag from a number on: the number is the source address and the octets, the tag the source
/// port and the interface.
pub fn records((domain, tag, first): (u32, u16, u32), count: u32, export_s: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for number in first..first + count {
        body.extend(number.to_be_bytes());
        body.extend(tag.to_be_bytes());
        body.extend(u64::from(number).to_be_bytes());
        body.extend(1u32.to_be_bytes());
        body.extend(u32::from(tag).to_be_bytes());
    }
    message(domain, first, export_s, 256, &body)
}
