//! Client bytes in, what the handlers' own parsers make of them out: the doors through which `fuzz/` and its kept corpus come.

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Uri, header};

use super::body::Limits;
use super::settings::Settings;
use super::{form, options, subtitles};

/// `None` where the content type cannot stand in a header; chunks come as the network would cut them.
pub async fn form(content_type: &[u8], chunks: Vec<Bytes>) -> Option<Result<form::Form, String>> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(content_type).ok()?);
    let body = Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>)));
    let limits = Limits::of(&Settings::default());
    let uri = Uri::from_static("/transcribe?language=en&keywords%5B%5D=Jena");
    Some(form::read(&uri, &headers, body, limits).await.map_err(|error| error.to_string()))
}

pub fn options(fields: &[(String, String)]) -> Result<options::Wanted, String> {
    options::judge(fields).map_err(|error| error.to_string())
}

/// A stored transcript in the format that the fields ask for.
pub fn subtitles(fields: &[(String, String)], json: Bytes) -> Result<String, String> {
    let converted = subtitles::judge(fields).and_then(|(wanted, _)| subtitles::render(&json, wanted));
    converted.map(|rendered| rendered.body).map_err(|error| error.to_string())
}
