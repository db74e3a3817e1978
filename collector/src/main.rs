//! The collector's binary: hands the command line to the library and turns failures into one line and an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    match flowgauge_collector::cli::main(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("flowgauge-collector: {}", failure.line);
            ExitCode::from(failure.status)
        }
    }
}
