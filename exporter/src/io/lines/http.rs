//! Lines by HTTP POST, some thousand in a body (NDJSON). What a server cannot take now (429, 5xx, no connection) is sent
//! again after a pause, its own if it names one (RFC 9110 section 10.2.3); what it does not want (4xx) is lost and said.
//!
//! A connection that breaks before the answer may have carried the lines: they go again, and may then be there twice.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::{LineSink, Lines};
use crate::config::lines::{Authorization, LinesConfig, header};
use crate::exporting::{DestinationAccounts, Event, Loss, Volume};
use crate::io::destination::{Context, Failure, Progress, now_ns};
use crate::io::log_limit::LogLimit;
use crate::io::patience::Stop;
use crate::io::queue::BatchQueue;
use crate::io::retry::{Retry, seed};

/// How long a server may take to be reached, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest pause that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How long to sleep at a time between tries.
const NAP: Duration = Duration::from_secs(1);
/// Octets of an answer that are read, so that the connection can be used again, and letters of it that are said.
const ANSWER_OCTETS: u64 = 64 << 10;
const SAID_LETTERS: usize = 120;
/// Where systems keep the authorities that they trust: Debian, Red Hat, SUSE, Alpine and the BSDs.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Lines to a server.
#[derive(Debug)]
pub(in crate::io) struct HttpPush {
    url: String,
    agent: Agent,
    authorization: Option<Authorization>,
    /// The header's value when it could last be read.
    credentials: Option<Credentials>,
    gzip: bool,
    stop: Arc<Stop>,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
    retry: Retry,
    away: LogLimit,
    refused: LogLimit,
    body: Vec<u8>,
}

/// The value of the header Authorization, kept out of logs.
struct Credentials(String);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What became of a request.
#[derive(Debug)]
enum Verdict {
    Taken,
    TooLarge,
    /// The server does not want it, and says why.
    Refused(String),
    /// Why not now, and for how long at least.
    Later(String, Option<Duration>),
}

impl HttpPush {
    /// Connects later: a server that is away is no reason not to start.
    ///
    /// # Errors
    /// One line for people: what of the settings cannot be used.
    pub fn new(
        url: &str,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Self, String> {
        let config = &context.config.lines;
        let mut push = Self {
            url: url.to_owned(),
            agent: agent(url, config).map_err(|why| format!("{}: {why}", accounts.name))?,
            authorization: config.http_authorization.clone(),
            credentials: None,
            gzip: config.http_gzip,
            stop: context.stop.clone(),
            accounts,
            queue,
            retry: Retry::new(seed()),
            away: LogLimit::default(),
            refused: LogLimit::default(),
            body: Vec::new(),
        };
        push.read_credentials()
            .map_err(|why| format!("{}: {why}", push.accounts.name))?;
        Ok(push)
    }

    /// A file is read again for each request: tokens are renewed.
    fn read_credentials(&mut self) -> Result<(), String> {
        let text = match &self.authorization {
            None => return Ok(()),
            Some(Authorization::Text(text)) => text.clone(),
            Some(Authorization::File(path)) => std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}; --http-authorization names it", path.display()))?,
        };
        self.credentials = Some(Credentials(header(&text)?));
        Ok(())
    }

    /// Sends some of the lines, however often it takes.
    fn push(
        &mut self,
        lines: &Lines,
        range: std::ops::Range<usize>,
        progress: &mut Progress,
    ) -> Result<(), (Failure, usize)> {
        let records = range.len() as u64;
        loop {
            match self.post(lines.text_of(range.clone())) {
                Verdict::Taken => {
                    if self.retry.failures() > 0 {
                        let (name, failures) = (&self.accounts.name, self.retry.failures());
                        tracing::info!("{name}: the server takes records again after {failures} failed tries");
                    }
                    self.retry.handle_success(now_ns());
                    self.accounts.add_exported(records, self.body.len() as u64);
                    progress.moved();
                    return Ok(());
                }
                Verdict::TooLarge if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    self.push(lines, range.start..middle, progress)?;
                    return self.push(lines, middle..range.end, progress);
                }
                Verdict::TooLarge => {
                    let octets = self.body.len();
                    self.refuse(records, &format!("one record of {octets} octets is too large for it"));
                    return Ok(());
                }
                Verdict::Refused(why) => {
                    self.refuse(records, &why);
                    progress.moved();
                    return Ok(());
                }
                Verdict::Later(why, pause) => {
                    self.wait(&why, pause, progress)
                        .map_err(|failure| (failure, lines.len() - range.start))?;
                }
            }
        }
    }

    fn refuse(&mut self, records: u64, why: &str) {
        let accounts = &self.accounts;
        accounts.events.add(Event::RequestRefused);
        accounts.add_send_error();
        let lost = Volume {
            flows: records,
            ..Volume::default()
        };
        accounts.add_lost(now_ns(), Loss::Refused, lost);
        if let Some(times) = self.refused.permit(Instant::now()) {
            tracing::warn!(
                "{}: the server refuses: {why}; {records} records are lost ({times} requests since the last such line)",
                accounts.name
            );
        }
    }

    /// Sleeps until the next try is due.
    fn wait(&mut self, why: &str, pause: Option<Duration>, progress: &Progress) -> Result<(), Failure> {
        self.accounts.events.add(Event::RequestRepeated);
        self.accounts.add_send_error();
        let wait = self.retry.handle_failure(now_ns());
        let wait = wait.max(pause.unwrap_or_default().min(MAX_RETRY_AFTER));
        if self.away.permit(Instant::now()).is_some() {
            tracing::warn!(
                "{}: {why}; {} records wait, trying again in {:.1} s",
                self.accounts.name,
                self.queue.records(),
                wait.as_secs_f64()
            );
        }
        let due = Instant::now() + wait;
        loop {
            if self.stop.is_over(progress.at()) {
                return Err(Failure::GivenUp);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.stop.sleep(left.min(NAP));
        }
    }

    /// One request.
    fn post(&mut self, text: &[u8]) -> Verdict {
        if let Err(why) = self.read_credentials() {
            // The one before may still do.
            tracing::debug!("{}: {why}", self.accounts.name);
        }
        self.body.clear();
        if self.gzip {
            let mut encoder = GzEncoder::new(&mut self.body, Compression::fast());
            // Writing to memory does not fail.
            let _ = encoder.write_all(text);
            let _ = encoder.finish();
        } else {
            self.body.extend_from_slice(text);
        }
        let mut request = self.agent.post(&self.url).content_type("application/x-ndjson");
        if self.gzip {
            request = request.header("content-encoding", "gzip");
        }
        if let Some(Credentials(value)) = &self.credentials {
            request = request.header("authorization", value);
        }
        match request.send(self.body.as_slice()) {
            Ok(answer) => verdict(answer),
            Err(error) => {
                let text = error.to_string();
                let advice = if text.contains("certificate") {
                    "; see --http-ca"
                } else {
                    ""
                };
                Verdict::Later(format!("cannot send: {text}{advice}"), None)
            }
        }
    }
}

