//! `/v1/sessions`: a dictation chunk by chunk, whatever the network does to it.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use verbatim::http::SessionSettings;

use crate::fake_model::{Behaviour, Gate};
use crate::server::{Server, file, start, start_with_sessions, wav};

async fn body(response: Response, status: u16) -> Value {
    let (got, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn open(server: &Server, fields: Value) -> Value {
    body(server.post("/v1/sessions").json(&fields).send().await.unwrap(), 201).await
}

fn path(session: &Value) -> String {
    format!("/v1/sessions/{}", session["id"].as_str().unwrap())
}

fn chunk(server: &Server, session: &Value, query: &str, audio: Vec<u8>) -> reqwest::RequestBuilder {
    server.post(&format!("{}/chunks?{query}", path(session))).body(audio)
}

async fn send(server: &Server, session: &Value, seq: u64, audio: Vec<u8>) -> Value {
    body(chunk(server, session, &format!("seq={seq}"), audio).send().await.unwrap(), 200).await
}

async fn finish(server: &Server, session: &Value, query: &str, status: u16) -> Value {
    let request = server.post(&format!("{}/finish?{query}", path(session)));
    body(request.send().await.unwrap(), status).await
}

/// Seconds `from` to `to` of the test's speech as a file of its own.
fn part(from: u32, to: u32) -> Vec<u8> {
    let whole = wav(to);
    let mut part = wav(to - from);
    part.truncate(44);
    part.extend_from_slice(&whole[44 + from as usize * 32_000..]);
    part
}

#[tokio::test]
async fn a_dictation_grows_chunk_by_chunk_and_is_heard_again_as_a_whole() {
    let server = start(Behaviour::default()).await;
    let session = open(&server, json!({ "language": "en", "keywords": ["hello, there"] })).await;
    assert_eq!((&session["next_seq"], &session["state"]), (&json!(0), &json!("open")));
    assert!(session["expires_at"].as_u64().unwrap() > 1_700_000_000);

    let first = send(&server, &session, 0, part(0, 3)).await;
    assert_eq!(
        (&first["next_seq"], &first["missing"], &first["seconds"]),
        (&json!(1), &json!([]), &json!(3.0))
    );
    assert_eq!((&first["committed"], &first["duplicate"]), (&json!(""), &json!(false)));
    assert!(!first["tentative"].as_str().unwrap().is_empty());
    assert!(first["timing"]["total_ms"].as_f64().unwrap() > 0.0);
    let second = send(&server, &session, 1, part(3, 6)).await;
    assert_eq!(second["committed"], first["tentative"], "two hypotheses agree");
    assert_eq!(second["committed_delta"], second["committed"]);

    let done = finish(&server, &session, "response_format=verbose_json", 200).await;
    let whole =
        server.post("/transcribe?language=en&keywords=%5B%22hello,%20there%22%5D").body(wav(6)).send().await;
    let whole = body(whole.unwrap(), 200).await;
    assert_eq!((&done["text"], &done["segments"]), (&whole["text"], &whole["segments"]));
    assert_eq!((&done["duration"], &done["missing"]), (&json!(6.0), &json!([])));
    assert!(done["difference"].is_array() && done["live_text"].is_string());
    // Again, and in another format: the same text, and nothing is computed.
    let calls = server.gate.calls();
    assert_eq!(finish(&server, &session, "response_format=json", 200).await["text"], done["text"]);
    assert_eq!(server.gate.calls(), calls);
    let text = server.post(&format!("{}/finish?response_format=text", path(&session))).send().await.unwrap();
    assert_eq!(
        text.headers()["x-verbatim-changes"],
        done["difference"].as_array().unwrap().len().to_string()
    );
    assert_eq!(text.text().await.unwrap().trim(), done["text"].as_str().unwrap());
    let state = body(server.get(&path(&session)).send().await.unwrap(), 200).await;
    assert_eq!((&state["state"], &state["text"]), (&json!("finished"), &done["text"]));
}

#[tokio::test]
async fn the_same_chunk_again_has_the_same_answer_and_changes_nothing() {
    let server = start(Behaviour::default()).await;
    let session = open(&server, json!({})).await;
    let first = send(&server, &session, 0, part(0, 2)).await;
    let second = send(&server, &session, 1, part(2, 4)).await;
    let calls = server.gate.calls();
    let again = send(&server, &session, 1, part(2, 4)).await;
    assert_eq!((&again["duplicate"], server.gate.calls()), (&json!(true), calls));
    for name in ["seq", "next_seq", "missing", "committed", "tentative", "committed_delta", "seconds"] {
        assert_eq!(again[name], second[name], "{name}");
    }
    let oldest = send(&server, &session, 0, part(0, 2)).await;
    assert_eq!((&oldest["committed_delta"], &oldest["next_seq"]), (&first["committed_delta"], &json!(2)));
    let other = chunk(&server, &session, "seq=1", part(0, 2)).send().await.unwrap();
    assert_eq!(other.headers()["x-should-retry"], "false");
    let error = &body(other, 409).await["error"];
    assert_eq!(
        (&error["code"], &error["param"], &error["next_seq"]),
        (&json!("chunk_conflict"), &json!("seq"), &json!(2))
    );
    assert!(error["message"].as_str().unwrap().contains("chunk 1"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named_and_what_is_too_far_ahead_refused() {
    let settings = SessionSettings { max_chunks_ahead: 3, ..SessionSettings::default() };
    let server = start_with_sessions(Behaviour::default(), settings).await;
    let session = open(&server, json!({})).await;
    let ahead = send(&server, &session, 2, part(2, 3)).await;
    assert_eq!(
        (&ahead["next_seq"], &ahead["missing"], &ahead["seconds"]),
        (&json!(0), &json!([0, 1]), &json!(0.0))
    );
    let far = body(chunk(&server, &session, "seq=4", part(4, 5)).send().await.unwrap(), 409).await;
    let error = &far["error"];
    assert_eq!(
        (&error["code"], &error["next_seq"], &error["missing"]),
        (&json!("chunk_too_far_ahead"), &json!(0), &json!([0, 1]))
    );
    assert!(error["message"].as_str().unwrap().contains("sessions.max_chunks_ahead"));
    send(&server, &session, 0, part(0, 1)).await;

    let refused = finish(&server, &session, "", 409).await;
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["missing"]),
        (&json!("chunks_missing"), &json!([1]))
    );
    let refused = finish(&server, &session, "chunks=5", 409).await;
    assert_eq!(refused["error"]["missing"], json!([1, 3, 4]));
    let done = finish(&server, &session, "allow_missing=true&response_format=verbose_json", 200).await;
    assert_eq!((&done["missing"], &done["duration"]), (&json!([1]), &json!(3.0)));
    assert!(done["warnings"][0].as_str().unwrap().contains("[1]"), "{}", done["warnings"]);
    let late = body(chunk(&server, &session, "seq=1", part(1, 2)).send().await.unwrap(), 409).await;
    assert_eq!(late["error"]["code"], "session_finished");
}

#[tokio::test]
async fn chunks_may_overlap_be_bare_samples_or_parts_of_a_form() {
    let server = start(Behaviour::default()).await;
    let session = open(&server, json!({ "overlap_ms": 1000 })).await;
    send(&server, &session, 0, part(0, 3)).await;
    // Said to repeat a second, and it does; the next one a little less than it says.
    assert_eq!(send(&server, &session, 1, part(2, 4)).await["seconds"], 4.0);
    let bare = part(3, 5)[44..].to_vec();
    let request = chunk(&server, &session, "seq=2&format=s16le&rate=16000&overlap_ms=950", bare);
    assert_eq!(body(request.send().await.unwrap(), 200).await["seconds"], 5.0);
    let form = reqwest::multipart::Form::new()
        .text("seq", "3")
        .text("overlap_ms", "0")
        .part("file", file(part(5, 6)));
    let request = server.post(&format!("{}/chunks", path(&session))).multipart(form);
    assert_eq!(body(request.send().await.unwrap(), 200).await["seconds"], 6.0);

    let odd = chunk(&server, &session, "seq=4&format=s16le", vec![0; 3]).send().await.unwrap();
    assert_eq!(body(odd, 400).await["error"]["param"], "file");
    let text = chunk(&server, &session, "seq=4", b"this is no audio".to_vec()).send().await.unwrap();
    assert_eq!(body(text, 415).await["error"]["code"], "unsupported_audio");
    // What was refused is not there.
    let state = body(server.get(&path(&session)).send().await.unwrap(), 200).await;
    assert_eq!((&state["next_seq"], &state["chunks"]), (&json!(4), &json!(4)));
}

#[tokio::test]
async fn the_pieces_of_a_browsers_recording_are_one_file_that_grows() {
    let server = start(Behaviour::default()).await;
    let whole = include_bytes!("../fixtures/audio/live.webm");
    let one_shot = server.post("/transcribe").body(whole.to_vec()).send().await.unwrap();
    let one_shot = body(one_shot, 200).await;
    let session = open(&server, json!({ "format": "stream" })).await;
    let pieces: Vec<&[u8]> = whole.chunks(whole.len() / 5 + 1).collect();
    let mut seconds = 0.0;
    for seq in [0, 2, 1, 4, 3] {
        let answer = send(&server, &session, seq, pieces[seq as usize].to_vec()).await;
        assert!(answer["seconds"].as_f64().unwrap() >= seconds);
        seconds = answer["seconds"].as_f64().unwrap();
    }
    assert!(seconds > 0.0);
    let done = finish(&server, &session, "response_format=verbose_json", 200).await;
    assert_eq!((&done["text"], &done["duration"]), (&one_shot["text"], &one_shot["duration"]));
    let other = chunk(&server, &session, "seq=5&format=file", wav(1)).send().await.unwrap();
    assert!(other.status().is_client_error());
}

#[tokio::test]
async fn a_client_that_left_in_the_middle_sends_again_and_loses_nothing() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let session = open(&server, json!({ "language": "en" })).await;
    let left = tokio::spawn(chunk(&server, &session, "seq=0", part(0, 3)).send());
    server.gate.reached(1).await;
    left.abort();
    server.gate.open();
    let again = send(&server, &session, 0, part(0, 3)).await;
    assert_eq!(again["duplicate"], true);
    assert!(!again["tentative"].as_str().unwrap().is_empty(), "it was heard after all");
    assert_eq!(again["seconds"], 3.0);
}

#[tokio::test]
async fn a_name_of_ones_own_is_opened_once_and_a_stranger_is_told_how_to_begin() {
    let server = start(Behaviour::default()).await;
    let unknown = body(server.get("/v1/sessions/visit-7").send().await.unwrap(), 404).await;
    assert_eq!(unknown["error"]["code"], "session_not_found");
    assert!(unknown["error"]["message"].as_str().unwrap().contains("PUT /v1/sessions/visit-7"));
    let put = || server.client.put(server.url("/v1/sessions/visit-7?language=en"));
    let session = body(put().send().await.unwrap(), 201).await;
    send(&server, &session, 0, part(0, 2)).await;
    let again = body(put().send().await.unwrap(), 200).await;
    assert_eq!((&again["id"], &again["next_seq"]), (&json!("visit-7"), &json!(1)));
    let posted = server.post("/v1/sessions").body("id=visit-7").send().await.unwrap();
    assert_eq!(body(posted, 200).await["next_seq"], 1);

    let gone = server.client.delete(server.url("/v1/sessions/visit-7")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.get("/v1/sessions/visit-7").send().await.unwrap().status(), 404);
    assert_eq!(chunk(&server, &session, "seq=0", part(0, 2)).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn limits_name_their_settings() {
    let settings = SessionSettings { max_sessions: 1, max_seconds: 4, ..SessionSettings::default() };
    let server = start_with_sessions(Behaviour::default(), settings).await;
    let session = open(&server, json!({})).await;
    let full = server.post("/v1/sessions").send().await.unwrap();
    assert!(full.headers().contains_key("retry-after"));
    assert!(body(full, 503).await["error"]["message"].as_str().unwrap().contains("sessions.max_sessions"));
    let long = body(chunk(&server, &session, "seq=0", wav(6)).send().await.unwrap(), 413).await;
    assert_eq!(long["error"]["code"], "session_too_long");
    assert!(long["error"]["message"].as_str().unwrap().contains("sessions.max_seconds"));
    assert_eq!(send(&server, &session, 0, wav(4)).await["next_seq"], 1);

    let settings = SessionSettings { max_memory_bytes: 100_000, ..SessionSettings::default() };
    let server = start_with_sessions(Behaviour::default(), settings).await;
    let session = open(&server, json!({})).await;
    send(&server, &session, 0, wav(1)).await;
    let full = body(chunk(&server, &session, "seq=1", wav(1)).send().await.unwrap(), 503).await;
    assert!(full["error"]["message"].as_str().unwrap().contains("sessions.max_memory_bytes"));
    // What was deleted leaves its room to others.
    server.client.delete(server.url(&path(&session))).send().await.unwrap();
    let next = open(&server, json!({})).await;
    send(&server, &next, 0, wav(1)).await;
}

#[tokio::test]
async fn what_nobody_asks_for_is_forgotten_and_says_so() {
    let settings = SessionSettings { idle_timeout_seconds: 0, ..SessionSettings::default() };
    let server = start_with_sessions(Behaviour::default(), settings).await;
    let session = open(&server, json!({})).await;
    let gone = body(server.get(&path(&session)).send().await.unwrap(), 410).await;
    assert_eq!(gone["error"]["code"], "session_expired");
    assert!(gone["error"]["message"].as_str().unwrap().contains("sessions.idle_timeout_seconds"));
    // It may be opened again under its name.
    let again = server.client.put(server.url(&path(&session))).send().await.unwrap();
    assert_eq!(body(again, 201).await["next_seq"], 0);
}

#[tokio::test]
async fn bad_options_and_bad_chunks_are_refused_by_name() {
    let server = start(Behaviour::default()).await;
    for (fields, param) in [
        (json!({ "language": "klingon" }), "language"),
        (json!({ "id": "../etc" }), "id"),
        (json!({ "channels": "split" }), "channels"),
        (json!({ "format": "docx" }), "format"),
    ] {
        let refused = server.post("/v1/sessions").json(&fields).send().await.unwrap();
        assert_eq!(body(refused, 400).await["error"]["param"], param);
    }
    let session = open(&server, json!({})).await;
    let unnumbered = chunk(&server, &session, "", wav(1)).send().await.unwrap();
    assert_eq!(body(unnumbered, 400).await["error"]["param"], "seq");
    let empty = finish(&server, &session, "", 400).await;
    assert_eq!(empty["error"]["code"], "empty_audio");
    let model = server.post("/v1/sessions?model=large").send().await.unwrap();
    assert_eq!(body(model, 404).await["error"]["code"], "model_not_found");
}
