//! How much disk and memory a rate of flows takes: what flows took so far, times how many come and how long each tier is
//! kept.
//!
//! What a flow takes depends on what exporters say of it, so a store that has some is asked first; without one the numbers
//! of [`Taken::default`] are used, which were measured and are told with where they come from in docs/guides/sizing.md.

use serde::Serialize;

use crate::config::Config;
use crate::limits::{
    CHECKPOINT_OCTETS, COMMIT_STRETCH, DISK_RESERVE_OCTETS, HANDOVER_OCTETS, JOURNAL_SEGMENT_OCTETS,
    ROLLUP_DAYS_PER_FILE, ROWS_OF_A_LARGE_SEGMENT, ROWS_PER_MERGED_SEGMENT, ROWS_WORTH_WAITING, SEGMENTS_IN_FLIGHT,
    SEGMENTS_PER_PARTITION,
};
use crate::rollups::Tier;
use crate::store::manifest::Manifest;

const NS_PER_S: f64 = 1e9;
const DAY_S: f64 = 86_400.0;
const HOUR_S: f64 = 3_600.0;
/// Memory without any flows, octets: measured on a collector that has just started, its program included.
const AT_REST_OCTETS: f64 = 26e6;
/// Memory of a row that is not committed yet, octets: of the generator's mix, with what was seen of names and rollups.
const ROW_IN_MEMORY_OCTETS: f64 = 600.0;
/// Memory of one observed name with its places in the tables.
const NAME_OCTETS: f64 = 120.0;
/// Files of one segment: what tantivy makes of ours.
const FILES_PER_SEGMENT: f64 = 8.0;
/// Octets that a flow adds to a window of rollups, as long as there are few of them.
const ROLLUP_FLOW_OCTETS: f64 = 190.0;
/// Octets at which a window of rollups is full: its lists and tables have as many items as they may.
const ROLLUP_FULL_OCTETS: f64 = 190e3;

/// What rows took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Taken {
    /// Rows that were looked at; 0 for numbers that are not of this store.
    pub rows: u64,
    /// Octets of a record in the journal.
    pub journal_octets: f64,
    /// Octets of a row in the store.
    pub row_octets: f64,
    /// Octets of one window of rollups of a minute, an hour and a day.
    pub window_octets: [Option<f64>; 3],
    /// Rows in such a window, where it was measured.
    pub window_rows: [f64; 3],
}

impl Default for Taken {
    /// Flows of our exporter with names, round-trip times and what else it finds out: the generator's mix.
    fn default() -> Taken {
        Taken {
            rows: 0,
            journal_octets: 123.0,
            row_octets: 72.0,
            window_octets: [None; 3],
            window_rows: [0.0; 3],
        }
    }
}

impl Taken {
    /// What a store's rows took; `None` when it has too few to tell.
    pub fn of(manifest: &Manifest) -> Option<Taken> {
        let sum =
            |of: fn(&crate::store::manifest::PartitionMeta) -> u64| manifest.partitions.iter().map(of).sum::<u64>();
        let (rows, octets) = (sum(|partition| partition.rows()), sum(|partition| partition.octets()));
        if rows == 0 {
            return None;
        }
        let without = Taken::default();
        let mut taken = Taken {
            rows,
            row_octets: octets as f64 / rows as f64,
            // The journal's position counts every octet that rows were made of since the store began.
            journal_octets: match manifest.journal {
                Some(position) if manifest.next_row > 0 => position as f64 / manifest.next_row as f64,
                _ => without.journal_octets,
            },
            ..without
        };
        for (tier, (window_octets, window_rows)) in Tier::ALL
            .into_iter()
            .zip(taken.window_octets.iter_mut().zip(&mut taken.window_rows))
        {
            let mut files: Vec<_> = manifest.rollups.of(tier).map(|file| (file.windows_ns, file)).collect();
            files.sort_by_key(|(windows, _)| *windows);
            // Windows that several files have a part of are one window.
            let (mut width_ns, mut behind) = (0i64, i64::MIN);
            for ((first, end), _) in &files {
                width_ns += (*end - behind.max(*first)).max(0);
                behind = behind.max(*end);
            }
            let windows = width_ns as f64 / tier.width_ns() as f64;
            let (octets, rows) = files.iter().fold((0u64, 0u64), |(octets, rows), (_, file)| {
                (octets + file.octets, rows + (file.rows.1 - file.rows.0))
            });
            if windows >= 1.0 {
                *window_octets = Some(octets as f64 / windows);
                *window_rows = rows as f64 / windows;
            }
        }
        Some(taken)
    }

    /// Octets of a window of a tier that has so many rows.
    fn window(&self, at: usize, rows: f64) -> f64 {
        let by_rows = (rows * ROLLUP_FLOW_OCTETS).min(ROLLUP_FULL_OCTETS);
        let measured = self.window_octets.get(at).copied().flatten();
        let measured_rows = self.window_rows.get(at).copied().unwrap_or(0.0);
        match measured {
            // More rows make it no larger than full; fewer make it smaller only when it was not full.
            Some(octets) if measured_rows > 0.0 => (octets * rows / measured_rows).min(octets.max(by_rows)),
            _ => by_rows,
        }
    }
}

/// What one tier takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierTaken {
    /// `journal`, `flows`, `minutes`, `hours`, `days`.
    pub name: &'static str,
    /// How long it is kept, seconds; for ever when there is none.
    pub kept_s: Option<f64>,
    /// What a day adds, octets.
    pub day_octets: f64,
    /// What it comes to, octets; none when it grows for ever.
    pub octets: Option<f64>,
    /// Its size decides, not its time.
    pub is_held_by_size: bool,
}

