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
    flow_at(host, octets, u64::from(EXPORT_TIME - 10) * 1_000 + u64::from(host))
}

/// The same with a start of its own, milliseconds since 1970.
pub fn flow_at(host: u8, octets: u64, start_ms: u64) -> Vec<u8> {
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

/// A Message of NetFlow 9 after RFC 3954 section 5.1, 16 minutes after the exporter's start, from Source ID 1.
pub fn message9(sets: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(sets.len()).unwrap();
    let words = [1_000_000, EXPORT_TIME, 0, 1];
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [&9u16.to_be_bytes()[..], &count.to_be_bytes(), &words, &sets.concat()].concat()
}

/// Datagrams that must neither crash, hang nor grow a collector: what each is, its octets, and the kind of fault it is.
pub fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let zero_length_template = template_set(300, &[(8, 0), (12, 0)]);
    vec![
        ("a Set of length 0", message(1, 0, &[vec![1, 0, 0, 0]]), "set_length"),
        ("a Set of length 3", message(1, 0, &[vec![1, 0, 0, 3]]), "set_length"),
        (
            "a Set beyond the Message",
            message(1, 0, &[vec![1, 0, 0xff, 0xff]]),
            "set_length",
        ),
        (
            "a template of nothing",
            message(1, 0, &[zero_length_template, set(300, &[0; 64])]),
            "empty_template",
        ),
        (
            "a Message shorter than it says",
            message(1, 0, &[set(256, &[0; 40])])[..30].to_vec(),
            "message_length",
        ),
        (
            "a Message longer than it says",
            [message(1, 0, &[]), vec![0; 9]].concat(),
            "message_length",
        ),
        (
            "a length below the header",
            vec![0, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "message_length",
        ),
        ("two octets", vec![0, 10], "truncated"),
        (
            "a template that claims 65535 fields",
            message(1, 0, &[set(2, &[1, 44, 0xff, 0xff, 0, 8, 0, 4])]),
            "truncated",
        ),
        (
            "a template with a protocol's id",
            message(1, 0, &[template_set(5, &[(8, 4)])]),
            "template_id",
        ),
        (
            "a withdrawal over UDP",
            message(1, 0, &[set(2, &[1, 0, 0, 0])]),
            "withdrawal_over_udp",
        ),
        (
            "NetFlow 9: a FlowSet of length 0",
            message9(&[vec![1, 0, 0, 0]]),
            "set_length",
        ),
        (
            "NetFlow 9: a FlowSet beyond the datagram",
            message9(&[vec![1, 0, 0xff, 0xff, 1, 2, 3]]),
            "set_length",
        ),
        (
            "NetFlow 9: a template of nothing, and data for it",
            message9(&[set(0, &[1, 44, 0, 2, 0, 8, 0, 0, 0, 12, 0, 0]), set(300, &[0; 64])]),
            "empty_template",
        ),
        (
            "NetFlow 9: a template that claims 65535 fields",
            message9(&[set(0, &[1, 44, 0xff, 0xff, 0, 8, 0, 4])]),
            "truncated",
        ),
        (
            "NetFlow 9: options that claim 65535 octets",
            message9(&[set(1, &[1, 44, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 4])]),
            "truncated",
        ),
        (
            "NetFlow 9: options of half a field",
            message9(&[set(1, &[1, 44, 0, 2, 0, 2, 0, 1, 0, 4])]),
            "options_length",
        ),
        (
            "NetFlow 9: options about nothing",
            message9(&[set(1, &[1, 44, 0, 0, 0, 4, 0, 82, 0, 4])]),
            "scope_count",
        ),
        (
            "NetFlow 9: a FlowSet of templates with an identifier of data",
            message9(&[set(255, &[1, 44, 0, 1, 0, 8, 0, 4])]),
            "reserved_set_id",
        ),
        ("NetFlow 9: half a header", message9(&[])[..11].to_vec(), "truncated"),
        (
            "NetFlow 5: 65535 records that are not there",
            [&[0, 5, 0xff, 0xff][..], &[0; 20 + 48 + 7]].concat(),
            "record_cut",
        ),
        (
            "NetFlow 5: more than its records",
            [&[0, 5, 0, 0][..], &[0; 20 + 48]].concat(),
            "message_length",
        ),
        (
            "NetFlow 7: one octet short of a record",
            [&[0, 7, 0, 1][..], &[0; 20 + 51]].concat(),
            "record_cut",
        ),
        ("NetFlow 5: half a header", vec![0, 5, 0, 30, 0, 0], "truncated"),
        (
            "a variable length beyond the record",
            message(
                1,
                0,
                &[
                    template_set(400, &[(82, 0xffff)]),
                    set(400, &[255, 0xff, 0xff, 1, 2, 3]),
                ],
            ),
            "record_cut",
        ),
    ]
}
