//! What goes wrong in one direction: gaps, segments sent again and why, and data that never arrives.
//!
//! Kept apart from the stream, in a pool, because most connections never need it.

use super::BlackholeKind;
use super::gaps::Gaps;
use super::pool::Pooled;
use super::sequence::{is_after, is_before, later, sooner};

/// Packets and their payload octets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub packets: u32,
    pub octets: u64,
}

impl Count {
    pub fn add(&mut self, octets: u32) {
        self.packets += 1;
        self.octets += u64::from(octets);
    }

    pub fn both(self) -> (u32, u64) {
        (self.packets, self.octets)
    }
}

/// Why segments are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// They are not.
    #[default]
    None,
    /// Three duplicate ACKs or a SACK said that one is missing.
    Fast,
    /// An ACK did not come in time.
    Timeout,
}

/// Silence that makes a lost segment a blackhole: retransmissions of one left edge (tcp-metrics 9).
pub const BLACKHOLE_RETRANSMISSIONS: u32 = 3;
/// ... for at least this long.
pub const BLACKHOLE_NS: i64 = 1_000_000_000;
/// Every IPv4 host takes datagrams of this size (RFC 1122 section 3.3.2), so that smaller ones are not lost for their size.
const ALWAYS_FITS: u32 = 576;

/// A left edge that is sent again and again.
#[derive(Clone, Copy, Debug)]
struct Edge {
    sequence: u32,
    retransmissions: u32,
    /// Smallest IP packet with it known to be lost.
    lost: u32,
    /// The latest IP packet with it, whose fate is open.
    latest: u32,
    /// Nothing came from the peer since it was first sent again.
    silent: bool,
    /// Sent again often and for long enough.
    holds: bool,
    /// When an answer to the latest is overdue.
    overdue_ns: i64,
}

impl Edge {
    const NONE: Edge = Edge {
        sequence: 0,
        retransmissions: 0,
        lost: u32::MAX,
        latest: 0,
        silent: true,
        holds: false,
        overdue_ns: 0,
    };
}

/// A blackhole and the evidence for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackhole {
    pub kind: BlackholeKind,
    pub retransmissions: u32,
    pub silence_ns: i64,
    pub recovered: bool,
    /// Largest IP packet that arrived, smallest that did not; 0 is unknown.
    pub path_mtu: [u32; 2],
}

/// How a retransmission relates to what was seen, for [`Losses::count_retransmission`].
#[derive(Clone, Copy, Debug)]
pub struct Resent {
    pub start: u32,
    pub end: u32,
    pub octets: u32,
    /// The IP packet, as large as it was on the path.
    pub packet_octets: u32,
    /// Duplicate ACKs for the left edge.
    pub duplicate_acks: u16,
    /// The peer's highest ACK.
    pub acknowledged: u32,
    /// Highest octet seen, and one.
    pub next: u32,
    /// Nothing was sent or acknowledged for a retransmission timeout.
    pub late: bool,
    /// Since the last progress.
    pub silence_ns: i64,
    /// After which a blackhole is one.
    pub patience_ns: i64,
    /// When an answer to this segment is overdue.
    pub overdue_ns: i64,
    /// The peer sent a RST or FIN.
    pub peer_closed: bool,
}

/// Losses of one direction. Counters are those since the last record.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    pub gaps: Gaps,
    pub retransmitted: Count,
    pub fast: Count,
    pub timeout: Count,
    pub out_of_order: Count,
    /// Sent again below the peer's ACK.
    needless: Count,
    /// D-SACKs (RFC 2883).
    duplicate_sacks: Count,
    recovery: Recovery,
    recover_until: u32,
    /// Highest octet that a SACK reported, and one.
    sacked: Option<u32>,
    /// What was sent again or filled a gap and is not acknowledged: no sequence number sample spans it.
    unclear: Option<(u32, u32)>,
    edge: Edge,
    blackhole: Option<Blackhole>,
}

