//! `/metrics` in Prometheus' text format: one table of metrics, so that every one has its HELP and TYPE, and label sets are bounded.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flowgauge_sketches::Refusal;

use super::Api;
use crate::cli::logging::suppressed_lines;
use crate::io::dtls::Dropped;
use crate::io::relay::Outcome;
use crate::io::tcp::Ended;
use crate::limits::ACCOUNTS_IN_METRICS;
use crate::run::{ListenerCounters, Shared, accounts};

/// Text under construction.
#[derive(Default)]
pub(super) struct Exposition(String);

/// Labels of one sample: names and values.
type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: u64) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{escaped}\"", if at == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub(super) fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// The whole exposition.
pub fn text(shared: &Shared) -> String {
    let mut out = Exposition::default();
    out.family("flowgauge_collector_info", "gauge", "Version of the collector.");
    out.sample("flowgauge_collector_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.single(
        "flowgauge_collector_uptime_seconds",
        "gauge",
        "Time since the start.",
        shared.started.elapsed().as_secs(),
    );
    let ready = u64::from(shared.ready.load(Ordering::Acquire));
    out.single(
        "flowgauge_collector_ready",
        "gauge",
        "1 when every listener is bound and the store is open.",
        ready,
    );
    out.single(
        "flowgauge_collector_log_lines_suppressed_total",
        "counter",
        "Log lines left out because there were too many alike.",
        suppressed_lines(),
    );
    listeners(&mut out, shared);
    dtls_listeners(&mut out, shared);
    relays(&mut out, shared);
    exporters(&mut out, shared);
    ledger(&mut out, shared);
    store(&mut out, shared);
    summaries(&mut out, shared);
    super::alerts::metrics(&mut out, shared);
    out.0
}

fn listeners(out: &mut Exposition, shared: &Shared) {
    type Pick = fn(&ListenerCounters) -> Option<u64>;
    let families: [(&str, &str, &str, Pick); 9] = [
        (
            "datagrams_total",
            "counter",
            "Datagrams read from the kernel.",
            |counters| counters.datagrams().map(|udp| udp.datagrams.load(Ordering::Relaxed)),
        ),
        (
            "messages_total",
            "counter",
            "Messages read from streams and DTLS sessions.",
            |counters| counters.sessions().map(|tcp| tcp.messages.load(Ordering::Relaxed)),
        ),
        ("octets_total", "counter", "Octets read.", |counters| match counters {
            ListenerCounters::Udp(udp) => Some(udp.octets.load(Ordering::Relaxed)),
            ListenerCounters::Tcp(tcp) => Some(tcp.octets.load(Ordering::Relaxed)),
            ListenerCounters::Dtls(dtls) => Some(dtls.datagrams.octets.load(Ordering::Relaxed)),
        }),
        (
            "kernel_dropped_datagrams_total",
            "counter",
            "Datagrams the kernel dropped, its receive buffer being full.",
            |counters| counters.datagrams().map(|udp| udp.kernel_drops.load(Ordering::Relaxed)),
        ),
        (
            "queue_dropped_datagrams_total",
            "counter",
            "Datagrams dropped, the queue being full.",
            |counters| counters.datagrams().map(|udp| udp.queue_drops.load(Ordering::Relaxed)),
        ),
        ("read_errors_total", "counter", "Reads that failed.", |counters| {
            counters.datagrams().map(|udp| udp.read_errors.load(Ordering::Relaxed))
        }),
        (
            "receive_buffer_octets",
            "gauge",
            "Receive buffer the kernel granted.",
            |counters| {
                counters
                    .datagrams()
                    .map(|udp| udp.receive_buffer_octets.load(Ordering::Relaxed))
            },
        ),
        (
            "connections",
            "gauge",
            "Connections and DTLS sessions open now.",
            |counters| counters.sessions().map(|tcp| tcp.open.load(Ordering::Relaxed)),
        ),
        (
            "connections_total",
            "counter",
            "Connections and DTLS sessions accepted.",
            |counters| counters.sessions().map(|tcp| tcp.accepted.load(Ordering::Relaxed)),
        ),
    ];
    for (suffix, kind, help, pick) in families {
        let name = format!("flowgauge_collector_listener_{suffix}");
        out.family(&name, kind, help);
        for listener in &shared.listeners {
            if let Some(value) = pick(&listener.counters) {
                out.sample(&name, &[("listener", &listener.configured.to_string())], value);
            }
        }
    }
    let name = "flowgauge_collector_listener_connections_ended_total";
    out.family(name, "counter", "Connections ended, by reason.");
    for listener in &shared.listeners {
        if let Some(sessions) = listener.counters.sessions() {
            for reason in Ended::ALL {
                let labels = [
                    ("listener", &*listener.configured.to_string()),
                    ("reason", reason.as_str()),
                ];
                out.sample(name, &labels, sessions.ended(reason));
            }
        }
    }
}

