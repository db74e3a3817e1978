//! TCP performance: round-trip times of both sides, then what each direction's sender and path did. The second
//! direction has reverse elements of our own (`id | 0x4000`).
//!
//! Flags, retransmissions, busy time and acknowledged octets are always there. What troubles few connections (losses,
//! disorder, closed windows, repeated SYNs, ECN) comes all together or not at all: a variant for each would make
//! thousands of templates, and zeros for all would make most records half as long again. Without these fields there was
//! no such packet, and a SYN in tcpControlBits was the only one.
//!
//! Counts of packets fit into 32 bits within one record, so these unsigned64 elements go out in 4 octets.

use flowgauge_templates::ipfix::RecordWriter;

use super::{Field, Variant};
use crate::metering::tcp::TcpPerformance;

pub(super) static BOTH_FIELDS: &[flowgauge_templates::ipfix::FieldSpecifier] = both::ALL_FIELDS;
pub(super) static FORWARD_FIELDS: &[flowgauge_templates::ipfix::FieldSpecifier] = forward::ALL_FIELDS;
pub(super) static REVERSE_FIELDS: &[flowgauge_templates::ipfix::FieldSpecifier] = reverse::ALL_FIELDS;

/// Appends the fields of the template for `variant`.
pub(super) fn fields(variant: Variant, fields: &mut Vec<Field>) {
    both::fields(variant, fields);
    forward::fields(variant, fields);
    reverse::fields(variant, fields);
}

/// Appends the values.
pub(super) fn write(variant: Variant, tcp: &TcpPerformance, writer: &mut RecordWriter<'_>) {
    let [ahead, back] = &tcp.directions;
    both::write(variant, tcp, writer);
    forward::write(variant, ahead, writer);
    reverse::write(variant, back, writer);
}

/// Between the observation point and each side.
mod both {
    use super::super::variant::*;
    use crate::metering::tcp::TcpPerformance;

    super::super::group! { |v, t: &TcpPerformance|
        if v.has(SERVER_SAMPLES) => {
            value TCP_RTT_SERVER_MINIMUM_MICROSECONDS[4] => t.rtt[0].minimum_us.to_be_bytes();
            value TCP_RTT_SERVER_MEAN_MICROSECONDS[4]    => t.rtt[0].mean_us.to_be_bytes();
            value TCP_RTT_SERVER_P50_MICROSECONDS[4]     => t.rtt[0].p50_us.to_be_bytes();
            value TCP_RTT_SERVER_P90_MICROSECONDS[4]     => t.rtt[0].p90_us.to_be_bytes();
            value TCP_RTT_SERVER_P99_MICROSECONDS[4]     => t.rtt[0].p99_us.to_be_bytes();
            value TCP_RTT_SERVER_MAXIMUM_MICROSECONDS[4] => t.rtt[0].maximum_us.to_be_bytes();
            value TCP_RTT_SERVER_SAMPLE_COUNT[4]         => t.rtt[0].samples.to_be_bytes();
        }
        if v.has(CLIENT_SAMPLES) => {
            value TCP_RTT_CLIENT_MINIMUM_MICROSECONDS[4] => t.rtt[1].minimum_us.to_be_bytes();
            value TCP_RTT_CLIENT_MEAN_MICROSECONDS[4]    => t.rtt[1].mean_us.to_be_bytes();
            value TCP_RTT_CLIENT_P50_MICROSECONDS[4]     => t.rtt[1].p50_us.to_be_bytes();
            value TCP_RTT_CLIENT_P90_MICROSECONDS[4]     => t.rtt[1].p90_us.to_be_bytes();
            value TCP_RTT_CLIENT_P99_MICROSECONDS[4]     => t.rtt[1].p99_us.to_be_bytes();
            value TCP_RTT_CLIENT_MAXIMUM_MICROSECONDS[4] => t.rtt[1].maximum_us.to_be_bytes();
            value TCP_RTT_CLIENT_SAMPLE_COUNT[4]         => t.rtt[1].samples.to_be_bytes();
        }
    }
}

