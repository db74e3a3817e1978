//! What became less exact, or was left out, because a bound was met: every table, pool and cache of metering has one, and
//! none is met silently.

use std::fmt::Write as _;

use crate::metering::MeterCounters;
use crate::metering::application::ApplicationCounters;
use crate::metering::dns::DnsCounters;
use crate::metering::tcp::TcpCounters;

/// One line, if any bound was met.
pub(super) fn line(
    meter: &MeterCounters,
    tcp: &TcpCounters,
    applications: &ApplicationCounters,
    dns: &DnsCounters,
) -> Option<String> {
    let met = [
        (meter.flows_evicted, "flows ended early as the table was full"),
        (meter.flows_folded, "flows folded into aggregates"),
        (meter.packets_folded, "packets in aggregates"),
        (
            meter.packets_folded_together,
            "of them in aggregates of all destinations",
        ),
        (meter.fragments_timed_out, "fragments whose first one did not come"),
        (
            meter.fragments_displaced,
            "fragments given up for those of newer datagrams",
        ),
        (meter.vlan_tags_skipped, "VLAN tags beyond the second"),
        (tcp.trackers_refused, "TCP connections not followed for performance"),
        (tcp.losses_refused, "TCP directions whose losses were not followed"),
        (tcp.gaps_dropped, "gaps of TCP streams not followed"),
        (tcp.histograms_refused, "TCP quantiles made approximate"),
        (
            applications.readings_exhausted,
            "flows not read for applications, too many at once",
        ),
        (
            applications.memory_exhausted,
            "flows not read on for applications, out of memory",
        ),
        (applications.texts_cut, "texts of applications cut"),
        (dns.streams.evicted, "TCP streams of DNS given up for newer ones"),
        (dns.streams.memory_exhausted, "messages of such streams given up"),
        (dns.answers_left_out, "DNS answers left out"),
    ];
    let mut text = String::new();
    for (count, what) in met.into_iter().filter(|(count, _)| *count > 0) {
        let start = if text.is_empty() { "bounds met: " } else { ", " };
        let _ = write!(text, "{start}{count} {what}");
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_met_a_bound_and_nothing_else() {
        let mut meter = MeterCounters {
            packets_seen: 100,
            later_fragments: 3,
            fragments_joined: 3,
            ..MeterCounters::default()
        };
        let mut tcp = TcpCounters {
            trackers_created: 7,
            ..TcpCounters::default()
        };
        let (applications, dns) = (ApplicationCounters::default(), DnsCounters::default());
        assert_eq!(line(&meter, &tcp, &applications, &dns), None);
        meter.flows_evicted = 2;
        tcp.trackers_refused = 1;
        assert_eq!(
            line(&meter, &tcp, &applications, &dns).unwrap(),
            "bounds met: 2 flows ended early as the table was full, 1 TCP connections not followed for performance"
        );
    }
}
