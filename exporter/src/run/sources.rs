//! Where packets come from in this run: files read by one worker, or interfaces spread over several.

use std::sync::Arc;

use crate::config::{Config, Source};
use crate::io::live::{LiveConfig, LiveSource, open_workers};
use crate::io::patience::Stop;
use crate::io::pcap_file::PcapFiles;

/// Everything that frames come from.
pub(super) enum Sources {
    Files(Box<PcapFiles>),
    /// One for each worker.
    Live(Vec<LiveSource>),
}

impl Sources {
    /// Opens them, in the order given.
    pub fn open(config: &Config, stop: &Arc<Stop>) -> Result<Sources, String> {
        let filter = config.capture.filter.as_deref();
        match &config.capture.source {
            Source::Files(paths) => PcapFiles::open(paths, filter)
                .map(|files| Sources::Files(Box::new(files.until(stop.clone()))))
                .map_err(|error| error.to_string()),
            Source::Live(interfaces) => {
                let configs: Vec<LiveConfig> = interfaces
                    .iter()
                    .map(|interface| LiveConfig {
                        interface: interface.clone(),
                        filter: filter.map(str::to_owned),
                        snaplen: config.capture.snaplen,
                        buffer_octets: config.capture.buffer,
                        ..LiveConfig::default()
                    })
                    .collect();
                open_workers(&configs, config.capture.workers)
                    .map(Sources::Live)
                    .map_err(|error| error.to_string())
            }
        }
    }

    /// How many flow tables there will be.
    pub fn workers(&self) -> usize {
        match self {
            Self::Files(_) => 1,
            Self::Live(sources) => sources.len(),
        }
    }

    /// Whether one packet may be seen more than once, on different interfaces.
    pub fn have_several_interfaces(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Live(sources) => sources.iter().any(LiveSource::has_several_interfaces),
        }
    }
}

/// What the account calls a worker: its interfaces, and its number where there are several.
pub(super) fn name(source: &LiveSource, worker: usize, workers: usize) -> String {
    let interfaces: Vec<&str> = source.by_interface().map(|(name, _)| name).collect();
    let interfaces = interfaces.join(" + ");
    match workers {
        1 => interfaces,
        _ => format!("{interfaces} (worker {} of {workers})", worker + 1),
    }
}
