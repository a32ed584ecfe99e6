//! Where somebody speaks, and what becomes of several channels.

use super::values::Given;
use super::{Draft, Field, Kind, long_form};
use crate::http::error::ApiError;
use crate::transcript::Channels;

/// What was said that cannot both be had.
#[derive(Default)]
pub(super) struct Asked {
    server_vad: bool,
}

pub const FIELDS: &[Field] = &[
    Field {
        names: &["vad", "vad_filter"],
        kind: Kind::Flag,
        help: "What lies between stretches of speech is not transcribed [default: true]",
        take: |draft, given| {
            draft.wanted.options.speech.detect = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["vad_threshold"],
        kind: Kind::Number("PROBABILITY"),
        help: "The higher, the less counts as speech, 0 to 1 [default: 0.5]",
        take: threshold,
    },
    Field {
        names: &[
            "min_silence_ms",
            "vad_min_silence_ms",
            "min_silence_duration_ms",
            "vad_min_silence_duration_ms",
        ],
        kind: Kind::Number("MS"),
        help: "Shorter pauses are part of the speech around them, up to 30000 [default: 1000]",
        take: min_silence,
    },
    Field {
        names: &[
            "min_speech_ms",
            "vad_min_speech_ms",
            "min_speech_duration_ms",
            "vad_min_speech_duration_ms",
        ],
        kind: Kind::Number("MS"),
        help: "Shorter sounds are no speech, up to 30000 [default: 100]",
        take: min_speech,
    },
    Field {
        names: &["speech_pad_ms", "vad_speech_pad_ms"],
        kind: Kind::Number("MS"),
        help: "Kept before and after each stretch of speech, up to 30000 [default: 400]",
        take: padding,
    },
    Field {
        names: &["keep_steady", "vad_keep_steady"],
        kind: Kind::Flag,
        help: "Noise and tones that stay the same for a second are transcribed where they sound like speech [default: false]",
        take: |draft, given| {
            draft.wanted.options.speech.keep_steady = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["vad_parameters"],
        kind: Kind::Text("JSON"),
        help: "An object with Silero's names: threshold, min_speech_duration_ms, min_silence_duration_ms, speech_pad_ms, \
               max_speech_duration_s",
        take: vad_parameters,
    },
    Field {
        names: &["chunking_strategy"],
        kind: Kind::Text("JSON"),
        help: "OpenAI's: auto, or an object with type server_vad, threshold, prefix_padding_ms, silence_duration_ms",
        take: chunking_strategy,
    },
    Field {
        names: &["channels"],
        kind: Kind::Text("WAY"),
        help: "mix (into one) or split (each is one speaker, merged by time) [default: mix]",
        take: |draft, given| {
            draft.wanted.options.channels = match given.value.to_ascii_lowercase().as_str() {
                "mix" => Channels::Mix,
                "split" => Channels::Split,
                _ => return Err(given.wrong("mix or split")),
            };
            Ok(())
        },
    },
    Field {
        names: &["channel_split", "multichannel"],
        kind: Kind::Flag,
        help: "The same as --channels split",
        take: |draft, given| {
            if given.flag()? {
                draft.wanted.options.channels = Channels::Split;
            }
            Ok(())
        },
    },
];

fn threshold(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    draft.wanted.options.speech.threshold = given.number(0.0..=1.0)? as f32;
    Ok(())
}

fn min_silence(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    draft.wanted.options.speech.min_silence = given.millis()?;
    Ok(())
}

fn min_speech(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    draft.wanted.options.speech.shortest = given.millis()?;
    Ok(())
}

fn padding(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    draft.wanted.options.speech.padding = given.millis()?;
    Ok(())
}

/// As faster-whisper takes them, with the names of Silero's own options.
fn vad_parameters(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    if given.key.is_none() && given.is_none() {
        return Ok(());
    }
    for (key, value) in given.entries()? {
        let entry = Given { name: given.name, key: Some(&key), value: value.trim() };
        match key.as_str() {
            "threshold" => threshold(draft, &entry)?,
            "min_speech_duration_ms" => min_speech(draft, &entry)?,
            "min_silence_duration_ms" => min_silence(draft, &entry)?,
            "speech_pad_ms" => padding(draft, &entry)?,
            "max_speech_duration_s" => long_form::take_longest(draft, &entry)?,
            _ => draft.ignore(&entry.written()),
        }
    }
    Ok(())
}

/// OpenAI's spelling. What it leaves out is as we have it, not as OpenAI does.
fn chunking_strategy(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    let allowed = "auto, or an object with 'type' server_vad";
    if given.key.is_none() && !given.value.starts_with('{') {
        // `"auto"` is the JSON text of it; a null is OpenAI's default, one block, and ours.
        return match given.value.trim_matches('"') {
            _ if given.is_none() => Ok(()),
            "auto" => Ok(()),
            "server_vad" => {
                draft.speech.server_vad = true;
                Ok(())
            }
            _ => Err(given.wrong(allowed)),
        };
    }
    for (key, value) in given.entries()? {
        let entry = Given { name: given.name, key: Some(&key), value: value.trim() };
        match key.as_str() {
            "type" if entry.value == "server_vad" => draft.speech.server_vad = true,
            "type" if entry.value == "auto" => {}
            "type" => return Err(entry.wrong("auto or server_vad")),
            "threshold" => threshold(draft, &entry)?,
            "prefix_padding_ms" => padding(draft, &entry)?,
            "silence_duration_ms" => min_silence(draft, &entry)?,
            _ => draft.ignore(&entry.written()),
        }
    }
    Ok(())
}

pub(super) fn settle(draft: &Draft) -> Result<(), ApiError> {
    if draft.speech.server_vad && !draft.wanted.options.speech.detect {
        let message =
            "'chunking_strategy' cannot be 'server_vad' where 'vad' is false: leave one of them out";
        return Err(ApiError::param("chunking_strategy", message));
    }
    Ok(())
}
