//! What the Metering Process counts, so that every packet and every flow is accounted for.

use flowgauge_templates::packet::Fault;

use super::record::FlowEndReason;

/// Packets and flows since the start. `packets_seen == packets_metered + copies + sampled_out + sum(not_metered)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterCounters {
    /// Frames handed in.
    pub packets_seen: u64,
    /// Frames counted in a flow.
    pub packets_metered: u64,
    /// Frames whose packet was seen on another interface before.
    pub copies: u64,
    /// Packets that were known no more when a copy might still have come: may be in two records.
    pub copies_forgotten: u64,
    /// Frames that sampling left out.
    pub sampled_out: u64,
    /// ARP messages among them, which have no octets.
    pub arp_metered: u64,
    /// IP octets of the packets metered.
    pub octets_metered: u64,
    /// Frames without an IP packet that could be counted, by [`Fault`] number.
    pub not_metered: [u64; Fault::ALL.len()],
    /// Metered packets whose inner layers could not all be read, by [`Fault`] number.
    pub metered_with_fault: [u64; Fault::ALL.len()],
    /// Metered fragments other than the first, which hold no ports.
    pub later_fragments: u64,
    /// Those of them that were counted in the flow of their first fragment when they came.
    pub fragments_joined: u64,
    /// Those that had come before their first fragment and were counted in its flow when it came.
    pub fragments_joined_late: u64,
    /// Those whose first fragment did not come in time: counted in a flow without ports.
    pub fragments_timed_out: u64,
    /// Those whose first fragment was still waited for when newer datagrams took the room: counted likewise.
    pub fragments_displaced: u64,
    /// Those that wait for their first fragment now. The five sum up to `later_fragments`.
    pub fragments_waiting: u64,
    /// VLAN tags beyond the second of a frame, which are not part of the key.
    pub vlan_tags_skipped: u64,
    /// Frames older than one before them in the capture.
    pub out_of_order_frames: u64,
    /// Times the clock was set back by more than the idle timeout, as when an older capture follows a newer one.
    pub clock_set_back: u64,
    /// Biflows that entered the table.
    pub flows_created: u64,
    /// Flow Records made, by end reason in the order of [`FlowEndReason::ALL`].
    pub records: [u64; FlowEndReason::ALL.len()],
    /// Biflows that left early because the table was full.
    pub flows_evicted: u64,
    /// Packets that were counted in Aggregated Flows during a flood.
    pub packets_folded: u64,
    /// Flows that were folded into Aggregated Flows.
    pub flows_folded: u64,
    /// Folded flows that sent again and got a place in the table.
    pub flows_unfolded: u64,
    /// Aggregated Flows that were begun. Flow Records = flows created + parts cut off + these.
    pub folds_created: u64,
    /// Packets that were counted in the Aggregated Flow of their protocol because there was no room for one of their own.
    pub packets_folded_together: u64,
    /// Times that a flood began.
    pub floods: u64,
    /// Times that the plan of timeouts was cleaned of those that are meant no more.
    pub wheel_sweeps: u64,
    /// Biflows in the table now.
    pub flows_active: u64,
}

impl MeterCounters {
    /// Frames that were not metered, all reasons together.
    pub fn packets_not_metered(&self) -> u64 {
        self.not_metered.iter().sum()
    }

    /// Frames not metered for each reason that occurred.
    pub fn not_metered_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        by_fault(&self.not_metered)
    }

    /// Metered packets by what was wrong with their inner layers, for each fault that occurred.
    pub fn metered_with_fault_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        by_fault(&self.metered_with_fault)
    }

    /// Flow Records made for one reason.
    pub fn records_for(&self, reason: FlowEndReason) -> u64 {
        self.records.get(reason as usize - 1).copied().unwrap_or_default()
    }

    /// Flow Records made, all reasons together.
    pub fn records_total(&self) -> u64 {
        self.records.iter().sum()
    }
}

fn by_fault(counts: &[u64; Fault::ALL.len()]) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    Fault::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(fault, count)| (fault.as_str(), *count))
}
