//! DNS transactions: what a record has picks its template, as with Flow Records; a line for each field.
//!
//! The answers of the deep sample are in up to three subTemplateLists (RFC 6313 section 4.5.2), one for each kind of
//! answer, since the records of one list share a template and an answer has an address or other data, not both.

use std::net::IpAddr;

use flowgauge_ie_registry::ids;
use flowgauge_templates::ipfix::value::ntp_octets;
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter, Resolution};

use crate::config::Times;
use crate::metering::Records;
use crate::metering::dns::{DnsTransaction, Subnet};

const VARIABLE: u16 = u16::MAX;
/// Every answer is there that was not left out for its length: all of them hold.
const SEMANTIC_ALL_OF: u8 = 3;

const fn field(element: flowgauge_ie_registry::ElementId, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(element, length)
}

/// The templates of answers, in the order of [`crate::metering::dns::DnsAnswers::lists`].
pub const ANSWER_FIELDS: [[FieldSpecifier; 4]; 3] = {
    const NAME: FieldSpecifier = field(ids::DNS_ANSWER_NAME, VARIABLE);
    const TYPE: FieldSpecifier = field(ids::DNS_ANSWER_TYPE, 2);
    const TTL: FieldSpecifier = field(ids::DNS_ANSWER_TTL, 4);
    [
        [NAME, TYPE, TTL, field(ids::DNS_ANSWER_IPV4_ADDRESS, 4)],
        [NAME, TYPE, TTL, field(ids::DNS_ANSWER_IPV6_ADDRESS, 16)],
        [NAME, TYPE, TTL, field(ids::DNS_ANSWER_DATA, VARIABLE)],
    ]
};

/// Which of the optional fields a transaction has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsVariant(u16);

const V6: u16 = 1;
const NANOSECONDS: u16 = 1 << 1;
const VLAN: u16 = 1 << 2;
const INNER_VLAN: u16 = 1 << 3;
const INTERFACE: u16 = 1 << 4;
const QUERY: u16 = 1 << 5;
const RESPONSE: u16 = 1 << 6;
const EDNS: u16 = 1 << 7;
const EXTENDED_ERROR: u16 = 1 << 8;
const SUBNET: u16 = 1 << 9;
const SELECTED: u16 = 1 << 10;
const ANSWERS: u16 = 1 << 11;
const ANSWER_KINDS: [u16; 3] = [1 << 12, 1 << 13, 1 << 14];
const ALL_ANSWERS: u16 = ANSWERS | ANSWER_KINDS[0] | ANSWER_KINDS[1] | ANSWER_KINDS[2];

impl DnsVariant {
    /// Bits of all variants.
    pub const VARIANTS: usize = 1 << 15;

    /// What a transaction has.
    pub fn of(transaction: &DnsTransaction, records: &Records, times: Times) -> DnsVariant {
        let key = &transaction.key;
        let answers = transaction.answer_lists.of(&records.dns_answers);
        let mut bits = 0;
        for (is_there, bit) in [
            (key.src.is_ipv6(), V6),
            (times == Times::Nanoseconds, NANOSECONDS),
            (key.vlan[0] != 0, VLAN),
            (key.vlan[1] != 0, INNER_VLAN),
            (key.interface != 0, INTERFACE),
            (transaction.query_octets.is_some(), QUERY),
            (transaction.response_octets.is_some(), RESPONSE),
            (transaction.edns.is_some(), EDNS),
            (transaction.extended_error.is_some(), EXTENDED_ERROR),
            (transaction.client_subnet.is_some(), SUBNET),
            (transaction.selector != 0, SELECTED),
            (answers.is_some(), ANSWERS),
        ] {
            bits |= if is_there { bit } else { 0 };
        }
        if let Some(answers) = answers {
            for (list, bit) in answers.lists.iter().zip(ANSWER_KINDS) {
                bits |= if list.length > 0 { bit } else { 0 };
            }
        }
        DnsVariant(bits)
    }

    /// The same without answers.
    #[must_use]
    pub fn without_answers(self) -> DnsVariant {
        DnsVariant(self.0 & !ALL_ANSWERS)
    }

