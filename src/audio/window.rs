//! Samples in, ranges of at most 30 s out, cut where it is quiet.

use std::ops::Range;

use super::{SAMPLE_RATE, WINDOW_SAMPLES};

/// A cut falls within this last part of what a window can hold: speech pauses for breath every few seconds, so the last
/// 8 s of 30 hold a pause nearly always, and a window keeps at least 22 s.
const SEARCH: (usize, usize) = (8, 30);
/// Energy is measured in frames of 20 ms: shorter than a plosive's closure would find pauses inside words.
const FRAME: usize = SAMPLE_RATE / 50;
/// A pause is judged over 15 frames, 0.3 s: the gap between words, not the gap within one.
const PAUSE: usize = 15;

/// Covers all of `samples`, in order, without gaps or overlaps.
///
/// What is no longer than `longest` is one window. Of more, every cut falls in the middle of the quietest 0.3 s of the last
/// part that the window could have, and in the latest one where several are equal, so that digital silence does not
/// shorten windows. No samples have no windows.
pub(super) fn cut(samples: &[f32], longest: usize) -> Vec<Range<usize>> {
    // A window must be able to hold its search and a pause.
    let longest = longest.clamp(SAMPLE_RATE * 2, WINDOW_SAMPLES);
    let search = longest * SEARCH.0 / SEARCH.1;
    let mut windows = Vec::with_capacity(samples.len() / (longest - search) + 1);
    let mut start = 0;
    while start < samples.len() {
        let full = start + longest;
        let end = if full >= samples.len() { samples.len() } else { quietest(samples, full - search, full) };
        windows.push(start..end);
        start = end;
    }
    windows
}

/// The middle of the quietest pause in `samples[from..to]`: a place above `from` and at most `to`.
fn quietest(samples: &[f32], from: usize, to: usize) -> usize {
    let energy: Vec<f64> = samples[from..to]
        .chunks_exact(FRAME)
        .map(|frame| frame.iter().map(|&s| f64::from(s) * f64::from(s)).sum())
        .collect();
    let mut best = (f64::INFINITY, 0);
    for (first, pause) in energy.windows(PAUSE).enumerate() {
        let sum: f64 = pause.iter().sum();
        if sum <= best.0 {
            best = (sum, first);
        }
    }
    from + best.1 * FRAME + PAUSE * FRAME / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(len: usize, mut state: u64, loudness: f32) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * loudness
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_file_of_at_most_30_s_is_one_window() {
        for len in [1, SAMPLE_RATE, WINDOW_SAMPLES - 1, WINDOW_SAMPLES] {
            assert_eq!(cut(&noise(len, 1, 0.5), WINDOW_SAMPLES), [Range { start: 0, end: len }]);
        }
        assert!(cut(&[], WINDOW_SAMPLES).is_empty());
    }

    #[test]
    fn the_cut_falls_into_the_pause() {
        for pause_at in [22.3, 24.0, 27.9, 29.3] {
            let mut samples = noise(40 * SAMPLE_RATE, 2, 0.5);
            let pause = (pause_at * SAMPLE_RATE as f64) as usize;
            samples[pause..pause + SAMPLE_RATE * 2 / 5].fill(0.001);
            let cut_at = cut(&samples, WINDOW_SAMPLES)[0].end;
            assert!(
                (pause..pause + SAMPLE_RATE * 2 / 5).contains(&cut_at),
                "pause {pause_at}: cut at {cut_at}"
            );
        }
    }

    #[test]
    fn digital_silence_is_cut_as_late_as_it_goes() {
        let windows = cut(&[0.0; 100 * SAMPLE_RATE], WINDOW_SAMPLES);
        assert!(windows[0].end > WINDOW_SAMPLES - SAMPLE_RATE / 2);
        assert_eq!(windows.len(), 4);
    }

    #[test]
    fn samples_that_are_not_numbers_do_not_stop_the_cutting() {
        let windows = cut(&[f32::NAN; 70 * SAMPLE_RATE], WINDOW_SAMPLES);
        assert_eq!(windows.last().map(|window| window.end), Some(70 * SAMPLE_RATE));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn windows_cover_everything_once_and_in_order(len in 0usize..130 * SAMPLE_RATE, seed: u64, quiet in 0usize..100, longest in 2usize..=30) {
            let mut samples = noise(len, seed, 0.3);
            let from = len * quiet / 100;
            let to = (from + SAMPLE_RATE).min(len);
            samples[from..to].fill(0.0);
            let longest = longest * SAMPLE_RATE;
            let windows = cut(&samples, longest);
            let mut at = 0;
            for window in &windows {
                prop_assert_eq!(window.start, at);
                prop_assert!(!window.is_empty());
                prop_assert!(window.len() <= longest);
                at = window.end;
            }
            prop_assert_eq!(at, len);
            // Only the last window may be short.
            for window in windows.iter().rev().skip(1) {
                prop_assert!(window.len() >= longest - longest * 8 / 30);
            }
        }
    }
}
