//! OpenAI's audio routes: the same work as `/transcribe`, with OpenAI's defaults.

use axum::extract::{Request, State};
use axum::response::Response;

use super::App;
use super::error::ApiError;
use super::options::Wanted;
use super::transcriptions::{Dialect, answer_to};
use crate::format::{Format, Layout, NamedBy};
use crate::transcript::Task;

/// `POST /v1/audio/transcriptions`.
pub async fn transcriptions(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let presumed = Wanted { layout: Layout::new(Format::Json), ..Wanted::default() };
    answer_to(app, request, Dialect { presumed, ..Dialect::default() }).await
}

/// `POST /v1/audio/translations`: English text, whatever was spoken. A `language` is that of the recording.
pub async fn translations(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let layout = Layout { language: NamedBy::Written, ..Layout::new(Format::Json) };
    let presumed = Wanted { layout, ..Wanted::default() };
    let last_word = |wanted: &mut Wanted| wanted.options.task = Task::Translate;
    answer_to(app, request, Dialect { presumed, last_word }).await
}
