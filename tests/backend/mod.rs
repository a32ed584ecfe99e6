//! What every backend of jobs must do, whatever is behind it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use verbatim::jobs::{
    Backend, Claimed, Fields, Hold, Item, ItemState, Job, JobError, JobState, Priority, Request, Sound,
    Standing, Submitted, now_ms,
};

pub const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(10);

pub fn id() -> String {
    format!("job_{}", uuid::Uuid::now_v7().simple())
}

pub fn job(items: usize) -> Job {
    let item =
        |at| Item { name: format!("{at}.wav"), sound: Sound::Kept { hash: format!("{at:064x}"), bytes: 1 } };
    Job {
        id: id(),
        owner: 7,
        created_ms: now_ms(),
        name: Some("of a test".to_owned()),
        priority: Priority::Normal,
        fields: Fields::from([("language".to_owned(), "en".to_owned())]),
        webhook: None,
        request: None,
        items: (0..items).map(item).collect(),
    }
}

pub fn done() -> Standing {
    Standing { state: ItemState::Done, percent: 100, seconds: Some(2.5), ..Standing::default() }
}

pub async fn submit(backend: &dyn Backend, job: &Job) {
    assert_eq!(backend.submit(job).await.unwrap(), Submitted::New);
}

pub async fn claim(backend: &dyn Backend) -> Claimed {
    backend.claim(LATER).await.unwrap().expect("something is queued")
}

async fn nothing(backend: &dyn Backend) {
    let claimed = backend.claim(SOON).await.unwrap();
    assert!(claimed.is_none(), "{claimed:?}");
}

async fn state(backend: &dyn Backend, id: &str) -> JobState {
    backend.summary(id).await.unwrap().unwrap().state()
}

/// Until it says so; a broker tells its watchers a moment later.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

/// All of it, on a backend that nobody else uses and where nothing waits.
pub async fn conforms(backend: &dyn Backend) {
    a_job_is_worked_off_item_by_item(backend).await;
    the_same_request_makes_one_job(backend).await;
    what_is_given_back_comes_again(backend).await;
    the_more_urgent_goes_first(backend).await;
    a_cancelled_job_is_begun_by_nobody(backend).await;
    refused_files_fail_alone(backend).await;
    jobs_are_listed_by_owner_the_newest_first(backend).await;
    whoever_wants_to_know_is_told_of_the_end(backend).await;
    old_jobs_are_found_and_forgotten(backend).await;
}

async fn a_job_is_worked_off_item_by_item(backend: &dyn Backend) {
    let job = job(3);
    submit(backend, &job).await;
    assert_eq!(backend.job(&job.id).await.unwrap().as_ref(), Some(&job));
    assert_eq!(state(backend, &job.id).await, JobState::Queued);
    assert_eq!(backend.backlog().await.unwrap().of(ItemState::Queued), 3);

    let mut seen = BTreeSet::new();
    for at in 0..3 {
        let claimed = claim(backend).await;
        assert_eq!((&claimed.lease.id.job, claimed.owner, claimed.deliveries), (&job.id, 7, 1));
        assert_eq!((&claimed.item, &*claimed.fields), (&job.items[claimed.lease.id.item], &job.fields));
        assert!(seen.insert(claimed.lease.id.item));
        assert_eq!(backend.alive(&claimed.lease, 40).await.unwrap(), Hold::Mine);
        let items = backend.items(&job.id, claimed.lease.id.item, 1).await.unwrap();
        assert_eq!((items[0].2.state, items[0].2.percent), (ItemState::Working, 40));
        assert_eq!(state(backend, &job.id).await, JobState::Working);
        let standing = match at {
            1 => Standing { state: ItemState::Failed, error: Some(json!({"message": "bad"})), ..done() },
            _ => done(),
        };
        backend.end(&claimed.lease, &standing).await.unwrap();
        // Somebody who was slow says something else: the first end stays.
        backend.end(&claimed.lease, &Standing { state: ItemState::Failed, ..done() }).await.unwrap();
        let ended = backend.ended(&job.id, at, 10).await.unwrap();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!((ended[0].0, ended[0].1.state), (claimed.lease.id.item, standing.state));
        assert_eq!(ended[0].1.error, standing.error);
    }
    nothing(backend).await;
    let summary = backend.summary(&job.id).await.unwrap().unwrap();
    assert_eq!((summary.state(), summary.counts.percent()), (JobState::Done, 100.0));
    assert_eq!((summary.counts.of(ItemState::Done), summary.counts.seconds), (2, 5.0));
    assert!(summary.ended_ms.is_some());
    assert_eq!(backend.ended(&job.id, 0, 2).await.unwrap().len(), 2);
    assert_eq!(backend.items(&job.id, 1, 10).await.unwrap().len(), 2);
}

