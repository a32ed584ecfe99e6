//! What a session may take, and what it hears when it takes more.

use std::time::Duration;

use futures::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{TRANSCRIBED, manual, open, speech};
use crate::fake_model::{Behaviour, Gate};
use crate::server::{PATIENCE, start_with};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn sessions_are_counted() {
    let server = start_with(Behaviour::default(), |settings| settings.realtime.max_sessions = 1).await;
    let client = open(&server, manual()).await;
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = server.get("/v1/realtime");
    let request = upgrade.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(answer.text().await.unwrap().contains("server.realtime.max_sessions"));
    drop(client);
    server.until("the place is free", |info| info["requests_in_flight"] == 0).await;
    open(&server, manual()).await;
}

#[tokio::test]
async fn a_session_in_which_nothing_is_said_is_closed() {
    let server = start_with(Behaviour::default(), |settings| settings.realtime.idle_timeout = SHORT).await;
    let mut client = open(&server, manual()).await;
    let told = client.next().await;
    assert_eq!(told["error"]["code"], "session_idle");
    let (code, reason) = client.closed().await;
    assert!(code == 1008 && reason.contains("server.realtime.idle_timeout_seconds"), "{code} {reason}");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go() {
    let server = start_with(Behaviour::default(), |settings| settings.realtime.ping = SHORT / 10).await;
    // It reads nothing, so it cannot answer.
    let _client = open(&server, manual()).await;
    server.until("it is let go", |info| info["requests_in_flight"] == 0).await;
}

#[tokio::test]
async fn what_waits_for_a_commit_is_bounded() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.realtime.max_uncommitted = Duration::from_secs(2);
    })
    .await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(2)).await;
    client.append(&speech(1)).await;
    let told = client.next().await;
    assert_eq!(told["error"]["code"], "input_audio_buffer_full");
    assert!(told["error"]["message"].as_str().unwrap().contains("server.realtime.max_uncommitted_seconds"));
    client.commit().await;
    let events = client.until(&format!("{TRANSCRIBED}completed")).await;
    assert_eq!(events.last().unwrap()["usage"]["seconds"], 2.0);
}

#[tokio::test]
async fn a_client_that_sends_faster_than_the_device_hears_is_held_back_and_loses_nothing() {
    let gate = Gate::shut();
    let behaviour = Behaviour { gate: gate.clone(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| {
        settings.realtime.max_backlog = Duration::from_secs(4);
    })
    .await;
    let mut client = open(&server, manual()).await;
    for _ in 0..6 {
        client.append(&speech(2)).await;
        client.commit().await;
    }
    // Two turns fill what may wait; the third is not even read.
    for _ in 0..2 {
        client.until("conversation.item.done").await;
    }
    server.gate.reached(1).await;
    let more = tokio::time::timeout(SHORT, client.frame()).await;
    assert!(more.is_err(), "{more:?}");
    gate.open();
    for _ in 0..6 {
        client.until(&format!("{TRANSCRIBED}completed")).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.realtime.max_unread_events = 16;
    })
    .await;
    let mut client = open(&server, manual()).await;
    let nonsense = json!({"type": "x".repeat(70), "event_id": "e".repeat(60_000)}).to_string();
    // Each is answered with an error that repeats its id.
    let flood = async { while client.socket.send(Message::text(nonsense.clone())).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, flood).await.expect("the flood is taken for ever");
    server.until("its place is free", |info| info["requests_in_flight"] == 0).await;
}

#[tokio::test]
async fn an_event_that_is_too_large_ends_the_session() {
    let server = start_with(Behaviour::default(), |_| {}).await;
    let mut client = open(&server, manual()).await;
    let large = Message::text(format!(r#"{{"type":"{}"}}"#, "x".repeat(22 << 20)));
    // The server has heard enough before all of it is sent; what it then says may be lost to a reset.
    let _ = client.socket.send(large).await;
    match client.frame().await {
        Some(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1009),
        other => assert_eq!(other, None),
    }
    server.until("its place is free", |info| info["requests_in_flight"] == 0).await;
}
