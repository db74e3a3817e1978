//! `/api/v1/exporters` and `/api/v1/templates`: who sends, what became of it, and in which form it comes.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::normalize::facts::Statistics;
use crate::query::time::format_time;

/// Every account, by address, protocol and domain.
pub async fn exporters(State(api): State<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    let process = api.shared.process();
    let mut templates: HashMap<(std::net::IpAddr, crate::io::input::Protocol, u32), u64> = HashMap::new();
    for of in process.templates() {
        *templates
            .entry((of.session.peer.ip(), of.protocol, of.domain))
            .or_default() += 1;
    }
    let mut accounts: Vec<_> = process.ledger().iter().collect();
    accounts.sort_by_key(|(key, _)| **key);
    let rows: Vec<Value> = accounts
        .iter()
        .map(|(key, account)| {
            let facts = process.exporter_facts(key.address).unwrap_or_default();
            let labels = facts
                .labels
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()));
            let statistics = process.statistics(key.address, key.domain);
            let numbers = |(at_ns, numbers): Statistics<'_>| {
                let numbers: BTreeMap<_, _> = numbers
                    .iter()
                    .map(|(name, number)| (name.to_string(), *number))
                    .collect();
                json!({ "at": format_time(at_ns), "counters": numbers })
            };
            json!({
                "address": key.address.to_string(),
                "name": facts.name.as_deref(),
                "labels": labels.collect::<BTreeMap<_, _>>(),
                "statistics": statistics.map(numbers),
                "counter_samples": account.counter_samples,
                "protocol": key.protocol.as_str(),
                "domain": key.domain,
                "transport": account.transport.map(|transport| transport.as_str()),
                "client_names": api.shared.client_names.of(key.address),
                "datagrams": account.datagrams,
                "messages": account.messages,
                "octets": account.octets,
                "records": account.records,
                "options_records": account.options_records,
                "templates": templates.get(&(key.address, key.protocol, key.domain)).copied().unwrap_or(0),
                "repeated": account.repeated,
                "rates_unknown": account.rates_unknown,
                "sequence_lost": account.sequence.lost,
                "sequence": {
                    "lost": account.sequence.lost,
                    "gaps": account.sequence.gaps,
                    "reordered": account.sequence.reordered,
                    "duplicate": account.sequence.duplicate,
                    "restarts": account.sequence.restarts,
                    "unverified": account.sequence.unverified,
                    "counts": key.protocol.sequence_unit().as_str(),
                    "habit": account.sequence.habit.map(|habit| habit.as_str()),
                },
                "sets": {
                    "waited": account.sets_waited,
                    "replayed": account.sets_replayed,
                    "overflowed": account.sets_overflowed,
                    "expired": account.sets_expired,
                    "abandoned": account.sets_abandoned,
                },
                "errors": account.errors().collect::<BTreeMap<_, _>>(),
                "balanced": account.is_balanced(),
                "first": format_time(account.first_ns),
                "last": format_time(account.last_ns),
            })
        })
        .collect();
    Ok(Json(json!({ "exporters": rows })))
}

/// Every template in force.
pub async fn templates(State(api): State<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    let mut all: Vec<_> = api.shared.process().templates().collect();
    all.sort_by_key(|of| (of.session.peer, of.session.listener, of.domain, of.template.id()));
    let rows: Vec<Value> = all
        .iter()
        .map(|of| {
            let fields = of.template.fields().iter().map(|field| {
                json!({
                    "name": &*field.name,
                    "element": field.specifier.element.to_string(),
                    "type": field.data_type.name(),
                    "length": if field.specifier.is_variable() { Value::from("variable") } else { field.specifier.length.into() },
                })
            });
            json!({
                "exporter": of.session.peer.ip().to_string(),
                "port": of.session.peer.port(),
                "transport": of.transport.as_str(),
                "protocol": of.protocol.as_str(),
                "domain": of.domain,
                "template": of.template.id(),
                "scope_fields": of.template.scope_field_count(),
                "fields": fields.collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Json(json!({ "templates": rows })))
}
