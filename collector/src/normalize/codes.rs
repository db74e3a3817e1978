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
/// Counters that a device read.
pub const KIND_COUNTERS: u64 = 3;
/// What a record tells of.
pub const KINDS: Codes = &[(KIND_FLOW, "flow"), (KIND_DNS, "dns"), (KIND_COUNTERS, "counters")];

/// The flow itself asked a server of this name, over TLS.
pub const NAME_TLS: u64 = 1;
/// The flow itself asked for a host of this name, over HTTP.
pub const NAME_HTTP: u64 = 2;
/// The other end of the flow was told that the address is one of this name, over DNS.
pub const NAME_DNS: u64 = 3;
/// The other end of the flow asked the address for a server of this name before, over TLS.
pub const NAME_TLS_SEEN: u64 = 4;
/// Somebody else was told so, over DNS.
pub const NAME_DNS_OTHER: u64 = 5;
/// Somebody else asked so, over TLS.
pub const NAME_TLS_OTHER: u64 = 6;
/// Where the name of an address was seen.
pub const NAME_SOURCES: Codes = &[
    (NAME_TLS, "tls"),
    (NAME_HTTP, "http"),
    (NAME_DNS, "dns"),
    (NAME_TLS_SEEN, "tlsSeen"),
    (NAME_DNS_OTHER, "dnsOther"),
    (NAME_TLS_OTHER, "tlsOther"),
];

/// The application is the service that IANA lists for the port.
pub const APPLICATION_PORT: u64 = 1;
/// What an application was guessed from.
pub const APPLICATION_SOURCES: Codes = &[(APPLICATION_PORT, "port")];

/// Why a device discarded a packet: below 256 codes of ICMP unreachable (RFC 1812 section 5.2.7.1), above those of sFlow's
/// "Dropped Packet Notification Structures".
pub const DROP_REASONS: Codes = &[
    (0, "net_unreachable"),
    (1, "host_unreachable"),
    (2, "protocol_unreachable"),
    (3, "port_unreachable"),
    (4, "frag_needed"),
    (5, "src_route_failed"),
    (6, "dst_net_unknown"),
    (7, "dst_host_unknown"),
    (8, "src_host_isolated"),
    (9, "dst_net_prohibited"),
    (10, "dst_host_prohibited"),
    (11, "dst_net_tos_unreachable"),
    (12, "dst_host_tos_unreachable"),
    (13, "comm_admin_prohibited"),
    (14, "host_precedence_violation"),
    (15, "precedence_cutoff"),
    (256, "unknown"),
    (257, "ttl_exceeded"),
    (258, "acl"),
    (259, "no_buffer_space"),
    (260, "red"),
    (261, "traffic_shaping"),
    (262, "pkt_too_big"),
    (263, "src_mac_is_multicast"),
    (264, "vlan_tag_mismatch"),
    (265, "ingress_vlan_filter"),
    (266, "ingress_spanning_tree_filter"),
    (267, "port_list_is_empty"),
    (268, "port_loopback_filter"),
    (269, "blackhole_route"),
    (270, "non_ip"),
    (271, "uc_dip_over_mc_dmac"),
    (272, "dip_is_loopback_address"),
    (273, "sip_is_mc"),
    (274, "sip_is_loopback_address"),
    (275, "ip_header_corrupted"),
    (276, "ipv4_sip_is_limited_bc"),
    (277, "ipv6_mc_dip_reserved_scope"),
    (278, "ipv6_mc_dip_interface_local_scope"),
    (279, "unresolved_neigh"),
    (280, "mc_reverse_path_forwarding"),
    (281, "non_routable_packet"),
    (282, "decap_error"),
    (283, "overlay_smac_is_mc"),
    (284, "unknown_l2"),
    (285, "unknown_l3"),
    (286, "unknown_l3_exception"),
    (287, "unknown_buffer"),
    (288, "unknown_tunnel"),
    (289, "unknown_l4"),
    (290, "sip_is_unspecified"),
    (291, "mlag_port_isolation"),
    (292, "blackhole_arp_neigh"),
    (293, "src_mac_is_dmac"),
    (294, "dmac_is_reserved"),
    (295, "sip_is_class_e"),
    (296, "mc_dmac_mismatch"),
    (297, "sip_is_dip"),
    (298, "dip_is_local_network"),
    (299, "dip_is_link_local"),
    (300, "overlay_smac_is_dmac"),
    (301, "egress_vlan_filter"),
    (302, "uc_reverse_path_forwarding"),
    (303, "split_horizon"),
];

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
        for codes in [
            PROTOCOLS,
            KINDS,
            NAME_SOURCES,
            APPLICATION_SOURCES,
            DROP_REASONS,
            END_REASONS,
            DNS_RCODES,
            DNS_STATUS,
            TLS_VERSIONS,
        ] {
            assert!(codes.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (number, text) in codes {
                assert_eq!(label(codes, *number), Some(*text));
                assert_eq!(code(codes, &text.to_ascii_uppercase()), Some(*number));
            }
        }
        assert_eq!(label(PROTOCOLS, 255), None);
    }
}
