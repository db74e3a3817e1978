//! `/metrics`: the exporter's accounts for Prometheus. Counters only grow; labels come from closed lists or from the
//! command line.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::exposition::{Exposition, Kind};
use super::{Api, Shared};
use crate::exporting::{AccountsSnapshot, Event, Loss};
use crate::metering::FlowEndReason;
use crate::run::accounts::MeteringAccounts;
use crate::sflow::accounts::ReceiverSnapshot;

const PREFIX: &str = "flowgauge_exporter";

/// The whole text.
pub fn text(shared: &Shared, open_metrics: bool) -> String {
    let mut out = Exposition::new(open_metrics);
    out.family(
        &format!("{PREFIX}_build_info"),
        Kind::Gauge,
        "",
        "Version of the exporter.",
    );
    out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.single(
        &format!("{PREFIX}_uptime_seconds"),
        Kind::Gauge,
        "seconds",
        "Time since the start.",
        format_args!("{:.3}", shared.started.elapsed().as_secs_f64()),
    );
    out.single(
        &format!("{PREFIX}_ready"),
        Kind::Gauge,
        "",
        "1 while packets are captured.",
        u8::from(shared.is_ready()),
    );
    let sources = labelled(shared.accounts.sources());
    packets(&mut out, &sources);
    flows(&mut out, &sources);
    dns(&mut out, &sources);
    destinations(&mut out, &shared.accounts.destinations());
    sflow(&mut out, shared);
    summaries(&mut out, shared);
    connections(&mut out, shared);
    out.finish()
}

/// Each source with its label. There are as many as workers that capture.
fn labelled(sources: Vec<MeteringAccounts>) -> Vec<(String, MeteringAccounts)> {
    sources
        .into_iter()
        .map(|source| (source.interface.clone().unwrap_or_else(|| "file".to_owned()), source))
        .collect()
}

type Sources = [(String, MeteringAccounts)];

fn by_source(
    out: &mut Exposition,
    sources: &Sources,
    (name, unit): (&str, &str),
    help: &str,
    pick: impl Fn(&MeteringAccounts) -> u64,
) {
    out.family(&format!("{PREFIX}_{name}"), Kind::Counter, unit, help);
    for (source, accounts) in sources {
        out.sample(&[("source", source)], pick(accounts));
    }
}

fn packets(out: &mut Exposition, sources: &Sources) {
    const PACKETS: &str = "packets";
    by_source(out, sources, ("observed_packets", PACKETS), "Frames seen.", |source| {
        source.meter.packets_seen
    });
    by_source(
        out,
        sources,
        ("metered_packets", PACKETS),
        "Frames counted in a flow.",
        |source| source.meter.packets_metered,
    );
    by_source(
        out,
        sources,
        ("metered_octets", "octets"),
        "IP octets of the frames counted in a flow.",
        |source| source.meter.octets_metered,
    );
    out.family(
        &format!("{PREFIX}_unmetered_packets"),
        Kind::Counter,
        PACKETS,
        "Frames seen and not counted in a flow, by reason.",
    );
    for (source, accounts) in sources {
        let meter = &accounts.meter;
        let others = [("copy", meter.copies), ("sampled_out", meter.sampled_out)];
        for (reason, count) in others.into_iter().chain(meter.not_metered_by_reason()) {
            out.sample(&[("source", source), ("reason", reason)], count);
        }
    }
    out.family(
        &format!("{PREFIX}_unseen_packets"),
        Kind::Counter,
        PACKETS,
        "Frames that never reached metering: dropped by the kernel or the interface, or left out by the filter of a capture.",
    );
    for (source, accounts) in sources {
        let counters = &accounts.source;
        for (by, count) in [
            ("kernel", counters.dropped_by_kernel),
            ("interface", counters.dropped_by_interface),
            ("filter", counters.filtered),
        ] {
            out.sample(&[("source", source), ("by", by)], count);
        }
    }
}

fn flows(out: &mut Exposition, sources: &Sources) {
    by_source(
        out,
        sources,
        ("created_flows", "flows"),
        "Biflows that entered the table.",
        |source| source.meter.flows_created,
    );
    by_source(
        out,
        sources,
        ("evicted_flows", "flows"),
        "Biflows that left early because the table was full.",
        |source| source.meter.flows_evicted,
    );
    by_source(
        out,
        sources,
        ("folded_flows", "flows"),
        "Biflows folded into aggregated ones during a flood.",
        |source| source.meter.flows_folded,
    );
    out.family(
        &format!("{PREFIX}_active_flows"),
        Kind::Gauge,
        "flows",
        "Biflows in the table.",
    );
    for (source, accounts) in sources {
        out.sample(&[("source", source)], accounts.meter.flows_active);
    }
    out.family(
        &format!("{PREFIX}_made_records"),
        Kind::Counter,
        "records",
        "Flow Records made, by end reason.",
    );
    for (source, accounts) in sources {
        for reason in FlowEndReason::ALL {
            let labels = [("source", source.as_str()), ("reason", reason.as_str())];
            out.sample(&labels, accounts.meter.records_for(reason));
        }
    }
    by_source(
        out,
        sources,
        ("source_faults", "faults"),
        "Faults of captures; each was logged.",
        |source| source.faults,
    );
}

