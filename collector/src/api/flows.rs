//! `/api/v1/flows`, one flow, and completion of filters.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use super::render::{Form, render, rows_json};
use crate::normalize::row::cut;
use crate::query::{self, FlowsRequest};

/// Parameters of [`list`].
pub const PARAMETERS: &[&str] = &["filter", "from", "to", "limit", "cursor", "order", "fields", "once"];

/// Flows, a page at a time.
pub async fn list(State(api): State<Api>, parameters: Parameters, headers: HeaderMap) -> Result<Response, Problem> {
    parameters.only(PARAMETERS)?;
    let mut request = FlowsRequest {
        filter: parameters.filter(&api.snapshot())?,
        from_ns: parameters.time("from")?,
        to_ns: parameters.time("to")?,
        limit: parameters.limit()?.unwrap_or(0),
        cursor: parameters.text("cursor").map(str::to_owned),
        once: parameters.once()?,
        asked: Some(parameters.asked()),
        order: parameters.text("order").map(str::to_owned),
        fields: parameters.list("fields"),
        ..FlowsRequest::default()
    };
    let table = api
        .query(move |shared, limits| {
            request.limits = limits;
            query::flows(&shared.store.snapshot(), &request)
        })
        .await?;
    Ok(render(Form::of(&headers), &table))
}

/// One flow with every element.
pub async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    parameters.only(&[])?;
    let wanted = id.clone();
    let table = api
        .query(move |shared, _| query::flow(&shared.store.snapshot(), &wanted))
        .await?;
    match rows_json(&table).next() {
        Some(row) => Ok(Json(json!({ "row": row }))),
        None => Err(Problem::not_found(format!(
            "no flow has the id {id:?}; it may have been removed by retention"
        ))),
    }
}

/// What could come next in a filter.
pub async fn complete(State(api): State<Api>, parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.only(&["text", "at"])?;
    let text = parameters.text("text").unwrap_or_default().to_owned();
    // A place within a character is that character's start.
    let at = cut(&text, parameters.number("at")?.unwrap_or(text.len())).len();
    let completion = api
        .query(move |shared, _| Ok(query::complete(&shared.store.snapshot(), &text, at)))
        .await?;
    let items: Vec<Value> = completion
        .items
        .iter()
        .map(|item| json!({ "text": item.text, "kind": item.kind, "help": item.help }))
        .collect();
    Ok(Json(
        json!({ "from": completion.from, "to": completion.to, "items": items }),
    ))
}
