//! Where a TCP connection begins and ends, and how long its handshake took (RFC 9293; RFC 6298 section 3 for Karn's rule).
//!
//! A connection ended when both FINs are acknowledged or a RST was seen. What trails behind (the last ACK, repeated
//! FINs) still belongs to it; a SYN with another initial sequence number begins a new one.

use flowgauge_templates::packet::{Tcp, TcpFlags};

use super::options;

/// What a biflow remembers of its connection, in one cache line. Index 0 is forward, 1 reverse.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnection {
    syn: Repeated,
    syn_ack: Repeated,
    initial_sequence: [u32; 2],
    /// The sequence number behind the FIN: acknowledging it acknowledges the FIN.
    fin_end: [u32; 2],
    /// [`NO_RTT`] for none.
    rtt_us: RttPair,
    maximum_segment_octets: [u16; 2],
    /// SYNs and SYN-ACKs of each direction since the last record.
    syns_unreported: Nibbles,
    syns: u8,
    marks: u8,
}

const _: () = assert!(
    size_of::<TcpConnection>() == 64,
    "the flow table gives it one cache line"
);

/// µs; the largest number stands for none.
#[derive(Clone, Copy, Debug)]
struct RttPair([u32; 2]);

const NO_RTT: u32 = u32::MAX;

impl Default for RttPair {
    fn default() -> RttPair {
        RttPair([NO_RTT; 2])
    }
}

/// Two small numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Nibbles(u8);

impl Nibbles {
    fn at(self, which: usize) -> u8 {
        self.0 >> (4 * (which & 1)) & 15
    }

    /// Sets one of them, to 15 if it is larger.
    fn set(&mut self, which: usize, value: u8) {
        let shift = 4 * (which & 1);
        self.0 = self.0 & !(15 << shift) | value.min(15) << shift;
    }
}

/// A SYN or SYN-ACK, which may be sent again: its first and latest instance, for TSecr to tell which one was answered.
#[derive(Clone, Copy, Debug, Default)]
struct Repeated {
    latest_ns: i64,
    /// From the first instance to the latest, in units of [`SPAN_NS`].
    span: u32,
    /// Low halves of the TSvals; a lucky match of the wrong one costs one in 65536 of such handshakes.
    timestamp: [u16; 2],
}

const SPAN_NS: i64 = 64;

impl Repeated {
    fn first(timestamp: u32, time_ns: i64) -> Repeated {
        Repeated {
            latest_ns: time_ns,
            span: 0,
            timestamp: [timestamp as u16; 2],
        }
    }

    fn again(&mut self, timestamp: u32, time_ns: i64) {
        let passed = time_ns.saturating_sub(self.latest_ns).max(0) / SPAN_NS;
        self.span = self.span.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.latest_ns = time_ns;
        self.timestamp[1] = timestamp as u16;
    }

    fn span_ns(&self) -> i64 {
        i64::from(self.span) * SPAN_NS
    }

    /// When the instance was sent that an answer with this TSecr answers; none when that cannot be told (Karn's rule).
    fn answered_by(&self, echo: u32, once: bool) -> Option<i64> {
        let [first, latest] = self.timestamp;
        match echo as u16 {
            _ if once => Some(self.latest_ns),
            _ if echo == 0 || first == latest => None,
            echo if echo == latest => Some(self.latest_ns),
            echo if echo == first => self.latest_ns.checked_sub(self.span_ns()),
            _ => None,
        }
    }
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

