//! `verbatim models remove`: a hub id in, its files gone from the cache, after a question.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::anyhow;
use indicatif::DecimalBytes;

use crate::config::Config;
use crate::model::hub;
use crate::model::source::ModelId;

use super::{Exit, Failure, cached, named};

pub fn run(id: &str, revision: Option<&str>, yes: bool, config: &Config) -> Result<Exit, Failure> {
    let id: ModelId = id.parse().map_err(Failure::settings)?;
    let cached = cached(config, &id)?;
    let wanted = cached.snapshots.iter().filter(|one| revision.is_none_or(|name| one.is_called(name)));
    let wanted: Vec<&hub::Snapshot> = wanted.collect();
    if let (Some(revision), true) = (revision, wanted.is_empty()) {
        let there: Vec<String> = cached.snapshots.iter().map(named).collect();
        let problem = anyhow!("the cache has no revision {revision:?} of {id}; it has {}", there.join(", "));
        return Err(Failure::new(Exit::SomeFailed, problem));
    }
    let names: Vec<String> = wanted.iter().map(|one| named(one)).collect();
    let names = if names.is_empty() { "nothing complete".to_owned() } else { names.join(", ") };
    let of = DecimalBytes(if wanted.len() == cached.snapshots.len() {
        cached.bytes
    } else {
        wanted.iter().map(|one| one.bytes).sum()
    });
    if !yes && !agreed(&format!("Remove {id} from the cache: {names}, {of}?"))? {
        eprintln!("verbatim: nothing was removed");
        return Ok(Exit::SomeFailed);
    }
    let commits: Vec<&str> = wanted.iter().map(|one| one.commit.as_str()).collect();
    let freed = hub::remove(&cached, &commits)
        .map_err(|error| Failure::new(Exit::SomeFailed, anyhow!("{}: {error}", cached.folder.display())))?;
    eprintln!("verbatim: removed {id}: {names}; {} are free", DecimalBytes(freed));
    Ok(Exit::Done)
}

fn agreed(question: &str) -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::usage(format!("{question} Nobody can be asked here: give --yes")));
    }
    let failed = |error: std::io::Error| Failure::new(Exit::SomeFailed, error);
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
