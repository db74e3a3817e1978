//! What the manifest says of rollups, and what is due next: pure, so that time and crashes are tested without either.
//!
//! Minutes come with each segment. Those that lie beside each other become fewer as they get more; when the hour in which
//! they arrived is over they become one file of minutes and one of hours, and when the day is over its hours become one
//! file of hours and one of days. What rows a file is made of is the union of what went into it, so that it tells which
//! finer files say the same. All ages are those of arrival, which no exporter's clock can change.

use serde::{Deserialize, Serialize};

use super::{RollupsConfig, Tier};
use crate::limits;

const NS_PER_S: i64 = 1_000_000_000;
/// An hour, or day, of arrival is over only when nothing can be on its way from the journal in ordinary times.
const GRACE_NS: i64 = 60 * NS_PER_S;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupMeta {
    /// Its number, unique in the store.
    pub id: u64,
    /// How wide its windows are.
    pub tier: Tier,
    /// How often what is in it was merged within its tier; [`CLOSED`] when it has become a part of the next one.
    pub level: u8,
    /// The first row it is made of, and the one behind the last.
    pub rows: (u64, u64),
    /// When the first and the last of them arrived, nanoseconds.
    pub arrived_ns: (i64, i64),
    /// Start of the first window and end of the last; both 0 when there is none.
    pub windows_ns: (i64, i64),
    /// Of the rows, those without a time that can be believed.
    pub without_time: u64,
    /// Octets on disk.
    pub octets: u64,
}

/// The level of a file that is part of one of the next tier.
pub const CLOSED: u8 = u8::MAX;

impl RollupMeta {
    /// Name of its file.
    pub fn file_name(&self) -> String {
        format!("{:012}.fgr", self.id)
    }

    /// Whether every row of another one is among its rows.
    pub fn covers(&self, other: &RollupMeta) -> bool {
        self.rows.0 <= other.rows.0 && other.rows.1 <= self.rows.1
    }
}

/// Everything that the manifest says of rollups. Files of a tier are in order of their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupsMeta {
    /// Files, minutes first, then hours, then days.
    pub files: Vec<RollupMeta>,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// These are replaced, in order of their rows.
    pub files: Vec<RollupMeta>,
    /// By one of the same tier, at this level.
    pub level: u8,
    /// And beside it one of the next tier.
    pub next: Option<Tier>,
}

impl RollupsMeta {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Those of a tier, in order of their rows.
    pub fn of(&self, tier: Tier) -> impl Iterator<Item = &RollupMeta> {
        self.files.iter().filter(move |file| file.tier == tier)
    }

    /// Puts a file where it belongs.
    pub fn add(&mut self, file: RollupMeta) {
        let key = |file: &RollupMeta| (file.tier, file.rows);
        let at = self.files.partition_point(|held| key(held) <= key(&file));
        self.files.insert(at, file);
    }

    /// Takes files out if all of them are there as they were; whether they are.
    pub fn take(&mut self, files: &[RollupMeta]) -> bool {
        let are_there = files.iter().all(|file| self.files.contains(file));
        if are_there {
            self.files.retain(|file| !files.contains(file));
        }
        are_there
    }

    /// What is due at a time, the most urgent first. Files whose merge failed once are left alone.
    pub fn due(&self, now_ns: i64, left_alone: &[u64]) -> Option<Work> {
        let closing = [Tier::Minute, Tier::Hour];
        closing
            .into_iter()
            .find_map(|tier| self.closing(tier, now_ns, left_alone))
            .or_else(|| self.joining(left_alone))
            .or_else(|| self.joining_days(left_alone))
    }

