//! `verbatim keys new LABEL`: a label in; a new secret on standard error, once, and what the file of keys needs on standard output.

use crate::http::{Digest, keys};

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key: its secret goes to standard error, its lines for server.keys_file to standard output (>> keys.toml).
    New {
        /// What logs call whoever has the key: letters, digits, points, dashes and underscores.
        label: String,
    },
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let Action::New { label } = &args.action;
    keys::check_label(label).map_err(|problem| Failure::usage(format!("{label:?} {problem}")))?;
    let secret = keys::draw().map_err(|problem| Failure::new(Exit::SomeFailed, anyhow::anyhow!(problem)))?;
    // Apart, so that the lines can be appended to the file without the secret.
    eprintln!("The secret of {label}, which nothing shows again:\n\n{secret}\n");
    println!("[[keys]]\nlabel = {label:?}\ndigest = \"{}\"", Digest::of(secret.as_bytes()));
    Ok(Exit::Done)
}
