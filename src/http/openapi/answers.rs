//! What comes back: the types that the handlers serialise in, named schemas and responses out.

use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
};

use crate::format::{Diarized, SaidJson, Short, Verbose, stream};
use crate::http::asr::Detected;
use crate::http::error::Envelope;
use crate::http::gpu_info::Info;
use crate::http::health::{Alive, Ready};
use crate::http::jobs::{Estimate, ItemJson, JobJson, JobList};
use crate::http::models::{Model, Models};
use crate::http::sessions::{Ended, Heard, Standing};

/// Statuses of errors that any route with a body may answer, and what they say of themselves.
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "400",
        "BadRequest",
        "A field has a value that it cannot have (`param` names it), or the audio is empty or damaged.",
    ),
    ("401", "Unauthorized", "There is no key, or none that is known here."),
    ("403", "Forbidden", "A web page from an origin that `server.cors_origins` does not list."),
    ("404", "NotFound", "No such route, model, session or job."),
    ("405", "MethodNotAllowed", "The route does not answer this method."),
    ("408", "UploadTooSlow", "The upload came too slowly."),
    (
        "409",
        "Conflict",
        "The `Idempotency-Key` was used for something else, or the chunk does not fit its session.",
    ),
    ("410", "Gone", "The session has ended."),
    (
        "413",
        "TooLarge",
        "The upload, the audio in it or the dictation is larger than a setting allows, which is named.",
    ),
    ("415", "UnsupportedType", "The upload is no audio that can be decoded here."),
    ("429", "QuotaUsedUp", "The key's own quota; `Retry-After` says until when."),
    ("500", "Internal", "A fault of the server's."),
    ("503", "Unavailable", "Not ready, full, or its device restarts; `Retry-After` says when to ask again."),
    ("504", "TooLate", "The deadline of the request or of the server has passed."),
];

pub fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    let mut schemas = Vec::new();
    collect::<Short>(&mut schemas);
    collect::<Verbose>(&mut schemas);
    collect::<Diarized>(&mut schemas);
    collect::<SaidJson>(&mut schemas);
    collect::<stream::Delta>(&mut schemas);
    collect::<stream::Done>(&mut schemas);
    collect::<Models>(&mut schemas);
    collect::<Model>(&mut schemas);
    collect::<Detected>(&mut schemas);
    collect::<Standing>(&mut schemas);
    collect::<Heard>(&mut schemas);
    collect::<Ended>(&mut schemas);
    collect::<JobJson>(&mut schemas);
    collect::<ItemJson>(&mut schemas);
    collect::<JobList>(&mut schemas);
    collect::<Estimate>(&mut schemas);
    collect::<Info>(&mut schemas);
    collect::<Alive>(&mut schemas);
    collect::<Ready>(&mut schemas);
    collect::<Envelope>(&mut schemas);
    let components = components.schemas_from_iter(schemas);
    ERRORS.iter().fold(components, |components, (_, name, says)| components.response(*name, error(says)))
}

/// A type and those that it is made of.
fn collect<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn error(says: &str) -> Response {
    json(says, named("Error")).header("Retry-After", header(Type::Integer, "Seconds, 1 to 120.")).build()
}

/// Those of `statuses`; every one that any route can answer is among `ERRORS`.
pub fn errors(statuses: &[&str]) -> Vec<(String, RefOr<Response>)> {
    let rows = ERRORS.iter().filter(|(status, ..)| statuses.contains(status));
    rows.map(|(status, name, _)| ((*status).to_owned(), RefOr::Ref(Ref::from_response_name(*name)))).collect()
}

pub fn named(schema: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(schema))
}

/// Not `oneOf`: the short form's fields are among the long form's.
fn any_of(schemas: &[&str]) -> RefOr<Schema> {
    schemas.iter().fold(AnyOfBuilder::new(), |all, name| all.item(named(name))).into()
}

pub fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

pub fn json(says: &str, schema: RefOr<Schema>) -> ResponseBuilder {
    ResponseBuilder::new().description(says).content("application/json", Content::new(Some(schema)))
}

pub fn plain(says: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(says).content("text/plain", Content::new(Some(text())))
}

/// A transcript in the format that was asked for.
pub fn transcript() -> ResponseBuilder {
    let forms = any_of(&["Transcription", "TranscriptionVerbose", "TranscriptionDiarized"]);
    let response = told(json("The transcript, in the `response_format` that was asked for.", forms));
    let says = "With `stream=true`: the `data` of each event is a `DeltaEvent` or a `DiarizedSegment`, that of the last a `DoneEvent` or an `Error`.";
    events(written(response), says)
}

/// Server-sent events. What the parts of a stream are can only be said from OpenAPI 3.2 on, so this says it in words, and leaves
/// open whether a reader takes it for one text or for its events.
pub fn events(response: ResponseBuilder, says: &str) -> ResponseBuilder {
    let events = ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(says));
    response.content("text/event-stream", Content::new(Some(events)))
}

/// The transcript of a whole dictation.
pub fn finished() -> ResponseBuilder {
    let forms = any_of(&["Transcription", "TranscriptionVerbose"]);
    let whole = AllOfBuilder::new().item(forms).item(named("SessionFinish"));
    let response = told(json("The transcript of the whole take, decoded anew.", whole.into()));
    let changes = header(Type::Integer, "How many words are not what was heard on the way.");
    written(response).header("x-verbatim-changes", changes)
}

/// The same transcript as subtitles or text.
pub fn written(response: ResponseBuilder) -> ResponseBuilder {
    ["text/plain", "application/x-subrip", "text/vtt", "text/tab-separated-values"]
        .into_iter()
        .fold(response, |response, kind| response.content(kind, Content::new(Some(text()))))
}

fn told(response: ResponseBuilder) -> ResponseBuilder {
    response
        .header("Server-Timing", header(Type::String, "Milliseconds by stage."))
        .header("x-verbatim-ignored", header(Type::String, "Fields that mean nothing here."))
        .header(
            "x-verbatim-dropped",
            header(Type::Integer, "Passages whose text was withheld; `verbose_json` has them."),
        )
        .header(
            "x-verbatim-incomplete",
            header(Type::String, "Where the audio ends before its file says that it should."),
        )
}

fn header(kind: Type, says: &str) -> Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(says)).build()
}
