//! Words of one window in, every segment with its words in the file's time out: ordered, inside the window, in speech.
//!
//! Everything is settled in the time of the window's audio, which has no holes, and only then carried over to the file.

use std::ops::Range;
use std::time::Duration;

use super::silence::{Standing, clip, keep_larger_part, move_on, silences};
use super::usual::{SENTENCE_ENDS, keep_usual_length, median_length};
use super::words::Spoken;
use crate::audio::{Window, duration_of};
use crate::transcript::{Segment, Word};

/// No word is shorter, where there is room.
const SHORTEST: Duration = Duration::from_millis(20);

type Time = Range<Duration>;

/// Where a window lies in the file, and what is known of the silence in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub window: &'a Window,
    /// Where somebody speaks, in samples of the file and in order; empty where nobody looked.
    pub speech: &'a [Range<usize>],
    /// As `quiet` found it in the window's samples; empty where nobody looked.
    pub quiet: &'a [Range<Duration>],
}

/// Gives each segment its words and the times of its first and last word; `words` holds one list for each segment, as
/// `words::words` made it.
///
/// Holds afterwards, whatever the times were: words start and end in order, none before the one before it has ended,
/// each within its segment, all within the window; none is empty as long as there is room for all.
pub fn give(segments: &mut [Segment], words: Vec<Vec<Spoken>>, place: Place) {
    let window = place.window;
    let usual = median_length(words.iter().flatten());
    let silences = [silences(window, place.speech), place.quiet.to_vec()].concat();
    let owns: Vec<Time> =
        segments.iter().map(|segment| within(window, segment.start)..within(window, segment.end)).collect();
    let heard =
        words.iter().zip(&owns).map(|(words, own)| timed(words).unwrap_or_else(|| spread(words, own)));
    let mut times: Vec<Time> = heard.flatten().collect();
    move_on(&mut times, &standings(&words), &silences);
    for (time, word) in times.iter_mut().zip(words.iter().flatten()) {
        clip(time, word.until.unwrap_or_default(), &silences);
    }
    let (mut last_speech, mut rest) = (Duration::ZERO, &mut times[..]);
    for (words, own) in words.iter().zip(&owns) {
        let (its, others) = rest.split_at_mut(words.len());
        keep_usual_length(its, own, (usual, last_speech));
        last_speech = its.last().map_or(last_speech, |time| time.end);
        rest = others;
    }
    let letters: Vec<usize> = words.iter().flatten().map(letters).collect();
    share(&mut times, &letters);
    put_in_order(&mut times, window.duration());
    let mut joint = Duration::ZERO;
    for piece in window.pieces() {
        joint += duration_of(piece.len());
        times.iter_mut().for_each(|time| keep_larger_part(time, &(joint..joint)));
    }

    let mut times = times.into_iter();
    for (segment, words) in segments.iter_mut().zip(words) {
        let usual_probability = segment.avg_logprob.exp().clamp(0.0, 1.0);
        segment.words = words
            .into_iter()
            .zip(times.by_ref())
            .map(|(word, time)| Word {
                start: window.opens_at(time.start),
                end: window.closes_at(time.end),
                text: word.text,
                probability: word.probability.unwrap_or(usual_probability),
            })
            .collect();
        if let (Some(first), Some(last)) = (segment.words.first(), segment.words.last()) {
            (segment.start, segment.end) = (first.start, last.end);
        }
    }
}

/// The window's time of a time of the file; what was left out of the window lies where it was left out.
pub(super) fn within(window: &Window, time: Duration) -> Duration {
    window
        .pieces()
        .iter()
        .map(|piece| time.saturating_sub(duration_of(piece.start)).min(duration_of(piece.len())))
        .sum()
}

fn timed(words: &[Spoken]) -> Option<Vec<Time>> {
    words.iter().map(|word| word.time.clone()).collect()
}

