//! The rest of the interface: ignoring one of these would give an answer that looks like what was asked for and is not.

use super::values::Given;
use super::{Field, Kind};
use crate::http::error::ApiError;

const SPEAKERS: &str = "who speaks when";

/// The value that asks for nothing beyond what we do is let pass.
pub const FIELDS: &[Field] = &[
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

fn unless_empty(given: &Given, what: &'static str) -> Result<(), ApiError> {
    match given.value == "[]" || given.is_none() {
        true => Ok(()),
        false => Err(given.not_offered(what)),
    }
}