impl Pooled for Losses {
    fn new() -> Losses {
        Losses {
            gaps: Gaps::default(),
            retransmitted: Count::default(),
            fast: Count::default(),
            timeout: Count::default(),
            out_of_order: Count::default(),
            needless: Count::default(),
            duplicate_sacks: Count::default(),
            recovery: Recovery::None,
            recover_until: 0,
            sacked: None,
            unclear: None,
            edge: Edge::NONE,
            blackhole: None,
        }
    }

    fn reset(&mut self) {
        self.gaps.clear();
        *self = Losses {
            gaps: self.gaps,
            ..Losses::new()
        };
    }
}

impl Losses {
    /// Begins the counters of the next record; what goes on goes on.
    pub fn begin_record(&mut self) {
        self.retransmitted = Count::default();
        self.fast = Count::default();
        self.timeout = Count::default();
        self.out_of_order = Count::default();
        self.needless = Count::default();
        self.duplicate_sacks = Count::default();
        self.blackhole = None;
    }

    /// Forgets what hangs on sequence numbers.
    pub fn restart(&mut self) {
        self.gaps.clear();
        (self.recovery, self.sacked, self.unclear, self.edge) = (Recovery::None, None, None, Edge::NONE);
    }

    /// Retransmissions that the receiver had no need of. A receiver answers most of those below its ACK with a
    /// D-SACK, so that the larger count holds the other.
    pub fn spurious(&self) -> Count {
        let larger = match self.needless.packets >= self.duplicate_sacks.packets {
            true => self.needless,
            false => self.duplicate_sacks,
        };
        Count {
            packets: larger.packets.min(self.retransmitted.packets),
            octets: larger.octets.min(self.retransmitted.octets),
        }
    }

    /// Counts a segment that was sent again.
    pub fn count_retransmission(&mut self, resent: &Resent) {
        self.retransmitted.add(resent.octets);
        if !is_after(resent.end, resent.acknowledged) {
            self.needless.add(resent.octets);
        }
        self.recovery = self.why(resent);
        self.recover_until = resent.next;
        match self.recovery {
            Recovery::Fast => self.fast.add(resent.octets),
            Recovery::Timeout | Recovery::None => self.timeout.add(resent.octets),
        }
        self.blur(resent.start, resent.end);
        let covers_edge = !is_after(resent.start, resent.acknowledged) && is_after(resent.end, resent.acknowledged);
        if covers_edge {
            self.follow_edge(resent);
        }
    }

    /// A recovery lasts until all that had been sent when it began is acknowledged; what is sent again within it has
    /// its reason.
    fn why(&self, resent: &Resent) -> Recovery {
        let signalled = resent.duplicate_acks >= 3 || self.sacked.is_some_and(|sacked| is_before(resent.start, sacked));
        let goes_on = is_before(resent.acknowledged, self.recover_until);
        match self.recovery {
            _ if resent.late => Recovery::Timeout,
            Recovery::Fast | Recovery::Timeout if goes_on => self.recovery,
            _ if signalled => Recovery::Fast,
            _ => Recovery::Timeout,
        }
    }

    fn follow_edge(&mut self, resent: &Resent) {
        if self.edge.retransmissions == 0 || self.edge.sequence != resent.acknowledged {
            self.edge = Edge {
                sequence: resent.acknowledged,
                ..Edge::NONE
            };
        }
        let edge = &mut self.edge;
        if edge.retransmissions > 0 {
            edge.lost = edge.lost.min(edge.latest);
        }
        edge.latest = resent.packet_octets;
        edge.retransmissions += 1;
        edge.overdue_ns = resent.overdue_ns;
        edge.holds |= edge.retransmissions >= BLACKHOLE_RETRANSMISSIONS
            && resent.silence_ns >= resent.patience_ns
            && !resent.peer_closed;
    }

    /// Marks octets whose acknowledgment tells no round-trip time.
    pub fn blur(&mut self, start: u32, end: u32) {
        self.unclear = Some(match self.unclear {
            Some((from, to)) => (sooner(from, start), later(to, end)),
            None => (start, end),
        });
    }

