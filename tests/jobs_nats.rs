//! Jobs over a broker: a real nats-server on a port of its own, killed where that is the point; out: what every process is told.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/broker.rs"]
mod broker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{Broker, Done, Kept, NoResults, job, refused};
use serde_json::json;
use verbatim::jobs::{
    Backend, Claimed, Hold, ItemState, Job, JobError, JobState, Nats, Priority, Request, Settings, Standing,
    Submitted, Times, now_ms, reach_broker,
};

const SHORT: Times = Times { lease: Duration::from_secs(2), take_over: Duration::from_secs(1) };
const AT_ONCE: Duration = Duration::ZERO;
const PATIENT: Duration = Duration::from_secs(8);

struct House {
    broker: Broker,
    settings: Settings,
    manifests: Arc<Kept>,
}

impl House {
    fn new() -> Option<House> {
        let broker = Broker::start()?;
        let settings = Settings {
            nats_url: Some(broker.url()),
            max_queued_items: 10_000,
            max_deliveries: 2,
            ..Settings::default()
        };
        Some(House { broker, settings, manifests: Arc::default() })
    }

    /// One more process.
    async fn open(&self) -> Nats {
        Nats::open_with(&self.settings, self.manifests.clone(), SHORT).await.unwrap()
    }

    async fn raw(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(self.broker.url()).await.unwrap())
    }

    async fn waiting(&self, stream: &str) -> u64 {
        self.raw().await.get_stream(stream).await.unwrap().cached_info().state.messages
    }
}

#[tokio::test]
async fn a_broker_that_is_asked_whether_it_is_there_makes_nothing() {
    let Some(mut house) = House::new() else { return };
    assert_eq!(reach_broker(&house.settings).await.unwrap(), 0);
    assert!(house.raw().await.get_stream("VERBATIM_ITEMS").await.is_err(), "a stream was made");
    house.broker.kill();
    let error = reach_broker(&house.settings).await.unwrap_err().to_string();
    assert!(error.contains("jobs.nats_url"), "{error}");
}

fn done(seconds: f64) -> Standing {
    Standing { state: ItemState::Done, percent: 100, seconds: Some(seconds), ..Standing::default() }
}

async fn claim(nats: &Nats) -> Claimed {
    nats.claim(PATIENT).await.unwrap().expect("an item waits")
}

/// Works everything off that waits now.
async fn work_off(nats: &Nats) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    while let Some(claimed) = nats.claim(Duration::from_millis(1_500)).await.unwrap() {
        nats.end(&claimed.lease, &done(1.0)).await.unwrap();
        all.push((claimed.lease.id.job.clone(), claimed.lease.id.item));
    }
    all.sort();
    all
}

