//! `/api/v1/alerts`: rules with their states, and what changed.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State as Of;
use serde_json::{Value, json};

use super::Api;
use super::metrics::Exposition;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::alerts::book::{Entry, Watched};
use crate::alerts::state::{State, Tracked};
use crate::alerts::{Alerts, Outcome};
use crate::limits::ALERT_HISTORY;
use crate::query::time::format_time;
use crate::run::Shared;

/// Parameters of [`history`].
pub const HISTORY_PARAMETERS: &[&str] = &["limit"];
/// Changes that are told when the request does not say how many.
const DEFAULT_CHANGES: usize = 100;

/// Every rule and its states.
pub async fn alerts(Of(api): Of<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    aside(api, alerts_json).await
}

/// Makes a document on a blocking thread: it may be of many groups, and who looks at rules may hold them for a while.
async fn aside(api: Api, render: impl FnOnce(&Alerts) -> Value + Send + 'static) -> Result<Json<Value>, Problem> {
    let rendered = tokio::task::spawn_blocking(move || render(&api.shared.alerts)).await;
    rendered
        .map(Json)
        .map_err(|error| Problem::internal(&format!("alerts could not be told: {error}")))
}

/// What changed, the newest first.
pub async fn history(Of(api): Of<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(HISTORY_PARAMETERS)?;
    let limit = parameters.limit()?.unwrap_or(DEFAULT_CHANGES).min(ALERT_HISTORY);
    aside(api, move |alerts| {
        let entries: Vec<Entry> = alerts.book().history().rev().take(limit).cloned().collect();
        let rows = entries.iter().map(|entry| {
            json!({
                "time": format_time(entry.time_ns),
                "name": entry.name,
                "group": object(&entry.group),
                "from": entry.from.as_str(),
                "to": entry.to.as_str(),
                "value": entry.value,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>() })
    })
    .await
}

/// The document about alerts.
pub fn alerts_json(alerts: &Alerts) -> Value {
    // As it is at one moment; who looks at rules does not wait for the document.
    let book = alerts.book().clone();
    let rules: Vec<Value> = book.rules().iter().map(rule_json).collect();
    let (firing, groups_firing) = book.count(State::Firing);
    let counters = &alerts.counters;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let webhooks = alerts.webhooks.status();
    let webhooks = webhooks.iter().map(|webhook| {
        let mut counts = json!({ "url": webhook.shown, "waiting": webhook.waiting });
        for (outcome, count) in Outcome::ALL.iter().zip(webhook.counts) {
            counts[outcome.as_str()] = count.into();
        }
        counts
    });
    let stats = json!({
        "firing": firing,
        "groups_firing": groups_firing,
        "pending": book.count(State::Pending).0,
        "no_data": book.count(State::NoData).0,
        "error": book.count(State::Error).0,
        "evaluations": read(&counters.evaluations),
        "evaluation_errors": read(&counters.evaluation_errors),
        "skipped": read(&counters.skipped),
        "groups_left_out": read(&counters.groups_left_out),
        "clock_jumps": read(&counters.clock_jumps),
        "save_errors": read(&counters.save_errors),
        "round_ms": read(&counters.round_ms),
        "interval_s": alerts.config.interval.as_secs_f64(),
        "delay_s": alerts.config.delay.as_secs_f64(),
        "webhooks": webhooks.collect::<Vec<_>>(),
    });
    json!({ "rules": rules, "stats": stats })
}

fn rule_json(watched: &Watched) -> Value {
    let rule = &watched.rule;
    let mut groups: Vec<(&String, &Tracked)> = watched.groups.iter().collect();
    groups.sort_by_key(|(_, tracked)| std::cmp::Reverse(tracked.state));
    let groups = groups.iter().map(|(group, tracked)| {
        json!({
            "group": object(group),
            "state": tracked.state.as_str(),
            "value": tracked.value,
            "since": format_time(tracked.since_ns),
        })
    });
    let groups: Vec<Value> = if rule.has_groups() {
        groups.collect()
    } else {
        Vec::new()
    };
    json!({
        "name": rule.name,
        "description": rule.description,
        "filter": rule.filter,
        "where": rule.part,
        "metric": rule.metric,
        "unit": watched.unit,
        "group_by": rule.group_by,
        "op": rule.op.as_str(),
        "threshold": rule.threshold,
        "clear": rule.clear,
        "window_s": rule.window_ns as f64 / 1e9,
        "for_s": rule.for_ns as f64 / 1e9,
        "severity": rule.severity,
        "state": watched.overall.state.as_str(),
        "value": watched.overall.value,
        "since": format_time(watched.overall.since_ns),
        "evaluated": watched.evaluated_ns.map(format_time),
        "error": watched.error,
        "labels": rule.labels,
        "groups": groups,
    })
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({}))
}

/// Lines of `/metrics`.
pub(super) fn metrics(out: &mut Exposition, shared: &Shared) {
    let alerts = &shared.alerts;
    let counters = &alerts.counters;
    let families: [(&str, &str, &AtomicU64); 6] = [
        ("evaluations_total", "Looks at rules of alerts.", &counters.evaluations),
        (
            "evaluation_errors_total",
            "Looks that got no answer.",
            &counters.evaluation_errors,
        ),
        (
            "skipped_total",
            "Rounds of looks left out because the one before took too long.",
            &counters.skipped,
        ),
        (
            "groups_left_out_total",
            "Groups without a state because a rule had too many, at each look.",
            &counters.groups_left_out,
        ),
        (
            "clock_jumps_total",
            "Times the clock was set back.",
            &counters.clock_jumps,
        ),
        (
            "save_errors_total",
            "Times states could not be saved.",
            &counters.save_errors,
        ),
    ];
    for (suffix, help, counter) in families {
        let name = format!("flowgauge_collector_alerts_{suffix}");
        out.single(&name, "counter", help, counter.load(Ordering::Relaxed));
    }
    {
        let book = alerts.book();
        let name = "flowgauge_collector_alerts_rules";
        out.family(name, "gauge", "Rules of alerts by their state.");
        for state in State::ALL {
            out.sample(name, &[("state", state.as_str())], book.count(state).0);
        }
        let name = "flowgauge_collector_alerts_firing";
        out.family(
            name,
            "gauge",
            "Groups of a rule that fire, or 1 for a rule without groups.",
        );
        for watched in book.rules() {
            let firing = watched.groups.values().filter(|group| group.state == State::Firing);
            let labels = [
                ("rule", watched.rule.name.as_str()),
                ("severity", watched.rule.severity),
            ];
            out.sample(name, &labels, firing.count() as u64);
        }
    }
    let webhooks = alerts.webhooks.status();
    for (at, outcome) in Outcome::ALL.iter().enumerate() {
        let name = format!("flowgauge_collector_alerts_webhook_{}_total", outcome.as_str());
        let help = match outcome {
            Outcome::Sent => "Messages that a webhook took.",
            Outcome::Failed => "Messages that a webhook did not want, or did not take for too long.",
            Outcome::Dropped => "Messages dropped because too many waited.",
            Outcome::Retried => "Tries that failed and are repeated.",
        };
        out.family(&name, "counter", help);
        for webhook in &webhooks {
            let count = webhook.counts.get(at).copied().unwrap_or(0);
            out.sample(&name, &[("webhook", &webhook.shown)], count);
        }
    }
    let name = "flowgauge_collector_alerts_webhook_waiting";
    out.family(name, "gauge", "Messages that wait for a webhook.");
    for webhook in &webhooks {
        out.sample(name, &[("webhook", &webhook.shown)], webhook.waiting);
    }
}
