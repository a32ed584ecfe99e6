//! What operators see: logs, metrics, the GPU's own readings. Logs never hold what was said.

pub mod gpu;
mod gpu_block;
mod instrument;
pub mod metrics;
mod process;

use std::io;

pub use gpu_block::block as gpu_block;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Before the operator's own directives, so that those can undo it.
const QUIET: &str = "symphonia_core=off,symphonia_format_riff=off,symphonia_format_isomp4=off,symphonia_format_mkv=off,\
     symphonia_format_ogg=off,symphonia_bundle_mp3=off,symphonia_bundle_flac=off,symphonia_codec_aac=off,symphonia_codec_vorbis=off";

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

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level (or RUST_LOG) '{0}' is not a log level: {1}")]
    Level(String, tracing_subscriber::filter::ParseError),
    #[error("logging was set up twice")]
    Twice,
}

/// Sends the process's logs to standard error from here on. Once per process.
pub fn init(settings: &Settings) -> Result<(), TelemetryError> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| settings.level.clone());
    // The audio decoder writes an error for every upload that is no audio; the answer and its log line say that already.
    let filter = EnvFilter::try_new(format!("{QUIET},{level}"));
    let filter = filter.map_err(|error| TelemetryError::Level(level, error))?;
    let to_stderr = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    let set = match settings.format {
        LogFormat::Text => {
            let terminal = io::IsTerminal::is_terminal(&io::stderr());
            to_stderr.with_ansi(terminal).try_init()
        }
        LogFormat::Json => to_stderr.json().flatten_event(true).try_init(),
    };
    set.map_err(|_| TelemetryError::Twice)
}
