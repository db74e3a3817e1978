//! `/api/v1/aggregate`: totals, top lists and series.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use super::render::{Asked, render};
use crate::query::aggregate::Interval;
use crate::query::{self, AggregateRequest, Compare, TierAsked, time};
use crate::run::now_ns;

/// Parameters of [`aggregate`].
pub const PARAMETERS: &[&str] = &[
    "filter", "from", "to", "group_by", "metrics", "interval", "limit", "order_by", "tier", "compare", "other", "once",
    "format",
];

/// `auto`, or a duration.
pub fn interval(text: &str) -> Result<Interval, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Interval::Auto);
    }
    time::parse_duration(text).map(Interval::Ns)
}

/// Flows put together.
pub async fn aggregate(
    State(api): State<Api>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters.only(PARAMETERS)?;
    let asked = Asked::of(&parameters, &headers)?;
    let read_interval = |text| interval(text).map_err(|why| Problem::parameter("interval", why, None));
    let read_compare = |text| Compare::parse(text).map_err(|why| Problem::parameter("compare", why, None));
    let compare = parameters.text("compare").map(read_compare).transpose()?;
    let mut request = AggregateRequest {
        from_ns: parameters.time("from")?,
        // What is compared has an end.
        to_ns: parameters.time("to")?.or_else(|| compare.map(|_| now_ns())),
        once: parameters.once()?,
        compare,
        other: parameters.is_set("other")?,
        group_by: parameters.list("group_by"),
        metrics: parameters.list("metrics"),
        interval: parameters.text("interval").map(read_interval).transpose()?,
        limit: parameters.limit()?.unwrap_or(0),
        tier: parameters.text("tier").map_or(Ok(TierAsked::Auto), TierAsked::parse)?,
        order_by: parameters.text("order_by").map(str::to_owned),
        ..AggregateRequest::default()
    };
    let table = api
        .query(move |shared, limits| {
            let snapshot = shared.store.snapshot();
            request.filter = parameters.filter(&snapshot)?;
            request.limits = limits;
            query::aggregate(&snapshot, &request).map_err(Problem::from)
        })
        .await?;
    Ok(render(asked, "aggregate", table))
}
