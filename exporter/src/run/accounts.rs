//! The account at the end: every packet and every record is in it, and the sums balance.

use std::fmt::Write as _;

use super::bounds;
use crate::capture::SourceCounters;
use crate::exporting::summaries::SummaryExportCounters;
use crate::exporting::{AccountsSnapshot, Loss};
use crate::metering::application::ApplicationCounters;
use crate::metering::dns::DnsCounters;
use crate::metering::tcp::TcpCounters;
use crate::metering::{FlowEndReason, MeterCounters};
use crate::sflow::SflowSnapshot;
use crate::summaries::SummaryCounters;
use crate::summaries::shared::SharedCounters;

/// What became of everything.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// One for the files, or one for each interface.
    pub metered: Vec<MeteringAccounts>,
    /// One for each destination.
    pub destinations: Vec<AccountsSnapshot>,
    /// Where there were summaries.
    pub summaries: Option<SummaryAccounts>,
    /// Where there was an agent of sFlow.
    pub sflow: Option<SflowSnapshot>,
    /// Whether packets came from files: then any loss is a failure.
    pub from_files: bool,
}

/// What became of the packets of one source.
#[derive(Clone, Debug, Default)]
pub struct MeteringAccounts {
    /// The interface, when it was live.
    pub interface: Option<String>,
    /// Packets and flows.
    pub meter: MeterCounters,
    /// DNS messages and transactions.
    pub dns: DnsCounters,
    /// TCP connections followed for performance.
    pub tcp: TcpCounters,
    /// What was recognised in payload.
    pub applications: ApplicationCounters,
    /// Frames.
    pub source: SourceCounters,
    /// Frames of each interface, when it was live.
    pub interfaces: Vec<(String, SourceCounters)>,
    /// Faults of the source; each was logged.
    pub faults: u64,
}

/// What became of summaries.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryAccounts {
    /// What the workers took in.
    pub counted: SummaryCounters,
    /// Windows of all workers.
    pub shared: SharedCounters,
    /// What left of them.
    pub exported: SummaryExportCounters,
}

