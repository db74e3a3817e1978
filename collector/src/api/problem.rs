//! Errors as RFC 9457 problem documents: what was wrong, where in the filter, and what would be right.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::query::{FilterError, QueryError};

/// An error as the client gets it. Boxed: results are handed through many hands, and most hold an answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Document>);

#[derive(Clone, Debug, Default, serde::Serialize)]
struct Document {
    /// A name for the kind of problem, relative to the API's documentation.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// Octets of the filter before the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expected: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Document {
            kind: format!("urn:flowgauge:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            ..Document::default()
        }))
    }

    /// A parameter that is wrong.
    pub fn parameter(name: &str, detail: impl Into<String>, nearest: Option<String>) -> Problem {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "parameter", "A parameter is wrong", detail);
        problem.0.parameter = Some(name.to_owned());
        problem.0.nearest = nearest;
        problem
    }

    /// Nothing is there.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// Only GET is understood.
    pub fn method_not_allowed() -> Problem {
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "Only GET works here",
            "use GET",
        )
    }

    /// Too much is going on.
    pub fn busy() -> Problem {
        let detail = "as many queries are running as may; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many queries", detail)
    }

    /// The collector is not ready, or ends.
    pub fn not_ready(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
    }

    /// Our own fault.
    pub fn internal(detail: &str) -> Problem {
        tracing::error!("{detail}");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The collector failed",
            detail,
        )
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Problem {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "filter", "The filter is wrong", error.detail);
        problem.0.parameter = Some("filter".to_owned());
        problem.0.offset = Some(error.offset);
        problem.0.length = Some(error.len);
        problem.0.expected = error.expected;
        problem.0.nearest = error.nearest;
        problem
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let detail = error.to_string();
        match error {
            QueryError::Request {
                parameter,
                detail,
                nearest,
            } => Problem::parameter(parameter, detail, nearest),
            QueryError::Timeout { .. } => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "The query took too long",
                detail,
            ),
            // Nobody reads it: the client is gone.
            QueryError::Cancelled => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cancelled", "Cancelled", detail),
            QueryError::TooMuch { .. } => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too-much",
                "The answer would be too large",
                detail,
            ),
            QueryError::Store { .. } => Problem::internal(&detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let kind = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        (status, [kind], body).into_response()
    }
}
