//! `POST /v1/subtitles`: a stored transcript in another format, with no model asked.

use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::fake_model::{Behaviour, Gate};
use crate::server::{PATIENCE, Server, start, start_with};

const STORED: &str = r#"{"text":"We need eggs, fish and sugar for the cake.","segments":[
    {"start":0.5,"end":4.0,"text":" We need eggs, fish and sugar for the cake."}]}"#;

async fn converted(server: &Server, query: &str) -> String {
    let request = server.post(&format!("/v1/subtitles{query}")).header("content-type", "application/json");
    let response = request.body(STORED).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn refused(request: reqwest::RequestBuilder, status: u16) -> (String, Value) {
    let response = request.send().await.unwrap();
    let code = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(code, status, "{body}");
    (body["error"]["message"].as_str().unwrap().to_owned(), body["error"]["param"].clone())
}

#[tokio::test]
async fn a_stored_transcript_becomes_subtitles_cut_by_the_rules() {
    let server = start(Behaviour::default()).await;
    let plain = converted(&server, "").await;
    assert_eq!(plain, "1\n00:00:00,500 --> 00:00:04,000\nWe need eggs, fish and sugar for the cake.\n\n");
    let cut = converted(&server, "?format=vtt&max_line_width=24").await;
    assert!(
        cut.starts_with("WEBVTT\n") && cut.contains("\nWe need eggs, fish\nand sugar for the cake.\n"),
        "{cut}"
    );
    assert_eq!(server.gate.calls(), 0);
}

#[tokio::test]
async fn a_form_holds_the_file_and_the_options() {
    let server = start(Behaviour::default()).await;
    let form = Form::new()
        .part("file", Part::text(STORED).file_name("speech.json"))
        .text("response_format", "tsv")
        .text("colour", "red");
    let response = server.post("/v1/subtitles").multipart(form).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/tab-separated-values; charset=utf-8");
    assert_eq!(response.headers()["x-verbatim-ignored"], "colour");
    assert_eq!(
        response.text().await.unwrap(),
        "start\tend\ttext\n500\t4000\tWe need eggs, fish and sugar for the cake.\n"
    );
}

#[tokio::test]
async fn what_the_server_wrote_it_reads_again() {
    let server = start(Behaviour::default()).await;
    let written = server.transcribe(&[]).send().await.unwrap().text().await.unwrap();
    let request = server.post("/v1/subtitles?format=verbose_json").body(written.clone());
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), written);
}

#[tokio::test]
async fn wrong_documents_and_options_are_named() {
    let server = start(Behaviour::default()).await;
    let post = |query: &str| server.post(&format!("/v1/subtitles{query}"));
    let (message, param) = refused(post("").body("{\"text\":\"a\"}"), 400).await;
    assert!(message.contains("neither segments nor words") && param == "file", "{message}");
    let backwards = r#"{"segments":[{"start":2,"end":1,"text":"a"}]}"#;
    let (message, _) = refused(post("").body(backwards), 400).await;
    assert!(message.contains("segments[0].end"), "{message}");
    let (message, param) = refused(post("?max_line_width=wide").body(STORED), 400).await;
    assert!(message.contains("wide") && param == "max_line_width", "{message}");
    let (_, param) = refused(post("?format=docx").body(STORED), 400).await;
    assert_eq!(param, "format");
    let no_file = post("").multipart(Form::new().text("format", "srt"));
    assert_eq!(refused(no_file, 400).await.1, "file");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_and_names_the_setting() {
    let server = start_with(Behaviour::default(), |settings| settings.max_body_bytes = 100).await;
    let (message, _) = refused(server.post("/v1/subtitles").body(STORED), 413).await;
    assert!(message.contains("server.max_body_bytes"), "{message}");
}

#[tokio::test]
async fn it_answers_while_the_engine_is_taken_and_while_the_server_drains() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let change = |settings: &mut verbatim::http::Settings| {
        settings.max_requests = 1;
        settings.drain_delay = PATIENCE * 10;
    };
    let server = start_with(behaviour, change).await;
    let begun = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;
    assert!(converted(&server, "").await.contains("eggs"));
    server.shutdown.cancel();
    let told = async {
        while server.get("/readyz").send().await.unwrap().status() != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("/readyz stays 200");
    assert!(converted(&server, "").await.contains("eggs"));
    server.gate.open();
    assert_eq!(begun.await.unwrap().unwrap().status(), 200);
}
