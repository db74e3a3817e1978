//! The seven keys with which every line begins, for monitoring that wants no element names: when, from which country, to
//! whose zone, and whether the connection suffered. What is not known, or means nothing for a record, is null.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use super::object::write_text;
use super::time::write_time;
use crate::metering::Records;
use crate::metering::record::FlowRecord;
use crate::metering::tcp::{MeasurementFlags, TcpDirection, TcpPerformance};
use crate::summaries::geo::Geo;

/// What the keys say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Head<'r> {
    pub start_ns: i64,
    pub end_ns: i64,
    /// Code of the country where the client's address is.
    pub client_country: Option<&'r str>,
    /// The registered domain of the server's name.
    pub server_zone: Option<&'r str>,
    pub blackholed: Option<bool>,
    pub bufferbloat: Option<bool>,
    pub non_idle_bps: Option<f64>,
}

impl<'r> Head<'r> {
    /// Of a flow, whose source is the client: it sent the first packet.
    pub fn of_flow(record: &FlowRecord, records: &Records, geo: Option<&'r Geo>) -> Self {
        // An Aggregated Flow has no source.
        let has_client = records.fold(record).is_none();
        let tcp = records.tcp(record);
        Self {
            start_ns: record.start_ns,
            end_ns: record.end_ns,
            client_country: geo.filter(|_| has_client).and_then(|geo| geo.country(record.key.src)),
            server_zone: None,
            blackholed: tcp.and_then(|tcp| blackholed(record, tcp)),
            bufferbloat: tcp.and_then(bufferbloat),
            non_idle_bps: tcp.and_then(non_idle_bps),
        }
    }

    /// Appends them as the beginning of an object.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        out.extend_from_slice(b"{\"start_timestamp\":\"");
        write_time(out, self.start_ns, b' ', 6);
        out.extend_from_slice(b"Z\",\"end_timestamp\":\"");
        write_time(out, self.end_ns, b' ', 6);
        out.extend_from_slice(b"Z\",\"client_country\":");
        text_or_null(out, self.client_country);
        out.extend_from_slice(b",\"server_zone\":");
        text_or_null(out, self.server_zone);
        out.extend_from_slice(b",\"blackholed\":");
        out.extend_from_slice(truth_or_null(self.blackholed));
        out.extend_from_slice(b",\"bufferbloat\":");
        out.extend_from_slice(truth_or_null(self.bufferbloat));
        out.extend_from_slice(b",\"non_idle_throughput_mbps\":");
        match self.non_idle_bps.filter(|bps| bps.is_finite()) {
            Some(bps) => {
                // To the bit a second.
                let _ = write!(out, "{}", bps.round() / 1e6);
            }
            None => out.extend_from_slice(b"null"),
        }
    }
}

fn text_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write_text(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

const fn truth_or_null(truth: Option<bool>) -> &'static [u8] {
    match truth {
        Some(true) => b"true",
        Some(false) => b"false",
        None => b"null",
    }
}

/// Whether either direction's data disappeared. Unknown where losses were not followed, and where only one direction was
/// seen to carry data: its acknowledgements are not there to tell.
fn blackholed(record: &FlowRecord, tcp: &TcpPerformance) -> Option<bool> {
    let [forward, reverse] = &tcp.directions;
    if forward.blackhole.is_some() || reverse.blackhole.is_some() {
        return Some(true);
    }
    let any = |flags| forward.flags.any(flags) || reverse.flags.any(flags);
    let has_only_syns = record.forward.packets <= u64::from(forward.syns);
    let is_unknown = any(MeasurementFlags::LOSSES_UNTRACKED) || (any(MeasurementFlags::ONE_SIDED) && !has_only_syns);
    (!is_unknown).then_some(false)
}

/// Of the direction that carried more: the other one hardly ever loads its path, and would leave nearly all unknown.
fn bufferbloat(tcp: &TcpPerformance) -> Option<bool> {
    let [forward, reverse] = &tcp.directions;
    match forward.bufferbloat == Some(true) || reverse.bufferbloat == Some(true) {
        true => Some(true),
        false => busier(tcp).bufferbloat,
    }
}

/// Likewise.
fn non_idle_bps(tcp: &TcpPerformance) -> Option<f64> {
    busier(tcp).non_idle_bps
}

fn busier(tcp: &TcpPerformance) -> &TcpDirection {
    let [forward, reverse] = &tcp.directions;
    match reverse.acknowledged_octets > forward.acknowledged_octets {
        true => reverse,
        false => forward,
    }
}

/// Longest name that DNS has in text, without its last dot (RFC 1035 section 2.3.4).
const MAX_NAME_OCTETS: usize = 253;

