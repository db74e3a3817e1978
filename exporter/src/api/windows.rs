//! Windows of summaries as JSON, and their sketches as images.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::limits::{KEPT_ANSWERS, OPEN_WAIT};
use super::parameters::{Parameters, number};
use super::problem::Problem;
use super::{Api, Shared};
use crate::summaries::json::{time, window as window_json};
use crate::summaries::limits::{LIST_ROWS, MAX_LIST_ROWS};
use crate::summaries::sketch::image::{FAMILY_FREQUENCY, FAMILY_HLL};
use crate::summaries::{Kind, Metric, SharedSummaries, Summary, Window};

type Pairs = Query<Vec<(String, String)>>;

/// Answers that are the same until there is something newer: many viewers cost what one costs.
#[derive(Debug, Default)]
pub(super) struct Answers {
    kept: Mutex<VecDeque<(String, Stamp, Bytes)>>,
}

/// Changes whenever anything was taken in or closed.
type Stamp = [u64; 3];

fn stamp(summaries: &SharedSummaries) -> Stamp {
    let taken = summaries.counters();
    [taken.packets, taken.transactions, summaries.shared_counters().windows]
}

impl Answers {
    /// The answer kept under `key`, or a new one.
    pub fn of(
        &self,
        key: &str,
        summaries: &SharedSummaries,
        make: impl FnOnce() -> Result<Value, Problem>,
    ) -> Result<Response, Problem> {
        let stamp = stamp(summaries);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, of, _)| known == key && *of == stamp);
        if let Some((_, _, body)) = found {
            return Ok(json_response(body.clone()));
        }
        drop(kept);
        let body = Bytes::from(serde_json::to_vec(&make()?).unwrap_or_default());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, ..)| known != key);
        if kept.len() >= KEPT_ANSWERS {
            kept.pop_front();
        }
        kept.push_back((key.to_owned(), stamp, body.clone()));
        Ok(json_response(body))
    }
}

