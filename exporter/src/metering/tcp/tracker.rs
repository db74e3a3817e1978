//! The tracker of one connection: hands each packet to the stream it is part of and to the one it acknowledges.

use flowgauge_templates::packet::TcpFlags;

use super::options::{may_have_sack, timestamps};
use super::pool::Pooled;
use super::probes::{LIFETIME_NS, Probes, Tick};
use super::stream::{Acknowledgment, Moment, Segment, Shared, Stream};
use super::{MeasurementFlags, TcpConnection, TcpPacket};

/// Two streams, forward and reverse.
#[derive(Clone, Copy, Debug)]
pub struct Tracker {
    pub streams: [Stream; 2],
    probes: [Probes; 2],
    /// Newest packet.
    pub last_ns: i64,
    handshake_us: Option<u32>,
    /// Directions that packets were seen of.
    pub heard: [bool; 2],
}

impl Pooled for Tracker {
    fn new() -> Tracker {
        Tracker {
            streams: [Stream::default(); 2],
            probes: [Probes::default(); 2],
            last_ns: i64::MIN,
            handshake_us: None,
            heard: [false; 2],
        }
    }

    fn reset(&mut self) {
        self.streams = [Stream::default(); 2];
        self.probes.iter_mut().for_each(|probes| probes.reset(false));
        self.last_ns = i64::MIN;
    }
}

impl Tracker {
    /// Begins with what the handshake said, if it was seen.
    pub fn begin(&mut self, connection: &TcpConnection, heard: [bool; 2], shared: &mut Shared) {
        for (direction, stream) in self.streams.iter_mut().enumerate() {
            // What the receiver of this stream takes.
            let largest = connection.maximum_segment_octets(1 - direction);
            match connection.beginning(direction) {
                Some(sequence) => stream.begin(sequence, largest),
                None => stream.flags.insert(MeasurementFlags::MID_STREAM),
            }
        }
        let began = |direction| connection.beginning(direction).is_some();
        self.heard = [heard[0] || began(0), heard[1] || began(1)];
        let measured = connection.rtt_us();
        self.handshake_us = match measured {
            [None, None] => None,
            [server, client] => Some(server.unwrap_or(0).saturating_add(client.unwrap_or(0))),
        };
        // What the client sends is answered by the server, and the reverse.
        let [forward, reverse] = &mut self.streams;
        let by_side = if connection.client() == 0 {
            [forward, reverse]
        } else {
            [reverse, forward]
        };
        for (stream, us) in by_side.into_iter().zip(measured) {
            if let Some(us) = us {
                stream.take_sample(us, false, shared);
            }
        }
    }

    /// Follows one packet.
    #[inline(always)]
    pub fn follow(&mut self, packet: &TcpPacket<'_>, direction: usize, now_ns: i64, shared: &mut Shared) {
        const TURNS: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::RST.0);
        if now_ns.saturating_sub(self.last_ns) > LIFETIME_NS {
            self.probes.iter_mut().for_each(Probes::clear);
        }
        self.last_ns = self.last_ns.max(now_ns);
        let [forward, reverse] = &mut self.streams;
        let [forward_probes, reverse_probes] = &mut self.probes;
        let (mine, other, my_probes, other_probes) = match direction {
            0 => (forward, reverse, forward_probes, reverse_probes),
            _ => (reverse, forward, reverse_probes, forward_probes),
        };
        if let Some(heard) = self.heard.get_mut(direction) {
            *heard = true;
        }
        let flags = packet.flags;
        let syn = flags.any(TcpFlags::SYN);
        let sequence = packet.sequence.wrapping_add(u32::from(syn));
        if flags.any(TURNS) {
            if flags.any(TcpFlags::RST) {
                // Its numbers are not to be relied on, and nothing follows.
                return mine.reset();
            }
            mine.restart(sequence, my_probes, shared);
        } else {
            mine.count_ecn(packet.ecn, flags);
        }
        let clock = timestamps(packet.options).unwrap_or_default();
        let mut moment = Moment {
            now_ns,
            tick: Tick::of(now_ns),
            handshake_us: self.handshake_us,
            shared,
        };
        let fin = flags.any(TcpFlags::FIN);
        let pure = packet.payload_octets == 0 && !fin;
        if flags.any(TcpFlags::ACK) {
            let options = if may_have_sack(packet.options) {
                packet.options
            } else {
                &[]
            };
            let ack = Acknowledgment {
                number: packet.acknowledgment,
                echo: clock.echo,
                pure: pure && !syn,
                window: packet.window,
                options,
            };
            other.acknowledge(other_probes, &ack, mine, &mut moment);
        }
        if !syn
            && !fin
            && let Some(window) = packet.window
        {
            mine.offer_window(window, other, &moment);
        }
        if pure {
            mine.send_nothing(sequence, other);
        } else {
            let segment = Segment {
                sequence,
                payload_octets: packet.payload_octets,
                packet_octets: packet.ip_octets,
                fin,
                timestamp: clock.value,
            };
            mine.send(my_probes, &segment, other, &mut moment);
        }
    }

    /// Whether a stream's probes are told by timestamps.
    pub fn by_timestamp(&self, direction: usize) -> bool {
        self.probes.get(direction).is_some_and(|probes| probes.by_timestamp)
    }

    /// Gives back what it holds of the pools.
    pub fn free(&mut self, shared: &mut Shared) {
        self.streams.iter_mut().for_each(|stream| stream.free(shared));
    }
}
