//! Why the store could not do what was asked: what, where, what to do.

use std::path::{Path, PathBuf};

use tantivy::directory::error::OpenWriteError;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes into this directory.
    #[error("{}: another collector (process {process}) writes here; stop it or choose another --data directory", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, 0 if it could not be read.
        process: u32,
    },
    /// The directory holds no store.
    #[error("{}: no store here; give the --data directory of a collector", path.display())]
    Absent {
        /// The data directory.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}; check the disk's space and the directory's permissions", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the store is not what it should be.
    #[error("{}: {detail}", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
    /// The store was opened for reading only.
    #[error("{}: opened for reading only", path.display())]
    ReadOnly {
        /// The data directory.
        path: PathBuf,
    },
    /// The store has its one writer already.
    #[error("{}: the store has its one writer already", path.display())]
    WriterTaken {
        /// The data directory.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether it is for want of room on the disk.
    pub(crate) fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    pub(crate) fn tantivy(path: &Path) -> impl FnOnce(tantivy::TantivyError) -> Self {
        let path = path.to_owned();
        move |error| match error {
            tantivy::TantivyError::IoError(source) => Self::Io {
                path,
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            tantivy::TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: source, .. }) => Self::Io {
                path,
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            other => Self::Damaged {
                path,
                detail: other.to_string(),
            },
        }
    }
}
