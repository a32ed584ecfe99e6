//! Flags, variables and a file in; what is to be looked at, out: the settings as far as they are right, and what follows from them.

use std::future::Future;
use std::path::{Path, PathBuf};

use crate::cli::variables;
use crate::config::{Config, ConfigError, Overrides};
use crate::model::LocateError;
use crate::model::files::ModelFiles;
use crate::model::source::Source;
use crate::model::whisper::DeviceRequest;

use super::Args;

pub struct Case {
    pub config: Config,
    /// What was left out of them.
    pub wrong: Vec<ConfigError>,
    /// The settings file, where one was named.
    pub file: Option<PathBuf>,
    /// Variables that set something.
    pub variables: Vec<String>,
    /// Whether a model is to be loaded at all.
    pub has_model: bool,
    pub min_free_bytes: u64,
}

impl Case {
    pub fn new(args: &Args, file: Option<&Path>, flags: &Overrides) -> Case {
        let (config, wrong) = Config::load_despite(file, variables(), flags);
        Case {
            config,
            wrong,
            file: file.map(Path::to_owned),
            variables: Config::variables(variables()),
            has_model: args.serve.has_model(),
            min_free_bytes: (args.min_free_gib.max(0.0) * (1u64 << 30) as f64) as u64,
        }
    }

    /// What is no device is the settings' finding; the others go on as if nobody had said it.
    pub fn device(&self) -> DeviceRequest {
        self.config.model.device.parse().unwrap_or_default()
    }

    /// A GPU was asked for by name.
    pub fn wants_gpu(&self) -> bool {
        matches!(self.device(), DeviceRequest::Cuda(_) | DeviceRequest::Metal)
    }

    /// The model's files as they are here: nothing is fetched.
    pub fn files(&self) -> Result<ModelFiles, LocateError> {
        let here = crate::model::Settings { offline: true, ..self.config.model.clone() };
        here.locate(&mut |_| {}).map(|(files, _)| files)
    }

    /// Whether the model comes from the hub, by its name.
    pub fn is_from_hub(&self) -> bool {
        matches!(Source::parse(&self.config.model.name), Ok(Source::Hub(_)))
    }
}

/// For checks that ask others and wait.
pub fn wait<R>(future: impl Future<Output = R>) -> Result<R, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime could be started: {error}"))?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(done)
}
