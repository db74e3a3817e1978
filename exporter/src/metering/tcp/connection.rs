//! Where a TCP connection begins and ends, and how long its handshake took (RFC 9293; RFC 6298 section 3 for Karn's rule).
//!
//! A connection ended when both FINs are acknowledged or a RST was seen. What trails behind (the last ACK, repeated
//! FINs) still belongs to it; a SYN with another initial sequence number begins a new one.

use flowgauge_templates::packet::{Tcp, TcpFlags};

/// What a biflow remembers of its connection. Index 0 is forward, 1 reverse.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnection {
    syn_ns: i64,
    syn_ack_ns: i64,
    initial_sequence: [u32; 2],
    /// The sequence number behind the FIN: acknowledging it acknowledges the FIN.
    fin_end: [u32; 2],
    rtt_us: [Option<u32>; 2],
    syns: u8,
    syn_acks: u8,
    /// Which direction sent the SYN.
    client: u8,
}

/// What the next packets of a connection must be looked at for; kept with the counters, as every packet asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpState(u8);

impl TcpState {
    const FIN: [u8; 2] = [1, 2];
    const FIN_ACKNOWLEDGED: [u8; 2] = [4, 8];
    const ENDED: u8 = 16;
    /// A SYN-ACK was seen, the ACK that completes the handshake was not.
    const HANDSHAKE: u8 = 32;
    const SYN: [u8; 2] = [64, 128];

    fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    fn awaits_fin_ack(self) -> bool {
        self.0 & 3 & !(self.0 >> 2) != 0
    }

    /// Whether the connection ended.
    #[inline(always)]
    pub fn ended(self) -> bool {
        self.0 & TcpState::ENDED != 0
    }

    /// Whether a packet with these flags can change anything.
    #[inline(always)]
    pub fn concerned_by(self, flags: TcpFlags) -> bool {
        const TURNS: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);
        flags.any(TURNS) || self.0 & TcpState::HANDSHAKE != 0 || self.awaits_fin_ack()
    }
}

impl TcpConnection {
    /// Whether this packet opens another connection with the same addresses and ports: a SYN, new, after both sides
    /// had finished or one had reset.
    pub fn is_succeeded_by(&self, state: TcpState, tcp: &Tcp<'_>, direction: usize) -> bool {
        let finished = state.ended() || state.has(TcpState::FIN[0] | TcpState::FIN[1]);
        let opens = tcp.flags.any(TcpFlags::SYN) && !tcp.flags.any(TcpFlags::ACK | TcpFlags::RST);
        let repeated = state.has(TcpState::SYN[direction]) && self.initial_sequence[direction] == tcp.sequence;
        finished && opens && !repeated
    }

    /// Follows one packet; true when the connection ends with it.
    pub fn follow(
        &mut self,
        state: &mut TcpState,
        tcp: &Tcp<'_>,
        direction: usize,
        payload_octets: u32,
        time_ns: i64,
    ) -> bool {
        let flags = tcp.flags;
        if flags.any(TcpFlags::SYN) {
            self.follow_syn(state, tcp, direction, time_ns);
        } else if state.has(TcpState::HANDSHAKE) && !flags.any(TcpFlags::RST) {
            self.follow_handshake(state, tcp, direction, time_ns);
        }
        if flags.any(TcpFlags::FIN) {
            state.0 |= TcpState::FIN[direction];
            let syn = u32::from(flags.any(TcpFlags::SYN));
            self.fin_end[direction] = tcp.sequence.wrapping_add(payload_octets).wrapping_add(syn + 1);
        }
        let other = 1 - direction;
        if flags.any(TcpFlags::ACK)
            && state.has(TcpState::FIN[other])
            && reaches(tcp.acknowledgment, self.fin_end[other])
        {
            state.0 |= TcpState::FIN_ACKNOWLEDGED[other];
        }
        let both = TcpState::FIN_ACKNOWLEDGED[0] | TcpState::FIN_ACKNOWLEDGED[1];
        let ends = !state.ended() && (flags.any(TcpFlags::RST) || state.has(both));
        if ends {
            state.0 |= TcpState::ENDED;
        }
        ends
    }

    fn follow_syn(&mut self, state: &mut TcpState, tcp: &Tcp<'_>, direction: usize, time_ns: i64) {
        state.0 |= TcpState::SYN[direction];
        self.initial_sequence[direction] = tcp.sequence;
        if tcp.flags.any(TcpFlags::ACK) {
            self.syn_acks = self.syn_acks.saturating_add(1);
            self.syn_ack_ns = time_ns;
            self.client = 1 - direction as u8;
            state.0 |= TcpState::HANDSHAKE;
            let answers = tcp.acknowledgment == self.initial_sequence[1 - direction].wrapping_add(1);
            self.rtt_us[0] = if self.syns == 1 && self.syn_acks == 1 && answers {
                microseconds(self.syn_ns, time_ns)
            } else {
                None
            };
        } else {
            self.syns = self.syns.saturating_add(1);
            self.syn_ns = time_ns;
            self.client = direction as u8;
            if self.syns > 1 {
                self.rtt_us[0] = None;
            }
        }
        if self.syn_acks > 1 {
            self.rtt_us[1] = None;
        }
    }

    /// The first packet of the client behind the SYN-ACK completes the handshake.
    fn follow_handshake(&mut self, state: &mut TcpState, tcp: &Tcp<'_>, direction: usize, time_ns: i64) {
        if direction != usize::from(self.client) || !tcp.flags.any(TcpFlags::ACK) {
            return;
        }
        state.0 &= !TcpState::HANDSHAKE;
        let acknowledged = reaches(tcp.acknowledgment, self.initial_sequence[1 - direction].wrapping_add(1));
        if acknowledged && self.syn_acks == 1 {
            self.rtt_us[1] = microseconds(self.syn_ack_ns, time_ns);
        }
    }

    /// Server side, client side; each record shows what was measured since the one before it.
    pub fn take_rtt_us(&mut self) -> [Option<u32>; 2] {
        std::mem::take(&mut self.rtt_us)
    }
}

/// Whether an acknowledgment covers a sequence number, modulo 2^32 (RFC 9293 section 3.4).
fn reaches(acknowledgment: u32, sequence: u32) -> bool {
    acknowledgment.wrapping_sub(sequence) as i32 >= 0
}

/// A duration in µs, rounded; none when it is negative or does not fit.
fn microseconds(from_ns: i64, to_ns: i64) -> Option<u32> {
    let ns = to_ns.checked_sub(from_ns)?;
    u32::try_from(ns.checked_add(500)? / 1000).ok().filter(|_| ns >= 0)
}
