//! `/api/v1/status` (the loss ledger), `/healthz` and `/readyz`.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use flowgauge_sketches::Refusal;
use serde_json::{Value, json};

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::io::dtls::Dropped;
use crate::io::relay::{Outcome, RelayStatus};
use crate::io::tcp::{Ended, TcpCounters};
use crate::journal::JournalCounters;
use crate::query::time::format_time;
use crate::rollups::Tier;
use crate::run::{ListenerCounters, ListenerStatus, Shared, accounts};
use crate::summaries::SummaryCounters;

fn listener_json(listener: &ListenerStatus) -> Value {
    let (address, transport) = (listener.address.to_string(), listener.configured.transport.as_str());
    match &listener.counters {
        ListenerCounters::Udp(counters) => json!({
            "address": address,
            "transport": transport,
            "datagrams": counters.datagrams.load(Ordering::Relaxed),
            "octets": counters.octets.load(Ordering::Relaxed),
            "kernel_drops": counters.kernel_drops.load(Ordering::Relaxed),
            "queue_drops": counters.queue_drops.load(Ordering::Relaxed),
            "read_errors": counters.read_errors.load(Ordering::Relaxed),
            "receive_buffer_octets": counters.receive_buffer_octets.load(Ordering::Relaxed),
        }),
        ListenerCounters::Tcp(counters) => {
            json!({
                "address": address,
                "transport": transport,
                "messages": counters.messages.load(Ordering::Relaxed),
                "octets": counters.octets.load(Ordering::Relaxed),
                "connections": counters.open.load(Ordering::Relaxed),
                "accepted": counters.accepted.load(Ordering::Relaxed),
                "cut_octets": counters.cut_octets.load(Ordering::Relaxed),
                "ended": ended_json(counters),
            })
        }
        ListenerCounters::Dtls(counters) => {
            let (datagrams, sessions) = (&counters.datagrams, &counters.sessions);
            let dropped = Dropped::ALL.map(|reason| (reason.as_str().to_owned(), counters.dropped(reason).into()));
            json!({
                "address": address,
                "transport": transport,
                "datagrams": datagrams.datagrams.load(Ordering::Relaxed),
                "octets": datagrams.octets.load(Ordering::Relaxed),
                "kernel_drops": datagrams.kernel_drops.load(Ordering::Relaxed),
                "queue_drops": datagrams.queue_drops.load(Ordering::Relaxed),
                "read_errors": datagrams.read_errors.load(Ordering::Relaxed),
                "receive_buffer_octets": datagrams.receive_buffer_octets.load(Ordering::Relaxed),
                "messages": sessions.messages.load(Ordering::Relaxed),
                "connections": sessions.open.load(Ordering::Relaxed),
                "accepted": sessions.accepted.load(Ordering::Relaxed),
                "ended": ended_json(sessions),
                "hellos": counters.hellos.load(Ordering::Relaxed),
                "dropped": dropped.into_iter().collect::<serde_json::Map<String, Value>>(),
            })
        }
    }
}

/// Connections that ended, by why.
fn ended_json(counters: &TcpCounters) -> Value {
    let each = Ended::ALL.map(|reason| (reason.as_str().to_owned(), counters.ended(reason).into()));
    Value::Object(each.into_iter().collect())
}

fn relay_json(relay: &RelayStatus) -> Value {
    let counters = &relay.counters;
    let datagrams = Outcome::ALL.map(|outcome| (outcome.as_str().to_owned(), counters.outcome(outcome).into()));
    json!({
        "destination": relay.configured.to_string(),
        "datagrams": datagrams.into_iter().collect::<serde_json::Map<String, Value>>(),
        "octets": counters.octets.load(Ordering::Relaxed),
        "refused": counters.refused.load(Ordering::Relaxed),
        "waiting_octets": counters.waiting_octets.load(Ordering::Relaxed),
    })
}

fn journal_json(shared: &Shared, journal: &JournalCounters) -> Value {
    let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
    json!({
        "entries": read(&journal.entries),
        "waiting": read(&journal.entries).saturating_sub(read(&shared.entries_handled)),
        "waiting_octets": shared.journal_waiting_octets(),
        "octets": read(&journal.held_octets),
        "limit_octets": shared.config.journal_octets,
        "segments": read(&journal.segments),
        "written": read(&journal.written),
        "synced": read(&journal.synced),
        "committed": shared.store.journal_position(),
        "is_behind": shared.handover.is_behind(),
        "is_full": journal.is_full.load(Ordering::Acquire),
        "times_full": read(&journal.times_full),
        "write_errors": read(&journal.write_errors),
        "sync_errors": read(&journal.sync_errors),
        "damaged": read(&shared.journal_damaged),
    })
}

/// Images refused, by why.
fn refused(counters: &SummaryCounters) -> Value {
    let each = Refusal::ALL.iter().zip(&counters.refused);
    let each = each.map(|(refusal, count)| (refusal.as_str().to_owned(), (*count).into()));
    Value::Object(each.collect())
}