    /// Whether an acknowledgment tells no round-trip time because it spans such octets.
    pub fn blurs(&mut self, acknowledgment: u32) -> bool {
        let Some((from, to)) = self.unclear else { return false };
        if !is_before(acknowledgment, to) {
            self.unclear = None;
        }
        is_after(acknowledgment, from)
    }

    /// Takes in a SACK (RFC 2018). A first block below the ACK or within the second is a D-SACK (RFC 2883 section 4).
    pub fn follow_sack(&mut self, blocks: &[(u32, u32)], acknowledgment: u32, next: u32) {
        let Some(&(start, end)) = blocks.first() else { return };
        let within = |outer: &(u32, u32)| !is_before(start, outer.0) && !is_after(end, outer.1);
        let mut blocks = blocks;
        if !is_after(end, acknowledgment) || blocks.get(1).is_some_and(within) {
            let octets = end.wrapping_sub(start);
            // What was never sent is no duplicate.
            if is_before(start, end) && octets < 1 << 24 {
                self.duplicate_sacks.add(octets);
            }
            blocks = blocks.get(1..).unwrap_or_default();
        }
        for &(_, end) in blocks {
            if is_after(end, acknowledgment) && !is_after(end, next) {
                self.sacked = Some(self.sacked.map_or(end, |sacked| later(sacked, end)));
            }
        }
    }

    /// Something came from the peer that acknowledges nothing new.
    pub fn hear(&mut self) {
        self.edge.silent = false;
    }

    /// The left edge moved on at `now_ns`, after so long; `arrives` is the largest IP packet known to arrive. What was
    /// answered in time was not sent in vain: it does not count towards a blackhole.
    pub fn progress(&mut self, acknowledgment: u32, now_ns: i64, silence_ns: i64, arrives: u32) {
        if self.sacked.is_some_and(|sacked| !is_after(sacked, acknowledgment)) {
            self.sacked = None;
        }
        let edge = std::mem::replace(&mut self.edge, Edge::NONE);
        let in_vain = edge.retransmissions.saturating_sub(u32::from(now_ns < edge.overdue_ns));
        if !edge.holds || in_vain < BLACKHOLE_RETRANSMISSIONS {
            return;
        }
        let kind = if edge.latest < edge.lost && edge.lost != u32::MAX {
            BlackholeKind::PmtuConfirmed
        } else if edge.silent {
            BlackholeKind::DeadPath
        } else {
            return;
        };
        let path_mtu = match kind {
            BlackholeKind::PmtuConfirmed => [edge.latest.max(arrives), edge.lost],
            _ => [arrives, 0],
        };
        self.blackhole = Some(Blackhole {
            kind,
            retransmissions: edge.retransmissions,
            silence_ns,
            recovered: true,
            path_mtu,
        });
    }

    /// The blackhole there was since the last record, or the one that there is.
    pub fn blackhole(&self, silence_ns: i64, arrives: u32, answered: bool) -> Option<Blackhole> {
        let edge = &self.edge;
        if !edge.holds {
            return self.blackhole.map(|mut past| {
                if past.kind == BlackholeKind::PmtuConfirmed && arrives < past.path_mtu[1] {
                    past.path_mtu[0] = past.path_mtu[0].max(arrives);
                }
                past
            });
        }
        let lost = edge.lost.min(edge.latest);
        let (kind, path_mtu) = if lost > arrives.max(ALWAYS_FITS) && (answered || arrives > 0) {
            (BlackholeKind::PmtuSuspected, [arrives, lost])
        } else if edge.silent {
            (BlackholeKind::DeadPath, [arrives, 0])
        } else {
            return self.blackhole;
        };
        Some(Blackhole {
            kind,
            retransmissions: edge.retransmissions,
            silence_ns,
            recovered: false,
            path_mtu,
        })
    }
}
