//! Makes one file of several: every window's sections merged, in the same tier or a coarser one.
//!
//! One section is in memory at a time, so that a day of many windows costs no more than one.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Tier;
use super::file::{Entry, RollupFile, RollupWriter, Written};

/// Merges files into a new one whose windows are those of `tier`.
///
/// # Errors
/// When one of them cannot be read or the new one cannot be written; what was written of it is removed.
pub fn merge(files: &[Arc<RollupFile>], tier: Tier, path: &Path) -> io::Result<Written> {
    let written = merge_into(files, tier, path);
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

fn merge_into(files: &[Arc<RollupFile>], tier: Tier, path: &Path) -> io::Result<Written> {
    let unreadable = |file: &RollupFile| {
        let name = file.path().display();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{name} cannot be read and is left as it is"),
        )
    };
    let mut opened: Vec<File> = Vec::with_capacity(files.len());
    let mut places: Vec<((i64, u16), u32, Entry)> = Vec::new();
    for (at, file) in (0u32..).zip(files) {
        if !file.is_sound() {
            return Err(unreadable(file));
        }
        opened.push(file.open().ok_or_else(|| unreadable(file))?);
        let of_file = file.entries().iter();
        places.extend(of_file.map(|entry| ((tier.window(entry.window), entry.section.0), at, *entry)));
    }
    places.sort_unstable_by_key(|(key, at, entry)| (*key, *at, entry.window));
    let mut writer = RollupWriter::create(path)?;
    for same in places.chunk_by(|left, right| left.0 == right.0) {
        let mut merged = None;
        for (_, at, entry) in same {
            // Of a later version: it goes when the files it is in go.
            if entry.section.family().is_none() {
                continue;
            }
            let (Some(file), Some(open)) = (files.get(*at as usize), opened.get(*at as usize)) else {
                continue;
            };
            let section = file.read(open, entry).ok_or_else(|| unreadable(file))?;
            match &mut merged {
                None => merged = Some(section),
                Some(held) => held
                    .merge(&section)
                    .map_err(|refusal| io::Error::new(io::ErrorKind::InvalidData, refusal.as_str()))?,
            }
        }
        if let (Some(mut section), Some(((window, _), _, entry))) = (merged, same.first()) {
            writer.add(*window, entry.section, &mut section)?;
        }
    }
    writer.finish(tier)
}
