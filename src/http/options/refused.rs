//! The rest of the interface: ignoring one of these would give an answer that looks like what was asked for and is not.

use super::values::Given;
use super::{Field, Kind};
use crate::http::error::ApiError;

const SPEAKERS: &str = "who speaks when";

/// The value that asks for nothing beyond what we do is let pass.
pub const FIELDS: &[Field] = &[
    Field {
        names: &["stream"],
        kind: Kind::HttpAlone,
        help: "The text while it is being made",
        take: |_, given| unless_off(given, "the text while it is being made"),
    },
    Field {
        names: &["include"],
        kind: Kind::HttpAlone,
        help: "logprobs: the log-probability of every token",
        take: |_, given| unless_empty(given, "the log-probability of every token"),
    },
    Field {
        names: &["diarize"],
        kind: Kind::HttpAlone,
        help: "Who speaks when",
        take: |_, given| unless_off(given, SPEAKERS),
    },
    Field {
        names: &["min_speakers", "max_speakers"],
        kind: Kind::HttpAlone,
        help: "How many speakers there are",
        take: |_, given| unless_empty(given, SPEAKERS),
    },
    Field {
        names: &["known_speaker_names", "known_speaker_references"],
        kind: Kind::HttpAlone,
        help: "Who the speakers are",
        take: |_, given| unless_empty(given, SPEAKERS),
    },
];

fn unless_off(given: &Given, what: &'static str) -> Result<(), ApiError> {
    match given.flag()? {
        false => Ok(()),
        true => Err(given.not_offered(what)),
    }
}

fn unless_empty(given: &Given, what: &'static str) -> Result<(), ApiError> {
    match given.value == "[]" || given.is_none() {
        true => Ok(()),
        false => Err(given.not_offered(what)),
    }
}
