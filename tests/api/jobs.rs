//! `/v1/jobs`: many files in one call, worked off whatever happens.

use reqwest::multipart::Form;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use verbatim::jobs;

use crate::fake_model::{Behaviour, Gate};
use crate::server::{Server, file, start, start_with_jobs, wav};

fn kept(dir: &tempfile::TempDir) -> jobs::Settings {
    jobs::Settings { dir: Some(dir.path().join("jobs")), ..jobs::Settings::default() }
}

async fn with_jobs(dir: &tempfile::TempDir) -> Server {
    start_with_jobs(Behaviour::default(), kept(dir), |_| {}).await
}

async fn body(response: Response, status: u16) -> Value {
    let (got, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn files(count: usize) -> Form {
    (0..count).fold(Form::new(), |form, at| {
        form.part("file", file(wav(1 + at as u32)).file_name(format!("{at}.wav")))
    })
}

async fn submit(server: &Server, form: Form) -> String {
    let job = body(server.post("/v1/jobs").multipart(form).send().await.unwrap(), 202).await;
    job["id"].as_str().unwrap().to_owned()
}

async fn job(server: &Server, id: &str) -> Value {
    body(server.get(&format!("/v1/jobs/{id}")).send().await.unwrap(), 200).await
}

/// All lines, once the job has ended.
async fn results(server: &Server, id: &str) -> Vec<Value> {
    let response = server.get(&format!("/v1/jobs/{id}/results")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["item"].as_u64());
    lines
}

#[tokio::test]
async fn files_go_in_and_the_texts_of_direct_calls_come_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let form = files(3).text("language", "en").text("name", "a night's work");
    let response = server.post("/v1/jobs").multipart(form).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let taken = body(response, 202).await;
    let id = taken["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/jobs/{id}"));
    assert_eq!((&taken["object"], &taken["name"]), (&json!("job"), &json!("a night's work")));

    let lines = results(&server, id).await;
    assert_eq!(lines.len(), 3);
    let direct: Value = server.transcribe(&[("language", "en")]).send().await.unwrap().json().await.unwrap();
    assert_eq!(lines[0]["result"]["text"], direct["text"]);
    assert_eq!(lines[0]["result"]["segments"], direct["segments"]);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!((&line["name"], &line["state"]), (&json!(format!("{at}.wav")), &json!("done")));
        assert_eq!(line["result"]["duration"], json!(1.0 + at as f64));
    }
    let told = job(&server, id).await;
    assert_eq!((&told["state"], &told["percent"]), (&json!("done"), &json!(100.0)));
    assert_eq!((&told["counts"]["done"], &told["audio_seconds"]), (&json!(3), &json!(6.0)));
    assert_eq!(told["items"][1]["name"], "1.wav");

    let srt = server.get(&format!("/v1/jobs/{id}/items/1?response_format=srt")).send().await.unwrap();
    assert_eq!(srt.headers()["content-type"], "application/x-subrip; charset=utf-8");
    assert!(srt.text().await.unwrap().starts_with("1\n00:00:0"));
    let verbose = server.get(&format!("/v1/jobs/{id}/items/1")).send().await.unwrap();
    assert_eq!(body(verbose, 200).await["text"], lines[1]["result"]["text"]);
    let listed = body(server.get("/v1/jobs").send().await.unwrap(), 200).await;
    assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&json!(id), &json!(false)));
}

#[tokio::test]
async fn one_bad_file_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        start_with_jobs(Behaviour::default(), kept(&dir), |settings| settings.max_body_bytes = 60_000).await;
    let form = files(1)
        .part("file", file(b"no audio at all".to_vec()).file_name("bad.txt"))
        .part("file", file(wav(5)).file_name("large.wav"))
        .part("file", file(wav(1)).file_name("good.wav"));
    let id = submit(&server, form).await;
    let lines = results(&server, &id).await;
    let states: Vec<&str> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed", "failed", "done"]);
    assert_eq!(lines[1]["error"]["code"], "unsupported_audio");
    assert_eq!(lines[2]["error"]["code"], "body_too_large");
    let told = job(&server, &id).await;
    assert_eq!((&told["state"], &told["counts"]["failed"]), (&json!("done"), &json!(2)));
    let asked = server.get(&format!("/v1/jobs/{id}/items/1")).send().await.unwrap();
    assert_eq!(body(asked, 409).await["error"]["code"], "item_not_done");
}