/// What DTLS listeners count beside their datagrams and sessions; nothing where there is none.
fn dtls_listeners(out: &mut Exposition, shared: &Shared) {
    let listeners = || {
        shared.listeners.iter().filter_map(|listener| match &listener.counters {
            ListenerCounters::Dtls(dtls) => Some((listener.configured.to_string(), dtls)),
            _ => None,
        })
    };
    let name = "flowgauge_collector_listener_dtls_hellos_total";
    out.family(name, "counter", "ClientHellos that were asked for a cookie.");
    for (listener, dtls) in listeners() {
        out.sample(name, &[("listener", &listener)], dtls.hellos.load(Ordering::Relaxed));
    }
    let name = "flowgauge_collector_listener_dtls_dropped_total";
    out.family(
        name,
        "counter",
        "Datagrams and records that nothing was made of, by reason.",
    );
    for (listener, dtls) in listeners() {
        for reason in Dropped::ALL {
            let labels = [("listener", listener.as_str()), ("reason", reason.as_str())];
            out.sample(name, &labels, dtls.dropped(reason));
        }
    }
}

fn relays(out: &mut Exposition, shared: &Shared) {
    let name = "flowgauge_collector_relay_datagrams_total";
    out.family(
        name,
        "counter",
        "Copies of datagrams for other collectors, by what became of them.",
    );
    for relay in &shared.relays {
        let destination = relay.configured.to_string();
        for outcome in Outcome::ALL {
            let labels = [("destination", destination.as_str()), ("outcome", outcome.as_str())];
            out.sample(name, &labels, relay.counters.outcome(outcome));
        }
    }
    type Pick = fn(&crate::io::relay::RelayCounters) -> &AtomicU64;
    let families: [(&str, &str, &str, Pick); 3] = [
        ("octets_total", "counter", "Octets of the copies sent.", |relay| {
            &relay.octets
        }),
        (
            "refused_total",
            "counter",
            "Times a destination's host said that nobody listens there.",
            |relay| &relay.refused,
        ),
        (
            "waiting_octets",
            "gauge",
            "Octets of copies that wait to be sent.",
            |relay| &relay.waiting_octets,
        ),
    ];
    for (suffix, kind, help, pick) in families {
        let name = format!("flowgauge_collector_relay_{suffix}");
        out.family(&name, kind, help);
        for relay in &shared.relays {
            let labels = [("destination", &*relay.configured.to_string())];
            out.sample(&name, &labels, pick(&relay.counters).load(Ordering::Relaxed));
        }
    }
}

/// One series an account; those beyond the bound are summed under `exporter="other"`.
fn exporters(out: &mut Exposition, shared: &Shared) {
    let mut accounts: Vec<_> = shared
        .process()
        .ledger()
        .iter()
        .map(|(key, account)| (*key, account.clone()))
        .collect();
    accounts.sort_by_key(|(key, account)| (std::cmp::Reverse(account.datagrams), *key));
    type Pick = fn(&crate::collecting::Account) -> u64;
    let families: [(&str, &str, Pick); 9] = [
        (
            "datagrams_total",
            "Datagrams, or Messages of streams, received.",
            |account| account.datagrams,
        ),
        ("octets_total", "Octets received.", |account| account.octets),
        ("messages_total", "Messages with a sound header.", |account| {
            account.messages
        }),
        ("records_total", "Flow records received.", |account| account.records),
        ("options_records_total", "Options records received.", |account| {
            account.options_records
        }),
        (
            "sequence_lost",
            "Missing by sequence number, in what the protocol counts: records, or datagrams of NetFlow 9 and sFlow.",
            |account| account.sequence.lost,
        ),
        (
            "sequence_reordered_messages_total",
            "Messages out of order.",
            |account| account.sequence.reordered,
        ),
        (
            "sequence_duplicate_messages_total",
            "Messages received twice.",
            |account| account.sequence.duplicate,
        ),
        (
            "sets_without_template_total",
            "Sets given up for want of a template.",
            |account| account.sets_expired + account.sets_overflowed + account.sets_abandoned,
        ),
    ];
    let (named, others) = accounts.split_at(accounts.len().min(ACCOUNTS_IN_METRICS));
    for (suffix, help, pick) in families {
        let name = format!("flowgauge_collector_exporter_{suffix}");
        // Late Messages take sequence losses back, so that one is no counter.
        let kind = if !suffix.ends_with("_total") {
            "gauge"
        } else {
            "counter"
        };
        out.family(&name, kind, help);
        for (key, account) in named {
            let (address, domain) = (key.address.to_string(), key.domain.to_string());
            let labels = [
                ("exporter", &*address),
                ("domain", &*domain),
                ("protocol", key.protocol.as_str()),
            ];
            out.sample(&name, &labels, pick(account));
        }
        if !others.is_empty() {
            let labels = [("exporter", "other"), ("domain", ""), ("protocol", "")];
            out.sample(&name, &labels, others.iter().map(|(_, account)| pick(account)).sum());
        }
    }
}

