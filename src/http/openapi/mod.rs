//! The interface as a machine reads it: routes, the table of options and the types of the answers in; an OpenAPI 3.1
//! document out, at `/openapi.json`, and for people at `/docs`.
//!
//! docs/openapi.json is the same document; a test holds it to this code, and another the routes to the router's.

mod answers;
mod forms;
mod jobs;
mod routes;

use axum::Router;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;

const ABOUT: &str = "Speech to text over HTTP: Whisper, batched across requests. `/transcribe` is the same as OpenAI's \
    `/v1/audio/transcriptions` but for its default format. A field of a form may also stand in the query; a field that means \
    nothing is named in the header `x-verbatim-ignored`. Every error has OpenAI's shape.";

/// The document, the same for every server of this version.
fn document() -> OpenApi {
    let components = answers::components(forms::components(ComponentsBuilder::new()))
        .security_scheme(
            "bearer",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        )
        .security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))));
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Verbatim")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license));
    let by_key = |name: &str| SecurityRequirement::new(name, [] as [&str; 0]);
    OpenApiBuilder::new()
        .info(info)
        .paths(routes::paths())
        .components(Some(components.build()))
        // A server without keys asks for none.
        .security(Some([by_key("bearer"), by_key("header"), SecurityRequirement::default()]))
        .tags(Some(routes::tags()))
        .build()
}

/// As docs/openapi.json has it.
///
/// # Panics
/// Never: the document has neither odd keys nor values that fail.
pub fn json() -> String {
    let mut text = document().to_pretty_json().expect("a document of plain values serialises");
    text.push('\n');
    text
}

/// `/openapi.json`, and `/docs` with the viewer's files from the binary: nothing comes from elsewhere.
pub fn router() -> Router<App> {
    let config = Config::default().try_it_out_enabled(true).validator_url("none").use_base_layout();
    SwaggerUi::new("/docs").url("/openapi.json", document()).config(config).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let document: Value = serde_json::from_str(&json()).unwrap();
        let mut pending = vec![&document];
        let mut references = 0;
        while let Some(value) = pending.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                references += 1;
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            match value {
                Value::Array(values) => pending.extend(values),
                Value::Object(entries) => pending.extend(entries.values()),
                _ => {}
            }
        }
        assert!(references > 100, "{references}");
    }

    #[test]
    fn the_document_that_is_checked_in_is_the_code_s() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == json(), "run: cargo run -- openapi > docs/openapi.json");
    }
}
