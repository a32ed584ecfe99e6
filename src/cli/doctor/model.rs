//! The configured model in; whether its files are here and whole, and what it makes of a sentence that is known, out.

use std::time::Instant;

use bytes::Bytes;

use crate::audio::Isolation;
use crate::cli::load::{Loaded, load};
use crate::model::files::ModelFiles;
use crate::model::hub::HubError;
use crate::model::whisper::Config;
use crate::model::{LocateError, header};
use crate::text::Tokenizer;
use crate::transcript::Options;

use super::audio::{SENTENCE, WORDS};
use super::case::Case;
use super::finding::Finding;

const MIB: u64 = 1 << 20;

pub fn files(case: &Case) -> Finding {
    if !case.has_model {
        return Finding::skipped("no model is to be loaded (--no-model)");
    }
    let name = &case.config.model.name;
    let files = match case.files() {
        Ok(files) => files,
        Err(LocateError::Hub(HubError::OfflineMiss { file, cache, .. })) => {
            let found = format!("{file} of {name} is not in the cache {}", cache.display());
            let pull = format!("run `verbatim models pull {name}` once with a network");
            return match case.config.model.offline {
                true => Finding::fault(
                    format!("{found}, and nothing may be fetched"),
                    format!("{pull} and without --offline"),
                ),
                false => Finding::warning(
                    format!("{found}: the first start fetches it"),
                    format!("{pull}, so that no start needs one"),
                ),
            };
        }
        Err(error) => {
            let remedy = "give `demo`, a folder with config.json, tokenizer.json and model.safetensors, or a hub id as --model (model.name)";
            return Finding::fault(error.to_string(), remedy);
        }
    };
    match whole(&files) {
        Ok(found) => Finding::ok(format!("{name}: {found}")),
        Err(error) => Finding::fault(error, again(case)),
    }
}

/// What to do about files that are not as they should be.
fn again(case: &Case) -> String {
    let name = &case.config.model.name;
    match case.is_from_hub() {
        true => format!(
            "remove the model's folder from the cache (model.cache_dir) and run `verbatim models pull {name}`"
        ),
        false => format!("copy the model's files to {name} again, all of them (--model, model.name)"),
    }
}

fn whole(files: &ModelFiles) -> Result<String, String> {
    let config = files.require("config.json").map_err(|error| error.to_string())?;
    let config =
        Config::from_json(&config).map_err(|error| format!("config.json cannot be used: {error}"))?;
    let tokenizer = files.require("tokenizer.json").map_err(|error| error.to_string())?;
    Tokenizer::from_json(&tokenizer).map_err(|error| format!("tokenizer.json cannot be used: {error}"))?;
    let found = header::inventory(files).map_err(|error| error.to_string())?;
    let size = match files {
        ModelFiles::Random(_) => "random weights, which speak nonsense".to_owned(),
        _ => format!(
            "{} tensors, {} MiB in {} file(s), all whole",
            found.tensors.len(),
            found.bytes / MIB,
            found.files
        ),
    };
    Ok(format!("{:.1} million parameters; {size}", config.parameters() as f64 / 1e6))
}

/// Loads the model as `serve` does and has it hear the sentence.
pub fn transcription(case: &Case) -> Finding {
    if !case.has_model {
        return Finding::skipped("no model is to be loaded (--no-model)");
    }
    let Ok(files) = case.files() else {
        return Finding::skipped("the model's files are not here: see the check `model`");
    };
    if let Err(error) = case.device().open() {
        return Finding::skipped(format!("the device cannot be used, see the check `gpu`: {error}"));
    }
    match hear(case) {
        Err(error) => Finding::fault(error, again(case)),
        Ok((text, timing)) => judge(&files, &text, &timing),
    }
}

fn judge(files: &ModelFiles, text: &str, timing: &str) -> Finding {
    let broken =
        "install verbatim again; see the checks `kernels` and `gpu`: what computes wrongly hears wrongly";
    match files {
        ModelFiles::Random(_) => Finding::ok(format!("random weights were heard to the end, {timing}")),
        ModelFiles::Demo if text == WORDS => Finding::ok(format!("{text:?}, word for word, {timing}")),
        ModelFiles::Demo => {
            Finding::fault(format!("{text:?} was heard where {WORDS:?} is said, {timing}"), broken)
        }
        ModelFiles::Folder(_) if text.is_empty() => Finding::fault(
            format!("nothing was heard where {WORDS:?} is said, {timing}"),
            "compare with --dtype f32 and --device cpu; if nothing is heard there either, the model's files are not Whisper's",
        ),
        // Synthetic speech: a good model may still mistake a word of it.
        ModelFiles::Folder(_) => Finding::ok(format!("{text:?} of {WORDS:?}, {timing}")),
    }
}

/// The text, and how long it took.
fn hear(case: &Case) -> Result<(String, String), String> {
    let mut config = case.config.clone();
    config.model.offline = true;
    config.audio.decode_isolation = Some(Isolation::Thread);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let started = Instant::now();
    let Loaded { transcriber, worker } = {
        let _entered = runtime.enter();
        load(&config).map_err(|failure| failure.to_string())?
    };
    let loaded = started.elapsed();
    let options = Options::default();
    let heard = || runtime.block_on(transcriber.transcribe(Bytes::from_static(SENTENCE), &options));
    // The first computes with caches that are cold, and on a GPU with kernels that are not loaded.
    heard().map_err(|error| error.to_string())?;
    let started = Instant::now();
    let transcript = heard().map_err(|error| error.to_string())?;
    let took = started.elapsed();
    drop(worker);
    runtime.shutdown_background();
    let model = transcriber.model();
    let times = transcript.duration.as_secs_f64() / took.as_secs_f64().max(1e-9);
    let timing = format!(
        "loaded in {} ms, heard in {} ms ({times:.1} times real time, {} in {} on {})",
        loaded.as_millis(),
        took.as_millis(),
        model.name,
        model.dtype,
        model.device
    );
    Ok((transcript.text(), timing))
}