fn standings(segments: &[Vec<Spoken>]) -> Vec<Standing> {
    let mut all = Vec::new();
    for words in segments {
        let mut opens = true;
        for (index, word) in words.iter().enumerate() {
            let closed = word
                .text
                .trim_end_matches(['"', '\'', '”', ')', ']'])
                .ends_with(|c| SENTENCE_ENDS.contains(c));
            let ends = closed || index + 1 == words.len();
            all.push(Standing { opens, ends });
            opens = ends;
        }
    }
    all
}

/// What a word weighs where several share a stretch of time; the pause between two of them weighs one letter.
fn letters(word: &Spoken) -> usize {
    word.text.trim().chars().count() + 1
}

/// Over the whole segment.
fn spread(words: &[Spoken], segment: &Time) -> Vec<Time> {
    let letters: Vec<usize> = words.iter().map(letters).collect();
    let mut times = vec![segment.start..segment.end.max(segment.start); words.len()];
    divide(&mut times, &letters);
    times
}

/// The whole stretch among its words, by their letters.
fn divide(times: &mut [Time], letters: &[usize]) {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
    let (start, length) = (first.start, last.end.saturating_sub(first.start));
    let total = letters.iter().sum::<usize>().max(1) as f64;
    let mut before = 0;
    for (time, letters) in times.iter_mut().zip(letters) {
        time.start = start + length.mul_f64(before as f64 / total);
        before += letters;
        time.end = start + length.mul_f64(before as f64 / total);
    }
}

/// Attention that leaps over words leaves them without length; the word before them has held their time, or else the one
/// after. They share it.
fn share(times: &mut [Time], letters: &[usize]) {
    let has_none = |time: &Time| time.end <= time.start + SHORTEST;
    let mut first = 0;
    while first < times.len() {
        let mut end = first + 1;
        let joins = |times: &[Time], at: usize| at < times.len() && times[at - 1].end == times[at].start;
        // Words without length that begin a stretch take what follows them along.
        while has_none(&times[end - 1]) && joins(times, end) {
            end += 1;
        }
        while joins(times, end) && has_none(&times[end]) {
            end += 1;
        }
        if end > first + 1 {
            divide(&mut times[first..end], &letters[first..end]);
        }
        first = end;
    }
}

