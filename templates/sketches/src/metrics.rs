//! The closed list of metrics: one line is one metric, and everything else follows from it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a metric is, numbered as in summaryKind (enterprise element 129).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An exact sum.
    Counter = 1,
    /// How many different values there were.
    Cardinality = 2,
    /// How values are distributed.
    Quantiles = 3,
    /// Which values had the most weight.
    FrequentItems = 4,
}

impl Kind {
    /// The name in texts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Cardinality => "cardinality",
            Kind::Quantiles => "quantiles",
            Kind::FrequentItems => "frequent_items",
        }
    }
}

/// Where a metric's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Metered packets.
    Packet,
    /// DNS transactions.
    Transaction,
}

/// How an item of a list, or a counted value, is shown; sketches hash its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A plain number, or nothing.
    Number,
    /// An address in network order, 4 or 16 octets.
    Address,
    /// An unsigned number of 16 bits in network order: a port, a type or a code.
    Unsigned16,
    /// A DNS name.
    Name,
    /// Other text: a country's code of ISO 3166-1, an autonomous system as `AS64496`.
    Text,
}

impl Form {
    /// An item as people read it.
    pub fn text(self, octets: &[u8]) -> String {
        match (self, octets) {
            (Form::Address, octets) => match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
                (Ok(octets), _) => Ipv4Addr::from(octets).to_string(),
                (_, Ok(octets)) => Ipv6Addr::from(octets).to_string(),
                _ => String::from_utf8_lossy(octets).into_owned(),
            },
            (Form::Unsigned16, [high, low]) => u16::from_be_bytes([*high, *low]).to_string(),
            (_, octets) => String::from_utf8_lossy(octets).into_owned(),
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// As in summaryMetric (enterprise element 128).
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What feeds it.
    pub feed: Feed,
    /// What its values or items are.
    pub form: Form,
    /// Unit of its numbers.
    pub unit: &'static str,
}

macro_rules! metrics {
    ($($metric:ident $name:literal $kind:ident $feed:ident $form:ident $unit:literal;)*) => {
        /// Every metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Metric { $(#[doc = $name] $metric),* }

        impl Metric {
            /// In the order of the table.
            pub const ALL: &'static [Metric] = &[$(Metric::$metric),*];
            const ABOUT: &'static [About] = &[$(About {
                name: $name, kind: Kind::$kind, feed: Feed::$feed, form: Form::$form, unit: $unit,
            }),*];
        }
    };
}