impl LineSink for HttpPush {
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)> {
        self.push(lines, 0..lines.len(), &mut Progress::new())
    }
}

fn agent(url: &str, config: &LinesConfig) -> Result<Agent, String> {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(ANSWER_TIMEOUT))
        .user_agent(concat!("flowgauge-exporter/", env!("CARGO_PKG_VERSION")));
    if url.starts_with("https:") {
        let tls = TlsConfig::builder()
            .root_certs(authorities(config.http_ca.as_deref())?)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        builder = builder.tls_config(tls);
    }
    Ok(builder.build().into())
}

/// The authorities in the file that was named, or in that of the system.
fn authorities(named: Option<&Path>) -> Result<RootCerts, String> {
    let path = match named {
        Some(path) => path,
        None => SYSTEM_AUTHORITIES
            .iter()
            .map(Path::new)
            .find(|path| path.is_file())
            .ok_or("this system has no list of authorities (Debian: ca-certificates); name one with --http-ca")?,
    };
    let octets = std::fs::read(path).map_err(|error| format!("{}: {error}; see --http-ca", path.display()))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&octets)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(format!("{}: no certificate in it (PEM); see --http-ca", path.display())),
        false => Ok(certificates.into()),
    }
}

/// What an answer means.
fn verdict(answer: Response<Body>) -> Verdict {
    let status = answer.status();
    let field = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let (pause, location) = (field("retry-after"), field("location"));
    let pause = pause.and_then(|text| retry_after(&text, SystemTime::now()));
    let mut said = Vec::new();
    // Read to its end, if that is near: the connection is used again then.
    let _ = answer
        .into_body()
        .into_reader()
        .take(ANSWER_OCTETS)
        .read_to_end(&mut said);
    let why = format!("it answers {status}{}", first_line(&said));
    match status {
        _ if status.is_success() => Verdict::Taken,
        StatusCode::PAYLOAD_TOO_LARGE => Verdict::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY => {
            Verdict::Later(why, pause)
        }
        _ if status.is_server_error() => Verdict::Later(why, pause),
        _ if status.is_redirection() => {
            let place = location.map_or_else(String::new, |place| format!(" to {}", printable(&place)));
            Verdict::Refused(format!(
                "it answers {status}{place}, which is not followed: write the place itself"
            ))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Verdict::Refused(format!("{why}; see --http-authorization"))
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Verdict::Refused(format!("{why}; check the path of the destination"))
        }
        _ => Verdict::Refused(why),
    }
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    SystemTime::from(time).duration_since(now).ok()
}

/// What a server says in its own words, where that is one line of text.
fn first_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if !line.starts_with('<') => format!(" ({})", printable(line)),
        _ => String::new(),
    }
}

fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(SAID_LETTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
        // RFC 9110 section 5.6.7: this is 784111777 s.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + Duration::from_secs(60)),
            None
        );
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn what_a_server_says_takes_one_line() {
        assert_eq!(
            first_line(b"\r\n entry too far behind\nmore"),
            " (entry too far behind)"
        );
        assert_eq!(first_line(b"<html>"), "");
        assert_eq!(first_line(b"a\x1b[31mb"), " (a[31mb)");
        assert_eq!(first_line(&[b'x'; 500]).len(), SAID_LETTERS + 3);
    }

    #[test]
    fn wrong_authorities_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let why = authorities(Some(&path)).unwrap_err();
        assert!(why.contains("No such file") && why.contains("--http-ca"), "{why}");
        std::fs::write(&path, "nothing").unwrap();
        assert!(authorities(Some(&path)).unwrap_err().contains("no certificate in it"));
    }
}
