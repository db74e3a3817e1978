//! Asks a running collector over HTTP, and turns what goes wrong into one line.

use std::io::Read as _;
use std::time::Duration;

use serde_json::Value as Json;

use crate::failure::Failure;
use crate::forms::Form;
use crate::limits::{ANSWER_OCTETS, ANSWER_PIECE_OCTETS};

/// How long an answer that is read whole may take.
const PATIENCE: Duration = Duration::from_secs(300);

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
        let mut answer = self.ask(path, parameters, Form::Json, Some(PATIENCE))?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_OCTETS)
            .read_to_vec()
            .map_err(|error| self.broken(path, &error.into_io()))?;
        let is_problem = !answer.status().is_success();
        match serde_json::from_slice(&text) {
            Ok(problem) if is_problem => Err(Refusal::Problem(problem)),
            Ok(json) => Ok(json),
            Err(_) => Err(self.not_ours(path, &answer)),
        }
    }

    /// Asks for rows in some form and hands them on as they come, as long as `take` wants more.
    ///
    /// # Errors
    /// As [`Client::get`], and when the answer breaks off, and what `take` says.
    pub fn rows(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        form: Form,
        mut take: impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Refusal> {
        // How long it takes is for its length to say.
        let mut answer = self.ask(path, parameters, form, None)?;
        if !answer.status().is_success() {
            let body = answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec();
            let problem = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
            return Err(match problem {
                Some(problem) => Refusal::Problem(problem),
                None => self.not_ours(path, &answer),
            });
        }
        let mut reader = answer.body_mut().with_config().limit(u64::MAX).reader();
        let mut piece = vec![0; ANSWER_PIECE_OCTETS];
        loop {
            let read = reader.read(&mut piece).map_err(|error| self.broken(path, &error))?;
            let octets = piece.get(..read).unwrap_or_default();
            if octets.is_empty() || !take(octets)? {
                return Ok(());
            }
        }
    }

    fn ask(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        form: Form,
        patience: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url).header("accept", form.media_type());
        let pairs = parameters.iter().map(|(name, text)| (*name, text.as_str()));
        let request = request.config().timeout_global(patience).build();
        let answer = request.query_pairs(pairs).call();
        answer.map_err(|error| unreachable_line(&self.base, &error))
    }

    fn broken(&self, path: &str, error: &std::io::Error) -> Failure {
        Failure::running(format!("{}{path}: the answer broke off: {error}", self.base))
    }

    fn not_ours(&self, path: &str, answer: &ureq::http::Response<ureq::Body>) -> Refusal {
        let status = answer.status();
        Refusal::Failure(Failure::running(format!(
            "{}{path}: answered {status} without JSON; is a flowgauge-collector there?",
            self.base
        )))
    }
}

fn unreachable_line(base: &str, error: &ureq::Error) -> Failure {
    Failure::running(format!(
        "{base}: {error}; start a collector (flowgauge-collector run), name another with --url, or read its files with --data"
    ))
}
