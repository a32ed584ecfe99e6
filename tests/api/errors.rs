//! Every way to fail has its status, its code and one shape.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::fake_model::{Behaviour, Failure, Gate};
use crate::server::{file, read_to_end, start, start_engine, start_with, wav};

/// What went wrong, after checking that it is told in the one shape.
struct Told {
    status: u16,
    code: Value,
    param: Value,
    message: String,
    headers: reqwest::header::HeaderMap,
}

async fn told(request: RequestBuilder) -> Told {
    tell(request.send().await.unwrap()).await
}

async fn tell(response: Response) -> Told {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body: Value = response.json().await.unwrap();
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{status} {body}"));
    let mut keys: Vec<&str> = error.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    assert_eq!(error["type"], if status >= 500 { "server_error" } else { "invalid_request_error" });
    let message = error["message"].as_str().unwrap().to_owned();
    Told { status, code: error["code"].clone(), param: error["param"].clone(), message, headers }
}

#[tokio::test]
async fn an_error_body_reads_like_openai_s() {
    let server = start(Behaviour::default()).await;
    let response = server.transcribe(&[("language", "klingon")]).send().await.unwrap();
    assert_eq!(response.status(), 400);
    insta::assert_snapshot!(response.text().await.unwrap(), @r#"{"error":{"message":"'language' cannot be 'klingon': give a code (en), a name (english) or a tag (en-US)","type":"invalid_request_error","param":"language","code":null}}"#);
}

#[tokio::test]
async fn routes_and_methods_that_are_not_there() {
    let server = start(Behaviour::default()).await;
    let nowhere = told(server.get("/transcribe/everything")).await;
    assert_eq!((nowhere.status, nowhere.code), (404, "not_found".into()));
    let wrong = told(server.get("/transcribe")).await;
    assert_eq!((wrong.status, wrong.code), (405, "method_not_allowed".into()));
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn wrong_values_are_400_and_name_the_field() {
    let server = start(Behaviour::default()).await;
    for (name, value) in [
        ("language", "klingon"),
        ("task", "summarise"),
        ("temperature", "7"),
        ("response_format", "docx"),
        ("beam_size", "40"),
        ("stream", "perhaps"),
        ("include", "everything"),
    ] {
        let told = told(server.transcribe(&[(name, value)])).await;
        assert_eq!((told.status, told.param), (400, name.into()), "{}", told.message);
    }
}

#[tokio::test]
async fn a_language_that_the_model_does_not_know_is_the_caller_s_to_mend() {
    let server = start(Behaviour::default()).await;
    let told = told(server.transcribe(&[("language", "fr")])).await;
    assert_eq!((told.status, told.param), (400, "language".into()));
    assert!(told.message.contains("french"), "{}", told.message);
}

#[tokio::test]
async fn a_model_that_is_not_loaded_is_404() {
    let server = start(Behaviour::default()).await;
    let unknown = told(server.transcribe(&[("model", "whisper-9")])).await;
    assert_eq!(
        (unknown.status, unknown.code, unknown.param),
        (404, "model_not_found".into(), "model".into())
    );
    for name in ["whisper-1", "fake", ""] {
        assert_eq!(server.transcribe(&[("model", name)]).send().await.unwrap().status(), 200, "{name}");
    }
}

#[tokio::test]
async fn uploads_without_audio_say_what_is_missing() {
    let server = start(Behaviour::default()).await;
    let no_file = told(server.post("/transcribe").multipart(Form::new().text("language", "en"))).await;
    assert_eq!((no_file.status, no_file.param), (400, "file".into()));
    assert!(no_file.message.contains("language"), "{}", no_file.message);
    let empty = told(server.post("/transcribe").multipart(Form::new().part("file", file(Vec::new())))).await;
    assert_eq!((empty.status, empty.code), (400, "empty_audio".into()));
    let nothing = told(server.post("/transcribe")).await;
    assert_eq!((nothing.status, nothing.code), (400, "empty_audio".into()));
    let two = Form::new().part("file", file(wav(1))).part("audio_file", file(wav(1)));
    assert_eq!(told(server.post("/transcribe").multipart(two)).await.status, 400);
}

#[tokio::test]
async fn what_is_no_audio_is_415() {
    let server = start(Behaviour::default()).await;
    let text = "this is not audio ".repeat(100);
    let upload = told(server.post("/transcribe").body(text.clone())).await;
    assert_eq!((upload.status, upload.code), (415, "unsupported_audio".into()));
    for content_type in ["application/json", "text/plain"] {
        let request = server.post("/transcribe").header("content-type", content_type).body(text.clone());
        assert_eq!(told(request).await.status, 415, "{content_type}");
    }
    let packed = server.post("/transcribe").header("content-encoding", "gzip").body(wav(1));
    assert_eq!(told(packed).await.status, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_by_its_header_and_by_its_bytes() {
    let server = start_with(Behaviour::default(), |settings| settings.max_body_bytes = 10_000).await;
    let by_header = told(server.post("/transcribe").body(wav(1))).await;
    let pieces = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0u8; 1_000])));
    let by_bytes = told(server.post("/transcribe").body(reqwest::Body::wrap_stream(pieces))).await;
    let in_a_form = told(server.transcribe(&[])).await;
    for told in [by_header, by_bytes, in_a_form] {
        assert_eq!((told.status, told.code), (413, "body_too_large".into()));
        assert!(told.message.contains("server.max_body_bytes"), "{}", told.message);
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let server = start_with(Behaviour::default(), |settings| settings.max_body_bytes = 10_000).await;
    let head =
        "POST /transcribe HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999\r\n\r\n";
    let answer = read_to_end(&mut server.raw(head.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn broken_and_bloated_forms_are_400() {
    let server = start(Behaviour::default()).await;
    let form = |body: &'static str| {
        server.post("/transcribe").header("content-type", "multipart/form-data; boundary=B").body(body)
    };
    let cut = form("--B\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nRIFF");
    assert_eq!(told(cut).await.status, 400);
    assert_eq!(told(form("no boundary at all")).await.status, 400);
    let unnamed = server.post("/transcribe").header("content-type", "multipart/form-data").body("x");
    assert_eq!(told(unnamed).await.status, 400);
    let many = (0..700).fold(Form::new(), |form, _| form.text("language", "en"));
    assert_eq!(told(server.post("/transcribe").multipart(many)).await.status, 400);
    let long = Form::new().text("prompt", "x".repeat(70_000)).part("file", file(wav(1)));
    assert_eq!(told(server.post("/transcribe").multipart(long)).await.status, 400);
    let not_text = Form::new().part("prompt", Part::bytes(vec![0xff, 0xfe])).part("file", file(wav(1)));
    assert_eq!(told(server.post("/transcribe").multipart(not_text)).await.status, 400);
}

#[tokio::test]
async fn a_device_without_room_is_503_and_may_be_tried_again() {
    let behaviour = Behaviour { fails: Some(Failure::OutOfMemory), ..Behaviour::default() };
    let told = told(start(behaviour).await.transcribe(&[])).await;
    assert_eq!((told.status, told.code), (503, "out_of_memory".into()));
    assert!(told.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_lost_device_is_503_for_those_who_wait() {
    for failure in [Failure::Device, Failure::Panic] {
        let server = start(Behaviour { fails: Some(failure), ..Behaviour::default() }).await;
        let told = told(server.transcribe(&[])).await;
        assert_eq!((told.status, told.code), (503, "device_restarting".into()));
        assert_eq!(told.headers["retry-after"], "30");
    }
}

#[tokio::test]
async fn a_device_that_hangs_is_taken_for_lost() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let engine = verbatim::engine::Settings { hang_timeout_seconds: 1, ..Default::default() };
    let mut server = start_engine(behaviour, engine, |_| {}).await;
    let waiting = tokio::spawn(told(server.transcribe(&[])));
    server.gate.reached(1).await;
    let end = server.worker.ended().await;
    assert!(matches!(end, Err(verbatim::engine::EngineError::Hung)), "{end:?}");
    let told = waiting.await.unwrap();
    assert_eq!((told.status, told.code), (503, "device_restarting".into()));
    // Nobody is let in to wait for nothing.
    let after = server.transcribe(&[]).send().await.unwrap();
    assert_eq!(after.status(), 503);
    server.gate.open();
}

#[tokio::test]
async fn what_takes_too_long_is_504_and_not_worth_another_try() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.request_timeout = Duration::from_millis(50)).await;
    let told = told(server.transcribe(&[])).await;
    assert_eq!((told.status, told.code), (504, "timeout".into()));
    assert_eq!(told.headers["x-should-retry"], "false");
    server.gate.open();
}