async fn the_same_request_makes_one_job(backend: &dyn Backend) {
    let request = |content: &str| Some(Request { key: "once".to_owned(), content: content.to_owned() });
    let first = Job { request: request("a"), ..job(1) };
    submit(backend, &first).await;
    let again = Job { request: request("a"), ..job(1) };
    assert_eq!(backend.submit(&again).await.unwrap(), Submitted::Before(first.id.clone()));
    let other = Job { request: request("b"), ..job(1) };
    assert_eq!(backend.submit(&other).await.unwrap(), Submitted::KeyReused);
    let stranger = Job { request: request("b"), owner: 8, ..job(1) };
    submit(backend, &stranger).await;
    assert!(backend.summary(&again.id).await.unwrap().is_none());
    for _ in 0..2 {
        let claimed = claim(backend).await;
        backend.end(&claimed.lease, &done()).await.unwrap();
    }
    nothing(backend).await;
}

async fn what_is_given_back_comes_again(backend: &dyn Backend) {
    let job = job(1);
    submit(backend, &job).await;
    let first = claim(backend).await;
    backend.back(&first.lease, Duration::from_millis(300), true).await.unwrap();
    nothing(backend).await;
    let second = claim(backend).await;
    assert_eq!(second.deliveries, 2);
    // What was not tried does not count.
    backend.back(&second.lease, Duration::ZERO, false).await.unwrap();
    let third = claim(backend).await;
    assert_eq!(third.deliveries, 2);
    // Whoever gave it back has nothing more to say of it.
    assert_eq!(backend.alive(&first.lease, 99).await.unwrap(), Hold::Gone);
    backend.end(&third.lease, &done()).await.unwrap();
    assert_eq!(state(backend, &job.id).await, JobState::Done);
}

async fn the_more_urgent_goes_first(backend: &dyn Backend) {
    let of = |priority| Job { priority, ..job(1) };
    let jobs = [of(Priority::Low), of(Priority::Normal), of(Priority::High)];
    for job in &jobs {
        submit(backend, job).await;
    }
    for job in jobs.iter().rev() {
        let claimed = claim(backend).await;
        assert_eq!(claimed.lease.id.job, job.id);
        backend.end(&claimed.lease, &done()).await.unwrap();
    }
}

async fn a_cancelled_job_is_begun_by_nobody(backend: &dyn Backend) {
    let job = job(3);
    submit(backend, &job).await;
    let working = claim(backend).await;
    backend.cancel(&job.id).await.unwrap();
    assert_eq!(backend.alive(&working.lease, 50).await.unwrap(), Hold::Gone);
    backend.end(&working.lease, &done()).await.unwrap();
    nothing(backend).await;
    let summary = backend.summary(&job.id).await.unwrap().unwrap();
    assert_eq!((summary.state(), summary.counts.of(ItemState::Cancelled)), (JobState::Cancelled, 3));
    assert!(backend.ended(&job.id, 0, 10).await.unwrap().is_empty());
    // Again is once.
    backend.cancel(&job.id).await.unwrap();
    backend.forget(&job.id).await.unwrap();
    assert!(backend.summary(&job.id).await.unwrap().is_none());
    assert!(backend.job(&job.id).await.unwrap().is_none());
}

async fn refused_files_fail_alone(backend: &dyn Backend) {
    let mut job = job(3);
    job.items[1].sound = Sound::Refused(json!({"message": "too large"}));
    submit(backend, &job).await;
    let ended = backend.ended(&job.id, 0, 10).await.unwrap();
    assert_eq!((ended.len(), ended[0].0, ended[0].1.state), (1, 1, ItemState::Failed));
    assert_eq!(ended[0].1.error, Some(json!({"message": "too large"})));
    for _ in 0..2 {
        let claimed = claim(backend).await;
        assert_ne!(claimed.lease.id.item, 1);
        backend.end(&claimed.lease, &done()).await.unwrap();
    }
    nothing(backend).await;
    assert_eq!(state(backend, &job.id).await, JobState::Done);
    let mut all_bad = job.clone();
    all_bad.id = id();
    all_bad.items = vec![job.items[1].clone()];
    submit(backend, &all_bad).await;
    until("a job of refused files alone has failed", async || {
        let summary = backend.summary(&all_bad.id).await.unwrap().unwrap();
        summary.state() == JobState::Failed && summary.ended_ms.is_some()
    })
    .await;
}

