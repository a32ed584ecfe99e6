//! `verbatim models`: which models are here and what they take, one fetched, verified or removed.

mod list;
mod remove;
mod verify;

use anyhow::anyhow;

use crate::config::Config;
use crate::model::hub::{self, Cached};
use crate::model::source::{ModelId, Source};
use crate::telemetry;

use super::progress::Download;
use super::{Exit, Failure, say};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List what is in the cache and what could be fetched, with the memory that each takes.
    List(list::Args),
    /// Download a model into the cache and verify it, so that later starts need no network.
    Pull {
        /// Hub id, such as openai/whisper-large-v3-turbo; without it the configured model.
        id: Option<String>,
    },
    /// Compare models with what the hub announced of them, and with what the loader needs.
    Verify {
        /// Hub ids, folders or `demo`; without one all Whisper models of the cache, or those of --revision alone.
        ids: Vec<String>,
    },
    /// Take a model out of the cache: all of its commits, or that of --revision with what no other commit shares.
    Remove {
        /// Hub id, such as openai/whisper-tiny.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `revision`: where the command line names one.
pub fn run(args: &Args, revision: Option<&str>, config: Config) -> Result<Exit, Failure> {
    telemetry::init(&config.log).map_err(Failure::settings)?;
    match &args.action {
        Action::List(args) => list::run(args, &config),
        Action::Pull { id } => pull(id.as_deref(), &config),
        Action::Verify { ids } => verify::run(ids, revision, &config),
        Action::Remove { id, yes } => remove::run(id, revision, *yes, &config),
    }
}

fn pull(id: Option<&str>, config: &Config) -> Result<Exit, Failure> {
    let name = id.unwrap_or(&config.model.name);
    match Source::parse(name).map_err(Failure::settings)? {
        Source::Demo => {
            tracing::info!("the demo model is part of this program: there is nothing to fetch");
            Ok(Exit::Done)
        }
        Source::Folder(folder) => {
            tracing::info!("{} is a folder on this machine: there is nothing to fetch", folder.display());
            Ok(Exit::Done)
        }
        Source::Random(_) => {
            tracing::info!("a random model is drawn when it is loaded: there is nothing to fetch");
            Ok(Exit::Done)
        }
        Source::Hub(id) => {
            let request = config.model.request(id).map_err(Failure::settings)?;
            let mut bars = Download::new();
            let fetched =
                hub::fetch(&request, &mut |progress| bars.on(progress)).map_err(Failure::settings)?;
            if let Some(note) = &fetched.note {
                tracing::warn!("nothing was fetched, the cache has the model: {note}");
            }
            tracing::info!(commit = %fetched.commit, "{} files downloaded and verified", fetched.downloaded.len());
            say(&fetched.folder.display().to_string())?;
            Ok(Exit::Done)
        }
    }
}

/// What of a repository is in the cache.
fn cached(config: &Config, id: &ModelId) -> Result<Cached, Failure> {
    let dir = config.model.cache().map_err(Failure::settings)?;
    let all = hub::inventory(&dir).map_err(|error| unreadable(&dir, error))?;
    let none = || Failure::new(Exit::SomeFailed, anyhow!("{id} is not in the cache {}", dir.display()));
    all.into_iter().find(|cached| cached.id == *id).ok_or_else(none)
}

fn unreadable(dir: &std::path::Path, error: std::io::Error) -> Failure {
    Failure::new(Exit::SomeFailed, anyhow!("the model cache {} cannot be read: {error}", dir.display()))
}

/// As people know it: its branch or tag, and the beginning of its commit.
fn named(snapshot: &hub::Snapshot) -> String {
    let commit = snapshot.commit.get(..8).unwrap_or(&snapshot.commit);
    match snapshot.refs.is_empty() {
        true => commit.to_owned(),
        false => format!("{} ({commit})", snapshot.refs.join(", ")),
    }
}
