//! How long one decoder step takes, 50 tokens into the text, by rows: `cargo bench --bench step`.

#[path = "../tests/support/bench_model.rs"]
mod bench_model;

use bench_model::{DTYPES, MODELS, load, windows};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use verbatim::model::{Constraint, Lane, Model, Pick, Slot, Step};

const POSITION: usize = 50;

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    for model in MODELS {
        for dtype in DTYPES {
            let mut whisper = load(model, dtype, 8);
            let windows = windows(&whisper, 8);
            whisper.encode(&windows).expect("the CPU encodes");
            for rows in [1, 2, 8] {
                let row = |row: usize, position: usize, tokens: Vec<u32>| Step {
                    slot: Slot(row),
                    lane: Lane(row),
                    position,
                    tokens,
                    constraint: Constraint::default(),
                    pick: Pick::Likeliest(1),
                    probe: None,
                };
                let before: Vec<Step> = (0..rows).map(|at| row(at, 0, vec![1; POSITION])).collect();
                let steps: Vec<Step> = (0..rows).map(|at| row(at, POSITION, vec![2])).collect();
                whisper.step(&[], &before).expect("the CPU decodes");
                group.throughput(Throughput::Elements(rows as u64));
                group.bench_function(format!("{model}, {dtype:?}, {rows} rows"), |bencher| {
                    bencher.iter(|| whisper.step(&[], &steps).expect("the CPU decodes"));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
