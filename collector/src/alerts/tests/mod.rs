//! Alerts: states by hand-made clocks, rules as they are written, webhooks, and a whole collector.

mod states;
mod whole;
mod written;
