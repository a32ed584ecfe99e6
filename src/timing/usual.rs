//! Words that attention made too long in, words of usual length out: the reference's rules against pauses that are taken for words.

use std::ops::Range;
use std::time::Duration;

use super::words::Spoken;

type Time = Range<Duration>;

/// openai/whisper timing.py at c0d2f624, line 310.
pub(super) const SENTENCE_ENDS: &str = ".。!！?？";
/// The median word counts as this long at most; timing.py, line 304.
const LONGEST_MEDIAN: Duration = Duration::from_millis(700);
/// timing.py, lines 367 and 377: the segment's own time counts where a word lies so far beyond it.
const FAR_BEYOND: Duration = Duration::from_millis(500);

/// The length of a usual word, 0.7 s at most; 0 where there is none.
pub(super) fn median_length<'a>(words: impl Iterator<Item = &'a Spoken>) -> Duration {
    let lengths = words.filter_map(|word| word.time.as_ref().map(|time| time.end.saturating_sub(time.start)));
    let mut lengths: Vec<Duration> = lengths.filter(|length| !length.is_zero()).collect();
    lengths.sort_unstable();
    let half = lengths.len() / 2;
    let median = match lengths.len() {
        0 => Duration::ZERO,
        even if even % 2 == 0 => (lengths[half - 1] + lengths[half]) / 2,
        _ => lengths[half],
    };
    median.min(LONGEST_MEDIAN)
}

/// A pause belongs neither to the full stop nor to the word after it: both are at most two usual words long.
/// openai/whisper timing.py at c0d2f624, lines 307-317.
pub(super) fn shorten_at_sentences(segments: &mut [Vec<Spoken>]) {
    let longest = 2 * median_length(segments.iter().flatten());
    if longest.is_zero() {
        return;
    }
    let mut after_end = false;
    for (index, word) in segments.iter_mut().flatten().enumerate() {
        let is_end = SENTENCE_ENDS.contains(&word.text);
        if let Some(time) = &mut word.time
            && index > 0
            && time.end.saturating_sub(time.start) > longest
        {
            if is_end {
                time.end = time.start + longest;
            } else if after_end {
                time.start = time.end - longest;
            }
        }
        after_end = is_end;
    }
}

/// The pause before or after a segment is no part of its first or last word; `segment` is its own time by its timestamps.
///
/// Follows `add_word_timestamps`, openai/whisper timing.py at c0d2f624, lines 344-380. There the two first words meet at
/// `max(end / 2, end - longest)` of the second, where half its time in the file is surely a slip.
pub(super) fn keep_usual_length(
    times: &mut [Time],
    segment: &Time,
    (usual, last_speech): (Duration, Duration),
) {
    let longest = 2 * usual;
    let length = |from: Duration, to: Duration| to.saturating_sub(from);
    if usual.is_zero() {
        return;
    }
    if let [first, rest @ ..] = times
        && length(last_speech, first.end) > 2 * longest
        && (length(first.start, first.end) > longest
            || rest.first().is_some_and(|second| length(first.start, second.end) > 2 * longest))
    {
        if let Some(second) = rest.first_mut().filter(|second| length(second.start, second.end) > longest) {
            second.start = second.end - longest;
            first.end = second.start;
        }
        first.start = first.start.max(first.end.saturating_sub(longest));
    }
    if let Some(first) = times.first_mut()
        && segment.start < first.end
        && segment.start > first.start + FAR_BEYOND
    {
        first.start = first.end.saturating_sub(usual).min(segment.start);
    }
    if let Some(last) = times.last_mut()
        && segment.end > last.start
        && segment.end + FAR_BEYOND < last.end
    {
        last.end = (last.start + usual).max(segment.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str, start: u64, end: u64) -> Spoken {
        let time = Duration::from_millis(start)..Duration::from_millis(end);
        Spoken { text: text.to_owned(), time: Some(time), until: None, probability: Some(0.5) }
    }

    #[test]
    fn a_pause_is_part_of_neither_sentence() {
        let mut segments = vec![vec![
            spoken(" one", 0, 200),
            spoken(" two", 200, 400),
            spoken(".", 400, 1400),
            spoken(" three", 1400, 2400),
            spoken(" four", 2400, 2600),
        ]];
        shorten_at_sentences(&mut segments);
        // The median of 200, 200, 1000, 1000 and 200 ms is 200 ms.
        assert_eq!(segments[0][2], spoken(".", 400, 800));
        assert_eq!(segments[0][3], spoken(" three", 2000, 2400));
    }
}
