//! Fields as they were written out in; `Options` and the answer's layout out, or a sentence about the field that is wrong.
//!
//! One table for everything: the parser, the command line's flags and the test of docs/options.md read it. A field's room
//! is the file of its subject.

mod answer;
mod context;
mod language;
mod long_form;
mod refused;
mod search;
mod speech;
mod subtitles;
mod tokens;
mod values;

#[cfg(test)]
mod tests;

use self::values::Given;
use super::error::ApiError;
use crate::format::{Format, Layout};
use crate::transcript::Options;

/// The whole table, by subject; the titles are those of docs/options.md and of `verbatim transcribe --help`.
pub const SUBJECTS: &[(&str, &[Field])] = &[
    ("Language and task", language::FIELDS),
    ("What the decoder is told", context::FIELDS),
    ("How the text is searched", search::FIELDS),
    ("Tokens and times", tokens::FIELDS),
    ("Long audio", long_form::FIELDS),
    ("Speech and channels", speech::FIELDS),
    ("The answer", answer::FIELDS),
    ("Subtitles", subtitles::FIELDS),
    ("Not offered yet", refused::FIELDS),
];

/// One option of a request.
pub struct Field {
    /// Every spelling; the first is the one that we would use.
    pub names: &'static [&'static str],
    pub kind: Kind,
    /// For `--help`: what it does, what it may be, and what it is where it is not given.
    pub help: &'static str,
    take: Take,
}

type Take = fn(&mut Draft, &Given) -> Result<(), ApiError>;

/// How a field is given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--name` or `--name=false`.
    Flag,
    /// `--name VALUE`, where the value may begin with a minus.
    Number(&'static str),
    Text(&'static str),
    /// `--name A --name B`, or several in one.
    List(&'static str),
    /// Not at all, or by a flag of its own.
    HttpAlone,
}

/// What a request asks for, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub options: Options,
    pub layout: Layout,
    /// The text while it is being made, as events.
    pub stream: bool,
    /// The upload is no file but bare samples: s16le, 16 kHz, mono.
    pub is_raw: bool,
    /// The model's name, where the client gave one.
    pub model: Option<String>,
    /// Fields that mean nothing to us, for a response header: nobody should have to guess what was heeded.
    pub ignored: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        let layout = Layout::new(Format::VerboseJson);
        Wanted {
            options: Options::default(),
            layout,
            stream: false,
            is_raw: false,
            model: None,
            ignored: Vec::new(),
        }
    }
}

/// What is wanted so far, and what cannot be settled before the last field is read.
#[derive(Default)]
struct Draft {
    wanted: Wanted,
    ladder: search::Ladder,
    tokens: tokens::Asked,
    long_form: long_form::Asked,
    speech: speech::Asked,
    answer: answer::Asked,
}

impl Draft {
    fn ignore(&mut self, written: &str) {
        let name = if written.is_empty() { "(unnamed)" } else { written };
        if !self.wanted.ignored.iter().any(|ignored| ignored == name) {
            self.wanted.ignored.push(name.to_owned());
        }
    }
}

/// Of several values of one field the last counts, but those of a list add up. An empty value is one that was not given.
pub fn judge(fields: &[(String, String)]) -> Result<Wanted, ApiError> {
    judge_from(Wanted::default(), fields)
}

/// The same where the route presumes something else.
pub fn judge_from(presumed: Wanted, fields: &[(String, String)]) -> Result<Wanted, ApiError> {
    let mut draft = Draft { wanted: presumed, ..Draft::default() };
    for (written, value) in fields {
        // `keywords[]` is how OpenAI's clients write a list, and `chunking_strategy[type]` an object.
        let (base, key) = match written.split_once('[') {
            Some((base, key)) => (base, Some(key.trim_end_matches(']'))),
            None => (written.as_str(), None),
        };
        match find(base) {
            None => draft.ignore(written),
            Some(_) if value.trim().is_empty() => {}
            Some((field, name)) => (field.take)(&mut draft, &Given { name, key, value: value.trim() })?,
        }
    }
    language::settle(&mut draft)?;
    search::settle(&mut draft)?;
    long_form::settle(&mut draft)?;
    speech::settle(&draft)?;
    answer::settle(&mut draft)?;
    draft.wanted.options.words = draft.wanted.layout.wants_words();
    Ok(draft.wanted)
}

pub fn fields() -> impl Iterator<Item = &'static Field> {
    SUBJECTS.iter().flat_map(|(_, fields)| *fields)
}

/// With the table's own copy of the name.
fn find(name: &str) -> Option<(&'static Field, &'static str)> {
    fields().find_map(|field| {
        let own = field.names.iter().find(|known| **known == name)?;
        Some((field, *own))
    })
}
