//! The exporter over HTTP: current rates, windows of summaries with their sketches, Prometheus metrics, and pktvisor's paths
//! in its shape.
//!
//! One thread with a small runtime reads snapshots; packets are never waited for, nor do they wait.

mod accounts;
mod connections;
mod exposition;
pub mod limits;
mod metrics;
mod openapi;
mod parameters;
mod pktvisor;
mod problem;
mod rates;
mod server;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use accounts::SharedAccounts;
use connections::ConnectionCounters;
pub use pktvisor::{code_name, type_name};
use problem::Problem;
pub use rates::rates_json;
pub use server::ApiServer;
pub use windows::with_open;

use crate::summaries::{Networks, SharedSummaries};
use windows::Answers;

/// What every handler reads.
#[derive(Debug)]
pub struct Shared {
    summaries: Option<Arc<SharedSummaries>>,
    accounts: Arc<SharedAccounts>,
    networks: Arc<Networks>,
    started: Instant,
    ready: AtomicBool,
    connections: Arc<ConnectionCounters>,
    answers: Answers,
}

impl Shared {
    /// Over the summaries, if they are made, and the accounts of a running exporter; `networks` are its own.
    pub fn new(
        summaries: Option<Arc<SharedSummaries>>,
        accounts: Arc<SharedAccounts>,
        networks: Arc<Networks>,
    ) -> Shared {
        Shared {
            summaries,
            accounts,
            networks,
            started: Instant::now(),
            ready: AtomicBool::new(false),
            connections: Arc::default(),
            answers: Answers::default(),
        }
    }

    /// Packets are captured from now on, or no more.
    pub fn set_ready(&self, is_ready: bool) {
        self.ready.store(is_ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn summaries(&self) -> Result<&Arc<SharedSummaries>, Problem> {
        self.summaries
            .as_ref()
            .ok_or_else(|| Problem::not_found("this exporter makes no summaries: it was started with --summaries off"))
    }
}

#[derive(Clone, Debug)]
struct Api {
    shared: Arc<Shared>,
}

/// Every path, with what it gives; [`router`] and the OpenAPI document have the same ones, which a test holds.
const PATHS: &[(&str, &str)] = &[
    ("/api/v1/rates", "What comes in a second, and the accounts"),
    ("/api/v1/windows", "The windows that are kept"),
    ("/api/v1/windows/{n}", "One window: 0 is being filled, 1 closed last"),
    ("/api/v1/windows/merged", "Several windows in one"),
    (
        "/api/v1/windows/{n}/sketches/{metric}",
        "A sketch as an image of Apache DataSketches",
    ),
    ("/api/v1/metrics/app", "pktvisor: version and time since the start"),
    ("/api/v1/metrics/rates", "pktvisor: packets a second"),
    ("/api/v1/metrics/bucket/{n}", "pktvisor: one window"),
    ("/api/v1/metrics/window/{n}", "pktvisor: several windows in one"),
    (
        "/api/v1/policies/{policy}/metrics/bucket/{n}",
        "pktvisor: one window by policy and handler",
    ),
    (
        "/api/v1/policies/{policy}/metrics/window/{n}",
        "pktvisor: several windows in one, likewise",
    ),
    (
        "/api/v1/policies/{policy}/metrics/prometheus",
        "pktvisor: the metrics in Prometheus' format",
    ),
    ("/api/openapi.json", "The description of this API"),
    ("/metrics", "Metrics in Prometheus' format"),
    ("/healthz", "The process is alive"),
    ("/readyz", "Packets are captured"),
];

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/rates", get(rates::rates))
        .route("/api/v1/windows", get(windows::list))
        .route("/api/v1/windows/{n}", get(windows::one))
        .route("/api/v1/windows/merged", get(windows::merged))
        .route("/api/v1/windows/{n}/sketches/{metric}", get(windows::sketch))
        .route("/api/v1/metrics/app", get(pktvisor::app))
        .route("/api/v1/metrics/rates", get(pktvisor::rates))
        .route("/api/v1/metrics/bucket/{n}", get(pktvisor::bucket))
        .route("/api/v1/metrics/window/{n}", get(pktvisor::window))
        .route(
            "/api/v1/policies/{policy}/metrics/bucket/{n}",
            get(pktvisor::policy_bucket),
        )
        .route(
            "/api/v1/policies/{policy}/metrics/window/{n}",
            get(pktvisor::policy_window),
        )
        .route(
            "/api/v1/policies/{policy}/metrics/prometheus",
            get(pktvisor::prometheus),
        )
        .route("/api/openapi.json", get(openapi::document))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .fallback(unknown_path)
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(axum::middleware::from_fn(harden))
        .with_state(Api { shared })
}

async fn readiness(axum::extract::State(api): axum::extract::State<Api>) -> Response {
    match api.shared.is_ready() {
        true => "ready\n".into_response(),
        false => Problem::not_ready("packets are not captured yet, or no more").into_response(),
    }
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("no path {}", uri.path())).expecting(uri.path(), PATHS.iter().map(|(path, _)| *path))
}

/// No answer takes for ever, and none is kept or guessed at by browsers.
async fn harden(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limits::ANSWER, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| Problem::timeout().into_response());
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
