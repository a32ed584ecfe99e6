//! What operators see: logs, metrics, the GPU's own readings. Logs never hold what was said.

mod cores;
pub mod cuda;
mod disk;
pub mod gpu;
mod gpu_block;
mod instrument;
pub mod limits;
pub mod memory;
pub mod metrics;
#[cfg_attr(not(feature = "otlp"), path = "no_otlp.rs")]
mod otlp;
mod process;

use std::io;

pub use cores::Cores;
pub use disk::Disk;
pub use gpu_block::block as gpu_block;
pub use otlp::{Traces, adopt};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Before the operator's own directives, so that those can undo it.
const QUIET: &str = "symphonia_core=off,symphonia_format_riff=off,symphonia_format_isomp4=off,symphonia_format_mkv=off,\
     symphonia_format_ogg=off,symphonia_format_caf=off,symphonia_bundle_mp3=off,symphonia_bundle_flac=off,symphonia_codec_aac=off,\
     symphonia_codec_vorbis=off,symphonia_codec_alac=off,symphonia_codec_adpcm=off";

/// Whoever logs warnings alone must still be able to say who asked; `audit=off` says otherwise.
const AUDIT: &str = "audit=info";

/// What the operator may set (`[log]`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,verbatim::http=debug`.
    /// The environment's `RUST_LOG` goes before it.
    pub level: String,
    pub format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { level: "info".to_owned(), format: LogFormat::Text }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What the operator may set (`[telemetry]`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Export {
    /// Address of a collector that takes OTLP over HTTP: `http://localhost:4318`. `None`: no traces are sent.
    pub otlp_endpoint: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level (or RUST_LOG) '{0}' is not a log level: {1}")]
    Level(String, tracing_subscriber::filter::ParseError),
    #[error("telemetry.otlp_endpoint: {0}")]
    Export(String),
    #[error("logging was set up twice")]
    Twice,
}

/// What `init_with` would refuse, without setting anything up.
pub fn check(settings: &Settings, export: &Export) -> Result<(), TelemetryError> {
    filter(settings)?;
    check_export(export)?;
    #[cfg(not(feature = "otlp"))]
    if let Some(endpoint) = &export.otlp_endpoint {
        otlp::layer(endpoint).map_err(TelemetryError::Export)?;
    }
    Ok(())
}

fn filter(settings: &Settings) -> Result<EnvFilter, TelemetryError> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| settings.level.clone());
    // The audio decoder writes an error for every upload that is no audio; the answer and its log line say that already.
    let filter = EnvFilter::try_new(format!("{QUIET},{AUDIT},{level}"));
    filter.map_err(|error| TelemetryError::Level(level, error))
}

fn check_export(export: &Export) -> Result<(), TelemetryError> {
    match &export.otlp_endpoint {
        Some(endpoint) if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") => {
            Err(TelemetryError::Export(format!("{endpoint:?} is not an http or https address")))
        }
        _ => Ok(()),
    }
}

/// Sends the process's logs to standard error from here on. Once per process.
pub fn init(settings: &Settings) -> Result<(), TelemetryError> {
    init_with(settings, &Export::default()).map(drop)
}

/// The same, and its spans to a collector until the value is dropped.
#[allow(clippy::default_constructed_unit_structs, reason = "with the feature otlp it is no unit")]
pub fn init_with(settings: &Settings, export: &Export) -> Result<Traces, TelemetryError> {
    let filter = filter(settings)?;
    check_export(export)?;
    let (sent, traces) = match &export.otlp_endpoint {
        None => (None, Traces::default()),
        Some(endpoint) => {
            let (sent, traces) = otlp::layer(endpoint).map_err(TelemetryError::Export)?;
            (Some(sent), traces)
        }
    };
    let to_stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match settings.format {
        LogFormat::Text => to_stderr.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => to_stderr.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter)).with(sent);
    subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(traces)
}
