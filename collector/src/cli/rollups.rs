//! `rollups rebuild`: makes tables of minutes, hours and days again from the flows of a data directory.

use super::arguments::RebuildArguments;
use super::output::Output;
use crate::failure::Failure;
use crate::query::time;
use crate::run::{now_ns, store_failure};
use crate::store::{Store, StoreConfig};

/// Rebuilds and says what became of it.
pub fn rebuild(arguments: &RebuildArguments, out: &mut Output) -> Result<(), Failure> {
    let now = now_ns();
    let moment = |flag: &str, text: &Option<String>| {
        let read =
            |text: &String| time::parse_time(text, now).map_err(|why| Failure::usage(format!("--{flag}: {why}")));
        text.as_ref().map(read).transpose()
    };
    let (from_ns, to_ns) = (moment("from", &arguments.from)?, moment("to", &arguments.to)?);
    if !arguments.data.is_dir() {
        let path = arguments.data.display();
        return Err(Failure::running(format!(
            "{path}: no store here; give the --data directory of a collector"
        )));
    }
    // Whatever is kept stays: retention is the collector's.
    let store = Store::open(&arguments.data, StoreConfig::default()).map_err(|error| store_failure(&error))?;
    let rebuilt = store
        .rebuild_rollups(from_ns, to_ns, now)
        .map_err(|error| store_failure(&error))?;
    out.line(&format!(
        "{} rows in {} minutes, hours and days, {} files; {} files stay, whose flows are gone",
        rebuilt.rows, rebuilt.windows, rebuilt.files, rebuilt.left
    ))
}
