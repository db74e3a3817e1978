//! The collector over HTTP: search and aggregation, what is known about exporters, the ledger, metrics, and the page.
//!
//! Queries run on blocking threads with a time limit, and end when the client goes away.

mod aggregate;
pub mod alerts;
mod elements;
mod enrichment;
mod exporters;
mod flows;
mod live;
mod metrics;
mod openapi;
mod page;
mod parameters;
mod problem;
mod render;
mod status;
mod streamed;
pub mod summaries;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};

pub use self::aggregate::interval as aggregate_interval;
pub use self::elements::{column_json, element_json};
use self::problem::Problem;
pub use self::render::{about_json, answer_json};
pub use self::status::status_json;
use crate::failure::Failure;
use crate::forms::Form;
use crate::limits::{DOWNLOADS, QUERIES};
use crate::query::Limits;
use crate::run::Shared;

/// What every handler works with.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
    queries: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    live_readers: Arc<AtomicUsize>,
    stopped: watch::Receiver<bool>,
    stop: Arc<watch::Sender<bool>>,
}

impl Api {
    /// An API over a running collector.
    pub fn new(shared: Arc<Shared>) -> Api {
        let (stop, stopped) = watch::channel(false);
        Api {
            shared,
            queries: Arc::new(Semaphore::new(QUERIES)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            live_readers: Arc::new(AtomicUsize::new(0)),
            stopped,
            stop: Arc::new(stop),
        }
    }

    /// Every route.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/v1/flows", get(flows::list))
            .route("/api/v1/flows/{id}", get(flows::one))
            .route("/api/v1/aggregate", get(aggregate::aggregate))
            .route("/api/v1/summaries", get(summaries::list))
            .route("/api/v1/complete", get(flows::complete))
            .route("/api/v1/columns", get(elements::columns))
            .route("/api/v1/elements", get(elements::elements))
            .route("/api/v1/exporters", get(exporters::exporters))
            .route("/api/v1/templates", get(exporters::templates))
            .route("/api/v1/alerts", get(alerts::alerts))
            .route("/api/v1/alerts/history", get(alerts::history))
            .route("/api/v1/status", get(status::status))
            .route("/api/v1/live", get(live::live))
            .route("/api/openapi.json", get(openapi::document))
            .route("/metrics", get(metrics::metrics))
            .route("/healthz", get(status::health))
            .route("/readyz", get(status::readiness))
            .fallback(page::page)
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(axum::middleware::from_fn(harden))
            // Parquet is compressed already.
            .layer(
                CompressionLayer::new().compress_when(
                    DefaultPredicate::new().and(NotForContentType::const_new(Form::Parquet.media_type())),
                ),
            )
            .with_state(self)
    }

    /// Runs a query on a blocking thread. It is cancelled when it takes too long or when the answer is no longer awaited.
    ///
    /// Filters are understood there as well: compiling what a few octets of a pattern ask for takes a while, and the few
    /// threads that serve connections must not be held up by it.
    async fn query<T: Send + 'static, E: Into<Problem> + Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, Limits) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem> {
        let deadline = Instant::now() + self.shared.config.query_timeout;
        let permit = tokio::time::timeout_at(deadline.into(), Arc::clone(&self.queries).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Problem::busy());
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let limits = Limits {
            deadline: Some(deadline),
            cancelled: Some(Arc::clone(&cancelled)),
        };
        // Dropped with this future: at the end, or when the client is gone.
        let _cancel = CancelOnDrop(cancelled);
        let shared = Arc::clone(&self.shared);
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&shared, limits)
        });
        match running.await {
            Ok(answer) => answer.map_err(E::into),
            Err(error) => Err(Problem::internal(&format!("the query ended abnormally: {error}"))),
        }
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What browsers may do with anything that comes from here: show it, with its own scripts and styles, and nothing else.
async fn harden(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                          object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The API being served.
pub struct ApiServer {
    address: SocketAddr,
    stop: Arc<watch::Sender<bool>>,
    serving: tokio::task::JoinHandle<()>,
    runtime: tokio::runtime::Handle,
}

impl ApiServer {
    /// Serves on a bound listener.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn start(api: Api, listener: std::net::TcpListener, runtime: &Runtime) -> Result<ApiServer, Failure> {
        let failed = |error: std::io::Error| Failure::running(format!("cannot serve HTTP: {error}"));
        let _entered = runtime.enter();
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let stop = Arc::clone(&api.stop);
        let mut stopped = api.stopped.clone();
        let serving = runtime.spawn(async move {
            let ended = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(listener, api.router()).with_graceful_shutdown(ended).await {
                tracing::error!(%error, "HTTP ended");
            }
        });
        Ok(ApiServer {
            address,
            stop,
            serving,
            runtime: runtime.handle().clone(),
        })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests that run finish for a moment, then ends.
    pub fn stop(mut self) {
        let _ = self.stop.send(true);
        let finished = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(2), &mut self.serving).await });
        if finished.is_err() {
            self.serving.abort();
        }
    }
}
