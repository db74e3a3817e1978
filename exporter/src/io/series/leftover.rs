//! What a crash has left: files that never got their name are cut to their last whole part and get it now.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flowgauge_templates::ipfix::message_length;

use super::kept::{Listing, paths};
use super::{Event, Series, lock, part_of};

/// What files are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Content {
    /// IPFIX Messages (RFC 7011 section 3.1), one behind the other.
    Messages,
    /// Lines of text.
    Lines,
}

/// Octets of a Message's header, and of what is read at a time from the end of lines.
const HEADER_OCTETS: usize = 16;
const BLOCK_OCTETS: u64 = 64 * 1024;

impl Content {
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Messages => "Message",
            Self::Lines => "line",
        }
    }

    /// How many of a file's octets are whole.
    fn whole(self, file: &mut File) -> io::Result<u64> {
        let length = file.metadata()?.len();
        match self {
            Self::Messages => whole_messages(file, length),
            Self::Lines => whole_lines(file, length),
        }
    }
}

fn whole_messages(file: &mut File, length: u64) -> io::Result<u64> {
    let mut whole = 0;
    let mut header = [0; HEADER_OCTETS];
    while length - whole >= HEADER_OCTETS as u64 {
        file.seek(SeekFrom::Start(whole))?;
        file.read_exact(&mut header)?;
        match message_length(&header) {
            Ok(Some(octets)) if octets >= HEADER_OCTETS && whole + octets as u64 <= length => whole += octets as u64,
            _ => break,
        }
    }
    Ok(whole)
}

fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK_OCTETS);
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        file.by_ref().take(end - begin).read_to_end(&mut block)?;
        if let Some(place) = block.iter().rposition(|octet| *octet == b'\n') {
            return Ok(begin + place as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

impl Series {
    /// Completes what is left of an earlier run.
    pub(super) fn recover(&self) {
        let Listing { files, .. } = match &self.pattern {
            Some(pattern) => paths(pattern, ".part"),
            None => Listing {
                files: [part_of(&self.path)]
                    .into_iter()
                    .filter(|part| part.is_file())
                    .collect(),
                is_cut: false,
            },
        };
        for part in files {
            let place = part.with_extension("");
            if let Err(error) = self.recover_one(&part, &place) {
                let name = &self.accounts.name;
                tracing::warn!(
                    "{name}: {} is left of an earlier run and stays: {error}",
                    part.display()
                );
            }
        }
    }

    fn recover_one(&self, part: &Path, place: &Path) -> io::Result<()> {
        let mut file = lock(part)?;
        let length = file.metadata()?.len();
        let whole = self.content.whole(&mut file)?;
        let (name, unit) = (&self.accounts.name, self.content.unit());
        if whole == 0 {
            std::fs::remove_file(part)?;
            tracing::warn!(
                "{name}: {} is left of an earlier run without a whole {unit}, and is removed",
                part.display()
            );
            return Ok(());
        }
        file.set_len(whole)?;
        file.sync_all()?;
        // The name of a single file is about to be that of this run's.
        let place = match &self.pattern {
            Some(_) if !place.exists() => place.to_owned(),
            _ => (1..super::MAX_NUMBER)
                .map(|number| super::numbered(place, number))
                .find(|place| !place.exists() && !part_of(place).exists())
                .ok_or(io::ErrorKind::AlreadyExists)?,
        };
        std::fs::rename(part, &place)?;
        super::sync_folder(&place)?;
        self.accounts.events.add(Event::FileRecovered);
        tracing::warn!(
            "{name}: an earlier run left {} unfinished; its {whole} whole octets are now {}, {} of a cut {unit} are gone",
            part.display(),
            place.display(),
            length - whole
        );
        Ok(())
    }
}
