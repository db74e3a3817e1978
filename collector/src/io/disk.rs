//! Room on the disk that holds the store: looked at before it is gone, so that nothing is taken in that cannot be kept.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::limits::{DISK_RESERVE_OCTETS, JOURNAL_RESERVE_OCTETS};

/// Room on a file system, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What a program that is not root may still write.
    pub free: u64,
    /// The size of the file system.
    pub total: u64,
}

impl Room {
    /// Too little to go on: less than the reserve, which is a quarter of a small file system.
    pub fn is_low(self) -> bool {
        self.total > 0 && self.free < DISK_RESERVE_OCTETS.min(self.total / 4)
    }

    /// Too little even for the journal, which goes on when [low](Self::is_low) stops everything else.
    pub fn is_spent(self) -> bool {
        self.total > 0 && self.free < JOURNAL_RESERVE_OCTETS.min(self.total / 32)
    }
}

/// The room where `path` lies.
///
/// # Errors
/// When the path does not exist or its file system does not say.
pub fn room(path: &Path) -> io::Result<Room> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statvfs is a plain C structure for which all-zero octets are a valid value. std has no call for free space.
    let mut answer: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: the path is a C string and the answer a structure of the right type; both live through the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut answer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let block = answer.f_frsize;
    Ok(Room {
        free: answer.f_bavail.saturating_mul(block),
        total: answer.f_blocks.saturating_mul(block),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_nothing_has_none() {
        let room = room(&std::env::temp_dir()).unwrap();
        assert!(room.free <= room.total && room.total > 0, "{room:?}");
        assert!(super::room(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn the_reserve_is_a_quarter_of_a_small_disk() {
        let room = |free, total| Room { free, total };
        assert!(room(DISK_RESERVE_OCTETS - 1, u64::MAX).is_low());
        assert!(!room(DISK_RESERVE_OCTETS, u64::MAX).is_low());
        assert!(room(249, 1_000).is_low() && !room(250, 1_000).is_low());
        assert!(!room(0, 0).is_low(), "a file system that does not say");
        assert!(room(JOURNAL_RESERVE_OCTETS - 1, u64::MAX).is_spent());
        assert!(!room(JOURNAL_RESERVE_OCTETS, u64::MAX).is_spent() && !room(0, 0).is_spent());
        assert!(room(31, 1_024).is_spent() && !room(32, 1_024).is_spent());
    }
}
