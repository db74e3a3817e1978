//! The file of all columns of a segment: one behind the other, and where each begins by its name.

use std::io::{self, Write};
use std::ops::Range;

use tantivy::columnar::CURRENT_VERSION;
use tantivy_sstable::value::RangeValueWriter;
use tantivy_sstable::{Dictionary, RangeSSTable, Writer};

/// The last octets of the file, behind the version.
const MAGIC: [u8; 4] = [2, 113, 119, 66];
/// The end of the file: the length of the names, the rows, the version, the magic.
const END_OCTETS: usize = 8 + 4 + 4 + 4;

/// What a column is called in the file: its name and its kind.
pub fn key(name: &str, kind: u8) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.extend([0, kind]);
    key
}

/// A file of columns being written.
pub struct ColumnsFile<W> {
    out: W,
    written: u64,
    names: Writer<Vec<u8>, RangeValueWriter>,
}

impl<W: Write> ColumnsFile<W> {
    /// Begins one.
    pub fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            out,
            written: 0,
            names: Dictionary::<RangeSSTable>::builder(Vec::new())?,
        })
    }

    /// Appends a column. Keys are to come in their order.
    pub fn column(&mut self, key: &[u8], octets: &[u8]) -> io::Result<()> {
        self.out.write_all(octets)?;
        let end = self.written + octets.len() as u64;
        self.names.insert(key, &(self.written..end))?;
        self.written = end;
        Ok(())
    }

    /// Ends it, of so many rows.
    pub fn close(mut self, rows: u32) -> io::Result<W> {
        let names = self.names.finish()?;
        self.out.write_all(&names)?;
        self.out.write_all(&(names.len() as u64).to_le_bytes())?;
        self.out.write_all(&rows.to_le_bytes())?;
        self.out.write_all(&(CURRENT_VERSION as u32).to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The columns of a file that was written by tantivy, by key, and where in it they are.
pub fn columns_of(file: &[u8]) -> io::Result<Vec<(Vec<u8>, Range<usize>)>> {
    let short = || io::Error::new(io::ErrorKind::UnexpectedEof, "a file of columns has no end");
    let end = file.len().checked_sub(END_OCTETS).ok_or_else(short)?;
    let length = file
        .get(end..end + 8)
        .and_then(|octets| octets.try_into().ok())
        .ok_or_else(short)?;
    let start = usize::try_from(u64::from_le_bytes(length)).ok();
    let start = start.and_then(|length| end.checked_sub(length)).ok_or_else(short)?;
    let names = file.get(start..end).ok_or_else(short)?.to_vec();
    let names = Dictionary::<RangeSSTable>::from_bytes(tantivy_common::OwnedBytes::new(names))?;
    let mut stream = names.stream()?;
    let mut columns = Vec::new();
    while stream.advance() {
        let range = stream.value();
        columns.push((stream.key().to_vec(), range.start as usize..range.end as usize));
    }
    Ok(columns)
}
