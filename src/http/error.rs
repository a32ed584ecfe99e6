//! Every way in which a request can fail in; its status, headers and OpenAI-shaped body out, from one table.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::audio::AudioError;
use crate::engine::EngineError;
use crate::live::realtime::Failure;
use crate::live::take::Take;
use crate::transcriber::TranscribeError;

/// `Display` is the sentence that the client reads.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{message}")]
    BadRequest { param: Option<&'static str>, message: String },
    /// Part of the interface, but this version cannot do it; better said than ignored.
    #[error("'{param}' asks for {what}, which this server does not offer yet")]
    NotOffered { param: String, what: &'static str },
    #[error("the model '{asked}' is not loaded; this server answers with '{loaded}'")]
    UnknownModel { asked: String, loaded: String },
    #[error("the upload is larger than {limit} bytes (limit set by {setting})")]
    BodyTooLarge { limit: u64, setting: &'static str },
    #[error(
        "this server has no model of its own (serve --no-model): hand the audio in as a job, with POST /v1/jobs or the header \
         'Prefer: respond-async'"
    )]
    NoModel,
    #[error("{0}")]
    JobNotFound(String),
    #[error("{0}")]
    UnsupportedType(String),
    #[error("the upload came too slowly: {0}")]
    SlowUpload(String),
    /// The client ended the upload early. Nobody reads this answer; the log does.
    #[error("the upload broke off: {0}")]
    BrokenUpload(String),
    #[error("You didn't provide an API key. Send it as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'.")]
    NoKey,
    /// As `keys::masked` shows it.
    #[error("Incorrect API key provided: {0}.")]
    WrongKey(String),
    #[error("pages from {0:?} may not use this server (server.cors_origins lists those that may)")]
    ForeignOrigin(String),
    /// A quota of the caller's own key; the server itself has room.
    #[error("{message}; try again in {retry_after} s")]
    Quota { code: &'static str, message: String, retry_after: u64 },
    #[error("this Idempotency-Key was used for another file or other options; a new request needs a new one")]
    KeyReused,
    #[error("no such route: {0}; GET / names those there are")]
    NotFound(String),
    #[error("this route does not answer {0}")]
    MethodNotAllowed(String),
    /// `what`: what there is no more room for, as the metrics call it; `full`: the same for people, and the setting that says how much
    /// there is.
    #[error("{full}; try again in {retry_after} s")]
    Busy { what: &'static str, full: String, retry_after: u64 },
    #[error("the server is not ready: {0}")]
    NotReady(String),
    #[error("the transcription took longer than {seconds} s (limit set by server.request_timeout_seconds)")]
    Timeout { seconds: f64 },
    #[error("{0}")]
    SessionNotFound(String),
    #[error("{0}")]
    SessionExpired(String),
    /// What came does not fit what is there; `next`: what would.
    #[error("{message}")]
    Conflict { code: &'static str, message: String, next: Option<Next> },
    #[error("the dictation would be longer than {limit} s (limit set by sessions.max_seconds)")]
    SessionTooLong { limit: u64 },
    #[error(transparent)]
    Transcribe(#[from] TranscribeError),
    /// The text is for the log alone.
    #[error("internal error")]
    Internal(String),
}

/// What a dictation needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The number that is expected.
    next_seq: u64,
    /// Those that must be sent again.
    missing: Vec<u64>,
}

impl Next {
    pub fn of(take: &Take) -> Next {
        Next { next_seq: take.next(), missing: take.missing(None) }
    }

    pub fn with(self, missing: Vec<u64>) -> Next {
        Next { missing, ..self }
    }
}

/// One row of the table.
struct Row {
    status: StatusCode,
    param: Option<String>,
    code: Option<&'static str>,
    /// What the metrics call it.
    outcome: &'static str,
    retry: Retry,
}

impl Row {
    /// OpenAI's `type`.
    fn kind(&self) -> &'static str {
        if self.status.is_server_error() { "server_error" } else { "invalid_request_error" }
    }
}

/// What OpenAI's clients are told; without a word they try again after 408, 409, 429 and every 5xx.
enum Retry {
    Unsaid,
    /// Seconds, 1 to 120: they do not try again at all when it is longer.
    After(u64),
    /// Seconds, however many: nothing is gained by asking sooner.
    NotBefore(u64),
    /// The same upload would fail the same way.
    Never,
}

/// Put into the response for the access log and the metrics.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: &'static str,
    pub message: String,
    /// Turned away at the door: why.
    pub refused: Option<&'static str>,
}

impl Outcome {
    pub fn ok() -> Self {
        Outcome { name: "ok", message: String::new(), refused: None }
    }

    /// The client closed the connection before its answer.
    pub fn left() -> Self {
        Outcome { name: "cancelled", message: "the client left".to_owned(), ..Outcome::ok() }
    }
}

/// OpenAI's error body: all four keys, always.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct Envelope<'a> {
    error: Shape<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorShape)]
