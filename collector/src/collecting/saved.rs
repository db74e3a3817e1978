//! What decoding knows, across a restart: UDP exporters repeat their templates and options only now and then, and records must
//! neither wait for a template nor be stored without their rate and names until then.
//!
//! With a journal it is what was known at one position of it, Sets that wait and sessions of streams included: decoding the
//! journal from there gives the same rows again.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use flowgauge_templates::management::{SavedTemplates, Version};

use super::options::SavedOptions;
use super::process::CollectingProcess;
use super::repeated::SavedRecords;
use super::session::SessionKey;
use crate::failure::Failure;
use crate::io::listener::ListenAddress;
use crate::limits::{SAVED_PENDING_OCTETS, SAVED_TEMPLATES_OCTETS};

/// The file's form.
const VERSION: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct SavedFile {
    version: u32,
    /// The position in the journal at which this was known.
    #[serde(default)]
    journal: Option<u64>,
    /// When, in nanoseconds since 1970.
    #[serde(default)]
    saved_ns: i64,
    sessions: Vec<SavedSession>,
    /// Rates and names from options records; files of before they were saved have none.
    #[serde(default)]
    options: Vec<SavedOptions>,
    /// Which numbered records came.
    #[serde(default)]
    records: Vec<SavedRecords>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct SavedSession {
    /// The listener's address: places in the configuration change between runs.
    listener: String,
    peer: SocketAddr,
    /// `ipfix` or `netflow9`; files of before the second was decoded say nothing.
    #[serde(default = "ipfix")]
    protocol: String,
    /// The connection, for streams.
    #[serde(default)]
    connection: u64,
    #[serde(flatten)]
    templates: SavedTemplates,
}

fn ipfix() -> String {
    Version::Ipfix.as_str().to_owned()
}

/// What decoding knows, ready to be written.
#[derive(Debug)]
pub struct State {
    /// The position in the journal at which it was known.
    pub journal: Option<u64>,
    text: Vec<u8>,
}

impl State {
    /// What is known now: at `journal`, or, where there is no journal, what is of use without.
    ///
    /// # Errors
    /// When it cannot be put into a form to keep: never met.
    pub fn of(
        process: &CollectingProcess,
        now_ns: i64,
        listeners: &[String],
        journal: Option<u64>,
    ) -> Result<State, Failure> {
        let mut left_octets = SAVED_PENDING_OCTETS;
        let mut sessions: Vec<SavedSession> = process
            .sessions
            .iter()
            .filter(|((_, key), _)| journal.is_some() || key.connection == 0)
            .filter_map(|((version, key), session)| {
                let listener = listeners.get(usize::from(key.listener))?.clone();
                let templates = session.collecting.save();
                let is_empty = templates.templates.is_empty() && templates.pending.is_empty();
                (!is_empty).then_some(SavedSession {
                    listener,
                    peer: key.peer,
                    protocol: version.as_str().to_owned(),
                    connection: key.connection,
                    templates,
                })
            })
            .collect();
        sessions.sort_by_key(|session| (session.listener.clone(), session.peer, session.protocol.clone()));
        let mut left_out = 0u64;
        for session in &mut sessions {
            let octets: usize = session.templates.pending.iter().map(|set| set.body.len()).sum();
            match left_octets.checked_sub(octets) {
                Some(left) => left_octets = left,
                None => left_out += std::mem::take(&mut session.templates.pending).len() as u64,
            }
        }
        if left_out > 0 {
            tracing::warn!("{left_out} Sets that wait for a template are too many to be kept across a restart");
        }
        let text = serde_json::to_vec(&SavedFile {
            version: VERSION,
            journal,
            saved_ns: now_ns,
            sessions,
            options: process.options.save(),
            records: process.seen.save(),
        })
        .map_err(|error| Failure::running(format!("saved templates: {error}")))?;
        Ok(State { journal, text })
    }

    /// Writes it. The file is replaced in one step, so that a crash leaves the old or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let beside = path.with_extension("json.new");
        let written = std::fs::File::create(&beside)
            .and_then(|mut file| file.write_all(&self.text).and_then(|()| file.sync_data()))
            .and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|error| Failure::file("saved templates", path, &error))?;
        // Segments of the journal are removed once this is durable, its new name included.
        if let Some(directory) = path.parent() {
            let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|error| Failure::file("saved templates", path, &error))?;
        }
        Ok(())
    }
}

