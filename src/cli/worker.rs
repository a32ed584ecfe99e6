//! `verbatim worker`: the items of batch jobs from a broker in, their transcripts into the store out. Listens to nobody: all its
//! connections lead outwards.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;

use crate::audio::Isolation;
use crate::config::{Config, Overrides};
use crate::engine::EngineError;
use crate::http::App;
use crate::jobs::Shift;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, gpu::Gpu, gpu_block};

use super::load::{Loaded, load};
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// End when there has been nothing to do for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    exit_when_idle: Option<u64>,
    /// Folder in which batch jobs are kept, where there is no broker.
    #[arg(long, value_name = "FOLDER")]
    jobs_dir: Option<PathBuf>,
}

impl Args {
    pub fn set(&self, flags: &mut Overrides) {
        flags.set("jobs.dir", self.jobs_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()));
    }
}

pub fn run(args: &Args, mut config: Config) -> Result<Exit, Failure> {
    config.audio.decode_isolation.get_or_insert(Isolation::safest());
    let _traces = telemetry::init_with(&config.log, &config.telemetry).map_err(Failure::settings)?;
    tracing::info!("verbatim {}", env!("CARGO_PKG_VERSION"));
    let shift = Shift { idle: args.exit_when_idle.map(Duration::from_secs), ..Shift::default() };
    let runtime = Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let exit = runtime.block_on(work(config, shift));
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

async fn work(config: Config, shift: Shift) -> Result<Exit, Failure> {
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let gpu = Gpu::probe();
    tracing::info!("\n{}", gpu_block(&gpu.read().await).trim_end());
    let (settings, jobs) = (config.server.clone(), config.jobs.clone());
    let loading = tokio::task::spawn_blocking(move || load(&config));
    let Loaded { transcriber, mut worker } = tokio::select! {
        loaded = loading => loaded.map_err(|error| Failure::new(Exit::DeviceLost, error))??,
        () = shutdown.graceful.cancelled() => return Ok(Exit::Done),
    };
    let app = App::new(transcriber, Readiness::default(), gpu, settings).with_jobs(jobs, Some(shift));
    let warm_up = app.warm_up().await.context("the warm-up failed");
    warm_up.map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    app.jobs().await.map_err(|problem| Failure::settings(anyhow!(problem)))?;
    tracing::info!("waiting for items of jobs");
    tokio::select! {
        end = worker.ended() => {
            let error = end.err().unwrap_or(EngineError::Closed);
            tracing::error!(%error, "the device is lost; ending, so that the platform starts this worker anew");
            return Err(Failure::new(Exit::DeviceLost, error));
        }
        () = shutdown.graceful.cancelled() => tracing::info!("giving back what is worked on"),
        () = app.jobs_idle() => {}
    }
    tokio::select! {
        () = app.close_jobs() => Ok(Exit::Done),
        () = shutdown.at_once.cancelled() => Ok(Exit::SomeFailed),
    }
}