fn dns(out: &mut Exposition, sources: &Sources) {
    let unit = "messages";
    out.family(
        &format!("{PREFIX}_dns_messages"),
        Kind::Counter,
        unit,
        "DNS messages, by kind.",
    );
    for (source, accounts) in sources {
        let dns = &accounts.dns;
        for (kind, count) in [
            ("query", dns.queries),
            ("multicast_query", dns.multicast_queries),
            ("response", dns.responses),
            ("unused", dns.faults_total()),
        ] {
            out.sample(&[("source", source), ("kind", kind)], count);
        }
    }
    out.family(
        &format!("{PREFIX}_dns_unused_messages"),
        Kind::Counter,
        unit,
        "DNS messages that could not be used, by reason.",
    );
    for (source, accounts) in sources {
        for (reason, count) in accounts.dns.faults_by_reason() {
            out.sample(&[("source", source), ("reason", reason)], count);
        }
    }
    out.family(
        &format!("{PREFIX}_dns_transactions"),
        Kind::Counter,
        "transactions",
        "DNS transactions that ended, by how.",
    );
    for (source, accounts) in sources {
        let dns = &accounts.dns;
        for (end, count) in [
            ("answered", dns.answered),
            ("timed_out", dns.timed_out),
            ("evicted", dns.evicted),
            ("stopped", dns.stopped),
            ("without_query", dns.without_query),
        ] {
            out.sample(&[("source", source), ("end", end)], count);
        }
    }
    by_source(
        out,
        sources,
        ("dns_repeated_messages", unit),
        "DNS queries that came again.",
        |source| source.dns.retries,
    );
}

fn destinations(out: &mut Exposition, destinations: &[AccountsSnapshot]) {
    type Pick = fn(&AccountsSnapshot) -> u64;
    let families: [(&str, &str, &str, Pick); 6] = [
        (
            "queued_records",
            "records",
            "Records handed to a destination.",
            |accounts| accounts.queued,
        ),
        (
            "sent_messages",
            "messages",
            "Messages, datagrams or writes.",
            |accounts| accounts.messages,
        ),
        ("sent_octets", "octets", "Octets sent.", |accounts| accounts.octets),
        ("send_errors", "errors", "Sends that the system refused.", |accounts| {
            accounts.send_errors
        }),
        (
            "connections",
            "connections",
            "Connections established to a destination.",
            |accounts| accounts.connections,
        ),
        (
            "reduced_records",
            "records",
            "Records sent with fewer optional fields than they have.",
            |accounts| accounts.reduced,
        ),
    ];
    for (name, unit, help, pick) in families {
        let name = format!("{PREFIX}_destination_{name}");
        out.family(&name, Kind::Counter, unit, help);
        for destination in destinations {
            out.sample(&[("destination", &destination.name)], pick(destination));
        }
    }
    // What is taken for sent until the connection breaks goes over to lost, so that this one may fall.
    out.family(
        &format!("{PREFIX}_destination_sent_records"),
        Kind::Gauge,
        "records",
        "Records sent and not known to be lost.",
    );
    for destination in destinations {
        out.sample(&[("destination", &destination.name)], destination.exported);
    }
    out.family(
        &format!("{PREFIX}_destination_waiting_records"),
        Kind::Gauge,
        "records",
        "Records that wait to be sent.",
    );
    for destination in destinations {
        out.sample(&[("destination", &destination.name)], destination.waiting());
    }
    out.family(
        &format!("{PREFIX}_destination_lost_records"),
        Kind::Counter,
        "records",
        "Records given up, by reason.",
    );
    for destination in destinations {
        for loss in Loss::ALL {
            let labels = [("destination", destination.name.as_str()), ("reason", loss.as_str())];
            out.sample(&labels, destination.lost_for(loss));
        }
    }
    out.family(
        &format!("{PREFIX}_destination_events"),
        Kind::Counter,
        "events",
        "Files completed, removed, recovered or numbered, and HTTP requests repeated or refused.",
    );
    for destination in destinations {
        for event in Event::ALL {
            let labels = [("destination", destination.name.as_str()), ("event", event.as_str())];
            out.sample(&labels, destination.events.of(event));
        }
    }
    out.family(
        &format!("{PREFIX}_destination_failed"),
        Kind::Gauge,
        "",
        "1 when a destination takes no more.",
    );
    for destination in destinations {
        out.sample(&[("destination", &destination.name)], u8::from(destination.failed));
    }
}

