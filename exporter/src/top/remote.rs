//! Another exporter's summaries, by its HTTP API.

use std::time::Duration;

use serde_json::Value;

use super::figures::Reading;

/// An exporter that does not answer for this long is not reachable.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
/// Octets of an answer that are read.
const ANSWER_OCTETS: u64 = 32 << 20;

/// An exporter to ask.
#[derive(Debug)]
pub(super) struct Remote {
    agent: ureq::Agent,
    base: String,
}

impl Remote {
    /// Asks at once whether anybody is there.
    ///
    /// # Errors
    /// One line for people: no URL, nobody there, or somebody else.
    pub fn open(url: &str) -> Result<Remote, String> {
        let has_host = url
            .strip_prefix("http://")
            .is_some_and(|rest| !rest.trim_matches('/').is_empty());
        if !has_host {
            return Err(format!("--url: `{url}` is not http://HOST:PORT"));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .build();
        let remote = Remote {
            agent: config.into(),
            base: url.trim_end_matches('/').to_owned(),
        };
        match remote.get("/api/v1/windows")? {
            Ok(windows) if windows["windows"].is_array() => Ok(remote),
            Ok(_) => Err(remote.somebody_else()),
            Err(problem) => Err(format!("{}: {problem}", remote.base)),
        }
    }

    pub fn name(&self) -> &str {
        &self.base
    }

    /// What the exporter has now.
    ///
    /// # Errors
    /// One line for people.
    pub fn read(&self, only_newest: bool, rows: usize) -> Result<Reading, String> {
        let rates = self
            .get("/api/v1/rates")?
            .map_err(|problem| format!("{}: {problem}", self.base))?;
        let path = match only_newest {
            true => format!("/api/v1/windows/0?rows={rows}"),
            false => format!("/api/v1/windows/merged?open=true&rows={rows}"),
        };
        // A problem: there is no window yet.
        let window = self.get(&path)?.unwrap_or(Value::Null);
        Ok(Reading { window, rates })
    }

    fn somebody_else(&self) -> String {
        format!("{}: answers, but is no flowgauge-exporter; see its --api", self.base)
    }

    /// An answer, or what a problem document says.
    fn get(&self, path: &str) -> Result<Result<Value, String>, String> {
        let url = format!("{}{path}", self.base);
        let answer = self.agent.get(&url).header("accept", "application/json").call();
        let mut answer = answer.map_err(|error| {
            format!(
                "{}: {error}; is an exporter running there (flowgauge-exporter run --interface IF --api ADDR)?",
                self.base
            )
        })?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_OCTETS)
            .read_to_vec()
            .map_err(|error| format!("{url}: the answer broke off: {error}"))?;
        let json: Value = serde_json::from_slice(&body).map_err(|_| self.somebody_else())?;
        match (answer.status().is_success(), json["detail"].as_str()) {
            (true, _) => Ok(Ok(json)),
            (false, Some(detail)) => Ok(Err(detail.to_owned())),
            (false, None) => Err(self.somebody_else()),
        }
    }
}
