//! Who has a key, what it may do, and what becomes of whoever has none.

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::fake_model::{Behaviour, Gate};
use crate::server::{Server, read_to_end, start, start_with, wav};

pub const SECRET: &str = "vk-0123456789abcdef0123456789abcdef";
const OTHER: &str = "vk-fedcba9876543210fedcba9876543210";

/// A file with one key, whose secret is `SECRET`; `more` are its other lines.
pub fn file_of(label: &str, more: &str) -> NamedTempFile {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), lines(label, SECRET, more)).unwrap();
    file
}

fn lines(label: &str, secret: &str, more: &str) -> String {
    let digest = verbatim::http::Digest::of(secret.as_bytes());
    format!("[[keys]]\nlabel = '{label}'\ndigest = '{digest}'\n{more}\n")
}

pub async fn start_keyed(behaviour: Behaviour, file: &NamedTempFile) -> Server {
    start_with(behaviour, |settings| settings.keys_file = Some(file.path().to_owned())).await
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn code(response: Response) -> Value {
    response.json::<Value>().await.unwrap()["error"]["code"].take()
}

#[tokio::test]
async fn with_keys_every_route_wants_one_but_those_of_platforms_and_those_that_are_open() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.keys = serde_json::from_value(json!([format!("a:{SECRET}"), format!("b:{OTHER}")])).unwrap();
    })
    .await;
    for open in ["/", "/livez", "/readyz", "/health"] {
        assert_eq!(status(server.get(open)).await, 200, "{open}");
    }
    for closed in ["/metrics", "/gpu-info", "/nowhere", "/livez/more"] {
        assert_eq!(status(server.get(closed)).await, 401, "{closed}");
    }
    assert_eq!(status(server.post("/livez")).await, 401);
    assert_eq!(status(server.transcribe(&[])).await, 401);
    for secret in [SECRET, OTHER] {
        assert_eq!(status(server.transcribe(&[]).bearer_auth(secret)).await, 200);
        assert_eq!(status(server.get("/gpu-info").header("x-api-key", secret)).await, 200);
        assert_eq!(status(server.get("/nowhere").bearer_auth(secret)).await, 404);
    }
    let protocols = format!("realtime, openai-insecure-api-key.{SECRET}");
    let upgrade = server.get("/gpu-info").header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(status(upgrade.header("sec-websocket-protocol", protocols)).await, 200);
}

#[tokio::test]
async fn which_routes_are_open_is_the_operator_s_to_say_and_only_for_looking() {
    let file = file_of("a", "");
    let server = start_with(Behaviour::default(), |settings| {
        settings.keys_file = Some(file.path().to_owned());
        settings.open_routes = vec!["/metrics".to_owned(), "/transcribe".to_owned()];
    })
    .await;
    assert_eq!(status(server.get("/metrics")).await, 200);
    assert_eq!(status(server.get("/")).await, 401);
    assert_eq!(status(server.transcribe(&[])).await, 401);
}

#[tokio::test]
async fn a_wrong_key_is_told_as_openai_tells_it_and_shows_little_of_itself() {
    let file = file_of("a", "");
    let server = start_keyed(Behaviour::default(), &file).await;
    let wrong = server.transcribe(&[]).bearer_auth("sk-proj-abcdefghijkl1234").send().await.unwrap();
    assert_eq!(
        (wrong.status().as_u16(), &wrong.headers()["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
    insta::assert_snapshot!(wrong.text().await.unwrap(), @r#"{"error":{"message":"Incorrect API key provided: sk-***1234.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#);
    let none = server.transcribe(&[]).send().await.unwrap();
    assert!(none.headers().contains_key("www-authenticate"));
    assert_eq!(code(none).await, "invalid_api_key");
}

#[tokio::test]
async fn whoever_has_no_key_is_refused_before_the_upload() {
    let file = file_of("a", "");
    let server = start_keyed(Behaviour::default(), &file).await;
    let head = "POST /transcribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5000\r\n\r\n";
    let answer = read_to_end(&mut server.raw(head.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn without_keys_whatever_clients_send_as_one_is_nothing() {
    let server = start(Behaviour::default()).await;
    assert_eq!(status(server.transcribe(&[]).bearer_auth("whatever")).await, 200);
}

#[tokio::test]
async fn requests_beyond_a_key_s_quota_are_429_with_openai_s_headers() {
    let file = file_of("a", "requests_per_minute = 2");
    let server = start_keyed(Behaviour::default(), &file).await;
    let send = || server.transcribe(&[]).bearer_auth(SECRET).send();
    let first = send().await.unwrap();
    let header = |response: &Response, name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), "2");
    assert_eq!(header(&first, "x-ratelimit-remaining-requests"), "1");
    assert!(header(&first, "x-ratelimit-reset-requests").ends_with('s'));
    // To look costs nothing.
    assert_eq!(status(server.get("/gpu-info").bearer_auth(SECRET)).await, 200);
    assert_eq!(send().await.unwrap().status(), 200);
    let refused = send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "x-ratelimit-remaining-requests").as_str()),
        (429, "0")
    );
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(code(refused).await, "rate_limit_exceeded");
}

#[tokio::test]
async fn audio_beyond_a_key_s_quota_is_429_from_the_next_request_on() {
    let file = file_of("a", "audio_seconds_per_hour = 1");
    let server = start_keyed(Behaviour::default(), &file).await;
    assert_eq!(status(server.transcribe(&[]).bearer_auth(SECRET)).await, 200);
    let refused = server.transcribe(&[]).bearer_auth(SECRET).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3_000..=3_600).contains(&wait), "{wait}");
    assert_eq!(code(refused).await, "insufficient_quota");
}

