//! The page at `/`: who gets it, what it may do in a browser, and that all of it is there. What it does is `tools/page`'s to see.

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::fake_model::Behaviour;
use crate::keys::{file_of, start_keyed};
use crate::server::{Server, start, start_with, wav};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn front(server: &Server, accept: &str) -> Response {
    server.get("/").header("accept", accept).send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_browser_gets_the_page_and_everybody_else_the_routes() {
    let server = start(Behaviour::default()).await;
    for (accept, kind) in [
        (BROWSER, "text/html; charset=utf-8"),
        ("TEXT/HTML; q=0.1", "text/html; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("application/json", "text/plain; charset=utf-8"),
        ("text/html;q=0, */*", "text/plain; charset=utf-8"),
    ] {
        let response = front(&server, accept).await;
        assert_eq!((response.status().as_u16(), header(response.headers(), "content-type")), (200, kind));
        assert!(header(response.headers(), "vary").contains("accept"), "{accept}");
        let text = response.text().await.unwrap();
        assert_eq!(text.contains("<title>Verbatim</title>"), kind.starts_with("text/html"), "{accept}");
        assert_eq!(text.contains("POST /transcribe"), kind.starts_with("text/plain"), "{accept}");
    }
}

/// The files that a text names: `page/style.css` in the page, `./keys.js` in a script.
fn named(text: &str) -> Vec<String> {
    let after = |mark: &str| text.split(mark).skip(1).map(str::to_owned).collect::<Vec<_>>();
    let paths = [after("\"page/"), after("\"./")].concat();
    paths.iter().filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_and_all_of_them_are_light() {
    let server = start(Behaviour::default()).await;
    let text = front(&server, BROWSER).await.text().await.unwrap();
    let mut weight = text.len();
    let mut pending = named(&text);
    let mut seen = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let response = server.get(&format!("/page/{name}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let kind = header(response.headers(), "content-type").to_owned();
        let expected = match name.rsplit('.').next().unwrap() {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "json" => "application/json",
            _ => "audio/mpeg",
        };
        assert_eq!(kind, expected, "{name}");
        let body = response.bytes().await.unwrap();
        if kind.starts_with("text/javascript") {
            pending.extend(named(std::str::from_utf8(&body).unwrap()));
        }
        weight += body.len();
    }
    for expected in ["main.js", "pcm.js", "live.js", "style.css", "icon.svg", "languages.json", "sample.mp3"]
    {
        assert!(seen.contains(expected), "{expected}: {seen:?}");
    }
    assert!(weight < 300_000, "{weight} bytes");
    for (name, status) in [("index.html", 404), ("nothing.js", 404), ("..%2f..%2fCargo.toml", 404)] {
        assert_eq!(server.get(&format!("/page/{name}")).send().await.unwrap().status(), status, "{name}");
    }
    let languages = server.get("/page/languages.json").send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(
        (languages.as_array().unwrap().len(), &languages[0]),
        (100, &serde_json::json!(["en", "english"]))
    );
}

#[tokio::test]
async fn a_browser_is_told_to_run_nothing_from_elsewhere() {
    let server = start(Behaviour::default()).await;
    for response in [front(&server, BROWSER).await, server.get("/page/main.js").send().await.unwrap()] {
        let headers = response.headers();
        let policy = header(headers, "content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "connect-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{rule}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
        assert_eq!(header(headers, "referrer-policy"), "no-referrer");
        assert_eq!(header(headers, "permissions-policy"), "microphone=(self)");
        assert_eq!(header(headers, "cache-control"), "no-cache");
    }
    let text = front(&server, BROWSER).await.text().await.unwrap();
    // Inline code or style would be refused by the policy, and an address would be of elsewhere.
    for never in ["<style", " style=", " onclick=", "://", "javascript:"] {
        assert!(!text.contains(never), "{never}");
    }
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let server = start(Behaviour::default()).await;
    for path in ["/", "/page/main.js", "/page/languages.json"] {
        let ask = |tag: &str| {
            server.get(path).header("accept", BROWSER).header("if-none-match", tag.to_owned()).send()
        };
        let first = ask("\"another\"").await.unwrap();
        assert_eq!(first.status(), 200, "{path}");
        let tag = header(first.headers(), "etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
        for known in [tag.clone(), format!("\"another\", W/{tag}"), "*".to_owned()] {
            let again = ask(&known).await.unwrap();
            assert_eq!(
                (again.status().as_u16(), header(again.headers(), "etag")),
                (304, tag.as_str()),
                "{path}"
            );
            assert_eq!(again.bytes().await.unwrap().len(), 0, "{path}");
        }
    }
}

async fn status(request: RequestBuilder) -> u16 {
    request.header("accept", BROWSER).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_page_needs_no_key_and_closes_with_its_route() {
    let file = file_of("a", "");
    let server = start_keyed(Behaviour::default(), &file).await;
    for open in ["/", "/page/main.js", "/page/languages.json", "/page/nothing.js"] {
        assert_ne!(status(server.get(open)).await, 401, "{open}");
    }
    for closed in ["/page", "/pages/main.js", "/gpu-info"] {
        assert_eq!(status(server.get(closed)).await, 401, "{closed}");
    }
    assert_eq!(status(server.post("/page/main.js")).await, 401);
    let server = start_with(Behaviour::default(), |settings| {
        settings.keys_file = Some(file.path().to_owned());
        settings.open_routes = Vec::new();
    })
    .await;
    for closed in ["/", "/page/main.js"] {
        assert_eq!(status(server.get(closed)).await, 401, "{closed}");
    }
}

#[tokio::test]
async fn a_stream_in_the_long_form_ends_with_all_of_it() {
    let server = start(Behaviour::default()).await;
    let ask = async |stream: &str| {
        let form = Form::new()
            .text("stream", stream.to_owned())
            .text("response_format", "verbose_json")
            .text("timestamp_granularities[]", "word")
            .text("timestamp_granularities[]", "segment")
            .part("file", Part::bytes(wav(2)));
        server.post("/transcribe").multipart(form).send().await.unwrap().text().await.unwrap()
    };
    let whole: Value = serde_json::from_str(&ask("false").await).unwrap();
    let streamed = ask("true").await;
    let last = streamed.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["type"], "transcript.text.done");
    for field in ["text", "language", "duration", "segments", "words", "dropped", "fallbacks", "model"] {
        assert_eq!(last["transcript"][field], whole[field], "{field}");
        assert!(!whole[field].is_null(), "{field}");
    }
}
