//! Labels of numbers that people write as words (protocols, response codes), for columns whose elements carry no code list.

/// Numbers and their labels, sorted by number.
pub type Codes = &'static [(u64, &'static str)];

/// IP protocol numbers people name in filters (IANA protocol numbers).
pub const PROTOCOLS: Codes = &[
    (0, "hopopt"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (17, "udp"),
    (27, "rdp"),
    (33, "dccp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmp6"),
    (88, "eigrp"),
    (89, "ospf"),
    (94, "ipencap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
    (137, "mpls"),
];

/// flowEndReason (IANA element 136).
pub const END_REASONS: Codes = &[
    (1, "idleTimeout"),
    (2, "activeTimeout"),
    (3, "endOfFlow"),
    (4, "forcedEnd"),
    (5, "lackOfResources"),
];

/// What a record tells of: a flow.
pub const KIND_FLOW: u64 = 1;
/// One DNS transaction.
pub const KIND_DNS: u64 = 2;
/// What a record tells of.
pub const KINDS: Codes = &[(KIND_FLOW, "flow"), (KIND_DNS, "dns")];

/// DNS response codes (IANA DNS parameters).
pub const DNS_RCODES: Codes = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

/// dnsTransactionStatus (flowgauge element 6).
pub const DNS_STATUS: Codes = &[(1, "answered"), (2, "unanswered"), (3, "responseWithoutQuery")];

/// TLS protocol versions as they stand in a ClientHello or ServerHello.
pub const TLS_VERSIONS: Codes = &[
    (0x0300, "SSLv3"),
    (0x0301, "TLSv1.0"),
    (0x0302, "TLSv1.1"),
    (0x0303, "TLSv1.2"),
    (0x0304, "TLSv1.3"),
];

/// The label of `code`.
pub fn label(codes: Codes, code: u64) -> Option<&'static str> {
    codes
        .binary_search_by_key(&code, |(number, _)| *number)
        .ok()
        .and_then(|at| codes.get(at))
        .map(|(_, text)| *text)
}

/// The code of `label`, whatever its case.
pub fn code(codes: Codes, label: &str) -> Option<u64> {
    codes
        .iter()
        .find(|(_, text)| text.eq_ignore_ascii_case(label))
        .map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_found_both_ways() {
        for codes in [PROTOCOLS, KINDS, END_REASONS, DNS_RCODES, DNS_STATUS, TLS_VERSIONS] {
            assert!(codes.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (number, text) in codes {
                assert_eq!(label(codes, *number), Some(*text));
                assert_eq!(code(codes, &text.to_ascii_uppercase()), Some(*number));
            }
        }
        assert_eq!(label(PROTOCOLS, 255), None);
    }
}
