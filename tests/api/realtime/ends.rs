//! How sessions end, and what they leave behind.

use serde_json::json;
use verbatim::http::Ended;

use super::{TRANSCRIBED, connect, manual, open, speech};
use crate::fake_model::{Behaviour, Gate};
use crate::server::{PATIENCE, start, start_with};

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_and_its_slot() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(1)).await;
    client.commit().await;
    server.gate.reached(1).await;
    drop(client);
    server.until("the place is free", |info| info["requests_in_flight"] == 0).await;
    server.gate.open();
    server.until("the slot is free", |info| info["slots_busy"] == 0).await;
    assert_eq!(server.gpu_info().await["windows_done"], 0);
}

#[tokio::test]
async fn at_the_end_of_the_server_the_last_turn_is_answered_first() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(2)).await;
    client.commit().await;
    server.gate.reached(1).await;
    // Not committed yet.
    client.append(&speech(1)).await;
    client.tell(json!({"type": "session.update", "session": {}})).await;
    client.until("session.updated").await;
    server.shutdown.cancel();
    server.gate.open();
    for seconds in [2.0, 1.0] {
        let events = client.until(&format!("{TRANSCRIBED}completed")).await;
        assert_eq!(events.last().unwrap()["usage"]["seconds"], seconds);
    }
    let told = client.next().await;
    assert_eq!((&told["type"], &told["error"]["code"]), (&json!("error"), &json!("shutting_down")));
    assert_eq!(client.closed().await.0, 1001);
    let ended = tokio::time::timeout(PATIENCE, server.task).await.expect("the server does not end");
    assert_eq!(ended.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_session_that_does_not_finish_in_time_is_cut() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| {
        settings.drain_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(1)).await;
    client.commit().await;
    server.gate.reached(1).await;
    server.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, server.task).await.expect("the server does not end");
    assert_eq!(ended.unwrap().unwrap(), Ended::Cut(1));
    while client.frame().await.is_some() {}
    server.gate.open();
}

#[tokio::test]
async fn what_is_no_websocket_or_no_transcription_is_refused_in_the_usual_shape() {
    let server = start(Behaviour::default()).await;
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let plain = server.get("/v1/realtime").send().await.unwrap();
    assert_eq!(plain.status(), 400);
    for (query, status, param) in [("?intent=chat", 400, "intent"), ("?model=gpt-9", 404, "model")] {
        let request = server.get(&format!("/v1/realtime{query}"));
        let request = upgrade.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["param"], param);
    }
    // Refusals leave no place taken.
    drop(connect(&server, "", &[]).await);
    server.until("all places are free", |info| info["requests_in_flight"] == 0).await;
}
