//! A request's body and query in; the audio and the options as they were written out, nothing judged yet.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::{HeaderMap, Uri, header};
use multer::{Field, Multipart};
use serde_json::Value;

use super::body::{self, Limits};
use super::error::ApiError;

/// A list of keywords comes as a part for each.
const MAX_PARTS: usize = 640;
const MAX_FIELD_BYTES: usize = 64 << 10;

/// What a client sent. `fields` are in order, those of the query first, so that the form has the last word.
#[derive(Debug, Default, PartialEq)]
pub struct Form {
    /// The file's bytes, also where it is a document.
    pub audio: Bytes,
    pub fields: Vec<(String, String)>,
}

/// Reads to the end before anything is decided: options may follow the file.
pub async fn read(uri: &Uri, headers: &HeaderMap, body: Body, limits: Limits) -> Result<Form, ApiError> {
    let mut form = Form { fields: query(uri)?, ..Form::default() };
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    match content_type.map(|text| text.trim().to_ascii_lowercase()) {
        Some(kind) if kind.starts_with("multipart/form-data") => {
            let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(of_multipart)?;
            read_parts(body::counted(body, limits), &boundary, &mut form).await?;
        }
        Some(kind) if kind.starts_with("application/json") || kind.starts_with("text/") => {
            return Err(ApiError::UnsupportedType(format!(
                "Content-Type '{kind}' holds no audio: send multipart/form-data with a part named 'file', \
                 or the audio file itself as the body"
            )));
        }
        // Anything else is the audio itself, whatever it is called: `curl --data-binary` says x-www-form-urlencoded.
        _ => form.audio = body::collect(body, limits).await?,
    }
    Ok(form)
}

/// The same for a document: the part `file` of a form, or the body, whatever it is called.
pub async fn read_document(
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
) -> Result<Form, ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase());
    match content_type {
        Some(kind) if kind.starts_with(b"multipart/form-data") => read(uri, headers, body, limits).await,
        _ => Ok(Form { fields: query(uri)?, audio: body::collect(body, limits).await? }),
    }
}

/// The same for options alone: a form of either kind, a JSON object, or the query.
pub async fn read_fields(
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut fields = query(uri)?;
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let kind = content_type.unwrap_or_default().trim().to_ascii_lowercase();
    if kind.starts_with("multipart/form-data") {
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(of_multipart)?;
        let mut form = Form { fields, ..Form::default() };
        return match read_all_parts(body::counted(body, limits), &boundary, &mut form).await? {
            Some(_) => Err(ApiError::param("file", "no audio belongs here: send it as a chunk")),
            None => Ok(form.fields),
        };
    }
    let whole = body::collect(body, limits).await?;
    let text = std::str::from_utf8(&whole).map_err(|_| bad_form("the body is not UTF-8 text".to_owned()))?;
    let given = match text.trim() {
        "" => Vec::new(),
        json if kind.starts_with("application/json") => of_json(json)?,
        form => {
            let uri = format!("/?{form}").parse::<Uri>();
            query(&uri.map_err(|error| bad_form(format!("the form cannot be read: {error}")))?)?
        }
    };
    fields.extend(given);
    Ok(fields)
}

/// As a form would have it; a list stays one, as JSON.
pub(super) fn of_json(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let object: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(text);
    let object = object.map_err(|error| bad_form(format!("the body is no JSON object: {error}")))?;
    let plain = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(object.into_iter().map(|(name, value)| (name, plain(value))).collect())
}

pub(super) fn query(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let fields = query.map_err(|error| ApiError::BadRequest { param: None, message: error.body_text() })?;
    Ok(fields.0)
}

pub(super) async fn read_parts<S>(chunks: S, boundary: &str, form: &mut Form) -> Result<(), ApiError>
where
    S: Stream<Item = Result<Bytes, ApiError>> + Send,
{
    let audio = read_all_parts(chunks, boundary, form).await?;
    let names: Vec<&str> = form.fields.iter().map(|(name, _)| name.as_str()).collect();
    form.audio = audio.ok_or_else(|| {
        let message = format!("the form has no part named 'file' (or 'audio_file'); it has {names:?}");
        ApiError::param("file", message)
    })?;
    Ok(())
}

/// Gives the file, where there is one.
async fn read_all_parts<S>(chunks: S, boundary: &str, form: &mut Form) -> Result<Option<Bytes>, ApiError>
where
    S: Stream<Item = Result<Bytes, ApiError>> + Send,
{
    let mut parts = Multipart::new(chunks, boundary);
    let mut audio = None;
    let mut count = 0;
    while let Some(mut part) = parts.next_field().await.map_err(of_multipart)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(bad_form(format!("the form has more than {MAX_PARTS} parts")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" || name == "audio_file" {
            let bytes = read_part(&mut part, usize::MAX).await?;
            if audio.replace(bytes).is_some() {
                return Err(ApiError::param("file", "the form has more than one file; send one a request"));
            }
        } else {
            let bytes = read_part(&mut part, MAX_FIELD_BYTES).await?;
            let text = String::from_utf8(bytes.into());
            let text = text.map_err(|_| bad_form(format!("the field {name:?} is not UTF-8 text")))?;
            form.fields.push((name, text));
        }
    }
    Ok(audio)
}

/// `most` guards fields that are text; a file is bounded by the body it came in.
pub(super) async fn read_part(part: &mut Field<'_>, most: usize) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = part.chunk().await.map_err(of_multipart)? {
        if whole.len() + chunk.len() > most {
            let name = part.name().unwrap_or_default();
            return Err(bad_form(format!("the field {name:?} is longer than {most} bytes")));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

pub(super) fn bad_form(message: String) -> ApiError {
    ApiError::BadRequest { param: None, message }
}

/// Our own errors travel through multer in a box and come out as they went in.
pub(super) fn of_multipart(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(boxed) => match boxed.downcast::<ApiError>() {
            Ok(ours) => *ours,
            Err(other) => ApiError::BrokenUpload(other.to_string()),
        },
        multer::Error::IncompleteStream
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteFieldData { .. } => {
            bad_form("the form ends before its closing boundary".to_owned())
        }
        other => bad_form(format!("the form cannot be read: {other}")),
    }
}
