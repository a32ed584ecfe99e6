//! Fields as they were written out in; `Options` and the response format out, or a sentence about the field that is wrong.

use super::error::ApiError;
use crate::format::Format;
use crate::text::language;
use crate::transcript::{Options, Task};

/// What a request asks for, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub options: Options,
    pub format: Format,
    /// The model's name, where the client gave one.
    pub model: Option<String>,
    /// Fields that mean nothing to us, for a response header: nobody should have to guess what was heeded.
    pub ignored: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        let format = Format::VerboseJson;
        Wanted { options: Options::default(), format, model: None, ignored: Vec::new() }
    }
}

/// Of several values of one field the last counts. An empty value is one that was not given.
pub fn judge(fields: &[(String, String)]) -> Result<Wanted, ApiError> {
    let mut wanted = Wanted::default();
    for (name, value) in fields {
        let value = value.trim();
        // `timestamp_granularities[]` is how OpenAI's clients write a list, and `chunking_strategy[type]` an object.
        let base = name.split_once('[').map_or(name.as_str(), |(base, _)| base);
        if value.is_empty() && is_known(base) {
            continue;
        }
        if !take(&mut wanted, base, value)? {
            check_not_offered(&mut wanted, name, base, value)?;
        }
    }
    Ok(wanted)
}

/// The fields that we heed. `false`: it is none of them.
fn take(wanted: &mut Wanted, name: &str, value: &str) -> Result<bool, ApiError> {
    let options = &mut wanted.options;
    match name {
        "language" if value.eq_ignore_ascii_case("auto") => options.language = None,
        "language" => {
            let parsed = language::parse(value);
            options.language = Some(parsed.ok_or_else(|| {
                let message = format!(
                    "'{value}' is not a language: give a code (en), a name (english) or a tag (en-US)"
                );
                ApiError::param("language", message)
            })?);
        }
        "task" => {
            options.task = [Task::Transcribe, Task::Translate]
                .into_iter()
                .find(|task| task.name().eq_ignore_ascii_case(value))
                .ok_or_else(|| {
                    ApiError::param(
                        "task",
                        format!("'{value}' is not a task: choose transcribe or translate"),
                    )
                })?;
        }
        "prompt" | "initial_prompt" => options.context.prompt = Some(value.to_owned()),
        "temperature" => {
            let parsed = value.parse().ok().filter(|number| (0.0..=1.0).contains(number));
            options.fallback.temperatures = vec![parsed.ok_or_else(|| {
                ApiError::param("temperature", format!("'{value}' is not a number between 0 and 1"))
            })?];
        }
        "response_format" | "output" | "format" if value.eq_ignore_ascii_case("diarized_json") => {
            return Err(not_offered(name, "who speaks when"));
        }
        "response_format" | "output" | "format" => {
            let parsed: Result<Format, _> = value.parse();
            wanted.format = parsed.map_err(|error| ApiError::param("response_format", error.to_string()))?;
        }
        "model" => wanted.model = Some(value.to_owned()),
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a value of a field asks for that we do not have. The value that asks for nothing beyond what we do is let pass.
#[derive(Clone, Copy)]
enum Asks {
    /// Any value but false.
    Flag(&'static str),
    /// Any value that is not in the list.
    Unless(&'static [&'static str], &'static str),
}

/// The rest of the interface. Ignoring one of these would give an answer that looks like what was asked for and is not.
const NOT_OFFERED: &[(&str, Asks)] = &[
    ("timestamp_granularities", Asks::Unless(&["segment", "[\"segment\"]", "[]"], "word timestamps")),
    ("word_timestamps", Asks::Flag("word timestamps")),
    ("stream", Asks::Flag("the text while it is being made")),
    ("vad", Asks::Flag("voice activity detection")),
    ("vad_filter", Asks::Flag("voice activity detection")),
    ("chunking_strategy", Asks::Unless(&["auto", "\"auto\"", "null"], "voice activity detection")),
    ("include", Asks::Unless(&["[]"], "the log-probability of every token")),
    ("diarize", Asks::Flag("who speaks when")),
    ("min_speakers", Asks::Unless(&[], "who speaks when")),
    ("max_speakers", Asks::Unless(&[], "who speaks when")),
    ("known_speaker_names", Asks::Unless(&["[]"], "who speaks when")),
    ("known_speaker_references", Asks::Unless(&["[]"], "who speaks when")),
    ("languages", Asks::Unless(&["[]"], "a choice among several languages")),
    ("keywords", Asks::Unless(&["[]"], "a vocabulary")),
    ("hotwords", Asks::Unless(&[], "a vocabulary")),
    ("beam_size", Asks::Unless(&["1"], "beam search")),
    ("best_of", Asks::Unless(&["1"], "the best of several attempts")),
];

fn is_known(base: &str) -> bool {
    let heeded = ["language", "task", "prompt", "initial_prompt", "temperature", "model"];
    let formats = ["response_format", "output", "format"];
    heeded.contains(&base) || formats.contains(&base) || NOT_OFFERED.iter().any(|(name, _)| *name == base)
}

fn check_not_offered(wanted: &mut Wanted, name: &str, base: &str, value: &str) -> Result<(), ApiError> {
    let Some((_, asks)) = NOT_OFFERED.iter().find(|(known, _)| *known == base) else {
        let name = if name.is_empty() { "(unnamed)" } else { name };
        if !wanted.ignored.iter().any(|ignored| ignored == name) {
            wanted.ignored.push(name.to_owned());
        }
        return Ok(());
    };
    match asks {
        Asks::Flag(what) => match parse_flag(value) {
            Some(false) => Ok(()),
            Some(true) => Err(not_offered(name, what)),
            None => {
                let message = format!("'{value}' is not a yes or no for '{base}': give true or false");
                Err(ApiError::BadRequest { param: Some(known_name(base)), message })
            }
        },
        Asks::Unless(harmless, _) if harmless.contains(&value) => Ok(()),
        Asks::Unless(_, what) => Err(not_offered(name, what)),
    }
}

/// The table's own copy of a name that is in it.
fn known_name(base: &str) -> &'static str {
    NOT_OFFERED.iter().find(|(name, _)| *name == base).map_or("", |(name, _)| name)
}

/// `null` is how JSON-minded clients write a flag that is not set.
fn parse_flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" | "null" | "none" => Some(false),
        _ => None,
    }
}

