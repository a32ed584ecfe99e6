//! The life of the server as platforms see it: warm, welcome, watched in idle hours, gone.

use std::time::Duration;

use serde_json::Value;
use verbatim::engine::{Settings, Sizes};

use crate::fake_model::{Behaviour, Failure, Gate};
use crate::server::{PATIENCE, Server, file, start, start_engine, start_with, wav};

const EVERY: Duration = Duration::from_millis(1);

async fn not_ready(server: &Server) -> String {
    let response = server.get("/readyz").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "not_ready");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_warm_up_runs_every_batch_size_and_counts_as_nobodys_work() {
    let behaviour = Behaviour { slots: 6, ..Behaviour::default() };
    let engine = Settings { encode_batch: 3, ..Settings::default() };
    let server = start_engine(behaviour, engine, |_| {}).await;
    let (_, sizes) = server.app.warm_up().await.unwrap();
    assert_eq!(sizes, Sizes { windows: 3, rows: 6 });
    let info = server.gpu_info().await;
    assert_eq!((&info["windows_done"], &info["tokens_done"]), (&0.into(), &0.into()));
    assert_eq!((&info["audio_seconds_done"], &info["audio_seconds_per_second"]), (&0.0.into(), &Value::Null));
    assert_eq!((&info["largest_safe_encode_batch"], &info["largest_safe_step_rows"]), (&3.into(), &6.into()));
}

#[tokio::test]
async fn a_device_that_fails_the_warm_up_is_never_ready() {
    let behaviour = Behaviour { fails: Some(Failure::Device), ..Behaviour::default() };
    let mut server = start(behaviour).await;
    assert!(server.app.warm_up().await.unwrap_err().to_string().contains("fell off the bus"));
    assert!(server.worker.ended().await.is_err());
    assert!(not_ready(&server).await.contains("the device is lost"));
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    let fault = &server.gpu_info().await["last_fault"];
    assert!(fault["what"].as_str().unwrap().contains("fell off the bus"), "{fault}");
    assert!(fault["seconds_ago"].as_f64() >= Some(0.0), "{fault}");
}

#[tokio::test]
async fn above_the_mark_balancers_are_sent_elsewhere_while_requests_are_still_taken() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| {
        settings.ready_max_queue_audio_seconds = Some(20);
        settings.drain_delay = PATIENCE * 10;
    })
    .await;
    let form = reqwest::multipart::Form::new().part("file", file(wav(300)));
    let long = tokio::spawn(server.post("/transcribe").multipart(form).send());
    server.until("it waits", |info| info["queue_audio_seconds"].as_f64() > Some(20.0)).await;
    let told = not_ready(&server).await;
    assert!(told.contains("server.ready_max_queue_audio_seconds is 20"), "{told}");
    let short = tokio::spawn(server.transcribe(&[]).send());
    server.until("it is taken all the same", |info| info["requests_in_flight"] == 2).await;

    // Every reason there is stands in the answer.
    server.shutdown.cancel();
    let told = async {
        loop {
            let told = not_ready(&server).await;
            if told.contains("shutting down") {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(told.contains("shutting down; ") && told.contains("s of audio are waiting"), "{told}");
    server.gate.open();
    assert_eq!(short.await.unwrap().unwrap().status(), 200);
    assert_eq!(long.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn when_the_queue_is_short_again_it_is_ready_again() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.max_queue_audio_seconds = 20).await;
    let form = reqwest::multipart::Form::new().part("file", file(wav(300)));
    let long = tokio::spawn(server.post("/transcribe").multipart(form).send());
    server.until("it waits", |info| info["queue_audio_seconds"].as_f64() > Some(10.0)).await;
    // Half of what may wait, where nothing else is set.
    assert!(not_ready(&server).await.contains("is 10)"));
    server.gate.open();
    assert_eq!(long.await.unwrap().unwrap().status(), 200);
    server.until("it is done", |info| info["queue_audio_seconds"] == 0.0).await;
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn in_idle_hours_a_canary_runs_through_everything_and_counts_as_nobodys_work() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.gpu_info().await["last_canary"], Value::Null);
    let app = server.app.clone();
    let canaries = tokio::spawn(async move { app.canaries(EVERY).await });
    server
        .until("a canary came through", |info| {
            info["last_canary"]["failed"].is_null() && !info["last_canary"].is_null()
        })
        .await;
    let calls = server.gate.calls();
    server.gate.reached(calls + 3).await;
    canaries.abort();
    let info = server.gpu_info().await;
    assert_eq!((&info["windows_done"], &info["tokens_done"]), (&0.into(), &0.into()));
    assert_eq!((&info["audio_seconds_done"], &info["audio_seconds_per_second"]), (&0.0.into(), &Value::Null));
    let metrics = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"verbatim_canary_runs_total{outcome="ok"}"#), "{metrics}");
}

#[tokio::test]
async fn a_caller_who_comes_while_a_canary_is_at_work_is_served_beside_it() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let app = server.app.clone();
    let canaries = tokio::spawn(async move { app.canaries(EVERY).await });
    server.gate.reached(1).await;
    let caller = tokio::spawn(server.transcribe(&[]).send());
    server.until("the caller waits", |info| info["queue_depth_windows"].as_u64() >= Some(1)).await;
    server.gate.open();
    assert_eq!(caller.await.unwrap().unwrap().status(), 200);
    canaries.abort();
    let info = server.gpu_info().await;
    assert_eq!((&info["windows_done"], &info["audio_seconds_done"]), (&1.into(), &1.0.into()));
}

