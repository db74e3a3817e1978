//! `/api/v1/summaries`: counters and sketches of exporters, merged over exporters and time with their limits.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::Api;
use super::parameters::Parameters;
use super::problem::Problem;
use super::render::{accepted, render_json};
use crate::summaries::{self, SummariesRequest};

/// Parameters of [`list`].
pub const PARAMETERS: &[&str] = &["metric", "from", "to", "exporters", "limit", "ranks"];
/// The columns of an answer in CSV.
pub const COLUMNS: [&str; 9] = [
    "metric",
    "kind",
    "item",
    "rank",
    "value",
    "lower",
    "upper",
    "confidence",
    "unit",
];
/// The columns of the list of metrics in CSV.
pub const LIST_COLUMNS: [&str; 7] = ["metric", "kind", "unit", "summaries", "images", "from", "to"];

/// Understands texts as the API and the command line give them.
///
/// # Errors
/// Which parameter is wrong, and why.
pub fn request(
    metric: Option<&str>,
    exporters: &[String],
    ranks: &[String],
) -> Result<SummariesRequest, (&'static str, String)> {
    let address = |text: &String| {
        let wrong = |_| ("exporters", format!("exporters: {text:?} is not an address"));
        text.trim().parse().map_err(wrong)
    };
    let rank = |text: &String| {
        let rank: Option<f64> = text.trim().parse().ok();
        rank.filter(|rank| (0.0..=1.0).contains(rank))
            .ok_or_else(|| ("ranks", format!("ranks: {text:?} is not a number from 0 to 1")))
    };
    Ok(SummariesRequest {
        metric: metric.map(str::to_owned),
        exporters: exporters.iter().map(address).collect::<Result<_, _>>()?,
        ranks: ranks.iter().map(rank).collect::<Result<_, _>>()?,
        ..SummariesRequest::default()
    })
}

/// Which metrics are stored, or one of them merged.
pub async fn list(State(api): State<Api>, parameters: Parameters, headers: HeaderMap) -> Result<Response, Problem> {
    parameters.only(PARAMETERS)?;
    let metric = parameters.text("metric");
    let mut request = request(metric, &parameters.list("exporters"), &parameters.list("ranks"))
        .map_err(|(name, why)| Problem::parameter(name, why, None))?;
    request.from_ns = parameters.time("from")?;
    request.to_ns = parameters.time("to")?;
    request.limit = parameters.limit()?.unwrap_or(0);
    let columns = if metric.is_some() { &COLUMNS[..] } else { &LIST_COLUMNS };
    let answer = api
        .query(move |shared, limits| {
            request.limits = limits;
            summaries::summaries(&shared.summaries.segments(), &request)
        })
        .await?;
    Ok(render_json(accepted(&headers), columns, &answer.to_json()))
}
