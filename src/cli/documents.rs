//! `verbatim settings`, `completions` and `man`: the command line and the settings in, their documents for people, shells and `man` out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config::Config;

use super::{Exit, Failure, command};

#[derive(Debug, clap::Args)]
pub struct Completions {
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct Pages {
    /// Write a page for each verb into this folder instead: verbatim.1, verbatim-serve.1, ...
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub fn settings() -> Result<Exit, Failure> {
    print(Config::reference().as_bytes())
}

pub fn completions(args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown(), "verbatim", &mut script);
    print(&script)
}

pub fn man(args: &Pages) -> Result<Exit, Failure> {
    if let Some(dir) = &args.dir {
        write_all(dir).map_err(|error| Failure::new(Exit::SomeFailed, error))?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    Man::new(shown())
        .render(&mut page)
        .context("the page")
        .map_err(|error| Failure::new(Exit::SomeFailed, error))?;
    print(&page)
}

fn write_all(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    clap_mangen::generate_to(shown(), dir).with_context(|| dir.display().to_string())
}

/// Without what people do not call.
fn shown() -> clap::Command {
    let whole = command();
    let hidden = |verb: &&clap::Command| verb.is_hide_set();
    let names: Vec<String> =
        whole.get_subcommands().filter(hidden).map(|verb| verb.get_name().to_owned()).collect();
    // clap takes no verb away; it can be made anew without them.
    let verbs: Vec<clap::Command> = whole
        .get_subcommands()
        .filter(|verb| !names.contains(&verb.get_name().to_owned()))
        .cloned()
        .collect();
    let mut bare = clap::Command::new("verbatim")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(verbs)
        .subcommand_required(true)
        .disable_help_subcommand(true);
    if let Some(about) = whole.get_about() {
        bare = bare.about(about.clone());
    }
    if let Some(after) = whole.get_after_help() {
        bare = bare.after_help(after.clone());
    }
    bare
}

/// A pipe that was closed is no reason for a panic.
fn print(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush()).context("standard output");
    written.map(|()| Exit::Done).map_err(|error| Failure::new(Exit::SomeFailed, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_documented_is_all_that_people_call() {
        let names = |command: clap::Command| -> Vec<String> {
            command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
        };
        let (all, shown) = (names(command()), names(shown()));
        assert!(all.contains(&"decode-worker".to_owned()) && !shown.contains(&"decode-worker".to_owned()));
        assert_eq!(all.len(), shown.len() + 1);
    }
}
