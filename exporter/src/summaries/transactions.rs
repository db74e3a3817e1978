//! What a window gathers of DNS transactions.

use flowgauge_templates::packet::protocol;

use super::combine::{Combined, CombinedNames, NamePlace, Place, Seen};
use super::limits::{COMBINED_ADDRESSES, COMBINED_NAMES, COMBINED_TYPES, SEEN_CLIENTS};
use super::metrics::Metric;
use super::networks::{Networks, Way, bits};
use super::sketch::Cardinality;
use super::window::Window;
use super::zones::Zone;
use crate::metering::dns::{DnsStatus, DnsTransaction};
use crate::metering::record::FlowEndReason;

/// The tables ahead of the sketches.
#[derive(Clone, Debug)]
pub(super) struct Dns {
    names: CombinedNames,
    clients: Combined,
    servers: Combined,
    types: Combined,
    codes: Combined,
    seen: Seen,
    /// Transactions from each UDP port; there are none before the first.
    udp_ports: Vec<u32>,
}

const PORTS: usize = 1 << 16;
/// Bits of the header's second pair of octets (RFC 1035 section 4.1.1, RFC 4035 section 3.2).
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const AUTHENTICATED: u16 = 0x0020;
const CHECKING_DISABLED: u16 = 0x0010;

impl Dns {
    pub fn new() -> Dns {
        Dns {
            names: CombinedNames::new(COMBINED_NAMES),
            clients: Combined::new(COMBINED_ADDRESSES),
            servers: Combined::new(COMBINED_ADDRESSES),
            types: Combined::new(COMBINED_TYPES),
            codes: Combined::new(COMBINED_TYPES),
            seen: Seen::new(SEEN_CLIENTS),
            udp_ports: Vec::new(),
        }
    }

    /// Counts a transaction. It comes in when we are asked, and goes out when we ask.
    pub fn count(&mut self, window: &mut Window, networks: &Networks, transaction: &DnsTransaction, name: &[u8]) {
        let has_query = transaction.status != DnsStatus::NoQuery;
        let has_response = transaction.status != DnsStatus::Unanswered;
        let queries = queries(transaction);
        // A response to none that was seen says that there was one all the same.
        let asked = queries.max(1);
        let [client, server] = [transaction.key.src, transaction.key.dst].map(bits);
        let way = networks.way(client, server);
        counters(window, transaction, way);
        let sink = |place: &Place| take_number(window, Metric::TopQtype, place);
        self.types.count(u128::from(transaction.qtype), 2, 0, [asked, 0], sink);
        self.codes(window, transaction, name);
        if let Some(latency_us) = transaction.latency_us {
            let metric = match way {
                Way::In => Metric::DnsLatencyIn,
                Way::Out => Metric::DnsLatencyOut,
                Way::Within | Way::Unknown => Metric::DnsLatency,
            };
            window.distribution(metric, latency_us as f32);
        }
        if let (Some(query), Some(response)) = (transaction.query_octets, transaction.response_octets)
            && query > 0
        {
            window.distribution(Metric::DnsRatio, f32::from(response) / f32::from(query));
        }
        let length = if transaction.key.src.is_ipv4() { 4 } else { 16 };
        if has_query {
            let sink = |place: &Place| take_client(window, place);
            self.clients.count(client, length, 0, [queries, 0], sink);
        }
        let messages = [queries, u64::from(has_response)];
        let sink = |place: &Place| take_server(window, place);
        self.servers.count(server, length, 0, messages, sink);
        if transaction.key.protocol == protocol::UDP {
            if self.udp_ports.is_empty() {
                self.udp_ports = vec![0; PORTS];
            }
            if let Some(count) = self.udp_ports.get_mut(usize::from(transaction.key.src_port)) {
                *count = count.saturating_add(1);
            }
        }
        let waited_us = u64::from(transaction.latency_us.unwrap_or(0));
        let octets = u64::from(transaction.response_octets.unwrap_or(0));
        self.name(window, name, [asked, waited_us, octets], client, messages);
    }

    fn codes(&mut self, window: &mut Window, transaction: &DnsTransaction, name: &[u8]) {
        let Some(code) = transaction.rcode else { return };
        let sink = |place: &Place| take_number(window, Metric::TopRcode, place);
        self.codes.count(u128::from(code), 2, 0, [1, 0], sink);
        let (counter, list) = match code {
            // RFC 2308 section 2.2: no error, and no answer.
            0 if transaction.answers == 0 => (Metric::DnsNoData, Some(Metric::TopNoData)),
            0 => (Metric::DnsNoError, None),
            2 => (Metric::DnsServFail, Some(Metric::TopServFail)),
            3 => (Metric::DnsNxDomain, Some(Metric::TopNxDomain)),
            5 => (Metric::DnsRefused, Some(Metric::TopRefused)),
            _ => return,
        };
        window.add(counter, 1);
        if counter == Metric::DnsNoData {
            window.add(Metric::DnsNoError, 1);
        }
        if let Some(list) = list {
            window.list(list, name, 1);
        }
    }

    #[inline]
    fn name(&mut self, window: &mut Window, name: &[u8], counts: [u64; 3], client: u128, messages: [u64; 2]) {
        let zones = window.zones_mut();
        let mut gone_name = None;
        let placed = self.names.count(
            name,
            counts,
            |zone| zones.hash(zone),
            |place| gone_name = Some(place.clone()),
        );
        let Some((place, is_new)) = placed else { return };
        let [queries, responses] = messages;
        if let Some(zone) = place.zone() {
            let mut gone_zones = Vec::new();
            let gone = |zone: Zone| gone_zones.push(zone);
            if let Some(mut in_zone) = zones.count(place.zone_hash(), zone, queries, responses, gone) {
                if is_new {
                    in_zone.name(name);
                }
                if queries > 0 && self.seen.is_new(place.zone_hash(), client) {
                    let octets = client.to_be_bytes();
                    // As other sketches of addresses: 4 octets of IPv4, without what the mapped form has ahead of them.
                    let is_mapped = client >> 32 == 0xffff;
                    in_zone.client(if is_mapped { &octets[12..] } else { &octets });
                }
            }
            for zone in gone_zones {
                take_zone(window, &zone);
            }
        }
        if let Some(place) = gone_name {
            take_name(window, &place);
        }
    }

