//! A client that leaves stops costing.

use crate::fake_model::{Behaviour, Gate};
use crate::server::{start, start_with, wav};

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_and_its_slot() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.max_requests = 1).await;
    let client = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;
    client.abort();
    server.until("the place is free", |info| info["requests_in_flight"] == 0).await;

    server.gate.open();
    server
        .until("the slot is free", |info| info["slots_busy"] == 0 && info["queue_depth_windows"] == 0)
        .await;
    // The one call that was under way, and nothing after it.
    assert_eq!((server.gate.calls(), &server.gpu_info().await["windows_done"]), (1, &0.into()));
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn windows_that_wait_leave_the_queue_with_their_client() {
    let behaviour = Behaviour { slots: 1, gate: Gate::shut(), ..Behaviour::default() };
    let server = start(behaviour).await;
    let staying = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;
    let leaving = tokio::spawn(server.transcribe(&[]).send());
    server.until("the second waits", |info| info["queue_depth_windows"] == 1).await;
    leaving.abort();
    server.until("it has left", |info| info["requests_in_flight"] == 1).await;
    server.gate.open();
    assert_eq!(staying.await.unwrap().unwrap().status(), 200);
    server.until("the queue is empty", |info| info["queue_depth_windows"] == 0).await;
    assert_eq!(server.gpu_info().await["windows_done"], 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_frees_its_place() {
    let server = start(Behaviour::default()).await;
    let mut request = b"POST /transcribe HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n".to_vec();
    request.extend(&wav(1)[..1000]);
    let connection = server.raw(&request).await;
    server.until("it is inside", |info| info["requests_in_flight"] == 1).await;
    drop(connection);
    server.until("it has left", |info| info["requests_in_flight"] == 0).await;
}
