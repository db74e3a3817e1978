//! Which windows of which files answer about a span of time: the coarsest that fit into it, finer ones at its ends.

use std::sync::Arc;

use super::file::RollupFile;
use super::{NO_TIME, Tier};

/// How fine windows are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Those of this tier where they are still there, finer ones where there is no such file yet.
    Tier(Tier),
    /// At most as wide as this tier's, and finer at the ends of the span.
    AtMost(Tier),
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// From here on.
    pub from_ns: Option<i64>,
    /// Up to here.
    pub to_ns: Option<i64>,
    /// How fine.
    pub resolution: Resolution,
}

/// Windows that say together what was asked, each row in one of them.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// Files, and starts of windows.
    pub windows: Vec<(Arc<RollupFile>, i64)>,
    /// What they are about: the span asked about, wider where finer windows are gone.
    pub span_ns: Option<(i64, i64)>,
}

impl Selected {
    /// The coarsest tier in it.
    pub fn tier(&self) -> Option<Tier> {
        self.windows.iter().map(|(file, _)| file.meta().tier).max()
    }
}

/// Finds the windows that answer.
///
/// Where windows are wider than what was asked, all of them are of the wider span: an answer is about one time.
pub fn select(files: &[Arc<RollupFile>], asked: &Asked) -> Selected {
    let mut asked = *asked;
    loop {
        let mut selection = Selection {
            files,
            asked: &asked,
            found: Selected::default(),
        };
        for file in files {
            if is_outermost(files, file) {
                selection.visit(file, None);
            }
        }
        let mut found = selection.found;
        let Some((first, last)) = found.span_ns else {
            return found;
        };
        let wider = (
            asked.from_ns.map(|from| from.min(first)),
            asked.to_ns.map(|to| to.max(last)),
        );
        if wider == (asked.from_ns, asked.to_ns) {
            found.span_ns = Some((wider.0.unwrap_or(first), wider.1.unwrap_or(last)));
            return found;
        }
        (asked.from_ns, asked.to_ns) = wider;
    }
}

/// No coarser file says the same.
fn is_outermost(files: &[Arc<RollupFile>], file: &RollupFile) -> bool {
    let covers = |other: &Arc<RollupFile>| other.meta().tier > file.meta().tier && other.meta().covers(file.meta());
    !files.iter().any(covers)
}

struct Selection<'f> {
    files: &'f [Arc<RollupFile>],
    asked: &'f Asked,
    found: Selected,
}

impl Selection<'_> {
    /// The files of the next finer tier that have the same rows, if they have all of them.
    fn finer(&self, file: &RollupFile) -> Option<Vec<Arc<RollupFile>>> {
        let finer = file.meta().tier.finer()?;
        let within = |other: &&Arc<RollupFile>| other.meta().tier == finer && file.meta().covers(other.meta());
        let found: Vec<Arc<RollupFile>> = self.files.iter().filter(within).cloned().collect();
        let mut next = file.meta().rows.0;
        for part in &found {
            if part.meta().rows.0 != next {
                return None;
            }
            next = part.meta().rows.1;
        }
        (next == file.meta().rows.1).then_some(found)
    }

    /// Takes the windows of a file, or of the finer ones instead; only those within `within`, a coarser window.
    fn visit(&mut self, file: &Arc<RollupFile>, within: Option<(i64, i64)>) {
        let tier = file.meta().tier;
        let Asked { from_ns, to_ns, .. } = *self.asked;
        let span = file.meta().windows_ns;
        let may_have_none = from_ns.is_none() && to_ns.is_none() && file.meta().without_time > 0;
        let overlaps = to_ns.is_none_or(|to| span.0 < to) && from_ns.is_none_or(|from| span.1 > from);
        if !overlaps && !may_have_none {
            return;
        }
        let (coarsest, splits) = match self.asked.resolution {
            Resolution::Tier(tier) => (tier, false),
            Resolution::AtMost(tier) => (tier, true),
        };
        let mut finer = None;
        let windows: Vec<i64> = file.windows().collect();
        for window in windows {
            let end = tier.end(window);
            if within.is_some_and(|(from, to)| window < from || end > to) {
                continue;
            }
            let (is_in, is_within) = match window {
                NO_TIME => (from_ns.is_none() && to_ns.is_none(), true),
                _ => (
                    to_ns.is_none_or(|to| window < to) && from_ns.is_none_or(|from| end > from),
                    to_ns.is_none_or(|to| end <= to) && from_ns.is_none_or(|from| window >= from),
                ),
            };
            if !is_in {
                continue;
            }
            let wants_finer = tier > coarsest || (splits && !is_within);
            if wants_finer {
                let parts = finer.get_or_insert_with(|| self.finer(file));
                if let Some(parts) = parts.clone() {
                    for part in &parts {
                        self.visit(part, Some((window, end)));
                    }
                    continue;
                }
            }
            self.found.windows.push((Arc::clone(file), window));
            if window != NO_TIME {
                let (first, last) = self.found.span_ns.unwrap_or((window, end));
                self.found.span_ns = Some((first.min(window), last.max(end)));
            }
        }
    }
}
