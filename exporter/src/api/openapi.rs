//! `/api/openapi.json`: built from the same tables as the answers, so that it stays true.

use axum::Json;
use serde_json::{Map, Value, json};

use super::PATHS;
use crate::summaries::limits::{LIST_ROWS, MAX_LIST_ROWS};
use crate::summaries::{Kind, Metric};

/// Parameters of a path, by their names: where they stand, their type and what they do.
fn parameter(name: &str, place: &str) -> Value {
    let (schema, help) = match name {
        "n" if place == "path" => (
            json!({ "type": "integer", "minimum": 0 }),
            "0 is the window that is being filled, 1 the one that closed last, 2 the one before",
        ),
        "n" => (
            json!({ "type": "integer", "minimum": 1 }),
            "How many windows, the newest first; all that are kept unless told otherwise",
        ),
        "rows" => (
            json!({ "type": "integer", "minimum": 0, "maximum": MAX_LIST_ROWS, "default": LIST_ROWS }),
            "Rows of each top list",
        ),
        "open" => (
            json!({ "type": "boolean", "default": false }),
            "Whether the window that is being filled is one of them",
        ),
        "metric" => {
            let names: Vec<&str> = Metric::ALL
                .iter()
                .map(|metric| metric.about())
                .filter(|about| about.kind != Kind::Counter)
                .map(|about| about.name)
                .collect();
            (json!({ "type": "string", "enum": names }), "Which sketch")
        }
        "policy" => (
            json!({ "type": "string", "enum": ["__all", "default"] }),
            "There is one policy, default",
        ),
        _ => (json!({ "type": "string" }), ""),
    };
    json!({ "name": name, "in": place, "required": place == "path", "description": help, "schema": schema })
}

fn parameters(path: &str) -> Vec<Value> {
    let in_path = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| parameter(name, "path"));
    let query: &[&str] = match path {
        "/api/v1/windows/{n}" => &["rows"],
        "/api/v1/windows/merged" => &["n", "rows", "open"],
        _ => &[],
    };
    in_path
        .chain(query.iter().map(|name| parameter(name, "query")))
        .collect()
}

fn content(path: &str) -> Value {
    let text = json!({ "schema": { "type": "string" } });
    match path {
        "/healthz" | "/readyz" => json!({ "text/plain": text }),
        "/api/v1/policies/{policy}/metrics/prometheus" => json!({ "text/plain": text }),
        "/metrics" => json!({ "text/plain": text, "application/openmetrics-text": text }),
        "/api/v1/windows/{n}/sketches/{metric}" => {
            json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })
        }
        "/api/v1/windows/{n}" | "/api/v1/windows/merged" => {
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Window" } } })
        }
        _ => json!({ "application/json": { "schema": { "type": "object" } } }),
    }
}

fn window_schema() -> Value {
    let metrics: Map<String, Value> = Metric::ALL
        .iter()
        .map(|metric| {
            let about = metric.about();
            let schema = format!("#/components/schemas/{}", about.kind.as_str());
            let described = json!({ "$ref": schema, "description": format!("in {}", about.unit) });
            (about.name.to_owned(), described)
        })
        .collect();
    json!({
        "type": "object",
        "required": ["from", "to", "windows", "metrics"],
        "properties": {
            "from": { "type": "string", "format": "date-time" },
            "to": { "type": "string", "format": "date-time" },
            "windows": { "type": "integer", "description": "How many were merged" },
            "window_s": { "type": "number", "description": "Length of one" },
            "n": { "type": "integer" },
            "open": { "type": "boolean" },
            "metrics": {
                "type": "object",
                "description": "Sketches that gathered nothing are left out",
                "properties": metrics,
            },
        },
    })
}

fn schemas() -> Value {
    let estimate = json!({
        "type": "object",
        "description": "An estimate, and the limits between which the truth is with this confidence",
        "required": ["value", "lower", "upper", "confidence"],
        "properties": {
            "value": { "type": "number" }, "lower": { "type": "number" }, "upper": { "type": "number" },
            "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
        },
    });
    json!({
        "Window": window_schema(),
        "Estimate": estimate,
        "counter": { "type": "object", "required": ["value"], "properties": { "value": { "type": "integer" } } },
        "cardinality": { "allOf": [{ "$ref": "#/components/schemas/Estimate" }] },
        "quantiles": {
            "type": "object",
            "description": "p50, p90, p95, p99 and p99.9, each an Estimate",
            "properties": {
                "count": { "type": "integer" }, "min": { "type": "number" }, "max": { "type": "number" },
            },
            "additionalProperties": true,
        },
        "frequent_items": {
            "type": "object",
            "properties": {
                "weight": { "type": "integer" },
                "error": { "type": "integer", "description": "The most that any weight is off by" },
                "rows": { "type": "array", "items": { "type": "object", "properties": {
                    "item": { "type": "string" }, "value": { "type": "integer" },
                    "lower": { "type": "integer" }, "upper": { "type": "integer" },
                } } },
            },
        },
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
                "detail": { "type": "string" }, "parameter": { "type": "string" },
                "expected": { "type": "array", "items": { "type": "string" } }, "nearest": { "type": "string" },
            },
        },
    })
}

/// The document.
pub fn openapi() -> Value {
    let paths: Map<String, Value> = PATHS
        .iter()
        .map(|(path, summary)| {
            let operation = json!({ "get": {
                "summary": summary,
                "parameters": parameters(path),
                "responses": {
                    "200": { "description": "The answer", "content": content(path) },
                    "default": { "description": "What is wrong (RFC 9457)", "content": {
                        "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
                },
            } });
            ((*path).to_owned(), operation)
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flowgauge exporter",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Summaries of one host. Times are RFC 3339 UTC.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

/// The description of this API.
pub(super) async fn document() -> Json<Value> {
    Json(openapi())
}
