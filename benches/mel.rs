//! How fast a window becomes its log-mel spectrogram, full and mostly padding: `cargo bench --bench mel`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use verbatim::audio::{MelFilters, WINDOW_SAMPLES};

fn mel(criterion: &mut Criterion) {
    let window: Vec<f32> = (0..WINDOW_SAMPLES).map(|i| ((i * i) as f32 * 1e-4).sin() * 0.3).collect();
    let mut group = criterion.benchmark_group("log-mel");
    for n_mels in [80, 128] {
        let filters = MelFilters::new(n_mels);
        for seconds in [30, 5] {
            let samples = &window[..seconds * 16_000];
            group.bench_function(format!("{n_mels} bins, {seconds} s"), |bencher| {
                bencher.iter(|| filters.log_mel(black_box(samples)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, mel);
criterion_main!(benches);
