//! Who may come in is decided at the door.

use crate::fake_model::{Behaviour, Gate};
use crate::server::{read_to_end, start_with};

#[tokio::test]
async fn a_full_house_says_when_to_come_again_and_takes_the_next_when_there_is_room() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.max_requests = 1).await;
    let first = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;

    let refused = server.transcribe(&[]).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
    let body: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(body["error"]["code"], "overloaded");
    // The others are not touched by it.
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), 200);

    server.gate.open();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_upload() {
    let server = start_with(Behaviour::default(), |settings| settings.max_requests = 0).await;
    // Nothing of the announced body is ever sent.
    let head = "POST /transcribe HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5000\r\n\r\n";
    let answer = read_to_end(&mut server.raw(head.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn more_requests_than_slots_wait_their_turn_inside() {
    let behaviour = Behaviour { slots: 1, ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.max_requests = 16).await;
    let requests = (0..16).map(|_| server.transcribe(&[]).send());
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    server.until("every place is free again", |info| info["requests_in_flight"] == 0).await;
}