/// What was taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Templates.
    pub templates: usize,
    /// The position in the journal at which it was known, if it is of one.
    pub journal: Option<u64>,
}

/// Without a journal: saves what is of use without.
///
/// # Errors
/// As [`State::write`].
pub fn save_templates(process: &CollectingProcess, listeners: &[ListenAddress], path: &Path) -> Result<(), Failure> {
    let listeners: Vec<String> = listeners.iter().map(ListenAddress::to_string).collect();
    State::of(process, 0, &listeners, None)?.write(path)
}

/// Without a journal: takes up templates saved by an earlier run; says how many.
///
/// # Errors
/// As [`load_state`].
pub fn load_templates(
    process: &mut CollectingProcess,
    now_ns: i64,
    listeners: &[ListenAddress],
    path: &Path,
) -> Result<usize, Failure> {
    let listeners: Vec<String> = listeners.iter().map(ListenAddress::to_string).collect();
    load_state(process, now_ns, &listeners, None, path).map(|loaded| loaded.templates)
}

/// Takes up what an earlier run saved. No file is nothing. `committed` is the position in the journal up to which the store
/// holds every row, if the journal is to be decoded from here.
///
/// # Errors
/// When the file cannot be read or is not what [`State::write`] writes; nothing of it is then taken up.
pub fn load_state(
    process: &mut CollectingProcess,
    now_ns: i64,
    listeners: &[String],
    committed: Option<u64>,
    path: &Path,
) -> Result<Loaded, Failure> {
    let failed = |error: std::io::Error| Failure::file("saved templates", path, &error);
    let octets = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(error) => return Err(failed(error)),
    };
    let unusable = |why: String| {
        Failure::running(format!(
            "saved templates {}: {why}; remove it to start without",
            path.display()
        ))
    };
    if octets > SAVED_TEMPLATES_OCTETS {
        return Err(unusable(format!("{octets} octets are too many")));
    }
    let text = std::fs::read(path).map_err(failed)?;
    let file: SavedFile = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    if file.version != VERSION {
        return Err(unusable(format!("its version is {}, not {VERSION}", file.version)));
    }
    process.options.load(&file.options);
    process.seen.load(file.records);
    // A position that the store has not reached is of another store: what is known is of use, what waits is not.
    let journal = file
        .journal
        .filter(|saved| committed.is_some_and(|committed| *saved <= committed));
    // What is decoded again came at that time.
    let now_ns = if journal.is_some() {
        file.saved_ns.min(now_ns)
    } else {
        now_ns
    };
    let mut loaded = 0;
    for session in file.sessions {
        if session.connection != 0 && journal.is_none() {
            continue;
        }
        let place = listeners.iter().position(|listener| *listener == session.listener);
        let version = match session.protocol.as_str() {
            "ipfix" => Some(Version::Ipfix),
            "netflow9" => Some(Version::Netflow9),
            "netflow7" => Some(Version::Netflow7),
            "netflow5" => Some(Version::Netflow5),
            _ => None,
        };
        let listener = place.and_then(|place| u16::try_from(place).ok());
        let mut saved = session.templates;
        if file.journal.is_some() && journal.is_none() {
            saved.pending.clear();
        }
        if let Some((listener, version)) = listener.zip(version) {
            let key = SessionKey {
                listener,
                peer: session.peer,
                connection: session.connection,
            };
            loaded += process.open_saved(now_ns, key, version, &saved);
        }
    }
    Ok(Loaded {
        templates: loaded,
        journal,
    })
}
