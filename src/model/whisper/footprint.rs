//! A `config.json` in, the memory that such a model takes out, for so many windows at once: what the loader reckons with, before any
//! device is asked.

use super::config::{Config, ConfigError};
use super::room::{self, Needs, Place};

/// How a model is kept and computed, as `--dtype` has it, where each is at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On a CPU.
    F32,
    /// On a GPU.
    F16,
    /// On a CPU, by our own kernels.
    Q8,
}

impl Form {
    pub const ALL: [Form; 3] = [Form::F32, Form::F16, Form::Q8];

    pub fn name(self) -> &'static str {
        match self {
            Form::F32 => "f32",
            Form::F16 => "f16",
            Form::Q8 => "q8_0",
        }
    }

    fn is_cpu(self) -> bool {
        self != Form::F16
    }
}

/// A model's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    config: Config,
}

impl Footprint {
    pub fn of(config_json: &[u8]) -> Result<Footprint, ConfigError> {
        Ok(Footprint { config: Config::from_json(config_json)? })
    }

    pub fn parameters(&self) -> u64 {
        self.config.parameters()
    }

    /// Bytes of the weights alone.
    pub fn weights(&self, form: Form) -> u64 {
        self.needs(form).weights
    }

    /// Bytes of all: weights, caches, and what calls are thought to hold at once.
    pub fn bytes(&self, form: Form, slots: usize) -> u64 {
        self.needs(form).at(slots.max(1))
    }

    /// Windows at once that the loader would choose for a GPU, in f16, with so many bytes free; `None`: it does not fit.
    pub fn slots_on_gpu(&self, free: u64) -> Option<usize> {
        let needs = self.needs(Form::F16);
        let slots = room::slots(&self.config, &needs, Place::Gpu { free: Some(free) });
        (needs.at(slots) <= free).then_some(slots)
    }

    fn needs(&self, form: Form) -> Needs {
        let bytes = if form == Form::F16 { 2 } else { 4 };
        Needs::planned(&self.config, bytes, form == Form::Q8, room::encode_batch(form.is_cpu()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::files::ModelFiles;
    use crate::model::kernels::Kernels;
    use crate::model::random::Size;
    use crate::model::whisper::{DeviceRequest, DtypeRequest, LoadOptions, Whisper};

    #[test]
    fn it_is_what_the_loader_forecasts() {
        for name in ["tiny", "large-v3-turbo"] {
            let size = Size::named(name).unwrap();
            let footprint = Footprint::of(size.config_json().as_bytes()).unwrap();
            for (form, dtype) in [(Form::F32, DtypeRequest::F32), (Form::Q8, DtypeRequest::Q8)] {
                let options = LoadOptions {
                    device: DeviceRequest::Cpu,
                    dtype,
                    slots: Some(5),
                    kernels: Kernels::Own,
                    ..LoadOptions::default()
                };
                let forecast = Whisper::forecast(&ModelFiles::Random(size), &options).unwrap();
                let said = (forecast.weight_bytes, forecast.weight_bytes + forecast.other_bytes);
                assert_eq!((footprint.weights(form), footprint.bytes(form, 5)), said, "{name} {form:?}");
            }
        }
    }

    #[test]
    fn a_card_takes_as_many_windows_as_the_loader_gives_it_or_none() {
        let of = |name| Footprint::of(Size::named(name).unwrap().config_json().as_bytes()).unwrap();
        assert_eq!(of("large-v3").slots_on_gpu((16 << 30) - (512 << 20)), Some(33));
        assert_eq!(of("large-v3").slots_on_gpu(2 << 30), None);
        assert_eq!(of("tiny").slots_on_gpu(8 << 30), Some(64));
    }
}
