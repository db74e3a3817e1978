//! The program: reads the command line, starts what it asks for, and says how it ended.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches;

use flowgauge_exporter::config::cli::{self, Cli, Command, SummaryArgs, TopArgs};
use flowgauge_exporter::config::{Config, ConfigError, LogConfig, collect, file};
use flowgauge_exporter::io::live;
use flowgauge_exporter::run;
use flowgauge_exporter::run::summary::{SummaryConfig, summarize};
use flowgauge_exporter::top::{self, From, TopConfig};

/// Failed while running.
const FAILED: u8 = 1;
/// Wrong arguments or configuration.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let parsed = cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches).map(|cli| (matches, cli.command)));
    let (matches, command) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => match cli::complaint(&error) {
            Some(line) => return wrong(&ConfigError::one(line)),
            None => error.exit(),
        },
    };
    match command {
        Command::Run(arguments) => {
            let given = matches.subcommand_matches("run").map(cli::settings).unwrap_or_default();
            let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            match cli::check_variables(variables)
                .and_then(|()| collect(arguments.config.as_deref(), given))
                .and_then(|settings| Config::build(&settings))
            {
                Ok(config) => run_and_account(&config),
                Err(error) => wrong(&error),
            }
        }
        Command::Summary(arguments) => summary(arguments),
        Command::Top(arguments) => top(arguments),
        Command::Check { config } => check(&config),
        Command::Interfaces => interfaces(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::command(), "flowgauge-exporter", &mut script);
            print(&script)
        }
        Command::Man => match manual() {
            Ok(pages) => print(&pages),
            Err(error) => failed(&error.to_string()),
        },
    }
}

fn run_and_account(config: &Config) -> ExitCode {
    start_log(&config.log);
    match run::run(config) {
        Ok(accounts) => {
            for line in accounts.lines() {
                tracing::info!("{line}");
            }
            if accounts.is_failure() {
                ExitCode::from(FAILED)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(line) => {
            tracing::error!("{line}");
            ExitCode::from(FAILED)
        }
    }
}

/// The log goes to standard error: standard output may be carrying flow records.
fn start_log(config: &LogConfig) {
    let level = if config.quiet {
        tracing::Level::WARN
    } else {
        tracing::Level::INFO
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    if config.json { log.json().init() } else { log.init() }
}

fn check(path: &Path) -> ExitCode {
    let result = file::load(path).and_then(|settings| Config::build(&settings));
    match result {
        Err(error) if !error.only_missing => wrong(&error),
        Err(error) => {
            let hint = error.lines.join("; ");
            print(
                format!(
                    "{}: all keys are right; to be given on the command line: {hint}\n",
                    path.display()
                )
                .as_bytes(),
            )
        }
        Ok(config) => {
            let mut text = format!("{}: all right\n", path.display());
            for line in config.describe() {
                text.push_str(&format!("  {line}\n"));
            }
            print(text.as_bytes())
        }
    }
}

fn summary(arguments: SummaryArgs) -> ExitCode {
    let result = summarize(&SummaryConfig {
        read: arguments.read,
        filter: arguments.filter,
        window: arguments.window,
        rows: arguments.rows,
        networks: arguments.networks.unwrap_or_default(),
        geo: arguments.geo,
    });
    match result {
        Ok((summary, faults)) => {
            let printed = print(format!("{summary:#}\n").as_bytes());
            for fault in &faults {
                eprintln!("flowgauge-exporter: {fault}");
            }
            if faults.is_empty() {
                printed
            } else {
                ExitCode::from(FAILED)
            }
        }
        Err(line) => failed(&line),
    }
}

fn top(arguments: TopArgs) -> ExitCode {
    let from = match (arguments.interface, arguments.url) {
        (Some(interface), _) => From::Interface(interface),
        (None, Some(url)) => From::Url(url),
        (None, None) => From::Files(arguments.read),
    };
    let config = TopConfig {
        from,
        filter: arguments.filter,
        networks: arguments.networks,
        geo: arguments.geo,
        packets: arguments.packets,
        json: arguments.json,
    };
    match top::top(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => failed(&line),
    }
}

fn interfaces() -> ExitCode {
    match live::interfaces() {
        Ok(interfaces) => {
            let mut text = String::new();
            for interface in interfaces {
                let state = if interface.up { "up" } else { "down" };
                let addresses = interface.addresses.join(" ");
                let line = format!(
                    "{:<16} {state:<5} {addresses} {}",
                    interface.name, interface.description
                );
                text.push_str(line.trim_end());
                text.push('\n');
            }
            print(text.as_bytes())
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// The page of the program, followed by that of each command.
fn manual() -> io::Result<Vec<u8>> {
    let mut command = cli::command().disable_help_subcommand(true);
    // Gives the subcommands their full names.
    command.build();
    let mut pages = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    for subcommand in command.get_subcommands() {
        clap_mangen::Man::new(subcommand.clone()).render(&mut pages)?;
    }
    Ok(pages)
}

/// Prints to standard output; a reader that has seen enough is no failure.
fn print(text: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&format!("standard output: {error}")),
    }
}

fn failed(line: &str) -> ExitCode {
    eprintln!("flowgauge-exporter: {line}");
    ExitCode::from(FAILED)
}

fn wrong(error: &ConfigError) -> ExitCode {
    for line in &error.lines {
        eprintln!("flowgauge-exporter: {line}");
    }
    ExitCode::from(WRONG)
}
