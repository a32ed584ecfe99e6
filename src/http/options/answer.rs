//! Which model answers and in which format.

use super::{Field, Kind};

pub const FIELDS: &[Field] = &[
    Field {
        names: &["model"],
        kind: Kind::HttpAlone,
        help: "The loaded model's name, or whisper-1",
        take: |draft, given| {
            draft.wanted.model = Some(given.value.to_owned());
            Ok(())
        },
    },
    Field {
        names: &["response_format", "output", "format"],
        kind: Kind::HttpAlone,
        help: "json, verbose_json, text, srt, vtt or tsv",
        take: |draft, given| {
            if given.value.eq_ignore_ascii_case("diarized_json") {
                return Err(given.not_offered("who speaks when"));
            }
            given.lay(&mut draft.wanted.layout)
        },
    },
];
