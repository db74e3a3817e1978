//! What happened at a destination beside records that left or were lost: files that came and went, requests that were
//! repeated.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file was completed and got its name.
    FileCompleted,
    /// One that was too many, too old or too much was removed.
    FileRemoved,
    /// One that a crash had left unfinished was cut to its last whole part and got its name.
    FileRecovered,
    /// The name of a file was taken, so that it got a number.
    FileNumbered,
    /// An HTTP request was repeated because the server could not take it then.
    RequestRepeated,
    /// The server said no to an HTTP request.
    RequestRefused,
    /// A record was sent again, because the collector may not have got it.
    RecordRepeated,
    /// The spool could not be written or read.
    SpoolFault,
}

impl Event {
    /// Every event, in the order of the metrics.
    pub const ALL: [Self; 8] = [
        Self::FileCompleted,
        Self::FileRemoved,
        Self::FileRecovered,
        Self::FileNumbered,
        Self::RequestRepeated,
        Self::RequestRefused,
        Self::RecordRepeated,
        Self::SpoolFault,
    ];

    /// The counter's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileCompleted => "file_completed",
            Self::FileRemoved => "file_removed",
            Self::FileRecovered => "file_recovered",
            Self::FileNumbered => "file_numbered",
            Self::RequestRepeated => "request_repeated",
            Self::RequestRefused => "request_refused",
            Self::RecordRepeated => "record_repeated",
            Self::SpoolFault => "spool_fault",
        }
    }
}

impl Event {
    /// The words behind its number; none for what is usual.
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Self::FileCompleted => None,
            Self::FileRemoved => Some("files removed"),
            Self::FileRecovered => Some("files of an earlier run completed"),
            Self::FileNumbered => Some("names of files taken"),
            Self::RequestRepeated => Some("requests repeated"),
            Self::RequestRefused => Some("requests refused"),
            Self::RecordRepeated => Some("sent again"),
            Self::SpoolFault => Some("faults of the spool"),
        }
    }
}

/// How often each happened.
#[derive(Debug, Default)]
pub struct Events([AtomicU64; Event::ALL.len()]);

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts([u64; Event::ALL.len()]);

impl Events {
    /// It happened once.
    pub fn add(&self, event: Event) {
        self.add_times(event, 1);
    }

    /// It happened so many times.
    pub fn add_times(&self, event: Event, times: u64) {
        if let Some(counter) = self.0.get(event as usize) {
            counter.fetch_add(times, Relaxed);
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> EventCounts {
        EventCounts(Event::ALL.map(|event| self.0.get(event as usize).map_or(0, |counter| counter.load(Relaxed))))
    }
}

impl EventCounts {
    /// How often it happened.
    pub fn of(&self, event: Event) -> u64 {
        self.0.get(event as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_its_counter() {
        let events = Events::default();
        for (at, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, at);
            (0..=at).for_each(|_| events.add(event));
        }
        let counts = events.snapshot();
        assert!(
            Event::ALL
                .into_iter()
                .zip(1..)
                .all(|(event, times)| counts.of(event) == times)
        );
    }
}
