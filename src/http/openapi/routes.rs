//! Every route once: its method, what it is for, what it takes, what it answers.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Content, ObjectBuilder, Paths, Required, ResponseBuilder, SecurityRequirement, Tag};

use super::answers::{errors, finished, json, named, plain, text, transcript, written};
use super::forms::{fields, upload};
use super::jobs;

/// Of any route with a body.
const SENT: &[&str] = &["400", "401", "403", "408", "413", "429", "500", "503"];
/// Of those that transcribe, too.
const HEARD: &[&str] = &["400", "401", "403", "404", "408", "409", "413", "415", "429", "500", "503", "504"];
/// Of those that only look.
pub(super) const LOOKED: &[&str] = &["400", "401", "403", "500"];

const TRANSCRIPTION: &str = "Transcription";
const DICTATION: &str = "Dictation";
const REALTIME: &str = "Realtime";
pub(super) const JOBS: &str = "Jobs";
const OPERATION: &str = "Operation";

pub fn tags() -> [Tag; 5] {
    let tag = |name, says: &str| {
        let mut tag = Tag::new(name);
        tag.description = Some(says.to_owned());
        tag
    };
    [
        tag(TRANSCRIPTION, "A recording in, its text out."),
        tag(DICTATION, "A recording that is still being made, chunk by chunk; nothing of it is lost."),
        tag(JOBS, "Many recordings in one call, worked off in turn, whatever happens meanwhile."),
        tag(REALTIME, "A websocket."),
        tag(OPERATION, "For those who run the server."),
    ]
}

pub fn paths() -> Paths {
    let mut paths = Paths::new();
    let mut add = |path: &str, method: HttpMethod, operation: OperationBuilder| {
        let name = operation_id(path, &method);
        paths.add_path_operation(path, vec![method], operation.operation_id(Some(name)).build());
    };
    for (path, summary) in [
        ("/transcribe", "A transcript, as verbose_json unless told otherwise"),
        ("/v1/audio/transcriptions", "OpenAI's: a transcript, as json unless told otherwise"),
        ("/v1/audio/translations", "OpenAI's: a transcript in English, whatever is spoken"),
        ("/asr", "As Bazarr asks: a transcript, as text unless told otherwise"),
    ] {
        let form = Some(upload("TranscriptionForm"));
        let operation = heard(summary).parameter(idempotency()).request_body(form);
        add(path, HttpMethod::Post, operation.response("200", transcript()));
    }
    add(
        "/detect-language",
        HttpMethod::Post,
        heard("As Bazarr asks: the language of the first speech")
            .request_body(Some(upload("TranscriptionForm")))
            .response("200", json("The likeliest language.", named("DetectedLanguage"))),
    );
    add(
        "/v1/subtitles",
        HttpMethod::Post,
        operation(TRANSCRIPTION, "A stored transcript in another format, without its audio", SENT)
            .request_body(Some(upload("SubtitlesForm")))
            .response("200", written(json("The same transcript.", named("TranscriptionVerbose")))),
    );
    add(
        "/v1/models",
        HttpMethod::Get,
        operation(TRANSCRIPTION, "OpenAI's: the loaded model under each of its names", LOOKED)
            .response("200", json("A list.", named("Models"))),
    );
    add(
        "/v1/models/{model}",
        HttpMethod::Get,
        operation(TRANSCRIPTION, "OpenAI's: one model", &["401", "403", "404", "500"])
            .parameter(in_path("model", "Its name, which may hold a slash."))
            .response("200", json("It is loaded.", named("Model"))),
    );
    add(
        "/v1/realtime",
        HttpMethod::Get,
        operation(
            REALTIME,
            "OpenAI's realtime transcription, as a websocket: docs/realtime.md",
            &["400", "401", "403", "404", "429", "500", "503"],
        )
        .parameter(in_query("model", Type::String, "The loaded model's name, or whisper-1."))
        .parameter(in_query("intent", Type::String, "transcription"))
        .response("101", ResponseBuilder::new().description("The websocket is open."))
        .response("426", plain("No websocket was asked for.")),
    );
    let session = || in_path("id", "The session's.");
    add(
        "/v1/sessions",
        HttpMethod::Post,
        dictated("A dictation begins", SENT)
            .request_body(Some(fields("SessionForm")))
            .response("201", json("It is open.", named("Session")))
            .response("200", json("One of that name is open already.", named("Session"))),
    );
    add(
        "/v1/sessions/{id}",
        HttpMethod::Put,
        dictated("The same under a name that the client chose: again and again is once", SENT)
            .parameter(session())
            .request_body(Some(fields("SessionForm")))
            .response("201", json("It is open.", named("Session")))
            .response("200", json("It was open already.", named("Session"))),
    );
    add(
        "/v1/sessions/{id}",
        HttpMethod::Get,
        dictated("How it stands, and what is to be sent again", LOOKED)
            .parameter(session())
            .response("200", json("The text so far.", named("Session"))),
    );
    add(
        "/v1/sessions/{id}",
        HttpMethod::Delete,
        dictated("It is forgotten", LOOKED)
            .parameter(session())
            .response("204", ResponseBuilder::new().description("It is gone.")),
    );
    add(
        "/v1/sessions/{id}/chunks",
        HttpMethod::Post,
        dictated("The next piece of audio; again and again is once", HEARD)
            .parameters(Some(terms()))
            .parameter(session())
            .parameter(required(in_query(
                "seq",
                Type::Integer,
                "Its number: 0, 1, 2 …; out of order within a bound.",
            )))
            .request_body(Some(upload("SessionChunkForm")))
            .response("200", json("What stands, and what may still change.", named("SessionChunk"))),
    );
    add(
        "/v1/sessions/{id}/finish",
        HttpMethod::Post,
        dictated("The whole take is decoded anew", HEARD)
            .parameters(Some(terms()))
            .parameter(session())
            .request_body(Some(fields("SessionFinishForm")))
            .response("200", finished()),
    );
    jobs::add(&mut add);
    add(
        "/",
        HttpMethod::Get,
        operation(OPERATION, "What there is: the page, where `text/html` is asked for", LOOKED).response(
            "200",
            plain("The routes in a few lines.").content("text/html", Content::new(Some(text()))),
        ),
    );
    let info = json("The device and what is done with it.", named("GpuInfo"));
    add(
        "/gpu-info",
        HttpMethod::Get,
        operation(OPERATION, "The device, its driver, the model on it and the work at hand", LOOKED)
            .parameter(in_query("format", Type::String, "text: for a terminal."))
            .response("200", info.content("text/plain", Content::new(Some(text())))),
    );
    add(
        "/livez",
        HttpMethod::Get,
        open("The process is alive").response("200", json("It is.", named("Alive"))),
    );
    for path in ["/readyz", "/health"] {
        let ready = open("Work is welcome").response("200", json("The model is warm.", named("Ready")));
        add(path, HttpMethod::Get, ready.responses_of(&["503"]));
    }
    add(
        "/metrics",
        HttpMethod::Get,
        operation(OPERATION, "For Prometheus", LOOKED)
            .response("200", plain("Metrics in Prometheus' text format.")),
    );
    paths
}

