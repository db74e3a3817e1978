//! Names of files that have a time in them: `flows-%Y%m%d-%H%M.ipfix`, as strftime(3) writes it, in UTC.
//!
//! A name is also read back: which files of a folder belong to a series follows from the pattern alone, so that nothing
//! else is ever removed or completed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What stands between the name and the ending of a file in a series whose pattern has no time: as ISO 8601 writes it.
const DATED: &str = "-%Y%m%dT%H%M%SZ";

/// A part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Time(Unit),
}

/// What of a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Epoch,
}

impl Unit {
    const fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'Y' => Self::Year,
            'm' => Self::Month,
            'd' => Self::Day,
            'j' => Self::DayOfYear,
            'H' => Self::Hour,
            'M' => Self::Minute,
            'S' => Self::Second,
            's' => Self::Epoch,
            _ => return None,
        })
    }

    /// Digits; none where their number may differ.
    const fn digits(self) -> Option<usize> {
        match self {
            Self::Year => Some(4),
            Self::DayOfYear => Some(3),
            Self::Month | Self::Day | Self::Hour | Self::Minute | Self::Second => Some(2),
            Self::Epoch => None,
        }
    }

    /// How long what it writes stays the same, at most a day.
    const fn seconds(self) -> u64 {
        match self {
            Self::Second | Self::Epoch => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Year | Self::Month | Self::Day | Self::DayOfYear => 86_400,
        }
    }
}

/// The name of a file, or the names of a series of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads `%Y %m %d %j %H %M %S %s`, `%F` for `%Y-%m-%d` and `%%` for a percent sign; all else stands for itself.
    ///
    /// # Errors
    /// What is not understood, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let text = text.replace("%F", "%Y-%m-%d");
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                plain.push(letter);
                continue;
            }
            let behind = letters.next();
            match (behind, behind.and_then(Unit::of)) {
                (Some('%'), _) => plain.push('%'),
                (_, Some(unit)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Time(unit));
                }
                (other, None) => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "`%{other}` is no part of a time; there are %Y %m %d %j %H %M %S %s %F, and %% for a percent sign"
                    ));
                }
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// Whether names differ by time.
    pub fn has_time(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Time(_)))
    }

    /// After how many seconds the name is another one; none without a time.
    pub fn changes_after_s(&self) -> Option<u64> {
        let units = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Time(unit) => Some(unit.seconds()),
            Piece::Text(_) => None,
        });
        units.min()
    }

    /// With a time where it has none: before the ending of the file's name.
    #[must_use]
    pub fn dated(self) -> Self {
        if self.has_time() {
            return self;
        }
        let text = self.name_at(0);
        let (before, behind) = split_ending(&text);
        let escaped = |text: &str| text.replace('%', "%%");
        Self::parse(&format!("{}{DATED}{}", escaped(before), escaped(behind))).unwrap_or(self)
    }

    /// The name for a time.
    pub fn path_at(&self, ns: i64) -> PathBuf {
        PathBuf::from(self.name_at(ns))
    }

    fn name_at(&self, ns: i64) -> String {
        // Outside of what a calendar has there is only its beginning.
        let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
        let date = time.to_zoned(TimeZone::UTC);
        let mut name = String::new();
        for piece in &self.pieces {
            // Writing to a String does not fail.
            let _ = match piece {
                Piece::Text(text) => write!(name, "{text}"),
                Piece::Time(Unit::Year) => write!(name, "{:04}", date.year()),
                Piece::Time(Unit::Month) => write!(name, "{:02}", date.month()),
                Piece::Time(Unit::Day) => write!(name, "{:02}", date.day()),
                Piece::Time(Unit::DayOfYear) => write!(name, "{:03}", date.day_of_year()),
                Piece::Time(Unit::Hour) => write!(name, "{:02}", date.hour()),
                Piece::Time(Unit::Minute) => write!(name, "{:02}", date.minute()),
                Piece::Time(Unit::Second) => write!(name, "{:02}", date.second()),
                Piece::Time(Unit::Epoch) => write!(name, "{}", time.as_second()),
            };
        }
        name
    }

    /// The folder that is the same for all names.
    pub fn fixed_folder(&self) -> PathBuf {
        let fixed = match self.pieces.first() {
            Some(Piece::Text(text)) => text.as_str(),
            _ => "",
        };
        match fixed.rsplit_once('/') {
            Some(("", _)) => PathBuf::from("/"),
            Some((folder, _)) => PathBuf::from(folder),
            None => PathBuf::from("."),
        }
    }

    /// The names below [`Self::fixed_folder`], one for each folder on the way and the last for files.
    pub fn levels(&self) -> Vec<Level> {
        let mut levels = vec![Level::default()];
        for piece in &self.pieces {
            match piece {
                Piece::Time(unit) => add(&mut levels, Piece::Time(*unit)),
                Piece::Text(text) => {
                    for (at, part) in text.split('/').enumerate() {
                        if at > 0 {
                            levels.push(Level::default());
                        }
                        if !part.is_empty() {
                            add(&mut levels, Piece::Text(part.to_owned()));
                        }
                    }
                }
            }
        }
        let last = levels.len().saturating_sub(1);
        let first = levels.iter().position(Level::has_time).unwrap_or(last);
        levels.split_off(first)
    }
}

