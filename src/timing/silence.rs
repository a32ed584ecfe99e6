//! A window's audio and where somebody speaks in, the words' edges without the silences around them out.

use std::ops::Range;
use std::time::Duration;

use super::place::within;
use crate::audio::{HOP, Window, duration_of};

type Time = Range<Duration>;

/// A silence as long as this is no part of a word; shorter ones are, before a plosive say.
const PAUSE: Duration = Duration::from_millis(160);
/// How far a word may reach beyond what the detector of speech heard: its edges are as coarse as its frames.
const MARGIN: Duration = Duration::from_millis(40);
/// What a word keeps of a quiet stretch: its first consonant may be as quiet.
const KEPT: usize = 2;
/// In dB: speech must stand out from the background by so much, or nothing is known to be quiet.
const LEAST_RANGE: f64 = 15.0;
/// In dB: what is softer by more than this than loud speech is all the same background.
const MOST_RANGE: f64 = 50.0;
/// From the background up to loud speech, in dB: what is quiet ends here.
const QUIET_BELOW: f64 = 0.25;

/// The quiet stretches of a window's audio, in its own time: what words have no part in. None where noise is as loud as
/// speech.
pub fn quiet(samples: &[f32]) -> Vec<Time> {
    let level = levels(samples);
    let mut sorted = level.clone();
    sorted.sort_by(f64::total_cmp);
    let (Some(background), Some(loud)) = (sorted.get(level.len() / 10), sorted.get(level.len() * 19 / 20))
    else {
        return Vec::new();
    };
    let background = background.max(loud - MOST_RANGE);
    if loud - background < LEAST_RANGE {
        return Vec::new();
    }
    let threshold = background + QUIET_BELOW * (loud - background);
    let mut quiet = Vec::new();
    let mut start = 0;
    for run in level.chunk_by(|a, b| (*a < threshold) == (*b < threshold)) {
        let end = start + run.len();
        let touches_an_end = start == 0 || end == level.len();
        if run[0] < threshold && (duration_of(run.len() * HOP) >= PAUSE || touches_an_end) {
            // Nothing comes before the first word or after the last that could be cut off.
            let from = if start == 0 { 0 } else { start + KEPT };
            let to = if end == level.len() { end } else { end.saturating_sub(KEPT) };
            if from < to {
                quiet.push(duration_of(from * HOP)..duration_of(to * HOP));
            }
        }
        start = end;
    }
    quiet
}

/// Energy in dB at every 10 ms, smoothed over its neighbours.
fn levels(samples: &[f32]) -> Vec<f64> {
    let square = |sample: &f32| f64::from(*sample) * f64::from(*sample);
    let energy: Vec<f64> = samples.chunks_exact(HOP).map(|frame| frame.iter().map(square).sum()).collect();
    let at = |place: Option<usize>| place.and_then(|place| energy.get(place)).copied().unwrap_or(0.0);
    (0..energy.len())
        .map(|place| at(Some(place)) + 0.5 * (at(place.checked_sub(1)) + at(Some(place + 1))))
        .map(|energy| if energy.is_finite() { 10.0 * (energy + 1e-9).log10() } else { 0.0 })
        .collect()
}

/// What lies between the spans of `speech` in the window, in the window's time; none where the window has no speech.
pub(super) fn silences(window: &Window, speech: &[Range<usize>]) -> Vec<Time> {
    let heard = heard_in(window, speech);
    let (Some(first), Some(last)) = (heard.first(), heard.last()) else { return Vec::new() };
    let before = Duration::ZERO..first.start.saturating_sub(MARGIN);
    let after = last.end + MARGIN..window.duration().max(last.end + MARGIN);
    let pauses = heard.windows(2).filter(|two| two[0].end + PAUSE <= two[1].start);
    let between = pauses.map(|two| two[0].end + MARGIN..two[1].start.saturating_sub(MARGIN));
    [before].into_iter().chain(between).chain([after]).filter(|silence| !silence.is_empty()).collect()
}

/// The parts of `speech` that the window holds, in its own time; those that touch are one.
fn heard_in(window: &Window, speech: &[Range<usize>]) -> Vec<Time> {
    let pieces = window.pieces();
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Vec::new() };
    let from = speech.partition_point(|span| span.end <= first.start);
    let mut heard: Vec<Time> = Vec::new();
    for span in speech[from..].iter().take_while(|span| span.start < last.end) {
        let time = within(window, duration_of(span.start))..within(window, duration_of(span.end));
        match heard.last_mut() {
            _ if time.is_empty() => {}
            Some(last) if time.start <= last.end => last.end = last.end.max(time.end),
            _ => heard.push(time),
        }
    }
    heard
}

/// A word as it was heard and `until` when its punctuation was: what sounds of the punctuation is the word's. Then no word has
/// a part in silence; one that lies in silence altogether stays, for the detector may be wrong.
pub(super) fn clip(time: &mut Time, until: Duration, silences: &[Time]) {
    let onset =
        silences.iter().map(|silence| silence.start).filter(|onset| (time.end..=until).contains(onset));
    time.end = onset.min().unwrap_or(time.end);
    for silence in silences {
        keep_larger_part(time, silence);
    }
}

