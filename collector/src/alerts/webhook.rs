//! Tells webhooks of changes, by HTTP POST with a JSON body: each webhook has a queue and a thread of its own, so that one
//! that is away holds up nobody.
//!
//! What cannot be delivered now (no connection, 408, 425, 429, 5xx) is tried again after a pause that grows, in order; what
//! a webhook does not want (other answers) is counted and said. A connection that breaks before the answer may have
//! carried the message: it comes again with the same `id`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::Changes;
use super::book::Change;
use crate::limits::{WEBHOOK_END_MS, WEBHOOK_PATIENCE_S, WEBHOOK_PAUSE_S, WEBHOOK_QUEUE, WEBHOOKS};
use crate::query::time::format_time;

/// The first pause, and the longest that is of our own making.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Where systems keep the authorities that they trust: Debian, Red Hat, SUSE, Alpine and the BSDs.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What became of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken.
    Sent,
    /// Not wanted, or not taken for too long.
    Failed,
    /// Dropped, too many having waited, or at the end.
    Dropped,
    /// Tried again.
    Retried,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [Outcome::Sent, Outcome::Failed, Outcome::Dropped, Outcome::Retried];

    /// As metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Sent => "sent",
            Outcome::Failed => "failed",
            Outcome::Dropped => "dropped",
            Outcome::Retried => "retried",
        }
    }
}

/// A webhook as others see it.
#[derive(Clone, Debug)]
pub struct WebhookStatus {
    /// Scheme and host; what is behind may be a secret.
    pub shown: String,
    /// By [`Outcome`].
    pub counts: [u64; 4],
    /// Messages that wait.
    pub waiting: u64,
}

/// One message, and until when it is tried.
#[derive(Clone, Debug)]
struct Message {
    body: Arc<str>,
    until: Instant,
}

#[derive(Debug)]
struct Line {
    url: String,
    shown: String,
    agent: Agent,
    queue: Mutex<VecDeque<Message>>,
    wake: Condvar,
    ending: AtomicBool,
    counts: [AtomicU64; 4],
}

/// Every webhook.
#[derive(Debug)]
pub struct Webhooks {
    lines: Vec<Arc<Line>>,
    told: AtomicU64,
}

/// Whether a webhook can be told.
///
/// # Errors
/// One line that says what it looks like.
pub fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?']));
    match has_host && url.parse::<ureq::http::Uri>().is_ok() {
        true => Ok(()),
        false => Err(format!(
            "{url:?} is no webhook; write it like https://alerts.example.net/flowgauge"
        )),
    }
}

/// Scheme and host of a URL.
fn shown(url: &str) -> String {
    let uri = url.parse::<ureq::http::Uri>().unwrap_or_default();
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{}://{host}", uri.scheme_str().unwrap_or("http"))
}

impl Webhooks {
    /// Webhooks that nothing was told yet.
    ///
    /// # Errors
    /// One that cannot be used, and why.
    pub(super) fn new(urls: &[String], timeout: Duration) -> Result<Webhooks, String> {
        let lines = urls.iter().take(WEBHOOKS).map(|url| {
            Ok(Arc::new(Line {
                url: url.clone(),
                shown: shown(url),
                agent: agent(url, timeout)?,
                queue: Mutex::default(),
                wake: Condvar::new(),
                ending: AtomicBool::new(false),
                counts: Default::default(),
            }))
        });
        Ok(Webhooks {
            lines: lines.collect::<Result<_, String>>()?,
            told: AtomicU64::new(0),
        })
    }