/// Ends each word before the next begins, and makes room for those that have none.
fn put_in_order(times: &mut [Time], audio: Duration) {
    let shortest = SHORTEST.min(audio / (times.len() as u32).max(1));
    let mut free = Duration::ZERO;
    for index in 0..times.len() {
        let next = times.get(index + 1).map_or(audio, |next| next.start);
        let time = &mut times[index];
        time.start = time.start.max(free);
        time.end = time.end.min(next).max(time.start + shortest);
        free = time.end;
    }
    // What was pushed beyond the end comes back.
    let mut limit = audio;
    for time in times.iter_mut().rev() {
        time.end = time.end.min(limit);
        time.start = time.start.min(time.end.saturating_sub(shortest));
        limit = time.start;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::{SAMPLE_RATE, Timeline};

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn window(pieces: &[Range<u64>]) -> Window {
        let samples = |ms: u64| ms as usize * SAMPLE_RATE / 1000;
        let pieces = pieces.iter().map(|piece| samples(piece.start)..samples(piece.end)).collect();
        let timeline = Timeline::of(pieces);
        timeline.slice(0..timeline.len()).unwrap()
    }

    fn whole(ms: u64) -> Window {
        window(std::slice::from_ref(&(0..ms)))
    }

    fn segment(start: u64, end: u64) -> Segment {
        Segment {
            start: at(start),
            end: at(end),
            avg_logprob: f32::ln(0.5),
            compression_ratio: 1.0,
            ..Segment::default()
        }
    }

    fn spoken(time: Option<Range<u64>>) -> Spoken {
        let time = time.map(|time| at(time.start)..at(time.end));
        Spoken { text: " word".to_owned(), time, until: None, probability: Some(0.9) }
    }

    /// Times of the words of one segment over the whole window, in ms.
    fn given(words: &[Range<u64>], window: &Window, speech: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut segments = [Segment { start: window.start(), end: window.end(), ..segment(0, 0) }];
        let words = words.iter().map(|word| spoken(Some(word.clone()))).collect();
        let samples = |ms: u64| ms as usize * SAMPLE_RATE / 1000;
        let speech: Vec<_> = speech.iter().map(|span| samples(span.start)..samples(span.end)).collect();
        give(&mut segments, vec![words], Place { window, speech: &speech, quiet: &[] });
        let [segment] = &segments;
        assert_eq!(Some(segment.start), segment.words.first().map(|word| word.start));
        assert_eq!(Some(segment.end), segment.words.last().map(|word| word.end));
        let ms = |time: Duration| time.as_millis() as u64;
        segment.words.iter().map(|word| ms(word.start)..ms(word.end)).collect()
    }

    #[test]
    fn words_count_from_the_start_of_the_file_and_of_their_piece() {
        let window = window(&[60_000..62_000, 70_000..72_000]);
        let words = given(&[500..700, 700..1000, 2000..2300, 2300..2500], &window, &[]);
        assert_eq!(words, [60_500..60_700, 60_700..61_000, 70_000..70_300, 70_300..70_500]);
    }

    #[test]
    fn a_word_over_what_was_left_out_is_where_its_larger_part_is() {
        let window = window(&[0..2_000, 5_000..7_000]);
        assert_eq!(given(&[1_500..1_900, 1_900..2_300], &window, &[]), [1_500..1_900, 5_000..5_300]);
        assert_eq!(given(&[1_500..1_700, 1_700..2_100], &window, &[]), [1_500..1_700, 1_700..2_000]);
    }

    #[test]
    fn edges_in_silence_move_to_speech() {
        let window = whole(10_000);
        let speech = [1_000..2_000, 4_000..5_000];
        let words = given(&[600..1_300, 1_300..2_800, 2_800..4_400, 4_400..6_000], &window, &speech);
        assert_eq!(words, [960..1_300, 1_300..2_040, 3_960..4_400, 4_400..5_040]);
        // Over a whole silence: the larger part stays. In silence altogether: the detector may be wrong.
        assert_eq!(given(&[1_600..1_900, 1_900..4_300, 4_300..4_500], &window, &speech)[1], 3_960..4_300);
        assert_eq!(given(&[1_600..1_900, 2_500..2_900, 4_300..4_500], &window, &speech)[1], 2_500..2_900);
    }

    #[test]
    fn words_without_length_share_the_time_of_the_word_before_them_or_after_them() {
        let words = given(&[100..400, 400..400, 400..400, 400..600], &whole(1_000), &[]);
        assert_eq!(words, [100..200, 200..300, 300..400, 400..600]);
        let words = given(&[0..50, 100..100, 100..500], &whole(1_000), &[]);
        assert_eq!(words, [0..50, 100..300, 300..500]);
    }

    #[test]
    fn words_get_their_least_length_where_all_have_none() {
        let words = given(&[1_000..1_000, 1_000..1_000], &whole(1_000), &[]);
        assert_eq!(words, [960..980, 980..1_000]);
    }

    #[test]
    fn a_word_lost_in_silence_without_length_goes_where_speech_begins() {
        let speech = std::slice::from_ref(&(1_000..2_000));
        let words = given(&[0..0, 0..1_400, 1_400..1_600], &whole(5_000), speech);
        assert_eq!(words, [960..1_180, 1_180..1_400, 1_400..1_600]);
    }

    #[test]
    fn a_long_first_word_after_a_pause_is_shortened() {
        let words = given(&[0..2_000, 2_000..2_200, 2_200..2_400, 2_400..2_600], &whole(5_000), &[]);
        assert_eq!(words[0], 1_600..2_000);
    }

    #[test]
    fn words_without_times_share_their_segment_by_their_letters() {
        let mut segments = [segment(1_000, 2_000)];
        let mut words = vec![spoken(None), spoken(None), spoken(None)];
        words[1].text = " hippopota".to_owned();
        words[2].probability = None;
        give(&mut segments, vec![words], Place { window: &whole(5_000), speech: &[], quiet: &[] });
        let [first, second, third] = &segments[0].words[..] else { panic!("three words") };
        assert_eq!((first.start, first.end), (at(1_000), at(1_250)));
        assert_eq!((second.end, third.end), (at(1_750), at(2_000)));
        assert!((third.probability - 0.5).abs() < 1e-6 && first.probability == 0.9);
    }

    prop_compose! {
        /// Some stretches in order, in samples, at least a tenth of a second long in all.
        fn stretches(most: usize)(lengths in prop::collection::vec((0usize..40_000, 1_600usize..60_000), 1..most)) -> Vec<Range<usize>> {
            let mut end = 0;
            lengths.into_iter().map(|(gap, length)| {
                let start = end + gap;
                end = start + length;
                start..end
            }).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn words_are_in_order_in_their_segment_and_in_the_window(
            pieces in stretches(6),
            speech in stretches(12),
            listened: bool,
            quiet in prop::collection::vec((0u64..20_000, 20u64..3_000), 0..8),
            lists in prop::collection::vec(
                (0u64..20_000, 0u64..9_000, prop::collection::vec((0u64..30_000, 0u64..3_000), 0..12), prop::bool::weighted(0.8)), 1..6),
        ) {
            let timeline = Timeline::of(pieces);
            let window = timeline.slice(0..timeline.len()).unwrap();
            let mut segments: Vec<Segment> =
                lists.iter().map(|(start, length, ..)| segment(*start, start + length)).collect();
            let words: Vec<Vec<Spoken>> = lists
                .iter()
                .map(|(_, _, words, timed)| {
                    let time = |(start, length): &(u64, u64)| timed.then_some(*start..start + length);
                    words.iter().map(|word| spoken(time(word))).collect()
                })
                .collect();
            let counts: Vec<usize> = words.iter().map(Vec::len).collect();
            let quiet: Vec<Time> = quiet.into_iter().map(|(start, length)| at(start)..at(start + length)).collect();
            let speech = if listened { &speech[..] } else { &[] };
            give(&mut segments, words, Place { window: &window, speech, quiet: &quiet });

            prop_assert_eq!(segments.iter().map(|segment| segment.words.len()).collect::<Vec<_>>(), counts);
            let mut free = window.start();
            for segment in &segments {
                for word in &segment.words {
                    prop_assert!(free <= word.start && word.start < word.end, "{:?} after {:?}", word, free);
                    prop_assert!(segment.start <= word.start && word.end <= segment.end);
                    free = word.end;
                }
                let within_a_piece = |word: &Word| window.pieces().iter().any(|piece| {
                    duration_of(piece.start) <= word.start && word.end <= duration_of(piece.end)
                });
                prop_assert!(segment.words.iter().all(within_a_piece));
            }
            prop_assert!(free <= window.end());
        }

        /// As attention gives them: one after the other over the audio.
        #[test]
        fn words_have_their_least_length_and_only_those_without_move(cuts in prop::collection::vec(0u64..500, 2..40)) {
            let mut cuts: Vec<u64> = cuts.into_iter().map(|cut| cut * 20).collect();
            cuts.sort_unstable();
            let mut times: Vec<Time> = cuts.windows(2).map(|cut| at(cut[0])..at(cut[1])).collect();
            let before = times.clone();
            put_in_order(&mut times, at(10_000));
            prop_assert!(times.iter().all(|time| time.start + SHORTEST <= time.end));
            prop_assert!(times.windows(2).all(|two| two[0].end <= two[1].start));
            if before.iter().all(|time| !time.is_empty()) {
                prop_assert_eq!(times, before);
            }
        }
    }
}