/// Numbers by tier of rollups.
fn by_tier(numbers: [u64; 3]) -> Value {
    let each = Tier::ALL.iter().zip(numbers);
    Value::Object(
        each.map(|(tier, number)| (tier.as_str().to_owned(), number.into()))
            .collect(),
    )
}

/// The status document.
pub fn status_json(shared: &Shared) -> Value {
    let accounts = accounts(shared);
    let (sum, counters) = (&accounts.totals.sum, shared.process().counters());
    let trouble = shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let trouble = trouble.or_else(|| shared.store.blocked());
    let moment = |ns: Option<i64>| ns.map(format_time);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": shared.started.elapsed().as_secs(),
        "ready": shared.ready.load(Ordering::Acquire),
        "trouble": trouble,
        "store": {
            "rows": accounts.status.rows,
            "octets": accounts.status.octets,
            "partitions": accounts.status.partitions,
            "segments": accounts.status.segments,
            "oldest": moment(accounts.status.oldest_ns),
            "newest": moment(accounts.status.newest_ns),
            "committed": moment(accounts.status.committed_ns),
            "rows_removed": accounts.store.rows_removed,
        },
        "rollups": {
            "enabled": shared.config.store.rollups.enabled,
            "rows": accounts.store.rollup_rows,
            "rows_without_time": accounts.store.rollup_rows_without_time,
            "rows_missed": accounts.store.rollup_rows_missed,
            "files": by_tier(accounts.status.rollup_files),
            "octets": by_tier(accounts.status.rollup_octets),
            "removed": accounts.store.rollups_removed,
            "damaged": accounts.store.rollups_damaged,
        },
        "queue": {
            "octets": shared.queue.octets(),
            "limit_octets": shared.queue.limit_octets(),
            "high_water_octets": shared.queue.high_water_octets(),
        },
        "journal": shared.journal.as_ref().map(|journal| journal_json(shared, journal)),
        "ledger": {
            "received": {
                "datagrams": sum.datagrams,
                "messages": sum.messages,
                "records": accounts.records(),
                "options_records": sum.options_records,
                "octets": sum.octets,
            },
            "stored": accounts.stored(),
            "waiting": accounts.waiting(),
            "lost": accounts.lost(),
            "missing": accounts.missing(),
            "sets_waiting": accounts.totals.sets_waiting,
            "errors": accounts.totals.errors,
            "balanced": accounts.balanced(),
        },
        "summaries": {
            "stored": accounts.summaries.summaries,
            "images": accounts.summaries.images,
            "images_refused": refused(&accounts.summaries),
            "parts_octets": accounts.summaries.parts_octets,
            "images_evicted": accounts.summaries.evicted,
            "images_expired": accounts.summaries.expired,
            "octets": accounts.summaries.octets,
            "removed": accounts.summaries.store.removed,
            "damaged": accounts.summaries.store.damaged,
        },
        "normalizing": {
            "rows": counters.normalizing.rows,
            "times_from_export": counters.normalizing.times_from_export,
            "times_without_uptime": counters.normalizing.times_without_uptime,
            "times_reversed": counters.normalizing.times_reversed,
            "rows_scaled": counters.normalizing.rows_scaled,
            "rates_unknown": counters.normalizing.rates_unknown,
            "values_mistyped": counters.normalizing.values_mistyped,
            "values_cut": counters.normalizing.values_cut,
            "record_numberers_forgotten": counters.record_numberers_forgotten,
            "options_overflowed": counters.options_overflowed,
            "counter_sources_overflowed": counters.counter_sources_overflowed,
            "counter_resets": counters.counter_resets,
        },
        "enrichment": super::enrichment::enrichment_json(shared),
        "sessions": {
            "open": shared.process().sessions(),
            "evicted": counters.sessions_evicted,
            "idle": counters.sessions_idle,
            "closed": counters.sessions_closed,
        },
        "listeners": shared.listeners.iter().enumerate().map(|(place, listener)| {
            let mut listener = listener_json(listener);
            if let (Some(journal), Some(fields)) = (&shared.journal, listener.as_object_mut()) {
                let journaled = journal.by_listener.get(place).map_or(0, |count| count.load(Ordering::Acquire));
                fields.insert("journaled".to_owned(), journaled.into());
            }
            listener
        }).collect::<Vec<_>>(),
        "relays": shared.relays.iter().map(relay_json).collect::<Vec<_>>(),
    })
}

/// The ledger and what stands around it.
pub async fn status(State(api): State<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    Ok(Json(status_json(&api.shared)))
}

/// The process is alive.
pub async fn health() -> &'static str {
    "ok\n"
}

/// Every listener is bound, the store is open, and the collector does not end.
pub async fn readiness(State(api): State<Api>) -> Response {
    if api.shared.ready.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        Problem::not_ready("the collector starts or ends").into_response()
    }
}
