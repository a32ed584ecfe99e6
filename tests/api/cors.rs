//! Which pages a browser lets ask.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use crate::fake_model::Behaviour;
use crate::keys::{SECRET, file_of};
use crate::server::{Server, start, start_with};

const APP: &str = "https://app.example";

async fn preflight(server: &Server, origin: &str) -> Response {
    let asked = server.client.request(Method::OPTIONS, server.url("/transcribe")).header("origin", origin);
    let asked = asked.header("access-control-request-method", "POST");
    let asked = asked.header("access-control-request-headers", "authorization,content-type,x-stainless-lang");
    asked.send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_listed_page_may_ask_with_its_key_and_read_what_it_needs() {
    let file = file_of("a", "");
    let server = start_with(Behaviour::default(), |settings| {
        settings.keys_file = Some(file.path().to_owned());
        settings.cors_origins = vec!["https://other.example".to_owned(), APP.to_owned()];
    })
    .await;
    // A preflight never has a key.
    let allowed = preflight(&server, APP).await;
    assert_eq!(allowed.status(), 200);
    let headers = allowed.headers();
    assert_eq!(header(headers, "access-control-allow-origin"), Some(APP));
    assert_eq!(
        header(headers, "access-control-allow-headers"),
        Some("authorization,content-type,x-stainless-lang")
    );
    assert!(header(headers, "access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!(header(headers, "access-control-allow-credentials"), None);

    let answer = server.transcribe(&[]).bearer_auth(SECRET).header("origin", APP).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), header(answer.headers(), "access-control-allow-origin")),
        (200, Some(APP))
    );
    let exposed = header(answer.headers(), "access-control-expose-headers").unwrap();
    assert!(
        ["x-request-id", "server-timing", "retry-after"].iter().all(|name| exposed.contains(name)),
        "{exposed}"
    );
    // It can read why it is refused as well.
    let refused = server.transcribe(&[]).header("origin", APP).send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), header(refused.headers(), "access-control-allow-origin")),
        (401, Some(APP))
    );

    let stranger = preflight(&server, "https://evil.example").await;
    assert_eq!(header(stranger.headers(), "access-control-allow-origin"), None);
}

#[tokio::test]
async fn unless_pages_are_listed_none_may() {
    let server = start(Behaviour::default()).await;
    let answer = preflight(&server, APP).await;
    assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control")));
    let answer = server.get("/livez").header("origin", APP).send().await.unwrap();
    assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control")));
}

#[tokio::test]
async fn a_star_lets_every_page_ask() {
    let server =
        start_with(Behaviour::default(), |settings| settings.cors_origins = vec!["*".to_owned()]).await;
    assert_eq!(header(preflight(&server, APP).await.headers(), "access-control-allow-origin"), Some("*"));
}
