//! Values and limits of outputs, made of what sections say: of one group, or of everything outside of some.

use flowgauge_sketches::Item;

use super::super::output::Formula;
use super::source::{Measured, NOTHING, Said};

/// Whose values.
#[derive(Clone, Copy, Debug)]
pub enum Of<'g> {
    /// Of a group.
    Group(&'g Item),
    /// Of a group that was found at another time: what nobody knows of it is no value.
    Earlier(&'g Item),
    /// Of everything outside of these groups.
    Rest(&'g [Item]),
}

impl Said {
    fn group(&self, group: &Item) -> Measured {
        self.groups.get(group).copied().unwrap_or(self.absent)
    }

    fn of(&self, of: Of<'_>) -> Measured {
        let groups = match of {
            Of::Group(group) => return self.group(group),
            Of::Earlier(group) => {
                let is_unknown = self.absent.upper > 0.0 && !self.groups.contains_key(group);
                let known = self.group(group);
                let value = if is_unknown { f64::NAN } else { known.value };
                return Measured { value, ..known };
            }
            Of::Rest(groups) => groups,
        };
        let Some(all) = self.all else { return NOTHING };
        let held = groups.iter().map(|group| self.group(group));
        let shown = held.fold(Measured::default(), |sum, one| Measured {
            value: sum.value + one.value,
            lower: sum.lower + one.lower,
            upper: sum.upper + one.upper,
        });
        // Of several groups, what was put together is only once.
        Measured {
            value: (all.value - shown.value).max(0.0),
            lower: (all.lower - shown.upper).max(0.0),
            upper: (all.upper - shown.lower).max(0.0),
        }
    }
}

/// What an output comes to; every metric has said something.
pub fn output(formula: Formula, said: &[Said], of: Of<'_>) -> Measured {
    let metric = |at: usize| said.get(at).map_or(NOTHING, |said| said.of(of));
    match formula {
        Formula::Metric(at) => metric(at),
        Formula::Ratio(above, below) => divided(metric(above), metric(below)),
        Formula::Share(at) => {
            let all = said.get(at).and_then(|said| said.all).unwrap_or(NOTHING);
            let share = divided(metric(at), all);
            Measured {
                upper: share.upper.min(1.0),
                ..share
            }
        }
    }
}

fn divided(above: Measured, below: Measured) -> Measured {
    let quotient = |above: f64, below: f64| if below == 0.0 { f64::NAN } else { above / below };
    Measured {
        value: quotient(above.value, below.value),
        lower: quotient(above.lower, below.upper),
        upper: quotient(above.upper, below.lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(value: f64, lower: f64, upper: f64) -> Measured {
        Measured { value, lower, upper }
    }

    #[test]
    fn limits_are_carried_through() {
        let (a, b) = (Item::new(b"a"), Item::new(b"b"));
        let mut said = Said {
            all: Some(measured(100.0, 100.0, 100.0)),
            absent: measured(0.0, 0.0, 5.0),
            ..Said::default()
        };
        said.groups.insert(a.clone(), measured(40.0, 35.0, 40.0));
        let said = [said];
        let share = output(Formula::Share(0), &said, Of::Group(&a));
        assert_eq!(share, measured(0.4, 0.35, 0.4));
        // 60 is left by a, up to 5 of which may be of b.
        let groups = [a.clone(), b];
        assert_eq!(
            output(Formula::Metric(0), &said, Of::Rest(&groups)),
            measured(60.0, 55.0, 65.0)
        );
        assert_eq!(output(Formula::Ratio(0, 0), &said, Of::Group(&a)).upper, 40.0 / 35.0);
        let nothing = output(Formula::Metric(1), &said, Of::Group(&a));
        assert!(nothing.value.is_nan());
    }
}
