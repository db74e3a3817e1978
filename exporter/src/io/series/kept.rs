//! Which files of a series are kept: those that fit its pattern are found by name, and the oldest go.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Event, Series};
use crate::config::Keep;
use crate::config::pattern::Pattern;

/// Names looked at in the folders of a series.
const MAX_NAMES: usize = 1 << 20;

/// Files of a series.
pub(super) struct Listing {
    pub files: Vec<PathBuf>,
    /// There were too many names to look at all of them.
    pub is_cut: bool,
}

/// Files with names of the pattern and `ending` behind them.
pub(super) fn paths(pattern: &Pattern, ending: &str) -> Listing {
    let levels = pattern.levels();
    let mut listing = Listing {
        files: Vec::new(),
        is_cut: false,
    };
    let mut names = 0;
    let mut folders = vec![pattern.fixed_folder()];
    for (depth, level) in levels.iter().enumerate() {
        let is_last = depth + 1 == levels.len();
        let mut next = Vec::new();
        for folder in &folders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries {
                names += 1;
                if names > MAX_NAMES {
                    listing.is_cut = true;
                    return listing;
                }
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let kind = entry.file_type();
                if is_last {
                    let fits = name.strip_suffix(ending).is_some_and(|name| level.fits_numbered(name));
                    if fits && kind.is_ok_and(|kind| kind.is_file()) {
                        listing.files.push(place(folder, name));
                    }
                } else if level.fits(name) && kind.is_ok_and(|kind| kind.is_dir()) {
                    next.push(place(folder, name));
                }
            }
        }
        folders = next;
    }
    listing
}

/// Without the dot of the folder in which we are.
fn place(folder: &Path, name: &str) -> PathBuf {
    match folder == Path::new(".") {
        true => PathBuf::from(name),
        false => folder.join(name),
    }
}

/// A completed file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    completed: SystemTime,
    path: PathBuf,
    octets: u64,
}

/// Those that go, of files in the order of their age.
fn too_many(files: &[Kept], keep: &Keep, now: SystemTime) -> usize {
    let by_number = keep.files.map_or(0, |most| {
        files.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX))
    });
    let is_old = |file: &Kept, age: Duration| now.duration_since(file.completed).is_ok_and(|since| since > age);
    let by_age = keep
        .age
        .map_or(0, |age| files.iter().take_while(|file| is_old(file, age)).count());
    let by_octets = keep.octets.map_or(0, |most| {
        let mut left = most;
        let stay = files.iter().rev().take_while(|file| {
            let fits = left.checked_sub(file.octets);
            left = fits.unwrap_or(0);
            fits.is_some()
        });
        files.len() - stay.count()
    });
    by_number.max(by_age).max(by_octets)
}

impl Series {
    /// Removes what is too many, too old or too much.
    pub(super) fn enforce_limits(&self) {
        let Some(pattern) = self.pattern.as_ref().filter(|_| self.keep.is_limited()) else {
            return;
        };
        let name = &self.accounts.name;
        let listing = paths(pattern, "");
        if listing.is_cut {
            tracing::warn!("{name}: more than {MAX_NAMES} names in its folders: older files may stay");
        }
        let described = listing.files.into_iter().filter_map(|path| {
            let metadata = path.metadata().ok()?;
            Some(Kept {
                completed: metadata.modified().ok()?,
                octets: metadata.len(),
                path,
            })
        });
        let mut files: Vec<Kept> = described.collect();
        files.sort_by(|a, b| (a.completed, &a.path).cmp(&(b.completed, &b.path)));
        let fixed = pattern.fixed_folder();
        for file in files.iter().take(too_many(&files, &self.keep, SystemTime::now())) {
            match std::fs::remove_file(&file.path) {
                Ok(()) => {
                    self.accounts.events.add(Event::FileRemoved);
                    tracing::debug!("{name}: {} goes, {} octets", file.path.display(), file.octets);
                    // A folder of the time goes with its last file; one that is not empty stays by itself.
                    let folders = file.path.ancestors().skip(1);
                    let ours = folders.take_while(|folder| folder.starts_with(&fixed) && **folder != fixed);
                    let _ = ours.map(std::fs::remove_dir).take_while(Result::is_ok).count();
                }
                Err(error) => tracing::warn!("{name}: cannot remove {}: {error}", file.path.display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_until_every_limit_holds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        // One each hour, the oldest first, of 10 octets and the last of 100.
        let files: Vec<Kept> = (0..10u64)
            .map(|hour| Kept {
                completed: now - Duration::from_secs(3600 * (10 - hour)),
                path: PathBuf::from(format!("{hour}")),
                octets: if hour == 9 { 100 } else { 10 },
            })
            .collect();
        let keep = Keep::default();
        assert_eq!(too_many(&files, &keep, now), 0);
        for (keep, gone) in [
            (Keep { files: Some(3), ..keep }, 7),
            (
                Keep {
                    files: Some(30),
                    ..keep
                },
                0,
            ),
            (
                Keep {
                    age: Some(Duration::from_secs(4 * 3600)),
                    ..keep
                },
                6,
            ),
            (
                Keep {
                    octets: Some(120),
                    ..keep
                },
                7,
            ),
            (
                Keep {
                    octets: Some(99),
                    ..keep
                },
                10,
            ),
            (
                Keep {
                    files: Some(8),
                    octets: Some(150),
                    ..keep
                },
                4,
            ),
        ] {
            assert_eq!(too_many(&files, &keep, now), gone, "{keep:?}");
        }
    }
}