/// What somebody registered of the name that a client asked a server for, in lower case: `example.co.uk` of
/// `WWW.example.co.uk:8443`. None of an address, and of a name without a domain.
pub(super) fn zone<'n>(name: &[u8], room: &'n mut String) -> Option<&'n str> {
    let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
    // A host of HTTP may have a port behind it.
    let name = match name.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|octet| octet.is_ascii_digit()) => host,
        _ => name,
    };
    let name = name.trim_end_matches('.');
    let is_address = name.parse::<IpAddr>().is_ok()
        || name.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok()
        || name.contains(':');
    if is_address || name.is_empty() || name.len() > MAX_NAME_OCTETS {
        return None;
    }
    room.clear();
    room.push_str(name);
    room.make_ascii_lowercase();
    psl::domain_str(room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metering::tcp::BlackholeKind;

    fn zone_of(name: &str) -> Option<String> {
        zone(name.as_bytes(), &mut String::new()).map(str::to_owned)
    }

    #[test]
    fn the_zone_is_what_somebody_registered() {
        // By publicsuffix.org's list: `co.uk` and `github.io` are suffixes.
        for (name, zone) in [
            ("www.example.com", Some("example.com")),
            ("WWW.Example.CO.UK.", Some("example.co.uk")),
            ("a.b.example.co.uk:8443", Some("example.co.uk")),
            ("me.github.io", Some("me.github.io")),
            ("example.com", Some("example.com")),
            ("com", None),
            ("localhost", None),
            ("192.0.2.1", None),
            ("192.0.2.1:80", None),
            ("[2001:db8::1]:80", None),
            ("2001:db8::1", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(zone_of(name).as_deref(), zone, "{name}");
        }
        assert_eq!(zone(b"\xff\xfe.com", &mut String::new()), None);
        assert_eq!(zone_of(&"a.".repeat(200)), None);
    }

    #[test]
    fn the_keys_and_their_order_are_those_of_the_contract() {
        let mut out = Vec::new();
        let head = Head {
            start_ns: 1_767_225_622_230_380_999,
            end_ns: 1_767_225_683_000_000_000,
            client_country: Some("DE"),
            server_zone: Some("example.com"),
            blackholed: Some(false),
            bufferbloat: None,
            non_idle_bps: Some(12_345_678.4),
        };
        head.write(&mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "{\"start_timestamp\":\"2026-01-01 00:00:22.230380Z\",\"end_timestamp\":\"2026-01-01 00:01:23.000000Z\",\
             \"client_country\":\"DE\",\"server_zone\":\"example.com\",\"blackholed\":false,\"bufferbloat\":null,\
             \"non_idle_throughput_mbps\":12.345678"
        );
    }

    #[test]
    fn verdicts_are_of_either_direction_or_of_the_busier_one() {
        let one = |acknowledged_octets, bufferbloat, bps| TcpDirection {
            acknowledged_octets,
            bufferbloat,
            non_idle_bps: Some(bps),
            ..TcpDirection::default()
        };
        let tcp = |forward, reverse| TcpPerformance {
            directions: [forward, reverse],
            ..TcpPerformance::default()
        };
        let download = tcp(one(500, None, 1.0), one(9_000_000, Some(false), 2.0));
        assert_eq!(
            (bufferbloat(&download), non_idle_bps(&download)),
            (Some(false), Some(2.0))
        );
        let upload = tcp(one(9_000_000, None, 1.0), one(500, Some(false), 2.0));
        assert_eq!((bufferbloat(&upload), non_idle_bps(&upload)), (None, Some(1.0)));
        let bloated = tcp(one(9_000_000, None, 1.0), one(500, Some(true), 2.0));
        assert_eq!(bufferbloat(&bloated), Some(true));
    }

    #[test]
    fn a_blackhole_is_unknown_where_it_could_not_be_seen() {
        let mut record = crate::exporting::samples::tcp();
        let mut tcp = TcpPerformance::default();
        assert_eq!(blackholed(&record, &tcp), Some(false));
        tcp.directions[1].flags.insert(MeasurementFlags::LOSSES_UNTRACKED);
        assert_eq!(blackholed(&record, &tcp), None);
        tcp.directions[0].blackhole = Some(BlackholeKind::Syn);
        assert_eq!(blackholed(&record, &tcp), Some(true));
        // One SYN without an answer is none: it takes three.
        let mut tcp = TcpPerformance::default();
        tcp.directions[0].flags.insert(MeasurementFlags::ONE_SIDED);
        tcp.directions[0].syns = 1;
        record.forward.packets = 1;
        assert_eq!(blackholed(&record, &tcp), Some(false));
        record.forward.packets = 20;
        assert_eq!(blackholed(&record, &tcp), None);
    }
}