    /// Empties the tables.
    pub fn close(mut self, window: &mut Window) {
        self.names.flush(|place| take_name(window, place));
        self.clients.flush(|place| take_client(window, place));
        self.servers.flush(|place| take_server(window, place));
        self.types.flush(|place| take_number(window, Metric::TopQtype, place));
        self.codes.flush(|place| take_number(window, Metric::TopRcode, place));
        for (port, count) in self.udp_ports.iter().enumerate().filter(|(_, count)| **count > 0) {
            window.list(Metric::TopUdpPort, &(port as u16).to_be_bytes(), u64::from(*count));
        }
        let zones: Vec<Zone> = window.zones().iter().cloned().collect();
        zones.iter().for_each(|zone| take_zone(window, zone));
        window.merge_into(Metric::DnsLatency, Metric::DnsLatencyIn);
        window.merge_into(Metric::DnsLatency, Metric::DnsLatencyOut);
    }
}

/// Queries of a transaction: the first, and each time that it came again.
fn queries(transaction: &DnsTransaction) -> u64 {
    match transaction.status {
        DnsStatus::NoQuery => 0,
        _ => 1 + u64::from(transaction.retries),
    }
}

fn counters(window: &mut Window, transaction: &DnsTransaction, way: Way) {
    use Metric::*;
    let queries = queries(transaction);
    let has_response = u64::from(transaction.status != DnsStatus::Unanswered);
    let timed_out =
        u64::from(transaction.status == DnsStatus::Unanswered && transaction.end_reason == FlowEndReason::IdleTimeout);
    for (metric, count) in [
        (DnsTransactions, 1),
        (DnsQueries, queries),
        (DnsResponses, has_response),
        (DnsTimedOut, timed_out),
    ] {
        window.add(metric, count);
    }
    let of_way = match way {
        Way::In => Some([DnsQueriesIn, DnsResponsesIn, DnsTimedOutIn]),
        Way::Out => Some([DnsQueriesOut, DnsResponsesOut, DnsTimedOutOut]),
        Way::Within | Way::Unknown => None,
    };
    for (metric, count) in of_way.into_iter().flatten().zip([queries, has_response, timed_out]) {
        window.add(metric, count);
    }
    let of_status = match transaction.status {
        DnsStatus::Answered => DnsAnswered,
        DnsStatus::Unanswered => DnsUnanswered,
        DnsStatus::NoQuery => DnsNoQuery,
    };
    let of_transport = match transaction.key.protocol {
        protocol::TCP => DnsTcp,
        _ => DnsUdp,
    };
    let of_version = match transaction.key.src.is_ipv4() {
        true => DnsIpv4,
        false => DnsIpv6,
    };
    for metric in [of_status, of_transport, of_version] {
        window.add(metric, 1);
    }
    window.add(DnsRetries, u64::from(transaction.retries));
    // A query that comes again is the same query.
    window.add(
        DnsQueryOctets,
        queries * u64::from(transaction.query_octets.unwrap_or(0)),
    );
    window.add(DnsResponseOctets, u64::from(transaction.response_octets.unwrap_or(0)));
    if has_response == 1 {
        for (bit, metric) in [
            (AUTHORITATIVE, DnsAuthoritative),
            (TRUNCATED, DnsTruncated),
            (AUTHENTICATED, DnsAuthenticated),
            (CHECKING_DISABLED, DnsCheckingDisabled),
        ] {
            window.add(metric, u64::from(transaction.flags & bit != 0));
        }
    }
}

fn take_client(window: &mut Window, place: &Place) {
    place.with(|item| {
        window.different(Metric::DnsClient, item);
        window.list(Metric::TopClient, item, place.counts[0]);
    });
}

fn take_server(window: &mut Window, place: &Place) {
    place.with(|item| {
        window.list(Metric::TopServerQueries, item, place.counts[0]);
        window.list(Metric::TopServerResponses, item, place.counts[1]);
    });
}

fn take_number(window: &mut Window, metric: Metric, place: &Place) {
    place.with(|item| window.list(metric, item, place.counts[0]));
}

fn take_name(window: &mut Window, place: &NamePlace) {
    let (name, [queries, waited_us, octets]) = (place.name(), place.counts());
    window.different(Metric::DnsQname, name);
    window.list(Metric::TopQname, name, queries);
    window.list(Metric::TopSlow, name, waited_us);
    window.list(Metric::TopQnameOctets, name, octets);
    if let Some(longer) = place.longer() {
        window.list(Metric::TopQname3, longer, queries);
    }
}

fn take_zone(window: &mut Window, zone: &Zone) {
    // As of names: a response to no query counts as one.
    window.list(Metric::TopQname2, zone.name.octets(), zone.asked);
    window.list(Metric::TopZoneQueries, zone.name.octets(), zone.queries);
    window.list(Metric::TopZoneResponses, zone.name.octets(), zone.responses);
    // For whoever gets lists only: different ones in this window, which add up over windows and hosts.
    let different = |sketch: &Cardinality| sketch.estimate().value.round() as u64;
    let [names, clients] = zone.sketches().map(different);
    window.list(Metric::TopZoneNames, zone.name.octets(), names);
    window.list(Metric::TopZoneClients, zone.name.octets(), clients);
}
