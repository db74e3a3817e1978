//! States by a hand-made clock, and hysteresis over any values.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use crate::alerts::Moment;
use crate::alerts::book::{Book, Entry, NO_GROUP, Reading};
use crate::alerts::rule::{Comparison, Rule};
use crate::alerts::state::{State, Tracked};
use crate::limits::{ALERT_GROUPS, ALERT_HISTORY};

const S: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * S;
const NOON: i64 = 1_767_268_800 * S;

fn at(steady_s: i64) -> Moment {
    Moment {
        wall_ns: NOON + steady_s * S,
        steady_ns: steady_s * S,
    }
}

/// Fires above 100 for two minutes, until it is at most 80.
fn rule() -> Rule {
    Rule {
        name: "busy".to_owned(),
        metric: "pps".to_owned(),
        for_ns: 2 * MINUTE,
        threshold: 100.0,
        clear: 80.0,
        ..Rule::default()
    }
}

/// Values a minute apart, and the states they lead to.
fn states(rule: &Rule, values: &[Option<f64>]) -> Vec<State> {
    let mut tracked = Tracked::new(State::NoData, at(0));
    let minutes = (1..).map(|minute| at(60 * minute));
    let each = values.iter().zip(minutes).map(|(value, at)| {
        tracked.take(rule, *value, at);
        tracked.state
    });
    each.collect()
}

#[test]
fn a_state_goes_its_way_from_good_to_bad_and_back() {
    use State::*;
    let values = [50.0, 101.0, 150.0, 101.0, 90.0, 80.1, 80.0, 101.0, 99.0].map(Some);
    assert_eq!(
        states(&rule(), &values),
        [Ok, Pending, Pending, Firing, Firing, Firing, Ok, Pending, Ok]
    );
    let at_once = Rule { for_ns: 0, ..rule() };
    assert_eq!(states(&at_once, &[Some(101.0), None, Some(90.0)]), [Firing, NoData, Ok]);
    let downwards = Rule {
        op: Comparison::Less,
        threshold: 10.0,
        clear: 20.0,
        ..at_once
    };
    let values = [10.0, 9.0, 19.9, 20.0, f64::NAN].map(Some);
    assert_eq!(states(&downwards, &values), [Ok, Firing, Firing, Ok, NoData]);
}

#[test]
fn a_clock_that_is_set_neither_fires_nor_holds_back() {
    let rule = rule();
    let mut tracked = Tracked::new(State::Ok, at(0));
    tracked.take(&rule, Some(200.0), at(60));
    // Forward by a day after a second: two minutes have not passed.
    let forward = Moment {
        wall_ns: NOON + 86_400 * S,
        ..at(61)
    };
    assert_eq!(tracked.take(&rule, Some(200.0), forward), None);
    assert_eq!(tracked.state, State::Pending);
    // Back by a year: they have passed, and nothing is of the future.
    let back = Moment {
        wall_ns: NOON - 365 * 86_400 * S,
        ..at(180)
    };
    assert_eq!(tracked.take(&rule, Some(200.0), back), Some(State::Pending));
    assert_eq!((tracked.state, tracked.since_ns), (State::Firing, back.wall_ns));
    let further = Moment {
        wall_ns: back.wall_ns - S,
        ..at(240)
    };
    tracked.take(&rule, Some(200.0), further);
    assert_eq!((tracked.state, tracked.since_ns), (State::Firing, further.wall_ns));
}

proptest! {
    /// What was promised, read off the whole series of values, by another way than step by step.
    #[test]
    fn hysteresis_over_any_values(
        values in prop::collection::vec(prop::option::weighted(0.9, 0.0..200.0f64), 1..60),
        threshold in 50.0..150.0f64,
        width in 0.0..50.0f64,
        minutes in 0..4i64,
        upwards: bool,
    ) {
        let sign = if upwards { 1.0 } else { -1.0 };
        let rule = Rule {
            op: if upwards { Comparison::Greater } else { Comparison::Less },
            threshold: sign * threshold,
            clear: sign * (threshold - width),
            for_ns: minutes * MINUTE,
            ..rule()
        };
        let signed: Vec<_> = values.iter().map(|value| value.map(|value| value * sign)).collect();
        let states = states(&rule, &signed);
        for (place, state) in states.iter().enumerate() {
            // Firing is: some stretch of bad values as long as `for` ended at or before here, and since then every
            // value was there and above `clear`.
            let is_bad = |value: &Option<f64>| value.is_some_and(|value| value > threshold);
            let holds = |value: &Option<f64>| value.is_some_and(|value| value > threshold - width);
            let fires = (0..=place).rev()
                .take_while(|start| holds(&values[*start]) || *start == place)
                .any(|end| {
                    let needed = minutes as usize;
                    end >= needed
                        && values[end - needed..=end].iter().all(is_bad)
                        && values[end..=place].iter().all(holds)
                });
            let expected = match &values[place] {
                None => State::NoData,
                Some(_) if fires => State::Firing,
                value if is_bad(value) => State::Pending,
                Some(_) => State::Ok,
            };
            prop_assert_eq!(*state, expected, "at {} of {:?}", place, &values);
        }
    }
}

