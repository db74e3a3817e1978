//! The sFlow agent of a run, and what each worker samples for it.

use std::sync::Arc;

use crate::config::{Config, Destination, Source};
use crate::io::patience::Stop;
use crate::io::retry::seed;
use crate::sflow::{Agent, AgentConfig, SampleQueue, Sampler};

/// Starts the agent when there is somebody to send to.
///
/// # Errors
/// One line for people.
pub(super) fn start(config: &Config, stop: &Arc<Stop>) -> Result<Option<Agent>, String> {
    let receivers: Vec<_> = config
        .exporting
        .to
        .iter()
        .filter_map(|destination| match destination {
            Destination::Sflow(endpoint) => Some(endpoint.clone()),
            _ => None,
        })
        .collect();
    if receivers.is_empty() {
        return Ok(None);
    }
    Agent::start(AgentConfig {
        sflow: config.sflow,
        receivers,
        mtu: usize::from(config.exporting.mtu),
        rate: config.exporting.rate,
        stop: stop.clone(),
        interfaces: match &config.capture.source {
            Source::Live(interfaces) => Some(interfaces.clone()),
            Source::Files(_) => None,
        },
    })
    .map(Some)
}

/// How workers sample.
#[derive(Debug)]
pub(super) struct Sampling {
    queue: Arc<SampleQueue>,
    interval: Option<u32>,
    polling_ns: Option<i64>,
    is_file: bool,
    seed: u64,
}

impl Sampling {
    pub fn new(config: &Config, agent: &Agent) -> Sampling {
        Sampling {
            queue: agent.queue().clone(),
            interval: config.sflow.interval,
            polling_ns: config
                .sflow
                .polling
                .map(|polling| i64::try_from(polling.as_nanos()).unwrap_or(i64::MAX)),
            is_file: matches!(config.capture.source, Source::Files(_)),
            seed: seed(),
        }
    }

    /// Whether samples are still taken.
    pub fn is_alive(&self) -> bool {
        !self.queue.is_dead()
    }

    /// What one worker samples with: not what another one does.
    pub fn sampler(&self, worker: usize) -> Sampler {
        let seed = self.seed ^ (worker as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        Sampler::new(self.queue.clone(), self.interval, seed, self.is_file, self.polling_ns)
    }
}
