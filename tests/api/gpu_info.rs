//! `GET /gpu-info`, here on a machine without a GPU.

use serde_json::Value;

use crate::fake_model::Behaviour;
use crate::server::start;

#[tokio::test]
async fn without_a_gpu_every_known_field_is_there_and_the_reason_too() {
    let server = start(Behaviour::default()).await;
    let info = server.gpu_info().await;
    assert_eq!(info["cuda_available"], false);
    assert_eq!(info["device"], "cpu");
    assert_eq!(info["gpu_count"], 0);
    for name in ["gpu_name", "gpu_memory_total_gb", "gpu_memory_allocated_gb", "gpu_memory_reserved_gb"] {
        assert_eq!(info.get(name), Some(&Value::Null), "{name}");
    }
    for name in ["cuda_version", "driver_version", "compute_capability"] {
        assert_eq!(info.get(name), Some(&Value::Null), "{name}");
    }
    assert!(info["note"].as_str().unwrap().contains("tests need none"), "{info}");
    assert_eq!(
        (&info["model"], &info["slots"], &info["batch_limit"]),
        (&"fake".into(), &4.into(), &4.into())
    );
}

#[tokio::test]
async fn the_speed_is_told_once_it_was_measured() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.gpu_info().await["audio_seconds_per_second"], Value::Null);
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
    server.until("the speed is known", |info| info["audio_seconds_per_second"].as_f64() > Some(0.0)).await;
}

#[tokio::test]
async fn a_terminal_gets_a_block_to_read() {
    let server = start(Behaviour::default()).await;
    let response = server.get("/gpu-info?format=text").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let text = response.text().await.unwrap();
    let (first, _) = text.split_once('\n').unwrap();
    assert_eq!(first, "NO GPU: tests need none");
    for line in
        ["model      fake", "device     cpu", "at work    0 of 4 slots", "speed      not measured yet"]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
