//! Gives root's rights up once everything is open: what reads packets from anybody should not be able to do more.
//!
//! Interfaces, sockets and files stay open; what is opened later is opened by the new user. Counters of the kernel and
//! new connections need no rights. An IPFIX File is renamed at its end, which the new user must be allowed to do.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whom to become when nobody is named.
pub const DEFAULT_USER: &str = "nobody";

/// Octets for the strings of a password entry; larger than any there is.
const ENTRY_OCTETS: usize = 16 * 1024;

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was looked up.
    pub name: String,
    /// Its number, never root's.
    pub uid: u32,
    /// Number of its own group.
    pub gid: u32,
}

/// Whether there are rights to give up.
pub fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Finds a user; none when there is none of that name.
///
/// # Errors
/// What the system said.
pub fn find(name: &str) -> io::Result<Option<User>> {
    let Ok(text) = CString::new(name) else {
        return Ok(None);
    };
    let mut strings = vec![0; ENTRY_OCTETS];
    let mut found = std::ptr::null_mut();
    // SAFETY: an all-zero passwd is a valid value: numbers and null pointers.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    // The standard library does not know users.
    // SAFETY: every pointer is valid for the length of the call, and `strings` is as long as it says.
    let status = unsafe {
        libc::getpwnam_r(
            text.as_ptr(),
            &raw mut entry,
            strings.as_mut_ptr(),
            strings.len(),
            &raw mut found,
        )
    };
    if found.is_null() {
        // POSIX lets "not found" be told as 0 or as any of several errors.
        return match status {
            0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => Ok(None),
            error => Err(io::Error::from_raw_os_error(error)),
        };
    }
    Ok(Some(User {
        name: name.to_owned(),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
    }))
}

impl User {
    /// Becomes this user, in all threads and for good.
    ///
    /// # Errors
    /// What the system refused; some of the rights may then be gone.
    pub fn become_it(&self) -> io::Result<()> {
        // Supplementary groups first: they cannot be given up without root's rights.
        // SAFETY: no groups are read from the null pointer, as there are zero of them.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: takes a number.
        check(unsafe { libc::setgid(self.gid) })?;
        // SAFETY: takes a number. The C library sets it in all threads, and the kernel takes the capabilities away.
        check(unsafe { libc::setuid(self.uid) })?;
        // SAFETY: takes numbers; programs started from here on, of which there are none, gain no rights.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        // SAFETY: takes a number.
        match unsafe { libc::setuid(0) } {
            0 => Err(io::Error::other("root's rights came back")),
            _ => Ok(()),
        }
    }

    /// The first of these files whose folder this user may not change, so that it could not be renamed at its end.
    pub fn cannot_finish<'p>(&self, files: impl IntoIterator<Item = &'p Path>) -> Option<PathBuf> {
        let mut folders = files.into_iter().map(|path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        });
        folders.find(|folder| !self.may_change(folder))
    }

    /// By owner, group and mode of the folder and those above it; access lists are not looked at.
    fn may_change(&self, folder: &Path) -> bool {
        let Ok(folder) = folder.canonicalize() else {
            return false;
        };
        let allows = |path: &Path, wanted: u32| {
            path.metadata().is_ok_and(|metadata| {
                let shift = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                    (true, _) => 6,
                    (false, true) => 3,
                    (false, false) => 0,
                };
                metadata.mode() >> shift & wanted == wanted
            })
        };
        const WRITE_AND_SEARCH: u32 = 0o3;
        const SEARCH: u32 = 0o1;
        allows(&folder, WRITE_AND_SEARCH) && folder.ancestors().skip(1).all(|above| allows(above, SEARCH))
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let root = find("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(find("no such user here").unwrap(), None);
        assert_eq!(find("nul\0").unwrap(), None);
    }

    #[test]
    fn whether_a_file_can_be_finished_follows_from_owners_and_modes() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("out");
        fs::create_dir(&folder).unwrap();
        let owner = directory.path().metadata().unwrap();
        let stranger = User {
            name: "stranger".into(),
            uid: owner.uid() + 4242,
            gid: owner.gid() + 4242,
        };
        let file = folder.join("a.ipfix");
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(directory.path(), 0o755);
        mode(&folder, 0o755);
        let cannot = |user: &User| user.cannot_finish([file.as_path()]);
        assert_eq!(cannot(&stranger), Some(folder.clone()));
        mode(&folder, 0o777);
        assert_eq!(cannot(&stranger), None);
        let group = User {
            gid: owner.gid(),
            ..stranger.clone()
        };
        mode(&folder, 0o707);
        assert_eq!(cannot(&group), Some(folder.clone()));
        mode(directory.path(), 0o700);
        mode(&folder, 0o777);
        assert_eq!(cannot(&stranger), Some(folder.clone()), "the folder above is closed");
        mode(directory.path(), 0o755);
    }
}