fn json_response(body: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

impl Shared {
    /// The summaries with the window that is being filled among them: the first one who asks has to wait for it a little.
    pub(super) async fn with_open_window(&self) -> Result<&Arc<SharedSummaries>, Problem> {
        let summaries = self.summaries()?;
        if !summaries.keeps_open() {
            summaries.keep_open();
            let began = Instant::now();
            // Files may have ended, or nothing may come: then there is none.
            while summaries.open().is_none() && self.is_ready() && began.elapsed() < OPEN_WAIT {
                tokio::time::sleep(OPEN_WAIT / 30).await;
            }
        }
        Ok(summaries)
    }
}

/// The windows that are being filled and the newest closed ones before them in one, `windows` in all.
pub fn with_open(summaries: &SharedSummaries, windows: usize) -> Option<Arc<Window>> {
    let mut parts = summaries.unfinished();
    parts.drain(..parts.len().saturating_sub(windows));
    let mut whole = summaries
        .merged(windows.saturating_sub(parts.len()))
        .map(Arc::unwrap_or_clone);
    for part in parts {
        match &mut whole {
            None => whole = Some(Arc::unwrap_or_clone(part)),
            // Our own windows are all of one kind, and no window is so full that its sums overflow.
            Some(whole) => whole.merge(&part).unwrap_or_default(),
        }
    }
    whole.map(Arc::new)
}

/// The window with a number: 0 is being filled, 1 closed last.
pub(super) fn numbered(summaries: &SharedSummaries, n: usize) -> Result<Arc<Window>, Problem> {
    let found = match n.checked_sub(1) {
        None => summaries.open(),
        Some(back) => summaries.closed(back),
    };
    found.ok_or_else(|| {
        let detail = match (n, summaries.windows()) {
            (0, _) => "no window is being filled: nothing has come yet, or nothing comes any more".to_owned(),
            (_, 0) => format!("no window {n}: none has closed yet"),
            (_, 1) => format!("no window {n}: there is window 1 so far"),
            (_, most) => format!("no window {n}: there are windows 1 to {most}"),
        };
        Problem::not_found(detail)
    })
}

/// The most windows that can be merged: those that are kept, and the one that is being filled.
pub(super) fn most_windows(summaries: &SharedSummaries) -> usize {
    summaries.config().kept + 1
}

/// `/api/v1/windows`
pub(super) async fn list(State(api): State<Api>, Query(pairs): Pairs) -> Result<Json<Value>, Problem> {
    Parameters::new(pairs, &[])?;
    let summaries = api.shared.with_open_window().await?;
    let about = |n: usize, window: &Window| {
        json!({
            "n": n,
            "open": n == 0,
            "from": time(window.start_ns),
            "to": time(window.end_ns),
            "packets": window.counter(Metric::Packets),
            "octets": window.counter(Metric::Octets),
            "dns_queries": window.counter(Metric::DnsQueries),
            "dns_responses": window.counter(Metric::DnsResponses),
        })
    };
    let open = summaries.open().map(|window| about(0, &window));
    let closed = (0..summaries.windows()).filter_map(|back| Some(about(back + 1, &*summaries.closed(back)?)));
    Ok(Json(json!({
        "window_s": summaries.config().window_ns as f64 / 1e9,
        "kept": summaries.config().kept,
        "windows": open.into_iter().chain(closed).collect::<Vec<_>>(),
    })))
}

/// `/api/v1/windows/{n}`
pub(super) async fn one(
    State(api): State<Api>,
    Path(n): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    let parameters = Parameters::new(pairs, &["rows"])?;
    let rows = parameters.number("rows", [0, MAX_LIST_ROWS], LIST_ROWS)?;
    let kept = api.shared.summaries()?.config().kept;
    let n = number("n", &n, [0, kept])?;
    let summaries = match n {
        0 => api.shared.with_open_window().await?,
        _ => api.shared.summaries()?,
    };
    api.shared.answers.of(&format!("one {n} {rows}"), summaries, || {
        let window = numbered(summaries, n)?;
        let mut answer = window_json(&window, rows);
        answer["n"] = n.into();
        answer["open"] = (n == 0).into();
        answer["window_s"] = (summaries.config().window_ns as f64 / 1e9).into();
        Ok(answer)
    })
}

/// `/api/v1/windows/merged`
pub(super) async fn merged(State(api): State<Api>, Query(pairs): Pairs) -> Result<Response, Problem> {
    let parameters = Parameters::new(pairs, &["n", "rows", "open"])?;
    let most = most_windows(api.shared.summaries()?);
    let open = parameters.switch("open", false)?;
    let n = parameters.number("n", [1, most], most)?;
    let rows = parameters.number("rows", [0, MAX_LIST_ROWS], LIST_ROWS)?;
    let summaries = match open {
        true => api.shared.with_open_window().await?,
        false => api.shared.summaries()?,
    };
    api.shared
        .answers
        .of(&format!("merged {n} {rows} {open}"), summaries, || {
            let window = match open {
                true => with_open(summaries, n),
                false => summaries.merged(n),
            };
            let Some(window) = window else {
                return Err(Problem::not_found(
                    "no window has closed yet; with open=true, the one that is being filled counts too",
                ));
            };
            let mut answer = window_json(&window, rows);
            answer["window_s"] = (summaries.config().window_ns as f64 / 1e9).into();
            Ok(answer)
        })
}

/// `/api/v1/windows/{n}/sketches/{metric}`
pub(super) async fn sketch(
    State(api): State<Api>,
    Path((n, metric)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, Problem> {
    Parameters::new(pairs, &[])?;
    let metric = sketch_metric(&metric)?;
    let kept = api.shared.summaries()?.config().kept;
    let n = number("n", &n, [0, kept])?;
    let summaries = match n {
        0 => api.shared.with_open_window().await?,
        _ => api.shared.summaries()?,
    };
    let window = numbered(summaries, n)?;
    let (family, parameter, image) = match window.summary(metric) {
        Summary::Counter(_) => (0, 0, Vec::new()),
        Summary::Cardinality(sketch) => (FAMILY_HLL, sketch.parameter(), sketch.image()),
        Summary::Quantiles(sketch) => (sketch.family(), sketch.parameter(), sketch.image()),
        Summary::FrequentItems(list) => (FAMILY_FREQUENCY, list.parameter(), list.image()),
    };
    let headers = [
        ("content-type", "application/octet-stream".to_owned()),
        ("x-sketch-metric", metric.about().name.to_owned()),
        ("x-sketch-kind", metric.about().kind.as_str().to_owned()),
        ("x-sketch-family", family.to_string()),
        ("x-sketch-parameter", parameter.to_string()),
        ("x-sketch-from", time(window.start_ns)),
        ("x-sketch-to", time(window.end_ns)),
    ];
    let mut response = image.into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn sketch_metric(name: &str) -> Result<Metric, Problem> {
    let found = Metric::by_name(name);
    if let Some(metric) = found.filter(|metric| metric.about().kind != Kind::Counter) {
        return Ok(metric);
    }
    let detail = match found {
        Some(_) => format!("{name} is a counter, which needs no sketch: the window itself has its value"),
        None => format!("no metric {name}"),
    };
    let sketches = Metric::ALL
        .iter()
        .map(|metric| metric.about())
        .filter(|about| about.kind != Kind::Counter);
    Err(Problem::not_found(detail).expecting(name, sketches.map(|about| about.name)))
}
