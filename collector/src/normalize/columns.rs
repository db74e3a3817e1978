//! The ONE table of columns: it drives normalising, the store's schema, filters, completion and the reference.
//!
//! A new column is one line here. Its position is its [`ColumnId`] within one run only; the store writes names.

use std::collections::HashMap;
use std::sync::LazyLock;

use flowgauge_ie_registry::code_list;

use super::codes::{self, Codes};

/// What a column holds, which decides how it is stored, compared and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// Nanoseconds since 1970 UTC ([`super::row::Cell::Signed`]).
    Time,
    /// Nanoseconds ([`super::row::Cell::Signed`]).
    Duration,
    /// An address, IPv4 as v4-mapped IPv6 ([`super::row::Cell::Ip`]).
    Ip,
    /// An unsigned number ([`super::row::Cell::Number`]).
    Number,
    /// A floating-point number ([`super::row::Cell::Float`]).
    Float,
    /// Text ([`super::row::Cell::Text`]).
    Text,
    /// A MAC address ([`super::row::Cell::Mac`]).
    Mac,
    /// True or false ([`super::row::Cell::Bool`]).
    Bool,
}

impl ColumnKind {
    /// The name the API gives this kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Ip => "ip",
            Self::Number => "number",
            Self::Float => "float",
            Self::Text => "text",
            Self::Mac => "mac",
            Self::Bool => "bool",
        }
    }
}

/// How values of a column are put together when flows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Added up: counters.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Or-ed: flags.
    Or,
    /// Not put together: keys and attributes.
    None,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Name in filters, answers and the store.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Unit of the value, empty where there is none.
    pub unit: &'static str,
    /// Names of the information elements it comes from, the most exact first.
    pub elements: &'static [&'static str],
    /// How its values are put together.
    pub aggregation: Aggregation,
    /// Whether an inverted index is kept beside the column, for single values among many.
    pub indexed: bool,
    /// Labels of its numbers; see [`Column::label`].
    pub codes: Option<CodeSource>,
    /// Whether the store keeps it; the others are computed from those it keeps.
    pub stored: bool,
    /// One line for people.
    pub help: &'static str,
}

/// Where labels of numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeSource {
    /// Labels of our own, which win.
    pub own: Codes,
    /// A list of the element registry, empty for none.
    pub registry: &'static str,
}

/// A column's place in [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl ColumnId {
    /// The column itself.
    ///
    /// # Panics
    /// When the id does not come from [`column`] or a constant of [`id`].
    pub fn column(self) -> &'static Column {
        &COLUMNS[usize::from(self.0)]
    }
}

const fn plain(name: &'static str, kind: ColumnKind, elements: &'static [&'static str], help: &'static str) -> Column {
    Column {
        name,
        kind,
        unit: "",
        elements,
        aggregation: Aggregation::None,
        indexed: false,
        codes: None,
        stored: true,
        help,
    }
}

impl Column {
    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
    const fn sum(mut self) -> Self {
        self.aggregation = Aggregation::Sum;
        self
    }
    const fn put_together(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = aggregation;
        self
    }
    const fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }
    const fn codes(mut self, own: Codes, registry: &'static str) -> Self {
        self.codes = Some(CodeSource { own, registry });
        self
    }
    const fn computed(mut self) -> Self {
        self.stored = false;
        self
    }
    /// The label of a value of this column.
    pub fn label(&self, code: u64) -> Option<&'static str> {
        let source = self.codes?;
        codes::label(source.own, code).or_else(|| code_list(source.registry)?.label(code))
    }

    /// The value a label of this column stands for.
    pub fn code(&self, label: &str) -> Option<u64> {
        let source = self.codes?;
        codes::code(source.own, label).or_else(|| code_list(source.registry)?.code(label))
    }

    /// Every number with its label, sorted by number; empty for columns without labels.
    pub fn code_entries(&self) -> Codes {
        self.codes.map_or(&[], |source| source.entries())
    }
}

impl CodeSource {
    /// Every number with its label, sorted by number.
    pub fn entries(self) -> Codes {
        MERGED_CODES.get(&self.key()).map_or(&[], Vec::as_slice)
    }