fn reading(values: &[(&str, f64)]) -> Result<Reading, String> {
    let values = values
        .iter()
        .map(|(group, value)| (json!({ "src.ip": group }).to_string(), Some(*value)));
    Ok(Reading {
        values: values.collect(),
        ..Reading::default()
    })
}

fn grouped(for_ns: i64) -> (Book, Arc<Rule>) {
    let rule = Rule {
        group_by: vec!["src.ip".to_owned()],
        for_ns,
        ..rule()
    };
    let mut book = Book::default();
    book.replace(&[rule], at(0));
    let rule = Arc::clone(&book.rules()[0].rule);
    (book, rule)
}

fn steps(entries: &[&Entry]) -> Vec<(String, State, State)> {
    let each = entries.iter().map(|entry| (entry.group.clone(), entry.from, entry.to));
    each.collect()
}

#[test]
fn groups_have_states_of_their_own_and_those_that_vanish_are_over() {
    use State::*;
    let (mut book, rule) = grouped(0);
    let (changes, _) = book.take(&rule, reading(&[("a", 200.0), ("b", 10.0)]), at(60));
    assert_eq!(changes[0].event(), Some("firing"));
    assert_eq!((changes.len(), book.rules()[0].overall.state), (1, Firing));
    assert_eq!(book.rules()[0].overall.value, Some(200.0));
    let (changes, _) = book.take(&rule, reading(&[("b", 120.0)]), at(120));
    let events: Vec<_> = changes.iter().map(|change| change.event()).collect();
    assert_eq!(events, [Some("firing"), Some("resolved")]);
    assert_eq!(book.rules()[0].groups.len(), 1);
    let (a, b) = (r#"{"src.ip":"a"}"#.to_owned(), r#"{"src.ip":"b"}"#.to_owned());
    let history: Vec<_> = book.history().collect();
    assert_eq!(
        steps(&history),
        [(a.clone(), Ok, Firing), (b, Ok, Firing), (a, Firing, Ok)]
    );
    assert_eq!((book.count(Firing), book.count(Ok)), ((1, 1), (0, 0)));
}

#[test]
fn a_rule_in_error_keeps_the_states_of_its_groups() {
    use State::*;
    let (mut book, rule) = grouped(2 * MINUTE);
    book.take(&rule, reading(&[("a", 200.0)]), at(60));
    let (changes, _) = book.take(&rule, Err("too slow".to_owned()), at(120));
    assert_eq!(
        (changes[0].event(), changes[0].error.as_deref()),
        (Some("error"), Some("too slow"))
    );
    assert_eq!(book.rules()[0].overall.state, Error);
    let (changes, _) = book.take(&rule, Err("too slow".to_owned()), at(150));
    assert!(changes.is_empty(), "told once");
    // It was bad all the time that it could be seen.
    let (changes, _) = book.take(&rule, reading(&[("a", 200.0)]), at(180));
    let events: Vec<_> = changes.iter().filter_map(|change| change.event()).collect();
    assert_eq!(events, ["recovered", "firing"]);
    assert_eq!(
        (changes[0].entry.group.as_str(), book.rules()[0].error.clone()),
        (NO_GROUP, None)
    );
}

#[test]
fn groups_and_history_are_bounded_and_trouble_is_kept_first() {
    let (mut book, rule) = grouped(0);
    book.take(&rule, reading(&[("old", 101.0)]), at(60));
    let names: Vec<String> = (0..ALERT_GROUPS + 7).map(|number| format!("g{number}")).collect();
    let mut values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 500.0)).collect();
    values.push(("old", 90.0));
    let (changes, left_out) = book.take(&rule, reading(&values), at(120));
    assert_eq!((left_out, changes.len()), (8, ALERT_GROUPS - 1));
    assert_eq!(book.rules()[0].groups.len(), ALERT_GROUPS);
    assert!(book.rules()[0].groups.contains_key(r#"{"src.ip":"old"}"#));
    assert_eq!(book.history().count(), ALERT_HISTORY);
}

#[test]
fn other_rules_take_over_states_only_of_the_same_question() {
    let (mut book, rule) = grouped(0);
    book.take(&rule, reading(&[("a", 200.0)]), at(60));
    let higher = Rule {
        threshold: 150.0,
        clear: 150.0,
        ..(*rule).clone()
    };
    assert!(book.replace(std::slice::from_ref(&higher), at(70)).is_empty());
    assert_eq!(book.rules()[0].overall.state, State::Firing);
    // What was found out about the rule of before comes too late.
    assert!(book.take(&rule, reading(&[]), at(80)).0.is_empty());
    assert_eq!(book.rules()[0].overall.state, State::Firing);
    let other = Rule {
        filter: "proto = udp".to_owned(),
        ..higher
    };
    let changes = book.replace(&[other], at(90));
    assert_eq!((changes.len(), changes[0].event()), (1, Some("resolved")));
    assert_eq!(book.rules()[0].overall.state, State::NoData);
}
