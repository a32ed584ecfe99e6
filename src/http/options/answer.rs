//! Which model answers, in which format, and whether while it is being made.

use super::{Draft, Field, Kind};
use crate::format::Format;
use crate::http::error::ApiError;
use crate::transcript::Channels;

/// What depends on fields that may follow.
#[derive(Default)]
pub(super) struct Asked {
    diarize: bool,
}

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
        help: "json, verbose_json, diarized_json, text, srt, vtt or tsv",
        take: |draft, given| given.lay(&mut draft.wanted.layout),
    },
    Field {
        names: &["stream"],
        kind: Kind::HttpAlone,
        help: "The text while it is being made, as server-sent events",
        take: |draft, given| {
            draft.wanted.stream = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["include"],
        kind: Kind::HttpAlone,
        help: "logprobs: json lists the log-probability of every token",
        take: |draft, given| {
            if given.is_none() {
                return Ok(());
            }
            for part in given.list()? {
                match part.as_str() {
                    "logprobs" => draft.wanted.layout.logprobs = true,
                    _ => return Err(given.wrong_part(&part, "logprobs")),
                }
            }
            Ok(())
        },
    },
    Field {
        names: &["diarize"],
        kind: Kind::HttpAlone,
        help: "Who speaks when, where each speaker has a channel (channels=split)",
        take: |draft, given| {
            draft.answer.diarize = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["encode"],
        kind: Kind::HttpAlone,
        help: "no: the upload is bare samples (s16le, 16 kHz, mono), as Bazarr sends them",
        take: |draft, given| {
            draft.wanted.is_raw = !given.flag()?;
            Ok(())
        },
    },
];

pub(super) fn settle(draft: &mut Draft) -> Result<(), ApiError> {
    let layout = &draft.wanted.layout;
    if draft.wanted.options.channels != Channels::Split {
        let param = match (draft.answer.diarize, layout.format) {
            (true, _) => Some("diarize"),
            (_, Format::DiarizedJson) => Some("response_format"),
            _ => None,
        };
        if let Some(param) = param {
            let what = "who speaks when by the sound of a voice (where each speaker has a channel, add channels=split)";
            return Err(ApiError::NotOffered { param: param.to_owned(), what });
        }
    }
    if layout.logprobs && layout.format != Format::Json {
        return Err(ApiError::param(
            "include",
            "'include' can hold 'logprobs' only with response_format=json",
        ));
    }
    if draft.wanted.stream && matches!(layout.format, Format::Srt | Format::Vtt | Format::Tsv) {
        let message = format!(
            "'stream' goes with response_format json, text, verbose_json or diarized_json, not with {}",
            layout.format.name()
        );
        return Err(ApiError::param("stream", message));
    }
    Ok(())
}