#[tokio::test]
async fn archives_are_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["one.wav", "deep/two.wav"] {
        let audio = wav(1);
        let mut header = tar::Header::new_gnu();
        header.set_size(audio.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &audio[..]).unwrap();
    }
    let form = Form::new().part("file", file(tar.into_inner().unwrap()).file_name("all.tar"));
    let id = submit(&server, form).await;
    let lines = results(&server, &id).await;
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one.wav", "deep/two.wav"]);
    assert!(lines.iter().all(|line| line["state"] == "done"));
    let items = &job(&server, &id).await["items"];
    // The second is the first under another name, if it came after it.
    assert_eq!(items.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_request_that_comes_again_makes_no_second_job() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let send = async |form: Form| {
        server.post("/v1/jobs").header("Idempotency-Key", "night-1").multipart(form).send().await.unwrap()
    };
    let first = body(send(files(2)).await, 202).await;
    let again = body(send(files(2)).await, 202).await;
    assert_eq!(first["id"], again["id"]);
    assert_eq!(body(send(files(1)).await, 409).await["error"]["code"], "idempotency_key_reused");
    let listed = body(server.get("/v1/jobs").send().await.unwrap(), 200).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_file_wanted_in_the_same_way_is_heard_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let first = submit(&server, files(1)).await;
    let heard = results(&server, &first).await;
    let again = submit(&server, files(1)).await;
    assert_eq!(results(&server, &again).await[0]["result"], heard[0]["result"]);
    assert_eq!(job(&server, &again).await["items"][0]["duplicate"], true);
    let otherwise = submit(&server, files(1).text("language", "en")).await;
    results(&server, &otherwise).await;
    assert_eq!(job(&server, &otherwise).await["items"][0]["duplicate"], Value::Null);
    // It has its own copy.
    let gone = server.client.delete(server.url(&format!("/v1/jobs/{first}"))).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(results(&server, &again).await[0]["result"], heard[0]["result"]);
    assert_eq!(
        body(server.get(&format!("/v1/jobs/{first}")).send().await.unwrap(), 404).await["error"]["code"],
        "job_not_found"
    );
}

#[tokio::test]
async fn a_request_may_prefer_to_be_answered_later() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let response =
        server.transcribe(&[("language", "en")]).header("Prefer", "respond-async, wait=5").send().await;
    let response = response.unwrap();
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let id = body(response, 202).await["id"].as_str().unwrap().to_owned();
    assert_eq!(results(&server, &id).await[0]["state"], "done");
}

