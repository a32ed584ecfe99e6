//! A checkpoint's files in, a `Whisper` on its device out.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use super::Whisper;
use super::cache::Cache;
use super::config::{Config, ConfigError, Generation};
use super::decoder::Decoder;
use super::device::{DeviceError, DeviceRequest, DtypeRequest, Opened, Precision};
use super::draw;
use super::encoder::Encoder;
use super::room::{self, Needs, Place, SPARE_LANES};
use crate::model::files::{FilesError, ModelFiles, Weights};
use crate::model::kernels::{Kept, Kernels, Way};
use crate::model::{Capacity, ModelInfo};
use crate::telemetry::{gpu, memory};

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What people call the model: the value of `--model`.
    pub name: String,
    pub device: DeviceRequest,
    pub dtype: DtypeRequest,
    /// Windows that can be decoded together; `None`: chosen by device and model size.
    pub slots: Option<usize>,
    /// Rows of one decoder step; `None`: room for each window and for one beam search.
    pub lanes: Option<usize>,
    /// Windows of one encoder pass at most; `None`: chosen by device. The memory it takes is not given to slots.
    pub encode_batch: Option<usize>,
    pub kernels: Kernels,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{file} cannot be used: {error}")]
    Config { file: &'static str, error: ConfigError },
    #[error("the weights cannot be loaded: {0}")]
    Weights(String),
    #[error("the device has no room for the model: {0}")]
    OutOfMemory(String),
}

/// What loading a model would give and take, known before a weight is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// `f32`, `f16`, `bf16`, `q8_0`.
    pub dtype: &'static str,
    /// Positions of the decoder.
    pub text_ctx: usize,
    /// Of the weights.
    pub weight_bytes: u64,
    /// Of the caches, and of what calls are thought to hold at once.
    pub other_bytes: u64,
    /// What there is; `None`: it cannot be told.
    pub free_bytes: Option<u64>,
}

/// As `load` would go about it; the device is opened, the weights are not.
pub fn forecast(files: &ModelFiles, options: &LoadOptions) -> Result<Forecast, LoadError> {
    let config = read_config(files)?;
    let opened = options.device.open()?;
    let plan = Plan::new(&config, options, &opened)?;
    let (place, needs) = (place(&opened), &plan.needs);
    let slots = options.slots.unwrap_or_else(|| room::slots(&config, needs, place)).max(1);
    let lanes = options.lanes.unwrap_or(slots + SPARE_LANES).max(slots);
    let caches = Cache::bytes(&config, Capacity { slots, lanes }, plan.memory);
    let (Place::Gpu { free } | Place::Cpu { free, .. }) = place;
    Ok(Forecast {
        device: opened.label,
        dtype: plan.precision.as_str(),
        text_ctx: config.max_target_positions,
        weight_bytes: needs.weights,
        other_bytes: caches + needs.workspace,
        free_bytes: free,
    })
}

/// What is decided before a weight is read.
struct Plan {
    precision: Precision,
    way: Way,
    /// Of keys and values.
    memory: DType,
    encode_batch: usize,
    needs: Needs,
}

impl Plan {
    fn new(config: &Config, options: &LoadOptions, opened: &Opened) -> Result<Plan, LoadError> {
        let precision = options.dtype.resolve(opened)?;
        let fast = options.kernels.on_cpu(&opened.device, precision.numbers);
        let way = Way { fast, kept: precision.kept };
        let encode_batch = options.encode_batch.unwrap_or(room::encode_batch(opened.device.is_cpu())).max(1);
        // candle's products take memories of their own kind alone.
        let small = way == Way { fast: true, kept: Kept::Q8 };
        let needs = Needs::planned(config, precision.numbers.size_in_bytes(), small, encode_batch);
        let memory = if small { DType::F16 } else { precision.numbers };
        Ok(Plan { precision, way, memory, encode_batch, needs })
    }
}

pub(super) fn read_config(files: &ModelFiles) -> Result<Config, LoadError> {
    Config::from_json(&files.require("config.json")?)
        .map_err(|error| LoadError::Config { file: "config.json", error })
}

pub(super) fn read_generation(files: &ModelFiles) -> Result<Generation, LoadError> {
    match files.read("generation_config.json")? {
        Some(json) => Generation::from_json(&json)
            .map_err(|error| LoadError::Config { file: "generation_config.json", error }),
        None => Ok(Generation::default()),
    }
}

