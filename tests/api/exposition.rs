//! `/metrics` as Prometheus reads it: parsed by somebody else's parser, and complete.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_parse::{LineInfo, Sample, SampleType, Scrape, Value};

use crate::fake_model::{Behaviour, Gate};
use crate::server::{Server, start, start_with};

async fn scrape(server: &Server) -> (String, Scrape) {
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    (text, scrape)
}

fn value(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |sample: &&Sample| {
        sample.metric == name && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(value))
    };
    scrape.samples.iter().find(has).map(|sample| match &sample.value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
        other => panic!("{name} is no plain number: {other:?}"),
    })
}

#[tokio::test]
async fn every_line_is_understood_and_every_family_has_one_type_and_one_help() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
    let (text, scrape) = scrape(&server).await;
    let mut types = BTreeMap::new();
    let mut helps = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match LineInfo::parse(line) {
            LineInfo::Type { metric_name, metric_alias, sample_type } => {
                let name = metric_alias.unwrap_or(metric_name);
                assert!(types.insert(name, sample_type).is_none(), "two types: {line}");
            }
            LineInfo::Doc { metric_name, doc } => {
                assert!(helps.insert(metric_name.to_owned()) && doc.ends_with('.'), "{line}");
            }
            LineInfo::Sample { value, .. } => {
                assert!(value.parse::<f64>().is_ok_and(|value| value.is_finite()), "{line}");
            }
            LineInfo::Empty | LineInfo::Ignored => panic!("not understood: {line}"),
        }
    }
    assert!(types.keys().all(|name| helps.contains(name)), "a family without help");
    for sample in &scrape.samples {
        let family = ["_sum", "_count"].iter().find_map(|end| sample.metric.strip_suffix(end));
        match (&sample.value, family.and_then(|name| types.get(name)).or_else(|| types.get(&sample.metric))) {
            (Value::Counter(value), Some(SampleType::Counter)) => {
                assert!(sample.metric.ends_with("_total") && *value >= 0.0, "{sample:?}");
            }
            (Value::Gauge(_), Some(SampleType::Gauge)) => {
                assert!(!sample.metric.ends_with("_total"), "{sample:?}");
            }
            // A histogram's sum and count.
            (Value::Untyped(_), Some(SampleType::Histogram)) => assert!(family.is_some(), "{sample:?}"),
            (Value::Histogram(buckets), Some(SampleType::Histogram)) => {
                assert!(
                    buckets.is_sorted_by(|a, b| a.less_than < b.less_than && a.count <= b.count),
                    "{sample:?}"
                );
                assert_eq!(buckets.last().map(|bucket| bucket.less_than), Some(f64::INFINITY), "{sample:?}");
            }
            other => panic!("{}: {other:?}", sample.metric),
        }
    }
}

#[tokio::test]
async fn what_an_operator_must_see_is_there_after_one_request() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
    let (_, scrape) = scrape(&server).await;
    let families: BTreeSet<&str> = scrape.samples.iter().map(|sample| sample.metric.as_str()).collect();
    for name in [
        "verbatim_requests_total",
        "verbatim_audio_accepted_seconds_total",
        "verbatim_audio_seconds_total",
        "verbatim_queue_audio_seconds",
        "verbatim_queue_windows",
        "verbatim_queue_wait_seconds",
        "verbatim_queue_wait_seconds_count",
        "verbatim_step_batch_size",
        "verbatim_encode_batch_size",
        "verbatim_encode_seconds",
        "verbatim_step_seconds",
        "verbatim_encode_batch_limit",
        "verbatim_step_batch_limit",
        "verbatim_tokens_total",
        "verbatim_decode_fallbacks_total",
        "verbatim_ready",
        "verbatim_device_heartbeat_age_seconds",
        "verbatim_build_info",
        "process_open_fds",
    ] {
        assert!(families.contains(name), "{name} is missing among {families:?}");
    }
}

#[tokio::test]
async fn refusals_and_uploads_that_are_no_audio_are_counted_by_reason() {
    let server = start(Behaviour::default()).await;
    let wrong = server.post("/transcribe").header("content-type", "audio/wav").body("no audio");
    assert_eq!(wrong.send().await.unwrap().status(), 415);
    let (_, seen) = scrape(&server).await;
    let undecodable = |scrape: &Scrape| {
        value(scrape, "verbatim_decode_failures_total", &[("format", "other"), ("reason", "unknown_format")])
    };
    assert!(undecodable(&seen) >= Some(1.0));

    let full = start_with(Behaviour { gate: Gate::shut(), ..Behaviour::default() }, |settings| {
        settings.max_requests = 0;
    })
    .await;
    assert_eq!(full.transcribe(&[]).send().await.unwrap().status(), 503);
    let latch = full.readiness.hold("the model");
    assert_eq!(full.transcribe(&[]).send().await.unwrap().status(), 503);
    assert_eq!(full.get("/readyz").send().await.unwrap().status(), 503);
    drop(latch);
    let (_, seen) = scrape(&full).await;
    for reason in ["requests", "not_ready"] {
        let refused = value(&seen, "verbatim_refusals_total", &[("reason", reason)]);
        assert!(refused >= Some(1.0), "{reason}: {refused:?}");
    }
}
