//! The files that enrichment reads, and what they hold now: a file that changes is read again, and a new one that cannot be
//! used is refused while the old one goes on being used.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::geo::{Geo, GeoFile};
use super::networks::Networks;
use super::networks_file::read_networks;

/// What files hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Databases of places and systems.
    pub geo: Geo,
    /// The user's networks.
    pub networks: Networks,
}

/// By what a change of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    changed: Option<SystemTime>,
    octets: u64,
    inode: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let data = std::fs::metadata(path).ok()?;
    Some(Stamp {
        changed: data.modified().ok(),
        octets: data.len(),
        inode: data.ino(),
    })
}

/// A file as it was looked at last.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// Of what was read last, with or without success.
    read: Option<Stamp>,
    /// Of the last look.
    looked: Option<Stamp>,
}

impl Watched {
    /// Before it is read, so that a change meanwhile shows.
    fn new(path: &Path) -> Watched {
        let read = stamp(path);
        Watched {
            path: path.to_owned(),
            read,
            looked: read,
        }
    }

    /// Whether it changed, and then stayed as it is from one look to the next: half a file is not read.
    fn has_changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let before = std::mem::replace(&mut self.looked, now);
        let is_new = now != self.read && now == before;
        if is_new {
            self.read = now;
        }
        is_new
    }
}

#[derive(Debug, Default)]
struct State {
    geo: Vec<(Watched, Arc<GeoFile>)>,
    networks: Option<(Watched, Networks)>,
    contents: Arc<Contents>,
    trouble: Option<String>,
}

impl State {
    fn put_together(&mut self) {
        self.contents = Arc::new(Contents {
            geo: Geo::new(self.geo.iter().map(|(_, file)| Arc::clone(file)).collect()),
            networks: self
                .networks
                .as_ref()
                .map(|(_, networks)| networks.clone())
                .unwrap_or_default(),
        });
    }
}

/// What became of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCounters {
    /// Files taken up again because they had changed.
    pub taken: u64,
    /// Changed files that could not be used.
    pub refused: u64,
    /// Prefixes of the user's networks that are in use.
    pub networks: u64,
    /// Why a file was refused last, until it is taken.
    pub trouble: Option<String>,
}

/// The files of enrichment. One thread looks after them, another takes what they hold.
#[derive(Debug, Default)]
pub struct Files {
    state: Mutex<State>,
    /// One more with each change.
    generation: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
}

fn open_geo(path: &Path) -> Result<Arc<GeoFile>, String> {
    let opened = GeoFile::open(path).map(Arc::new);
    opened.map_err(|what| format!("geo {}: {what}", path.display()))
}

impl Files {
    /// Reads all of them.
    ///
    /// # Errors
    /// One line: the first file that cannot be used, and why.
    pub fn open(geo: &[PathBuf], networks: Option<&Path>) -> Result<Files, String> {
        let mut state = State::default();
        for path in geo {
            let watched = Watched::new(path);
            state.geo.push((watched, open_geo(path)?));
        }
        if let Some(path) = networks {
            let watched = Watched::new(path);
            state.networks = Some((watched, read_networks(path)?));
        }
        state.put_together();
        Ok(Files {
            state: Mutex::new(state),
            ..Files::default()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is in it is replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.geo.is_empty() && state.networks.is_none()
    }

    /// What they hold.
    pub fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.state().contents)
    }

    /// Differs after a change.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Looks at every file, and reads those again that changed. Reading takes as long as it takes, while others go on with
    /// what there is.
    pub fn look(&self) {
        let changed_geo: Vec<(usize, PathBuf)> = {
            let mut state = self.state();
            let files = state.geo.iter_mut().enumerate();
            files
                .filter_map(|(at, (watched, _))| watched.has_changed().then(|| (at, watched.path.clone())))
                .collect()
        };
        let changed_networks: Option<PathBuf> = {
            let mut state = self.state();
            let networks = state.networks.as_mut();
            networks.and_then(|(watched, _)| watched.has_changed().then(|| watched.path.clone()))
        };
        for (at, path) in changed_geo {
            let read = open_geo(&path);
            self.take(&path, read, |state, file| {
                if let Some((_, place)) = state.geo.get_mut(at) {
                    *place = file;
                }
            });
        }
        if let Some(path) = changed_networks {
            let read = read_networks(&path);
            self.take(&path, read, |state, networks| {
                if let Some((_, place)) = &mut state.networks {
                    *place = networks;
                }
            });
        }
    }

    fn take<T>(&self, path: &Path, read: Result<T, String>, put: impl FnOnce(&mut State, T)) {
        let mut state = self.state();
        match read {
            Ok(new) => {
                put(&mut state, new);
                state.put_together();
                state.trouble = None;
                self.taken.fetch_add(1, Ordering::AcqRel);
                self.generation.fetch_add(1, Ordering::AcqRel);
                tracing::info!("enrichment: {} changed and is taken up", path.display());
            }
            Err(why) => {
                self.refused.fetch_add(1, Ordering::AcqRel);
                tracing::error!("{why}; going on with what was read before");
                state.trouble = Some(why);
            }
        }
    }

    /// What became of them.
    pub fn counters(&self) -> FileCounters {
        let state = self.state();
        FileCounters {
            taken: self.taken.load(Ordering::Acquire),
            refused: self.refused.load(Ordering::Acquire),
            networks: state.contents.networks.prefixes() as u64,
            trouble: state.trouble.clone(),
        }
    }
}
