//! Alerts: states by hand-made clocks, rules as they are written, and a whole collector.
mod whole;
