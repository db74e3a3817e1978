//! Reads the numbers of a summary out of its JSON: one form, whether a capture of our own or another host's API gave it.

use serde_json::Value;

/// What there is to show at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Windows as `summary` prints them; `null` before there is one.
    pub window: Value,
    /// As `/api/v1/rates` answers.
    pub rates: Value,
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The item as people read it.
    pub name: String,
    /// Its estimated weight.
    pub weight: u64,
}

/// The summary being looked at.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'r> {
    reading: &'r Reading,
}

impl<'r> Figures<'r> {
    /// Of a reading.
    pub fn new(reading: &'r Reading) -> Figures<'r> {
        Figures { reading }
    }

    /// Whether there is a summary at all.
    pub fn is_empty(&self) -> bool {
        self.reading.window.is_null()
    }

    fn metric(&self, name: &str) -> &'r Value {
        &self.reading.window["metrics"][name]
    }

    /// The sum of a counter; 0 when there is none.
    pub fn counter(&self, name: &str) -> u64 {
        self.metric(name)["value"].as_u64().unwrap_or(0)
    }

    /// How many different values there were, about.
    pub fn different(&self, name: &str) -> u64 {
        self.metric(name)["value"].as_f64().unwrap_or(0.0).round() as u64
    }

    /// A value of a distribution: `p50`, `p90`, `p95`, `p99`.
    pub fn quantile(&self, name: &str, rank: &str) -> Option<f64> {
        self.metric(name)[rank]["value"].as_f64()
    }

    /// All weight of a list.
    pub fn weight(&self, name: &str) -> u64 {
        self.metric(name)["weight"].as_u64().unwrap_or(0)
    }

    /// The rows of a list, the heaviest first.
    pub fn rows(&self, name: &str) -> Vec<Row> {
        let rows = self.metric(name)["rows"].as_array();
        rows.into_iter()
            .flatten()
            .filter_map(|row| {
                Some(Row {
                    name: row["item"].as_str()?.to_owned(),
                    weight: row["value"].as_u64()?,
                })
            })
            .collect()
    }

    /// What comes in a second now.
    pub fn rate(&self, name: &str) -> Option<f64> {
        self.reading.rates["rates"][name].as_f64()
    }

    /// A number of the accounts.
    pub fn account(&self, name: &str) -> u64 {
        self.reading.rates["account"][name].as_u64().unwrap_or(0)
    }

    /// From when to when, and of how many windows.
    pub fn span(&self) -> Option<(&'r str, &'r str, u64)> {
        let window = &self.reading.window;
        Some((
            window["from"].as_str()?,
            window["to"].as_str()?,
            window["windows"].as_u64()?,
        ))
    }
}
