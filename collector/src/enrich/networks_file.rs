//! Reads the user's networks from TOML or CSV: what is wrong is told with file and line.

use std::path::Path;

use foldhash::HashMap;
use toml::de::{DeTable, DeValue};

use super::networks::{Network, Networks, Prefix};
use crate::failure::nearest;
use crate::limits::{NETWORK_TEXT_OCTETS, NETWORKS, NETWORKS_FILE_OCTETS};

/// What can be said about a network, in the order of columns of a file without a line of names.
const WORDS: [&str; 6] = ["prefix", "name", "role", "site", "region", "tenant"];

/// Reads a file: TOML when its name ends so, else CSV.
///
/// # Errors
/// One line: the file, the line in it, and what is wrong there.
pub fn read_networks(path: &Path) -> Result<Networks, String> {
    let shown = path.display();
    let text = std::fs::metadata(path)
        .and_then(|data| match data.len() > NETWORKS_FILE_OCTETS {
            true => Err(std::io::Error::other(format!(
                "it has more than {NETWORKS_FILE_OCTETS} octets"
            ))),
            false => std::fs::read_to_string(path),
        })
        .map_err(|error| format!("networks {shown}: cannot be read: {error}"))?;
    let is_toml = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    let read = if is_toml { read_toml(&text) } else { read_csv(&text) };
    read.map_err(|(line, what)| format!("networks {shown}:{line}: {what}"))
}

/// A line and what is wrong in it.
type Fault = (usize, String);

/// Prefixes as they come in, and the lines they came in.
#[derive(Default)]
struct Reading {
    prefixes: Vec<(Prefix, Network)>,
    lines: HashMap<Prefix, usize>,
    /// The same words come again and again: they are kept once.
    words: std::collections::HashSet<std::sync::Arc<str>, foldhash::fast::RandomState>,
}

impl Reading {
    fn add(&mut self, line: usize, prefix: &str, network: &Network) -> Result<(), Fault> {
        let prefix: Prefix = prefix.parse().map_err(|what| (line, what))?;
        if let Some(before) = self.lines.insert(prefix, line) {
            return Err((line, format!("{prefix} is in line {before} already")));
        }
        if self.prefixes.len() >= NETWORKS {
            return Err((line, format!("more than {NETWORKS} networks")));
        }
        self.prefixes.push((prefix, network.clone()));
        Ok(())
    }

    /// Says a word about a network; empty says nothing.
    fn set(&mut self, network: &mut Network, word: &str, value: &str) -> Result<(), String> {
        let place = match word {
            "name" => &mut network.name,
            "role" => &mut network.role,
            "site" => &mut network.site,
            "region" => &mut network.region,
            "tenant" => &mut network.tenant,
            other => return Err(unknown(other)),
        };
        if value.len() > NETWORK_TEXT_OCTETS {
            return Err(format!("{word} has more than {NETWORK_TEXT_OCTETS} octets"));
        }
        if !value.is_empty() {
            let kept = self.words.get(value).cloned().unwrap_or_else(|| value.into());
            self.words.insert(std::sync::Arc::clone(&kept));
            *place = Some(kept);
        }
        Ok(())
    }
}

fn unknown(word: &str) -> String {
    match nearest(word, WORDS.iter().copied()) {
        Some(near) => format!("unknown word {word:?}; did you mean {near:?}?"),
        None => format!("unknown word {word:?}; there are {}", WORDS.join(", ")),
    }
}

fn read_csv(text: &str) -> Result<Networks, Fault> {
    let mut reading = Reading::default();
    let mut columns: Option<Vec<String>> = None;
    let mut fields = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        split(text, &mut fields).map_err(|what| (line, what))?;
        let Some(columns) = &columns else {
            columns = Some(match header(&fields) {
                Some(names) => names.map_err(|what| (line, what))?,
                None => {
                    let names: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
                    csv_line(&mut reading, line, &names, &fields)?;
                    names
                }
            });
            continue;
        };
        csv_line(&mut reading, line, columns, &fields)?;
    }
    Ok(Networks::new(reading.prefixes))
}

