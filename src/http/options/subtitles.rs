//! How subtitles are cut. The command line has these as flags of their own, which its verb for stored transcripts shares.

use super::values::Given;
use super::{Draft, Field, Kind};
use crate::http::error::ApiError;

pub const FIELDS: &[Field] = &[
    field(&["subtitles"], "tidy cuts cues and lines for reading; plain is one cue a segment"),
    field(&["max_line_width"], "Columns of a line at most, 1 to 1000"),
    field(&["max_line_count"], "Lines of a cue at most, 1 to 100"),
    field(&["max_cue_seconds"], "Longest cue, 0.1 to 3600"),
    field(&["min_cue_seconds"], "Shorter cues stay longer, where nothing follows, 0 to 3600"),
    field(&["max_cps"], "Characters a second: denser cues stay longer, where nothing follows, 1 to 1000"),
    field(&["max_words_per_line"], "Words of a line at most, 1 to 1000"),
    field(&["highlight_words"], "Show which word is being said"),
];

const fn field(names: &'static [&'static str], help: &'static str) -> Field {
    Field { names, kind: Kind::HttpAlone, help, take: lay }
}

fn lay(draft: &mut Draft, given: &Given) -> Result<(), ApiError> {
    given.lay(&mut draft.wanted.layout)
}
