//! What the engine itself costs for each row of a step, on a model that answers at once: `cargo bench --bench scheduler`.
//!
//! Sixty-four windows of some thirty tokens each, all at once; elements are windows.

#![allow(clippy::unwrap_used, reason = "the fake model is a test's")]

#[allow(dead_code, reason = "the tests of the HTTP contract need the rest of it")]
#[path = "../tests/support/fake_model.rs"]
mod fake_model;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fake_model::{Behaviour, FakeModel, generation, tokenizer};
use verbatim::audio::LogMel;
use verbatim::decoding::{Request, Rules, Sequence, Spoken};
use verbatim::engine::{Class, Engine, Settings, Ticket};
use verbatim::transcript::Fallback;

const WINDOWS: u64 = 64;
const SAYS: &str =
    "the patient was seen today and takes two tablets in the morning, one at noon and none at night";

fn scheduler(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("scheduler");
    group.sample_size(20).throughput(Throughput::Elements(WINDOWS));
    for slots in [1, 8, 32] {
        let fake = FakeModel::new(Behaviour { slots, says: SAYS, ..Behaviour::default() });
        let rules = Arc::new(Rules::new(tokenizer().into(), &generation(), &fake.info()));
        let settings = Settings { encode_batch: slots, coalesce_ms: 0, ..Settings::default() };
        let (engine, _worker) = runtime.block_on(async { Engine::start(Box::new(fake), settings) });
        group.bench_function(format!("{slots} slots"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let asked = (0..WINDOWS).map(|window| ask(&engine, &rules, window));
                    futures::future::join_all(asked).await
                })
            });
        });
    }
    group.finish();
}

async fn ask(engine: &Engine, rules: &Arc<Rules>, window: u64) {
    let language = rules.specials().languages[0].1;
    let request = Request {
        language: Spoken::Known(Some(language)),
        fallback: Fallback { temperatures: vec![0.0], ..Fallback::default() },
        ..Request::default()
    };
    let mel = Arc::new(LogMel::new(80, Vec::new()));
    let sequence = Sequence::new(rules.clone(), request, mel, Duration::from_secs(2));
    let ticket = Ticket { request: window, class: Class::Interactive, ..Ticket::default() };
    let place = engine.place(ticket).await.expect("the queue has room");
    place.submit(sequence).await.expect("the model answers");
}

criterion_group!(benches, scheduler);
criterion_main!(benches);
