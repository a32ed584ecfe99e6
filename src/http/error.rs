//! Every way in which a request can fail in; its status, headers and OpenAI-shaped body out, from one table.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::audio::AudioError;
use crate::engine::EngineError;
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
    #[error("the upload is larger than {limit} bytes (limit set by server.max_body_bytes)")]
    BodyTooLarge { limit: u64 },
    #[error("{0}")]
    UnsupportedType(String),
    #[error("the upload came too slowly: {0}")]
    SlowUpload(String),
    /// The client ended the upload early. Nobody reads this answer; the log does.
    #[error("the upload broke off: {0}")]
    BrokenUpload(String),
    #[error("no such route: {0}; GET / names those there are")]
    NotFound(String),
    #[error("this route does not answer {0}")]
    MethodNotAllowed(String),
    /// `full`: what there is no more room for, and the setting that says how much there is.
    #[error("{full}; try again in {retry_after} s")]
    Busy { full: String, retry_after: u64 },
    #[error("the server is not ready: {0}")]
    NotReady(String),
    #[error("the transcription took longer than {seconds} s (limit set by server.request_timeout_seconds)")]
    Timeout { seconds: f64 },
    #[error(transparent)]
    Transcribe(#[from] TranscribeError),
    /// The text is for the log alone.
    #[error("internal error")]
    Internal(String),
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

/// What OpenAI's clients are told; without a word they try again after 408, 409, 429 and every 5xx.
enum Retry {
    Unsaid,
    /// Seconds, 1 to 120: they do not try again at all when it is longer.
    After(u64),
    /// The same upload would fail the same way.
    Never,
}

/// Put into the response for the access log and the metrics.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub name: &'static str,
    pub message: String,
}

/// OpenAI's error body: all four keys, always.
#[derive(Serialize)]
struct Envelope<'a> {
    error: Shape<'a>,
}

#[derive(Serialize)]
struct Shape<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
}

impl ApiError {
    /// A bad value of one parameter.
    pub fn param(param: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::BadRequest { param: Some(param), message: message.into() }
    }

    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    fn row(&self) -> Row {
        use AudioError as Audio;
        use EngineError as Engine;
        use Retry::{After, Never, Unsaid};
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
                Audio::Damaged(_) => {
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
        let message = self.to_string();
        let kind = if row.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = Shape { message: &message, r#type: kind, param: row.param, code: row.code };
        let body = Json(Envelope { error });
        let mut response = (row.status, body).into_response();
        let headers = response.headers_mut();
        match row.retry {
            Retry::Unsaid => {}
            Retry::After(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.clamp(1, 120)));
            }
            Retry::Never => {
                headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
            }
        }
        response.extensions_mut().insert(Outcome { name: row.outcome, message });
        response
    }
}
