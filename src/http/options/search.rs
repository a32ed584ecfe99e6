//! How the likeliest text is looked for, and when a window is decoded again: temperatures, beams, draws, the ladder's tests.

use super::values::Given;
use super::{Draft, Field, Kind};
use crate::http::error::ApiError;
use crate::transcript::Search;

/// Each costs a decode of the window.
const MOST_TEMPERATURES: usize = 11;
const SMALLEST_STEP: f64 = 0.1;

/// What was said about temperatures.
#[derive(Default)]
pub(super) struct Ladder {
    temperatures: Vec<f64>,
    /// The last were written with brackets, so that the next in brackets is one more of them.
    bracketed: bool,
    /// 0: no ladder.
    step: Option<f64>,
}

pub const FIELDS: &[Field] = &[
    Field {
        names: &["temperature", "temperatures"],
        kind: Kind::Text("NUMBERS"),
        help: "0: the likeliest words, drawn by chance where those fail a test, ever hotter; above 0, up to 1: that one \
               temperature; several with commas between them: one after the other [default: 0]",
        take: take_temperature,
    },
    Field {
        names: &["temperature_increment_on_fallback", "temperature_inc"],
        kind: Kind::Number("STEP"),
        help: "How much hotter each attempt is, 0.1 to 1; 0 or none: only one attempt [default: 0.2]",
        take: |draft, given| {
            let off = given.is_none() || given.value.parse() == Ok(0.0_f64);
            let step = if off { Ok(0.0) } else { given.number(SMALLEST_STEP..=1.0) };
            let allowed = || given.wrong(format!("a number from {SMALLEST_STEP} to 1, or 0 for one attempt"));
            draft.ladder.step = Some(step.map_err(|_| allowed())?);
            Ok(())
        },
    },
    Field {
        names: &["best_of"],
        kind: Kind::Number("DRAWS"),
        help: "Draws above temperature 0, of which the likeliest is taken, 1 to 16 [default: 1]",
        take: |draft, given| {
            draft.wanted.options.search.best_of = lanes(given, 1)?;
            Ok(())
        },
    },
    Field {
        names: &["beam_size"],
        kind: Kind::Number("BEAMS"),
        help: "Beams at temperature 0, up to 16; 0 or 1 is greedy [default: 1]",
        take: |draft, given| {
            draft.wanted.options.search.beam_size = lanes(given, 0)?.max(1);
            Ok(())
        },
    },
    Field {
        names: &["patience"],
        kind: Kind::Number("FACTOR"),
        help: "Times --beam-size: how many finished texts the search waits for, up to 10 [default: 1]",
        take: |draft, given| {
            let number = given.value.parse().ok().filter(|number: &f32| *number > 0.0 && *number <= 10.0);
            let allowed = "a number above 0 and at most 10";
            draft.wanted.options.search.patience = number.ok_or_else(|| given.wrong(allowed))?;
            Ok(())
        },
    },
    Field {
        names: &["length_penalty"],
        kind: Kind::Number("ALPHA"),
        help: "Google's length penalty, 0 to 1 [default: none, the mean over the tokens]",
        take: |draft, given| {
            draft.wanted.options.search.length_penalty = given.threshold(0.0..=1.0)?;
            Ok(())
        },
    },
    Field {
        names: &["seed"],
        kind: Kind::Number("NUMBER"),
        help: "The same seed draws the same text [default: 0]",
        take: |draft, given| {
            draft.wanted.options.search.seed = given.whole(0..=u64::MAX)?;
            Ok(())
        },
    },
    Field {
        names: &["compression_ratio_threshold"],
        kind: Kind::Number("RATIO"),
        help: "Text that zlib packs better than this is a loop, 0 to 100 or none [default: 2.4]",
        take: |draft, given| {
            draft.wanted.options.fallback.compression_ratio_threshold = given.threshold(0.0..=100.0)?;
            Ok(())
        },
    },
    Field {
        names: &["logprob_threshold", "log_prob_threshold", "logprob_thold"],
        kind: Kind::Number("LOGPROB"),
        help: "Text of a lower mean log-probability is unlikely, -100 to 0 or none [default: -1]",
        take: |draft, given| {
            draft.wanted.options.fallback.logprob_threshold = given.threshold(-100.0..=0.0)?;
            Ok(())
        },
    },
    Field {
        names: &["no_speech_threshold", "no_speech_thold"],
        kind: Kind::Number("PROBABILITY"),
        help: "Above this nobody speaks, where the text is unlikely too, 0 to 1 or none [default: 0.6]",
        take: |draft, given| {
            draft.wanted.options.fallback.no_speech_threshold = given.threshold(0.0..=1.0)?;
            Ok(())
        },
    },
];

/// Each takes a lane of the model's.
fn lanes(given: &Given, least: usize) -> Result<usize, ApiError> {
    let most = Search::WIDEST;
    given.whole(least..=most).map_err(|_| {
        given.wrong(format!(
            "a whole number from {least} to {most}, or fewer where the setting model.lanes is less"
        ))
    })
}

/// `temperature[]` adds to what stands there in brackets; without brackets it begins anew.
fn take_temperature(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    let ladder = &mut draft.ladder;
    if given.key.is_none() || !ladder.bracketed {
        ladder.temperatures.clear();
    }
    ladder.bracketed = given.key.is_some();
    for part in given.list()? {
        if ladder.temperatures.len() == MOST_TEMPERATURES {
            return Err(given.wrong(format!("at most {MOST_TEMPERATURES} temperatures")));
        }
        ladder.temperatures.push(given.number_in(&part, 0.0..=1.0)?);
    }
    Ok(())
}

pub(super) fn settle(draft: &mut Draft) -> Result<(), ApiError> {
    let (ladder, options) = (&draft.ladder, &mut draft.wanted.options);
    let cooled = |temperatures: Vec<f64>| temperatures.into_iter().map(|number| number as f32).collect();
    match (ladder.temperatures.as_slice(), ladder.step) {
        // 0 alone is what OpenAI's clients say for "as you see fit".
        ([] | [0.0], None) => {}
        (temperatures, None) => options.fallback.temperatures = cooled(temperatures.to_vec()),
        ([], Some(step)) => options.fallback.temperatures = cooled(steps(0.0, step)),
        ([from], Some(step)) => options.fallback.temperatures = cooled(steps(*from, step)),
        (_, Some(_)) => {
            let message = "'temperature_increment_on_fallback' makes a list of one temperature, and 'temperature' is a \
                           list already: give one of them";
            return Err(ApiError::param("temperature_increment_on_fallback", message));
        }
    }
    if options.search.beam_size == 1 && options.search.patience != 1.0 {
        let message = format!(
            "'patience' cannot be '{}' without a beam search: give 'beam_size' above 1 or leave it out",
            options.search.patience
        );
        return Err(ApiError::param("patience", message));
    }
    Ok(())
}

/// Up to 1, as openai/whisper's transcribe.py `cli` makes them at c0d2f624.
fn steps(from: f64, step: f64) -> Vec<f64> {
    let more = if step > 0.0 { ((1.0 + 1e-6 - from) / step) as usize } else { 0 };
    (0..=more).map(|count| from + count as f64 * step).collect()
}
