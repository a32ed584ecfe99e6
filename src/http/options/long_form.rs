//! How audio of more than one window is decoded: each window on its own, or one after the other.

use std::time::Duration;

use super::values::Given;
use super::{Draft, Field, Kind};
use crate::http::error::ApiError;
use crate::transcript::LongForm;

/// As openai/whisper has it: transcribe.py at c0d2f624, where a window's `temperature > 0.5` resets the prompt.
const RESET: f32 = 0.5;

/// What was said about it.
#[derive(Default)]
pub(super) struct Asked {
    sequential: Option<bool>,
    condition: Option<bool>,
    reset: Option<f32>,
    /// With the field that asked for it.
    longest: Option<(&'static str, Duration)>,
}

pub const FIELDS: &[Field] = &[
    Field {
        names: &["long_form"],
        kind: Kind::Text("WAY"),
        help: "independent (windows cut in silence, all at once) or sequential (each window begins where the last one's text \
               ended) [default: independent]",
        take: |draft, given| {
            draft.long_form.sequential = Some(match given.value.to_ascii_lowercase().as_str() {
                "independent" => false,
                "sequential" => true,
                _ => return Err(given.wrong("independent or sequential")),
            });
            Ok(())
        },
    },
    Field {
        names: &["condition_on_previous_text"],
        kind: Kind::Flag,
        help: "The text so far is the next window's prompt; implies --long-form sequential, and is its default",
        take: |draft, given| {
            draft.long_form.condition = Some(given.flag()?);
            Ok(())
        },
    },
    Field {
        names: &["prompt_reset_on_temperature"],
        kind: Kind::Number("TEMPERATURE"),
        help: "Text that took a higher temperature is no prompt for what follows, 0 to 1 [default: 0.5]",
        take: |draft, given| {
            draft.long_form.reset = Some(given.number(0.0..=1.0)? as f32);
            Ok(())
        },
    },
    Field {
        names: &["max_window_seconds", "chunk_length", "vad_max_speech_duration_s"],
        kind: Kind::Number("SECONDS"),
        help: "Longest audio of one independent window, 2 to 30 [default: 30]",
        take: take_longest,
    },
];

/// Also what Silero's `max_speech_duration_s` asks for.
pub(super) fn take_longest(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    draft.long_form.longest = Some((given.name, given.seconds(2)?));
    Ok(())
}

pub(super) fn settle(draft: &mut Draft) -> Result<(), ApiError> {
    let asked = &draft.long_form;
    let sequential = asked.sequential.or(asked.condition).unwrap_or(false);
    draft.wanted.options.long_form = match (sequential, asked.longest) {
        (true, Some((name, _))) => {
            let message = format!(
                "'{name}' is for independent windows, and those of 'long_form' sequential are as long as the model's: leave one \
                 of them out"
            );
            return Err(ApiError::param(name, message));
        }
        (true, None) => LongForm::Sequential {
            condition_on_previous_text: asked.condition.unwrap_or(true),
            prompt_reset_on_temperature: asked.reset.unwrap_or(RESET),
        },
        (false, _) if asked.condition == Some(true) => {
            let message = "'condition_on_previous_text' cannot be 'true' where 'long_form' is 'independent': independent \
                           windows have no previous text";
            return Err(ApiError::param("condition_on_previous_text", message));
        }
        (false, Some((_, longest))) => LongForm::Independent { longest },
        (false, None) => LongForm::default(),
    };
    Ok(())
}
