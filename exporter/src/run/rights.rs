//! Which user the exporter goes on as, once all is open.

use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use crate::config::pattern::Pattern;
use crate::config::{Config, Destination, Source};
use crate::io::destination::now_ns;
use crate::io::privileges::{DEFAULT_USER, User, find, is_root};

/// Gives root's rights up after live captures were opened, and says what became of them.
///
/// Who names a user gets that one or an error. Nobody named: `nobody`, unless that user could not finish a file that
/// is being written; then root stays root.
///
/// # Errors
/// One line for people.
pub(super) fn give_up(config: &Config) -> Result<(), String> {
    let named = config.capture.user.as_deref();
    if !is_root() {
        if let Some(name) = named {
            tracing::warn!("--user {name} has no effect: not started as root");
        }
        return Ok(());
    }
    if matches!(config.capture.source, Source::Files(_)) || named == Some("root") {
        return Ok(());
    }
    let name = named.unwrap_or(DEFAULT_USER);
    let user = find(name).map_err(|error| format!("--user {name}: cannot look the user up: {error}"))?;
    let Some(user) = user.filter(|user| user.uid != 0) else {
        if named.is_some() {
            return Err(format!("--user {name}: no such user; name one that is there, or root"));
        }
        tracing::warn!("stays root: there is no user {name}; see --user");
        return Ok(());
    };
    hand_over_spools(config, &user)?;
    if let Some(folder) = user.cannot_finish(files(config).iter().map(PathBuf::as_path)) {
        let folder = folder.display();
        if named.is_some() {
            return Err(format!(
                "--user {name} may not write in {folder}, where files are made or get their names later; \
                 give that folder to {name}, or take --user root"
            ));
        }
        tracing::warn!("stays root: {name} may not finish the file in {folder}; name a user who may with --user");
        return Ok(());
    }
    become_user(&user)
}

/// Segments of a spool come and go as long as the exporter runs. What is in there is the exporter's own.
fn hand_over_spools(config: &Config, user: &User) -> Result<(), String> {
    for folder in spools(config) {
        let inside = std::fs::read_dir(&folder).map(|entries| entries.flatten().map(|entry| entry.path()));
        // A file with a second name may be somebody else's too.
        let own = |path: &PathBuf| {
            path.symlink_metadata()
                .is_ok_and(|file| file.is_file() && file.nlink() == 1)
        };
        let paths = inside.into_iter().flatten().filter(own).chain([folder.clone()]);
        for path in paths {
            lchown(&path, Some(user.uid), Some(user.gid)).map_err(|error| {
                let (path, name) = (path.display(), &user.name);
                format!("{path}: cannot give the spool to {name}: {error}; name another user with --user, or root")
            })?;
        }
    }
    Ok(())
}

/// Folders of spools that are in use: those of destinations with a connection, which have made theirs.
fn spools(config: &Config) -> Vec<PathBuf> {
    let exporting = &config.exporting;
    let Some(spool) = &exporting.spool else {
        return Vec::new();
    };
    let destinations = exporting.to.iter().chain(&exporting.share);
    let folders = destinations.map(|destination| spool.directory_of(&destination.to_string()));
    folders.filter(|folder| folder.is_dir()).collect()
}

fn become_user(user: &User) -> Result<(), String> {
    let User { name, uid, gid } = user;
    user.become_it()
        .map_err(|error| format!("--user {name}: cannot give up root's rights: {error}"))?;
    tracing::info!("captures are open; goes on as {name} (uid {uid}, gid {gid})");
    Ok(())
}

/// Files that are made or get their name later: those of spools, those of a series in the folder of today, which is there, and tomorrow beside it.
fn files(config: &Config) -> Vec<PathBuf> {
    let exporting = &config.exporting;
    let rotates = exporting.files.rotate.is_some() || exporting.files.rotate_octets.is_some();
    let mut files: Vec<_> = spools(config).iter().map(|folder| folder.join("next")).collect();
    for destination in &exporting.to {
        let path: &Path = match destination {
            Destination::File(path) => path,
            Destination::Json(Some(path)) if rotates || destination.is_series() => path,
            _ => continue,
        };
        match Pattern::parse(&path.to_string_lossy()) {
            Ok(pattern) => {
                files.push(pattern.path_at(now_ns()));
                files.push(pattern.fixed_folder().join("next"));
            }
            Err(_) => files.push(path.to_owned()),
        }
    }
    files
}