/// The names of columns, when the first line has them: it has no prefix then.
fn header(fields: &[String]) -> Option<Result<Vec<String>, String>> {
    let names: Vec<String> = fields.iter().map(|field| field.trim().to_ascii_lowercase()).collect();
    if !names.iter().any(|name| name == "prefix") {
        return None;
    }
    if let Some(other) = names.iter().find(|name| !WORDS.contains(&name.as_str())) {
        return Some(Err(unknown(other)));
    }
    Some(Ok(names))
}

fn csv_line(reading: &mut Reading, line: usize, columns: &[String], fields: &[String]) -> Result<(), Fault> {
    if fields.len() > columns.len() {
        return Err((
            line,
            format!("{} fields, of {} that have a name", fields.len(), columns.len()),
        ));
    }
    let (mut prefix, mut network) = ("", Network::default());
    for (column, field) in columns.iter().zip(fields) {
        match column.as_str() {
            "prefix" => prefix = field.trim(),
            word => reading
                .set(&mut network, word, field.trim())
                .map_err(|what| (line, what))?,
        }
    }
    reading.add(line, prefix, &network)
}

/// Fields of a line (RFC 4180), none of which may go on in the next one.
fn split(text: &str, fields: &mut Vec<String>) -> Result<(), String> {
    fields.clear();
    let mut rest = text;
    loop {
        let quoted = rest.trim_start().strip_prefix('"');
        let (field, behind) = match quoted {
            Some(inner) => unquote(inner)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (field.to_owned(), Some(behind)),
                None => (rest.to_owned(), None),
            },
        };
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(()),
        }
    }
}

fn unquote(text: &str) -> Result<(String, Option<&str>), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some((part, behind)) = rest.split_once('"') else {
            return Err("a quotation mark is not closed".to_owned());
        };
        field.push_str(part);
        if let Some(behind) = behind.strip_prefix('"') {
            field.push('"');
            rest = behind;
            continue;
        }
        let behind = behind.trim_start();
        return match behind.strip_prefix(',') {
            Some(next) => Ok((field, Some(next))),
            None if behind.is_empty() => Ok((field, None)),
            None => Err("something stands behind a quotation mark that closes".to_owned()),
        };
    }
}

fn read_toml(text: &str) -> Result<Networks, Fault> {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |offset: usize| 1 + ends.partition_point(|end| *end < offset);
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        (line(error.span().map_or(0, |span| span.start)), message)
    })?;
    let mut reading = Reading::default();
    for (key, value) in table.get_ref() {
        let at = key.span().start;
        let (true, DeValue::Array(networks)) = (key.get_ref() == "network", value.get_ref()) else {
            let what = format!(
                "{:?} does not go here; write [[network]] above each network",
                key.get_ref()
            );
            return Err((line(at), what));
        };
        for entry in networks {
            let begin = line(entry.span().start);
            let DeValue::Table(words) = entry.get_ref() else {
                return Err((begin, "write [[network]] above each network".to_owned()));
            };
            toml_network(&mut reading, begin, words, line)?;
        }
    }
    Ok(Networks::new(reading.prefixes))
}

fn toml_network(
    reading: &mut Reading,
    begin: usize,
    words: &DeTable<'_>,
    line_of: impl Fn(usize) -> usize,
) -> Result<(), Fault> {
    let mut network = Network::default();
    let mut prefixes: Vec<(usize, String)> = Vec::new();
    for (word, value) in words {
        let line = line_of(word.span().start);
        let word: &str = word.get_ref();
        match (word, value.get_ref()) {
            ("prefix", DeValue::String(prefix)) => prefixes.push((line, prefix.to_string())),
            ("prefix", DeValue::Array(several)) => {
                for prefix in several {
                    let line = line_of(prefix.span().start);
                    let DeValue::String(prefix) = prefix.get_ref() else {
                        return Err((line, "a prefix is text, like \"10.0.0.0/8\"".to_owned()));
                    };
                    prefixes.push((line, prefix.to_string()));
                }
            }
            (word, DeValue::String(value)) => reading.set(&mut network, word, value).map_err(|what| (line, what))?,
            (word, _) if WORDS.contains(&word) => return Err((line, format!("{word} is text in quotation marks"))),
            (word, _) => return Err((line, unknown(word))),
        }
    }
    if prefixes.is_empty() {
        return Err((begin, "a network without a prefix".to_owned()));
    }
    prefixes
        .iter()
        .try_for_each(|(line, prefix)| reading.add(*line, prefix, &network))
}
