//! How fast an upload becomes samples at 16 kHz, container by container.
//!
//! Run with `cargo bench --bench decode`; prints the median of 20 decodes each, and how many times real time that is.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verbatim::audio::{Settings, decode};

const FILES: &[&str] = &[
    "speech/english-long.mp3",
    "speech/english.wav",
    "speech/long.flac",
    "audio/44k-stereo.wav",
    "audio/moov-first.m4a",
    "audio/stereo.ogg",
    "audio/hybrid-48k-stereo.opus",
];

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let limits = Settings::default().limits();
    for name in FILES {
        let bytes = Bytes::from(std::fs::read(fixtures.join(name)).expect("the fixture is there"));
        let mut seconds = 0.0;
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                let start = Instant::now();
                let decoded = decode(black_box(bytes.clone()), &limits).expect("the fixture is sound");
                let took = start.elapsed();
                seconds = decoded.pcm.duration().as_secs_f64();
                took
            })
            .collect();
        times.sort();
        let median = times[times.len() / 2];
        println!("{name}, {seconds:.1} s: {median:?}, {:.0} times real time", seconds / median.as_secs_f64());
    }
}
