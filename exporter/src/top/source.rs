//! Where readings come from: a capture of our own, or another exporter.

use super::figures::Reading;
use super::local::Local;
use super::remote::Remote;
use super::{From, TopConfig};

/// One of the two.
#[derive(Debug)]
pub(super) enum Source {
    /// A capture.
    Local(Local),
    /// An exporter.
    Remote(Remote),
}

impl Source {
    /// Opens it.
    ///
    /// # Errors
    /// One line for people.
    pub fn open(config: &TopConfig) -> Result<Source, String> {
        Ok(match &config.from {
            From::Url(url) => Source::Remote(Remote::open(url)?),
            From::Interface(_) | From::Files(_) => Source::Local(Local::start(config)?),
        })
    }

    /// What people call it.
    pub fn name(&self) -> String {
        match self {
            Source::Local(local) => local.name().to_owned(),
            Source::Remote(remote) => remote.name().to_owned(),
        }
    }

    /// Waits until there is something to read.
    pub fn wait_for_first(&self) {
        if let Source::Local(local) = self {
            local.wait_for_first();
        }
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        match self {
            Source::Local(local) => local.is_over(),
            Source::Remote(_) => false,
        }
    }

    /// What there is now, of the newest window or of all that are kept, with at most `rows` of each list.
    ///
    /// # Errors
    /// One line for people; the next time may do better.
    pub fn read(&mut self, only_newest: bool, rows: usize) -> Result<Reading, String> {
        match self {
            Source::Local(local) => local.read(only_newest, rows),
            Source::Remote(remote) => remote.read(only_newest, rows),
        }
    }
}
