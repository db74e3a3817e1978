//! Parameters of queries and paths: a wrong or unknown one is refused with what would be right.

use super::problem::Problem;

/// The pairs behind `?`, every name of which is known.
#[derive(Debug)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Checks names against `known`.
    ///
    /// # Errors
    /// For a name that is not known.
    pub fn new(pairs: Vec<(String, String)>, known: &[&'static str]) -> Result<Parameters, Problem> {
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Parameters { pairs }),
            Some((name, _)) => {
                let detail = match known {
                    [] => format!("no parameter {name}: there are none here"),
                    known => format!("no parameter {name}: there are {}", known.join(", ")),
                };
                Err(Problem::parameter(name, detail).expecting(name, known.iter().copied()))
            }
        }
    }

    /// A number within limits, or what it is when it is not given.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&self, name: &str, [least, most]: [usize; 2], otherwise: usize) -> Result<usize, Problem> {
        match self.text(name) {
            None => Ok(otherwise),
            Some(text) => number(name, text, [least, most]),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn switch(&self, name: &str, otherwise: bool) -> Result<bool, Problem> {
        match self.text(name) {
            None => Ok(otherwise),
            Some(text) => text
                .parse()
                .map_err(|_| Problem::parameter(name, format!("{text:?} is not true or false"))),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().rev().find(|(known, _)| known == name)?;
        Some(&pair.1)
    }
}

/// A number within limits.
///
/// # Errors
/// When it is none.
pub fn number(name: &str, text: &str, [least, most]: [usize; 2]) -> Result<usize, Problem> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Problem::parameter(
            name,
            format!("{text:?} is not a number from {least} to {most}"),
        )),
    }
}
