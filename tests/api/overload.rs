//! Who may come in is decided at the door.

use crate::fake_model::{Behaviour, Gate};
use crate::server::{file, read_to_end, start, start_with, wav};

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

#[tokio::test]
async fn audio_that_waits_is_bounded_and_what_is_given_up_no_longer_waits() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.max_queue_audio_seconds = 100).await;
    let long = |seconds| {
        let form = reqwest::multipart::Form::new().part("file", file(wav(seconds)));
        server.post("/transcribe").multipart(form)
    };
    let first = tokio::spawn(long(150).send());
    server.until("it waits", |info| info["queue_audio_seconds"].as_f64() > Some(100.0)).await;
    let refused = long(1).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let body: serde_json::Value = refused.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("server.max_queue_audio_seconds"), "{message}");

    first.abort();
    server.until("it has left", |info| info["queue_audio_seconds"] == 0.0).await;
    server.gate.open();
    assert_eq!(long(150).send().await.unwrap().status(), 200);
    server.until("all is done", |info| info["queue_audio_seconds"] == 0.0).await;
}

#[tokio::test]
async fn a_short_recording_does_not_wait_for_a_long_one() {
    let behaviour = Behaviour { slots: 2, gate: Gate::shut(), ..Behaviour::default() };
    let server = start(behaviour).await;
    let send = |seconds, priority: &'static str| {
        // With its language known all windows are asked for at once.
        let form = reqwest::multipart::Form::new().text("language", "en").part("file", file(wav(seconds)));
        tokio::spawn(server.post("/transcribe").header("x-priority", priority).multipart(form).send())
    };
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    let watch = |name: &'static str, request: tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>| {
        let done = done.clone();
        tokio::spawn(async move {
            assert_eq!(request.await.unwrap().unwrap().status(), 200);
            done.send(name).unwrap();
        })
    };
    watch("long", send(300, "auto"));
    server.gate.reached(1).await;
    server.until("the long one fills the queue", |info| info["queue_depth_windows"].as_u64() > Some(5)).await;
    watch("patient", send(2, "batch"));
    server.until("it waits too", |info| info["requests_in_flight"] == 2).await;
    watch("short", send(2, "auto"));
    server.until("all are inside", |info| info["requests_in_flight"] == 3).await;
    server.gate.open();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(order.recv().await.unwrap());
    }
    // The patient one takes its turn among the long ones' windows, and so need not wait for all of them either.
    assert_eq!(names, ["short", "patient", "long"]);
}

#[tokio::test]
async fn work_that_is_late_is_not_done() {
    let behaviour = Behaviour { slots: 1, gate: Gate::shut(), ..Behaviour::default() };
    let server = start(behaviour).await;
    let first = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;
    let late = server.transcribe(&[]).header("x-deadline-ms", "100").send().await.unwrap();
    assert_eq!(
        (late.status(), late.headers()["x-should-retry"].to_str().unwrap()),
        (504.try_into().unwrap(), "false")
    );
    let body: serde_json::Value = late.json().await.unwrap();
    assert_eq!(body["error"]["code"], "deadline_exceeded");
    server.gate.open();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    server.until("the queue is empty", |info| info["queue_depth_windows"] == 0).await;
    assert_eq!(server.gpu_info().await["windows_done"], 1);
    // In time.
    let answer = server.transcribe(&[]).header("x-deadline-ms", "20000").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let wrong = server.transcribe(&[]).header("x-deadline-ms", "soon").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
}
