//! A checksum of the ends of a segment's files.
//!
//! tantivy keeps at the end of a file what is in it and where. A name damaged there is no error to it: it is a column that no
//! row has. Ends are read whenever a segment is opened; all of the files would take too long then.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::limits::SEGMENT_END_OCTETS;

/// The checksum for the files of a segment.
pub(super) fn ends_of(path: &Path) -> Result<u32, StoreError> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path).map_err(StoreError::io(path))? {
        files.push(entry.map_err(StoreError::io(path))?.path());
    }
    // What tantivy notes of its files is no part of them.
    files.retain(|file| file.extension() != Some(OsStr::new("json")));
    files.sort_unstable();
    let mut checksum = crc32fast::Hasher::new();
    let mut octets = Vec::new();
    for file in &files {
        octets.clear();
        read_end(file, &mut octets).map_err(StoreError::io(file))?;
        checksum.update(&octets);
    }
    Ok(checksum.finalize())
}

fn read_end(path: &Path, octets: &mut Vec<u8>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SEGMENT_END_OCTETS)))?;
    file.take(SEGMENT_END_OCTETS).read_to_end(octets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_end_is_another_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![7; SEGMENT_END_OCTETS as usize + 10];
        let write = |name: &str, octets: &[u8]| fs::write(dir.path().join(name), octets).unwrap();
        write("a.fast", &long);
        write("b.term", b"short");
        write("meta.json", b"{}");
        let first = ends_of(dir.path()).unwrap();
        write("meta.json", b"{ }");
        assert_eq!(ends_of(dir.path()).unwrap(), first);
        for (name, octets) in [("a.fast", long.len() - 1), ("a.fast", 10), ("b.term", 0)] {
            let whole = fs::read(dir.path().join(name)).unwrap();
            let mut changed = whole.clone();
            changed[octets] ^= 1;
            write(name, &changed);
            assert_ne!(ends_of(dir.path()).unwrap(), first, "{name} {octets}");
            write(name, &whole);
        }
        assert_eq!(ends_of(dir.path()).unwrap(), first);
    }
}