    /// Every number with its label, sorted by number.
    pub fn iter(self) -> std::slice::Iter<'static, (u64, &'static str)> {
        self.entries().iter()
    }

    fn key(self) -> (usize, &'static str) {
        (self.own.as_ptr() as usize, self.registry)
    }

    fn merged(self) -> Vec<(u64, &'static str)> {
        let mut entries = std::collections::BTreeMap::new();
        entries.extend(
            code_list(self.registry)
                .into_iter()
                .flat_map(|list| list.entries)
                .copied(),
        );
        entries.extend(self.own.iter().copied());
        entries.into_iter().collect()
    }
}

/// Labels by source.
type MergedCodes = HashMap<(usize, &'static str), Vec<(u64, &'static str)>>;

/// Labels of each source, put together once.
static MERGED_CODES: LazyLock<MergedCodes> = LazyLock::new(|| {
    let sources = COLUMNS.iter().filter_map(|column| column.codes);
    sources.map(|source| (source.key(), source.merged())).collect()
});

macro_rules! columns {
    ($($constant:ident = $column:expr;)*) => {
        /// Every column, in the order people see them.
        pub static COLUMNS: &[Column] = &[$($column),*];

        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($constant),* }

        /// Constants of every column's id.
        pub mod id {
            use super::{ColumnId, Place};
            $(
                #[doc = concat!("See the line `", stringify!($constant), "` of the table.")]
                pub const $constant: ColumnId = ColumnId(Place::$constant as u16);
            )*
        }
    };
}

use ColumnKind::{Duration, Float, Ip, Mac, Number, Text, Time};

