//! Three workers against one, on a device that takes the same time for every item: what the broker and the store leave of it.
//! `cargo test --release --test jobs_scale -- --ignored --nocapture`; needs nats-server, and is about time, so that nobody else should
//! have the machine.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[allow(dead_code, reason = "jobs_nats.rs has use for the rest")]
#[path = "support/broker.rs"]
mod broker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use broker::Broker;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use verbatim::jobs::{
    Failure, Fetch, Fields, Item, Job, Jobs, Priority, Said, Scribe, Settings, Shift, Sound, Watch, hash,
    new_id, now_ms, run,
};

/// Of one window.
const WINDOW: Duration = Duration::from_millis(100);
const ITEMS: usize = 90;

struct Simulated;

#[async_trait]
impl Scribe for Simulated {
    async fn transcribe(&self, _: u64, audio: Bytes, _: &Fields, _: &Watch) -> Result<Said, Failure> {
        tokio::time::sleep(WINDOW).await;
        let json = format!(r#"{{"duration": 30.0, "text": "{} bytes"}}"#, audio.len());
        Ok(Said { json: json.into(), seconds: 30.0 })
    }

    fn model(&self) -> String {
        "simulated".to_owned()
    }

    fn is_alive(&self) -> bool {
        true
    }
}

struct Nowhere;

#[async_trait]
impl Fetch for Nowhere {
    async fn fetch(&self, _: &str) -> Result<Bytes, Failure> {
        Err(Failure::Full)
    }
}

/// A job whose every item is another recording.
async fn submit(jobs: &Jobs) -> String {
    let id = new_id();
    let mut items = Vec::new();
    for at in 0..ITEMS {
        let audio = Bytes::from(format!("{id} {at}"));
        let hash = hash(&audio);
        jobs.blobs.put_audio(&id, &hash, audio.clone()).await.unwrap();
        items.push(Item { name: format!("{at}"), sound: Sound::Kept { hash, bytes: audio.len() as u64 } });
    }
    let job = Job {
        id: id.clone(),
        owner: 0,
        created_ms: now_ms(),
        name: None,
        priority: Priority::Normal,
        fields: Fields::new(),
        webhook: None,
        request: None,
        items,
    };
    jobs.backend.submit(&job).await.unwrap();
    id
}

/// Seconds until a job is done by so many workers, each with a connection of its own.
async fn pace(settings: &Settings, workers: usize) -> f64 {
    let end = CancellationToken::new();
    let gateway = Jobs::open(settings).await.unwrap();
    let mut crew = Vec::new();
    for _ in 0..workers {
        let jobs = Jobs::open(settings).await.unwrap();
        let shift = Shift { places: 1, idle: None };
        crew.push(tokio::spawn(run(jobs, Arc::new(Simulated), Arc::new(Nowhere), shift, end.clone())));
    }
    let id = submit(&gateway).await;
    let begun = Instant::now();
    while !gateway.backend.summary(&id).await.unwrap().unwrap().counts.is_over() {
        gateway.backend.changed(&id).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    end.cancel();
    for one in crew {
        one.await.unwrap();
    }
    seconds
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is about time"]
async fn three_workers_do_almost_three_times_as_much() {
    let Some(broker) = Broker::start() else { return };
    let store = tempfile::tempdir().unwrap();
    let store_url = Some(format!("file://{}", store.path().display()));
    let settings = Settings { nats_url: Some(broker.url()), store_url, ..Settings::default() };
    let one = pace(&settings, 1).await;
    let three = pace(&settings, 3).await;
    let ratio = one / three;
    println!("{ITEMS} windows of {WINDOW:?}: one worker {one:.2} s, three {three:.2} s, {ratio:.2} times");
    assert!(ratio >= 2.8, "{ratio}");
}