    /// What became of messages so far.
    pub fn status(&self) -> Vec<WebhookStatus> {
        let status = |line: &Arc<Line>| WebhookStatus {
            shown: line.shown.clone(),
            counts: std::array::from_fn(|at| line.counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed))),
            waiting: line.queue().len() as u64,
        };
        self.lines.iter().map(status).collect()
    }

    /// Logs changes, and has them told.
    pub(super) fn tell(&self, changes: &Changes) {
        for change in changes {
            log(change);
            let Some(event) = change.event() else { continue };
            if self.lines.is_empty() {
                continue;
            }
            let number = self.told.fetch_add(1, Ordering::Relaxed);
            let body: Arc<str> = body(change, event, number).to_string().into();
            for line in &self.lines {
                line.put(&body);
            }
        }
    }

    /// What waits to be told: URL and body.
    pub(super) fn waiting(&self) -> Vec<(String, String)> {
        let of_line = |line: &Arc<Line>| -> Vec<(String, String)> {
            let queue = line.queue();
            let each = queue.iter();
            each.map(|message| (line.url.clone(), message.body.to_string()))
                .collect()
        };
        self.lines.iter().flat_map(of_line).collect()
    }

    /// Puts back what waited when the collector ended.
    pub(super) fn put_back(&self, url: &str, body: &str) {
        if let Some(line) = self.lines.iter().find(|line| line.url == url) {
            line.put(&body.into());
        }
    }

    /// One thread for each.
    pub(super) fn start(&self) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
        let each = self.lines.iter().enumerate().map(|(at, line)| {
            let line = Arc::clone(line);
            std::thread::Builder::new()
                .name(format!("webhook-{at}"))
                .spawn(move || line.run())
        });
        each.collect()
    }

    /// Has the threads end within a moment. What waits then is still there.
    pub(super) fn end(&self) {
        for line in &self.lines {
            // With the queue held, so that nobody looks at it, and then sleeps, in between.
            let _queue = line.queue();
            line.ending.store(true, Ordering::Release);
            line.wake.notify_all();
        }
    }
}

/// What a try came to.
enum Verdict {
    Taken,
    Refused(String),
    Later(String, Option<Duration>),
}