/// The direction of the first packet.
mod forward {
    use super::super::variant::*;
    use crate::metering::tcp::TcpDirection;

    super::super::group! { |v, d: &TcpDirection|
        if v.has(PERFORMANCE) => {
            value TCP_MEASUREMENT_FLAGS[2]                => d.flags.0.to_be_bytes();
            value TCP_RETRANSMITTED_PACKET_DELTA_COUNT[4] => d.retransmitted_packets.to_be_bytes();
            value TCP_BUSY_MILLISECONDS[4]                => d.busy_ms.to_be_bytes();
            value TCP_ACKNOWLEDGED_OCTET_DELTA_COUNT[8]   => d.acknowledged_octets.to_be_bytes();
        }
        if v.has(TROUBLE) => {
            value TCP_SYN_PACKET_DELTA_COUNT[4]                   => d.syns.to_be_bytes();
            value TCP_RETRANSMITTED_OCTET_DELTA_COUNT[8]          => d.retransmitted_octets.to_be_bytes();
            value TCP_OUT_OF_ORDER_PACKET_DELTA_COUNT[4]          => d.out_of_order_packets.to_be_bytes();
            value TCP_DUPLICATE_ACK_DELTA_COUNT[4]                => d.duplicate_acks.to_be_bytes();
            value TCP_ZERO_WINDOW_DELTA_COUNT[4]                  => d.zero_windows.to_be_bytes();
            value TCP_FAST_RETRANSMISSION_DELTA_COUNT[4]          => d.fast_retransmissions.to_be_bytes();
            value TCP_FAST_RETRANSMITTED_OCTET_DELTA_COUNT[8]     => d.fast_octets.to_be_bytes();
            value TCP_TIMEOUT_RETRANSMISSION_DELTA_COUNT[4]       => d.timeout_retransmissions.to_be_bytes();
            value TCP_TIMEOUT_RETRANSMITTED_OCTET_DELTA_COUNT[8]  => d.timeout_octets.to_be_bytes();
            value TCP_SPURIOUS_RETRANSMISSION_DELTA_COUNT[4]      => d.spurious_retransmissions.to_be_bytes();
            value TCP_SPURIOUS_RETRANSMITTED_OCTET_DELTA_COUNT[8] => d.spurious_octets.to_be_bytes();
            value TCP_OUT_OF_ORDER_OCTET_DELTA_COUNT[8]           => d.out_of_order_octets.to_be_bytes();
            value TCP_ZERO_WINDOW_PACKET_DELTA_COUNT[4]           => d.zero_window_packets.to_be_bytes();
            value TCP_ZERO_WINDOW_MILLISECONDS[4]                 => d.zero_window_ms.to_be_bytes();
            value TCP_ZERO_WINDOW_LONGEST_MILLISECONDS[4]         => d.zero_window_longest_ms.to_be_bytes();
            value TCP_ZERO_WINDOW_PROBE_PACKET_DELTA_COUNT[4]     => d.zero_window_probes.to_be_bytes();
            value TCP_KEEP_ALIVE_PACKET_DELTA_COUNT[4]            => d.keep_alives.to_be_bytes();
            value TCP_ECN_ECT_PACKET_DELTA_COUNT[4]               => d.ect_packets.to_be_bytes();
            value TCP_ECN_CE_PACKET_DELTA_COUNT[4]                => d.ce_packets.to_be_bytes();
            value TCP_ECN_ECE_PACKET_DELTA_COUNT[4]               => d.ece_packets.to_be_bytes();
            value TCP_ECN_CWR_PACKET_DELTA_COUNT[4]               => d.cwr_packets.to_be_bytes();
        }
        if v.has(THROUGHPUT) => {
            value TCP_APPLICATION_LIMITED_MILLISECONDS[4]    => d.application_limited_ms.to_be_bytes();
            value TCP_NON_IDLE_THROUGHPUT_BITS_PER_SECOND[8] => d.non_idle_bps.unwrap_or_default().to_be_bytes();
        }
        if v.has(LOADED) => {
            value TCP_LARGEST_FLIGHT_OCTETS[4]       => d.largest_flight.to_be_bytes();
            value TCP_RTT_BASE_MICROSECONDS[4]       => d.base_rtt_us.unwrap_or_default().to_be_bytes();
            value TCP_LOADED_RTT_SAMPLE_COUNT[4]     => d.loaded_samples.to_be_bytes();
            value TCP_LOADED_RTT_P90_MICROSECONDS[4] => d.loaded_p90_us.to_be_bytes();
        }
        if v.has(BUFFERBLOAT) => {
            value TCP_BUFFERBLOAT[1]              => [u8::from(d.bufferbloat == Some(true))];
            value TCP_BUFFERBLOAT_MILLISECONDS[4] => d.bufferbloat_ms.to_be_bytes();
        }
        if v.has(BLACKHOLE) => {
            value TCP_BLACKHOLE_KIND[1]                 => [d.blackhole.map_or(0, |kind| kind as u8)];
            value TCP_BLACKHOLE_RETRANSMISSION_COUNT[4] => d.blackhole_retransmissions.to_be_bytes();
            value TCP_BLACKHOLE_MILLISECONDS[4]         => d.blackhole_ms.to_be_bytes();
        }
        if v.has(RECOVERY) => {
            value TCP_BLACKHOLE_RECOVERY_MILLISECONDS[4] => d.recovery_ms.unwrap_or_default().to_be_bytes();
        }
        if v.has(MTU_LOW) => {
            value TCP_PATH_MTU_LOW_OCTETS[4] => d.path_mtu[0].to_be_bytes();
        }
        if v.has(MTU_HIGH) => {
            value TCP_PATH_MTU_HIGH_OCTETS[4] => d.path_mtu[1].to_be_bytes();
        }
    }
}