fn sflow(out: &mut Exposition, shared: &Shared) {
    let Some(sflow) = shared.accounts.sflow() else { return };
    let unit = "packets";
    out.family(
        &format!("{PREFIX}_sflow_packets"),
        Kind::Counter,
        unit,
        "Frames that sFlow could sample, by what became of them.",
    );
    for (end, count) in [("not_sampled", sflow.skipped()), ("sampled", sflow.sampled())] {
        out.sample(&[("end", end)], count);
    }
    out.family(
        &format!("{PREFIX}_sflow_lost_packets"),
        Kind::Counter,
        unit,
        "Frames that sFlow sampled and that never left, by reason.",
    );
    for (reason, count) in [
        ("queue_full", sflow.dropped()),
        ("no_format", sflow.without_format),
        ("given_up", sflow.given_up),
    ] {
        out.sample(&[("reason", reason)], count);
    }
    out.family(
        &format!("{PREFIX}_sflow_samples"),
        Kind::Counter,
        "samples",
        "Samples in datagrams, by kind.",
    );
    for (kind, count) in [("flow", sflow.flow_samples), ("counters", sflow.counter_samples)] {
        out.sample(&[("kind", kind)], count);
    }
    for (name, unit, help, pick) in [
        (
            "sflow_datagrams",
            "datagrams",
            "Datagrams of sFlow sent.",
            (|receiver| receiver.datagrams) as fn(&ReceiverSnapshot) -> u64,
        ),
        ("sflow_octets", "octets", "Octets of them.", |receiver| receiver.octets),
        (
            "sflow_errors",
            "errors",
            "Datagrams of sFlow that the system refused, or that came back.",
            |receiver| receiver.errors,
        ),
    ] {
        out.family(&format!("{PREFIX}_{name}"), Kind::Counter, unit, help);
        for receiver in &sflow.receivers {
            out.sample(&[("destination", &receiver.name)], pick(receiver));
        }
    }
}

fn summaries(out: &mut Exposition, shared: &Shared) {
    let Some(summaries) = &shared.summaries else { return };
    let (taken, windows) = (summaries.counters(), summaries.shared_counters());
    for (name, unit, help, count) in [
        ("summarized_packets", "packets", "Packets in summaries.", taken.packets),
        (
            "summarized_transactions",
            "transactions",
            "DNS transactions in summaries.",
            taken.transactions,
        ),
        (
            "summaries_late_events",
            "events",
            "Packets and transactions that went to a window before the newest.",
            taken.late,
        ),
        (
            "summaries_missed_events",
            "events",
            "Packets and transactions too late for every window that could be open.",
            taken.too_late,
        ),
        (
            "summaries_closed_windows",
            "windows",
            "Windows closed.",
            windows.windows,
        ),
        (
            "summaries_dropped_windows",
            "windows",
            "Closed windows that nobody took in time; they were not exported.",
            windows.dropped,
        ),
    ] {
        out.single(&format!("{PREFIX}_{name}"), Kind::Counter, unit, help, count);
    }
}

fn connections(out: &mut Exposition, shared: &Shared) {
    use std::sync::atomic::Ordering::Relaxed;
    let counters = &shared.connections;
    for (name, help, count) in [
        (
            "api_connections",
            "Connections accepted by this API.",
            &counters.accepted,
        ),
        (
            "api_delayed_connections",
            "Connections accepted only when another one had ended.",
            &counters.waited,
        ),
        (
            "api_idle_connections",
            "Connections closed because they took nothing for too long.",
            &counters.idle,
        ),
    ] {
        let name = format!("{PREFIX}_{name}");
        out.single(&name, Kind::Counter, "connections", help, count.load(Relaxed));
    }
}

/// Prometheus scrapes this.
pub async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Response {
    answer(&api.shared, &headers)
}

fn answer(shared: &Shared, headers: &HeaderMap) -> Response {
    let open_metrics = wants_open_metrics(headers);
    response(open_metrics, text(shared, open_metrics))
}

/// Whether OpenMetrics is asked for; else it is Prometheus' older text format.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accepted| {
        accepted
            .to_str()
            .is_ok_and(|kinds| kinds.contains("application/openmetrics-text"))
    })
}

/// The text, named as what it is.
pub(super) fn response(open_metrics: bool, text: String) -> Response {
    let kind = HeaderValue::from_static(match open_metrics {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    });
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