pub fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Whisper, LoadError> {
    let config = read_config(files)?;
    let generation = read_generation(files)?;
    let opened = options.device.open()?;
    let plan = Plan::new(&config, options, &opened)?;
    let numbers = plan.precision.numbers;
    // Before the weights are there, as `room` counts.
    let chosen = room::slots(&config, &plan.needs, place(&opened));
    let vb = open_weights(files.weights()?, numbers, &opened.device)?;
    let (encoder, decoder) = build(vb, &config, plan.way).map_err(weights_error)?;
    let (cache, capacity) = make_cache(&config, options, chosen, (plan.memory, &opened.device))?;
    let settled = (&opened, &plan, capacity, generation.multilingual(&config));
    let info = describe(files, options, &config, settled);
    Ok(Whisper {
        alignment_heads: generation.alignment_heads(&config),
        config,
        generation,
        encoder,
        decoder,
        cache,
        device: opened.device,
        dtype: numbers,
        way: plan.way,
        info,
    })
}

/// Every weight that the network takes, asked for by name and shape.
pub(super) fn build(vb: VarBuilder, config: &Config, way: Way) -> candle_core::Result<(Encoder, Decoder)> {
    // Some checkpoints were saved without the outer module.
    let vb = if vb.contains_tensor("model.encoder.conv1.weight") { vb.pp("model") } else { vb };
    Ok((Encoder::load(&vb.pp("encoder"), config, way)?, Decoder::load(&vb.pp("decoder"), config, way)?))
}

fn open_weights(weights: Weights, dtype: DType, device: &Device) -> Result<VarBuilder<'static>, LoadError> {
    match weights {
        Weights::Drawn => Ok(draw::weights(dtype, device)),
        Weights::Bytes(bytes) => {
            VarBuilder::from_slice_safetensors(bytes, dtype, device).map_err(weights_error)
        }
        Weights::Paths(paths) => {
            // SAFETY: the files must not change while they are mapped. They are mapped only until the layers are
            // built, and model folders are written by nobody else then: the hub cache replaces files by renaming.
            #[allow(unsafe_code)]
            let vb = unsafe { VarBuilder::from_mmaped_safetensors(&paths, dtype, device) };
            vb.map_err(weights_error)
        }
    }
}

fn weights_error(error: candle_core::Error) -> LoadError {
    let text = error.to_string();
    if super::is_out_of_memory(&text) { LoadError::OutOfMemory(text) } else { LoadError::Weights(text) }
}

fn place(opened: &Opened) -> Place {
    if opened.device.is_cpu() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        return Place::Cpu { cores, free: memory::available() };
    }
    Place::Gpu { free: gpu::free_memory(&opened.label) }
}

/// Where nobody said how many slots there are, fewer than chosen are taken as long as the device refuses: others may have come, and
/// what is free is not always in one piece.
fn make_cache(
    config: &Config,
    options: &LoadOptions,
    chosen: usize,
    (dtype, device): (DType, &Device),
) -> Result<(Cache, Capacity), LoadError> {
    let mut slots = options.slots.unwrap_or(chosen).max(1);
    loop {
        let lanes = options.lanes.unwrap_or(slots + SPARE_LANES).max(slots);
        let capacity = Capacity { slots, lanes };
        match Cache::new(config, capacity, dtype, device).map_err(weights_error) {
            Err(LoadError::OutOfMemory(reason)) if options.slots.is_none() && slots > 1 => {
                tracing::warn!(slots, reason, "no room on the device for so many slots; trying half of them");
                slots /= 2;
            }
            made => return Ok((made?, capacity)),
        }
    }
}

type Settled<'a> = (&'a Opened, &'a Plan, Capacity, bool);

fn describe(files: &ModelFiles, options: &LoadOptions, config: &Config, settled: Settled) -> ModelInfo {
    let (opened, plan, capacity, multilingual) = settled;
    ModelInfo {
        name: options.name.clone(),
        is_demo: *files == ModelFiles::Demo,
        device: opened.label.clone(),
        device_note: opened.note.clone(),
        dtype: plan.precision.as_str().to_owned(),
        n_mels: config.num_mel_bins,
        vocab: config.vocab_size,
        text_ctx: config.max_target_positions,
        multilingual,
        parameters: config.parameters(),
        weight_bytes: plan.needs.weights,
        kv_bytes: Cache::bytes(config, capacity, plan.memory),
        workspace_bytes: plan.needs.workspace,
        encode_batch: plan.encode_batch.min(capacity.slots),
        slots: capacity.slots,
        lanes: capacity.lanes,
    }
}
