//! `/api/openapi.json`: built from the same tables as the answers, so that it stays true.

use axum::Json;
use serde_json::{Map, Value, json};

use super::{aggregate, alerts, flows, summaries};
use crate::alerts::rule::SEVERITIES;
use crate::alerts::state::State;
use crate::normalize::columns::{COLUMNS, ColumnKind};

fn schema_of(kind: ColumnKind) -> Value {
    match kind {
        ColumnKind::Time => json!({ "type": "string", "format": "date-time" }),
        ColumnKind::Duration => json!({ "type": "integer", "format": "int64", "description": "nanoseconds" }),
        ColumnKind::Ip => json!({ "type": "string", "description": "IPv4 or IPv6 address" }),
        ColumnKind::Number => json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        ColumnKind::Float => json!({ "type": "number" }),
        ColumnKind::Text => json!({ "type": "string" }),
        ColumnKind::Mac => json!({ "type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" }),
        ColumnKind::Bool => json!({ "type": "boolean" }),
    }
}

fn flow_schema() -> Value {
    let mut properties = Map::new();
    properties.insert(
        "_id".to_owned(),
        json!({ "type": "string", "description": "opaque; see /api/v1/flows/{id}" }),
    );
    for column in COLUMNS {
        let mut schema = schema_of(column.kind);
        if let Some(object) = schema.as_object_mut() {
            let unit = if column.unit.is_empty() {
                String::new()
            } else {
                format!(" ({})", column.unit)
            };
            object.insert("description".to_owned(), format!("{}{unit}", column.help).into());
        }
        properties.insert(column.name.to_owned(), schema);
    }
    json!({
        "type": "object",
        "description": "Columns that are present, and every other element of the record by its name.",
        "properties": properties,
        "additionalProperties": true,
    })
}

fn help_of(parameter: &str) -> (&'static str, &'static str) {
    match parameter {
        "filter" => (
            "string",
            "Which flows, in the filter language: src.ip in 10.0.0.0/8 and dst.port in (53, 853)",
        ),
        "from" => (
            "string",
            "Flows that end at or after this time: RFC 3339, now-1h, -15m or epoch seconds",
        ),
        "to" => ("string", "Flows that start before this time"),
        "limit" => (
            "integer",
            "At most so many rows, or groups; of flows also all, with a format other than json",
        ),
        "cursor" => ("string", "next of the page before, of the same filter, times and order"),
        "order" => (
            "string",
            "A column, with - before it for descending; -start unless told otherwise",
        ),
        "fields" => (
            "string",
            "Columns and element names to give, with commas; all unless told otherwise",
        ),
        "group_by" => (
            "string",
            "Columns or elements, with commas; addresses may have prefix lengths: src.ip/24, src.ip/24/48",
        ),
        "metrics" => (
            "string",
            "With commas: octets packets flows transactions rev.octets rev.packets total.octets total.packets bps pps fps \
                                 unique(F) p50(F) p90(F) p95(F) p99(F) min(F) max(F) avg(F) sum(F) share(M), and one for each of another: octets/packets",
        ),
        "interval" => ("string", "A series with buckets of this width: 10s, 1m, 1h or auto"),
        "tier" => (
            "string",
            "What answers: auto (flows, and rollups of times whose flows are gone), raw, rollup, or windows of a minute, hour or day",
        ),
        "compare" => (
            "string",
            "What the same groups had before, as previous: previous (as long, right before) or how much earlier: 1d. Needs from; to is now unless given",
        ),
        "other" => (
            "boolean",
            "Behind the rows everything outside the groups shown, as one more with _other",
        ),
        "once" => (
            "string",
            "Conversations that several exporters saw count once: auto (as the one that saw the most packets) or exporters, the first that saw it: 10.0.0.1,10.0.0.2",
        ),
        "order_by" => ("string", "A metric or group column, with - before it for descending"),
        "format" => (
            "string",
            "json, csv, ndjson or parquet, as a file to keep; without it the Accept header says which",
        ),
        "text" => ("string", "The filter as far as it is written"),
        "at" => ("integer", "Where the cursor is, octets from the start"),
        "name" => ("string", "Part of an element's name, or PEN.ID"),
        "id" => ("string", "_id of a flow"),
        "metric" => (
            "string",
            "A metric, or what names of metrics begin with: dns.qname; those stored are listed without it",
        ),
        "exporters" => (
            "string",
            "Addresses of exporters, with commas; all unless told otherwise",
        ),
        "ranks" => ("string", "Ranks of quantiles from 0 to 1, with commas: 0.5,0.99"),
        _ => ("string", ""),
    }
}