/// Of a word that reaches into `silence`, or over it, the part on one side.
pub(super) fn keep_larger_part(time: &mut Time, silence: &Time) {
    if silence.start >= time.end || silence.end <= time.start {
        return;
    }
    let before = silence.start.saturating_sub(time.start);
    let after = time.end.saturating_sub(silence.end);
    if before > after {
        time.end = silence.start;
    } else if !after.is_zero() {
        time.start = silence.end;
    }
}

/// How a word stands in its sentence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub opens: bool,
    pub ends: bool,
}

/// The attention of a sentence's first word often begins in the pause before it. What lies in a silence goes where speech begins
/// again, if the next word begins in the same silence and goes on beyond; but the end of a sentence stays.
pub(super) fn move_on(times: &mut [Time], standing: &[Standing], silences: &[Time]) {
    for index in (1..times.len()).rev() {
        let Standing { opens, ends } = standing[index - 1];
        let (word, next) = (times[index - 1].clone(), times[index].clone());
        let goes_on = |silence: &&Time| {
            let before = silence.start.saturating_sub(word.start);
            let within = word.end.saturating_sub(silence.start.max(word.start));
            let next_opens = (silence.start..=silence.end).contains(&next.start) && next.end >= silence.end;
            let mostly = before.is_zero() || (opens && within > before);
            word.end <= silence.end && next_opens && mostly
        };
        if let Some(silence) = silences.iter().find(goes_on).filter(|_| !ends) {
            times[index - 1] = silence.end..silence.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{SAMPLE_RATE, Timeline};

    /// Noise of a loudness (a share of full scale) for so many ms each.
    fn audio(parts: &[(f32, usize)]) -> Vec<f32> {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let samples = parts.iter().flat_map(|(loud, ms)| std::iter::repeat_n(*loud, ms * SAMPLE_RATE / 1000));
        samples.map(|loud| loud * noise()).collect()
    }

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pauses_are_quiet_and_closures_within_words_are_not() {
        let heard =
            audio(&[(0.001, 400), (0.3, 800), (0.001, 100), (0.3, 500), (0.002, 300), (0.2, 600), (0.0, 50)]);
        let found = quiet(&heard);
        let near = |a: Duration, b: u64| a.abs_diff(at(b)) <= at(30);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].start.is_zero() && near(found[0].end, 380), "{found:?}");
        assert!(near(found[1].start, 1_820) && near(found[1].end, 2_080), "{found:?}");
        assert!(near(found[2].start, 2_720) && near(found[2].end, 2_750), "{found:?}");
    }

    #[test]
    fn nothing_is_quiet_where_all_is_equally_loud() {
        assert!(quiet(&audio(&[(0.1, 800), (0.2, 900), (0.1, 300)])).is_empty());
        assert!(quiet(&[0.0; 16_000]).is_empty());
        assert!(quiet(&[f32::NAN; 16_000]).is_empty());
        assert!(quiet(&[]).is_empty());
    }

    #[test]
    fn a_word_goes_on_until_its_punctuation_falls_silent() {
        let mut time = at(100)..at(300);
        clip(&mut time, at(900), &[at(420)..at(1_000)]);
        assert_eq!(time, at(100)..at(420));
        clip(&mut time, at(410), &[]);
        assert_eq!(time, at(100)..at(420));
    }

    #[test]
    fn the_first_word_of_a_sentence_leaves_the_pause_before_it_and_the_last_one_stays() {
        let (first, last) = (Standing { opens: true, ends: false }, Standing { opens: false, ends: true });
        let silences = [at(400)..at(1_000)];
        let moved = |word: Range<u64>, standing| {
            let mut times = [at(word.start)..at(word.end), at(word.end)..at(1_500)];
            move_on(&mut times, &[standing, Standing::default()], &silences);
            times[0].clone()
        };
        assert_eq!(moved(300..700, first), at(1_000)..at(1_000));
        assert_eq!(moved(100..500, first), at(100)..at(500));
        assert_eq!(moved(300..700, last), at(300)..at(700));
        assert_eq!(moved(300..700, Standing::default()), at(300)..at(700));
        assert_eq!(moved(500..700, Standing::default()), at(1_000)..at(1_000));
        assert_eq!(moved(500..700, last), at(500)..at(700));
    }

    #[test]
    fn spans_of_the_file_become_silences_of_the_window() {
        let samples = |ms: usize| ms * SAMPLE_RATE / 1000;
        let pieces =
            [1_000..3_000, 6_000..8_000].map(|piece: Range<usize>| samples(piece.start)..samples(piece.end));
        let window = Timeline::of(pieces.to_vec()).slice(0..samples(4_000)).expect("it has samples");
        let speech = [100..500, 1_200..1_500, 1_600..2_000, 2_500..6_400, 7_900..9_000];
        let speech = speech.map(|span: Range<usize>| samples(span.start)..samples(span.end));
        let found = silences(&window, &speech);
        assert_eq!(found, [at(0)..at(160), at(1_040)..at(1_460), at(2_440)..at(3_860)]);
        assert!(silences(&window, &[]).is_empty());
        assert!(silences(&window, &speech[..1]).is_empty());
    }
}
