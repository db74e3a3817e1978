//! What became of every flow record, per destination: `queued + taken over = exported + waiting + every named loss`.
//!
//! The queue and the destination's thread write, `run` and the statistics options records read, so all is atomic.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use super::events::{Event, EventCounts, Events};
use crate::metering::Records;

/// Why records did not reach their destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The queue was full and these were the oldest.
    QueueFull,
    /// The connection broke with these handed to the kernel and not confirmed by the other end.
    Unconfirmed,
    /// Writing or sending failed for good.
    Failed,
    /// The time to deliver at the end was over.
    DrainTimeout,
    /// The other end answered that nobody listens there, or that it takes no such thing. Over UDP a lower bound: answers
    /// get lost too.
    Refused,
    /// The destination's protocol has no way to say them.
    NotExpressible,
    /// The spool had reached its size and these were the oldest.
    SpoolFull,
    /// They waited in the spool for longer than they may.
    SpoolAge,
    /// They were damaged in the spool.
    SpoolDamaged,
    /// An exporter before this one ended by force while they were in its memory.
    Crash,
}

impl Loss {
    /// Every reason, in the order of the accounts line.
    pub const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::Unconfirmed,
        Self::Failed,
        Self::DrainTimeout,
        Self::Refused,
        Self::NotExpressible,
        Self::SpoolFull,
        Self::SpoolAge,
        Self::SpoolDamaged,
        Self::Crash,
    ];

    /// The counter's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Unconfirmed => "unconfirmed",
            Self::Failed => "failed",
            Self::DrainTimeout => "drain_timeout",
            Self::Refused => "refused",
            Self::NotExpressible => "not_expressible",
            Self::SpoolFull => "spool_full",
            Self::SpoolAge => "spool_age",
            Self::SpoolDamaged => "spool_damaged",
            Self::Crash => "crash",
        }
    }
}

/// The packets and octets that a record stands for, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Flow records.
    pub flows: u64,
    /// Packets in them.
    pub packets: u64,
    /// IP octets in them.
    pub octets: u64,
}

impl Volume {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.flows += other.flows;
        self.packets = self.packets.wrapping_add(other.packets);
        self.octets = self.octets.wrapping_add(other.octets);
    }

    /// Takes another away, as far as there is as much; says what that was.
    pub fn take(&mut self, other: &Self) -> Self {
        let taken = Self {
            flows: self.flows.min(other.flows),
            packets: self.packets.min(other.packets),
            octets: self.octets.min(other.octets),
        };
        self.flows -= taken.flows;
        self.packets -= taken.packets;
        self.octets -= taken.octets;
        taken
    }

    /// The share of it that `flows` of its Flow Records have, as if all had as much.
    #[must_use]
    pub fn share(&self, flows: u64) -> Self {
        let share = |total: u64| (u128::from(total) * u128::from(flows) / u128::from(self.flows.max(1))) as u64;
        Self {
            flows,
            packets: share(self.packets),
            octets: share(self.octets),
        }
    }

    /// Adds up `records`.
    pub fn of(records: &Records) -> Self {
        let mut volume = Self {
            flows: records.len() as u64,
            ..Self::default()
        };
        for record in &records.flows {
            volume.packets += record.forward.packets + record.reverse.packets;
            volume.octets += record.forward.octets + record.reverse.octets;
        }
        volume
    }
}

/// The counters of one destination.
#[derive(Debug)]
pub struct DestinationAccounts {
    /// As it was given to `--to`.
    pub name: String,
    queued: AtomicU64,
    taken_over: AtomicU64,
    exported: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
    lost_packets: AtomicU64,
    lost_octets: AtomicU64,
    first_lost_ns: AtomicI64,
    last_lost_ns: AtomicI64,
    messages: AtomicU64,
    octets: AtomicU64,
    reduced: AtomicU64,
    send_errors: AtomicU64,
    connections: AtomicU64,
    failed: AtomicBool,
    /// What else happened.
    pub events: Events,
}