fn add(levels: &mut [Level], piece: Piece) {
    if let Some(level) = levels.last_mut() {
        level.pieces.push(piece);
    }
}

/// The name of a folder or a file in a pattern.
#[derive(Clone, Debug, Default)]
pub struct Level {
    pieces: Vec<Piece>,
}

impl Level {
    fn has_time(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Time(_)))
    }

    /// Whether `name` is one of this pattern, at any time.
    pub fn fits(&self, name: &str) -> bool {
        let mut rest = name;
        for piece in &self.pieces {
            let length = match piece {
                Piece::Text(text) if rest.starts_with(text.as_str()) => text.len(),
                Piece::Text(_) => return false,
                Piece::Time(unit) => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    match unit.digits() {
                        Some(wanted) if digits >= wanted => wanted,
                        None if digits > 0 => digits,
                        _ => return false,
                    }
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        rest.is_empty()
    }

    /// Likewise, with or without the number of one whose name was taken.
    pub fn fits_numbered(&self, name: &str) -> bool {
        if self.fits(name) {
            return true;
        }
        let (before, behind) = split_ending(name);
        let Some((before, number)) = before.rsplit_once('-') else {
            return false;
        };
        let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
        is_number && self.fits(&format!("{before}{behind}"))
    }
}

/// `path` with a number before its ending.
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    let text = path.to_string_lossy();
    let (before, behind) = split_ending(&text);
    PathBuf::from(format!("{before}-{number}{behind}"))
}

/// In front of the last dot of the last name, and the rest.
fn split_ending(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path.rfind('.') {
        // A name that begins with its dot has no ending.
        Some(dot) if dot > name => path.split_at(dot),
        _ => (path, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-03 04:05:06 UTC, by `date -u -d @1770091506`.
    const NS: i64 = 1_770_091_506_123_456_789;

    fn name(pattern: &str) -> String {
        Pattern::parse(pattern).unwrap().name_at(NS)
    }

    #[test]
    fn times_are_written_as_date_writes_them() {
        for (pattern, written) in [
            ("/var/flows/%Y%m%d-%H%M.ipfix", "/var/flows/20260203-0405.ipfix"),
            ("%F/%H/%j-%S-%s", "2026-02-03/04/034-06-1770091506"),
            ("100%%.ipfix", "100%.ipfix"),
        ] {
            assert_eq!(name(pattern), written);
        }
        for (pattern, part) in [("a%q", "`%q`"), ("a%", "`%`"), ("%y", "%Y")] {
            assert!(Pattern::parse(pattern).unwrap_err().contains(part));
        }
    }

    #[test]
    fn a_name_without_a_time_gets_one_before_its_ending() {
        let dated = |text: &str| Pattern::parse(text).unwrap().dated().name_at(NS);
        assert_eq!(dated("a.b/flows.ipfix"), "a.b/flows-20260203T040506Z.ipfix");
        assert_eq!(dated("a.b/flows"), "a.b/flows-20260203T040506Z");
        assert_eq!(dated(".hidden"), ".hidden-20260203T040506Z");
        assert_eq!(dated("5%%.x"), "5%-20260203T040506Z.x");
        assert_eq!(dated("%H.x"), "04.x");
    }

    #[test]
    fn the_finest_unit_says_how_long_a_name_lasts() {
        for (pattern, seconds) in [
            ("%Y%m%d", Some(86_400)),
            ("%F-%H", Some(3600)),
            ("%H%M", Some(60)),
            ("%s", Some(1)),
            ("x", None),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().changes_after_s(), seconds, "{pattern}");
        }
    }

    #[test]
    fn only_names_of_the_pattern_fit() {
        let pattern = Pattern::parse("/var/flows/%Y/%m/x-%d%H.ipfix").unwrap();
        assert_eq!(pattern.fixed_folder(), Path::new("/var/flows"));
        let levels = pattern.levels();
        assert_eq!(levels.len(), 3);
        assert!(levels[0].fits("2026") && !levels[0].fits("202") && !levels[0].fits("20260"));
        let file = &levels[2];
        assert!(file.fits("x-0304.ipfix") && file.fits_numbered("x-0304-12.ipfix"));
        for other in [
            "x-0304.ipfix.part",
            "y-0304.ipfix",
            "x-03a4.ipfix",
            "x-0304-.ipfix",
            "x-0304-1.json",
        ] {
            assert!(!file.fits_numbered(other), "{other}");
        }
        let plain = Pattern::parse("day.ipfix").unwrap();
        assert_eq!((plain.fixed_folder(), plain.levels().len()), (PathBuf::from("."), 1));
        assert!(plain.levels()[0].fits_numbered("day-1.ipfix"));
        assert_eq!(numbered(Path::new("a.b/day.ipfix"), 3), Path::new("a.b/day-3.ipfix"));
        assert_eq!(Pattern::parse("/%Y").unwrap().fixed_folder(), Path::new("/"));
    }
}
