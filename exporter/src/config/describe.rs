//! What a configuration comes to, for people who check one: the effective values of what has defaults and interplay.

use super::metering::Transactions;
use super::{Config, Destination, Source, duration};
use crate::limits;
use crate::metering::application::ProtocolSet;
use crate::metering::sampling::{Algorithm, Sampling};

impl Config {
    /// Lines about capture, metering and the API.
    pub fn describe(&self) -> Vec<String> {
        let api = self.api.map(|api| match api.is_required {
            true => format!("serves HTTP on {}", api.address),
            false => format!("serves HTTP on {} if that is free", api.address),
        });
        let lines = [self.describe_capture(), self.describe_metering()];
        lines.into_iter().chain(self.describe_sflow()).chain(api).collect()
    }

    fn describe_capture(&self) -> String {
        let capture = &self.capture;
        match &capture.source {
            Source::Files(files) => {
                let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
                format!("reads {}", files.join(", "))
            }
            Source::Live(interfaces) => format!(
                "captures from {}; {} worker{}, ring of {} KiB each, {} octets of a frame, then as user {}",
                interfaces.join(", "),
                capture.workers,
                if capture.workers == 1 { "" } else { "s" },
                capture.buffer / 1024,
                capture.snaplen,
                capture.user.as_deref().unwrap_or(crate::io::privileges::DEFAULT_USER),
            ),
        }
    }

    fn describe_metering(&self) -> String {
        let metering = &self.metering;
        let sampling = describe_sampling(metering.sampling);
        let whole = metering
            .sampling
            .selectors()
            .iter()
            .any(|selector| selector.keeps_flows_whole());
        let tcp = match (metering.tcp_performance, whole, metering.sampling) {
            (false, ..) => "off",
            (true, false, _) => "off, as packets are sampled",
            (true, true, Sampling::Adaptive) => "on while all packets are metered",
            (true, true, _) => "on",
        };
        let protocols = metering.applications.protocols;
        let mut names: Vec<&str> = match protocols {
            ProtocolSet::ALL => vec!["all"],
            _ => ProtocolSet::names()
                .filter(|name| ProtocolSet::place(name).is_some_and(|place| protocols.has(place)))
                .collect(),
        };
        if metering.applications.arp {
            names.push("arp");
        }
        if names.is_empty() {
            names.push("none");
        }
        format!(
            "meters {sampling}; idle timeout {}, active timeout {}, at most {} flows; TCP performance {tcp}; applications {}; \
             tunnels {}; DNS {}; summaries {}",
            duration::format(metering.idle_timeout),
            duration::format(metering.active_timeout),
            metering.max_flows.unwrap_or(limits::DEFAULT_MAX_FLOWS),
            names.join(", "),
            if metering.open_tunnels { "open" } else { "closed" },
            describe_dns(&metering.dns, whole),
            self.describe_summaries(),
        )
    }
}

impl Config {
    /// Where there is somebody to send to.
    fn describe_sflow(&self) -> Option<String> {
        if !self.exporting.to.iter().any(Destination::takes_samples) {
            return None;
        }
        let packets = match self.sflow.interval {
            Some(interval) => format!(
                "1 of {interval} packets at random, {} octets each",
                self.sflow.header_octets
            ),
            None => "no packets".to_owned(),
        };
        let counters = match self.sflow.polling {
            Some(polling) => format!("counters every {}", duration::format(polling)),
            None => "no counters".to_owned(),
        };
        Some(format!("samples for sFlow {packets}, and {counters}"))
    }

    fn describe_summaries(&self) -> String {
        let Some(window) = self.metering.summaries.window else {
            return "off".to_owned();
        };
        if !self.metering.summaries.are_exported {
            return format!("every {}, not exported", duration::format(window));
        }
        let export = self.exporting.summaries;
        format!(
            "every {}, at most {} octets a minute, {} images",
            duration::format(window),
            export.budget,
            if export.images { "with" } else { "without" },
        )
    }
}

fn describe_dns(dns: &Transactions, flows_are_whole: bool) -> String {
    match (dns.enabled, flows_are_whole) {
        (false, _) => "off".to_owned(),
        (true, false) => "off, as packets are sampled".to_owned(),
        (true, true) => {
            let answers = match dns.answers_interval {
                0 => "not read".to_owned(),
                interval => format!("of 1 in {interval}"),
            };
            format!("on, timeout {}, answers {answers}", duration::format(dns.timeout))
        }
    }
}

fn describe_sampling(sampling: Sampling) -> String {
    match sampling {
        Sampling::Everything | Sampling::Fixed(Algorithm::Everything) => "all packets".to_owned(),
        Sampling::Adaptive => "all packets, and fewer while the capture cannot keep up".to_owned(),
        Sampling::Fixed(Algorithm::Systematic { interval, space }) => {
            format!("{interval} of every {} packets", interval + space)
        }
        Sampling::Fixed(Algorithm::RandomOutOf { size, population }) => {
            format!("{size} of every {population} packets, at random")
        }
        Sampling::Fixed(Algorithm::Probability(probability)) => format!("each packet with probability {probability}"),
        Sampling::Fixed(Algorithm::Flows { interval }) => format!("1 of {interval} flows, with all their packets"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Origin, Setting};
    use super::*;

    fn described(pairs: &[(&'static str, &str)]) -> Vec<String> {
        let setting = |id: &str, value: &str| Setting {
            values: vec![value.to_owned()],
            origin: Origin::Flag(format!("--{id}")),
        };
        let settings = pairs.iter().map(|(id, value)| (*id, setting(id, value))).collect();
        Config::build(&settings).unwrap().describe()
    }

    #[test]
    fn defaults_and_what_follows_from_sampling_are_shown() {
        assert_eq!(
            described(&[
                ("interface", "eth0"),
                ("to", "json:-"),
                ("workers", "2"),
                ("sample", "1/100")
            ]),
            [
                "captures from eth0; 2 workers, ring of 4096 KiB each, 2048 octets of a frame, then as user nobody",
                "meters 1 of every 100 packets; idle timeout 15s, active timeout 1m, at most 1048576 flows; \
                 TCP performance off, as packets are sampled; applications all; tunnels open; \
                 DNS off; summaries off",
                "serves HTTP on 127.0.0.1:10853 if that is free",
            ]
        );
        let lines = described(&[
            ("dns", "on"),
            ("read", "a.pcap"),
            ("to", "json:-"),
            ("sample", "flow:1/8"),
            ("applications", "http,arp"),
            ("tunnels", "closed"),
            ("summaries", "10s"),
            ("summary_images", "off"),
        ]);
        assert_eq!(lines[0], "reads a.pcap");
        assert_eq!(lines.len(), 2, "no sFlow: {lines:?}");
        let lines_of_sflow = described(&[("read", "a.pcap"), ("to", "sflow://h"), ("sflow_sample", "1/7")]);
        assert_eq!(
            lines_of_sflow[2],
            "samples for sFlow 1 of 7 packets at random, 128 octets each, and counters every 30s"
        );
        assert!(
            lines[1].contains("1 of 8 flows, with all their packets; ")
                && lines[1].contains("TCP performance on; applications http, arp; tunnels closed")
                && lines[1].ends_with(
                    "DNS on, timeout 5s, answers of 1 in 16; summaries every 10s, at most 6800 octets a minute, without images"
                ),
            "{lines:?}"
        );
    }
}