    /// Files of a tier that are not part of the next one yet, by the span of that in which they arrived: beside each other,
    /// so that their rows are, too.
    fn open_runs(&self, tier: Tier, span: Tier) -> Vec<Vec<&RollupMeta>> {
        let mut runs: Vec<Vec<&RollupMeta>> = Vec::new();
        let open = self.of(tier).filter(|file| file.level != CLOSED);
        for file in open {
            let belongs = |last: &RollupMeta| {
                last.rows.1 == file.rows.0 && span.window(last.arrived_ns.0) == span.window(file.arrived_ns.0)
            };
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| belongs(last)) => run.push(file),
                _ => runs.push(vec![file]),
            }
        }
        runs
    }

    fn closing(&self, tier: Tier, now_ns: i64, left_alone: &[u64]) -> Option<Work> {
        let span = Tier::ALL.into_iter().find(|coarser| coarser.finer() == Some(tier))?;
        let runs = self.open_runs(tier, span);
        let newest = self.of(Tier::Minute).map(|file| file.rows.1).max();
        runs.iter().enumerate().find_map(|(at, run)| {
            let (first, last) = (run.first()?, run.last()?);
            let over_ns = span.end(span.window(first.arrived_ns.0)).saturating_add(GRACE_NS);
            // A clock that was ahead for a while must not keep it open for years.
            let is_passed = at + 1 < runs.len() && last.arrived_ns.1 > now_ns.saturating_add(span.width_ns());
            if now_ns < over_ns && !is_passed {
                return None;
            }
            // Hours wait for the minutes of the same day that are still open.
            let is_followed = tier == Tier::Hour
                && newest.is_some_and(|newest| newest > last.rows.1)
                && self.of(Tier::Minute).any(|minute| {
                    minute.level != CLOSED
                        && minute.rows.0 == last.rows.1
                        && span.window(minute.arrived_ns.0) == span.window(first.arrived_ns.0)
                });
            let is_left = run.iter().any(|file| left_alone.contains(&file.id));
            (!is_followed && !is_left).then(|| Work {
                files: run.iter().map(|file| (*file).clone()).collect(),
                level: CLOSED,
                next: Some(span),
            })
        })
    }

    /// The first few of one level that lie beside each other.
    fn joining(&self, left_alone: &[u64]) -> Option<Work> {
        [Tier::Minute, Tier::Hour].into_iter().find_map(|tier| {
            let span = Tier::ALL.into_iter().find(|coarser| coarser.finer() == Some(tier))?;
            self.open_runs(tier, span).into_iter().find_map(|run| {
                let mut same = run.chunk_by(|left, right| left.level == right.level);
                let files = same.find(|files| {
                    files.len() >= limits::ROLLUP_FILES_PER_MERGE
                        && !files.iter().any(|file| left_alone.contains(&file.id))
                })?;
                let files: Vec<RollupMeta> = files
                    .iter()
                    .take(limits::ROLLUP_FILES_PER_MERGE)
                    .map(|file| (*file).clone())
                    .collect();
                let level = files.first()?.level.saturating_add(1).min(CLOSED - 1);
                Some(Work {
                    files,
                    level,
                    next: None,
                })
            })
        })
    }

    /// Old days in one file for many, so that years of them are few.
    fn joining_days(&self, left_alone: &[u64]) -> Option<Work> {
        let single: Vec<&RollupMeta> = self
            .of(Tier::Day)
            .filter(|file| file.level == 0 && !left_alone.contains(&file.id))
            .collect();
        if single.len() < 2 * limits::ROLLUP_DAYS_PER_FILE {
            return None;
        }
        let mut beside = single.chunk_by(|left, right| left.rows.1 == right.rows.0);
        let files = beside.find(|files| files.len() >= limits::ROLLUP_DAYS_PER_FILE)?;
        let files = files
            .iter()
            .take(limits::ROLLUP_DAYS_PER_FILE)
            .map(|file| (*file).clone());
        Some(Work {
            files: files.collect(),
            level: 1,
            next: None,
        })
    }

    /// What is too old, or too much, of each tier; never what is not part of the next one yet.
    pub fn doomed(&self, config: &RollupsConfig, now_ns: i64) -> Vec<u64> {
        let mut doomed = Vec::new();
        for tier in Tier::ALL {
            let keep = config.keep(tier);
            let age_ns = i64::try_from(keep.seconds).unwrap_or(i64::MAX).saturating_mul(NS_PER_S);
            let before = (keep.seconds > 0).then(|| now_ns.saturating_sub(age_ns));
            let mut octets: u64 = self.of(tier).map(|file| file.octets).sum();
            for file in self.of(tier).filter(|file| tier == Tier::Day || file.level == CLOSED) {
                let too_old = before.is_some_and(|before| file.arrived_ns.1 < before);
                let too_much = keep.octets > 0 && octets > keep.octets;
                if too_old || too_much {
                    octets = octets.saturating_sub(file.octets);
                    doomed.push(file.id);
                }
            }
        }
        doomed
    }

    /// What is wrong with it, in one line: rows that are counted twice, or files out of order. Nothing for a sound one.
    pub fn fault(&self) -> Option<String> {
        for tier in Tier::ALL {
            let files: Vec<&RollupMeta> = self.of(tier).collect();
            for pair in files.windows(2) {
                if let [left, right] = pair
                    && left.rows.1 > right.rows.0
                {
                    let tier = tier.as_str();
                    return Some(format!(
                        "rows {} to {} are in two files of the {tier} tier",
                        right.rows.0, left.rows.1
                    ));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollups::Keep;

    const HOUR_NS: i64 = Tier::Hour.width_ns();

    fn file(id: u64, tier: Tier, level: u8, rows: (u64, u64), arrived_ns: i64) -> RollupMeta {
        RollupMeta {
            id,
            tier,
            level,
            rows,
            arrived_ns: (arrived_ns, arrived_ns),
            windows_ns: (0, 0),
            without_time: 0,
            octets: 100,
        }
    }

    /// Does what is due, as the thread does it.
    fn settle(meta: &mut RollupsMeta, now_ns: i64) -> usize {
        let mut done = 0;
        let mut id = meta.files.iter().map(|file| file.id).max().unwrap_or(0).max(1_000_000);
        while let Some(work) = meta.due(now_ns, &[]) {
            let (first, last) = (&work.files[0], work.files.last().unwrap());
            let rows = (first.rows.0, last.rows.1);
            assert!(meta.take(&work.files));
            let arrived = first.arrived_ns.0;
            for (tier, level) in [(Some(first.tier), work.level), (work.next, 0)] {
                let Some(tier) = tier else { continue };
                id += 1;
                let mut file = file(id, tier, level, rows, arrived);
                file.arrived_ns.1 = last.arrived_ns.1;
                meta.add(file);
            }
            done += 1;
            assert_eq!(meta.fault(), None);
            assert!(done < 10_000, "it never ends");
        }
        done
    }

    fn rows(meta: &RollupsMeta, tier: Tier) -> u64 {
        meta.of(tier).map(|file| file.rows.1 - file.rows.0).sum()
    }

    #[test]
    fn every_row_is_in_each_tier_once_and_files_are_few() {
        let mut meta = RollupsMeta::default();
        let days = 3;
        // One file each ten seconds.
        for at in 0..days * 8_640u64 {
            let arrived = at as i64 * 10 * NS_PER_S;
            meta.add(file(at, Tier::Minute, 0, (at * 5, at * 5 + 5), arrived));
            settle(&mut meta, arrived);
            assert!(meta.of(Tier::Minute).filter(|file| file.level != CLOSED).count() < 60);
        }
        let end = days as i64 * 24 * HOUR_NS;
        settle(&mut meta, end + 2 * GRACE_NS);
        let all = days * 8_640 * 5;
        for tier in Tier::ALL {
            assert_eq!(rows(&meta, tier), all, "{tier:?}");
        }
        assert_eq!(meta.of(Tier::Minute).count(), 24 * days as usize);
        assert_eq!(meta.of(Tier::Hour).count(), days as usize);
        assert_eq!(meta.of(Tier::Day).count(), days as usize);
        assert!(
            meta.files
                .iter()
                .all(|file| file.tier == Tier::Day || file.level == CLOSED)
        );
    }

    #[test]
    fn what_comes_late_is_a_further_part() {
        let mut meta = RollupsMeta::default();
        meta.add(file(1, Tier::Minute, 0, (0, 10), 0));
        settle(&mut meta, HOUR_NS + GRACE_NS);
        assert_eq!(rows(&meta, Tier::Hour), 10);
        // From the journal, with the time at which it arrived.
        meta.add(file(2, Tier::Minute, 0, (10, 15), 5));
        settle(&mut meta, HOUR_NS + GRACE_NS);
        assert_eq!((rows(&meta, Tier::Minute), rows(&meta, Tier::Hour)), (15, 15));
        assert_eq!(meta.of(Tier::Hour).count(), 2);
        settle(&mut meta, 25 * HOUR_NS);
        assert_eq!((meta.of(Tier::Hour).count(), meta.of(Tier::Day).count()), (1, 1));
        assert_eq!(rows(&meta, Tier::Day), 15);
    }

    #[test]
    fn years_of_days_are_few_files() {
        let mut meta = RollupsMeta::default();
        for day in 0..1_000u64 {
            meta.add(file(day, Tier::Day, 0, (day, day + 1), day as i64 * 24 * HOUR_NS));
            settle(&mut meta, 0);
        }
        assert_eq!(rows(&meta, Tier::Day), 1_000);
        assert!(meta.files.len() < 100, "{}", meta.files.len());
    }

    #[test]
    fn retention_goes_by_arrival_and_by_octets_and_leaves_what_is_open() {
        let mut meta = RollupsMeta::default();
        for at in 0..10u64 {
            let level = if at < 9 { CLOSED } else { 0 };
            meta.add(file(at, Tier::Minute, level, (at, at + 1), at as i64 * HOUR_NS));
        }
        let keep = |seconds, octets| RollupsConfig {
            minute: Keep { seconds, octets },
            ..RollupsConfig::default()
        };
        assert_eq!(meta.doomed(&keep(0, 0), i64::MAX), Vec::<u64>::new());
        assert_eq!(meta.doomed(&keep(3_600, 0), 4 * HOUR_NS), [0, 1, 2]);
        assert_eq!(meta.doomed(&keep(1, 0), i64::MAX), (0..9).collect::<Vec<_>>());
        assert_eq!(meta.doomed(&keep(0, 850), 0), [0, 1]);
        // A clock in the past removes nothing, one in the year 2106 nothing that is open.
        assert_eq!(meta.doomed(&keep(3_600, 0), i64::MIN), Vec::<u64>::new());
        for file in &mut meta.files {
            // Whatever flows said of when they were.
            file.windows_ns = (i64::MIN, i64::MAX);
        }
        assert_eq!(meta.doomed(&keep(3_600, 0), 4 * HOUR_NS), [0, 1, 2]);
    }

    #[test]
    fn what_is_counted_twice_is_seen() {
        let mut meta = RollupsMeta::default();
        meta.add(file(1, Tier::Minute, 0, (0, 10), 0));
        meta.add(file(2, Tier::Hour, 0, (0, 10), 0));
        assert_eq!(meta.fault(), None);
        meta.add(file(3, Tier::Minute, 0, (9, 12), 0));
        assert_eq!(
            meta.fault().unwrap(),
            "rows 9 to 10 are in two files of the minute tier"
        );
    }
}
