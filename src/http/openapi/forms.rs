//! What goes in: the table of options in, a schema for each form out.

use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{ComponentsBuilder, Content, ObjectBuilder, RefOr, Required, Schema};

use super::answers::named;
use crate::format::Format;
use crate::http::options::{self, Field, Kind};

/// Fields whose values are a few words.
const WORDS: &[(&str, &[&str])] = &[
    ("task", &["transcribe", "translate"]),
    ("long_form", &["independent", "sequential"]),
    ("channels", &["mix", "split"]),
    ("include", &["logprobs"]),
    ("timestamp_granularities", &["word", "segment"]),
    ("subtitles", &["plain", "tidy"]),
];
/// What fields are that the command line does not have.
const HTTP_ALONE: &[(&str, Type)] = &[
    ("timestamp_granularities", Type::Array),
    ("model", Type::String),
    ("response_format", Type::String),
    ("stream", Type::Boolean),
    ("include", Type::Array),
    ("diarize", Type::Boolean),
    ("encode", Type::Boolean),
    ("subtitles", Type::String),
    ("max_line_width", Type::Integer),
    ("max_line_count", Type::Integer),
    ("max_cue_seconds", Type::Number),
    ("min_cue_seconds", Type::Number),
    ("max_cps", Type::Number),
    ("max_words_per_line", Type::Integer),
    ("highlight_words", Type::Boolean),
    ("min_speakers", Type::Integer),
    ("known_speaker_names", Type::Array),
];

pub fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    let all: Vec<&Field> = options::fields().collect();
    let layout = options::SUBJECTS
        .iter()
        .filter(|(subject, _)| *subject == "Subtitles")
        .flat_map(|(_, fields)| *fields);
    let format = all.iter().copied().filter(|field| {
        ["response_format", "word_timestamps", "timestamp_granularities"].contains(&field.names[0])
    });
    let subtitles: Vec<&Field> = format.chain(layout).collect();
    let opening = [
        ("id", word("The client's own name for it: letters, digits, `-` and `_`, at most 64.")),
        ("live_prompt", flag("What was committed is told to the decoder when it goes on.")),
    ];
    let ending = [
        ("allow_missing", flag("Finish although chunks are missing.")),
        ("chunks", typed(Type::Integer).description(Some("How many chunks were sent."))),
    ];
    components
        .schema("TranscriptionForm", with_file(options(&all), "The recording; also as `audio_file`."))
        .schema(
            "SubtitlesForm",
            with_file(options(&subtitles), "A stored `verbose_json`, or another program's."),
        )
        .schema(
            "JobForm",
            with(
                with_file(options(&all), "A recording or an archive of them; as often as there are."),
                job(),
            ),
        )
        .schema("SessionForm", with(with(options(&all), opening), chunking()))
        .schema(
            "SessionChunkForm",
            with_file(with(ObjectBuilder::new(), chunking()), "The next piece of audio."),
        )
        .schema("SessionFinishForm", with(options(&all), ending))
}

/// A form with a file, or the file alone as the body.
pub fn upload(form: &str) -> RequestBody {
    let bare = binary("The file itself; its options are in the query.");
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("multipart/form-data", Content::new(Some(named(form))))
        .content("application/octet-stream", Content::new(Some(bare)))
        .build()
}

/// Options without a file; none at all is fine.
pub fn fields(form: &str) -> RequestBody {
    let kinds = ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"];
    kinds
        .into_iter()
        .fold(RequestBodyBuilder::new(), |body, kind| body.content(kind, Content::new(Some(named(form)))))
        .build()
}

fn with_file(form: ObjectBuilder, says: &str) -> ObjectBuilder {
    form.property("file", binary(says)).required("file")
}

fn binary(says: &str) -> ObjectBuilder {
    typed(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).description(Some(says))
}

/// What is said of a job beside what is wanted of its files.
fn job() -> [(&'static str, ObjectBuilder); 4] {
    [
        ("url", word("Where a recording is, if jobs.allow_urls says so; as often as there are.")),
        ("name", word("What the client calls it.")),
        ("priority", word("Which jobs go first.").enum_values(Some(["high", "normal", "low"]))),
        ("webhook_url", word("Who is told when it has ended: docs/jobs.md.")),
    ]
}

/// How a dictation's chunks come, once for all of them or with each.
fn chunking() -> [(&'static str, ObjectBuilder); 3] {
    let format = word("`file`: each chunk is a file; `stream`: pieces of one; `s16le`: bare samples.");
    let whole = |least: u32, most: u32| typed(Type::Integer).minimum(Some(least)).maximum(Some(most));
    [
        ("format", format.enum_values(Some(["file", "stream", "s16le"]))),
        ("rate", whole(4_000, 192_000).description(Some("Samples a second, of bare samples."))),
        ("overlap_ms", whole(0, 30_000).description(Some("What each chunk repeats of the one before."))),
    ]
}

fn with(form: ObjectBuilder, more: impl IntoIterator<Item = (&'static str, ObjectBuilder)>) -> ObjectBuilder {
    more.into_iter().fold(form, |form, (name, schema)| form.property(name, schema))
}

fn options(fields: &[&Field]) -> ObjectBuilder {
    fields.iter().fold(ObjectBuilder::new(), |form, field| form.property(field.names[0], option(field)))
}

fn option(field: &Field) -> RefOr<Schema> {
    let name = field.names[0];
    let words = WORDS.iter().find(|(known, _)| *known == name).map(|(_, words)| words.to_vec());
    let words = if name == "response_format" { Some(Format::ALL.map(Format::name).to_vec()) } else { words };
    let says = says(field);
    let kind = kind(field);
    if kind == Type::Array {
        let item = ObjectBuilder::new().schema_type(Type::String).enum_values(words);
        return ArrayBuilder::new().items(item).description(Some(says)).into();
    }
    // A threshold may be switched off, and numbers may come as a list.
    let or_word = matches!(field.kind, Kind::Number(_)) && (says.contains("none") || says.contains("commas"));
    let kinds = if or_word { SchemaType::from_iter([kind, Type::String]) } else { SchemaType::new(kind) };
    ObjectBuilder::new().schema_type(kinds).enum_values(words).description(Some(says)).into()
}

fn kind(field: &Field) -> Type {
    match field.kind {
        Kind::Flag => Type::Boolean,
        Kind::Number(_) => Type::Number,
        Kind::Text(_) => Type::String,
        Kind::List(_) => Type::Array,
        Kind::HttpAlone => {
            let row = HTTP_ALONE.iter().find(|(name, _)| *name == field.names[0]);
            row.unwrap_or_else(|| panic!("what is {}?", field.names[0])).1.clone()
        }
    }
}

/// The help of the command line, in the words of a form.
fn says(field: &Field) -> String {
    let as_field = |word: &str| match word.strip_prefix("--") {
        Some(flag) => flag.replace('-', "_"),
        None => word.to_owned(),
    };
    let help: Vec<String> = field.help.split_whitespace().map(as_field).collect();
    let help = help.join(" ");
    match field.names {
        [_] => help,
        [_, others @ ..] => format!("{help}. Also: {}", others.join(", ")),
        [] => help,
    }
}

fn typed(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

fn word(says: &str) -> ObjectBuilder {
    typed(Type::String).description(Some(says))
}

fn flag(says: &str) -> ObjectBuilder {
    typed(Type::Boolean).description(Some(says))
}