fn ledger(out: &mut Exposition, shared: &Shared) {
    let accounts = accounts(shared);
    let sum = &accounts.totals.sum;
    out.single(
        "flowgauge_collector_records_received_total",
        "counter",
        "Flow records received.",
        sum.records,
    );
    out.single(
        "flowgauge_collector_records_stored_total",
        "counter",
        "Flow records durable and searchable.",
        accounts.stored(),
    );
    out.single(
        "flowgauge_collector_records_waiting",
        "gauge",
        "Flow records decoded and not yet committed.",
        accounts.waiting(),
    );
    let name = "flowgauge_collector_records_lost_total";
    out.family(name, "counter", "Flow records received and not stored, by reason.");
    out.sample(name, &[("reason", "store_error")], accounts.store.rows_lost);
    let name = "flowgauge_collector_errors_total";
    out.family(name, "counter", "Faults in what was received, by kind.");
    for (kind, count) in &accounts.totals.errors {
        out.sample(name, &[("kind", kind)], *count);
    }
    out.single(
        "flowgauge_collector_sets_waiting",
        "gauge",
        "Sets waiting for their template.",
        accounts.totals.sets_waiting,
    );
    let balanced = u64::from(accounts.balanced());
    out.single(
        "flowgauge_collector_ledger_balanced",
        "gauge",
        "1 when every sum of the ledger holds.",
        balanced,
    );
    let counters = shared.process().counters();
    let normalizing = &counters.normalizing;
    let name = "flowgauge_collector_normalizing_total";
    out.family(
        name,
        "counter",
        "Rows and values that could not be taken as they were, by kind.",
    );
    for (kind, count) in [
        ("times_from_export", normalizing.times_from_export),
        ("times_without_uptime", normalizing.times_without_uptime),
        ("times_reversed", normalizing.times_reversed),
        ("rows_scaled", normalizing.rows_scaled),
        ("rates_unknown", normalizing.rates_unknown),
        ("values_mistyped", normalizing.values_mistyped),
        ("values_cut", normalizing.values_cut),
        ("record_numberers_forgotten", counters.record_numberers_forgotten),
        ("options_overflowed", counters.options_overflowed),
        ("counter_sources_overflowed", counters.counter_sources_overflowed),
        ("counter_resets", counters.counter_resets),
    ] {
        out.sample(name, &[("kind", kind)], count);
    }
    super::enrichment::enrichment(out, shared);
    let sessions = shared.process().sessions() as u64;
    out.single(
        "flowgauge_collector_sessions",
        "gauge",
        "Transport sessions open.",
        sessions,
    );
    let name = "flowgauge_collector_sessions_ended_total";
    out.family(name, "counter", "Transport sessions ended, by reason.");
    for (reason, count) in [
        ("evicted", counters.sessions_evicted),
        ("idle", counters.sessions_idle),
        ("closed", counters.sessions_closed),
    ] {
        out.sample(name, &[("reason", reason)], count);
    }
    out.single(
        "flowgauge_collector_queue_octets",
        "gauge",
        "Octets between receiving and indexing.",
        shared.queue.octets(),
    );
    out.single(
        "flowgauge_collector_queue_limit_octets",
        "gauge",
        "Octets the queue may hold.",
        shared.queue.limit_octets(),
    );
    journal(out, shared);
}

fn journal(out: &mut Exposition, shared: &Shared) {
    let Some(journal) = &shared.journal else { return };
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (suffix, kind, help, value) in [
        (
            "entries_total",
            "counter",
            "Datagrams and Messages journaled.",
            read(&journal.entries),
        ),
        (
            "octets_total",
            "counter",
            "Octets written to the journal.",
            read(&journal.octets),
        ),
        (
            "held_octets",
            "gauge",
            "Octets that the journal holds on disk.",
            read(&journal.held_octets),
        ),
        (
            "limit_octets",
            "gauge",
            "Octets that the journal may hold.",
            shared.config.journal_octets,
        ),
        (
            "waiting_octets",
            "gauge",
            "Octets in the journal that are not indexed yet.",
            shared.journal_waiting_octets(),
        ),
        (
            "full_total",
            "counter",
            "Times that the journal became full and nothing was taken.",
            read(&journal.times_full),
        ),
        (
            "write_errors_total",
            "counter",
            "Writes to the journal that failed and were tried again.",
            read(&journal.write_errors),
        ),
        (
            "sync_errors_total",
            "counter",
            "Attempts to make the journal durable that failed.",
            read(&journal.sync_errors),
        ),
        (
            "damaged_total",
            "counter",
            "Damaged places in the journal, passed over.",
            read(&shared.journal_damaged),
        ),
    ] {
        out.single(&format!("flowgauge_collector_journal_{suffix}"), kind, help, value);
    }
}

