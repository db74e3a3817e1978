//! Errors as RFC 9457 problem documents: what was wrong, and what would be right.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// An error as the client gets it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Document>);

#[derive(Clone, Debug, serde::Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// What there is.
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
            parameter: None,
            expected: Vec::new(),
            nearest: None,
        }))
    }

    /// A parameter is wrong or unknown.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "parameter", "A parameter is wrong", detail);
        problem.0.parameter = Some(name.to_owned());
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

    /// It took too long.
    pub fn timeout() -> Problem {
        let detail = "the exporter is too busy to answer in time; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "No answer in time", detail)
    }

    /// It will be there later.
    pub fn not_ready(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail)
    }

    /// Says what there is, and which of it is probably meant by `wrong`.
    pub fn expecting<'n>(mut self, wrong: &str, expected: impl IntoIterator<Item = &'n str>) -> Problem {
        self.0.expected = expected.into_iter().map(str::to_owned).collect();
        self.0.nearest =
            crate::config::keys::nearest(wrong, self.0.expected.iter().map(String::as_str)).map(str::to_owned);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}
