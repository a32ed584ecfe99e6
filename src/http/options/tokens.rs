//! Which tokens may come, and whether there are times for segments and words.

use super::values::Given;
use super::{Draft, Field, Kind};
use crate::http::error::ApiError;

const MOST_SUPPRESSED: usize = 1000;
/// Beyond every Whisper vocabulary; what the loaded model's is, is its own to know.
const LARGEST_TOKEN: i64 = 1_000_000;

/// What was said about tokens.
#[derive(Default)]
pub(super) struct Asked {
    /// The last were written with brackets, so that the next in brackets is one more of them.
    bracketed: bool,
}

pub const FIELDS: &[Field] = &[
    Field {
        names: &["word_timestamps"],
        kind: Kind::Flag,
        help: "Every word gets its own times [default: false]",
        take: |draft, given| given.lay(&mut draft.wanted.layout),
    },
    Field {
        names: &["timestamp_granularities"],
        kind: Kind::HttpAlone,
        help: "word, segment or both",
        take: |draft, given| given.lay(&mut draft.wanted.layout),
    },
    Field {
        names: &["without_timestamps"],
        kind: Kind::Flag,
        help: "The model gives no times; each window is one segment [default: false]",
        take: |draft, given| {
            draft.wanted.options.tokens.without_timestamps = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["max_initial_timestamp"],
        kind: Kind::Number("SECONDS"),
        help: "The first segment begins no later than this in its window, 0 to 30 [default: as the model has it]",
        take: |draft, given| {
            draft.wanted.options.tokens.max_initial_timestamp = Some(given.seconds(0)?);
            Ok(())
        },
    },
    Field {
        names: &["suppress_tokens"],
        kind: Kind::Number("IDS"),
        help: "Tokens that never come, with commas between them; -1 stands for the model's list of what nobody speaks, none \
               for no list [default: -1]",
        take: suppress,
    },
    Field {
        names: &["suppress_blank"],
        kind: Kind::Flag,
        help: "A text may not begin with a space alone or with its end [default: true]",
        take: |draft, given| {
            draft.wanted.options.tokens.suppress_blank = given.flag()?;
            Ok(())
        },
    },
];

/// `suppress_tokens[]` adds to what stands there in brackets; without brackets it begins anew.
fn suppress(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    let tokens = &mut draft.wanted.options.tokens.suppress;
    if given.key.is_none() || !draft.tokens.bracketed {
        tokens.clear();
    }
    draft.tokens.bracketed = given.key.is_some();
    let parts = if given.is_none() { Vec::new() } else { given.list()? };
    for part in parts {
        if tokens.len() == MOST_SUPPRESSED {
            return Err(given.wrong(format!("at most {MOST_SUPPRESSED} tokens")));
        }
        tokens.push(given.whole_in(&part, -1..=LARGEST_TOKEN)?);
    }
    Ok(())
}
