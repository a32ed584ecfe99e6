//! The pieces of a timeline in, ranges of at most 30 s of it out, cut where nobody speaks.

use std::ops::Range;

use super::{SAMPLE_RATE, WINDOW_SAMPLES};

/// Energy is measured in frames of 20 ms.
const FRAME: usize = SAMPLE_RATE / 50;
/// A pause is judged over 10 frames, 0.2 s: longer than a plosive's closure, which is no place to cut, and shorter than the
/// breath between two sentences.
const PAUSE: usize = 10;
/// One place to cut is considered in each half second.
const CELL: usize = SAMPLE_RATE / 2;
/// What one window more may cost, in dB of loudness at a cut: rather another window than a cut through a word.
const WINDOW_COST: f64 = 2.0;
/// What an empty window would cost; it falls with the square of how full it is, so that lengths are even.
const EMPTINESS_COST: f64 = 2.0;
/// What a cut in a pause of no length would cost; from `SENTENCE_PAUSE` on a pause costs nothing.
const SHORT_PAUSE_COST: f64 = 1.5;
const SENTENCE_PAUSE: usize = SAMPLE_RATE;
/// Power below which all is equally quiet: -80 dB.
const SILENCE: f64 = 1e-8;

/// Where a cut may fall.
struct Place {
    /// In the timeline's own samples.
    at: usize,
    /// Loudness there in dB above the quietest places around.
    cost: f64,
}

/// Covers the pieces, in order, without gaps or overlaps, in samples of the timeline that they make up.
///
/// `pieces` are ranges of `samples`; `pauses` lie within them, in order: there nobody speaks. Cuts fall between two
/// pieces, in a pause, and only within a stretch longer than `longest` anywhere else: there, where 0.2 s are quietest. Of all
/// ways to cut, the one with the quietest cuts, the fewest windows and the most even lengths is taken. No samples have no
/// windows.
pub(super) fn cut(
    pieces: &[Range<usize>],
    pauses: &[Range<usize>],
    samples: &[f32],
    longest: usize,
) -> Vec<Range<usize>> {
    // A window must be able to hold several places to cut.
    let longest = longest.clamp(SAMPLE_RATE * 2, WINDOW_SAMPLES);
    let places = places(pieces, pauses, samples, longest);
    // Of each place: the least cost of cutting up all before it, and where the window begins that ends there.
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0)];
    let mut first = 0;
    for (index, place) in places.iter().enumerate().skip(1) {
        while place.at - places[first].at > longest {
            first += 1;
        }
        let cost = |from: usize| {
            let empty = 1.0 - (place.at - places[from].at) as f64 / longest as f64;
            best[from].0 + place.cost + WINDOW_COST + EMPTINESS_COST * empty * empty
        };
        // Two places are never further apart than `longest`, so there is one at least.
        let from = (first..index).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(index - 1);
        best.push((cost(from), from));
    }
    let mut windows = Vec::new();
    let mut end = places.len() - 1;
    while end > 0 {
        let start = best[end].1;
        windows.push(places[start].at..places[end].at);
        end = start;
    }
    windows.reverse();
    windows
}

/// Every place to cut, the start and the end included, in order, none twice.
fn places(pieces: &[Range<usize>], pauses: &[Range<usize>], samples: &[f32], longest: usize) -> Vec<Place> {
    let mut places = vec![Place { at: 0, cost: 0.0 }];
    let mut begin = 0;
    for piece in pieces {
        let within = pauses.iter().map(|pause| (quietest(pause, samples), shortness(pause)));
        let within = within.filter(|(at, _)| piece.start < *at && *at < piece.end);
        let mut from = piece.start;
        for (to, cost) in within.chain([(piece.end, 0.0)]) {
            if to - from > longest {
                let quiet = quiet_places(&samples[from..to], longest);
                places.extend(quiet.into_iter().map(|place| Place { at: begin + place.at, ..place }));
            }
            begin += to - from;
            from = to;
            places.push(Place { at: begin, cost });
        }
    }
    places
}

/// Where a pause is cut: in its quietest 0.2 s, of equals those nearest to its middle. What the detector of speech takes for a
/// pause may begin with the soft end of a word.
pub fn quietest(pause: &Range<usize>, samples: &[f32]) -> usize {
    let middle = pause.start.midpoint(pause.end);
    let half = PAUSE * FRAME / 2;
    let powers = samples.get(pause.clone()).unwrap_or_default().windows(2 * half).step_by(FRAME);
    powers
        .enumerate()
        .map(|(index, frames)| (pause.start + index * FRAME + half, power(frames).max(SILENCE)))
        .min_by(|(a, quiet), (b, other)| {
            quiet.total_cmp(other).then(a.abs_diff(middle).cmp(&b.abs_diff(middle)))
        })
        .map_or(middle, |(at, _)| at)
}

fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / samples.len() as f64
}

/// What it costs to cut in a pause: a short one may be within a sentence.
fn shortness(pause: &Range<usize>) -> f64 {
    SHORT_PAUSE_COST * (1.0 - pause.len() as f64 / SENTENCE_PAUSE as f64).max(0.0)
}

