//! Clients that dawdle are shown out, and nobody waits for them.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::fake_model::Behaviour;
use crate::server::{Server, read_to_end, start_with, wav};

const SHORT: Duration = Duration::from_millis(150);

async fn impatient() -> Server {
    start_with(Behaviour::default(), |settings| {
        settings.header_timeout = SHORT;
        settings.keep_alive = SHORT;
        settings.body_idle_timeout = SHORT;
    })
    .await
}

#[tokio::test]
async fn silence_half_a_preface_and_half_a_header_are_all_closed() {
    let server = impatient().await;
    for start in ["", "PRI * HT", "POST /transcribe HTTP/1.1\r\nhost: x\r\ncontent-le"] {
        let answer = read_to_end(&mut server.raw(start.as_bytes()).await).await;
        assert!(!answer.contains("200 OK"), "{start:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_is_done_may_not_stay_for_ever() {
    let server = impatient().await;
    let answer = read_to_end(&mut server.raw(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_upload_that_stops_is_408() {
    let server = impatient().await;
    let mut request = b"POST /transcribe HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n".to_vec();
    request.extend(&wav(1)[..1000]);
    let answer = read_to_end(&mut server.raw(&request).await).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("server.body_idle_timeout_seconds"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_upload_that_drips_is_408() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.body_idle_timeout = Duration::from_millis(300);
        settings.min_body_rate_bytes = 1 << 20;
    })
    .await;
    let head = "POST /transcribe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let connection = server.raw(head.as_bytes()).await;
    let (mut read, mut write) = connection.into_split();
    // Never idle, and never fast: the pauses are the client's, nothing waits for them.
    let drip = tokio::spawn(async move {
        while write.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut read, &mut answer).await.ok();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("server.min_body_rate_bytes"), "{answer}");
    drip.abort();
}

#[tokio::test]
async fn a_crowd_of_dawdlers_does_not_keep_others_out_for_long() {
    let server = start_with(Behaviour::default(), |settings| {
        settings.header_timeout = SHORT;
        settings.max_connections = 8;
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(server.raw(b"").await);
    }
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
}