/// The other direction.
mod reverse {
    use super::super::variant::*;
    use crate::metering::tcp::TcpDirection;

    super::super::group! { |v, d: &TcpDirection|
        if v.has(PERFORMANCE | REVERSE) => {
            value REVERSE_TCP_MEASUREMENT_FLAGS[2]                => d.flags.0.to_be_bytes();
            value REVERSE_TCP_RETRANSMITTED_PACKET_DELTA_COUNT[4] => d.retransmitted_packets.to_be_bytes();
            value REVERSE_TCP_BUSY_MILLISECONDS[4]                => d.busy_ms.to_be_bytes();
            value REVERSE_TCP_ACKNOWLEDGED_OCTET_DELTA_COUNT[8]   => d.acknowledged_octets.to_be_bytes();
        }
        if v.has(TROUBLE | REVERSE) => {
            value REVERSE_TCP_SYN_PACKET_DELTA_COUNT[4]                   => d.syns.to_be_bytes();
            value REVERSE_TCP_RETRANSMITTED_OCTET_DELTA_COUNT[8]          => d.retransmitted_octets.to_be_bytes();
            value REVERSE_TCP_OUT_OF_ORDER_PACKET_DELTA_COUNT[4]          => d.out_of_order_packets.to_be_bytes();
            value REVERSE_TCP_DUPLICATE_ACK_DELTA_COUNT[4]                => d.duplicate_acks.to_be_bytes();
            value REVERSE_TCP_ZERO_WINDOW_DELTA_COUNT[4]                  => d.zero_windows.to_be_bytes();
            value REVERSE_TCP_FAST_RETRANSMISSION_DELTA_COUNT[4]          => d.fast_retransmissions.to_be_bytes();
            value REVERSE_TCP_FAST_RETRANSMITTED_OCTET_DELTA_COUNT[8]     => d.fast_octets.to_be_bytes();
            value REVERSE_TCP_TIMEOUT_RETRANSMISSION_DELTA_COUNT[4]       => d.timeout_retransmissions.to_be_bytes();
            value REVERSE_TCP_TIMEOUT_RETRANSMITTED_OCTET_DELTA_COUNT[8]  => d.timeout_octets.to_be_bytes();
            value REVERSE_TCP_SPURIOUS_RETRANSMISSION_DELTA_COUNT[4]      => d.spurious_retransmissions.to_be_bytes();
            value REVERSE_TCP_SPURIOUS_RETRANSMITTED_OCTET_DELTA_COUNT[8] => d.spurious_octets.to_be_bytes();
            value REVERSE_TCP_OUT_OF_ORDER_OCTET_DELTA_COUNT[8]           => d.out_of_order_octets.to_be_bytes();
            value REVERSE_TCP_ZERO_WINDOW_PACKET_DELTA_COUNT[4]           => d.zero_window_packets.to_be_bytes();
            value REVERSE_TCP_ZERO_WINDOW_MILLISECONDS[4]                 => d.zero_window_ms.to_be_bytes();
            value REVERSE_TCP_ZERO_WINDOW_LONGEST_MILLISECONDS[4]         => d.zero_window_longest_ms.to_be_bytes();
            value REVERSE_TCP_ZERO_WINDOW_PROBE_PACKET_DELTA_COUNT[4]     => d.zero_window_probes.to_be_bytes();
            value REVERSE_TCP_KEEP_ALIVE_PACKET_DELTA_COUNT[4]            => d.keep_alives.to_be_bytes();
            value REVERSE_TCP_ECN_ECT_PACKET_DELTA_COUNT[4]               => d.ect_packets.to_be_bytes();
            value REVERSE_TCP_ECN_CE_PACKET_DELTA_COUNT[4]                => d.ce_packets.to_be_bytes();
            value REVERSE_TCP_ECN_ECE_PACKET_DELTA_COUNT[4]               => d.ece_packets.to_be_bytes();
            value REVERSE_TCP_ECN_CWR_PACKET_DELTA_COUNT[4]               => d.cwr_packets.to_be_bytes();
        }
        if v.has(REVERSE_THROUGHPUT) => {
            value REVERSE_TCP_APPLICATION_LIMITED_MILLISECONDS[4]    => d.application_limited_ms.to_be_bytes();
            value REVERSE_TCP_NON_IDLE_THROUGHPUT_BITS_PER_SECOND[8] => d.non_idle_bps.unwrap_or_default().to_be_bytes();
        }
        if v.has(REVERSE_LOADED) => {
            value REVERSE_TCP_LARGEST_FLIGHT_OCTETS[4]       => d.largest_flight.to_be_bytes();
            value REVERSE_TCP_RTT_BASE_MICROSECONDS[4]       => d.base_rtt_us.unwrap_or_default().to_be_bytes();
            value REVERSE_TCP_LOADED_RTT_SAMPLE_COUNT[4]     => d.loaded_samples.to_be_bytes();
            value REVERSE_TCP_LOADED_RTT_P90_MICROSECONDS[4] => d.loaded_p90_us.to_be_bytes();
        }
        if v.has(REVERSE_BUFFERBLOAT) => {
            value REVERSE_TCP_BUFFERBLOAT[1]              => [u8::from(d.bufferbloat == Some(true))];
            value REVERSE_TCP_BUFFERBLOAT_MILLISECONDS[4] => d.bufferbloat_ms.to_be_bytes();
        }
        if v.has(REVERSE_BLACKHOLE) => {
            value REVERSE_TCP_BLACKHOLE_KIND[1]                 => [d.blackhole.map_or(0, |kind| kind as u8)];
            value REVERSE_TCP_BLACKHOLE_RETRANSMISSION_COUNT[4] => d.blackhole_retransmissions.to_be_bytes();
            value REVERSE_TCP_BLACKHOLE_MILLISECONDS[4]         => d.blackhole_ms.to_be_bytes();
        }
        if v.has(REVERSE_RECOVERY) => {
            value REVERSE_TCP_BLACKHOLE_RECOVERY_MILLISECONDS[4] => d.recovery_ms.unwrap_or_default().to_be_bytes();
        }
        if v.has(REVERSE_MTU_LOW) => {
            value REVERSE_TCP_PATH_MTU_LOW_OCTETS[4] => d.path_mtu[0].to_be_bytes();
        }
        if v.has(REVERSE_MTU_HIGH) => {
            value REVERSE_TCP_PATH_MTU_HIGH_OCTETS[4] => d.path_mtu[1].to_be_bytes();
        }
    }
}
