//! Names of counters that devices report beside their flows: what filters and metrics may call, and what their growth is
//! kept under.

use std::collections::HashMap;
use std::sync::LazyLock;

use flowgauge_templates::sflow::{CounterField, CounterLayout};

/// What a growth is called behind the name of its counter.
const GROWTH: &str = "Delta";

/// Every counter by its name in small letters.
static BY_NAME: LazyLock<HashMap<String, &'static CounterField>> = LazyLock::new(|| {
    let every = CounterLayout::all().iter().flat_map(CounterLayout::every);
    every.map(|field| (field.name.to_ascii_lowercase(), field)).collect()
});

/// The name that the growth of a counter is kept under.
pub fn growth_name(name: &str) -> String {
    format!("{name}{GROWTH}")
}

/// The counter of this name, whatever its case.
pub fn counter(name: &str) -> Option<&'static CounterField> {
    // No name of a counter is longer.
    (name.len() <= 64).then(|| BY_NAME.get(name.to_ascii_lowercase().as_str()).copied())?
}

/// The name that rows have for a counter, the growth of one, or the counter of a lane (`sfpTxPower.1`).
pub fn kept_name(name: &str) -> Option<String> {
    if let Some(known) = counter(name) {
        return Some(known.name.to_owned());
    }
    if let Some((of, lane)) = name.rsplit_once('.') {
        let known = counter(of).filter(|_| lane.parse::<u8>().is_ok())?;
        return Some(format!("{}.{lane}", known.name));
    }
    let of = name
        .len()
        .checked_sub(GROWTH.len())
        .and_then(|at| name.split_at_checked(at));
    let known = of
        .filter(|(_, end)| end.eq_ignore_ascii_case(GROWTH))
        .and_then(|(of, _)| counter(of))
        .filter(|known| known.kind.is_counter())?;
    Some(growth_name(known.name))
}

/// Every counter with what it is about, as its format is called.
pub fn counters() -> impl Iterator<Item = (&'static CounterField, &'static str)> {
    CounterLayout::all()
        .iter()
        .flat_map(|layout| layout.every().map(|field| (field, layout.group)))
}

#[cfg(test)]
mod tests {
    use flowgauge_ie_registry::Registry;

    use super::*;
    use crate::normalize::columns::column;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(kept_name("IFINOCTETS").as_deref(), Some("ifInOctets"));
        assert_eq!(kept_name("ifinoctetsdelta").as_deref(), Some("ifInOctetsDelta"));
        assert_eq!(kept_name("sfpTxPower.2").as_deref(), Some("sfpTxPower.2"));
        // Loads do not grow.
        for unknown in ["loadOneDelta", "Delta", "ifInOctets.x", "", "octets", "ä"] {
            assert_eq!(kept_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn no_counter_is_called_as_an_element_or_a_column() {
        let taken: Vec<_> = counters()
            .filter(|(field, _)| {
                let growth = growth_name(field.name);
                let is_taken = |name: &str| Registry::builtin().by_name(name).is_some() || column(name).is_some();
                is_taken(field.name) || is_taken(&growth)
            })
            .map(|(field, group)| (field.name, group))
            .collect();
        assert_eq!(taken, []);
    }
}
