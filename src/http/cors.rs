//! The origins that the operator lists in; the headers that let pages from there ask and read out. None listed: none are sent.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

/// What a page may read beside the few that every page may.
const EXPOSED: [&str; 12] = [
    "x-request-id",
    "server-timing",
    "retry-after",
    "x-should-retry",
    "x-idempotent-replay",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-verbatim-ignored",
    "x-verbatim-dropped",
    "x-verbatim-incomplete",
    "www-authenticate",
];
/// Browsers keep a preflight's answer no longer than that anyway.
const KEPT: Duration = Duration::from_secs(7_200);

/// `None` where nothing is listed.
pub fn layer(origins: &[String]) -> Option<CorsLayer> {
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let allowed = match origins {
        [] => return None,
        _ if origins.iter().any(|origin| origin == "*") => AllowOrigin::from(Any),
        _ => AllowOrigin::list(listed),
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // SDKs add a dozen of their own, which differ by version; whoever may ask at all may say them. Keys come in a header, never
        // in a cookie, so no page can ask in a visitor's name.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(KEPT);
    Some(layer)
}

/// `https://app.example`, with a port where it has one; or `*`.
pub fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    // A browser's Origin has no path, not even a slash: what has one would never match.
    text == "*"
        || (uri.scheme().is_some() && uri.authority().is_some() && !text.ends_with('/') && uri.path() == "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for fine in ["*", "https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(fine), "{fine}");
        }
        for wrong in
            ["", "app.example", "https://", "https://app.example/", "https://app.example/page", "https://a b"]
        {
            assert!(!is_origin(wrong), "{wrong}");
        }
        assert!(layer(&[]).is_none() && layer(&["*".to_owned()]).is_some());
    }
}
