//! `verbatim serve`: the life of the service, from its settings to its exit code.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::audio::Isolation;
use crate::config::{Config, Overrides};
use crate::engine::{EngineError, Sizes, Worker};
use crate::http::{self, App, Ended};
use crate::jobs::Shift;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, gpu::Gpu, gpu_block};

use super::load::{Loaded, load, load_nothing};
use super::{Exit, Failure};

/// How often a GPU that nobody uses is tried, where `engine.canary_seconds` does not say.
const CANARY_SECONDS: u64 = 60;
/// After the device's death, time for the answers that say so to reach their callers.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; 0.0.0.0 for every interface [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one and logs it [default: 8080].
    #[arg(long)]
    port: Option<u16>,
    /// process or thread: where uploads are decoded [default: process on Linux].
    #[arg(long, value_name = "WHERE", value_parser = ["process", "thread"])]
    decode_isolation: Option<String>,
    /// Take jobs in for workers on other machines, without a model of its own.
    #[arg(long)]
    no_model: bool,
    /// Folder in which batch jobs are kept [default: verbatim/jobs in the user's folder for the state of programs].
    #[arg(long, value_name = "FOLDER")]
    jobs_dir: Option<PathBuf>,
    /// Let everybody in who can reach the server, where it has no keys and listens to more than this machine.
    #[arg(long)]
    allow_no_keys: bool,
}

impl Args {
    pub fn has_model(&self) -> bool {
        !self.no_model
    }

    pub fn set(&self, flags: &mut Overrides) {
        flags.set("server.host", self.host.map(|host| host.to_string()));
        flags.set("server.port", self.port);
        flags.set("audio.decode_isolation", self.decode_isolation.as_deref());
        flags.set("jobs.dir", self.jobs_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned()));
        flags.set("server.allow_no_keys", self.allow_no_keys.then_some(true));
    }
}

pub fn run(args: &Args, mut config: Config) -> Result<Exit, Failure> {
    config.audio.decode_isolation.get_or_insert(Isolation::safest());
    let _traces = telemetry::init_with(&config.log, &config.telemetry).map_err(Failure::settings)?;
    tracing::info!("verbatim {}", env!("CARGO_PKG_VERSION"));
    let runtime = Runtime::new().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let exit = runtime.block_on(serve(config, args.has_model()));
    // What still runs by now (a download, a decoder, a device that hangs) must not keep the process from ending.
    runtime.shutdown_timeout(Duration::ZERO);
    exit
}

async fn serve(config: Config, has_model: bool) -> Result<Exit, Failure> {
    let shutdown = Shutdown::listen().map_err(|error| Failure::new(Exit::DeviceLost, error))?;
    let gpu = Gpu::probe();
    tracing::info!("\n{}", gpu_block(&gpu.read().await).trim_end());

    http::keys::check(&config.server).map_err(Failure::settings)?;
    // Before the model: a port that is taken should not cost a load. Callers wait in the backlog meanwhile.
    let listener = bind(&config).await?;
    let (settings, sessions, jobs) = (config.server.clone(), config.sessions.clone(), config.jobs.clone());
    let canary_seconds = config.engine.canary_seconds.filter(|_| has_model);
    let has_keys = !settings.keys.is_empty() || settings.keys_file.is_some();
    let loading =
        tokio::task::spawn_blocking(move || if has_model { load(&config) } else { load_nothing(&config) });
    let Loaded { transcriber, worker } = tokio::select! {
        loaded = loading => loaded.map_err(|error| Failure::new(Exit::DeviceLost, error))??,
        () = shutdown.graceful.cancelled() => return Ok(Exit::Done),
    };

    let canary_seconds = canary_seconds.unwrap_or(if has_model && transcriber.model().device != "cpu" {
        CANARY_SECONDS
    } else {
        0
    });
    let readiness = Readiness::default();
    let warming = readiness.hold("warm-up");
    let app = App::new(transcriber, readiness, gpu, settings);
    let app = app.with_sessions(sessions).context("sessions.dir").map_err(Failure::settings)?;
    let app = app.with_jobs(jobs, has_model.then(Shift::default));
    let address = listener.local_addr().map_err(|error| Failure::new(Exit::BadSettings, error))?;
    let server = http::serve(listener, app.clone(), shutdown.clone());
    let warm_up = async {
        if has_model {
            let (took, sizes) = app.warm_up().await.context("the warm-up failed")?;
            warmed(took, sizes);
        } else {
            // It can do nothing without its broker.
            app.go_on().await;
        }
        drop(warming);
        announce(address, has_keys, has_model);
        app.go_on().await;
        if canary_seconds > 0 {
            app.canaries(Duration::from_secs(canary_seconds)).await;
        }
        // The server goes on; this branch has nothing more to say.
        std::future::pending::<Result<Exit, anyhow::Error>>().await
    };
    until_the_end(server, warm_up, worker, shutdown).await
}

/// Whichever comes first: the drained server, a failed warm-up, the device's death, or a second signal.
async fn until_the_end(
    server: impl Future<Output = std::io::Result<Ended>>,
    warm_up: impl Future<Output = Result<Exit, anyhow::Error>>,
    mut worker: Worker,
    shutdown: Shutdown,
) -> Result<Exit, Failure> {
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => match ended.map_err(|error| Failure::new(Exit::DeviceLost, error))? {
            Ended::Drained => {
                tracing::info!("every request was answered; good-bye");
                Ok(Exit::Done)
            }
            Ended::Cut(connections) => {
                tracing::warn!(connections, "cut after server.drain_timeout_seconds");
                Ok(Exit::SomeFailed)
            }
        },
        failed = warm_up => failed.map_err(|error| Failure::new(Exit::DeviceLost, error)),
        end = worker.ended() => {
            let error = end.err().unwrap_or(EngineError::Closed);
            tracing::error!(%error, "the device is lost; ending, so that the platform starts this service anew");
            let _ = tokio::time::timeout(LAST_WORDS, server).await;
            Err(Failure::new(Exit::DeviceLost, error))
        }
        () = shutdown.at_once.cancelled() => Ok(Exit::SomeFailed),
    }
}

async fn bind(config: &Config) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(config.server.host, config.server.port);
    let taken = |error: std::io::Error| {
        Failure::settings(anyhow!("cannot listen on {address}: {error}; see server.host and server.port"))
    };
    TcpListener::bind(address).await.map_err(taken)
}

fn warmed(took: Duration, Sizes { windows, rows }: Sizes) {
    let warm_up_ms = took.as_millis() as u64;
    tracing::info!(warm_up_ms, "warmed with up to {windows} windows at once and {rows} rows a step");
}

fn announce(address: SocketAddr, has_keys: bool, has_model: bool) {
    if !address.ip().to_canonical().is_loopback() && !has_keys {
        tracing::warn!(
            "whoever can reach {address} can use this service: it has no keys (server.allow_no_keys)"
        );
    }
    tracing::info!("ready on http://{address}");
    let key = if has_keys { "-H 'Authorization: Bearer KEY' " } else { "" };
    let route = if has_model { "transcribe" } else { "v1/jobs" };
    tracing::info!("try: curl {key}-F file=@speech.mp3 http://{address}/{route}");
}