    /// Whether a packet with these flags changes any connection.
    #[inline(always)]
    pub fn turns_with(flags: TcpFlags) -> bool {
        const TURNS: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);
        flags.any(TURNS)
    }

    /// Whether a packet with these flags can change anything.
    #[inline(always)]
    pub fn concerned_by(self, flags: TcpFlags) -> bool {
        TcpState::turns_with(flags) || self.0 & TcpState::HANDSHAKE != 0 || self.awaits_fin_ack()
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
        if flags.any(TcpFlags::RST) && direction != self.client() {
            self.mark(TcpConnection::ANSWERED, true);
        }
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

    const BEGUN: [u8; 2] = [1, 2];
    /// The direction of the client is 1.
    const CLIENT: u8 = 4;
    /// Something other than silence met the SYN.
    const ANSWERED: u8 = 8;
    const SYN_ACK: u8 = 16;
    const SYN_ACK_AGAIN: u8 = 32;

    fn is_marked(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    fn mark(&mut self, mark: u8, on: bool) {
        self.marks = if on { self.marks | mark } else { self.marks & !mark };
    }

    fn follow_syn(&mut self, state: &mut TcpState, tcp: &Tcp<'_>, direction: usize, time_ns: i64) {
        state.0 |= TcpState::SYN[direction];
        let said = options::syn(tcp.options);
        let begun = TcpConnection::BEGUN[direction];
        let another = !self.is_marked(begun) || self.initial_sequence[direction] != tcp.sequence;
        self.mark(begun, true);
        self.initial_sequence[direction] = tcp.sequence;
        self.maximum_segment_octets[direction] = said.maximum_segment_octets;
        self.syns_unreported
            .set(direction, self.syns_unreported.at(direction) + 1);
        if tcp.flags.any(TcpFlags::ACK) {
            self.follow_syn_ack(tcp, &said, direction, another, time_ns);
            state.0 |= TcpState::HANDSHAKE;
        } else if another {
            self.syns = 1;
            self.syn = Repeated::first(said.timestamp, time_ns);
            self.mark(
                TcpConnection::ANSWERED | TcpConnection::SYN_ACK | TcpConnection::SYN_ACK_AGAIN,
                false,
            );
            self.mark(TcpConnection::CLIENT, direction == 1);
        } else {
            self.syns = self.syns.saturating_add(1);
            self.syn.again(said.timestamp, time_ns);
        }
    }

    fn follow_syn_ack(
        &mut self,
        tcp: &Tcp<'_>,
        said: &options::SynOptions,
        direction: usize,
        another: bool,
        time_ns: i64,
    ) {
        let answers = tcp.acknowledgment == self.initial_sequence[1 - direction].wrapping_add(1);
        if another || !self.is_marked(TcpConnection::SYN_ACK) {
            self.mark(TcpConnection::SYN_ACK_AGAIN, false);
            self.syn_ack = Repeated::first(said.timestamp, time_ns);
            let sent = self.syn.answered_by(said.echo, self.syns == 1);
            let sent = sent.filter(|_| answers && self.syns > 0);
            self.rtt_us.0[0] = sent.and_then(|sent| microseconds(sent, time_ns)).unwrap_or(NO_RTT);
        } else {
            self.mark(TcpConnection::SYN_ACK_AGAIN, true);
            self.syn_ack.again(said.timestamp, time_ns);
            // Without timestamps neither answers a SYN for certain.
            if said.echo == 0 {
                self.rtt_us.0[0] = NO_RTT;
            }
        }
        self.mark(TcpConnection::ANSWERED | TcpConnection::SYN_ACK, true);
        self.mark(TcpConnection::CLIENT, direction == 0);
    }

    /// The first packet of the client behind the SYN-ACK completes the handshake.
    fn follow_handshake(&mut self, state: &mut TcpState, tcp: &Tcp<'_>, direction: usize, time_ns: i64) {
        if direction != self.client() || !tcp.flags.any(TcpFlags::ACK) {
            return;
        }
        state.0 &= !TcpState::HANDSHAKE;
        if reaches(tcp.acknowledgment, self.initial_sequence[1 - direction].wrapping_add(1)) {
            let echo = options::timestamps(tcp.options).map_or(0, |timestamps| timestamps.echo);
            let once = !self.is_marked(TcpConnection::SYN_ACK_AGAIN);
            let sent = self.syn_ack.answered_by(echo, once);
            self.rtt_us.0[1] = sent.and_then(|sent| microseconds(sent, time_ns)).unwrap_or(NO_RTT);
        }
    }

    /// Server side, client side; each record shows what was measured since the one before it.
    pub fn take_rtt_us(&mut self) -> [Option<u32>; 2] {
        let measured = self.rtt_us();
        self.rtt_us = RttPair::default();
        measured
    }

    /// The same without taking them.
    pub(super) fn rtt_us(&self) -> [Option<u32>; 2] {
        self.rtt_us.0.map(|us| (us != NO_RTT).then_some(us))
    }

    /// Which direction the client sends; the first packet's when there was no SYN.
    pub(super) fn client(&self) -> usize {
        usize::from(self.is_marked(TcpConnection::CLIENT))
    }

    /// The sequence number of a direction's first octet; none when its SYN or SYN-ACK was not seen.
    pub fn first_sequence(&self, state: TcpState, direction: usize) -> Option<u32> {
        state
            .has(TcpState::SYN[direction])
            .then(|| self.initial_sequence[direction].wrapping_add(1))
    }

    /// The same for who does not know the state.
    pub(super) fn beginning(&self, direction: usize) -> Option<u32> {
        self.is_marked(TcpConnection::BEGUN[direction])
            .then(|| self.initial_sequence[direction].wrapping_add(1))
    }

    /// Largest payload that a direction's sender takes; 0 when it did not say.
    pub(super) fn maximum_segment_octets(&self, direction: usize) -> u32 {
        u32::from(self.maximum_segment_octets[direction])
    }

    /// SYNs and SYN-ACKs of each direction since the last call.
    pub(super) fn take_syns(&mut self) -> [u8; 2] {
        let taken = std::mem::take(&mut self.syns_unreported);
        [taken.at(0), taken.at(1)]
    }

    /// SYNs that nothing answered: how many, and for how long, ns.
    pub(super) fn unanswered(&self) -> Option<(u8, i64)> {
        (!self.is_marked(TcpConnection::ANSWERED) && self.syns > 0).then(|| (self.syns, self.syn.span_ns()))
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
