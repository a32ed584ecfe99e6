//! A request that comes again joins the one that runs, or gets its answer; nobody pays twice.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fake_model::{Behaviour, Gate};
use crate::keys::{SECRET, file_of, start_keyed};
use crate::server::{Server, read_to_end, start, start_with, wav};

const NAME: &str = "stainless-python-retry-5a4c0f0e";

fn named(request: RequestBuilder) -> RequestBuilder {
    request.header("idempotency-key", NAME)
}

fn is_replay(response: &Response) -> bool {
    response.headers().get("x-idempotent-replay").is_some_and(|value| value == "true")
}

async fn windows_done(server: &Server) -> u64 {
    server.gpu_info().await["windows_done"].as_u64().unwrap()
}

/// Two callers of the same work, which waits at the gate: the second one's place is free again once it has joined.
async fn two_callers() -> (Server, TcpStream, TcpStream) {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    // Nothing is kept: what is answered to both was one piece of work.
    let server =
        start_with(behaviour, |settings| settings.idempotency_keep = std::time::Duration::ZERO).await;
    let audio = wav(1);
    let mut request = format!(
        "POST /transcribe?response_format=text HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         idempotency-key: {NAME}\r\ncontent-length: {}\r\n\r\n",
        audio.len()
    )
    .into_bytes();
    request.extend(audio);
    let first = server.raw(&request).await;
    server.gate.reached(1).await;
    let (all_but_one, last) = request.split_at(request.len() - 1);
    let mut second = server.raw(all_but_one).await;
    server.until("the second is inside", |info| info["requests_in_flight"] == 2).await;
    second.write_all(last).await.unwrap();
    server.until("the second has joined", |info| info["requests_in_flight"] == 1).await;
    (server, first, second)
}

#[tokio::test]
async fn a_retry_joins_the_running_request() {
    let (server, mut first, mut second) = two_callers().await;
    server.gate.open();
    let (first, second) = (read_to_end(&mut first).await, read_to_end(&mut second).await);
    assert!(first.contains("hello there\n") && !first.contains("x-idempotent-replay"), "{first}");
    assert!(second.contains("hello there\n") && second.contains("x-idempotent-replay: true"), "{second}");
    assert_eq!(windows_done(&server).await, 1);
}

#[tokio::test]
async fn the_work_goes_on_for_whoever_still_waits() {
    let (server, first, mut second) = two_callers().await;
    drop(first);
    server.gate.open();
    let second = read_to_end(&mut second).await;
    assert!(second.starts_with("HTTP/1.1 200") && second.contains("hello there\n"), "{second}");
    assert_eq!(windows_done(&server).await, 1);
    server.until("its place is free", |info| info["requests_in_flight"] == 0).await;
}

#[tokio::test]
async fn the_work_ends_with_the_last_who_waits() {
    let (server, first, second) = two_callers().await;
    drop((first, second));
    server.until("its place is free", |info| info["requests_in_flight"] == 0).await;
    server.gate.open();
    server
        .until("its slot is free", |info| info["slots_busy"] == 0 && info["queue_depth_windows"] == 0)
        .await;
    assert_eq!((server.gate.calls(), windows_done(&server).await), (1, 0));
    // Its name is free as well, and the work begins anew.
    let again = named(server.transcribe(&[])).send().await.unwrap();
    assert!(again.status() == 200 && !is_replay(&again));
}

#[tokio::test]
async fn who_joins_has_a_deadline_of_its_own() {
    let (server, mut first, _second) = two_callers().await;
    let late = server.post("/transcribe?response_format=text").body(wav(1)).header("x-deadline-ms", "50");
    assert_eq!(named(late).send().await.unwrap().status(), 504);
    server.gate.open();
    assert!(read_to_end(&mut first).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_answer_is_given_again_for_a_while() {
    let server = start(Behaviour::default()).await;
    let first = named(server.transcribe(&[])).send().await.unwrap();
    assert!(!is_replay(&first));
    let timing = first.headers()["server-timing"].clone();
    let first = first.bytes().await.unwrap();
    // The form's boundary is another one.
    let second = named(server.transcribe(&[])).send().await.unwrap();
    assert!(is_replay(&second) && second.headers()["server-timing"] == timing);
    assert_eq!(second.headers()["content-type"], "application/json");
    assert_eq!((second.bytes().await.unwrap(), windows_done(&server).await), (first, 1));
    // Under no name or another one nothing is shared.
    for request in [server.transcribe(&[]), server.transcribe(&[]).header("idempotency-key", "other")] {
        assert!(!is_replay(&request.send().await.unwrap()));
    }
    assert_eq!(windows_done(&server).await, 3);
}

#[tokio::test]
async fn the_same_name_for_something_else_is_409() {
    let server = start(Behaviour::default()).await;
    assert_eq!(named(server.transcribe(&[])).send().await.unwrap().status(), 200);
    let other_file = server.post("/transcribe").body(wav(2));
    for request in [server.transcribe(&[("language", "en")]), other_file] {
        let refused = named(request).send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["x-should-retry"]),
            (409, &"false".parse().unwrap())
        );
        let told: Value = refused.json().await.unwrap();
        assert_eq!(told["error"]["code"], "idempotency_key_reused");
    }
    let unfit = server.transcribe(&[]).header("idempotency-key", "two words").send().await.unwrap();
    assert_eq!(unfit.status(), 400);
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    let server = start(Behaviour::default()).await;
    for _ in 0..2 {
        let refused =
            named(server.post("/transcribe").body("no audio at all".repeat(100))).send().await.unwrap();
        assert!(refused.status() == 415 && !is_replay(&refused));
    }
}

#[tokio::test]
async fn answers_are_kept_within_bounds_the_oldest_going_first() {
    let server = start_with(Behaviour::default(), |settings| settings.idempotency_max_answers = 2).await;
    let mut replays = Vec::new();
    for name in ["a", "b", "c", "c", "b", "a"] {
        let answer = server.transcribe(&[]).header("idempotency-key", name).send().await.unwrap();
        replays.push(is_replay(&answer));
    }
    assert_eq!(replays, [false, false, false, true, true, false]);
    let server = start_with(Behaviour::default(), |settings| settings.idempotency_max_bytes = 1_000).await;
    for _ in 0..2 {
        assert!(!is_replay(&named(server.transcribe(&[])).send().await.unwrap()));
    }
}

#[tokio::test]
async fn keys_share_no_names_and_a_replay_costs_no_audio() {
    let file = file_of("a", "audio_seconds_per_hour = 2");
    let server = start_with(Behaviour::default(), |settings| {
        settings.keys_file = Some(file.path().to_owned());
        settings.keys = serde_json::from_value(serde_json::json!([format!("b:{}", "x".repeat(20))])).unwrap();
    })
    .await;
    let send = |secret: &str| named(server.transcribe(&[])).bearer_auth(secret).send();
    let mut replays = Vec::new();
    // Charged for the second second, it could not send a third.
    for secret in [SECRET, SECRET, SECRET, &"x".repeat(20)] {
        let answer = send(secret).await.unwrap();
        assert_eq!(answer.status(), 200);
        replays.push(is_replay(&answer));
    }
    assert_eq!(replays, [false, true, true, false]);
}

#[tokio::test]
async fn a_private_key_s_answer_is_not_kept() {
    let file = file_of("clinic", "private = true");
    let server = start_keyed(Behaviour::default(), &file).await;
    for _ in 0..2 {
        let answer = named(server.transcribe(&[])).bearer_auth(SECRET).send().await.unwrap();
        assert!(answer.status() == 200 && !is_replay(&answer));
    }
}