fn parameters(names: &[&str]) -> Value {
    let each = names.iter().map(|name| {
        let (kind, help) = help_of(name);
        json!({ "name": name, "in": "query", "required": false, "description": help, "schema": { "type": kind } })
    });
    Value::Array(each.collect())
}

fn operation(summary: &str, names: &[&str], content: Value) -> Value {
    json!({ "get": {
        "summary": summary,
        "parameters": parameters(names),
        "responses": {
            "200": { "description": "The answer", "content": content },
            "default": { "description": "What is wrong (RFC 9457)", "content": {
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
        },
    }})
}

fn json_of(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn tables(schema: &Value) -> Value {
    let rows = json!({ "type": "array", "items": schema });
    let answer = json!({ "type": "object", "required": ["rows", "stats", "next"], "properties": {
        "rows": rows,
        "stats": { "$ref": "#/components/schemas/Stats" },
        "next": { "type": ["string", "null"] },
    }});
    json!({
        "application/json": { "schema": answer },
        "application/x-ndjson": { "schema": schema },
        "text/csv": { "schema": { "type": "string" } },
        "application/vnd.apache.parquet": { "schema": { "type": "string", "format": "binary" } },
    })
}

fn list_of(name: &str) -> Value {
    let list = json!({ "type": "array", "items": { "type": "object" } });
    json_of(json!({ "type": "object", "required": [name], "properties": { name: list } }))
}

fn paths() -> Value {
    let text = json!({ "text/plain": { "schema": { "type": "string" } } });
    let object = || json_of(json!({ "type": "object" }));
    let mut one = operation(
        "One flow with every element",
        &[],
        json_of(json!({ "type": "object", "required": ["row"],
        "properties": { "row": { "$ref": "#/components/schemas/Flow" } } })),
    );
    if let Some(parameters) = one.pointer_mut("/get/parameters") {
        let (kind, help) = help_of("id");
        *parameters =
            json!([{ "name": "id", "in": "path", "required": true, "description": help, "schema": { "type": kind } }]);
    }
    json!({
        "/api/v1/flows": operation("Flows, a page at a time", flows::PARAMETERS, tables(&json!({ "$ref": "#/components/schemas/Flow" }))),
        "/api/v1/flows/{id}": one,
        "/api/v1/aggregate": operation("Totals, top lists and series", aggregate::PARAMETERS,
            tables(&json!({ "type": "object", "description": "Group columns, time (with interval), and metrics by their names",
                "properties": {
                    "_other": { "type": "boolean", "description": "of everything outside the groups shown (with other)" },
                    "previous": { "type": "object", "description": "metrics of the time compared with (with compare)" },
                },
                "additionalProperties": true }))),
        "/api/v1/summaries": operation(
            "Counters, different values, quantiles and top lists of exporters, merged over exporters and windows with limits",
            summaries::PARAMETERS, tables(&json!({ "$ref": "#/components/schemas/Summary" }))),
        "/api/v1/complete": operation("What could come next in a filter", &["text", "at"], object()),
        "/api/v1/columns": operation("The column table", &[], list_of("columns")),
        "/api/v1/elements": operation("Information elements", &["name"], list_of("elements")),
        "/api/v1/exporters": operation("Who sends, and what became of it", &[], list_of("exporters")),
        "/api/v1/templates": operation("Templates in force", &[], list_of("templates")),
        "/api/v1/alerts": operation("Rules of alerts and their states", &[],
            json_of(json!({ "type": "object", "required": ["rules", "stats"], "properties": {
                "rules": { "type": "array", "items": { "$ref": "#/components/schemas/Alert" } },
                "stats": { "type": "object" },
            }}))),
        "/api/v1/alerts/history": operation("Changes of states of alerts, the newest first", alerts::HISTORY_PARAMETERS,
            json_of(json!({ "type": "object", "required": ["rows"], "properties": {
                "rows": { "type": "array", "items": { "$ref": "#/components/schemas/AlertChange" } },
            }}))),
        "/api/v1/status": operation("The loss ledger, the store and the listeners", &[], object()),
        "/api/v1/live": operation("New flows as server-sent events named flow", &["filter"],
            json!({ "text/event-stream": { "schema": { "type": "string" } } })),
        "/metrics": operation("Metrics in Prometheus' text format", &[], text.clone()),
        "/healthz": operation("The process is alive", &[], text.clone()),
        "/readyz": operation("Every listener is bound and the store is open", &[], text),
    })
}

fn alert_schemas() -> [(&'static str, Value); 3] {
    let state = || json!({ "$ref": "#/components/schemas/AlertState" });
    let time = || json!({ "type": "string", "format": "date-time" });
    let group = json!({ "type": "object", "properties": {
        "group": { "type": "object" }, "state": state(), "value": { "type": ["number", "null"] }, "since": time(),
    }});
    let alert = json!({ "type": "object",
        "required": ["name", "filter", "metric", "op", "threshold", "window_s", "for_s", "severity", "state", "since"],
        "properties": {
            "name": { "type": "string" },
            "description": { "type": "string" },
            "filter": { "type": "string" },
            "where": { "type": ["string", "null"], "description": "the part of these flows that a ratio is of" },
            "metric": { "type": "string" },
            "unit": { "type": "string", "description": "of value, threshold and clear; ns for durations" },
            "group_by": { "type": "array", "items": { "type": "string" } },
            "op": { "type": "string", "enum": [">", ">=", "<", "<="] },
            "threshold": { "type": "number" },
            "clear": { "type": "number", "description": "what fires is over on the good side of this" },
            "window_s": { "type": "number" },
            "for_s": { "type": "number" },
            "severity": { "type": "string", "enum": SEVERITIES },
            "state": state(),
            "value": { "type": ["number", "null"], "description": "of the group in the worst state" },
            "since": time(),
            "evaluated": { "type": ["string", "null"], "format": "date-time" },
            "error": { "type": ["string", "null"] },
            "labels": { "type": "object" },
            "groups": { "type": "array", "description": "the worst first; empty without group_by", "items": group },
    }});
    let change = json!({ "type": "object", "properties": {
        "time": time(),
        "name": { "type": "string" },
        "group": { "type": "object" },
        "from": state(),
        "to": state(),
        "value": { "type": ["number", "null"] },
    }});
    let names = State::ALL.map(State::as_str);
    [
        ("Alert", alert),
        ("AlertChange", change),
        ("AlertState", json!({ "type": "string", "enum": names })),
    ]
}

/// The document.
pub fn openapi() -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flowgauge collector",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Search and aggregation of flow records. Times are RFC 3339 UTC, durations nanoseconds.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths(),
        "components": { "schemas": {
            "Flow": flow_schema(),
            "Summary": { "type": "object", "required": ["metric", "kind", "unit"],
                "description": "One value; or, without metric, what is stored of a metric",
                "properties": {
                    "metric": { "type": "string" },
                    "kind": { "type": "string", "enum": ["counter", "cardinality", "quantiles", "frequent_items"] },
                    "item": { "type": "string", "description": "of frequent_items" },
                    "rank": { "type": "number", "description": "of quantiles" },
                    "value": { "type": "number" },
                    "lower": { "type": "number" },
                    "upper": { "type": "number" },
                    "confidence": { "type": "number", "description": "that the truth is between lower and upper" },
                    "unit": { "type": "string" },
                    "summaries": { "type": "integer" },
                    "images": { "type": "integer" },
                    "from": { "type": "string", "format": "date-time" },
                    "to": { "type": "string", "format": "date-time" },
            }},
            "Stats": { "type": "object", "properties": {
                "rows_read": { "type": "integer" },
                "rows_matched": { "type": "integer" },
                "elapsed_ms": { "type": "number" },
                "partitions": { "type": "integer" },
                "segments": { "type": "integer" },
                "segments_left_out": { "type": "integer", "description": "that are damaged: what they held is missing" },
                "tier": { "type": "string" },
                "error_bound": { "type": "number", "description": "how far a value is off at most; 0 for exact ones" },
                "confidence": { "type": "number", "description": "with which it is not off by more" },
                "windows": { "type": "integer", "description": "of rollups that were merged" },
                "rollups": { "type": "integer", "description": "files of rollups they are in" },
                "compare": { "type": "object", "description": "the time that was compared with", "properties": {
                    "from": { "type": "string", "format": "date-time" },
                    "to": { "type": "string", "format": "date-time" },
                }},
                "once": { "type": "object", "description": "how conversations were counted once", "properties": {
                    "rule": { "type": "string" },
                    "left_out": { "type": "integer", "description": "rows that would have counted again" },
                }},
                "hint": { "type": "string" },
                "from": { "type": ["string", "null"], "format": "date-time" },
                "to": { "type": ["string", "null"], "format": "date-time" },
                "interval_ns": { "type": "integer" },
            }},
            "Problem": { "type": "object", "required": ["type", "title", "status", "detail"], "properties": {
                "type": { "type": "string" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
                "parameter": { "type": "string" },
                "offset": { "type": "integer" },
                "length": { "type": "integer" },
                "expected": { "type": "array", "items": { "type": "string" } },
                "nearest": { "type": "string" },
            }},
        }},
    });
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        let alerts = alert_schemas();
        schemas.extend(alerts.map(|(name, schema)| (name.to_owned(), schema)));
    }
    document
}

/// The description of this API.
pub async fn document() -> Json<Value> {
    Json(openapi())
}
