//! Which language is spoken, how it is found, and into which the text is put.

use super::values::Given;
use super::{Draft, Field, Kind};
use crate::http::error::ApiError;
use crate::text::language;
use crate::transcript::{Language, Task};

pub const FIELDS: &[Field] = &[
    Field {
        names: &["language"],
        kind: Kind::Text("LANGUAGE"),
        help: "Language spoken: a code, an English name or a tag such as en-US [default: auto, detected]",
        take: |draft, given| {
            let auto = given.value.eq_ignore_ascii_case("auto");
            draft.wanted.options.language = if auto { None } else { Some(parse(given, given.value)?) };
            Ok(())
        },
    },
    Field {
        names: &["languages"],
        kind: Kind::List("LANGUAGES"),
        help: "The languages that it can be, where it is detected; one alone is not detected [default: all]",
        take: |draft, given| {
            for part in given.list()? {
                let language = parse(given, &part)?;
                let among = &mut draft.wanted.options.detection.among;
                if !among.contains(&language) {
                    among.push(language);
                }
            }
            Ok(())
        },
    },
    Field {
        names: &["language_detection_segments"],
        kind: Kind::Number("WINDOWS"),
        help: "Windows that are listened to at most to detect the language, 1 to 100 [default: 4]",
        take: |draft, given| {
            draft.wanted.options.detection.windows = given.whole(1..=100)?;
            Ok(())
        },
    },
    Field {
        names: &["language_detection_threshold"],
        kind: Kind::Number("PROBABILITY"),
        help: "From here on a window's detection is sure, 0 to 1 [default: 0.5]",
        take: |draft, given| {
            draft.wanted.options.detection.threshold = given.number(0.0..=1.0)? as f32;
            Ok(())
        },
    },
    Field {
        names: &["per_window_language", "multilingual"],
        kind: Kind::Flag,
        help: "Each window may have a language of its own [default: false]",
        take: |draft, given| {
            draft.wanted.options.detection.per_window = given.flag()?;
            Ok(())
        },
    },
    Field {
        names: &["task"],
        kind: Kind::Text("TASK"),
        help: "transcribe (in the language spoken) or translate (into English) [default: transcribe]",
        take: |draft, given| {
            let named = |task: &Task| task.name().eq_ignore_ascii_case(given.value);
            let task = [Task::Transcribe, Task::Translate].into_iter().find(named);
            draft.wanted.options.task = task.ok_or_else(|| given.wrong("transcribe or translate"))?;
            Ok(())
        },
    },
    Field {
        names: &["translate"],
        kind: Kind::Flag,
        help: "The same as --task translate",
        take: |draft, given| {
            if given.flag()? {
                draft.wanted.options.task = Task::Translate;
            }
            Ok(())
        },
    },
];

fn parse(given: &Given, part: &str) -> Result<Language, ApiError> {
    let allowed = "a code (en), a name (english) or a tag (en-US)";
    language::parse(part).ok_or_else(|| given.wrong_part(part, allowed))
}

pub(super) fn settle(draft: &mut Draft) -> Result<(), ApiError> {
    let options = &mut draft.wanted.options;
    let among = &mut options.detection.among;
    match options.language {
        None if among.len() == 1 => options.language = among.pop(),
        Some(language) if !among.is_empty() && !among.contains(&language) => {
            let codes: Vec<&str> = among.iter().map(|language| language.code).collect();
            let message = format!(
                "'language' cannot be '{}' where 'languages' has only {}: give one of them or leave one field out",
                language.code,
                codes.join(", ")
            );
            return Err(ApiError::param("language", message));
        }
        _ => {}
    }
    Ok(())
}
