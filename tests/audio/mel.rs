//! Two sounds in; log-mel out, held against what OpenAI's own formula gave (`tools/fixtures/mel.py`).

use std::f64::consts::TAU;

use verbatim::audio::{LogMel, MelFilters, WINDOW_FRAMES, WINDOW_SAMPLES};

use super::{Dice, fixture, reference};

/// The frames that the fixtures hold.
fn frames() -> Vec<usize> {
    [0, 1, 2].into_iter().chain((3..3000).step_by(61)).chain([2998, 2999]).collect()
}

/// A rising tone and noise, 30 s long: the last frames are not silent, so the mirroring at the end shows.
fn chirp() -> Vec<f32> {
    let mut state = 1u64;
    (0..WINDOW_SAMPLES)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = (state >> 40) as f64 / f64::from(1 << 23) - 1.0;
            let t = i as f64 / 16_000.0;
            (0.3 * (TAU * (50.0 * t + 100.0 * t * t)).sin() + 0.05 * noise) as f32
        })
        .collect()
}

/// The largest difference between `mel` and the fixture, over its frames.
fn apart(mel: &LogMel, name: &str) -> f32 {
    let file = fixture(&format!("mel-{name}-{}.f32", mel.n_mels));
    let want: Vec<f32> = file.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let frames = frames();
    assert_eq!(want.len(), mel.n_mels * frames.len());
    let places = (0..mel.n_mels).flat_map(|bin| frames.iter().map(move |frame| bin * WINDOW_FRAMES + frame));
    places.zip(want).map(|(place, want)| (mel.values[place] - want).abs()).fold(0.0, f32::max)
}

#[test]
fn log_mel_is_openai_s_with_80_and_with_128_bins() {
    for n_mels in [80, 128] {
        let filters = MelFilters::new(n_mels);
        for (name, samples) in [("speech", reference()), ("chirp", chirp())] {
            let mel = filters.log_mel(&samples);
            assert_eq!(mel.values.len(), n_mels * WINDOW_FRAMES);
            let apart = apart(&mel, name);
            assert!(apart < 1e-4, "{name}, {n_mels} bins: {apart:e} apart");
        }
    }
}

#[test]
fn leaving_out_the_silent_tail_changes_nothing() {
    let filters = MelFilters::new(80);
    let mut dice = Dice(7);
    for len in [0, 1, 159, 160, 161, 199, 200, 201, 16_000, 479_639, 479_641, 479_839, 479_999, 480_000] {
        let short: Vec<f32> = (0..len).map(|_| (dice.roll() >> 40) as f32 / (1 << 24) as f32 - 0.5).collect();
        let mut padded = short.clone();
        padded.resize(WINDOW_SAMPLES, 0.0);
        assert_eq!(filters.log_mel(&short), filters.log_mel(&padded), "{len} samples");
    }
}

#[test]
fn silence_is_one_value_and_what_lies_beyond_30_s_is_not_seen() {
    let filters = MelFilters::new(128);
    assert!(filters.log_mel(&[]).values.iter().all(|&value| value == -1.5));
    let mut long = chirp();
    long.extend([0.9; 1000]);
    assert_eq!(filters.log_mel(&long), filters.log_mel(&long[..WINDOW_SAMPLES]));
}

#[test]
fn a_window_of_a_long_recording_is_a_part_of_its_spectrogram() {
    let filters = MelFilters::new(80);
    let mut dice = Dice(11);
    // 27.5 s, not a whole number of frames, and louder towards its end.
    let samples: Vec<f32> = (0..440_123)
        .map(|at| ((dice.roll() >> 40) as f32 / (1 << 24) as f32 - 0.5) * at as f32 / 440_123.0)
        .collect();
    let peak = filters.peak(&samples);
    // Up to 30 s the whole recording is one window, normalised by its own loudest value.
    assert_eq!(filters.log_mel_at(&samples, peak, 0), filters.log_mel(&samples));
    let whole = filters.log_mel_at(&samples, peak, 0);
    for first in [1, 777, 2750, 2751] {
        let part = filters.log_mel_at(&samples, peak, first);
        for bin in [0, 17, 79] {
            let row = |mel: &LogMel| mel.values[bin * WINDOW_FRAMES..(bin + 1) * WINDOW_FRAMES].to_vec();
            assert_eq!(row(&part)[..WINDOW_FRAMES - first], row(&whole)[first..], "frame {first}, bin {bin}");
        }
    }
    // Beyond the end there is silence, as quiet as the recording's loudest value lets it be.
    let silence = (f32::max(-10.0, peak - 8.0) + 4.0) / 4.0;
    assert!(filters.log_mel_at(&samples, peak, 3000).values.iter().all(|value| *value == silence));
}