    /// The lists of answers that there are.
    pub fn answer_kinds(self) -> impl Iterator<Item = usize> {
        ANSWER_KINDS
            .into_iter()
            .enumerate()
            .filter(move |(_, bit)| self.has(*bit))
            .map(|(kind, _)| kind)
    }

    const fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }
}

/// The fields of the template for `variant`, in the order in which [`write`] writes them.
pub fn fields(variant: DnsVariant) -> Vec<FieldSpecifier> {
    let v6 = variant.has(V6);
    let mut fields = vec![
        match v6 {
            true => field(ids::SOURCE_IPV6_ADDRESS, 16),
            false => field(ids::SOURCE_IPV4_ADDRESS, 4),
        },
        match v6 {
            true => field(ids::DESTINATION_IPV6_ADDRESS, 16),
            false => field(ids::DESTINATION_IPV4_ADDRESS, 4),
        },
        field(ids::SOURCE_TRANSPORT_PORT, 2),
        field(ids::DESTINATION_TRANSPORT_PORT, 2),
        field(ids::PROTOCOL_IDENTIFIER, 1),
        field(ids::IP_VERSION, 1),
    ];
    let optional: [(u16, &[FieldSpecifier]); 4] = [
        (VLAN, &[field(ids::DOT1Q_VLAN_ID, 2)]),
        (INNER_VLAN, &[field(ids::DOT1Q_CUSTOMER_VLAN_ID, 2)]),
        (INTERFACE, &[field(ids::INGRESS_INTERFACE, 4)]),
        (SELECTED, &[field(ids::SELECTOR_ID, 4)]),
    ];
    append(variant, &optional, &mut fields);
    fields.extend(match variant.has(NANOSECONDS) {
        true => [
            field(ids::FLOW_START_NANOSECONDS, 8),
            field(ids::FLOW_END_NANOSECONDS, 8),
        ],
        false => [
            field(ids::FLOW_START_MILLISECONDS, 8),
            field(ids::FLOW_END_MILLISECONDS, 8),
        ],
    });
    fields.extend([
        field(ids::FLOW_END_REASON, 1),
        field(ids::DNS_TRANSACTION_STATUS, 1),
        field(ids::DNS_QUERY_NAME, VARIABLE),
        field(ids::DNS_QUERY_TYPE, 2),
        field(ids::DNS_QUERY_CLASS, 2),
        field(ids::DNS_TRANSACTION_ID, 2),
        field(ids::DNS_RETRY_COUNT, 1),
    ]);
    let optional: [(u16, &[FieldSpecifier]); 8] = [
        (
            RESPONSE,
            &[
                field(ids::DNS_RESPONSE_CODE, 2),
                field(ids::DNS_FLAGS, 2),
                field(ids::DNS_ANSWER_COUNT, 2),
                field(ids::DNS_RESPONSE_OCTETS, 2),
            ],
        ),
        (QUERY, &[field(ids::DNS_QUERY_OCTETS, 2)]),
        (QUERY | RESPONSE, &[field(ids::DNS_RESPONSE_TIME_MICROSECONDS, 4)]),
        (EDNS, &[field(ids::DNS_EDNS_UDP_SIZE, 2), field(ids::DNS_EDNS_FLAGS, 2)]),
        (EXTENDED_ERROR, &[field(ids::DNS_EXTENDED_ERROR, 2)]),
        (SUBNET, &[field(ids::DNS_CLIENT_SUBNET, VARIABLE)]),
        (ANSWERS, &[field(ids::DNS_ANSWER_SAMPLING_INTERVAL, 4)]),
        (0, &[]),
    ];
    append(variant, &optional, &mut fields);
    fields.extend(variant.answer_kinds().map(|_| field(ids::SUB_TEMPLATE_LIST, VARIABLE)));
    fields
}

fn append(variant: DnsVariant, optional: &[(u16, &[FieldSpecifier])], fields: &mut Vec<FieldSpecifier>) {
    for (bits, group) in optional {
        if variant.has(*bits) {
            fields.extend_from_slice(group);
        }
    }
}