#[tokio::test]
async fn a_dictation_pays_for_each_chunk_once_and_is_not_stopped_in_the_middle() {
    let file = file_of("a", "audio_seconds_per_hour = 5");
    let server = start_keyed(Behaviour::default(), &file).await;
    let post = |path: &str, body: Vec<u8>| server.post(path).bearer_auth(SECRET).body(body);
    let open = || server.client.put(server.url("/v1/sessions/ward")).bearer_auth(SECRET);
    assert_eq!(status(open()).await, 201);
    // The first chunk is sent three times: 3 s in all, of 5.
    for _ in 0..3 {
        assert_eq!(status(post("/v1/sessions/ward/chunks?seq=0", wav(3))).await, 200);
    }
    assert_eq!(status(open()).await, 200);
    assert_eq!(status(post("/v1/sessions/ward/chunks?seq=1", wav(3))).await, 200);
    // The quota is used up, and the dictation goes on.
    let refused = open().send().await.unwrap();
    assert_eq!(code(refused).await, "insufficient_quota");
    assert_eq!(status(post("/v1/sessions/ward/chunks?seq=2", wav(3))).await, 200);
    assert_eq!(status(post("/v1/sessions/ward/finish", Vec::new())).await, 200);
    let refused = open().send().await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    // 4 s too many and one for the next, at 5 s an hour; finishing has cost nothing.
    assert!((3_500..=3_600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_key_s_places_are_its_own_and_free_again_when_a_client_leaves() {
    let file = file_of("a", "max_concurrent = 1");
    std::fs::write(file.path(), lines("a", SECRET, "max_concurrent = 1") + &lines("b", OTHER, "")).unwrap();
    let server = start_keyed(Behaviour { gate: Gate::shut(), ..Behaviour::default() }, &file).await;
    let first = tokio::spawn(server.transcribe(&[]).bearer_auth(SECRET).send());
    server.gate.reached(1).await;
    let refused = server.transcribe(&[]).bearer_auth(SECRET).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let told: Value = refused.json().await.unwrap();
    assert!(told["error"]["message"].as_str().unwrap().contains("max_concurrent"), "{told}");
    let other = tokio::spawn(server.transcribe(&[]).bearer_auth(OTHER).send());
    let inside = |info: &Value, places: u64| info["requests_in_flight"] == places;
    let info = || server.get("/gpu-info").bearer_auth(OTHER).send();
    while !inside(&info().await.unwrap().json().await.unwrap(), 2) {}
    first.abort();
    while !inside(&info().await.unwrap().json().await.unwrap(), 1) {}
    server.gate.open();
    assert_eq!(other.await.unwrap().unwrap().status(), 200);
    assert_eq!(status(server.transcribe(&[]).bearer_auth(SECRET)).await, 200);
}

#[tokio::test]
async fn keys_come_and_go_with_their_file_and_a_broken_one_changes_nothing() {
    let file = file_of("a", "");
    let server = start_keyed(Behaviour::default(), &file).await;
    let asked = |secret: &'static str| status(server.get("/gpu-info").bearer_auth(secret));
    let until = async |secret: &'static str, wanted: u16| {
        let asked = async { while asked(secret).await != wanted {} };
        tokio::time::timeout(crate::server::PATIENCE, asked).await.expect("the file is never read again");
    };
    assert_eq!((asked(SECRET).await, asked(OTHER).await), (200, 401));
    std::fs::write(file.path(), "[[keys]]\nlabel = 'a'\n").unwrap();
    std::fs::write(file.path(), lines("a", SECRET, "") + &lines("b", OTHER, "")).unwrap();
    until(OTHER, 200).await;
    assert_eq!(asked(SECRET).await, 200);
    std::fs::write(file.path(), lines("b", OTHER, "")).unwrap();
    until(SECRET, 401).await;
    assert_eq!(asked(OTHER).await, 200);
}

#[tokio::test]
async fn without_keys_a_page_from_elsewhere_opens_no_websocket() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.cors_origins = vec!["https://app.example".to_owned()];
    })
    .await;
    let own = format!("http://{}", server.address);
    for (origin, wanted) in [("https://evil.example", 403), ("https://app.example", 200), (&own, 200)] {
        let request = server.get("/gpu-info").header("connection", "upgrade").header("upgrade", "websocket");
        assert_eq!(status(request.header("origin", origin)).await, wanted, "{origin}");
    }
}
