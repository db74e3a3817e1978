//! `/api/v1/flows`, one flow, and completion of filters.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use super::render::{Asked, answer, render, rows_json};
use super::streamed::streamed;
use crate::forms::{Form, write_download};
use crate::limits::FLOWS_PER_ANSWER;
use crate::normalize::row::cut;
use crate::query::{self, FlowsRequest};

/// Parameters of [`list`].
pub const PARAMETERS: &[&str] = &[
    "filter", "from", "to", "limit", "cursor", "order", "fields", "once", "format",
];

/// Flows, a page at a time.
pub async fn list(State(api): State<Api>, parameters: Parameters, headers: HeaderMap) -> Result<Response, Problem> {
    parameters.only(PARAMETERS)?;
    let asked = Asked::of(&parameters, &headers)?;
    if parameters.text("limit") == Some("all") {
        return everything(api, parameters, asked).await;
    }
    let limit = parameters.limit()?;
    // Who reads a file does not look at its headers to see whether there is more.
    if asked.form != Form::Json && limit.is_some_and(|limit| limit > FLOWS_PER_ANSWER) {
        let detail = format!("limit: a page has {FLOWS_PER_ANSWER} flows at most; limit=all is everything in one file");
        return Err(Problem::parameter("limit", detail, Some("all".to_owned())));
    }
    let mut request = FlowsRequest {
        from_ns: parameters.time("from")?,
        to_ns: parameters.time("to")?,
        limit: limit.unwrap_or(0),
        cursor: parameters.text("cursor").map(str::to_owned),
        once: parameters.once()?,
        asked: Some(parameters.asked()),
        order: parameters.text("order").map(str::to_owned),
        fields: parameters.list("fields"),
        ..FlowsRequest::default()
    };
    let table = api
        .query(move |shared, limits| {
            let snapshot = shared.store.snapshot();
            request.filter = parameters.filter(&snapshot)?;
            request.limits = limits;
            query::flows(&snapshot, &request).map_err(Problem::from)
        })
        .await?;
    Ok(render(asked, "flows", table))
}

/// Everything that matches, as one file.
async fn everything(api: Api, parameters: Parameters, asked: Asked) -> Result<Response, Problem> {
    if asked.form == Form::Json {
        let detail = "limit: all is for files of rows; add format=csv, ndjson or parquet";
        return Err(Problem::parameter("limit", detail, None));
    }
    if parameters.text("cursor").is_some() {
        let detail = "cursor: limit=all has no pages; leave one of them out";
        return Err(Problem::parameter("cursor", detail, None));
    }
    let Ok(permit) = Arc::clone(&api.downloads).try_acquire_owned() else {
        return Err(Problem::busy());
    };
    let mut request = FlowsRequest {
        from_ns: parameters.time("from")?,
        to_ns: parameters.time("to")?,
        once: parameters.once()?,
        order: parameters.text("order").map(str::to_owned),
        fields: parameters.list("fields"),
        ..FlowsRequest::default()
    };
    let download = api
        .query(move |shared, limits| {
            let snapshot = shared.store.snapshot();
            request.filter = parameters.filter(&snapshot)?;
            request.limits = limits;
            query::download(snapshot, request).map_err(Problem::from)
        })
        .await?;
    let rows = download.rows();
    let timeout = api.shared.config.query_timeout;
    let form = asked.form;
    let body = streamed(move |sink| {
        let _permit = permit;
        write_download(form, download, Some(timeout), sink).map(drop)
    });
    let mut response = answer(asked, "flows", body);
    response.headers_mut().insert("flowgauge-rows", rows.into());
    Ok(response)
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
        .query(move |shared, _| Ok::<_, Problem>(query::complete(&shared.store.snapshot(), &text, at)))
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
