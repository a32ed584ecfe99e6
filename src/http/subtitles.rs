//! `POST /v1/subtitles`: a stored `verbose_json` in, the same transcript in another format out; no audio, no model.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};

use super::body::{self, Limits};
use super::error::ApiError;
use super::{App, form, layout};
use crate::format::stored::{self, StoredError};
use crate::format::{self, Format, Layout, Rendered};
use crate::text::language;

/// Asks nothing of the device, so it also answers before the model is warm and while the server drains.
pub async fn subtitles(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let limits = Limits::of(&app.settings);
    let entered =
        body::check_headers(&parts.headers, &limits).and_then(|_| app.desk.place(&app.transcriber.load()));
    let _place = match entered {
        Ok(place) => place,
        Err(refusal) => {
            body::linger(&parts.headers, body);
            return Err(refusal);
        }
    };

    let form = form::read_document(&parts.uri, &parts.headers, body, limits).await?;
    let (wanted, ignored) = judge(&form.fields)?;
    let rendered = app.bench.work(move || render(&form.audio, wanted)).await?;
    Ok(answer(rendered, &ignored))
}

/// Subtitles unless another format is asked for; fields that mean nothing here are for a response header.
pub(super) fn judge(fields: &[(String, String)]) -> Result<(Layout, Vec<String>), ApiError> {
    let mut wanted = Layout::new(Format::Srt);
    let mut ignored: Vec<String> = Vec::new();
    for (name, value) in fields {
        let base = name.split_once('[').map_or(name.as_str(), |(base, _)| base);
        if !layout::take(&mut wanted, base, value)? && !ignored.contains(name) {
            ignored.push(name.clone());
        }
    }
    Ok((wanted, ignored))
}

pub(super) fn render(json: &Bytes, mut wanted: Layout) -> Result<Rendered, ApiError> {
    let transcript = stored::parse(json, language::parse).map_err(of_stored)?;
    // What was stored comes back, where nobody asked for less or more.
    if wanted.granularities.is_none() {
        wanted.word_timestamps |= transcript.words;
    }
    Ok(format::render(&transcript, &wanted))
}

fn of_stored(error: StoredError) -> ApiError {
    ApiError::param("file", error.to_string())
}

pub(super) fn answer(rendered: Rendered, ignored: &[String]) -> Response {
    let mut response = rendered.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    let named: String =
        ignored.join(", ").chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    if let Ok(value) = HeaderValue::from_str(named.trim())
        && !value.is_empty()
    {
        headers.insert(HeaderName::from_static("x-verbatim-ignored"), value);
    }
    response
}
