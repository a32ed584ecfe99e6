//! Settings in, a running engine with its model and the transcriber in front of it out.

use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::decoding::Rules;
use crate::engine::{Engine, Worker};
use crate::model::files::ModelFiles;
use crate::model::whisper::{LoadError, LoadOptions, Whisper};
use crate::model::{Absent, Generation, Model};
use crate::text::Tokenizer;
use crate::transcriber::{Transcriber, Voice};

use super::progress::Download;
use super::{Exit, Failure};

/// A model that is ready to work, and the thread that works it.
pub struct Loaded {
    pub transcriber: Transcriber,
    pub worker: Worker,
}

/// Finds or fetches the files, loads them onto the device and starts the device's thread. Must be called within a runtime.
pub fn load(config: &Config) -> Result<Loaded, Failure> {
    load_from(config, None)
}

/// The same; `files`: where they were found already.
pub fn load_from(config: &Config, files: Option<ModelFiles>) -> Result<Loaded, Failure> {
    let decoder = config.audio.decoder().map_err(|error| {
        Failure::settings(
            anyhow::Error::new(error).context("audio.decode_isolation: no process can decode here"),
        )
    })?;
    let files = files.map_or_else(|| locate(config), Ok)?;
    let started = Instant::now();
    let whisper =
        Whisper::load(&files, &options(config)?).map_err(|error| failure(&config.model.name, error))?;
    let json = files.require("tokenizer.json").map_err(Failure::settings)?;
    let tokenizer = Tokenizer::from_json(&json).map_err(|error| context(&config.model.name, error))?;
    let model = whisper.info().clone();
    let rules = Rules::new(Arc::new(tokenizer), whisper.generation(), &model);
    tracing::info!(
        model = %model.name, device = %model.device, dtype = %model.dtype, slots = model.slots,
        weight_mib = model.weight_bytes >> 20, kv_mib = model.kv_bytes >> 20,
        "loaded in {} ms", started.elapsed().as_millis()
    );
    if let Some(note) = &model.device_note {
        tracing::warn!("NO GPU IS USED: {note}; transcribing on the CPU");
    }
    if model.is_demo {
        tracing::warn!(
            "this is the bundled demo model: it understands only its own small vocabulary (models/demo/README.md); \
             --model openai/whisper-large-v3-turbo fetches a real one"
        );
    }
    if let ModelFiles::Random(size) = &files {
        tracing::warn!(
            "THIS MODEL SPEAKS NONSENSE: its weights are random numbers in the shape of {}, for benchmarks and load tests; \
             no word of any answer was heard",
            size.hub_id
        );
    }
    let mut engine = config.engine.clone();
    engine.encode_batch = model.encode_batch;
    engine.interactive_alone.get_or_insert(model.device == "cpu");
    let (engine, worker) = Engine::start(rehearsed(Box::new(whisper))?, engine);
    let voice = Voice { rules, model };
    let transcriber = Transcriber::new(engine, voice, decoder, &config.transcriber);
    Ok(Loaded { transcriber, worker })
}

/// The same without a model, for a process that has others do the work. Must be called within a runtime.
pub fn load_nothing(config: &Config) -> Result<Loaded, Failure> {
    let json = ModelFiles::Demo.require("tokenizer.json").map_err(Failure::settings)?;
    let tokenizer = Tokenizer::from_json(&json).map_err(|error| context("none", error))?;
    let model = Absent::info();
    let rules = Rules::new(Arc::new(tokenizer), &Generation::default(), &model);
    let (engine, worker) = Engine::start(Box::new(Absent), config.engine.clone());
    let voice = Voice { rules, model };
    Ok(Loaded {
        transcriber: Transcriber::new(engine, voice, config.audio.limits(), &config.transcriber),
        worker,
    })
}

#[cfg(any(feature = "faults", debug_assertions))]
fn rehearsed(model: Box<dyn Model>) -> Result<Box<dyn Model>, Failure> {
    use crate::model::faults::{VARIABLE, wrap};
    let plan = std::env::var(VARIABLE).unwrap_or_default();
    wrap(model, &plan).map_err(|error| Failure::settings(anyhow::anyhow!("{VARIABLE}: {error}")))
}

#[cfg(not(any(feature = "faults", debug_assertions)))]
fn rehearsed(model: Box<dyn Model>) -> Result<Box<dyn Model>, Failure> {
    Ok(model)
}

pub fn locate(config: &Config) -> Result<ModelFiles, Failure> {
    let mut bars = Download::new();
    let (files, note) = config.model.locate(&mut |progress| bars.on(progress)).map_err(Failure::settings)?;
    if let Some(note) = note {
        tracing::warn!("using the cached model: {note}");
    }
    Ok(files)
}

pub fn options(config: &Config) -> Result<LoadOptions, Failure> {
    let refuse = |key: &str, error: String| Failure::settings(anyhow::anyhow!("{key}: {error}"));
    Ok(LoadOptions {
        kernels: config.model.kernels,
        name: config.model.name.clone(),
        device: config.model.device.parse().map_err(|error| refuse("model.device", error))?,
        dtype: config.model.dtype.parse().map_err(|error| refuse("model.dtype", error))?,
        slots: (config.model.slots > 0).then_some(config.model.slots),
        lanes: (config.model.lanes > 0).then_some(config.model.lanes),
        encode_batch: (config.engine.encode_batch > 0).then_some(config.engine.encode_batch),
    })
}

/// A model or a device that cannot be had here is a setting that cannot be met; the sentence says which.
pub fn failure(model: &str, error: LoadError) -> Failure {
    match error {
        LoadError::Device(error) => Failure::settings(anyhow::Error::new(error).context("model.device")),
        LoadError::OutOfMemory(_) => {
            let hint = "fewer model.slots, another model.dtype or a smaller model.name take less";
            Failure::new(Exit::BadSettings, anyhow::Error::new(error).context(hint))
        }
        error => context(model, error),
    }
}

fn context(model: &str, error: impl Into<anyhow::Error>) -> Failure {
    Failure::settings(error.into().context(format!("the model {model} cannot be loaded")))
}