columns! {
    START = plain("start", Time, &[
        "flowStartNanoseconds", "flowStartMicroseconds", "flowStartMilliseconds", "flowStartDeltaMicroseconds", "flowStartSysUpTime",
        "flowStartSeconds", "observationTimeNanoseconds", "observationTimeMicroseconds", "observationTimeMilliseconds",
        "observationTimeSeconds",
    ], "when the first packet was seen").put_together(Aggregation::Min);
    END = plain("end", Time, &[
        "flowEndNanoseconds", "flowEndMicroseconds", "flowEndMilliseconds", "flowEndDeltaMicroseconds", "flowEndSysUpTime",
        "flowEndSeconds",
    ], "when the last packet was seen").put_together(Aggregation::Max).computed();
    DURATION = plain("duration", Duration, &["flowDurationMicroseconds", "flowDurationMilliseconds"],
        "end minus start").unit("ns");
    RECEIVED = plain("received", Time, &[], "when the collector received the record, in whole milliseconds");
    KIND = plain("kind", Number, &[], "what the record tells of: a flow, one DNS transaction, or counters of a device").codes(codes::KINDS, "");

    SRC_IP = plain("src.ip", Ip, &["sourceIPv4Address", "sourceIPv6Address"], "source address").indexed();
    DST_IP = plain("dst.ip", Ip, &["destinationIPv4Address", "destinationIPv6Address"], "destination address").indexed();
    SRC_PORT = plain("src.port", Number, &["sourceTransportPort", "udpSourcePort", "tcpSourcePort"], "source port").indexed();
    DST_PORT = plain("dst.port", Number, &["destinationTransportPort", "udpDestinationPort", "tcpDestinationPort"],
        "destination port").indexed();
    PROTO = plain("proto", Number, &["protocolIdentifier"], "IP protocol").codes(codes::PROTOCOLS, "protocol");
    IP_VERSION = plain("ip.version", Number, &["ipVersion"], "4 or 6");
    TOS = plain("tos", Number, &["ipClassOfService"], "type of service or traffic class octet of the source");
    REV_TOS = plain("rev.tos", Number, &["reverseIpClassOfService"],
        "type of service or traffic class octet of the destination");
    TTL_MIN = plain("ttl.min", Number, &["minimumTTL"], "smallest time to live seen from the source")
        .put_together(Aggregation::Min);
    TTL_MAX = plain("ttl.max", Number, &["maximumTTL"], "largest time to live seen from the source")
        .put_together(Aggregation::Max);
    REV_TTL_MIN = plain("rev.ttl.min", Number, &["reverseMinimumTTL"], "smallest time to live seen from the destination")
        .put_together(Aggregation::Min);
    REV_TTL_MAX = plain("rev.ttl.max", Number, &["reverseMaximumTTL"], "largest time to live seen from the destination")
        .put_together(Aggregation::Max);

    OCTETS = plain("octets", Number, &["octetDeltaCount", "octetTotalCount", "initiatorOctets", "layer2OctetDeltaCount"],
        "octets from source to destination, scaled by the sampling in force").unit("octets").sum();
    PACKETS = plain("packets", Number, &["packetDeltaCount", "packetTotalCount", "initiatorPackets"],
        "packets from source to destination, scaled by the sampling in force").unit("packets").sum();
    REV_OCTETS = plain("rev.octets", Number, &["reverseOctetDeltaCount", "reverseOctetTotalCount", "responderOctets"],
        "octets from destination to source, scaled by the sampling in force").unit("octets").sum();
    REV_PACKETS = plain("rev.packets", Number, &["reversePacketDeltaCount", "reversePacketTotalCount", "responderPackets"],
        "packets from destination to source, scaled by the sampling in force").unit("packets").sum();
    TCP_FLAGS = plain("tcp.flags", Number, &["tcpControlBits"], "TCP flags seen from the source, or-ed")
        .put_together(Aggregation::Or);
    REV_TCP_FLAGS = plain("rev.tcp.flags", Number, &["reverseTcpControlBits"], "TCP flags seen from the destination, or-ed")
        .put_together(Aggregation::Or);
    END_REASON = plain("end_reason", Number, &["flowEndReason"], "why the flow record ended").codes(codes::END_REASONS, "");

    EXPORTER_IP = plain("exporter.ip", Ip, &[], "address the record came from");
    EXPORTER_NAME = plain("exporter.name", Text, &[], "name of the exporter: as configured, else as it calls itself");
    EXPORTER_DOMAIN = plain("exporter.domain", Number, &[], "observation domain of the exporter");
    IN_IF = plain("in.if", Number, &["ingressInterface"], "index of the interface the packets came in by");
    IN_IF_NAME = plain("in.if.name", Text, &[], "name of the interface the packets came in by");
    OUT_IF = plain("out.if", Number, &["egressInterface"], "index of the interface the packets went out by");
    OUT_IF_NAME = plain("out.if.name", Text, &[], "name of the interface the packets went out by");
    VLAN = plain("vlan", Number, &["vlanId", "dot1qVlanId"], "VLAN id, the outer one of two");
    VLAN_INNER = plain("vlan.inner", Number, &["dot1qCustomerVlanId"], "VLAN id of the customer, the inner one of two");
    SRC_MAC = plain("src.mac", Mac, &["sourceMacAddress"], "source MAC address");
    DST_MAC = plain("dst.mac", Mac, &["destinationMacAddress"], "destination MAC address");
    SRC_AS = plain("src.as", Number, &["bgpSourceAsNumber"], "autonomous system of the source");
    DST_AS = plain("dst.as", Number, &["bgpDestinationAsNumber"], "autonomous system of the destination");
    SRC_AS_NAME = plain("src.as.name", Text, &[], "who runs the autonomous system of the source");
    DST_AS_NAME = plain("dst.as.name", Text, &[], "who runs the autonomous system of the destination");
    SRC_COUNTRY = plain("src.country", Text, &[], "country of the source, two letters");
    DST_COUNTRY = plain("dst.country", Text, &[], "country of the destination, two letters");
    SRC_CITY = plain("src.city", Text, &[], "city of the source");
    DST_CITY = plain("dst.city", Text, &[], "city of the destination");
    SRC_NET = plain("src.net", Text, &[], "name of the user's network the source is in");
    DST_NET = plain("dst.net", Text, &[], "name of the user's network the destination is in");
    SRC_NET_ROLE = plain("src.net.role", Text, &[], "role of the user's network the source is in");
    DST_NET_ROLE = plain("dst.net.role", Text, &[], "role of the user's network the destination is in");
    SRC_NET_SITE = plain("src.net.site", Text, &[], "site of the user's network the source is in");
    DST_NET_SITE = plain("dst.net.site", Text, &[], "site of the user's network the destination is in");
    SRC_NET_REGION = plain("src.net.region", Text, &[], "region of the user's network the source is in");
    DST_NET_REGION = plain("dst.net.region", Text, &[], "region of the user's network the destination is in");
    SRC_NET_TENANT = plain("src.net.tenant", Text, &[], "tenant of the user's network the source is in");
    DST_NET_TENANT = plain("dst.net.tenant", Text, &[], "tenant of the user's network the destination is in");
    SRC_NAME = plain("src.name", Text, &[], "name of the source, as it was seen in traffic").indexed();
    DST_NAME = plain("dst.name", Text, &[], "name of the destination, as it was seen in traffic").indexed();
    SRC_NAME_SOURCE = plain("src.name.source", Number, &[], "where the name of the source was seen").codes(codes::NAME_SOURCES, "");
    DST_NAME_SOURCE = plain("dst.name.source", Number, &[], "where the name of the destination was seen")
        .codes(codes::NAME_SOURCES, "");
    IN_VRF = plain("in.vrf", Number, &["ingressVRFID"], "number of the VRF the packets came in by");
    IN_VRF_NAME = plain("in.vrf.name", Text, &[], "name of the VRF the packets came in by");
    OUT_VRF = plain("out.vrf", Number, &["egressVRFID"], "number of the VRF the packets went out by");
    OUT_VRF_NAME = plain("out.vrf.name", Text, &[], "name of the VRF the packets went out by");
    SAMPLING = plain("sampling", Number, &[
        "samplingInterval", "samplerRandomInterval", "samplingPacketInterval", "samplingPacketSpace", "samplingSize",
        "samplingPopulation", "samplingProbability", "samplingTimeInterval", "samplingTimeSpace", "samplingFlowInterval",
        "samplingFlowSpacing", "hashOutputRangeMin", "hashOutputRangeMax", "hashSelectedRangeMin", "hashSelectedRangeMax",
    ], "one packet in so many was looked at, to the nearest whole number; absent when nothing said");
    RAW_OCTETS = plain("raw.octets", Number, &[], "octets as counted, where sampling multiplied them").unit("octets").sum();
    RAW_PACKETS = plain("raw.packets", Number, &[], "packets as counted, where sampling multiplied them")
        .unit("packets").sum();
    RAW_REV_OCTETS = plain("raw.rev.octets", Number, &[], "octets from the destination as counted, where sampling multiplied them")
        .unit("octets").sum();
    RAW_REV_PACKETS = plain("raw.rev.packets", Number, &[], "packets from the destination as counted, where sampling multiplied them")
        .unit("packets").sum();

    DROP_REASON = plain("drop.reason", Number, &[], "why the device discarded the packet").codes(codes::DROP_REASONS, "");
    NAT_SRC_IP = plain("nat.src.ip", Ip, &["postNATSourceIPv4Address", "postNATSourceIPv6Address"],
        "source address after translation").indexed();
    NAT_DST_IP = plain("nat.dst.ip", Ip, &["postNATDestinationIPv4Address", "postNATDestinationIPv6Address"],
        "destination address after translation").indexed();
    NAT_SRC_PORT = plain("nat.src.port", Number, &["postNAPTSourceTransportPort"], "source port after translation");
    NAT_DST_PORT = plain("nat.dst.port", Number, &["postNAPTDestinationTransportPort"], "destination port after translation");
    NAT_EVENT = plain("nat.event", Number, &["natEvent"], "what the translator did").codes(&[], "nat-event");
    NAT_PORT_FIRST = plain("nat.port.first", Number, &["portRangeStart"], "first port of a block given to the source");
    NAT_PORT_LAST = plain("nat.port.last", Number, &["portRangeEnd"], "last port of a block given to the source");
    FW_EVENT = plain("fw.event", Number, &["firewallEvent"], "what the firewall did").codes(&[], "firewall-event");
    FW_EVENT_EXT = plain("fw.event_ext", Number, &[], "why the firewall did it, by Cisco's numbers")
        .codes(&[], "cisco-firewall-event-extended");
    MPLS_LABELS = plain("mpls.labels", Text, &[
        "mplsTopLabelStackSection", "mplsLabelStackSection2", "mplsLabelStackSection3", "mplsLabelStackSection4",
        "mplsLabelStackSection5", "mplsLabelStackSection6", "mplsLabelStackSection7", "mplsLabelStackSection8",
        "mplsLabelStackSection9", "mplsLabelStackSection10", "mplsLabelStackSection",
    ], "MPLS labels, the top one first, with blanks between");
    SRV6_SEGMENT = plain("srv6.segment", Ip, &["srhActiveSegmentIPv6"], "active segment of SRv6");
    SRV6_LEFT = plain("srv6.left", Number, &["srhSegmentsIPv6Left"], "segments of SRv6 that are left");

    ICMP_TYPE = plain("icmp.type", Number, &["icmpTypeIPv4", "icmpTypeIPv6", "icmpTypeCodeIPv4", "icmpTypeCodeIPv6"], "ICMP type");
    ICMP_CODE = plain("icmp.code", Number, &["icmpCodeIPv4", "icmpCodeIPv6"], "ICMP code");
    REV_ICMP_TYPE = plain("rev.icmp.type", Number, &[
        "reverseIcmpTypeIPv4", "reverseIcmpTypeIPv6", "reverseIcmpTypeCodeIPv4", "reverseIcmpTypeCodeIPv6",
    ], "ICMP type of the answer");
    REV_ICMP_CODE = plain("rev.icmp.code", Number, &["reverseIcmpCodeIPv4", "reverseIcmpCodeIPv6"],
        "ICMP code of the answer");
    APP_NAME = plain("app.name", Text, &["applicationName"], "application").indexed();
    APP_NAME_SOURCE = plain("app.name.source", Number, &[], "what the application was guessed from; absent where the exporter named it")
        .codes(codes::APPLICATION_SOURCES, "");
    DNS_QNAME = plain("dns.qname", Text, &["dnsQueryName", "dnsName"], "name asked for").indexed();
    DNS_QTYPE = plain("dns.qtype", Number, &["dnsQueryType", "dnsQRType"], "type asked for").codes(&[], "dns-type");
    DNS_RCODE = plain("dns.rcode", Number, &["dnsResponseCode"], "response code, absent when unanswered")
        .codes(codes::DNS_RCODES, "dns-rcode");
    DNS_LATENCY = plain("dns.latency", Duration, &["dnsResponseTimeMicroseconds"], "time from query to response").unit("ns");
    DNS_STATUS = plain("dns.status", Number, &["dnsTransactionStatus"], "whether the query was answered")
        .codes(codes::DNS_STATUS, "flowgauge-dns-transaction-status");
    DNS_ZONE = plain("dns.zone", Text, &[], "what somebody registered of the name asked for, by the public suffix list");
    TLS_SNI = plain("tls.sni", Text, &["tlsServerName", "sslServerName"], "server name the client asked for").indexed();
    TLS_ALPN = plain("tls.alpn", Text, &["tlsApplicationProtocol"], "application protocol agreed on");
    TLS_VERSION = plain("tls.version", Number, &["tlsVersion"], "TLS version").codes(codes::TLS_VERSIONS, "tls-version");
    TLS_JA4 = plain("tls.ja4", Text, &["tlsClientFingerprintJa4"], "JA4 fingerprint of the client").indexed();
    HTTP_HOST = plain("http.host", Text, &["httpRequestHost", "httpHost"], "host asked for").indexed();
    HTTP_METHOD = plain("http.method", Text, &["httpRequestMethod"], "request method");
    HTTP_PATH = plain("http.path", Text, &["httpRequestTarget"], "request target");
    HTTP_STATUS = plain("http.status", Number, &["httpStatusCode"], "response status");
    QUIC_VERSION = plain("quic.version", Number, &["quicVersion"], "QUIC version").codes(&[], "quic-version");

    TCP_RTT_CLIENT = plain("tcp.rtt.client", Duration, &["tcpHandshakeRttClientMicroseconds"],
        "handshake round trip on the client's side").unit("ns");
    TCP_RTT_SERVER = plain("tcp.rtt.server", Duration, &["tcpHandshakeRttServerMicroseconds"],
        "handshake round trip on the server's side").unit("ns");
    TCP_RETRANSMITS = plain("tcp.retransmits", Number, &["tcpRetransmittedPacketDeltaCount"], "packets sent again by the source")
        .unit("packets").sum();
    TCP_OUT_OF_ORDER = plain("tcp.out_of_order", Number, &["tcpOutOfOrderPacketDeltaCount"], "packets of the source out of order")
        .unit("packets").sum();
    TCP_ZERO_WINDOW = plain("tcp.zero_window", Number, &["tcpZeroWindowDeltaCount"], "times the source closed its window").sum();
    TCP_NON_IDLE_BPS = plain("tcp.non_idle_bps", Float, &["tcpNonIdleThroughputBitsPerSecond"], "throughput while data was on its way")
        .unit("bit/s");
    TCP_BUFFERBLOAT = plain("tcp.bufferbloat", ColumnKind::Bool, &["tcpBufferbloat"],
        "round trips grew with the load, absent when unknown");
    TCP_BLACKHOLED = plain("tcp.blackholed", ColumnKind::Bool, &["tcpBlackholeKind"], "data vanished without an answer");
    TUNNEL_KIND = plain("tunnel.kind", Number, &["tunnelKind"], "kind of the tunnel around the flow")
        .codes(&[], "flowgauge-tunnel-kind");
    TUNNEL_ID = plain("tunnel.id", Number, &["tunnelIdentifier"], "identifier of the tunnel around the flow");
    TUNNEL_SRC_IP = plain("tunnel.src.ip", Ip, &["tunnelSourceIPv4Address", "tunnelSourceIPv6Address"],
        "outer source address");
    TUNNEL_DST_IP = plain("tunnel.dst.ip", Ip, &["tunnelDestinationIPv4Address", "tunnelDestinationIPv6Address"],
        "outer destination address");
}

