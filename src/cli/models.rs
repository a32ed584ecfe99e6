//! `verbatim models pull`: a hub id in, its files in the cache and their folder on standard output.

use crate::config::Config;
use crate::model::hub;
use crate::model::source::Source;
use crate::telemetry;

use super::progress::Download;
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Download a model into the cache and verify it, so that later starts need no network.
    Pull {
        /// Hub id, such as openai/whisper-large-v3-turbo; without it the configured model.
        id: Option<String>,
    },
}

pub fn run(args: &Args, config: Config) -> Result<Exit, Failure> {
    telemetry::init(&config.log).map_err(Failure::settings)?;
    let Action::Pull { id } = &args.action;
    let name = id.as_deref().unwrap_or(&config.model.name);
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
            println!("{}", fetched.folder.display());
            Ok(Exit::Done)
        }
    }
}
