//! What tests may ask of a program that was built with debug assertions, by its environment: a clock that goes faster, so that
//! hours and days end while a test runs, and a note of what is going on, so that a kill can be shown to have hit it. In any
//! other build there is neither.

/// What a kill may come into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Batches are written to the journal.
    Journal,
    /// A segment is written, with its rollups.
    Commit,
    /// A partition is sealed.
    Seal,
    /// Segments are merged.
    Merge,
    /// Partitions or rollups are removed.
    Retention,
    /// Rollups of one tier are merged.
    RollupMerge,
    /// An hour or a day of rollups is closed.
    RollupClose,
    /// The manifest is swapped.
    Manifest,
    /// What decoding knows is written.
    Checkpoint,
}

#[cfg(debug_assertions)]
mod noted {
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::FileExt as _;
    use std::sync::LazyLock;

    use super::Phase;

    /// A file with one octet for each phase.
    static NOTES: LazyLock<Option<File>> = LazyLock::new(|| {
        let path = std::env::var_os("FLOWGAUGE_REHEARSAL_NOTES")?;
        OpenOptions::new().write(true).open(path).ok()
    });
    /// How many times as fast the clock goes, and from when on, nanoseconds since 1970: `7200@1700000000000000000`.
    static CLOCK: LazyLock<Option<(i64, i64)>> = LazyLock::new(|| {
        let text = std::env::var("FLOWGAUGE_REHEARSAL_CLOCK").ok()?;
        let (factor, from_ns) = text.split_once('@')?;
        Some((factor.parse().ok()?, from_ns.parse().ok()?))
    });

    /// A phase that lasts until this is dropped.
    #[derive(Debug)]
    pub struct During(Phase);

    impl During {
        pub(super) fn begin(phase: Phase) -> During {
            note(phase, 1);
            During(phase)
        }
    }

    impl Drop for During {
        fn drop(&mut self) {
            note(self.0, 0);
        }
    }

    fn note(phase: Phase, goes_on: u8) {
        if let Some(notes) = &*NOTES {
            // The test that reads them sees what is missing.
            let _ = notes.write_at(&[goes_on], u64::from(phase as u8));
        }
    }

    /// The time by the clock that the test wants.
    pub fn time_ns(real_ns: i64) -> i64 {
        match *CLOCK {
            Some((factor, from_ns)) => from_ns.saturating_add(real_ns.saturating_sub(from_ns).saturating_mul(factor)),
            None => real_ns,
        }
    }
}

#[cfg(not(debug_assertions))]
mod noted {
    /// Nothing.
    #[derive(Debug)]
    pub struct During;

    impl During {
        pub(super) const fn begin(_: super::Phase) -> During {
            During
        }
    }

    /// The time as it is.
    pub const fn time_ns(real_ns: i64) -> i64 {
        real_ns
    }
}

pub use noted::{During, time_ns};

/// Notes that a phase goes on, until what is given back is dropped.
pub fn during(phase: Phase) -> During {
    During::begin(phase)
}