impl Line {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, outcome: Outcome) {
        if let Some(count) = self.counts.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put(&self, body: &Arc<str>) {
        let mut queue = self.queue();
        if queue.len() >= WEBHOOK_QUEUE {
            queue.pop_front();
            self.count(Outcome::Dropped);
        }
        queue.push_back(Message {
            body: Arc::clone(body),
            until: Instant::now() + Duration::from_secs(WEBHOOK_PATIENCE_S),
        });
        self.wake.notify_all();
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The first message that waits, which stays where it is. Nothing at the end.
    fn next(&self) -> Option<Message> {
        let mut queue = self.queue();
        loop {
            match queue.front() {
                Some(message) => return Some(message.clone()),
                None if self.is_ending() => return None,
                None => queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes a message off the queue, unless it was dropped meanwhile.
    fn done(&self, message: &Message, outcome: Outcome) {
        let mut queue = self.queue();
        if queue
            .front()
            .is_some_and(|front| Arc::ptr_eq(&front.body, &message.body))
        {
            queue.pop_front();
            self.count(outcome);
        } else if outcome == Outcome::Sent {
            self.count(outcome);
        }
    }

    fn run(&self) {
        let mut pause = FIRST_PAUSE;
        let mut end = None;
        while let Some(message) = self.next() {
            if self.is_ending() {
                let end = *end.get_or_insert_with(|| Instant::now() + Duration::from_millis(WEBHOOK_END_MS));
                if Instant::now() >= end {
                    return;
                }
            }
            match self.post(&message) {
                Verdict::Taken => {
                    self.done(&message, Outcome::Sent);
                    pause = FIRST_PAUSE;
                }
                Verdict::Refused(why) => {
                    tracing::warn!("webhook {}: {why}; a message is lost", self.shown);
                    self.done(&message, Outcome::Failed);
                }
                Verdict::Later(why, _) if Instant::now() >= message.until => {
                    tracing::warn!("webhook {}: {why}; a message is given up", self.shown);
                    self.done(&message, Outcome::Failed);
                }
                // It waits for the next start.
                Verdict::Later(..) if self.is_ending() => return,
                Verdict::Later(why, asked) => {
                    self.count(Outcome::Retried);
                    let asked = asked.unwrap_or_default().min(Duration::from_secs(WEBHOOK_PAUSE_S));
                    let wait = pause.max(asked);
                    tracing::warn!("webhook {}: {why}; trying again in {} s", self.shown, wait.as_secs());
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    self.sleep(wait);
                }
            }
        }
    }

    fn sleep(&self, time: Duration) {
        let queue = self.queue();
        let is_early = |_: &mut VecDeque<Message>| !self.is_ending();
        let _ = self.wake.wait_timeout_while(queue, time, is_early);
    }

    fn post(&self, message: &Message) -> Verdict {
        let request = self.agent.post(&self.url).content_type("application/json");
        let answer = match request.send(message.body.as_bytes()) {
            Ok(answer) => answer,
            Err(error) => return Verdict::Later(format!("cannot send: {error}"), None),
        };
        let status = answer.status();
        let pause = answer.headers().get("retry-after").and_then(|value| {
            let seconds = value.to_str().ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        let why = format!("it answers {status}");
        match status {
            _ if status.is_success() => Verdict::Taken,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Later(why, pause)
            }
            _ if status.is_server_error() => Verdict::Later(why, pause),
            _ if status.is_redirection() => Verdict::Refused(format!("{why}, which is not followed")),
            _ => Verdict::Refused(why),
        }
    }
}

fn log(change: &Change) {
    let entry = &change.entry;
    let value = entry.value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let (name, group, from, to) = (&entry.name, &entry.group, entry.from.as_str(), entry.to.as_str());
    let severity = change.rule.severity;
    match change.event() {
        Some("error") => {
            let why = change.error.as_deref().unwrap_or_default();
            tracing::warn!("alert {name:?}: cannot be looked at: {why}");
        }
        Some("firing") => tracing::warn!(severity, "alert {name:?} {group}: {from} -> {to}, value {value}"),
        Some(_) => tracing::info!(severity, "alert {name:?} {group}: {from} -> {to}, value {value}"),
        None => tracing::debug!(severity, "alert {name:?} {group}: {from} -> {to}, value {value}"),
    }
}

/// What is told: see docs/guides/alerts.md.
fn body(change: &Change, event: &str, number: u64) -> Json {
    let (entry, rule) = (&change.entry, &change.rule);
    let group: Json = serde_json::from_str(&entry.group).unwrap_or_default();
    json!({
        "version": 1,
        "id": format!("{:x}-{number}", entry.time_ns),
        "event": event,
        "time": format_time(entry.time_ns),
        "name": rule.name,
        "description": rule.description,
        "severity": rule.severity,
        "labels": rule.labels,
        "group": group,
        "from": entry.from.as_str(),
        "to": entry.to.as_str(),
        "from_since": format_time(change.since_ns),
        "value": entry.value,
        "metric": rule.metric,
        "filter": rule.filter,
        "where": rule.part,
        "op": rule.op.as_str(),
        "threshold": rule.threshold,
        "window_s": rule.window_ns as f64 / 1e9,
        "error": change.error,
    })
}

fn agent(url: &str, timeout: Duration) -> Result<Agent, String> {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(timeout))
        .user_agent(concat!("flowgauge-collector/", env!("CARGO_PKG_VERSION")));
    if url.starts_with("https:") {
        let tls = TlsConfig::builder()
            .root_certs(authorities()?)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        builder = builder.tls_config(tls);
    }
    Ok(builder.build().into())
}

/// The authorities that the system trusts.
fn authorities() -> Result<RootCerts, String> {
    let known = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.is_file());
    let path = known.ok_or("this system has no list of authorities for https (Debian: ca-certificates)")?;
    let octets = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&octets)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(format!("{}: no certificate in it (PEM)", path.display())),
        false => Ok(certificates.into()),
    }
}

#[cfg(test)]
mod tests;
