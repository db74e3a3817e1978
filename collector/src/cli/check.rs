//! `check`: says whether a configuration can be used, and prints what it comes to as TOML.

use super::arguments::RunArguments;
use super::output::Output;
use super::run::configuration;
use crate::config::to_toml;
use crate::failure::Failure;

/// Checks and prints. Nothing is bound, opened or created.
pub fn check(arguments: &RunArguments, out: &mut Output) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    let registry = crate::run::registry(&config)?;
    crate::run::equivalents(&config, &registry)?;
    crate::run::enrich_files(&config)?;
    out.bytes(to_toml(&config).as_bytes())
}