async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < end, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with_key(mut job: Job, key: &str, content: &str) -> Job {
    job.request = Some(Request { key: key.to_owned(), content: content.to_owned() });
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_all_its_way_and_every_process_sees_it() {
    let Some(house) = House::new() else { return };
    let (gateway, worker) = (house.open().await, house.open().await);
    let mut job = job("job-1", 3);
    job.items.insert(1, refused("bad.txt", json!({"code": "unsupported_file"})));
    job.webhook = Some("https://example.org/hook".to_owned());
    assert_eq!(gateway.submit(&job).await.unwrap(), Submitted::New);
    let summary = gateway.summary("job-1").await.unwrap().expect("whoever handed it in finds it at once");
    assert_eq!((summary.counts.of(ItemState::Queued), summary.counts.of(ItemState::Failed)), (3, 1));
    assert_eq!(gateway.job("job-1").await.unwrap(), Some(job.clone()));
    assert_eq!(gateway.backlog().await.unwrap().of(ItemState::Queued), 3);

    let first = claim(&worker).await;
    assert_eq!((first.owner, first.deliveries, first.fields.as_ref()), (7, 1, &job.fields));
    assert_eq!(first.item, job.items[first.lease.id.item]);
    assert_eq!(worker.alive(&first.lease, 40).await.unwrap(), Hold::Mine);
    until("progress", || async { gateway.summary("job-1").await.unwrap().unwrap().counts.percent == 40 })
        .await;
    assert_eq!(gateway.summary("job-1").await.unwrap().unwrap().state(), JobState::Working);
    let change = gateway.changed("job-1");
    worker.end(&first.lease, &done(2.5)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), change).await.unwrap();
    worker.end(&first.lease, &Standing { state: ItemState::Failed, ..Standing::default() }).await.unwrap();

    let rest = [claim(&worker).await, claim(&worker).await];
    assert!(worker.claim(AT_ONCE).await.unwrap().is_none());
    for claimed in rest.iter().rev() {
        worker.end(&claimed.lease, &done(1.0)).await.unwrap();
    }
    let order = [1, first.lease.id.item, rest[1].lease.id.item, rest[0].lease.id.item];
    until("the end", || async { gateway.summary("job-1").await.unwrap().unwrap().ended_ms.is_some() }).await;
    for nats in [&gateway, &worker] {
        let ended = nats.ended("job-1", 0, 10).await.unwrap();
        assert_eq!(ended.iter().map(|(item, _)| *item).collect::<Vec<_>>(), order);
        assert_eq!(nats.ended("job-1", 3, 10).await.unwrap().len(), 1);
        let summary = nats.summary("job-1").await.unwrap().unwrap();
        assert_eq!((summary.state(), summary.counts.seconds), (JobState::Done, 4.5));
    }
    let items = gateway.items("job-1", 1, 2).await.unwrap();
    assert_eq!(items.iter().map(|(item, _, _)| *item).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(items[0].2.error, Some(json!({"code": "unsupported_file"})));
    assert_eq!((items[1].2.state, items[1].2.deliveries), (ItemState::Done, 1));
    assert_eq!(house.waiting("VERBATIM_ITEMS").await, 0);

    let hook = gateway.due_webhook().await.unwrap().expect("a webhook is due");
    assert_eq!((hook.job.as_str(), hook.url.as_str(), hook.tries), ("job-1", "https://example.org/hook", 0));
    assert!(worker.due_webhook().await.unwrap().is_none(), "it is given out once");
    gateway.webhook_tried(&hook, Some(Duration::from_millis(300))).await.unwrap();
    assert!(gateway.due_webhook().await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(800)).await;
    let hook = worker.due_webhook().await.unwrap().expect("it is tried again");
    assert_eq!(hook.tries, 1);
    worker.webhook_tried(&hook, None).await.unwrap();
    assert_eq!(house.waiting("VERBATIM_HOOKS").await, 0);

    assert_eq!(worker.old(now_ms() + 1, 10).await.unwrap(), ["job-1"]);
    assert!(worker.old(1, 10).await.unwrap().is_empty());
    worker.forget("job-1").await.unwrap();
    worker.forget("job-1").await.unwrap();
    until("it is forgotten", || async { gateway.summary("job-1").await.unwrap().is_none() }).await;
    assert!(gateway.list(7, None, 10).await.unwrap().is_empty());
    assert_eq!(gateway.job("job-1").await.unwrap(), None);
    assert!(house.manifests.names().is_empty());
    assert_eq!(house.waiting("KV_verbatim_jobs").await, 1, "one word is left, that it is gone");
    let late = house.open().await;
    assert_eq!(late.summary("job-1").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_goes_first_and_a_list_is_the_newest_first() {
    let Some(house) = House::new() else { return };
    let nats = house.open().await;
    for (id, priority) in [("a", Priority::Low), ("b", Priority::Normal), ("c", Priority::High)] {
        nats.submit(&Job { priority, ..job(id, 1) }).await.unwrap();
    }
    nats.submit(&Job { owner: 8, ..job("d", 0) }).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(claim(&nats).await.lease.id.job);
    }
    assert_eq!(order, ["c", "b", "a"]);
    let ids = |list: Vec<verbatim::jobs::Summary>| list.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(nats.list(7, None, 2).await.unwrap()), ["c", "b"]);
    assert_eq!(ids(nats.list(7, Some("b"), 2).await.unwrap()), ["a"]);
    assert_eq!(ids(nats.list(8, None, 2).await.unwrap()), ["d"]);
    assert!(nats.list(8, None, 2).await.unwrap()[0].ended_ms.is_some(), "there was nothing to do");
    assert_eq!(nats.summary("unknown").await.unwrap(), None);
    assert!(nats.items("unknown", 0, 9).await.unwrap().is_empty());
    nats.cancel("unknown").await.unwrap();
    nats.forget("unknown").await.unwrap();
    assert!(nats.submit(&job("not a key. *", 1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_makes_one_job_however_often_it_is_made() {
    let Some(house) = House::new() else { return };
    let nats = house.open().await;
    assert_eq!(nats.submit(&with_key(job("a", 1), "key", "x")).await.unwrap(), Submitted::New);
    let before = Submitted::Before("a".to_owned());
    assert_eq!(nats.submit(&with_key(job("b", 1), "key", "x")).await.unwrap(), before);
    assert_eq!(
        nats.submit(&with_key(job("a", 1), "key", "x")).await.unwrap(),
        Submitted::New,
        "the same job"
    );
    assert_eq!(nats.submit(&with_key(job("c", 1), "key", "y")).await.unwrap(), Submitted::KeyReused);
    let other = Job { owner: 9, ..with_key(job("d", 1), "key", "y") };
    assert_eq!(nats.submit(&other).await.unwrap(), Submitted::New);
    assert_eq!(work_off(&nats).await, [("a".to_owned(), 0), ("d".to_owned(), 0)]);

    let nats = Arc::new(nats);
    let racing = (0..6).map(|at| {
        let (nats, job) = (nats.clone(), with_key(job(&format!("r{at}"), 3), "race", "z"));
        tokio::spawn(async move { nats.submit(&job).await.unwrap() })
    });
    let mut told = Vec::new();
    for one in racing.collect::<Vec<_>>() {
        told.push(one.await.unwrap());
    }
    let winner = told.iter().position(|told| *told == Submitted::New).expect("somebody was first");
    let before = Submitted::Before(format!("r{winner}"));
    assert_eq!(told.iter().filter(|told| **told == before).count(), 5, "{told:?}");
    assert_eq!(work_off(&nats).await.len(), 3);
    nats.forget("a").await.unwrap();
    assert_eq!(nats.submit(&with_key(job("e", 1), "key", "y")).await.unwrap(), Submitted::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_gateway_died_half_way_makes_its_job_after_all() {
    let Some(house) = House::new() else { return };
    let nats = house.open().await;
    // What a gateway leaves that dies just before its last write.
    let dead = with_key(job("dead", 2), "key", "x");
    house.manifests.add(&dead);
    let raw = house.raw().await;
    let kv = raw.get_key_value("verbatim_jobs").await.unwrap();
    let hash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
    kv.create(format!("r.7.{hash}"), r#"{"job":"dead","content":"x"}"#.into()).await.unwrap();
    for item in 0..2 {
        let ticket = format!(r#"{{"job":"dead","item":{item}}}"#);
        raw.publish("verbatim.items.normal.dead", ticket.into()).await.unwrap().await.unwrap();
    }
    assert!(nats.claim(Duration::from_millis(500)).await.unwrap().is_none(), "it is no job yet");
    let again = with_key(job("alive", 1), "key", "x");
    assert_eq!(nats.submit(&again).await.unwrap(), Submitted::New);
    assert_eq!(house.manifests.names(), ["alive"]);
    assert_eq!(work_off(&nats).await, [("alive".to_owned(), 0)]);
    assert_eq!(nats.summary("dead").await.unwrap(), None);
    assert!(nats.submit(&Job { request: None, ..dead }).await.is_err(), "its id is used up");
    let before = Submitted::Before("alive".to_owned());
    assert_eq!(nats.submit(&with_key(job("third", 1), "key", "x")).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_worker_is_silent_is_given_to_another() {
    let Some(house) = House::new() else { return };
    let (slow, other) = (house.open().await, house.open().await);
    slow.submit(&job("a", 1)).await.unwrap();
    let first = claim(&slow).await;
    for _ in 0..4 {
        tokio::time::sleep(SHORT.lease / 2).await;
        assert_eq!(slow.alive(&first.lease, 10).await.unwrap(), Hold::Mine);
        assert!(other.claim(AT_ONCE).await.unwrap().is_none(), "it is worked on");
    }
    let second = claim(&other).await;
    assert_eq!(second.deliveries, 2);
    assert_eq!(slow.alive(&first.lease, 90).await.unwrap(), Hold::Gone);
    slow.end(&first.lease, &Standing { state: ItemState::Failed, ..Standing::default() }).await.unwrap();
    slow.back(&first.lease, AT_ONCE, true).await.unwrap();
    assert_eq!(other.alive(&second.lease, 50).await.unwrap(), Hold::Mine);
    other.end(&second.lease, &done(1.0)).await.unwrap();
    let standing = other.items("a", 0, 1).await.unwrap().remove(0).2;
    assert_eq!((standing.state, standing.deliveries), (ItemState::Done, 2));
    assert_eq!(house.waiting("VERBATIM_ITEMS").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_its_workers_die_of_is_given_up_and_one_that_was_only_put_back_is_not() {
    let Some(house) = House::new() else { return };
    let nats = house.open().await;
    nats.submit(&job("a", 1)).await.unwrap();
    for _ in 0..4 {
        let spared = claim(&nats).await;
        assert_eq!(spared.deliveries, 1);
        nats.back(&spared.lease, AT_ONCE, false).await.unwrap();
    }
    let first = claim(&nats).await;
    let begun = Instant::now();
    nats.back(&first.lease, Duration::from_secs(1), true).await.unwrap();
    assert_eq!(nats.summary("a").await.unwrap().unwrap().state(), JobState::Queued);
    let second = claim(&nats).await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "not before its time");
    assert_eq!(second.deliveries, 2);
    // The worker dies.
    drop(second);
    until("it is given up", || async {
        assert!(nats.claim(Duration::from_millis(100)).await.unwrap().is_none());
        nats.summary("a").await.unwrap().unwrap().ended_ms.is_some()
    })
    .await;
    let standing = nats.items("a", 0, 1).await.unwrap().remove(0).2;
    assert_eq!((standing.state, standing.deliveries), (ItemState::Failed, 2));
    let error = standing.error.unwrap();
    assert_eq!(error["code"], "dead_letter");
    assert!(error["message"].as_str().unwrap().contains("2 times"), "{error}");
    assert_eq!((house.waiting("VERBATIM_DEAD").await, house.waiting("VERBATIM_ITEMS").await), (1, 0));
    assert_eq!(nats.summary("a").await.unwrap().unwrap().state(), JobState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cancelled_job_nothing_is_begun_and_what_is_worked_on_is_dropped() {
    let Some(house) = House::new() else { return };
    let (gateway, worker) = (house.open().await, house.open().await);
    let hook = Some("https://example.org/hook".to_owned());
    gateway.submit(&Job { webhook: hook, ..job("a", 500) }).await.unwrap();
    let first = claim(&worker).await;
    let second = claim(&worker).await;
    worker.end(&first.lease, &done(1.0)).await.unwrap();
    gateway.cancel("a").await.unwrap();
    gateway.cancel("a").await.unwrap();
    gateway.submit(&job("b", 1)).await.unwrap();
    assert_eq!(claim(&worker).await.lease.id.job, "b", "the rest of the other is not in the way");
    assert_eq!(worker.alive(&second.lease, 50).await.unwrap(), Hold::Gone);
    worker.end(&second.lease, &done(1.0)).await.unwrap();
    let summary = gateway.summary("a").await.unwrap().unwrap();
    assert!(summary.is_cancelled && summary.ended_ms.is_some());
    assert_eq!(
        (summary.counts.of(ItemState::Done), summary.counts.of(ItemState::Cancelled), summary.counts.all()),
        (1, 499, 500)
    );
    assert_eq!(gateway.ended("a", 0, 1_000).await.unwrap().len(), 1);
    assert!(gateway.due_webhook().await.unwrap().is_none(), "who cancels a job knows of it");
    assert_eq!(house.waiting("VERBATIM_ITEMS").await, 1, "what is worked on of the other");
    gateway.cancel("b").await.unwrap();
    gateway.forget("b").await.unwrap();
    assert!(worker.claim(AT_ONCE).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_job_that_there_is_no_room_for_nothing_is_left() {
    let Some(mut house) = House::new() else { return };
    house.settings.max_queued_items = 5;
    let nats = house.open().await;
    nats.submit(&job("a", 3)).await.unwrap();
    let full = nats.submit(&with_key(job("b", 3), "key", "x")).await.unwrap_err();
    assert!(matches!(full, JobError::Full { waiting: 3, most: 5 }), "{full}");
    assert_eq!(house.manifests.names(), ["a"]);
    assert_eq!(nats.list(7, None, 10).await.unwrap().len(), 1);
    assert_eq!(nats.submit(&with_key(job("c", 1), "key", "y")).await.unwrap(), Submitted::New, "nor its key");
    assert_eq!(work_off(&nats).await.len(), 4);
    assert_eq!(nats.submit(&job("b", 3)).await.unwrap(), Submitted::New);
    assert_eq!(work_off(&nats).await.len(), 3);

    // All of them may find room when they look.
    let nats = Arc::new(nats);
    let racing = (0..6).map(|at| {
        let nats = nats.clone();
        tokio::spawn(async move { nats.submit(&job(&format!("r{at}"), 4)).await })
    });
    let mut taken = Vec::new();
    for (at, one) in racing.collect::<Vec<_>>().into_iter().enumerate() {
        match one.await.unwrap() {
            Ok(told) => taken.push((format!("r{at}"), told)),
            Err(error) => assert!(matches!(error, JobError::Full { .. }), "{error}"),
        }
    }
    assert!(taken.len() <= 1, "{taken:?}");
    let listed = nats.list(7, None, 100).await.unwrap();
    assert_eq!(listed.iter().filter(|job| job.id.starts_with('r')).count(), taken.len());
    assert_eq!(work_off(&nats).await.len(), 4 * taken.len());
    assert_eq!(house.waiting("VERBATIM_ITEMS").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_nothing_and_meanwhile_says_so() {
    let Some(mut house) = House::new() else { return };
    let nats = house.open().await;
    nats.submit(&job("a", 40)).await.unwrap();
    for _ in 0..10 {
        let claimed = claim(&nats).await;
        nats.end(&claimed.lease, &done(1.0)).await.unwrap();
    }
    let held = claim(&nats).await;
    house.broker.kill();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    for _ in 0..2 {
        let error = nats.claim(Duration::from_secs(30)).await.unwrap_err();
        assert!(matches!(error, JobError::Unavailable(_)), "{error}");
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(15), "{took:?}");
    assert!(nats.submit(&job("b", 1)).await.is_err());
    assert_eq!(
        nats.summary("a").await.unwrap().unwrap().counts.of(ItemState::Done),
        10,
        "what is known is told"
    );
    house.broker.restart();
    until("the connection", || async { nats.claim(AT_ONCE).await.is_ok() }).await;
    // Whatever was claimed by that is given back when its lease is over.
    let _ = nats.end(&held.lease, &done(1.0)).await;
    let end = Instant::now() + Duration::from_secs(20);
    while nats.summary("a").await.unwrap().unwrap().ended_ms.is_none() {
        assert!(Instant::now() < end, "the rest was not done");
        work_off(&nats).await;
    }
    let summary = nats.summary("a").await.unwrap().unwrap();
    assert_eq!((summary.counts.of(ItemState::Done), summary.counts.all()), (40, 40));
    assert_eq!(nats.submit(&job("c", 1)).await.unwrap(), Submitted::New);
    let other = house.open().await;
    assert_eq!(other.summary("a").await.unwrap().unwrap().counts, summary.counts);
    assert_eq!(other.ended("a", 0, 100).await.unwrap(), nats.ended("a", 0, 100).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_has_lost_is_put_back_from_manifests_and_results() {
    let Some(mut house) = House::new() else { return };
    let old = house.open().await;
    let mut first = with_key(job("a", 4), "key", "x");
    first.items.push(refused("bad.txt", json!({"code": "unsupported_file"})));
    old.submit(&first).await.unwrap();
    assert_eq!(old.reconcile(&NoResults).await.unwrap(), 0, "nothing is lost");
    let claimed = claim(&old).await;
    old.end(&claimed.lease, &done(3.0)).await.unwrap();
    house.broker.kill();
    house.broker.lose_everything();
    house.broker.restart();
    let new = house.open().await;
    assert_eq!(new.summary("a").await.unwrap(), None);
    let results = Done { job: "a".to_owned(), item: claimed.lease.id.item, standing: done(3.0) };
    until("it is old enough", || async { new.reconcile(&results).await.unwrap() == 3 }).await;
    assert_eq!(new.reconcile(&results).await.unwrap(), 0);
    let before = Submitted::Before("a".to_owned());
    assert_eq!(new.submit(&with_key(job("b", 1), "key", "x")).await.unwrap(), before);
    until("the other hears of it", || async {
        old.summary("a").await.unwrap().is_some_and(|job| job.counts.of(ItemState::Done) == 1)
    })
    .await;
    assert_eq!(work_off(&old).await.len(), 3);
    let counts = new.summary("a").await.unwrap().unwrap().counts;
    assert_eq!((counts.of(ItemState::Done), counts.of(ItemState::Failed), counts.seconds), (4, 1, 6.0));
    assert!(new.summary("a").await.unwrap().unwrap().ended_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_last_worker_died_before_it_said_so_is_ended_by_another() {
    let Some(house) = House::new() else { return };
    let nats = house.open().await;
    nats.submit(&Job { webhook: Some("https://example.org/".to_owned()), ..job("a", 1) }).await.unwrap();
    let kv = house.raw().await.get_key_value("verbatim_jobs").await.unwrap();
    let standing = serde_json::to_vec(&done(1.0)).unwrap();
    kv.create("i.a.0", standing.into()).await.unwrap();
    until("its end", || async { nats.summary("a").await.unwrap().unwrap().ended_ms.is_some() }).await;
    assert_eq!(nats.due_webhook().await.unwrap().unwrap().job, "a");
    assert!(nats.claim(AT_ONCE).await.unwrap().is_none());
    assert_eq!(house.waiting("VERBATIM_ITEMS").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_many_items_is_taken_quickly_and_worked_off_by_many_at_once() {
    let Some(mut house) = House::new() else { return };
    house.settings.max_queued_items = 100_000;
    let (gateway, worker) = (house.open().await, Arc::new(house.open().await));
    let begun = Instant::now();
    gateway.submit(&job("a", 20_000)).await.unwrap();
    println!("20000 items handed in: {:?}", begun.elapsed());
    gateway.submit(&Job { priority: Priority::High, ..job("b", 200) }).await.unwrap();
    let begun = Instant::now();
    let workers = (0..8).map(|_| {
        let worker = worker.clone();
        tokio::spawn(async move {
            let mut all = Vec::new();
            for _ in 0..25 {
                let claimed = claim(&worker).await;
                worker.end(&claimed.lease, &done(1.0)).await.unwrap();
                all.push(claimed.lease.id);
            }
            all
        })
    });
    let mut all = Vec::new();
    for one in workers.collect::<Vec<_>>() {
        all.extend(one.await.unwrap());
    }
    println!("200 items claimed and ended: {:?}", begun.elapsed());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200, "nobody has what somebody else has");
    assert!(all.iter().all(|id| id.job == "b"));
    let begun = Instant::now();
    gateway.forget("a").await.unwrap();
    println!("20000 items forgotten: {:?}", begun.elapsed());
    assert!(worker.claim(Duration::from_millis(100)).await.unwrap().is_none());
    assert_eq!(house.manifests.reads("b"), 1, "a worker reads a manifest once");
}