fn store(out: &mut Exposition, shared: &Shared) {
    let (status, counters) = (shared.store.status(), shared.store.counters());
    for (suffix, kind, help, value) in [
        ("rows", "gauge", "Rows that can be found.", status.rows),
        ("octets", "gauge", "Octets on disk.", status.octets),
        ("partitions", "gauge", "Partitions.", status.partitions),
        ("segments", "gauge", "Segments.", status.segments),
        ("commits_total", "counter", "Segments written.", counters.commits),
        (
            "commit_errors_total",
            "counter",
            "Tries to write a segment that failed.",
            counters.commit_errors,
        ),
        ("merges_total", "counter", "Merges done.", counters.merges),
        (
            "merge_errors_total",
            "counter",
            "Merges that failed.",
            counters.merge_errors,
        ),
        (
            "rollup_rows_total",
            "counter",
            "Rows that went into rollups.",
            counters.rollup_rows,
        ),
        (
            "rollup_rows_without_time_total",
            "counter",
            "Rows in rollups whose time cannot be believed.",
            counters.rollup_rows_without_time,
        ),
        (
            "rollup_rows_missed_total",
            "counter",
            "Rows that are in no rollup, because it could not be written.",
            counters.rollup_rows_missed,
        ),
        (
            "rollup_merges_total",
            "counter",
            "Files of rollups made of others.",
            counters.rollup_merges,
        ),
        (
            "rollup_merge_errors_total",
            "counter",
            "Merges of rollups that failed.",
            counters.rollup_merge_errors,
        ),
        (
            "rollups_removed_total",
            "counter",
            "Files of rollups removed by retention.",
            counters.rollups_removed,
        ),
        (
            "rollups_damaged_total",
            "counter",
            "Parts of rollups that could not be read.",
            counters.rollups_damaged,
        ),
        (
            "rollup_octets",
            "gauge",
            "Octets of rollups on disk.",
            status.rollup_octets.iter().sum(),
        ),
        (
            "rows_removed_total",
            "counter",
            "Rows removed by retention.",
            counters.rows_removed,
        ),
        (
            "octets_removed_total",
            "counter",
            "Octets removed by retention.",
            counters.octets_removed,
        ),
        (
            "rows_odd_total",
            "counter",
            "Rows whose times nobody can believe, in partitions of their own.",
            counters.rows_odd,
        ),
        (
            "clock_jumps_total",
            "counter",
            "Times that the clock went on by more than a day at once.",
            counters.clock_jumps,
        ),
        (
            "segments_damaged_total",
            "counter",
            "Segments that could not be opened.",
            counters.segments_damaged,
        ),
        (
            "other_names_dropped_total",
            "counter",
            "Values of unknown columns dropped, names being too many.",
            counters.other_names_dropped,
        ),
    ] {
        out.single(&format!("flowgauge_collector_store_{suffix}"), kind, help, value);
    }
}

fn summaries(out: &mut Exposition, shared: &Shared) {
    let counters = shared.summaries.counters();
    for (suffix, kind, help, value) in [
        ("octets", "gauge", "Octets on disk.", counters.octets),
        ("stored_total", "counter", "Summaries stored.", counters.summaries),
        (
            "images_stored_total",
            "counter",
            "Summaries stored with an image.",
            counters.images,
        ),
        (
            "images_evicted_total",
            "counter",
            "Images given up, too many lacking parts.",
            counters.evicted,
        ),
        (
            "images_expired_total",
            "counter",
            "Images given up, parts not having come in time.",
            counters.expired,
        ),
        (
            "removed_total",
            "counter",
            "Summaries removed by retention.",
            counters.store.removed,
        ),
        (
            "damaged_total",
            "counter",
            "Summaries that were not what was written when they were read back.",
            counters.store.damaged,
        ),
        (
            "write_errors_total",
            "counter",
            "Times that summaries could not be written.",
            counters.store.write_errors,
        ),
    ] {
        out.single(&format!("flowgauge_collector_summaries_{suffix}"), kind, help, value);
    }
    let name = "flowgauge_collector_summaries_images_refused_total";
    out.family(name, "counter", "Images refused, by what was wrong with them.");
    for (refusal, count) in Refusal::ALL.iter().zip(counters.refused) {
        out.sample(name, &[("reason", refusal.as_str())], count);
    }
}

/// Prometheus scrapes this.
pub async fn metrics(State(api): State<Api>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text(&api.shared)).into_response()
}
