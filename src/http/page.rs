//! `GET /` in; the page and the files it is made of out, all of them in the binary. Who asks for no HTML gets the routes as text.
//!
//! The page asks this server alone, and its policy holds the browser to that. None of its files is about a visitor, so all
//! of them are open wherever `/` is.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::extract::Path;
use super::{ApiError, App, Digest};
use crate::text::language;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";
const JSON: &str = "application/json";
const SOUND: &str = "audio/mpeg";

/// Nothing inline, nothing from elsewhere, no frame around it; what is played is a file that the visitor gave (`blob:`).
/// `'self'` includes the websocket of the same host and port.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src blob:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";

/// Sent with every file.
const HEADERS: [(HeaderName, &str); 6] = [
    // Kept, but asked for again, so that page and server are always of one version.
    (header::CACHE_CONTROL, "no-cache"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "microphone=(self)"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

macro_rules! files {
    ($($name:literal $kind:ident),+ $(,)?) => {
        [$(($name, $kind, include_bytes!(concat!("page/", $name)).as_slice())),+]
    };
}

/// Name, type, bytes. The first is the page itself.
static FILES: &[(&str, &str, &[u8])] = &files![
    "index.html" HTML,
    "style.css" STYLE,
    "icon.svg" ICON,
    "main.js" SCRIPT,
    "element.js" SCRIPT,
    "server.js" SCRIPT,
    "keys.js" SCRIPT,
    "options.js" SCRIPT,
    "queue.js" SCRIPT,
    "upload.js" SCRIPT,
    "events.js" SCRIPT,
    "reader.js" SCRIPT,
    "transcript.js" SCRIPT,
    "player.js" SCRIPT,
    "waveform.js" SCRIPT,
    "wording.js" SCRIPT,
    "downloads.js" SCRIPT,
    "recorder.js" SCRIPT,
    "live.js" SCRIPT,
    "pcm.js" SCRIPT,
    "device.js" SCRIPT,
    "sample.mp3" SOUND,
];

struct Asset {
    name: &'static str,
    kind: &'static str,
    body: Cow<'static, [u8]>,
    /// Of the bytes, in quotes.
    tag: HeaderValue,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = FILES.iter().map(|&(name, kind, body)| (name, kind, Cow::Borrowed(body)));
    let languages = ("languages.json", JSON, Cow::Owned(languages()));
    files.chain([languages]).map(|(name, kind, body)| Asset { name, kind, tag: tag(&body), body }).collect()
});

/// Whisper's languages as `[["en", "english"], ...]`.
fn languages() -> Vec<u8> {
    json!(language::ALL.iter().map(|language| [language.code, language.name]).collect::<Vec<_>>())
        .to_string()
        .into_bytes()
}

fn tag(body: &[u8]) -> HeaderValue {
    let digits: String = Digest::of(body).bytes()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).expect("hexadecimal digits may stand in a header")
}

/// What the page is made of.
pub fn router() -> Router<App> {
    Router::new().route("/page/{asset}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let found = ASSETS.iter().skip(1).find(|asset| asset.name == name);
    found.map(|asset| asset.answer(&headers)).ok_or_else(|| ApiError::NotFound(format!("/page/{name}")))
}

/// `GET /`: browsers name `text/html`; curl and scripts do not.
pub async fn front(headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut response = match accepted.flat_map(|value| value.split(',')).any(is_html) {
        true => ASSETS[0].answer(&headers),
        false => ROUTES.into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn is_html(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    kind.eq_ignore_ascii_case("text/html") && !parts.any(|part| part == "q=0" || part == "q=0.0")
}

impl Asset {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.trim_start_matches("W/").as_bytes() == self.tag.as_bytes());
        let mut response = match is_known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.body.clone().into_response(),
        };
        let told = response.headers_mut();
        told.insert(header::ETAG, self.tag.clone());
        told.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        match is_known {
            true => told.remove(header::CONTENT_TYPE),
            false => told.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
        };
        response
    }
}

const ROUTES: &str = "Verbatim: speech to text. A browser gets a page here.\n\n\
     POST /transcribe   audio as the form part 'file' or as the body: curl -F file=@speech.mp3 .../transcribe\n\
     POST /v1/audio/transcriptions, /v1/audio/translations; GET /v1/models   OpenAI's API\n\
     POST /asr, /detect-language   as Bazarr asks\n\
     GET  /v1/realtime  a websocket: audio in while it is spoken, text out after each turn\n\
     POST /v1/subtitles  a stored verbose_json as srt, vtt or tsv: curl -F file=@speech.json .../v1/subtitles\n\
     POST /v1/jobs      many files in one call, worked off in turn: docs/jobs.md\n\
     POST /v1/sessions  a dictation, chunk by chunk, of which nothing is lost: docs/dictation.md\n\
     GET  /gpu-info     the device and what is done with it; ?format=text for a terminal\n\
     GET  /docs         the interface to read and to try; /openapi.json for machines\n\
     GET  /livez  /readyz  /health  /metrics\n";