async fn jobs_are_listed_by_owner_the_newest_first(backend: &dyn Backend) {
    let mut jobs = Vec::new();
    for _ in 0..5 {
        let job = Job { owner: 99, ..job(1) };
        submit(backend, &job).await;
        jobs.push(job.id);
    }
    jobs.reverse();
    let ids =
        |list: Vec<verbatim::jobs::Summary>| -> Vec<String> { list.into_iter().map(|job| job.id).collect() };
    assert_eq!(ids(backend.list(99, None, 10).await.unwrap()), jobs);
    assert_eq!(ids(backend.list(99, None, 2).await.unwrap()), jobs[..2]);
    assert_eq!(ids(backend.list(99, Some(&jobs[1]), 2).await.unwrap()), jobs[2..4]);
    assert!(backend.list(98, None, 10).await.unwrap().is_empty());
    for _ in 0..5 {
        let claimed = claim(backend).await;
        backend.end(&claimed.lease, &done()).await.unwrap();
    }
}

async fn whoever_wants_to_know_is_told_of_the_end(backend: &dyn Backend) {
    assert!(backend.due_webhook().await.unwrap().is_none());
    let job = Job { webhook: Some("https://example.com/hook".to_owned()), ..job(1) };
    submit(backend, &job).await;
    assert!(backend.due_webhook().await.unwrap().is_none());
    let claimed = claim(backend).await;
    backend.end(&claimed.lease, &done()).await.unwrap();
    let first = due(backend).await;
    assert_eq!((&first.job, first.url.as_str(), first.tries), (&job.id, "https://example.com/hook", 0));
    // Given out to one at a time.
    assert!(backend.due_webhook().await.unwrap().is_none());
    backend.webhook_tried(&first, Some(Duration::from_millis(200))).await.unwrap();
    assert!(backend.due_webhook().await.unwrap().is_none());
    let second = due(backend).await;
    assert_eq!(second.tries, 1);
    backend.webhook_tried(&second, None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(backend.due_webhook().await.unwrap().is_none());
}

async fn due(backend: &dyn Backend) -> verbatim::jobs::Webhook {
    for _ in 0..200 {
        if let Some(due) = backend.due_webhook().await.unwrap() {
            return due;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no webhook is due");
}

async fn old_jobs_are_found_and_forgotten(backend: &dyn Backend) {
    assert!(backend.old(1, 10).await.unwrap().is_empty());
    let old = backend.old(now_ms() + 1_000, 3).await.unwrap();
    assert_eq!(old.len(), 3);
    for id in &old {
        backend.forget(id).await.unwrap();
        assert!(backend.summary(id).await.unwrap().is_none());
    }
    assert!(backend.old(now_ms() + 1_000, 100).await.unwrap().iter().all(|id| !old.contains(id)));
}

/// On a backend whose leases last a moment: a worker that falls silent loses its item to somebody else.
pub async fn silence_loses_the_item(backend: &dyn Backend, lease: Duration) {
    let job = job(1);
    submit(backend, &job).await;
    let silent = claim(backend).await;
    let live = claim(backend).await;
    assert_eq!((live.lease.id.clone(), live.deliveries), (silent.lease.id.clone(), 2));
    for _ in 0..4 {
        tokio::time::sleep(lease / 2).await;
        assert_eq!(backend.alive(&live.lease, 10).await.unwrap(), Hold::Mine);
    }
    nothing(backend).await;
    backend.end(&live.lease, &done()).await.unwrap();
    assert_eq!(state(backend, &job.id).await, JobState::Done);
}

/// On a backend where `most` items may wait, and nothing does.
pub async fn a_full_queue_refuses_and_loses_nothing(backend: &dyn Backend, most: usize) {
    let first = job(most);
    submit(backend, &first).await;
    let refused =
        Job { request: Some(Request { key: "full".to_owned(), content: "c".to_owned() }), ..job(1) };
    let told = backend.submit(&refused).await;
    assert!(matches!(told, Err(JobError::Full { .. })), "{told:?}");
    assert!(backend.summary(&refused.id).await.unwrap().is_none());
    for _ in 0..most {
        let claimed = claim(backend).await;
        assert_eq!(claimed.lease.id.job, first.id);
        backend.end(&claimed.lease, &done()).await.unwrap();
    }
    nothing(backend).await;
    // Now there is room, also for the same request.
    submit(backend, &refused).await;
    let claimed = claim(backend).await;
    backend.end(&claimed.lease, &done()).await.unwrap();
}
