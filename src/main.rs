//! The story of a run: what was asked for, its settings, the verb, and how it ended as an exit code.

use std::process::ExitCode;

use verbatim::cli;

fn main() -> ExitCode {
    let asked = cli::parse();
    match cli::run(asked) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            // One line for people and for collectors alike: logging may not be up, or may be filtered.
            eprintln!("verbatim: error: {failure}");
            failure.exit.code()
        }
    }
}
