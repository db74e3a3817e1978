//! The lines above the tables: rates, counts by protocol and direction, what DNS is doing, and of which time all that is.

use super::figures::Figures;

/// A number for people: 1234, 12.3k, 4.56M.
pub fn short(number: f64) -> String {
    let (scaled, unit) = match number {
        number if number >= 1e12 => (number / 1e12, "T"),
        number if number >= 1e9 => (number / 1e9, "G"),
        number if number >= 1e6 => (number / 1e6, "M"),
        number if number >= 1e4 => (number / 1e3, "k"),
        _ => return format!("{}", number.round()),
    };
    match scaled {
        scaled if scaled >= 100.0 => format!("{scaled:.0}{unit}"),
        scaled if scaled >= 10.0 => format!("{scaled:.1}{unit}"),
        scaled => format!("{scaled:.2}{unit}"),
    }
}

fn part(name: &str, part: u64, whole: u64) -> String {
    match whole {
        0 => format!("{name} {}", short(part as f64)),
        whole => format!(
            "{name} {} ({:.1}%)",
            short(part as f64),
            part as f64 * 100.0 / whole as f64
        ),
    }
}

const RANKS: [&str; 4] = ["p50", "p90", "p95", "p99"];

/// `1/2/3/4`, or dashes before there is anything.
fn quantiles(figures: &Figures<'_>, metric: &str, write: impl Fn(f64) -> String) -> String {
    let values = RANKS.map(|rank| figures.quantile(metric, rank).map_or_else(|| "-".to_owned(), &write));
    values.join("/")
}

fn live(figures: &Figures<'_>, name: &str) -> String {
    figures.rate(name).map_or_else(|| "-".to_owned(), short)
}

/// The lines, without the last part of those that are too long for the terminal.
pub fn lines(figures: &Figures<'_>) -> Vec<String> {
    let count = |metric| figures.counter(metric);
    let packets = count("packets");
    let with_direction = count("packets.in") + count("packets.out");
    let milliseconds = |us: f64| format!("{:.1}", us / 1000.0);
    let queries = count("dns.queries");
    let responses = count("dns.responses");
    let transactions = count("dns.udp") + count("dns.tcp");
    let mut lines = vec![
        [
            format!("Packets {}", short(packets as f64)),
            part("UDP", count("packets.udp"), packets),
            part("TCP", count("packets.tcp"), packets),
            part("other", count("packets.icmp") + count("packets.other"), packets),
            part("IPv4", count("packets.ipv4"), packets),
            part("IPv6", count("packets.ipv6"), packets),
            part("in", count("packets.in"), with_direction),
            part("out", count("packets.out"), with_direction),
        ]
        .join(" | "),
        [
            format!(
                "Packets/s {} now, {}",
                live(figures, "packets"),
                quantiles(figures, "packet.rate", short)
            ),
            format!("in {}", quantiles(figures, "packet.rate.in", short)),
            format!("out {}", quantiles(figures, "packet.rate.out", short)),
            format!("bit/s {} now", live(figures, "bits")),
            format!("octets/s {}", quantiles(figures, "octet.rate", short)),
            format!("octets a packet {}", quantiles(figures, "packet.size", short)),
        ]
        .join(" | "),
        [
            format!(
                "Addresses {} in, {} out, {} sources, {} destinations",
                figures.different("ip.src.in"),
                figures.different("ip.dst.out"),
                figures.different("ip.src"),
                figures.different("ip.dst"),
            ),
            format!("flows {} active", figures.account("flows_active")),
            format!("dropped {} by kernel", figures.account("dropped_by_kernel")),
            format!("{} by interface", figures.account("dropped_by_interface")),
            format!("records lost {}", figures.account("records_lost")),
        ]
        .join(" | "),
        [
            format!("DNS messages {}", short((queries + responses) as f64)),
            part("queries", queries, queries + responses),
            part("responses", responses, queries + responses),
            part("UDP", count("dns.udp"), transactions),
            part("TCP", count("dns.tcp"), transactions),
            part("IPv4", count("dns.ipv4"), transactions),
            part("IPv6", count("dns.ipv6"), transactions),
            format!("names {}", figures.different("dns.qname")),
        ]
        .join(" | "),
        [
            format!("DNS transactions {}", short(count("dns.answered") as f64)),
            format!(
                "{}/s now, {}",
                live(figures, "dns_transactions"),
                quantiles(figures, "dns.rate", short)
            ),
            part("unanswered", count("dns.unanswered"), queries),
            format!("ms in {}", quantiles(figures, "dns.latency.in", milliseconds)),
            format!("out {}", quantiles(figures, "dns.latency.out", milliseconds)),
            format!("all {}", quantiles(figures, "dns.latency", milliseconds)),
        ]
        .join(" | "),
        [
            part("DNS NOERROR", count("dns.noerror"), responses),
            part("SERVFAIL", count("dns.servfail"), responses),
            part("NXDOMAIN", count("dns.nxdomain"), responses),
            part("REFUSED", count("dns.refused"), responses),
            part("no data", count("dns.nodata"), responses),
        ]
        .join(" | "),
    ];
    if let Some((from, to, windows)) = figures.span() {
        lines.push(format!("Time {from} to {to}, {windows} windows"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_stay_short() {
        let written = [0.0, 9999.0, 12_345.0, 999_999.0, 1_234_567.0, 4.2e10].map(short);
        assert_eq!(written, ["0", "9999", "12.3k", "1000k", "1.23M", "42.0G"]);
    }
}
