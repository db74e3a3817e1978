//! What a value does to a state: a rule, a value, a moment; no clock, no store.
//!
//! `ok` becomes `pending` at the threshold and `firing` when that lasts for the rule's time; `firing` ends when the value
//! is on the good side of `clear`. How long something lasts is measured by the steady clock, so that a wall clock that is
//! set back or forward neither fires nor holds back anything.

use super::Moment;
use super::rule::Rule;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// There is no value: nothing matched.
    NoData,
    /// The value is good.
    Ok,
    /// The value is bad, not yet for long enough.
    Pending,
    /// The value is bad.
    Firing,
    /// The rule could not be looked at.
    Error,
}

impl State {
    /// All of them, the one of least concern first.
    pub const ALL: [State; 5] = [State::NoData, State::Ok, State::Pending, State::Firing, State::Error];

    /// As answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::NoData => "no_data",
            State::Ok => "ok",
            State::Pending => "pending",
            State::Firing => "firing",
            State::Error => "error",
        }
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A state that was reached, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    /// The state.
    pub state: State,
    /// Since when, by the wall.
    pub since_ns: i64,
    /// Since when, steadily.
    pub since_steady_ns: i64,
    /// The last value.
    pub value: Option<f64>,
}

impl Tracked {
    /// A state from this moment on.
    pub fn new(state: State, at: Moment) -> Tracked {
        Tracked {
            state,
            since_ns: at.wall_ns,
            since_steady_ns: at.steady_ns,
            value: None,
        }
    }

    /// Takes a value; says which state it left, if it did.
    pub fn take(&mut self, rule: &Rule, value: Option<f64>, at: Moment) -> Option<State> {
        let value = value.filter(|value| value.is_finite());
        let next = self.next(rule, value, at.steady_ns);
        self.value = value;
        // The wall clock was set back: nothing began in the future.
        self.since_ns = self.since_ns.min(at.wall_ns);
        self.enter(next, at)
    }

    /// Goes over to a state; says which it left, if it is another.
    pub fn enter(&mut self, next: State, at: Moment) -> Option<State> {
        if next == self.state {
            return None;
        }
        let left = std::mem::replace(&mut self.state, next);
        self.since_ns = at.wall_ns;
        self.since_steady_ns = at.steady_ns;
        Some(left)
    }

    fn next(&self, rule: &Rule, value: Option<f64>, steady_ns: i64) -> State {
        let Some(value) = value else { return State::NoData };
        let is_bad = rule.op.holds(value, rule.threshold);
        match self.state {
            State::Firing if rule.op.holds(value, rule.clear) || is_bad => State::Firing,
            State::Firing => State::Ok,
            State::Pending if is_bad && steady_ns.saturating_sub(self.since_steady_ns) >= rule.for_ns => State::Firing,
            State::Pending if is_bad => State::Pending,
            _ if is_bad && rule.for_ns == 0 => State::Firing,
            _ if is_bad => State::Pending,
            _ => State::Ok,
        }
    }
}