#[tokio::test]
async fn a_job_is_followed_by_events_and_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::shut();
    let behaviour = Behaviour { gate: gate.clone(), ..Behaviour::default() };
    let server = start_with_jobs(behaviour, kept(&dir), |_| {}).await;
    let id = submit(&server, files(3)).await;
    let mut events = server.get(&format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let first = events.chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().starts_with("event: progress\ndata: {\"id\":\"job_"));
    let cancelled = server.client.delete(server.url(&format!("/v1/jobs/{id}"))).send().await.unwrap();
    assert_eq!(body(cancelled, 200).await["state"], "cancelled");
    gate.open();
    let rest = events.text().await.unwrap();
    assert!(rest.contains("event: end\ndata: "), "{rest}");
    assert!(results(&server, &id).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_a_job_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let refused = async |form: Form| {
        let told = body(server.post("/v1/jobs").multipart(form).send().await.unwrap(), 400).await;
        (
            told["error"]["param"].as_str().unwrap_or_default().to_owned(),
            told["error"]["message"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(refused(Form::new().text("language", "en")).await.0, "file");
    assert_eq!(refused(files(1).text("language", "klingon")).await.0, "language");
    assert_eq!(refused(files(1).text("priority", "now")).await.0, "priority");
    assert_eq!(refused(files(1).text("webhook_url", "http://127.0.0.1/hook")).await.0, "webhook_url");
    let (param, why) = refused(Form::new().text("url", "https://example.com/a.mp3")).await;
    assert!(param == "url" && why.contains("jobs.allow_urls"), "{why}");
    let listed = body(server.get("/v1/jobs").send().await.unwrap(), 200).await;
    assert!(listed["data"].as_array().unwrap().is_empty());
    // Nothing of them is left.
    for _ in 0..100 {
        let left = std::fs::read_dir(dir.path().join("jobs/blobs/jobs")).map_or(0, Iterator::count);
        if left == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("files of refused jobs are left");
}

#[tokio::test]
async fn a_query_or_a_path_that_makes_no_sense_is_refused_in_openais_shape() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let id = submit(&server, files(1)).await;
    for (path, status) in [
        ("/v1/jobs?limit=many".to_owned(), 400),
        ("/v1/jobs?limit=1&limit=2".to_owned(), 400),
        (format!("/v1/jobs/{id}?from=-1"), 400),
        (format!("/v1/jobs/{id}/results?follow=perhaps"), 400),
        ("/v1/estimate?audio_seconds=5&files=some".to_owned(), 400),
        (format!("/v1/jobs/{id}/items/first"), 404),
        ("/v1/sessions/%FF".to_owned(), 404),
    ] {
        let told = body(server.get(&path).send().await.unwrap(), status).await;
        assert_eq!(told["error"]["type"], "invalid_request_error", "{path}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_before_the_upload() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::shut();
    let behaviour = Behaviour { gate: gate.clone(), ..Behaviour::default() };
    let settings = jobs::Settings { max_queued_items: 2, concurrency: 1, ..kept(&dir) };
    let server = start_with_jobs(behaviour, settings, |_| {}).await;
    submit(&server, files(2)).await;
    let told = body(server.post("/v1/jobs").multipart(files(2)).send().await.unwrap(), 503).await;
    let why = told["error"]["message"].as_str().unwrap();
    assert!(why.contains("jobs.max_queued_items"), "{why}");
    gate.open();
}

#[tokio::test]
async fn a_server_that_starts_again_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::shut();
    let behaviour = Behaviour { gate: gate.clone(), ..Behaviour::default() };
    let server = start_with_jobs(behaviour, kept(&dir), |_| {}).await;
    let id = submit(&server, files(3)).await;
    server.promptly.cancel();
    server.shutdown.cancel();
    server.task.await.unwrap().unwrap();
    drop(server.app);
    gate.open();
    let server = with_jobs(&dir).await;
    assert_eq!(results(&server, &id).await.len(), 3);
    // What was given back in good order counts as no failed delivery.
    assert!(job(&server, &id).await["items"].as_array().unwrap().iter().all(|item| item["deliveries"] == 1));
}

#[tokio::test]
async fn a_server_may_have_no_jobs() {
    let server = start(Behaviour::default()).await;
    let told = body(server.post("/v1/jobs").multipart(files(1)).send().await.unwrap(), 400).await;
    assert_eq!(told["error"]["code"], "not_offered");
}

#[tokio::test]
async fn an_estimate_is_what_the_device_has_shown() {
    let dir = tempfile::tempdir().unwrap();
    let server = with_jobs(&dir).await;
    let estimate = async || -> Value {
        let asked = server.get("/v1/estimate?audio_seconds=600&files=10").send().await.unwrap();
        body(asked, 200).await
    };
    let before = estimate().await;
    assert_eq!((&before["audio_seconds"], &before["seconds"]), (&json!(6000.0), &Value::Null));
    let id = submit(&server, files(1)).await;
    results(&server, &id).await;
    assert!(estimate().await["seconds"].as_f64().unwrap() > 0.0);
    let asked = server.get("/v1/estimate").send().await.unwrap();
    assert_eq!(body(asked, 400).await["error"]["param"], "audio_seconds");
}