struct Shape<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    /// Of a dictation alone: the number that is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_seq: Option<u64>,
    /// Of a dictation alone: those that must be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<u64>>,
}

impl ApiError {
    /// A bad value of one parameter.
    pub fn param(param: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::BadRequest { param: Some(param), message: message.into() }
    }

    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    fn row(&self) -> Row {
        use AudioError as Audio;
        use EngineError as Engine;
        use Retry::{After, Never, NotBefore, Unsaid};
        let row = |status, param: Option<&str>, code, outcome, retry| Row {
            status,
            param: param.map(str::to_owned),
            code,
            outcome,
            retry,
        };
        let file = Some("file");
        match self {
            Self::BadRequest { param, .. } => row(StatusCode::BAD_REQUEST, *param, None, "invalid", Unsaid),
            Self::NotOffered { param, .. } => {
                row(StatusCode::BAD_REQUEST, Some(param), Some("not_offered"), "invalid", Unsaid)
            }
            Self::UnknownModel { .. } => {
                row(StatusCode::NOT_FOUND, Some("model"), Some("model_not_found"), "invalid", Unsaid)
            }
            Self::BodyTooLarge { .. } => {
                row(StatusCode::PAYLOAD_TOO_LARGE, file, Some("body_too_large"), "too_large", Unsaid)
            }
            Self::UnsupportedType(_) => {
                row(StatusCode::UNSUPPORTED_MEDIA_TYPE, None, Some("unsupported_type"), "invalid", Unsaid)
            }
            Self::SlowUpload(_) => {
                row(StatusCode::REQUEST_TIMEOUT, file, Some("upload_too_slow"), "slow_upload", Unsaid)
            }
            Self::BrokenUpload(_) => {
                row(StatusCode::BAD_REQUEST, file, Some("upload_incomplete"), "cancelled", Unsaid)
            }
            Self::NoKey | Self::WrongKey(_) => {
                row(StatusCode::UNAUTHORIZED, None, Some("invalid_api_key"), "unauthorized", Unsaid)
            }
            Self::ForeignOrigin(_) => {
                row(StatusCode::FORBIDDEN, None, Some("origin_not_allowed"), "unauthorized", Unsaid)
            }
            Self::Quota { code, retry_after, .. } => {
                row(StatusCode::TOO_MANY_REQUESTS, None, Some(code), "quota", NotBefore(*retry_after))
            }
            Self::KeyReused => row(
                StatusCode::CONFLICT,
                Some("Idempotency-Key"),
                Some("idempotency_key_reused"),
                "invalid",
                Never,
            ),
            Self::NotFound(_) => row(StatusCode::NOT_FOUND, None, Some("not_found"), "invalid", Unsaid),
            Self::MethodNotAllowed(_) => {
                row(StatusCode::METHOD_NOT_ALLOWED, None, Some("method_not_allowed"), "invalid", Unsaid)
            }
            Self::Busy { retry_after, .. } => row(
                StatusCode::SERVICE_UNAVAILABLE,
                None,
                Some("overloaded"),
                "overloaded",
                After(*retry_after),
            ),
            Self::NotReady(_) => {
                row(StatusCode::SERVICE_UNAVAILABLE, None, Some("not_ready"), "overloaded", After(5))
            }
            Self::Timeout { .. } => row(StatusCode::GATEWAY_TIMEOUT, None, Some("timeout"), "timeout", Never),
            Self::NoModel => row(StatusCode::NOT_IMPLEMENTED, None, Some("no_model"), "invalid", Never),
            Self::JobNotFound(_) => {
                row(StatusCode::NOT_FOUND, Some("id"), Some("job_not_found"), "invalid", Unsaid)
            }
            Self::SessionNotFound(_) => {
                row(StatusCode::NOT_FOUND, Some("id"), Some("session_not_found"), "invalid", Unsaid)
            }
            Self::SessionExpired(_) => {
                row(StatusCode::GONE, Some("id"), Some("session_expired"), "invalid", Unsaid)
            }
            // Clients try again after a 409, and this one stays.
            Self::Conflict { code, .. } => {
                row(StatusCode::CONFLICT, Some("seq"), Some(code), "invalid", Never)
            }
            Self::SessionTooLong { .. } => {
                row(StatusCode::PAYLOAD_TOO_LARGE, file, Some("session_too_long"), "too_long", Unsaid)
            }
            Self::Internal(_) | Self::Transcribe(TranscribeError::Internal(_)) => {
                row(StatusCode::INTERNAL_SERVER_ERROR, None, Some("internal"), "internal", Never)
            }
            Self::Transcribe(TranscribeError::Options { param, .. }) => {
                row(StatusCode::BAD_REQUEST, Some(param), None, "invalid", Unsaid)
            }
            Self::Transcribe(TranscribeError::Audio(error)) => match error {
                Audio::Empty => {
                    row(StatusCode::BAD_REQUEST, file, Some("empty_audio"), "undecodable", Unsaid)
                }
                Audio::Damaged(_) | Audio::GaveUp(_) => {
                    row(StatusCode::BAD_REQUEST, file, Some("damaged_audio"), "undecodable", Unsaid)
                }
                Audio::UnknownFormat | Audio::Unsupported(_) => row(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    file,
                    Some("unsupported_audio"),
                    "undecodable",
                    Unsaid,
                ),
                Audio::TooLarge { setting, .. } if setting.contains("duration") => {
                    row(StatusCode::PAYLOAD_TOO_LARGE, file, Some("audio_too_long"), "too_long", Unsaid)
                }
                Audio::TooLarge { .. } => {
                    row(StatusCode::PAYLOAD_TOO_LARGE, file, Some("audio_too_large"), "too_large", Unsaid)
                }
            },
            Self::Transcribe(TranscribeError::Engine(error)) => match error {
                Engine::Lost(_) | Engine::Hung => row(
                    StatusCode::SERVICE_UNAVAILABLE,
                    None,
                    Some("device_restarting"),
                    "gpu_error",
                    After(30),
                ),
                Engine::Late => {
                    row(StatusCode::GATEWAY_TIMEOUT, None, Some("deadline_exceeded"), "timeout", Never)
                }
                Engine::Closed => {
                    row(StatusCode::SERVICE_UNAVAILABLE, None, Some("shutting_down"), "overloaded", After(10))
                }
                // The transcriber asks first; that it did not is no fault of the device's.
                Engine::TooWide { .. } => {
                    row(StatusCode::BAD_REQUEST, Some("beam_size"), None, "invalid", Unsaid)
                }
                Engine::OutOfMemory(_) => {
                    row(StatusCode::SERVICE_UNAVAILABLE, None, Some("out_of_memory"), "gpu_error", After(10))
                }
            },
        }
    }

