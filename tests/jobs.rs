//! Backends of jobs against one suite, the embedded one and a real broker's; what each has of its own follows, or is in jobs_nats.rs.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "backend/mod.rs"]
mod backend;
#[allow(dead_code, reason = "jobs_nats.rs has use for the rest")]
#[path = "support/broker.rs"]
mod broker;

use std::sync::Arc;
use std::time::Duration;

use backend::{claim, conforms, done, job, submit};
use broker::{Broker, Kept};
use verbatim::jobs::{Backend, Embedded, Hold, JobError, Nats, Settings, Times};

/// `None` where there is no nats-server.
async fn nats(most: usize, lease: Duration) -> Option<(Broker, Nats)> {
    let broker = Broker::start()?;
    let settings = Settings { nats_url: Some(broker.url()), max_queued_items: most, ..Settings::default() };
    let times = Times { lease, ..Times::default() };
    let nats = Nats::open_with(&settings, Arc::new(Kept::default()), times).await.unwrap();
    Some((broker, nats))
}

#[tokio::test]
async fn the_broker_conforms() {
    if let Some((_broker, nats)) = nats(1_000, Duration::from_secs(60)).await {
        conforms(&nats).await;
    }
}

#[tokio::test]
async fn a_silent_worker_loses_its_item_to_another_machine() {
    let lease = Duration::from_secs(1);
    if let Some((_broker, nats)) = nats(1_000, lease).await {
        backend::silence_loses_the_item(&nats, lease).await;
    }
}

#[tokio::test]
async fn a_full_broker_refuses() {
    if let Some((_broker, nats)) = nats(3, Duration::from_secs(60)).await {
        backend::a_full_queue_refuses_and_loses_nothing(&nats, 3).await;
    }
}

#[tokio::test]
async fn the_embedded_backend_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&Embedded::open(&dir.path().join("jobs.db"), 1_000).unwrap()).await;
}

#[tokio::test]
async fn a_silent_worker_loses_its_item() {
    let dir = tempfile::tempdir().unwrap();
    let lease = Duration::from_millis(400);
    let embedded = Embedded::open(&dir.path().join("jobs.db"), 1_000).unwrap().with_lease(lease);
    backend::silence_loses_the_item(&embedded, lease).await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(&dir.path().join("jobs.db"), 3).unwrap();
    backend::a_full_queue_refuses_and_loses_nothing(&embedded, 3).await;
}

#[tokio::test]
async fn a_process_that_ends_loses_nothing_and_its_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs.db");
    let all = job(3);
    let before = {
        let embedded = Embedded::open(&file, 1_000).unwrap();
        submit(&embedded, &all).await;
        let first = claim(&embedded).await;
        embedded.end(&first.lease, &done()).await.unwrap();
        let other = Embedded::open(&file, 1_000);
        let told = other.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("another process"), "{told}");
        claim(&embedded).await
    };
    let embedded = Embedded::open(&file, 1_000).unwrap();
    assert_eq!(embedded.job(&all.id).await.unwrap(), Some(all.clone()));
    let again = claim(&embedded).await;
    assert_eq!((again.lease.id, again.deliveries), (before.lease.id.clone(), 2));
    assert_eq!(embedded.alive(&before.lease, 1).await.unwrap(), Hold::Gone);
    assert_eq!(claim(&embedded).await.lease.id.item, 2);
}

#[tokio::test]
async fn jobs_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(&dir.path().join("jobs.db"), 1_000).unwrap();
    let (large, small) = (job(100), job(2));
    submit(&embedded, &large).await;
    for _ in 0..10 {
        claim(&embedded).await;
    }
    submit(&embedded, &small).await;
    let mut of_small = 0;
    for _ in 0..4 {
        of_small += usize::from(claim(&embedded).await.lease.id.job == small.id);
    }
    assert_eq!(of_small, 2);
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs.db");
    drop(Embedded::open(&file, 1).unwrap());
    let database = rusqlite::Connection::open(&file).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let told = Embedded::open(&file, 1).err();
    assert!(matches!(&told, Some(JobError::Unavailable(why)) if why.contains("version 99")), "{told:?}");
}
