//! How fast windows go through the encoder into their slots: `cargo bench --bench encode`.

#[path = "../tests/support/bench_model.rs"]
mod bench_model;

use bench_model::{DTYPES, MODELS, load, windows};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use verbatim::model::Model;

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(10);
    for model in MODELS {
        for dtype in DTYPES {
            let mut whisper = load(model, dtype, 4);
            for count in [1, 4] {
                let windows = windows(&whisper, count);
                group.throughput(Throughput::Elements(count as u64));
                group.bench_function(format!("{model}, {dtype:?}, {count} windows"), |bencher| {
                    bencher.iter(|| whisper.encode(&windows).expect("the CPU encodes"));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
