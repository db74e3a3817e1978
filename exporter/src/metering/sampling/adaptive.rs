//! The rate of adaptive sampling: doubled as soon as the capture falls behind, halved again only when there has been
//! room for twice the packets for a while, so that it does not swing.

use crate::capture::Load;
use crate::limits::ADAPTIVE_STEPS;

/// No two changes are closer than this.
const STEP_NS: i64 = 1_000_000_000;
/// The rate is halved after so long without need.
const CALM_NS: i64 = 5_000_000_000;
/// A ring filled beyond this is about to overflow.
const FULL: f64 = 0.5;
/// Filled beyond this with no time left over: it grows.
const FILLING: f64 = 0.125;
/// No time left over.
const BUSY: f64 = 0.9;
/// Twice the packets would be no danger: below half of [`BUSY`], and a ring that is all but empty.
const CALM: f64 = 0.4;

/// Decides the power of two.
#[derive(Clone, Debug, Default)]
pub(super) struct Governor {
    step: u32,
    changed_ns: Option<i64>,
    calm_since_ns: Option<i64>,
    dropped: u64,
}

impl Governor {
    /// The new power of two when it changes.
    pub fn handle_load(&mut self, now_ns: i64, load: &Load) -> Option<u32> {
        let changed_ns = *self.changed_ns.get_or_insert(now_ns.saturating_sub(STEP_NS));
        if now_ns < changed_ns {
            // The clock was set back: times from before it mean nothing.
            (self.changed_ns, self.calm_since_ns) = (Some(now_ns), None);
            return None;
        }
        let drops = load.dropped > self.dropped;
        let danger = drops || load.ring_fill > FULL || (load.ring_fill > FILLING && load.busy > BUSY);
        let calm = !danger && load.ring_fill < FILLING && load.busy < CALM;
        match calm {
            true => _ = self.calm_since_ns.get_or_insert(now_ns),
            false => self.calm_since_ns = None,
        }
        if now_ns - changed_ns < STEP_NS {
            return None;
        }
        self.dropped = load.dropped;
        let calm_enough = self.calm_since_ns.is_some_and(|since_ns| now_ns - since_ns >= CALM_NS);
        let step = if danger {
            // Losing already: four times fewer.
            (self.step + 1 + u32::from(drops)).min(ADAPTIVE_STEPS)
        } else if calm_enough {
            self.step.saturating_sub(1)
        } else {
            self.step
        };
        if step == self.step {
            return None;
        }
        (self.step, self.changed_ns, self.calm_since_ns) = (step, Some(now_ns), None);
        Some(step)
    }
}
