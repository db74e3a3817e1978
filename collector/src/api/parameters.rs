//! Query parameters: unknown and repeated ones are errors that name the nearest known one, since a misspelt `filter` would
//! otherwise answer about everything.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::problem::Problem;
use crate::failure::nearest;
use crate::normalize::row::cut;
use crate::query::{Filter, OnceRule, filter, time};
use crate::run::now_ns;
use crate::store::Snapshot;

/// The query string, decoded.
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters, Problem> {
        let query: Result<Query<Vec<(String, String)>>, QueryRejection> = Query::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|error| Problem::parameter("query", error.body_text(), None))?;
        Ok(Parameters(pairs))
    }
}

impl Parameters {
    /// Refuses parameters that are not among `known`, and repeated ones.
    pub fn only(&self, known: &[&'static str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let near = nearest(name, known.iter().copied()).map(str::to_owned);
                let detail = format!("unknown parameter {name:?}; there are {}", known.join(", "));
                return Err(Problem::parameter(name, detail, near));
            }
            if self.0.iter().take(at).any(|(other, _)| other == name) {
                return Err(Problem::parameter(name, format!("{name:?} is given twice"), None));
            }
        }
        Ok(())
    }

    /// The text of a parameter; an empty one is as none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// A list with commas between its items. Commas within parentheses belong to the item.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut items = vec![String::new()];
        let mut depth = 0usize;
        for character in self.text(name).unwrap_or_default().chars() {
            match character {
                ',' if depth == 0 => items.push(String::new()),
                _ => {
                    depth = match character {
                        '(' => depth + 1,
                        ')' => depth.saturating_sub(1),
                        _ => depth,
                    };
                    if let Some(item) = items.last_mut() {
                        item.push(character);
                    }
                }
            }
        }
        items
            .iter()
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<usize>, Problem> {
        let read = |text: &str| {
            let wrong = |_| Problem::parameter(name, format!("{name}: {text:?} is not a whole number"), None);
            text.parse().map_err(wrong)
        };
        self.text(name).map(read).transpose()
    }

    /// Whether something is wanted.
    pub fn is_set(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(text) => {
                let detail = format!("{name}: {:?} is neither true nor false", cut(text, 48));
                Err(Problem::parameter(name, detail, None))
            }
        }
    }

    /// How many rows or groups at most.
    pub fn limit(&self) -> Result<Option<usize>, Problem> {
        match self.number("limit")? {
            Some(0) => Err(Problem::parameter(
                "limit",
                "limit: 0 asks for nothing; it is at least 1".to_owned(),
                None,
            )),
            limit => Ok(limit),
        }
    }

    /// A time, nanoseconds.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        let read = |text: &str| {
            time::parse_time(text, now_ns()).map_err(|why| Problem::parameter(name, format!("{name}: {why}"), None))
        };
        self.text(name).map(read).transpose()
    }

    /// How conversations are counted once, if they are to be.
    pub fn once(&self) -> Result<Option<OnceRule>, Problem> {
        let read = |text| OnceRule::parse(text).map_err(|why| Problem::parameter("once", format!("once: {why}"), None));
        self.text("once").map(read).transpose()
    }

    /// The question in the words it was asked in: parameters that say which rows.
    pub fn asked(&self) -> String {
        let words = ["filter", "from", "to", "once"].map(|name| self.text(name).unwrap_or_default().trim());
        words.join("\n")
    }

    /// The filter; elements that `snapshot` holds may be named in it.
    pub fn filter(&self, snapshot: &Snapshot) -> Result<Option<Filter>, Problem> {
        Ok(filter::parse_over(
            self.text("filter").unwrap_or_default(),
            now_ns(),
            snapshot,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_parentheses() {
        let parameters = Parameters(vec![(
            "metrics".to_owned(),
            "octets, sum(a,b) ,,p99(dns.latency)".to_owned(),
        )]);
        assert_eq!(parameters.list("metrics"), ["octets", "sum(a,b)", "p99(dns.latency)"]);
        assert!(parameters.list("absent").is_empty());
    }
}
