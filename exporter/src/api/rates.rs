//! What comes in a second, and what was counted so far.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::problem::Problem;
use super::{Api, Shared, SharedAccounts};
use crate::summaries::SharedSummaries;
use crate::summaries::json::time;

/// Rates and accounts as JSON; also what `top` shows of a capture of its own.
pub fn rates_json(summaries: Option<&SharedSummaries>, accounts: &SharedAccounts) -> Value {
    let rates = summaries.map(SharedSummaries::rates).filter(|rates| rates.until_ns > 0);
    let taken = summaries.map(SharedSummaries::counters).unwrap_or_default();
    let rates = rates.map(|rates| {
        json!({
            "until": time(rates.until_ns),
            "over_s": rates.over_ns as f64 / 1e9,
            "packets": rates.packets,
            "octets": rates.octets,
            "bits": rates.octets * 8.0,
            "dns_transactions": rates.transactions,
        })
    });
    let sources = accounts.sources();
    let sum = |pick: fn(&crate::run::accounts::MeteringAccounts) -> u64| sources.iter().map(pick).sum::<u64>();
    let destinations = accounts.destinations();
    json!({
        "rates": rates,
        "account": {
            "packets_seen": sum(|source| source.meter.packets_seen),
            "packets_metered": sum(|source| source.meter.packets_metered),
            "packets_not_metered": sum(|source| source.meter.packets_not_metered()),
            "packets_sampled_out": sum(|source| source.meter.sampled_out),
            "dropped_by_kernel": sum(|source| source.source.dropped_by_kernel),
            "dropped_by_interface": sum(|source| source.source.dropped_by_interface),
            "flows_active": sum(|source| source.meter.flows_active),
            "flows_created": sum(|source| source.meter.flows_created),
            "records_made": sum(|source| source.meter.records_total()),
            "records_sent": destinations.iter().map(|destination| destination.exported).sum::<u64>(),
            "records_lost": destinations.iter().map(|destination| destination.lost_total()).sum::<u64>(),
            "summarized_packets": taken.packets,
            "summarized_transactions": taken.transactions,
            "summaries_late": taken.late,
            "summaries_too_late": taken.too_late,
        },
    })
}

pub(super) fn of(shared: &Shared) -> Value {
    rates_json(shared.summaries.as_deref(), &shared.accounts)
}

/// `/api/v1/rates`
pub(super) async fn rates(
    State(api): State<Api>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Problem> {
    Parameters::new(pairs, &[])?;
    let mut answer = of(&api.shared);
    answer["uptime_s"] = api.shared.started.elapsed().as_secs_f64().into();
    answer["version"] = env!("CARGO_PKG_VERSION").into();
    Ok(Json(answer))
}
