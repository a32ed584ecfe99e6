//! A weight's name and shape in, its values out: drawn by the name, so that a model of random weights is the same on every machine.

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;

use super::sample::{STEP, mix};

/// Values that one thread draws at a time.
const CHUNK: usize = 1 << 16;

/// Every weight that is asked for is there, one at a time: no file and no second copy of all of them.
pub fn weights(dtype: DType, device: &Device) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Drawn), dtype, device.clone())
}

struct Drawn;

impl SimpleBackend for Drawn {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let values = values(name, shape.dims());
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} has no shape of its own")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// Never zeros, which some processors multiply faster; and of a size that keeps what goes through a layer as large as it was: norms
/// around 1, the deviation of a matrix one over the square root of its inputs.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let inputs: usize = shape.iter().skip(1).product();
    let (centre, spread) = match shape.len() {
        1 if name.ends_with("norm.weight") => (1.0, 0.1),
        1 => (0.0, 0.1),
        _ => (0.0, (3.0 / inputs as f32).sqrt()),
    };
    // FNV-1a.
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let mut values = vec![0f32; shape.iter().product()];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        let first = (chunk * CHUNK) as u64;
        for (value, place) in values.iter_mut().zip(first..) {
            // 24 bits, as many as an f32 holds, from -1 to 1.
            let uniform =
                (mix(seed.wrapping_add(place.wrapping_mul(STEP))) >> 40) as f32 / (1 << 23) as f32 - 1.0;
            *value = centre + spread * uniform;
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_decides_its_values() {
        assert_eq!(values("a.weight", &[3, 70_000]), values("a.weight", &[3, 70_000]));
        assert_ne!(values("a.weight", &[8, 8]), values("b.weight", &[8, 8]));
    }

    #[test]
    fn a_product_is_as_large_as_what_goes_into_it() {
        let drawn = values("a.weight", &[100, 400]);
        let square = drawn.iter().map(|value| f64::from(value * value)).sum::<f64>() / drawn.len() as f64;
        assert!((square * 400.0 - 1.0).abs() < 0.05, "{square}");
        let norm = values("a.layer_norm.weight", &[400]);
        assert!(norm.iter().all(|value| (0.9..1.1).contains(value)));
    }

    #[test]
    fn a_random_model_is_loaded_from_nowhere_and_gives_numbers() {
        use crate::model::files::ModelFiles;
        use crate::model::random::Size;
        use crate::model::whisper::{DeviceRequest, LoadOptions, Whisper};
        use crate::model::{Constraint, Lane, Model, Pick, Slot, Step};

        let files = ModelFiles::Random(Size::named("tiny").unwrap());
        let options = LoadOptions { device: DeviceRequest::Cpu, slots: Some(1), ..LoadOptions::default() };
        let mut whisper = Whisper::load(&files, &options).unwrap();
        assert_eq!((whisper.info().parameters, whisper.info().n_mels), (37_760_640, 80));
        assert_eq!(whisper.alignment_heads.len(), 6);
        let step = Step {
            slot: Slot(0),
            lane: Lane(0),
            position: 0,
            tokens: vec![50_258, 50_259, 50_359],
            constraint: Constraint::default(),
            pick: Pick::Likeliest(9),
            probe: None,
        };
        let samples = whisper.step(&[], &[step]).unwrap();
        // A distribution, neither flat nor a single peak.
        let (first, last) = (samples[0].choices[0].logprob, samples[0].choices[8].logprob);
        assert!(first < -1.0 && last < first && last > -20.0, "{first}, {last}");
    }
}
