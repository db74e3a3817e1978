//! NetFlow for collectors that do not read IPFIX: version 9 (RFC 3954) and version 5.
//!
//! Both are cores without sockets and without a clock, as [`super::ExportingProcess`] is, and both know less than IPFIX: a
//! biflow becomes a flow in each direction, and what has no number there (round trips, applications, tunnels) stays behind.
//! What cannot be said at all is counted, never shortened.

mod options;
mod packet;
mod table;
#[cfg(test)]
mod tests;
mod uniflow;
mod uptime;
mod v5;
mod v9;

pub use v5::NetFlow5;
pub use v9::NetFlow9;

use super::selectors::{rounded_factor, whole_factor};
use super::{Loss, Volume};
use crate::metering::Records;
use crate::metering::record::FlowRecord;
use crate::metering::sampling::Selector;

/// What a destination of NetFlow is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetFlowConfig {
    /// Source ID of version 9; engine type and number of version 5.
    pub domain: u32,
    /// Largest datagram.
    pub max_octets: usize,
    /// Templates go again after so many seconds.
    pub template_refresh_s: u32,
    /// Templates go again after so many datagrams; 0 for never.
    pub template_refresh_messages: u64,
    /// Packets come from files: the time of a packet is that of the capture, as if this had been live.
    pub from_files: bool,
}

/// What a collector will not be told, or not exactly, as the configuration is: a line each, with what to do.
#[must_use]
pub fn faults(is_v5: bool, domain: u32, selectors: &[Selector]) -> Vec<String> {
    let mut faults = Vec::new();
    if is_v5 && domain > u32::from(u16::MAX) {
        faults.push(format!(
            "version 5 has 16 bits for the engine: domain {domain} arrives as {}; choose one up to 65535",
            domain & 0xffff
        ));
    }
    if is_v5
        && selectors
            .iter()
            .any(|selector| rounded_factor(selector) > v5::MAX_INTERVAL)
    {
        faults.push(format!(
            "version 5 cannot say a sampling interval above {}: set the rate at the collector",
            v5::MAX_INTERVAL
        ));
    }
    let uneven = selectors.iter().find(|selector| whole_factor(selector).is_none());
    if let Some(selector) = uneven {
        faults.push(format!(
            "NetFlow says sampling as 1 in N: 1 in {:.3} arrives as 1 in {}",
            selector.factor(),
            rounded_factor(selector)
        ));
    }
    faults
}

/// What both versions count of what they do not send.
#[derive(Debug, Default)]
struct Left {
    /// The protocol has no way to say it.
    not_expressible: Volume,
    /// For lack of templates.
    refused: Volume,
    /// Less was sent than there was.
    reduced: u64,
}

impl Left {
    fn take(&mut self) -> [(Loss, Volume); 2] {
        [
            (Loss::NotExpressible, std::mem::take(&mut self.not_expressible)),
            (Loss::Failed, std::mem::take(&mut self.refused)),
        ]
    }

    fn leave(volume: &mut Volume, record: &FlowRecord) {
        volume.flows += 1;
        volume.packets = volume
            .packets
            .saturating_add(record.forward.packets)
            .saturating_add(record.reverse.packets);
        volume.octets = volume
            .octets
            .saturating_add(record.forward.octets)
            .saturating_add(record.reverse.octets);
    }

    /// Records of a batch that are no flows.
    fn leave_others(&mut self, records: &Records) {
        self.not_expressible.flows += (records.dns.len() + records.summaries.len()) as u64;
    }
}

/// How late it is for a batch: by the clock of this host, or from files by the latest packet that it tells of.
fn clock(from_files: bool, now_ns: i64, records: &Records) -> i64 {
    let latest = || records.flows.iter().map(|record| record.end_ns).max();
    match from_files {
        true => latest().unwrap_or(now_ns),
        false => now_ns,
    }
}