impl SummaryAccounts {
    /// One line.
    fn line(&self) -> String {
        let (counted, exported) = (&self.counted, &self.exported);
        let mut text = format!(
            "summaries of {} packets and {} DNS transactions: {} windows closed, {} exported in {} records, at most {} octets",
            counted.packets,
            counted.transactions,
            self.shared.windows,
            exported.windows,
            exported.records,
            exported.octets,
        );
        for (count, what) in [
            (counted.late, "packets and transactions late"),
            (counted.too_late, "too late for any window"),
            (counted.closed_early, "windows closed early"),
            (self.shared.late_parts, "windows exported again for what came late"),
            (self.shared.dropped, "windows dropped before they were exported"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let left_out = [
            ("metrics", exported.metrics_left_out),
            ("rows", exported.rows_left_out),
            ("images", exported.images_left_out),
            ("images made coarser", exported.images_coarser),
        ];
        if left_out.iter().any(|(_, count)| *count > 0) {
            text.push_str(", left out for the budget");
            append_list(&mut text, left_out.into_iter().filter(|(_, count)| *count > 0));
        }
        text
    }
}

impl MeteringAccounts {
    /// What is known of a thread that panicked.
    pub(super) fn panicked() -> Self {
        tracing::error!("a metering thread has panicked; please report this");
        Self {
            faults: 1,
            ..Self::default()
        }
    }

    /// How its lines begin.
    fn name(&self) -> String {
        self.interface
            .as_ref()
            .map_or_else(String::new, |interface| format!("{interface}: "))
    }

    /// One line about bounds that were met, if any was.
    fn bounds_line(&self) -> Option<String> {
        let line = bounds::line(&self.meter, &self.tcp, &self.applications, &self.dns)?;
        Some(self.name() + &line)
    }

    /// One line about DNS, if there was any.
    fn dns_line(&self) -> Option<String> {
        let dns = &self.dns;
        if dns.messages == 0 {
            return None;
        }
        let mut text = self.name();
        let _ = write!(
            text,
            "{} DNS messages: {} queries, {} responses, {} not used",
            dns.messages,
            dns.queries + dns.multicast_queries,
            dns.responses,
            dns.faults_total()
        );
        append_list(&mut text, dns.faults_by_reason());
        let _ = write!(text, "; {} transactions", dns.opened);
        let ends = [
            ("answered", dns.answered),
            ("timed_out", dns.timed_out),
            ("evicted", dns.evicted),
            ("stopped", dns.stopped),
        ];
        append_list(&mut text, ends.into_iter().filter(|(_, count)| *count > 0));
        for (count, what) in [
            (dns.retries, "queries repeated"),
            (dns.without_query, "responses without query"),
            (dns.streams.gaps, "gaps in TCP"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        Some(text)
    }

    /// One line.
    fn line(&self) -> String {
        let counters = &self.meter;
        let mut text = self.name();
        let _ = write!(
            text,
            "{} packets seen, {} metered",
            counters.packets_seen, counters.packets_metered
        );
        let not_metered = counters.packets_not_metered();
        let _ = write!(text, ", {not_metered} not metered");
        append_list(&mut text, counters.not_metered_by_reason());
        for (count, what) in [
            (counters.copies, "seen on another interface before"),
            (counters.copies_forgotten, "forgotten too early to know a copy"),
            (counters.sampled_out, "sampled out"),
            (self.source.filtered, "filtered out"),
            (self.source.dropped_by_kernel, "dropped by the kernel"),
            (self.source.dropped_by_interface, "dropped by the interface"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        if self.interfaces.len() > 1 {
            let dropped = self.interfaces.iter().map(|(name, source)| (name.as_str(), source));
            append_list(
                &mut text,
                dropped
                    .map(|(name, source)| (name, source.dropped_by_kernel + source.dropped_by_interface))
                    .filter(|(_, count)| *count > 0),
            );
        }
        let _ = write!(
            text,
            "; {} flows, {} records",
            counters.flows_created,
            counters.records_total()
        );
        let reasons = FlowEndReason::ALL
            .iter()
            .map(|reason| (reason.as_str(), counters.records_for(*reason)));
        append_list(&mut text, reasons.filter(|(_, count)| *count > 0));
        text
    }
}

fn append_list<'l>(text: &mut String, counts: impl Iterator<Item = (&'l str, u64)>) {
    let list: Vec<_> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if !list.is_empty() {
        let _ = write!(text, " ({})", list.join(", "));
    }
}

impl Accounts {
    /// Lines for people: the packets of each source, then the records of each destination.
    pub fn lines(&self) -> Vec<String> {
        let sources = self
            .metered
            .iter()
            .flat_map(|source| [Some(source.line()), source.dns_line(), source.bounds_line()])
            .flatten();
        sources
            .chain(self.summaries.iter().map(SummaryAccounts::line))
            .chain(self.destinations.iter().map(AccountsSnapshot::to_string))
            .chain(self.sflow.iter().flat_map(SflowSnapshot::lines))
            .collect()
    }

    /// Whether something is missing that should be there.
    ///
    /// Live, what a full queue dropped and what was on its way when a connection broke is declared and goes on; records
    /// given up at the end, and any loss when reading files, are failures. What a protocol has no words for is as it was
    /// asked for.
    pub fn is_failure(&self) -> bool {
        let lost = |account: &AccountsSnapshot| {
            let given_up = Loss::ALL
                .iter()
                .zip(account.lost)
                .any(|(loss, records)| *loss == Loss::DrainTimeout && records > 0);
            let lost = account.lost_total() - account.lost_for(Loss::NotExpressible);
            given_up || account.failed || (self.from_files && lost > 0)
        };
        let of_sflow = |snapshot: &SflowSnapshot| snapshot.is_failure(self.from_files);
        self.metered.iter().any(|source| source.faults > 0)
            || self.destinations.iter().any(lost)
            || self.sflow.as_ref().is_some_and(of_sflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporting::{DestinationAccounts, Volume};

    fn metered() -> MeteringAccounts {
        let meter = MeterCounters {
            packets_seen: 10,
            packets_metered: 7,
            not_metered: std::array::from_fn(|fault| if fault == 3 { 3 } else { 0 }),
            flows_created: 2,
            records: [1, 0, 0, 1, 0],
            ..MeterCounters::default()
        };
        let source = SourceCounters {
            frames: 10,
            filtered: 5,
            ..SourceCounters::default()
        };
        MeteringAccounts {
            meter,
            source,
            ..MeteringAccounts::default()
        }
    }

    #[test]
    fn lines_name_every_reason() {
        let accounts = Accounts {
            metered: vec![metered()],
            destinations: Vec::new(),
            summaries: None,
            sflow: None,
            from_files: true,
        };
        assert_eq!(
            accounts.lines(),
            [
                "10 packets seen, 7 metered, 3 not metered (arp 3), 5 filtered out; 2 flows, 2 records (idle_timeout 1, forced_end 1)"
            ]
        );
        assert!(!accounts.is_failure());
    }

    #[test]
    fn dns_has_a_line_of_its_own_where_there_was_any() {
        let mut source = metered();
        assert_eq!(source.dns_line(), None);
        source.interface = Some("eth0".into());
        source.dns = DnsCounters {
            messages: 10,
            queries: 5,
            responses: 3,
            opened: 4,
            retries: 1,
            answered: 3,
            timed_out: 1,
            ..DnsCounters::default()
        };
        source.dns.faults[0] = 2;
        assert!(source.dns.is_balanced());
        assert_eq!(
            source.dns_line().unwrap(),
            "eth0: 10 DNS messages: 5 queries, 3 responses, 2 not used (header_cut 2); \
             4 transactions (answered 3, timed_out 1), 1 queries repeated"
        );
    }

    #[test]
    fn a_full_queue_is_a_failure_for_files_and_none_live() {
        let destination = DestinationAccounts::new("udp://h:1");
        destination.add_queued(1);
        destination.add_lost(
            1,
            Loss::QueueFull,
            Volume {
                flows: 1,
                ..Volume::default()
            },
        );
        let mut accounts = Accounts {
            metered: vec![metered()],
            destinations: vec![destination.snapshot()],
            summaries: None,
            sflow: None,
            from_files: false,
        };
        assert!(!accounts.is_failure());
        accounts.from_files = true;
        assert!(accounts.is_failure());
        accounts.from_files = false;
        destination.add_queued(1);
        destination.add_lost(
            1,
            Loss::DrainTimeout,
            Volume {
                flows: 1,
                ..Volume::default()
            },
        );
        accounts.destinations = vec![destination.snapshot()];
        assert!(accounts.is_failure());
    }

    #[test]
    fn what_a_protocol_has_no_words_for_is_no_failure() {
        let destination = DestinationAccounts::new("netflow5://h:1");
        let lose = |loss| {
            destination.add_queued(1);
            let volume = Volume {
                flows: 1,
                ..Volume::default()
            };
            destination.add_lost(1, loss, volume);
            Accounts {
                metered: vec![metered()],
                destinations: vec![destination.snapshot()],
                summaries: None,
                sflow: None,
                from_files: true,
            }
        };
        assert!(!lose(Loss::NotExpressible).is_failure());
        assert!(lose(Loss::Failed).is_failure());
    }
}
