//! How fast an upload becomes samples at 16 kHz, container by container: `cargo bench --bench decode`. Elements are samples, so 16 k
//! elements a second are real time.

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

fn containers(criterion: &mut Criterion) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let limits = Settings::default().limits();
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20);
    for name in FILES {
        let bytes = Bytes::from(std::fs::read(fixtures.join(name)).expect("the fixture is there"));
        let decoded = decode(bytes.clone(), &limits).expect("the fixture is sound");
        group.throughput(Throughput::Elements(decoded.pcm.samples().len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| decode(black_box(bytes.clone()), &limits).expect("the fixture is sound"));
        });
    }
    group.finish();
}

criterion_group!(benches, containers);
criterion_main!(benches);
