//! `/asr` and `/detect-language`: what Bazarr, Speakr and other clients of whisper-asr-webservice send and expect.
//!
//! Follows ahmetoner/whisper-asr-webservice, app/webservice.py at ea12224: `output` is txt where it is not said, `encode=false`
//! means bare samples, `language` in json is a code.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiError;
use super::options::{self, Wanted};
use super::transcriptions::{Arrived, Dialect, answer_to, arrive, check_model, sound, within};
use crate::format::{Format, Layout, NamedBy};

pub async fn asr(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let layout = Layout { language: NamedBy::Code, ..Layout::new(Format::Text) };
    let presumed = Wanted { layout, ..Wanted::default() };
    answer_to(app, request, Dialect { presumed, last_word: whole_json }).await
}

/// Its json has segments.
fn whole_json(wanted: &mut Wanted) {
    if wanted.layout.format == Format::Json {
        wanted.layout.format = Format::VerboseJson;
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = DetectedLanguage)]
pub struct Detected {
    detected_language: &'static str,
    language_code: &'static str,
    confidence: f32,
}

/// By the first speech of the file, at once: Bazarr waits for this before it sends the file for good.
pub async fn detect_language(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let Arrived { permit: _permit, terms, form, caller, .. } = arrive(&app, request).await?;
    let wanted = options::judge(&form.fields)?;
    check_model(&app, &wanted)?;
    caller.sent(&form.audio, &app.bench).await?;
    let sound = sound(form.audio, &wanted);
    let found = within(&app, terms, app.transcriber.languages(sound, &wanted.options, terms)).await?;
    let (language, confidence) = found[0];
    let (detected_language, language_code) = (language.name, language.code);
    Ok(Json(Detected { detected_language, language_code, confidence }).into_response())
}
