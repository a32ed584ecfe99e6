//! What platforms ask: alive, ready, metrics.

use crate::fake_model::Behaviour;
use crate::server::start;

#[tokio::test]
async fn a_warm_server_is_alive_and_ready() {
    let server = start(Behaviour::default()).await;
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(server.get(path).send().await.unwrap().status(), 200, "{path}");
        let head = server.client.head(server.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn while_a_latch_is_held_nothing_is_taken_and_the_reason_is_named() {
    let server = start(Behaviour::default()).await;
    let latch = server.readiness.hold("the model");
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    for request in [server.get("/readyz"), server.get("/health"), server.transcribe(&[])] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        assert!(response.text().await.unwrap().contains("waiting for the model"));
    }
    drop(latch);
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_device_that_shows_no_life_is_not_ready() {
    use std::time::Duration;

    use crate::fake_model::Gate;
    use crate::server::{PATIENCE, start_with};

    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server =
        start_with(behaviour, |settings| settings.heartbeat_timeout = Duration::from_millis(20)).await;
    let waiting = tokio::spawn(server.transcribe(&[]).send());
    server.gate.reached(1).await;
    let not_ready = async {
        while server.get("/readyz").send().await.unwrap().status() != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, not_ready).await.expect("a hung device is never noticed");
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    server.gate.open();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn metrics_are_there_with_help_after_a_request() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
    let response = server.get("/metrics").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    for line in [
        "# HELP verbatim_requests_total ",
        "# TYPE verbatim_http_request_duration_seconds histogram",
        r#"verbatim_requests_total{endpoint="/transcribe",model="fake",outcome="ok"}"#,
        r#"verbatim_http_request_duration_seconds_count{method="POST",route="/transcribe",status="200"}"#,
        r#"verbatim_stage_duration_seconds_count{stage="decode"}"#,
        "verbatim_audio_seconds_total",
        "verbatim_queue_windows",
        "verbatim_ready 1",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn labels_do_not_grow_with_what_clients_invent() {
    let server = start(Behaviour::default()).await;
    server.get("/invented-by-a-client").send().await.unwrap();
    let method = reqwest::Method::from_bytes(b"INVENT").unwrap();
    server.client.request(method, server.url("/livez")).send().await.unwrap();
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(!text.contains("invented-by-a-client") && !text.contains("INVENT"), "{text}");
}

#[tokio::test]
async fn the_front_names_the_routes() {
    let server = start(Behaviour::default()).await;
    let text = server.get("/").send().await.unwrap().text().await.unwrap();
    for route in ["/transcribe", "/gpu-info", "/livez", "/readyz", "/health", "/metrics"] {
        assert!(text.contains(route), "{route}");
    }
}

/// Load balancers may speak HTTP/2 without TLS. Spelled out by hand: the client of the other tests does not.
#[tokio::test]
async fn http_2_is_understood_as_well() {
    use tokio::io::AsyncReadExt;

    let server = start(Behaviour::default()).await;
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS, empty; HEADERS of stream 1, complete: GET / over http, authority "x".
    request.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    request.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86, 0x41, 1, b'x']);
    let mut stream = server.raw(&request).await;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        const HEADERS: u8 = 1;
        if head[3] == HEADERS {
            // Entry 8 of HPACK's static table is ":status: 200". A table size update (001.....) may stand before it.
            let first = payload.iter().find(|byte| **byte >> 5 != 1);
            assert_eq!(first, Some(&0x88));
            return;
        }
    }
}