static BY_NAME: LazyLock<HashMap<&'static str, ColumnId>> = LazyLock::new(|| {
    COLUMNS
        .iter()
        .zip(0u16..)
        .map(|(column, at)| (column.name, ColumnId(at)))
        .collect()
});

/// The column of this name, whatever its case.
pub fn column(name: &str) -> Option<ColumnId> {
    if let Some(found) = BY_NAME.get(name) {
        return Some(*found);
    }
    if name.len() > 64 || !name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return None;
    }
    BY_NAME.get(name.to_ascii_lowercase().as_str()).copied()
}

/// Every column with its id.
pub fn columns() -> impl Iterator<Item = (ColumnId, &'static Column)> {
    COLUMNS.iter().zip(0u16..).map(|(column, at)| (ColumnId(at), column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_names_agree() {
        assert_eq!(id::START.column().name, "start");
        assert_eq!(id::TUNNEL_DST_IP.column().name, "tunnel.dst.ip");
        assert_eq!(column("Src.IP"), Some(id::SRC_IP));
        assert_eq!(column("src.ipp"), None);
        for (at, column_) in columns() {
            assert_eq!(column(column_.name), Some(at), "{}", column_.name);
        }
    }

    #[test]
    fn every_element_feeds_one_column_only() {
        let mut seen = std::collections::HashSet::new();
        for column in COLUMNS {
            for element in column.elements {
                assert!(seen.insert(*element), "{element}");
            }
        }
    }

    #[test]
    fn every_element_is_in_the_registry() {
        let registry = flowgauge_ie_registry::Registry::builtin();
        let unknown: Vec<_> = COLUMNS
            .iter()
            .flat_map(|column| column.elements)
            .filter(|name| registry.by_name(name).is_none_or(|element| element.name != **name))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn labels_come_from_our_lists_and_the_registry() {
        assert_eq!(id::PROTO.column().code("TCP"), Some(6));
        assert_eq!(id::PROTO.column().label(6), Some("tcp"));
        assert_eq!(id::DNS_QTYPE.column().code("aaaa"), Some(28));
        assert_eq!(id::DNS_RCODE.column().label(3), Some("NXDOMAIN"));
        let columns = COLUMNS.iter().filter(|column| column.codes.is_some());
        for column in columns {
            let entries = column.code_entries();
            assert!(!entries.is_empty(), "{}", column.name);
            assert!(
                entries.iter().all(|(code, label)| column.label(*code) == Some(*label)),
                "{}",
                column.name
            );
        }
    }

    #[test]
    fn help_is_there_for_all() {
        assert!(COLUMNS.iter().all(|column| !column.help.is_empty()));
        assert!(
            COLUMNS
                .iter()
                .filter(|column| column.indexed)
                .all(|column| column.stored)
        );
    }
}