/// The quietest place in each half second of `stretch`, counted from its start. As many of them as there must be cuts cost
/// nothing, so that one moment of digital silence does not make all others dear.
fn quiet_places(stretch: &[f32], longest: usize) -> Vec<Place> {
    let frames: Vec<f64> = stretch.chunks_exact(FRAME).map(power).collect();
    let mut found: Vec<Place> = Vec::with_capacity(stretch.len() / CELL + 1);
    for (first, pause) in frames.windows(PAUSE).enumerate() {
        let at = first * FRAME + PAUSE * FRAME / 2;
        let mean = pause.iter().sum::<f64>() / PAUSE as f64;
        let place = Place { at, cost: 10.0 * mean.max(SILENCE).log10() };
        match found.last_mut() {
            Some(last) if last.at / CELL == at / CELL => {
                if place.cost < last.cost {
                    *last = place;
                }
            }
            _ => found.push(place),
        }
    }
    let mut levels: Vec<f64> = found.iter().map(|place| place.cost).collect();
    levels.sort_by(f64::total_cmp);
    let cuts = stretch.len().saturating_sub(1) / longest;
    let floor = levels.get(cuts.saturating_sub(1)).copied().unwrap_or_default();
    found.iter_mut().for_each(|place| place.cost = (place.cost - floor).max(0.0));
    found
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

    fn cut_whole(samples: &[f32], longest: usize) -> Vec<Range<usize>> {
        let pieces: Vec<_> = (!samples.is_empty()).then_some(0..samples.len()).into_iter().collect();
        cut(&pieces, &[], samples, longest)
    }

    fn at(seconds: f64) -> usize {
        (seconds * SAMPLE_RATE as f64) as usize
    }

    #[test]
    fn a_file_of_at_most_30_s_is_one_window() {
        for len in [1, SAMPLE_RATE, WINDOW_SAMPLES - 1, WINDOW_SAMPLES] {
            assert_eq!(cut_whole(&noise(len, 1, 0.5), WINDOW_SAMPLES), [Range { start: 0, end: len }]);
        }
        assert!(cut_whole(&[], WINDOW_SAMPLES).is_empty());
    }

    #[test]
    fn the_cut_falls_into_the_pause_wherever_it_is() {
        for pause_at in [11.0, 17.3, 22.3, 24.0, 27.9, 29.3] {
            let mut samples = noise(at(40.0), 2, 0.5);
            let pause = at(pause_at)..at(pause_at + 0.25);
            samples[pause.clone()].fill(0.001);
            let windows = cut_whole(&samples, WINDOW_SAMPLES);
            assert!(pause.contains(&windows[0].end), "pause {pause_at}: {windows:?}");
        }
    }

    #[test]
    fn a_little_more_than_a_window_is_cut_near_the_middle_and_not_near_the_end() {
        let mut samples = noise(at(31.0), 3, 0.5);
        for pause in [1.0, 14.0, 29.5] {
            samples[at(pause)..at(pause + 0.4)].fill(0.0);
        }
        let windows = cut_whole(&samples, WINDOW_SAMPLES);
        assert_eq!(windows.len(), 2);
        assert!((at(14.0)..at(14.4)).contains(&windows[0].end), "{windows:?}");
    }

    #[test]
    fn pieces_and_pauses_come_before_quiet_places_and_lengths_are_even() {
        let mut samples = noise(at(200.0), 4, 0.5);
        samples[at(27.0)..at(29.0)].fill(0.0);
        let pieces = [at(1.0)..at(13.0), at(20.0)..at(29.0), at(40.0)..at(51.0), at(60.0)..at(69.0)];
        // 12 + 9 + 11 + 9 s: two windows, cut in the middle.
        assert_eq!(cut(&pieces, &[], &samples, WINDOW_SAMPLES), [0..at(21.0), at(21.0)..at(41.0)]);
        // One piece of 40 s in which somebody pauses at 18 s.
        let whole = at(10.0)..at(50.0);
        let whole = std::slice::from_ref(&whole);
        assert_eq!(
            cut(whole, std::slice::from_ref(&(at(27.0)..at(29.0))), &samples, WINDOW_SAMPLES),
            [0..at(18.0), at(18.0)..at(40.0)]
        );
    }

    #[test]
    fn silence_is_cut_evenly() {
        let windows = cut_whole(&vec![0.0; at(100.0)], WINDOW_SAMPLES);
        assert_eq!(windows.len(), 4);
        assert!(windows.iter().all(|window| window.len() > at(24.0)), "{windows:?}");
    }

    #[test]
    fn samples_that_are_not_numbers_do_not_stop_the_cutting() {
        let windows = cut_whole(&[f32::NAN; 70 * SAMPLE_RATE], WINDOW_SAMPLES);
        assert_eq!(windows.last().map(|window| window.end), Some(70 * SAMPLE_RATE));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn windows_cover_everything_once_and_in_order(
            lens in prop::collection::vec(1usize..50 * SAMPLE_RATE, 0..6), gap in 0usize..5000, pauses in prop::collection::vec(0usize..250 * SAMPLE_RATE, 0..5),
            seed: u64, longest in 2usize..=30,
        ) {
            let mut pieces = Vec::new();
            let mut end = 0;
            for len in lens {
                pieces.push(end + gap..end + gap + len);
                end += gap + len;
            }
            let mut pauses = pauses;
            pauses.sort_unstable();
            pauses.dedup();
            let pauses: Vec<Range<usize>> = pauses.iter().map(|at| *at..at + seed as usize % 20_000).collect();
            let samples = noise(end, seed, 0.3);
            let longest = longest * SAMPLE_RATE;
            let mut at = 0;
            for window in cut(&pieces, &pauses, &samples, longest) {
                prop_assert_eq!(window.start, at);
                prop_assert!(!window.is_empty());
                prop_assert!(window.len() <= longest);
                at = window.end;
            }
            prop_assert_eq!(at, pieces.iter().map(Range::len).sum::<usize>());
        }
    }
}
