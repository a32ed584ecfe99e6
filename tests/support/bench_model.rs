//! Models and windows for the benchmarks of the network: the demo model, and Whisper tiny with random weights.

use std::sync::Arc;

use verbatim::audio::LogMel;
use verbatim::audio::{MelFilters, WINDOW_SAMPLES};
use verbatim::model::whisper::{DeviceRequest, DtypeRequest, LoadOptions, Whisper};
use verbatim::model::{Settings, Slot};

pub const MODELS: [&str; 2] = ["demo", "random:tiny"];
pub const DTYPES: [DtypeRequest; 2] = [DtypeRequest::F32, DtypeRequest::Q8];

pub fn load(name: &str, dtype: DtypeRequest, slots: usize) -> Whisper {
    let settings = Settings { name: name.to_owned(), ..Settings::default() };
    let (files, _) = settings.locate(&mut |_| {}).expect("both need no download");
    let device = DeviceRequest::Cpu;
    let options = LoadOptions { device, dtype, slots: Some(slots), ..LoadOptions::default() };
    Whisper::load(&files, &options).expect("the CPU has room for it")
}

/// Of noise, no two alike.
pub fn windows(whisper: &Whisper, count: usize) -> Vec<(Slot, Arc<LogMel>)> {
    let filters = MelFilters::new(whisper.info().n_mels);
    let mut seed = 1u32;
    (0..count)
        .map(|slot| {
            let noise: Vec<f32> = (0..WINDOW_SAMPLES)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 8) as f32 / (1 << 25) as f32
                })
                .collect();
            (Slot(slot), Arc::new(filters.log_mel(&noise)))
        })
        .collect()
}
