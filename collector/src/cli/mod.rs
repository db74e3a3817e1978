//! The command line: raw arguments first, then what they ask for. Every mistake is one line that says what to do.

mod alerts;
mod arguments;
mod check;
mod client;
mod columns;
mod decode;
mod decode_sflow;
pub mod logging;
mod output;
mod predict;
mod query;
mod replay;
mod rollups;
mod run;
mod summaries;
mod table;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use arguments::RollupsCommand;
pub use arguments::{Cli, Command};

use crate::failure::Failure;
use output::Output;

/// Runs the program with its arguments, the first of which is its name.
///
/// # Errors
/// What went wrong, with the exit status to end with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // Whoever closed the pipe has read enough.
                let _ = error.print();
                return Ok(());
            }
            _ => return Err(Failure::usage(one_line(&error))),
        },
    };
    dispatch(cli.command)
}

fn dispatch(command: Command) -> Result<(), Failure> {
    let mut out = Output::stdout();
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Query(arguments) => query::query(&arguments, &mut out),
        Command::Summaries(arguments) => summaries::summaries(&arguments, &mut out),
        Command::Alerts(arguments) => alerts::alerts(&arguments, &mut out),
        Command::Rollups(RollupsCommand::Rebuild(arguments)) => rollups::rebuild(&arguments, &mut out),
        Command::Decode(arguments) => decode::decode(&arguments, &mut out),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Columns(arguments) => columns::columns(arguments.json, &mut out),
        Command::Elements(arguments) => columns::elements(&arguments, &mut out),
        Command::Check(arguments) => check::check(&arguments, &mut out),
        Command::Predict(arguments) => predict::predict(&arguments, &mut out),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "flowgauge-collector", &mut script);
            out.bytes(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Failure::running(format!("man page: {error}")))?;
            out.bytes(&page)
        }
    }?;
    out.finish()
}

/// clap explains itself over several lines; the first, its suggestion, and where to find more are what matters.
fn one_line(error: &clap::Error) -> String {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        return "no command is given; use run, query, summaries, alerts, rollups, decode, replay, columns, elements, check or predict (see --help)"
            .to_owned();
    }
    let text = error.to_string();
    let missing = error
        .get(ContextKind::InvalidArg)
        .filter(|_| error.kind() == ErrorKind::MissingRequiredArgument);
    let mut line = match missing {
        Some(ContextValue::Strings(names)) => format!("{} is missing", names.join(" ")),
        _ => text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    };
    if let Some(tip) = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
        line.push_str("; ");
        line.push_str(tip);
    }
    line + " (see --help)"
}
