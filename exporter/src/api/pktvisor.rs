//! pktvisor's paths in pktvisor's shape, so that what reads it (its terminal client, its dashboards) reads this.
//!
//! There is one policy, `default`, with the handlers `default-net`, `default-dns` and `default-pcap_stats`; what pktvisor has
//! and nobody counts here is left out rather than set to 0.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::exposition::{Exposition, Kind as Family};
use super::parameters::{Parameters, number};
use super::problem::Problem;
use super::windows::{most_windows, numbered, with_open};
use super::{Api, Shared, metrics};
use crate::summaries::json::item;
use crate::summaries::limits::LIST_ROWS;
use crate::summaries::networks::bits;
use crate::summaries::shared::Rates;
use crate::summaries::{Metric, Networks, Summary, Window};

type Pairs = Query<Vec<(String, String)>>;

const POLICIES: [&str; 2] = ["__all", "default"];
const RANKS: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// One window in pktvisor's shape.
struct View<'w> {
    window: &'w Window,
    /// What is ours.
    networks: &'w Networks,
    /// What comes in a second now, if this is about now.
    live: Option<Rates>,
}

impl View<'_> {
    fn summary(&self, name: &str) -> Option<&Summary> {
        Metric::by_name(name).map(|metric| self.window.summary(metric))
    }

    fn counter(&self, name: &str) -> u64 {
        match self.summary(name) {
            Some(Summary::Counter(sum)) => *sum,
            _ => 0,
        }
    }

    fn cardinality(&self, name: &str) -> u64 {
        match self.summary(name) {
            Some(Summary::Cardinality(sketch)) => sketch.estimate().value.round() as u64,
            _ => 0,
        }
    }

    fn quantiles(&self, name: &str, scale: f64) -> Map<String, Value> {
        let found = match self.summary(name) {
            Some(Summary::Quantiles(sketch)) if sketch.weight() > 0 => sketch.estimates(&RANKS.map(|(_, rank)| rank)),
            _ => Vec::new(),
        };
        let values = found.iter().map(|estimate| (estimate.value * scale).round() as u64);
        RANKS
            .iter()
            .zip(values.chain(std::iter::repeat(0)))
            .map(|((name, _), value)| ((*name).to_owned(), value.into()))
            .collect()
    }

    fn rates(&self, name: &str, scale: f64, live: f64) -> Value {
        let mut rates = self.quantiles(name, scale);
        rates.insert("live".to_owned(), (live.round() as u64).into());
        rates.into()
    }

    /// The heaviest rows of a list, by what `label` makes of their items.
    fn top(&self, name: &str, label: impl Fn(&[u8], String) -> String) -> Value {
        let rows = match (Metric::by_name(name), self.summary(name)) {
            (Some(metric), Some(Summary::FrequentItems(list))) => {
                let form = metric.about().form;
                list.rows(LIST_ROWS)
                    .into_iter()
                    .map(|row| {
                        let octets = row.item.octets();
                        json!({ "estimate": row.weight, "name": label(octets, item(form, octets)) })
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        Value::Array(rows)
    }

    /// Addresses at either end of packets, but for our own.
    fn top_addresses(&self, is_wanted: fn(&IpAddr) -> bool) -> Value {
        let mut sums: Vec<(IpAddr, u64)> = Vec::new();
        for metric in [Metric::TopSrcPackets, Metric::TopDstPackets] {
            let Summary::FrequentItems(list) = self.window.summary(metric) else {
                continue;
            };
            for row in list.rows(LIST_ROWS * 10) {
                let Ok(address) = item(metric.about().form, row.item.octets()).parse() else {
                    continue;
                };
                if self.networks.contains(bits(address)) {
                    continue;
                }
                match sums.iter_mut().find(|(known, _)| *known == address) {
                    Some((_, sum)) => *sum += row.weight,
                    None if is_wanted(&address) => sums.push((address, row.weight)),
                    None => {}
                }
            }
        }
        sums.sort_by_key(|(address, sum)| (std::cmp::Reverse(*sum), *address));
        sums.truncate(LIST_ROWS);
        let rows = sums.into_iter();
        Value::Array(
            rows.map(|(address, sum)| json!({ "estimate": sum, "name": address.to_string() }))
                .collect(),
        )
    }

    fn period(&self) -> Value {
        let seconds = |ns: i64| ns.div_euclid(1_000_000_000);
        json!({
            "start_ts": seconds(self.window.start_ns),
            "length": seconds(self.window.end_ns) - seconds(self.window.start_ns),
        })
    }

    fn packets(&self) -> Value {
        let live = self.live.unwrap_or_default();
        let packets = self.counter("packets");
        // What comes now is known in sum only; the directions have their share of the window in it.
        let share = |part: &str, all: &str| match self.counter(all) {
            0 => 0.0,
            all => self.counter(part) as f64 / all as f64,
        };
        let flags = ["syn", "syn_ack", "fin", "rst"];
        let flags: Map<String, Value> = flags
            .iter()
            .map(|flag| ((*flag).to_owned(), self.counter(&format!("tcp.{flag}")).into()))
            .collect();
        json!({
            "total": packets,
            "events": packets,
            "deep_samples": packets,
            "filtered": 0,
            "in": self.counter("packets.in"),
            "out": self.counter("packets.out"),
            "unknown_dir": self.counter("packets.unknown") + self.counter("packets.within"),
            "ipv4": self.counter("packets.ipv4"),
            "ipv6": self.counter("packets.ipv6"),
            "tcp": self.counter("packets.tcp"),
            "udp": self.counter("packets.udp"),
            "other_l4": self.counter("packets.icmp") + self.counter("packets.other"),
            "protocol": { "tcp": flags },
            "cardinality": {
                "src_ips_in": self.cardinality("ip.src.in"),
                "dst_ips_out": self.cardinality("ip.dst.out"),
            },
            "payload_size": self.quantiles("packet.size", 1.0),
            "rates": {
                "pps_total": self.rates("packet.rate", 1.0, live.packets),
                "pps_in": self.rates("packet.rate.in", 1.0, live.packets * share("packets.in", "packets")),
                "pps_out": self.rates("packet.rate.out", 1.0, live.packets * share("packets.out", "packets")),
                "bps_in": self.rates("octet.rate.in", 8.0, live.octets * 8.0 * share("octets.in", "octets")),
                "bps_out": self.rates("octet.rate.out", 8.0, live.octets * 8.0 * share("octets.out", "octets")),
            },
            "top_ipv4": self.top_addresses(IpAddr::is_ipv4),
            "top_ipv6": self.top_addresses(IpAddr::is_ipv6),
            "top_geoLoc": self.top("country.packets", |_, text| text),
            "top_ASN": self.top("as.packets", |_, text| text),
            "period": self.period(),
        })
    }

    fn dns(&self) -> Value {
        // pktvisor counts messages, and we transactions, of which a message may be missing or may have come twice.
        let queries = self.counter("dns.queries");
        let replies = self.counter("dns.responses");
        let total = queries + replies;
        let transactions = self.counter("dns.udp") + self.counter("dns.tcp");
        let share = |name: &str| match transactions {
            0 => 0,
            all => (self.counter(name) as f64 * total as f64 / all as f64).round() as u64,
        };
        let live = self.live.unwrap_or_default();
        let suffix = |_: &[u8], name: String| format!(".{name}");
        let plain = |_: &[u8], text: String| text;
        // One list for both ways: it belongs to each of them that was waited for.
        let slow = |latency: &str| match self.summary(latency) {
            Some(Summary::Quantiles(sketch)) if sketch.weight() > 0 => self.top("dns.slow.top", plain),
            _ => Value::Array(Vec::new()),
        };
        json!({
            "wire_packets": {
                "total": total,
                "deep_samples": total,
                "events": total,
                "filtered": 0,
                "queries": queries,
                "replies": replies,
                "udp": share("dns.udp"),
                "tcp": share("dns.tcp"),
                "ipv4": share("dns.ipv4"),
                "ipv6": share("dns.ipv6"),
                "noerror": self.counter("dns.noerror"),
                "nodata": self.counter("dns.nodata"),
                "nxdomain": self.counter("dns.nxdomain"),
                "srvfail": self.counter("dns.servfail"),
                "refused": self.counter("dns.refused"),
            },
            "rates": { "total": self.rates("dns.rate", 1.0, live.transactions) },
            "cardinality": { "qname": self.cardinality("dns.qname") },
            "xact": {
                "counts": {
                    "total": self.counter("dns.answered"),
                    "timed_out": self.counter("dns.timed_out"),
                },
                "ratio": { "quantiles": self.quantiles("dns.ratio", 1.0) },
                "in": {
                    "total": self.counter("dns.responses.in"),
                    "quantiles_us": self.quantiles("dns.latency.in", 1.0),
                    "top_slow": slow("dns.latency.in"),
                },
                "out": {
                    "total": self.counter("dns.responses.out"),
                    "quantiles_us": self.quantiles("dns.latency.out", 1.0),
                    "top_slow": slow("dns.latency.out"),
                },
            },
            "top_qname2": self.top("dns.qname2.top", suffix),
            "top_qname3": self.top("dns.qname3.top", suffix),
            "top_nxdomain": self.top("dns.nxdomain.top", plain),
            "top_nodata": self.top("dns.nodata.top", plain),
            "top_refused": self.top("dns.refused.top", plain),
            "top_srvfail": self.top("dns.servfail.top", plain),
            "top_qtype": self.top("dns.qtype", |octets, text| type_name(octets).unwrap_or(text)),
            "top_rcode": self.top("dns.rcode", |octets, text| code_name(octets).map_or(text, str::to_owned)),
            "top_udp_ports": self.top("dns.udp_port.top", plain),
            "top_qname_by_resp_bytes": self.top("dns.qname.octets", plain),
            "period": self.period(),
        })
    }
}

fn pcap(shared: &Shared, view: &View<'_>) -> Value {
    let sources = shared.accounts.sources();
    json!({
        "os_drops": sources.iter().map(|source| source.source.dropped_by_kernel).sum::<u64>(),
        "if_drops": sources.iter().map(|source| source.source.dropped_by_interface).sum::<u64>(),
        "tcp_reassembly_errors": sources.iter().map(|source| source.dns.streams.gaps).sum::<u64>(),
        "period": view.period(),
    })
}

/// The mnemonic of a type, as in the registry of DNS parameters; `TYPE65280` where there is none (RFC 3597 section 5).
pub fn type_name(octets: &[u8]) -> Option<String> {
    let number = u16::from_be_bytes(octets.try_into().ok()?);
    match hickory_proto::rr::RecordType::from(number) {
        hickory_proto::rr::RecordType::Unknown(number) => Some(format!("TYPE{number}")),
        known => Some(known.to_string()),
    }
}

/// The name of a code, in pktvisor's words (SRVFAIL).
pub fn code_name(octets: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 11] = [
        "NOERROR", "FORMERR", "SRVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
        "NOTZONE",
    ];
    let code = u16::from_be_bytes(octets.try_into().ok()?);
    match code {
        16 => Some("BADVERS"),
        23 => Some("BADCOOKIE"),
        code => NAMES.get(usize::from(code)).copied(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Span {
    /// One window.
    Bucket,
    /// The newest ones in one.
    Window,
}

impl Span {
    fn name(self) -> &'static str {
        match self {
            Span::Bucket => "bucket",
            Span::Window => "window",
        }
    }
}

/// What a window gives, under its handlers or without them.
async fn answer(
    api: &Api,
    span: Span,
    n: &str,
    pairs: Vec<(String, String)>,
    by_policy: bool,
) -> Result<Response, Problem> {
    Parameters::new(pairs, &[])?;
    let shared = &*api.shared;
    let most = most_windows(shared.summaries()?);
    let n = match span {
        Span::Bucket => number("n", n, [0, most - 1])?,
        Span::Window => number("n", n, [1, usize::MAX])?.min(most),
    };
    let summaries = shared.with_open_window().await?;
    let key = format!("pktvisor {} {n} {by_policy}", span.name());
    shared.answers.of(&key, summaries, || {
        let window = match span {
            Span::Bucket => numbered(summaries, n)?,
            Span::Window => with_open(summaries, n).map_or_else(|| numbered(summaries, 0), Ok)?,
        };
        let is_now = span == Span::Window || n == 0;
        let view = View {
            window: &window,
            networks: &shared.networks,
            live: is_now.then(|| summaries.rates()),
        };
        let (packets, dns, pcap) = (view.packets(), view.dns(), pcap(shared, &view));
        Ok(match by_policy {
            true => json!({ "default": {
                "default-net": { "packets": packets },
                "default-dns": { "dns": dns },
                "default-pcap_stats": { "pcap": pcap },
            } }),
            false => {
                let minutes = if span == Span::Bucket { 1 } else { n };
                let mut handlers = json!({ "packets": packets, "dns": dns, "pcap": pcap });
                if span == Span::Bucket {
                    handlers["period"] = view.period();
                }
                json!({ format!("{minutes}m"): handlers })
            }
        })
    })
}

fn check_policy(policy: &str) -> Result<(), Problem> {
    match POLICIES.contains(&policy) {
        true => Ok(()),
        false => {
            Err(Problem::not_found(format!("no policy {policy}: there is one, default")).expecting(policy, POLICIES))
        }
    }
}

/// `/api/v1/metrics/app`
pub(super) async fn app(State(api): State<Api>) -> Json<Value> {
    let minutes = api.shared.started.elapsed().as_secs_f64() / 60.0;
    Json(json!({ "app": { "version": env!("CARGO_PKG_VERSION"), "up_time_min": minutes } }))
}

/// `/api/v1/metrics/rates`
pub(super) async fn rates(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let summaries = api.shared.with_open_window().await?;
    let live = summaries.rates();
    let open = summaries.open();
    let share = |metric: &str| match (&open, Metric::by_name(metric)) {
        (Some(window), Some(metric)) if window.counter(Metric::Packets) > 0 => {
            window.counter(metric) as f64 / window.counter(Metric::Packets) as f64
        }
        _ => 0.0,
    };
    let of = |metric: &str| (live.packets * share(metric)).round() as u64;
    Ok(Json(json!({ "packets": {
        "in": of("packets.in"),
        "out": of("packets.out"),
        "total": live.packets.round() as u64,
    } })))
}

/// `/api/v1/metrics/bucket/{n}`
pub(super) async fn bucket(
    State(api): State<Api>,
    Path(n): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    answer(&api, Span::Bucket, &n, pairs, false).await
}

/// `/api/v1/metrics/window/{n}`
pub(super) async fn window(
    State(api): State<Api>,
    Path(n): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    answer(&api, Span::Window, &n, pairs, false).await
}

/// `/api/v1/policies/{policy}/metrics/bucket/{n}`
pub(super) async fn policy_bucket(
    State(api): State<Api>,
    Path((policy, n)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    check_policy(&policy)?;
    answer(&api, Span::Bucket, &n, pairs, true).await
}

/// `/api/v1/policies/{policy}/metrics/window/{n}`
pub(super) async fn policy_window(
    State(api): State<Api>,
    Path((policy, n)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    check_policy(&policy)?;
    answer(&api, Span::Window, &n, pairs, true).await
}

/// `/api/v1/policies/{policy}/metrics/prometheus`: the newest closed window, or the one that is being filled before there is
/// one, under pktvisor's names. Gauges that end in `_total` are nothing for OpenMetrics: it is always the older format.
pub(super) async fn prometheus(State(api): State<Api>, Path(policy): Path<String>) -> Result<Response, Problem> {
    check_policy(&policy)?;
    let summaries = api.shared.with_open_window().await?;
    let window = summaries.closed(0).map_or_else(|| numbered(summaries, 0), Ok)?;
    let view = View {
        window: &window,
        networks: &api.shared.networks,
        live: Some(summaries.rates()),
    };
    let mut out = Exposition::new(false);
    for (module, name, value) in [
        ("default-net", "packets", view.packets()),
        ("default-dns", "dns", view.dns()),
        ("default-pcap_stats", "pcap", pcap(&api.shared, &view)),
    ] {
        flatten(&mut out, name, module, &value);
    }
    Ok(metrics::response(false, out.finish()))
}

/// One family for each number, quantile set and list; its name is the way to it.
fn flatten(out: &mut Exposition, name: &str, module: &str, value: &Value) {
    let help = "As pktvisor has it, of the newest window.";
    let labels = [("policy", "default"), ("module", module)];
    match value {
        Value::Number(number) => {
            out.family(name, Family::Gauge, "", help);
            out.sample(&labels, number);
        }
        Value::Object(object) if object.contains_key("p50") => {
            out.family(name, Family::Summary, "", help);
            for (key, rank) in RANKS {
                if let Some(value) = object.get(key) {
                    let labels = [labels[0], labels[1], ("quantile", &*rank.to_string())];
                    out.sample(&labels, value);
                }
            }
            if let Some(live) = object.get("live") {
                out.family(&format!("{name}_live"), Family::Gauge, "", help);
                out.sample(&labels, live);
            }
        }
        Value::Object(object) => {
            for (key, value) in object.iter().filter(|(key, _)| *key != "period") {
                flatten(out, &format!("{name}_{key}"), module, value);
            }
        }
        Value::Array(rows) => {
            out.family(name, Family::Gauge, "", help);
            for row in rows {
                if let (Some(item), Some(estimate)) = (row["name"].as_str(), row["estimate"].as_u64()) {
                    out.sample(&[labels[0], labels[1], (label_of(name), item)], estimate);
                }
            }
        }
        _ => {}
    }
}

/// What the rows of a list are.
fn label_of(name: &str) -> &'static str {
    match name.rsplit("top_").next().unwrap_or_default() {
        "ipv4" => "ipv4",
        "ipv6" => "ipv6",
        "geoLoc" => "geo_loc",
        "ASN" => "asn",
        "qtype" => "qtype",
        "rcode" => "rcode",
        "udp_ports" => "port",
        _ => "qname",
    }
}