#[tokio::test]
async fn a_canary_that_fails_ends_the_device_as_anybodys_window_would() {
    let behaviour = Behaviour { fails: Some(Failure::Device), ..Behaviour::default() };
    let mut server = start(behaviour).await;
    let app = server.app.clone();
    tokio::spawn(async move { app.canaries(EVERY).await });
    let ended = tokio::time::timeout(PATIENCE, server.worker.ended()).await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("fell off the bus"));
    server.until("the canary is told", |info| info["last_canary"]["failed"].is_string()).await;
}

#[tokio::test]
async fn whoever_asks_at_a_terminal_does_not_wait_for_balancers() {
    let server = start_with(Behaviour::default(), |settings| settings.drain_delay = PATIENCE * 10).await;
    server.promptly.cancel();
    server.shutdown.cancel();
    let ended = tokio::time::timeout(PATIENCE, server.task).await.expect("it waits for balancers");
    assert_eq!(ended.unwrap().unwrap(), verbatim::http::Ended::Drained);
}

#[tokio::test]
async fn every_answer_says_how_long_it_took_and_which_request_it_is() {
    let server = start(Behaviour::default()).await;
    let head = server.client.head(server.url("/livez"));
    let wrong = server.post("/transcribe").header("content-type", "audio/wav").body("no audio");
    let requests = [
        (server.get("/livez"), 200),
        (server.get("/readyz"), 200),
        (server.get("/metrics"), 200),
        (server.get("/gpu-info"), 200),
        (server.get("/"), 200),
        (head, 200),
        (server.get("/nowhere"), 404),
        (server.get("/transcribe"), 405),
        (wrong, 415),
        (server.transcribe(&[("temperature", "hot")]), 400),
        (server.transcribe(&[]), 200),
    ];
    for (request, status) in requests {
        let response = request.header("x-request-id", "visit-7").send().await.unwrap();
        let url = response.url().clone();
        assert_eq!(response.status(), status, "{url}");
        assert_eq!(response.headers()["x-request-id"], "visit-7", "{url}");
        let timing: Vec<&str> =
            response.headers().get_all("server-timing").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(timing.len(), 1, "{url}: {timing:?}");
        assert!(timing[0].contains("total;dur="), "{url}: {timing:?}");
    }
}