fn not_offered(name: &str, what: &'static str) -> ApiError {
    ApiError::NotOffered { param: name.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_pairs(pairs: &[(&str, &str)]) -> Result<Wanted, String> {
        let fields: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        judge(&fields).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_is_verbose_json_in_whatever_language() {
        assert_eq!(judge_pairs(&[]), Ok(Wanted::default()));
        let empty =
            [("language", ""), ("temperature", " "), ("response_format", ""), ("stream", ""), ("vad", "")];
        assert_eq!(judge_pairs(&empty), Ok(Wanted::default()));
    }

    #[test]
    fn what_is_given_is_heeded_and_the_last_word_counts() {
        let fields = [
            ("language", "de"),
            ("language", "en-US"),
            ("task", "Translate"),
            ("prompt", " Dr. Ruiz "),
            ("temperature", "0.4"),
            ("output", "srt"),
            ("model", "whisper-1"),
        ];
        let wanted = judge_pairs(&fields).unwrap();
        assert_eq!(wanted.options.language, language::by_code("en"));
        assert_eq!(wanted.options.task, Task::Translate);
        assert_eq!(wanted.options.context.prompt.as_deref(), Some("Dr. Ruiz"));
        assert_eq!(wanted.options.fallback.temperatures, [0.4]);
        assert_eq!(wanted.format, Format::Srt);
        assert_eq!(wanted.model.as_deref(), Some("whisper-1"));
    }

    #[test]
    fn wrong_values_are_named() {
        for (name, value) in [
            ("language", "klingon"),
            ("task", "summarise"),
            ("temperature", "warm"),
            ("temperature", "1.1"),
            ("temperature", "-0.1"),
            ("temperature", "NaN"),
            ("response_format", "docx"),
            ("stream", "perhaps"),
        ] {
            let message = judge_pairs(&[(name, value)]).unwrap_err();
            assert!(message.contains(value), "{name}={value}: {message}");
        }
    }

    #[test]
    fn what_we_do_not_have_is_refused_and_never_ignored() {
        for (name, value) in [
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities", "segment,word"),
            ("stream", "true"),
            ("vad", "1"),
            ("chunking_strategy[type]", "server_vad"),
            ("include[]", "logprobs"),
            ("response_format", "diarized_json"),
            ("beam_size", "5"),
            ("hotwords", "Metformin"),
        ] {
            let message = judge_pairs(&[(name, value)]).unwrap_err();
            assert!(message.contains("not offer"), "{name}={value}: {message}");
        }
    }

    #[test]
    fn what_asks_for_nothing_more_is_let_pass() {
        let fields = [
            ("timestamp_granularities[]", "segment"),
            ("stream", "false"),
            ("vad", "off"),
            ("chunking_strategy", "auto"),
            ("beam_size", "1"),
        ];
        assert_eq!(judge_pairs(&fields), Ok(Wanted::default()));
    }

    #[test]
    fn unknown_fields_are_named_once() {
        let wanted = judge_pairs(&[("colour", "red"), ("user", ""), ("colour", "blue")]).unwrap();
        assert_eq!(wanted.ignored, ["colour", "user"]);
    }
}
