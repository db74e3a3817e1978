//! Files of /proc and /sys, below a root that tests choose.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::limits::{MAX_POLLED, MAX_SYSTEM_FILE_OCTETS};

/// Where the system says how it is.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::at("/")
    }
}

impl System {
    /// Below this folder.
    pub fn at(root: impl AsRef<Path>) -> System {
        System {
            root: root.as_ref().to_owned(),
        }
    }

    /// The text of a file, as far as it is read.
    pub fn text(&self, path: &str) -> Option<String> {
        let mut octets = Vec::new();
        let file = File::open(self.root.join(path)).ok()?;
        file.take(MAX_SYSTEM_FILE_OCTETS).read_to_end(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets).into_owned())
    }

    /// What a file says of an interface, without the end of its line.
    pub fn of_interface(&self, name: &str, what: &str) -> Option<String> {
        if !is_name(name) {
            return None;
        }
        let text = self.text(&format!("sys/class/net/{name}/{what}"))?;
        Some(text.trim().to_owned())
    }

    /// A number that the system says of an interface, decimal or behind 0x.
    pub fn number_of_interface(&self, name: &str, what: &str) -> Option<u64> {
        let text = self.of_interface(name, what)?;
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The names of all interfaces, in order.
    pub fn interfaces(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join("sys/class/net")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.of_interface(name, "ifindex").is_some())
            .take(MAX_POLLED)
            .collect();
        names.sort();
        names
    }

    /// The path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Names of interfaces go into paths.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != "." && name != ".."
}
