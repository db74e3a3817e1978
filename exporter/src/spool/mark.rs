//! Small files that are written over and over: how far the collector has everything, and how much was handed over. One
//! write of a few octets, which a violent end of the program either finds done or not begun.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::entry::take;
use super::segment;

const NUMBERS: usize = 5;
const OCTETS: usize = NUMBERS * 8 + 4;

/// A file of a few numbers.
#[derive(Debug)]
struct Mark(File);

impl Mark {
    fn open(path: &Path) -> io::Result<Self> {
        segment::options().read(true).open(path).map(Self)
    }

    /// The numbers; none where there are none yet, or damaged ones.
    fn read(&self) -> Option<[u64; NUMBERS]> {
        let mut octets = [0; OCTETS];
        self.0.read_exact_at(&mut octets, 0).ok()?;
        let (mut numbers, crc) = octets.split_last_chunk::<4>()?;
        (crc32fast::hash(numbers) == u32::from_le_bytes(*crc)).then_some(())?;
        let mut read = [0; NUMBERS];
        for number in &mut read {
            *number = u64::from_le_bytes(take(&mut numbers).ok()?);
        }
        Some(read)
    }

    fn write(&self, numbers: [u64; NUMBERS]) -> io::Result<()> {
        let mut octets = [0; OCTETS];
        let (covered, crc) = octets.split_at_mut(OCTETS - 4);
        for (place, octet) in covered
            .iter_mut()
            .zip(numbers.map(u64::to_le_bytes).into_iter().flatten())
        {
            *place = octet;
        }
        crc.copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
        self.0.write_all_at(&octets, 0)
    }
}

/// How far the collector has everything.
#[derive(Debug)]
pub(super) struct ConfirmedFile(Mark);

impl ConfirmedFile {
    pub fn open(directory: &Path) -> io::Result<Self> {
        Mark::open(&directory.join("confirmed")).map(Self)
    }

    /// The position; 0 where nothing is known.
    pub fn read(&self) -> u64 {
        self.0.read().map_or(0, |[position, ..]| position)
    }

    pub fn write(&self, position: u64) -> io::Result<()> {
        self.0.write([position, 0, 0, 0, 0])
    }
}

/// What was handed over in one run: what of it is not in the spool after a violent end was still in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub run: u32,
    /// The recordId of the first.
    pub first_record: u64,
    /// Flow Records handed over, and those of them that were given up before they reached the spool.
    pub flows: u64,
    pub given_up: u64,
    /// Flows of which no record had been made.
    pub open: u64,
}

/// Writes what was handed over.
#[derive(Debug)]
pub(crate) struct HandedFile {
    mark: Mark,
    run: u32,
    first_record: u64,
}

impl HandedFile {
    /// With what the run before has left there.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Option<Handed>)> {
        let mark = Mark::open(&directory.join("handed"))?;
        let handed = mark.read().map(|[run, first_record, flows, given_up, open]| Handed {
            run: run as u32,
            first_record,
            flows,
            given_up,
            open,
        });
        let file = Self {
            mark,
            run: 0,
            first_record: 0,
        };
        Ok((file, handed))
    }

    /// Begins a run.
    pub(super) fn begin(&mut self, run: u32, first_record: u64) -> io::Result<()> {
        (self.run, self.first_record) = (run, first_record);
        self.mark.write([u64::from(run), first_record, 0, 0, 0])
    }

    /// So many Flow Records were handed over in this run, so many of them given up before the spool, and so many flows are
    /// open. A system that cannot write this cannot write Messages either, which is said there.
    pub(crate) fn note(&self, [flows, given_up, open]: [u64; 3]) {
        let run = u64::from(self.run);
        let _ = self.mark.write([run, self.first_record, flows, given_up, open]);
    }
}
