//! Asks a running collector over HTTP, and turns what goes wrong into one line.

use std::time::Duration;

use serde_json::Value as Json;

use crate::failure::Failure;
use crate::limits::ANSWER_OCTETS;

/// A collector to ask.
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// Why there is no answer.
pub enum Refusal {
    /// A problem document (RFC 9457).
    Problem(Json),
    /// Anything else.
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::Failure(failure)
    }
}

impl Client {
    /// A client of the collector at `url`.
    ///
    /// # Errors
    /// When it is no http URL.
    pub fn new(url: &str) -> Result<Client, Failure> {
        if !url.starts_with("http://") {
            return Err(Failure::usage(format!("--url: {url:?} is not http://HOST:PORT")));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(300)))
            .build();
        Ok(Client {
            agent: config.into(),
            base: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// What the collector says is wrong, or why it could not be asked.
    pub fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Json, Refusal> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url).header("accept", "application/json");
        let pairs = parameters.iter().map(|(name, text)| (*name, text.as_str()));
        let answer = request.query_pairs(pairs).call();
        let mut answer = answer.map_err(|error| unreachable_line(&self.base, &error))?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_OCTETS)
            .read_to_vec()
            .map_err(|error| Failure::running(format!("{url}: the answer broke off: {error}")))?;
        let is_problem = !answer.status().is_success();
        match serde_json::from_slice(&text) {
            Ok(problem) if is_problem => Err(Refusal::Problem(problem)),
            Ok(json) => Ok(json),
            Err(_) => {
                let status = answer.status();
                Err(Failure::running(format!(
                    "{url}: answered {status} without JSON; is a flowgauge-collector there?"
                ))
                .into())
            }
        }
    }
}

fn unreachable_line(base: &str, error: &ureq::Error) -> Failure {
    Failure::running(format!(
        "{base}: {error}; start a collector (flowgauge-collector run), name another with --url, or read its files with --data"
    ))
}
