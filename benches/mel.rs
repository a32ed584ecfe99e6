//! How fast a window becomes its log-mel spectrogram, full and mostly padding.
//!
//! Run with `cargo bench --bench mel`; prints the median of 50 windows each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use verbatim::audio::{MelFilters, WINDOW_SAMPLES};

fn main() {
    let window: Vec<f32> = (0..WINDOW_SAMPLES).map(|i| ((i * i) as f32 * 1e-4).sin() * 0.3).collect();
    for n_mels in [80, 128] {
        let filters = MelFilters::new(n_mels);
        for seconds in [30, 5] {
            let samples = &window[..seconds * 16_000];
            let mut times: Vec<Duration> = (0..50)
                .map(|_| {
                    let start = Instant::now();
                    black_box(filters.log_mel(black_box(samples)));
                    start.elapsed()
                })
                .collect();
            times.sort();
            println!("{n_mels} bins, {seconds} s of sound: {:?}", times[times.len() / 2]);
        }
    }
}
