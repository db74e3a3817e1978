//! Templates and options data across a restart: UDP exporters repeat theirs only now and then, and records must neither wait
//! for a template nor be stored without their rate and names until then.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use flowgauge_templates::management::{SavedTemplates, Version};

use super::options::SavedOptions;
use super::process::CollectingProcess;
use crate::failure::Failure;
use crate::io::listener::{ListenAddress, Transport};
use crate::limits::SAVED_TEMPLATES_OCTETS;

/// The file's form.
const VERSION: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct SavedFile {
    version: u32,
    sessions: Vec<SavedSession>,
    /// Rates and names from options records; files of before they were saved have none.
    #[serde(default)]
    options: Vec<SavedOptions>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct SavedSession {
    /// The listener's address: places in the configuration change between runs.
    listener: String,
    peer: SocketAddr,
    /// `ipfix` or `netflow9`; files of before the second was decoded say nothing.
    #[serde(default = "ipfix")]
    protocol: String,
    #[serde(flatten)]
    templates: SavedTemplates,
}

fn ipfix() -> String {
    Version::Ipfix.as_str().to_owned()
}

/// Saves the templates of UDP sessions. The file is replaced in one step, so that a crash leaves the old or the new one.
///
/// # Errors
/// When it cannot be written.
pub fn save_templates(process: &CollectingProcess, listeners: &[ListenAddress], path: &Path) -> Result<(), Failure> {
    let mut sessions: Vec<SavedSession> = process
        .sessions
        .iter()
        .filter(|((_, key), _)| process.transport(key.listener) == Transport::Udp)
        .filter_map(|((version, key), session)| {
            let listener = listeners.get(usize::from(key.listener))?.to_string();
            let templates = session.collecting.save();
            (!templates.templates.is_empty()).then_some(SavedSession {
                listener,
                peer: key.peer,
                protocol: version.as_str().to_owned(),
                templates,
            })
        })
        .collect();
    sessions.sort_by_key(|session| (session.listener.clone(), session.peer, session.protocol.clone()));
    let failed = |error: std::io::Error| Failure::file("saved templates", path, &error);
    let text = serde_json::to_vec(&SavedFile {
        version: VERSION,
        sessions,
        options: process.options.save(),
    })
    .map_err(|error| failed(error.into()))?;
    let beside = path.with_extension("json.new");
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(failed)
}

/// Takes up templates saved by an earlier run; says how many. No file is no templates.
///
/// # Errors
/// When the file cannot be read or is not what [`save_templates`] writes; nothing of it is then taken up.
pub fn load_templates(
    process: &mut CollectingProcess,
    now_ns: i64,
    listeners: &[ListenAddress],
    path: &Path,
) -> Result<usize, Failure> {
    let failed = |error: std::io::Error| Failure::file("saved templates", path, &error);
    let octets = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
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
    let mut loaded = 0;
    for session in &file.sessions {
        let place = listeners
            .iter()
            .position(|listener| listener.to_string() == session.listener);
        let version = match session.protocol.as_str() {
            "ipfix" => Some(Version::Ipfix),
            "netflow9" => Some(Version::Netflow9),
            _ => None,
        };
        let listener = place.and_then(|place| u16::try_from(place).ok());
        if let Some((listener, version)) = listener.zip(version) {
            loaded += process.open_saved(now_ns, (listener, session.peer), version, &session.templates);
        }
    }
    Ok(loaded)
}
