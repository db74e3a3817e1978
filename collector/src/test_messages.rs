//! IPFIX Messages written octet by octet after RFC 7011 section 3, so that tests do not lean on the encoder of the same house.

/// Export time of every Message here: 2026-01-01T00:01:00Z.
pub const EXPORT_TIME: u32 = 1_767_225_660;
/// The template that [`flow`] fills.
pub const TEMPLATE: u16 = 256;
/// Element and length of each field of [`TEMPLATE`]: addresses, ports, protocol, octets, packets, start and end in ms.
const FIELDS: [(u16, u16); 9] = [
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (1, 8),
    (2, 4),
    (152, 8),
    (153, 8),
];

/// A Message around Sets.
pub fn message(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let length = u16::try_from(16 + body.len()).unwrap();
    [
        &10u16.to_be_bytes()[..],
        &length.to_be_bytes(),
        &EXPORT_TIME.to_be_bytes(),
        &sequence.to_be_bytes(),
        &domain.to_be_bytes(),
        &body,
    ]
    .concat()
}

/// A Set around its content.
pub fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + body.len()).unwrap();
    [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// A Template Set with one template of IANA elements.
pub fn template_set(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut body = [id.to_be_bytes(), u16::try_from(fields.len()).unwrap().to_be_bytes()].concat();
    for (element, length) in fields {
        body.extend([element.to_be_bytes(), length.to_be_bytes()].concat());
    }
    set(2, &body)
}

/// An Options Template Set whose first field is the scope.
pub fn options_template_set(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    let mut body = [id.to_be_bytes(), count.to_be_bytes(), 1u16.to_be_bytes()].concat();
    for (element, length) in fields {
        body.extend([element.to_be_bytes(), length.to_be_bytes()].concat());
    }
    set(3, &body)
}

/// The Template Set of [`TEMPLATE`].
pub fn flow_template() -> Vec<u8> {
    template_set(TEMPLATE, &FIELDS)
}

/// A record of [`TEMPLATE`]: 10.0.0.`host`:40000 to 192.0.2.1:443 over TCP, `octets` in 3 packets, 2 seconds long.
pub fn flow(host: u8, octets: u64) -> Vec<u8> {
    let start_ms = u64::from(EXPORT_TIME - 10) * 1_000 + u64::from(host);
    [
        &[10, 0, 0, host, 192, 0, 2, 1][..],
        &40_000u16.to_be_bytes(),
        &443u16.to_be_bytes(),
        &[6],
        &octets.to_be_bytes(),
        &3u32.to_be_bytes(),
        &start_ms.to_be_bytes(),
        &(start_ms + 2_000).to_be_bytes(),
    ]
    .concat()
}

/// A Data Set of [`TEMPLATE`] with one record per host, each of 100 octets.
pub fn flow_set(hosts: impl IntoIterator<Item = u8>) -> Vec<u8> {
    set(
        TEMPLATE,
        &hosts.into_iter().flat_map(|host| flow(host, 100)).collect::<Vec<u8>>(),
    )
}