/// What a rate takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Flows a second.
    pub rate: f64,
    /// What it is made of.
    pub taken: Taken,
    /// Disk by tier.
    pub tiers: Vec<TierTaken>,
    /// Disk in all, with what is left free; none when a tier grows for ever.
    pub octets: Option<f64>,
    /// Memory as it mostly is, octets.
    pub memory_octets: f64,
    /// Memory that buffers may take at most, octets.
    pub memory_most_octets: f64,
    /// Files at most.
    pub files: Option<f64>,
}

/// What `rate` flows a second take with a configuration.
pub fn predict(rate: f64, config: &Config, taken: &Taken) -> Prediction {
    let store = &config.store;
    let mut tiers = Vec::new();
    let mut add = |name, day_octets: f64, kept_s: Option<f64>, more_octets: f64, most: u64| {
        let by_time = kept_s.map(|kept_s| day_octets * kept_s / DAY_S + more_octets);
        let by_size = (most > 0).then_some(most as f64);
        let is_held_by_size = match (by_time, by_size) {
            (Some(by_time), Some(by_size)) => by_size < by_time,
            (None, by_size) => by_size.is_some(),
            _ => false,
        };
        let octets = if is_held_by_size { by_size } else { by_time };
        tiers.push(TierTaken {
            name,
            kept_s: if is_held_by_size {
                octets.map(|octets| octets / day_octets * DAY_S)
            } else {
                kept_s
            },
            day_octets,
            octets,
            is_held_by_size,
        });
    };
    let kept = |seconds: u64| (seconds > 0).then_some(seconds as f64);
    let journal_day = rate * taken.journal_octets * DAY_S;
    if config.journal_octets > 0 {
        // Whole segments go, once what is in them is in the store and noted down.
        let waiting = (CHECKPOINT_OCTETS + JOURNAL_SEGMENT_OCTETS) as f64;
        let waiting = waiting.min(journal_day / DAY_S * 2.0 * HOUR_S);
        let kept_s = config.journal_keep.as_secs_f64();
        add("journal", journal_day, Some(kept_s), waiting, config.journal_octets);
    }
    let rows_day = rate * taken.row_octets * DAY_S;
    // A partition goes as a whole, when the last of it is old enough.
    let partition = rows_day / DAY_S * store.partition_s as f64;
    add(
        "flows",
        rows_day,
        kept(store.retention_s),
        partition,
        store.retention_octets,
    );
    let rollups = &store.rollups;
    let keeps = [
        ("minutes", rollups.minute),
        ("hours", rollups.hour),
        ("days", rollups.day),
    ];
    for (at, (tier, (name, keep))) in Tier::ALL.into_iter().zip(keeps).enumerate() {
        let width_s = tier.width_ns() as f64 / NS_PER_S;
        let window = taken.window(at, rate * width_s);
        if rollups.enabled {
            add(name, window * DAY_S / width_s, kept(keep.seconds), window, keep.octets);
        }
    }
    let sum: Option<f64> = tiers.iter().map(|tier| tier.octets).sum();
    let waiting = rate * store.commit_ms as f64 / 1e3;
    let is_busy = waiting >= ROWS_WORTH_WAITING as f64;
    let stretch = if is_busy { COMMIT_STRETCH as f64 } else { 1.0 };
    let commit_rows = (waiting * stretch).min(store.commit_rows as f64);
    let names = config.enrich.names.entries as f64 * NAME_OCTETS;
    let filling = (commit_rows * ROW_IN_MEMORY_OCTETS).min(store.memory_octets as f64);
    let segments = (1 + SEGMENTS_IN_FLIGHT) as f64;
    Prediction {
        rate,
        taken: *taken,
        octets: sum.map(|octets| octets + DISK_RESERVE_OCTETS as f64),
        memory_octets: AT_REST_OCTETS + filling * segments + names,
        memory_most_octets: AT_REST_OCTETS
            + names
            + store.memory_octets as f64 * segments
            + config.queue_octets as f64
            + HANDOVER_OCTETS as f64,
        files: files(rate, config, &tiers),
        tiers,
    }
}

fn files(rate: f64, config: &Config, tiers: &[TierTaken]) -> Option<f64> {
    let mut files = 0.0;
    for tier in tiers {
        let kept_s = tier.kept_s?;
        files += match tier.name {
            "journal" => tier.octets? / JOURNAL_SEGMENT_OCTETS as f64 + 2.0,
            "flows" => {
                let rows = rate * config.store.partition_s as f64;
                let sealed = (SEGMENTS_PER_PARTITION as f64).max(rows / ROWS_PER_MERGED_SEGMENT as f64);
                // The one that fills, where large ones wait to be merged.
                let filling = SEGMENTS_PER_PARTITION as f64 + rows / ROWS_OF_A_LARGE_SEGMENT as f64;
                (kept_s / config.store.partition_s as f64 * sealed + filling) * FILES_PER_SEGMENT
            }
            // A file for an hour, a day and some days of arrival.
            "minutes" => kept_s / HOUR_S + 1.0,
            "hours" => kept_s / DAY_S + 1.0,
            _ => kept_s / DAY_S / ROLLUP_DAYS_PER_FILE as f64 + ROLLUP_DAYS_PER_FILE as f64,
        };
    }
    Some(files.ceil())
}

#[cfg(test)]
mod tests;