metrics! {
    Packets             "packets"               Counter       Packet      Number     "packets";
    Octets              "octets"                Counter       Packet      Number     "octets";
    PacketsIn           "packets.in"            Counter       Packet      Number     "packets";
    OctetsIn            "octets.in"             Counter       Packet      Number     "octets";
    PacketsOut          "packets.out"           Counter       Packet      Number     "packets";
    OctetsOut           "octets.out"            Counter       Packet      Number     "octets";
    PacketsWithin       "packets.within"        Counter       Packet      Number     "packets";
    OctetsWithin        "octets.within"         Counter       Packet      Number     "octets";
    PacketsUnknown      "packets.unknown"       Counter       Packet      Number     "packets";
    OctetsUnknown       "octets.unknown"        Counter       Packet      Number     "octets";
    PacketsIpv4         "packets.ipv4"          Counter       Packet      Number     "packets";
    OctetsIpv4          "octets.ipv4"           Counter       Packet      Number     "octets";
    PacketsIpv6         "packets.ipv6"          Counter       Packet      Number     "packets";
    OctetsIpv6          "octets.ipv6"           Counter       Packet      Number     "octets";
    PacketsTcp          "packets.tcp"           Counter       Packet      Number     "packets";
    OctetsTcp           "octets.tcp"            Counter       Packet      Number     "octets";
    PacketsUdp          "packets.udp"           Counter       Packet      Number     "packets";
    OctetsUdp           "octets.udp"            Counter       Packet      Number     "octets";
    PacketsIcmp         "packets.icmp"          Counter       Packet      Number     "packets";
    OctetsIcmp          "octets.icmp"           Counter       Packet      Number     "octets";
    PacketsOther        "packets.other"         Counter       Packet      Number     "packets";
    OctetsOther         "octets.other"          Counter       Packet      Number     "octets";
    TcpSyn              "tcp.syn"               Counter       Packet      Number     "packets";
    TcpSynOctets        "tcp.syn.octets"        Counter       Packet      Number     "octets";
    TcpSynAck           "tcp.syn_ack"           Counter       Packet      Number     "packets";
    TcpSynAckOctets     "tcp.syn_ack.octets"    Counter       Packet      Number     "octets";
    TcpFin              "tcp.fin"               Counter       Packet      Number     "packets";
    TcpFinOctets        "tcp.fin.octets"        Counter       Packet      Number     "octets";
    TcpRst              "tcp.rst"               Counter       Packet      Number     "packets";
    TcpRstOctets        "tcp.rst.octets"        Counter       Packet      Number     "octets";
    TcpPsh              "tcp.psh"               Counter       Packet      Number     "packets";
    TcpPshOctets        "tcp.psh.octets"        Counter       Packet      Number     "octets";
    TcpUrg              "tcp.urg"               Counter       Packet      Number     "packets";
    TcpUrgOctets        "tcp.urg.octets"        Counter       Packet      Number     "octets";
    TcpEce              "tcp.ece"               Counter       Packet      Number     "packets";
    TcpEceOctets        "tcp.ece.octets"        Counter       Packet      Number     "octets";
    TcpCwr              "tcp.cwr"               Counter       Packet      Number     "packets";
    TcpCwrOctets        "tcp.cwr.octets"        Counter       Packet      Number     "octets";
    DnsTransactions     "dns.transactions"      Counter       Transaction Number     "transactions";
    DnsQueries          "dns.queries"           Counter       Transaction Number     "messages";
    DnsResponses        "dns.responses"         Counter       Transaction Number     "messages";
    DnsQueriesIn        "dns.queries.in"        Counter       Transaction Number     "messages";
    DnsResponsesIn      "dns.responses.in"      Counter       Transaction Number     "messages";
    DnsQueriesOut       "dns.queries.out"       Counter       Transaction Number     "messages";
    DnsResponsesOut     "dns.responses.out"     Counter       Transaction Number     "messages";
    DnsAnswered         "dns.answered"          Counter       Transaction Number     "transactions";
    DnsUnanswered       "dns.unanswered"        Counter       Transaction Number     "transactions";
    DnsTimedOut         "dns.timed_out"         Counter       Transaction Number     "transactions";
    DnsTimedOutIn       "dns.timed_out.in"      Counter       Transaction Number     "transactions";
    DnsTimedOutOut      "dns.timed_out.out"     Counter       Transaction Number     "transactions";
    DnsNoQuery          "dns.no_query"          Counter       Transaction Number     "transactions";
    DnsRetries          "dns.retries"           Counter       Transaction Number     "messages";
    DnsUdp              "dns.udp"               Counter       Transaction Number     "transactions";
    DnsTcp              "dns.tcp"               Counter       Transaction Number     "transactions";
    DnsIpv4             "dns.ipv4"              Counter       Transaction Number     "transactions";
    DnsIpv6             "dns.ipv6"              Counter       Transaction Number     "transactions";
    DnsNoError          "dns.noerror"           Counter       Transaction Number     "transactions";
    DnsNoData           "dns.nodata"            Counter       Transaction Number     "transactions";
    DnsNxDomain         "dns.nxdomain"          Counter       Transaction Number     "transactions";
    DnsServFail         "dns.servfail"          Counter       Transaction Number     "transactions";
    DnsRefused          "dns.refused"           Counter       Transaction Number     "transactions";
    DnsTruncated        "dns.truncated"         Counter       Transaction Number     "transactions";
    DnsAuthoritative    "dns.authoritative"     Counter       Transaction Number     "transactions";
    DnsAuthenticated    "dns.authenticated"     Counter       Transaction Number     "transactions";
    DnsCheckingDisabled "dns.checking_disabled" Counter       Transaction Number     "transactions";
    DnsQueryOctets      "dns.query_octets"      Counter       Transaction Number     "octets";
    DnsResponseOctets   "dns.response_octets"   Counter       Transaction Number     "octets";
    IpSrc               "ip.src"                Cardinality   Packet      Address    "addresses";
    IpDst               "ip.dst"                Cardinality   Packet      Address    "addresses";
    IpSrcIn             "ip.src.in"             Cardinality   Packet      Address    "addresses";
    IpDstOut            "ip.dst.out"            Cardinality   Packet      Address    "addresses";
    PortSrc             "port.src"              Cardinality   Packet      Unsigned16 "ports";
    PortDst             "port.dst"              Cardinality   Packet      Unsigned16 "ports";
    DnsQname            "dns.qname"             Cardinality   Transaction Name       "names";
    DnsClient           "dns.client"            Cardinality   Transaction Address    "addresses";
    PacketSize          "packet.size"           Quantiles     Packet      Number     "octets";
    PacketRate          "packet.rate"           Quantiles     Packet      Number     "packets/s";
    OctetRate           "octet.rate"            Quantiles     Packet      Number     "octets/s";
    PacketRateIn        "packet.rate.in"        Quantiles     Packet      Number     "packets/s";
    OctetRateIn         "octet.rate.in"         Quantiles     Packet      Number     "octets/s";
    PacketRateOut       "packet.rate.out"       Quantiles     Packet      Number     "packets/s";
    OctetRateOut        "octet.rate.out"        Quantiles     Packet      Number     "octets/s";
    DnsRate             "dns.rate"              Quantiles     Transaction Number     "transactions/s";
    DnsLatency          "dns.latency"           Quantiles     Transaction Number     "us";
    DnsLatencyIn        "dns.latency.in"        Quantiles     Transaction Number     "us";
    DnsLatencyOut       "dns.latency.out"       Quantiles     Transaction Number     "us";
    DnsRatio            "dns.ratio"             Quantiles     Transaction Number     "octets/octet";
    TopSrcPackets       "ip.src.packets"        FrequentItems Packet      Address    "packets";
    TopSrcOctets        "ip.src.octets"         FrequentItems Packet      Address    "octets";
    TopDstPackets       "ip.dst.packets"        FrequentItems Packet      Address    "packets";
    TopDstOctets        "ip.dst.octets"         FrequentItems Packet      Address    "octets";
    TopSrcPortPackets   "port.src.packets"      FrequentItems Packet      Unsigned16 "packets";
    TopSrcPortOctets    "port.src.octets"       FrequentItems Packet      Unsigned16 "octets";
    TopDstPortPackets   "port.dst.packets"      FrequentItems Packet      Unsigned16 "packets";
    TopDstPortOctets    "port.dst.octets"       FrequentItems Packet      Unsigned16 "octets";
    TopCountryPackets   "country.packets"       FrequentItems Packet      Text       "packets";
    TopCountryOctets    "country.octets"        FrequentItems Packet      Text       "octets";
    TopSystemPackets    "as.packets"            FrequentItems Packet      Text       "packets";
    TopSystemOctets     "as.octets"             FrequentItems Packet      Text       "octets";
    TopQname            "dns.qname.top"         FrequentItems Transaction Name       "queries";
    TopQname2           "dns.qname2.top"        FrequentItems Transaction Name       "queries";
    TopQname3           "dns.qname3.top"        FrequentItems Transaction Name       "queries";
    TopQnameOctets      "dns.qname.octets"      FrequentItems Transaction Name       "octets";
    TopQtype            "dns.qtype"             FrequentItems Transaction Unsigned16 "queries";
    TopRcode            "dns.rcode"             FrequentItems Transaction Unsigned16 "transactions";
    TopNxDomain         "dns.nxdomain.top"      FrequentItems Transaction Name       "transactions";
    TopServFail         "dns.servfail.top"      FrequentItems Transaction Name       "transactions";
    TopRefused          "dns.refused.top"       FrequentItems Transaction Name       "transactions";
    TopNoData           "dns.nodata.top"        FrequentItems Transaction Name       "transactions";
    TopSlow             "dns.slow.top"          FrequentItems Transaction Name       "us";
    TopClient           "dns.client.top"        FrequentItems Transaction Address    "queries";
    TopUdpPort          "dns.udp_port.top"      FrequentItems Transaction Unsigned16 "transactions";
    TopServerQueries    "dns.server.queries"    FrequentItems Transaction Address    "queries";
    TopServerResponses  "dns.server.responses"  FrequentItems Transaction Address    "responses";
    TopZoneQueries      "dns.zone.queries"      FrequentItems Transaction Name       "queries";
    TopZoneResponses    "dns.zone.responses"    FrequentItems Transaction Name       "responses";
    TopZoneNames        "dns.zone.names"        FrequentItems Transaction Name       "names";
    TopZoneClients      "dns.zone.clients"      FrequentItems Transaction Name       "clients";
}

impl Metric {
    /// Its line of the table.
    #[inline]
    pub const fn about(self) -> &'static About {
        &Metric::ABOUT[self as usize]
    }

    /// The metric with a name.
    pub fn by_name(name: &str) -> Option<Metric> {
        Metric::ALL.iter().copied().find(|metric| metric.about().name == name)
    }

    /// Those of one kind, in the order of the table.
    pub fn of_kind(kind: Kind) -> impl Iterator<Item = Metric> {
        Metric::ALL
            .iter()
            .copied()
            .filter(move |metric| metric.about().kind == kind)
    }
}