    /// The body, also for what is no response of its own.
    pub fn body(&self) -> String {
        let row = self.row();
        let message = self.to_string();
        let (next_seq, missing) = self.next().map(|Next { next_seq, missing }| (next_seq, missing)).unzip();
        let (r#type, param, code) = (row.kind(), row.param, row.code);
        let error = Shape { message: &message, r#type, param, code, next_seq, missing };
        serde_json::to_string(&Envelope { error }).expect("plain structs serialise")
    }

    fn next(&self) -> Option<Next> {
        match self {
            Self::Conflict { next, .. } => next.clone(),
            _ => None,
        }
    }

    /// Why the door stayed shut, as the metrics call it.
    fn refused(&self) -> Option<&'static str> {
        match self {
            Self::Busy { what, .. } => Some(*what),
            Self::NotReady(_) => Some("not_ready"),
            Self::BodyTooLarge { .. } => Some("body_too_large"),
            Self::SlowUpload(_) => Some("slow_upload"),
            _ => None,
        }
    }

    /// As an event of a realtime session tells it.
    pub fn failure(&self) -> Failure {
        let row = self.row();
        Failure {
            r#type: row.kind().to_owned(),
            code: row.code.map(str::to_owned),
            message: self.to_string(),
            param: row.param,
        }
    }

    /// What is not for the client.
    fn detail(&self) -> Option<&str> {
        match self {
            Self::Internal(detail) | Self::Transcribe(TranscribeError::Internal(detail)) => Some(detail),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let row = self.row();
        if let Some(detail) = self.detail() {
            tracing::error!(detail, "a request failed through a fault of ours");
        }
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (row.status, json, self.body()).into_response();
        let headers = response.headers_mut();
        match row.retry {
            Retry::Unsaid => {}
            Retry::After(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.clamp(1, 120)));
            }
            Retry::NotBefore(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            }
            Retry::Never => {
                headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
            }
        }
        if row.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Outcome {
            name: row.outcome,
            message: self.to_string(),
            refused: self.refused(),
        });
        response
    }
}
