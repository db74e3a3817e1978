//! Observed names across a restart: written when the collector ends in order, taken up when it starts.
//!
//! One entry a line: client, address, when seen first, last and until when it counts (nanoseconds), where, name. What is too
//! old by then names no flow, because flows that come later began later. Without the file nothing is lost but names.

use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use super::names::{Entry, ObservedNames, Seen};
use crate::limits::{OBSERVED_FILE_OCTETS, OBSERVED_NAME_OCTETS};

/// The first line, which says the form.
const FORM: &str = "flowgauge observed names 1";

/// Writes every entry. The file is replaced in one step.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(names: &ObservedNames, path: &Path) -> std::io::Result<u64> {
    let beside = path.with_extension("new");
    let mut file = BufWriter::new(std::fs::File::create(&beside)?);
    writeln!(file, "{FORM}")?;
    let mut written = 0;
    for (entry, name) in names.iter() {
        let Entry {
            client,
            address,
            since_ns,
            last_ns,
            until_ns,
            ..
        } = entry;
        let seen = match entry.seen {
            Seen::Dns => "dns",
            Seen::Tls => "tls",
        };
        writeln!(
            file,
            "{client:x} {address:x} {since_ns} {last_ns} {until_ns} {seen} {name}"
        )?;
        written += 1;
    }
    file.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_data()?;
    std::fs::rename(&beside, path)?;
    Ok(written)
}

/// Takes up what was written; lines that are none say nothing. Returns how many were taken.
///
/// # Errors
/// When the file is there and cannot be read, or has another form.
pub(super) fn read(names: &mut ObservedNames, path: &Path) -> std::io::Result<u64> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut lines = BufReader::new(file.take(OBSERVED_FILE_OCTETS)).lines();
    if lines.next().transpose()?.as_deref() != Some(FORM) {
        return Err(std::io::Error::other(format!("it does not begin with `{FORM}`")));
    }
    let mut taken = 0;
    for line in lines {
        if let Some((entry, name)) = parse(&line?) {
            names.put(entry, &name);
            taken += 1;
        }
    }
    Ok(taken)
}

fn parse(line: &str) -> Option<(Entry, String)> {
    let mut words = line.splitn(7, ' ');
    let mut address = || u128::from_str_radix(words.next()?, 16).ok();
    let (client, address) = (address()?, address()?);
    let mut moment = || words.next()?.parse::<i64>().ok();
    let (since_ns, last_ns, until_ns) = (moment()?, moment()?, moment()?);
    let seen = match words.next()? {
        "dns" => Seen::Dns,
        "tls" => Seen::Tls,
        _ => return None,
    };
    let name = words
        .next()
        .filter(|name| !name.is_empty() && name.len() <= OBSERVED_NAME_OCTETS)?;
    let entry = Entry {
        client,
        address,
        since_ns,
        last_ns,
        until_ns,
        seen,
        ..Entry::default()
    };
    Some((entry, name.to_owned()))
}
