use bytes::Bytes;
use std::time::Duration;
use verbatim::audio::{Limits, decode};
#[test]
fn explore() {
    let limits = Limits {
        max_duration: Duration::from_secs(3600),
        max_decoded_bytes: 1 << 30,
        max_channels: 32,
        max_decode_time: Duration::from_secs(60),
    };
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio");
    let reference =
        decode(std::fs::read(format!("{dir}/reference.wav")).unwrap().into(), &limits).unwrap().pcm;
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        let bytes: Bytes = std::fs::read(&path).unwrap().into();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match decode(bytes, &limits) {
            Ok(d) => {
                let (best, lag) = best(reference.samples(), d.pcm.samples());
                println!("{name:28} {:7} {:.4} lag {lag} {:?}", d.pcm.samples().len(), best, d.incomplete);
            }
            Err(e) => println!("{name:28} ERR {e}"),
        }
    }
}
fn best(a: &[f32], b: &[f32]) -> (f64, i32) {
    let mut top = (-2.0, 0);
    for lag in -100..2500i32 {
        let (mut xy, mut xx, mut yy) = (0f64, 0f64, 0f64);
        for i in 0..a.len() {
            let j = i as i32 + lag;
            if j < 0 {
                continue;
            }
            let Some(&y) = b.get(j as usize) else { break };
            let x = f64::from(a[i]);
            let y = f64::from(y);
            xy += x * y;
            xx += x * x;
            yy += y * y;
        }
        let r = xy / (xx * yy).sqrt().max(1e-9);
        if r > top.0 {
            top = (r, lag);
        }
    }
    top
}
