//! `top`: what a host's traffic is made of, in the terminal, once a second; or as JSON, or a few numbers at once.
//!
//! A capture of its own, files, or another exporter's API give one and the same JSON, of which the page shows tables.

mod brief;
mod figures;
mod header;
pub(crate) mod local;
mod page;
mod remote;
mod source;
mod tables;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::summaries::geo::Geo;
use crate::summaries::{Networks, Summaries, SummariesConfig};
use source::Source;

/// How often there is something new.
const REFRESH: Duration = Duration::from_secs(1);

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// An interface of this host.
    Interface(String),
    /// Captures.
    Files(Vec<PathBuf>),
    /// The HTTP API of an exporter.
    Url(String),
}

/// What to show, and how.
#[derive(Clone, Debug)]
pub struct TopConfig {
    /// Where packets come from.
    pub from: From,
    /// BPF expression.
    pub filter: Option<String>,
    /// What is ours, so that in is told from out; by itself, what the interface has.
    pub networks: Option<Networks>,
    /// MaxMind databases.
    pub geo: Vec<PathBuf>,
    /// Print a few numbers of as many packets, and end.
    pub packets: Option<u64>,
    /// Print JSON in place of a page.
    pub json: bool,
}

/// Shows until somebody has seen enough.
///
/// # Errors
/// One line for people.
pub fn top(config: &TopConfig) -> Result<(), String> {
    if let Some(packets) = config.packets {
        let text = brief::brief(config, packets)?;
        return print(&text);
    }
    let source = Source::open(config)?;
    match config.json {
        true => print_json(source),
        false => terminal::show(source),
    }
}

/// One object a line: once a second, and for files once, when they are read.
fn print_json(mut source: Source) -> Result<(), String> {
    let name = source.name();
    source.wait_for_first();
    let mut due = Instant::now();
    loop {
        let reading = source.read(false, ROWS)?;
        let object = json_object(&name, reading.rates, reading.window);
        print(&format!("{object}\n"))?;
        if source.is_over() {
            return Ok(());
        }
        due += REFRESH;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn json_object(name: &str, mut rates: Value, window: Value) -> Value {
    json!({
        "time": jiff::Timestamp::now().to_string(),
        "source": name,
        "rates": rates["rates"].take(),
        "account": rates["account"].take(),
        "window": window,
    })
}

/// Rows asked for of each list: more than fit on a page, so that filters find what is further down.
const ROWS: usize = 100;

/// A reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(format!("standard output: {error}")),
    }
}

/// How windows of this length are filled.
fn summing(config: &TopConfig, window_ns: i64) -> Result<Summaries, String> {
    let geo = match config.geo.as_slice() {
        [] => None,
        paths => Some(Arc::new(Geo::open(paths)?)),
    };
    Ok(Summaries::new(SummariesConfig {
        window_ns,
        networks: networks(config),
        geo,
        ..SummariesConfig::default()
    }))
}

/// The addresses of the interface, or all of this host's.
fn networks(config: &TopConfig) -> Arc<Networks> {
    if let Some(networks) = &config.networks {
        return Arc::new(networks.clone());
    }
    let From::Interface(name) = &config.from else {
        return Arc::default();
    };
    let interfaces = crate::io::live::interfaces().unwrap_or_default();
    let is_any = name == crate::io::live::ANY;
    let addresses = interfaces
        .iter()
        .filter(|interface| is_any || interface.name == *name)
        .flat_map(|interface| &interface.addresses)
        .filter_map(|address| address.parse().ok());
    Arc::new(Networks::of_addresses(addresses))
}
