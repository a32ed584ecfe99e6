//! `verbatim doctor`: flags and settings as `serve` takes them in; out, what of this machine would keep them from working, a line a check, with
//! the remedy.
//!
//! Each check runs in a process that may hang or die of it (`supervise`): a driver that crashes is a finding like any other. `table` has all of
//! them in their order; each file beside it has those of one subject.

mod audio;
mod case;
mod finding;
mod folders;
mod gpu;
mod machine;
mod model;
mod network;
mod server;
mod settings;
mod supervise;
mod table;

use std::io::{IsTerminal, Write};

use clap::builder::PossibleValuesParser;

use super::{Common, Exit, Failure, serve};
use case::Case;
use finding::{Check, Report, State};
use table::Entry;

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Exit codes: 0 nothing is at fault (there may be warnings), 1 something is. See docs/doctor.md."
)]
pub struct Args {
    /// One JSON object on standard output instead of lines.
    #[arg(long)]
    json: bool,
    /// These checks alone.
    #[arg(long, value_name = "CHECK", value_delimiter = ',', value_parser = PossibleValuesParser::new(table::names()))]
    only: Vec<String>,
    /// Seconds that each check may take [default: 20, and more for those that compute].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    patience: Option<u64>,
    /// Room in GiB that must be free where models, jobs and dictations are kept.
    #[arg(long, value_name = "GIB", default_value_t = 1.0)]
    min_free_gib: f64,
    /// Carry these checks out here, a line of JSON each. Started by `doctor` alone.
    #[arg(long, hide = true, value_name = "CHECK", value_delimiter = ',')]
    worker: Vec<String>,
    #[command(flatten, next_help_heading = "What `serve` would be started with")]
    serve: serve::Args,
}

pub fn run(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let mut flags = common.overrides()?;
    args.serve.set(&mut flags);
    if !args.worker.is_empty() {
        let case = Case::new(args, common.config.as_deref(), &flags);
        for entry in table::chosen(&args.worker) {
            let line = serde_json::to_string(&entry.check(&case)).expect("plain data serialises");
            say(&line);
        }
        return Ok(Exit::Done);
    }
    let entries: Vec<Entry> = match args.only.is_empty() {
        true => table::ENTRIES.to_vec(),
        false => table::chosen(&args.only),
    };
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut checks: Vec<Check> = Vec::new();
    let in_place = || Case::new(args, common.config.as_deref(), &flags);
    supervise::each(&entries, args.patience, in_place, &mut |check| {
        if !args.json {
            say(&check.line(colour));
        }
        checks.push(check);
    });
    let report = Report::new(checks);
    say(&if args.json { report.json() } else { report.summary() });
    Ok(if report.worst == State::Fault { Exit::SomeFailed } else { Exit::Done })
}

/// A reader that has left takes nothing from the exit code.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