impl DestinationAccounts {
    /// All zero.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            queued: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            lost: [const { AtomicU64::new(0) }; Loss::ALL.len()],
            lost_packets: AtomicU64::new(0),
            lost_octets: AtomicU64::new(0),
            first_lost_ns: AtomicI64::new(0),
            last_lost_ns: AtomicI64::new(0),
            messages: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            reduced: AtomicU64::new(0),
            send_errors: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            events: Events::default(),
        }
    }

    /// Records were handed to this destination.
    pub fn add_queued(&self, records: u64) {
        self.queued.fetch_add(records, Relaxed);
    }

    /// Records of an exporter before this one, which it had neither sent nor given up.
    pub fn add_taken_over(&self, records: u64) {
        self.taken_over.fetch_add(records, Relaxed);
    }

    /// Records handed over, and those of them that their queue gave up.
    pub fn handed_and_dropped(&self) -> (u64, u64) {
        let dropped = self
            .lost
            .get(Loss::QueueFull as usize)
            .map_or(0, |lost| lost.load(Relaxed));
        (self.queued.load(Relaxed), dropped)
    }

    /// A Message, datagram or run of lines left.
    pub fn add_exported(&self, records: u64, octets: u64) {
        self.add_exported_messages(1, records, octets);
    }

    /// Several Messages left together.
    pub fn add_exported_messages(&self, messages: u64, records: u64, octets: u64) {
        self.exported.fetch_add(records, Relaxed);
        self.messages.fetch_add(messages, Relaxed);
        self.octets.fetch_add(octets, Relaxed);
    }

    /// Records counted as exported turn out not to have arrived; the Message itself stays counted.
    pub fn move_to_lost(&self, now_ns: i64, loss: Loss, records: u64) {
        let moved = records.min(self.exported.load(Relaxed));
        self.exported.fetch_sub(moved, Relaxed);
        self.add_lost(
            now_ns,
            loss,
            Volume {
                flows: moved,
                ..Volume::default()
            },
        );
    }

    /// Records were given up.
    pub fn add_lost(&self, now_ns: i64, loss: Loss, volume: Volume) {
        if volume.flows == 0 {
            return;
        }
        if let Some(counter) = self.lost.get(loss as usize) {
            counter.fetch_add(volume.flows, Relaxed);
        }
        self.lost_packets.fetch_add(volume.packets, Relaxed);
        self.lost_octets.fetch_add(volume.octets, Relaxed);
        let _ = self.first_lost_ns.compare_exchange(0, now_ns, Relaxed, Relaxed);
        self.last_lost_ns.store(now_ns, Relaxed);
    }

    /// Records went out with fewer optional fields than they have, for lack of templates or of room in a Message.
    pub fn add_reduced(&self, records: u64) {
        self.reduced.fetch_add(records, Relaxed);
    }

    /// A send that the system refused; over UDP that is usual while no collector listens.
    pub fn add_send_error(&self) {
        self.send_errors.fetch_add(1, Relaxed);
    }

    /// A connection was established.
    pub fn add_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// The destination ended before its time.
    pub fn set_failed(&self) {
        self.failed.store(true, Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> AccountsSnapshot {
        AccountsSnapshot {
            name: self.name.clone(),
            queued: self.queued.load(Relaxed),
            taken_over: self.taken_over.load(Relaxed),
            exported: self.exported.load(Relaxed),
            lost: Loss::ALL.map(|loss| self.lost.get(loss as usize).map_or(0, |counter| counter.load(Relaxed))),
            lost_packets: self.lost_packets.load(Relaxed),
            lost_octets: self.lost_octets.load(Relaxed),
            first_lost_ns: self.first_lost_ns.load(Relaxed),
            last_lost_ns: self.last_lost_ns.load(Relaxed),
            messages: self.messages.load(Relaxed),
            octets: self.octets.load(Relaxed),
            reduced: self.reduced.load(Relaxed),
            send_errors: self.send_errors.load(Relaxed),
            connections: self.connections.load(Relaxed),
            failed: self.failed.load(Relaxed),
            events: self.events.snapshot(),
        }
    }
}

/// The counters of one destination at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountsSnapshot {
    /// As it was given to `--to`.
    pub name: String,
    /// Records handed to the destination.
    pub queued: u64,
    /// Records that an exporter before this one has left behind.
    pub taken_over: u64,
    /// Records that left.
    pub exported: u64,
    /// Records given up, in the order of [`Loss::ALL`].
    pub lost: [u64; Loss::ALL.len()],
    /// Packets in lost records, as far as they are known.
    pub lost_packets: u64,
    /// IP octets in lost records, as far as they are known.
    pub lost_octets: u64,
    /// When the first record was lost, nanoseconds since 1970; 0 for never.
    pub first_lost_ns: i64,
    /// When the last record was lost.
    pub last_lost_ns: i64,
    /// Messages, datagrams or writes.
    pub messages: u64,
    /// Octets sent or written.
    pub octets: u64,
    /// Records that went out with fewer optional fields than they have.
    pub reduced: u64,
    /// Sends that the system refused.
    pub send_errors: u64,
    /// Connections established.
    pub connections: u64,
    /// Whether it ended before its time.
    pub failed: bool,
    /// What else happened.
    pub events: EventCounts,
}