/// A route that transcribes.
fn heard(summary: &str) -> OperationBuilder {
    operation(TRANSCRIPTION, summary, HEARD).parameters(Some(terms()))
}

/// A session's.
fn dictated(summary: &str, statuses: &[&str]) -> OperationBuilder {
    operation(DICTATION, summary, statuses).responses_of(&["404", "409", "410"])
}

fn open(summary: &str) -> OperationBuilder {
    operation(OPERATION, summary, &["500"]).security(SecurityRequirement::default())
}

pub(super) fn operation(tag: &str, summary: &str, statuses: &[&str]) -> OperationBuilder {
    OperationBuilder::new().tag(tag).summary(Some(summary)).responses_of(statuses)
}

pub(super) trait Answers {
    fn responses_of(self, statuses: &[&str]) -> Self;
}

impl Answers for OperationBuilder {
    fn responses_of(self, statuses: &[&str]) -> Self {
        errors(statuses)
            .into_iter()
            .fold(self, |operation, (status, response)| operation.response(status, response))
    }
}

/// Until when an answer is wanted, and who goes first.
fn terms() -> [Parameter; 3] {
    let deadline = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(86_400_000));
    let priority = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["auto", "batch"]));
    [
        header("X-Deadline-Ms", deadline, "What is not done by then is not done at all: 504."),
        header("X-Priority", priority, "batch: let short recordings go first, however short this one is."),
        header(
            "X-Request-Id",
            ObjectBuilder::new().schema_type(Type::String),
            "Comes back, and stands in the log.",
        ),
    ]
}

pub(super) fn idempotency() -> Parameter {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    header(
        "Idempotency-Key",
        key,
        "A request under the key of one that runs, or ran a moment ago, gets that one's answer.",
    )
}

pub(super) fn header(name: &str, schema: ObjectBuilder, says: &str) -> Parameter {
    let parameter =
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
    parameter.schema(Some(schema)).description(Some(says)).build()
}

pub(super) fn in_query(name: &str, kind: Type, says: &str) -> Parameter {
    let parameter =
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(says)).build()
}

fn required(parameter: Parameter) -> Parameter {
    ParameterBuilder::from(parameter).required(Required::True).build()
}

pub(super) fn in_path(name: &str, says: &str) -> Parameter {
    let parameter =
        ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.schema(Some(ObjectBuilder::new().schema_type(Type::String))).description(Some(says)).build()
}

/// `post_v1_sessions_id_chunks`: what generated clients call it.
fn operation_id(path: &str, method: &HttpMethod) -> String {
    let verb = match method {
        HttpMethod::Get => "get",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        _ => "post",
    };
    let words =
        path.split(['/', '-']).filter(|word| !word.is_empty()).map(|word| word.trim_matches(['{', '}']));
    std::iter::once(verb).chain(words).collect::<Vec<_>>().join("_")
}
