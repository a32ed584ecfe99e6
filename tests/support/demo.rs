//! The bundled demo model behind a real transcriber on the CPU, as `verbatim serve` would start it.

use verbatim::audio::Limits;
use verbatim::decoding::Rules;
use verbatim::engine::{Engine, Worker};
use verbatim::model::files::ModelFiles;
use verbatim::model::whisper::{DeviceRequest, DtypeRequest, LoadOptions, Whisper};
use verbatim::text::Tokenizer;
use verbatim::transcriber::{Settings, Transcriber, Voice};

pub fn transcriber() -> (Transcriber, Worker) {
    transcriber_with(&Settings::default())
}

pub fn transcriber_with(settings: &Settings) -> (Transcriber, Worker) {
    transcriber_in(DtypeRequest::Auto, settings)
}

pub fn transcriber_in(dtype: DtypeRequest, settings: &Settings) -> (Transcriber, Worker) {
    let options =
        LoadOptions { name: "demo".to_owned(), device: DeviceRequest::Cpu, dtype, ..Default::default() };
    let whisper = Whisper::load(&ModelFiles::Demo, &options).unwrap();
    let tokenizer = Tokenizer::from_json(&ModelFiles::Demo.require("tokenizer.json").unwrap()).unwrap();
    let model = whisper.info().clone();
    let voice = Voice { rules: Rules::new(tokenizer.into(), whisper.generation(), &model), model };
    let (engine, worker) = Engine::start(Box::new(whisper), Default::default());
    let limits = Limits {
        max_duration: std::time::Duration::from_secs(600),
        max_decoded_bytes: 1 << 30,
        max_channels: 32,
        max_decode_time: std::time::Duration::from_secs(60),
    };
    (Transcriber::new(engine, voice, limits, settings), worker)
}