impl AccountsSnapshot {
    /// Records given up for one reason.
    pub fn lost_for(&self, loss: Loss) -> u64 {
        self.lost.get(loss as usize).copied().unwrap_or_default()
    }

    /// Records given up for any reason.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Records that are neither exported nor lost yet.
    pub fn waiting(&self) -> u64 {
        (self.queued + self.taken_over)
            .saturating_sub(self.exported)
            .saturating_sub(self.lost_total())
    }
}

impl fmt::Display for AccountsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} records exported in {} messages, {} octets, {} lost",
            self.name,
            self.exported,
            self.messages,
            self.octets,
            self.lost_total()
        )?;
        let mut mark = " (";
        for (loss, records) in Loss::ALL.iter().zip(self.lost) {
            if records > 0 {
                write!(f, "{mark}{} {records}", loss.as_str())?;
                mark = ", ";
            }
        }
        if mark == ", " {
            f.write_str(")")?;
        }
        if self.reduced > 0 {
            write!(f, ", {} without their optional fields", self.reduced)?;
        }
        if self.send_errors > 0 {
            write!(f, ", {} times refused", self.send_errors)?;
        }
        if self.taken_over > 0 {
            write!(f, ", {} of them taken over", self.taken_over)?;
        }
        for event in Event::ALL {
            if let (count @ 1.., Some(words)) = (self.events.of(event), event.words()) {
                write!(f, ", {count} {words}")?;
            }
        }
        if self.waiting() > 0 {
            write!(f, ", {} waiting", self.waiting())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_balances_and_reads_well() {
        let accounts = DestinationAccounts::new("udp://h:1");
        accounts.add_queued(100);
        accounts.add_exported(60, 5000);
        let volume = Volume {
            flows: 25,
            packets: 250,
            octets: 9000,
        };
        accounts.add_lost(7, Loss::QueueFull, volume);
        accounts.move_to_lost(9, Loss::Unconfirmed, 10);
        accounts.add_reduced(2);
        let now = accounts.snapshot();
        assert_eq!(now.exported, 50);
        assert_eq!(
            (now.lost_for(Loss::QueueFull), now.lost_for(Loss::Unconfirmed)),
            (25, 10)
        );
        assert_eq!(now.lost_total(), 35);
        assert_eq!((now.lost_packets, now.lost_octets), (250, 9000));
        assert_eq!((now.first_lost_ns, now.last_lost_ns), (7, 9));
        assert_eq!(now.waiting(), 15);
        assert_eq!(now.queued, now.exported + now.lost_total() + now.waiting());
        assert_eq!(
            now.to_string(),
            "udp://h:1: 50 records exported in 1 messages, 5000 octets, 35 lost (queue_full 25, unconfirmed 10), 2 without their optional fields, 15 waiting"
        );
    }
}