/// Every field that some variant has, and those of answers.
pub fn all_fields() -> impl Iterator<Item = FieldSpecifier> {
    let all = [fields(DnsVariant(u16::MAX)), fields(DnsVariant(0))];
    all.into_iter().flatten().chain(ANSWER_FIELDS.into_iter().flatten())
}

/// Appends the values of a transaction, which must be of `variant` or have more. `answers` are the numbers of the
/// templates of [`ANSWER_FIELDS`].
pub fn write(
    variant: DnsVariant,
    transaction: &DnsTransaction,
    records: &Records,
    answers: [u16; 3],
    w: &mut RecordWriter<'_>,
) {
    let key = &transaction.key;
    for address in [key.src, key.dst] {
        match (address, variant.has(V6)) {
            (IpAddr::V4(address), false) => w.ipv4(address),
            (IpAddr::V6(address), true) => w.ipv6(address),
            // Both are of one family, and the variant says which.
            (IpAddr::V4(address), true) => w.ipv6(address.to_ipv6_mapped()),
            (IpAddr::V6(_), false) => w.u32(0),
        }
    }
    w.u16(key.src_port);
    w.u16(key.dst_port);
    w.u8(key.protocol);
    w.u8(if variant.has(V6) { 6 } else { 4 });
    if variant.has(VLAN) {
        w.u16(key.vlan[0]);
    }
    if variant.has(INNER_VLAN) {
        w.u16(key.vlan[1]);
    }
    if variant.has(INTERFACE) {
        w.u32(key.interface);
    }
    if variant.has(SELECTED) {
        w.u32(transaction.selector);
    }
    for ns in [transaction.start_ns, transaction.end_ns] {
        match variant.has(NANOSECONDS) {
            true => w.array(ntp_octets(ns, Resolution::Nanoseconds)),
            false => w.milliseconds(ns),
        }
    }
    w.u8(transaction.end_reason as u8);
    w.u8(transaction.status as u8);
    w.variable(transaction.qname(records));
    w.u16(transaction.qtype);
    w.u16(transaction.qclass);
    w.u16(transaction.id);
    w.u8(transaction.retries);
    if variant.has(RESPONSE) {
        w.u16(transaction.rcode.unwrap_or_default());
        w.u16(transaction.flags);
        w.u16(transaction.answers);
        w.u16(transaction.response_octets.unwrap_or_default());
    }
    if variant.has(QUERY) {
        w.u16(transaction.query_octets.unwrap_or_default());
    }
    if variant.has(QUERY | RESPONSE) {
        w.u32(transaction.latency_us.unwrap_or_default());
    }
    if variant.has(EDNS) {
        let edns = transaction.edns.unwrap_or_default();
        w.u16(edns.udp_octets);
        w.u16(edns.flags);
    }
    if variant.has(EXTENDED_ERROR) {
        w.u16(transaction.extended_error.unwrap_or_default());
    }
    if let (true, Some(subnet)) = (variant.has(SUBNET), &transaction.client_subnet) {
        write_subnet(subnet, w);
    }
    let lists = transaction.answer_lists.of(&records.dns_answers);
    if let (true, Some(lists)) = (variant.has(ANSWERS), lists) {
        w.u32(lists.interval);
        for kind in variant.answer_kinds() {
            let (list, template) = (lists.lists.get(kind), answers.get(kind));
            let octets = list.map(|list| list.of(&records.octets)).unwrap_or_default();
            w.u8(255);
            w.u16((octets.len() + 3) as u16);
            w.u8(SEMANTIC_ALL_OF);
            w.u16(template.copied().unwrap_or_default());
            w.bytes(octets);
        }
    }
}

fn write_subnet(subnet: &Subnet, w: &mut RecordWriter<'_>) {
    use std::io::Write as _;
    let mut text = [0; Subnet::TEXT_OCTETS];
    let mut rest = &mut text[..];
    // The longest subnet fits.
    let _ = write!(rest, "{subnet}");
    let left = rest.len();
    w.variable(text.get(..Subnet::TEXT_OCTETS - left).unwrap_or_default());
}
