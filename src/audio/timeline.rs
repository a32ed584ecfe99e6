//! The parts of a file that are transcribed, and windows of them: an exact map between a window's time and the file's.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use super::window::{cut, quietest};
use super::{Pcm, duration_of, samples_in};
use crate::transcript::Speech;

/// What is transcribed of a file: stretches of its samples in order, without overlaps. Its own time runs as if they had
/// been recorded one right after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    pieces: Vec<Range<usize>>,
    /// Within the pieces where nobody speaks, in the file's samples, in order.
    pauses: Vec<Range<usize>>,
}

/// At most 30 s of one timeline, decoded on their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Samples from the start of the file. Never empty, none of them empty, in order, `WINDOW_SAMPLES` together at most.
    pieces: Vec<Range<usize>>,
}

impl Timeline {
    /// Everything.
    pub fn whole(pcm: &Pcm) -> Self {
        Timeline::of(std::iter::once(0..pcm.samples().len()).collect())
    }

    /// `pieces`: stretches of samples in order that do not overlap. Empty ones are left out.
    pub fn of(pieces: Vec<Range<usize>>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Timeline { pieces, pauses: Vec::new() }
    }

    /// The speech in a file of `len` samples, each of its `spans` with what is kept before and after it.
    ///
    /// A gap is left out only where it is longer than `how.min_silence` and than the padding on both its sides. `spans` are
    /// in order and do not overlap, as `speech` gives them.
    pub fn of_speech(spans: &[Range<usize>], len: usize, how: &Speech) -> Self {
        let (padding, min_silence) = (samples_in(how.padding), samples_in(how.min_silence));
        let mut timeline = Timeline::default();
        let mut spoken = 0;
        for span in spans.iter().filter(|span| !span.is_empty() && span.start < len) {
            let start = span.start.saturating_sub(padding);
            let end = span.end.saturating_add(padding).min(len);
            match timeline.pieces.last_mut() {
                Some(piece) if start <= piece.end || span.start.saturating_sub(spoken) <= min_silence => {
                    piece.end = end;
                    timeline.pauses.push(spoken..span.start.max(spoken));
                }
                _ => timeline.pieces.push(start..end),
            }
            spoken = span.end;
        }
        timeline
    }

    /// Windows one after the other, in order; where one begins as another ends it may be cut again.
    pub fn of_windows(windows: &[Window]) -> Self {
        let mut timeline = Timeline::default();
        for piece in windows.iter().flat_map(|window| &window.pieces) {
            match timeline.pieces.last_mut() {
                Some(before) if before.end == piece.start => {
                    timeline.pauses.push(piece.start..piece.start);
                    before.end = piece.end;
                }
                _ => timeline.pieces.push(piece.clone()),
            }
        }
        timeline
    }

    /// What of it lies in `pieces`, its pauses too.
    pub fn within(&self, pieces: &[Range<usize>]) -> Self {
        let inside = |pause: &&Range<usize>| {
            pieces.iter().any(|piece| piece.start < pause.end && pause.start < piece.end)
        };
        Timeline {
            pauses: self.pauses.iter().filter(inside).cloned().collect(),
            ..Timeline::of(pieces.to_vec())
        }
    }

    pub fn pieces(&self) -> &[Range<usize>] {
        &self.pieces
    }

    /// Samples in all.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Range::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The whole timeline as windows of at most `longest`, from 2 to 30 s, cut where nobody speaks.
    pub fn windows(&self, pcm: &Pcm, longest: Duration) -> Vec<Window> {
        let ranges = cut(&self.pieces, &self.pauses, pcm.samples(), samples_in(longest));
        ranges.into_iter().filter_map(|range| self.slice(range)).collect()
    }

    /// What lies between two pauses, each on its own; what is longer than `longest` is cut further.
    pub fn stretches(&self, pcm: &Pcm, longest: Duration) -> Vec<Window> {
        let mut stretches = Vec::new();
        for piece in &self.pieces {
            let within = self.pauses.iter().map(|pause| quietest(pause, pcm.samples()));
            let within = within.filter(|at| piece.start < *at && *at < piece.end);
            let mut from = piece.start;
            for to in within.chain([piece.end]) {
                stretches.extend(Timeline::of(std::iter::once(from..to).collect()).windows(pcm, longest));
                from = to;
            }
        }
        stretches
    }

    /// Samples of the timeline, counted from its own start; `None` where there are none.
    pub fn slice(&self, range: Range<usize>) -> Option<Window> {
        let mut at = 0;
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let (from, to) = (range.start.max(at), range.end.min(at + piece.len()));
            if from < to {
                pieces.push(piece.start + from - at..piece.start + to - at);
            }
            at += piece.len();
        }
        (!pieces.is_empty()).then_some(Window { pieces })
    }

    /// The samples themselves, copied only where there is more than one piece.
    pub fn samples<'a>(&self, pcm: &'a Pcm) -> Cow<'a, [f32]> {
        gather(&self.pieces, pcm)
    }
}

impl Window {
    /// Where it begins in the file.
    pub fn start(&self) -> Duration {
        duration_of(self.pieces.first().map_or(0, |piece| piece.start))
    }

    /// Where it ends in the file.
    pub fn end(&self) -> Duration {
        duration_of(self.pieces.last().map_or(0, |piece| piece.end))
    }

    /// Of its audio: less than from start to end where something between is left out.
    pub fn duration(&self) -> Duration {
        duration_of(self.pieces.iter().map(Range::len).sum())
    }

    pub fn pieces(&self) -> &[Range<usize>] {
        &self.pieces
    }

    pub fn samples<'a>(&self, pcm: &'a Pcm) -> Cow<'a, [f32]> {
        gather(&self.pieces, pcm)
    }

    /// The file's time of something that begins at `time` of the window: where two pieces meet, the later one's start.
    pub fn opens_at(&self, time: Duration) -> Duration {
        let mut before = Duration::ZERO;
        for piece in &self.pieces {
            let length = duration_of(piece.len());
            if time < before + length {
                return duration_of(piece.start) + time.saturating_sub(before);
            }
            before += length;
        }
        self.end()
    }

    /// The file's time of something that ends at `time` of the window: where two pieces meet, the earlier one's end.
    pub fn closes_at(&self, time: Duration) -> Duration {
        let mut before = Duration::ZERO;
        for piece in &self.pieces {
            let length = duration_of(piece.len());
            if time <= before + length {
                return duration_of(piece.start) + time.saturating_sub(before);
            }
            before += length;
        }
        self.end()
    }
}

fn gather<'a>(pieces: &[Range<usize>], pcm: &'a Pcm) -> Cow<'a, [f32]> {
    match pieces {
        [] => Cow::Borrowed(&[]),
        [one] => Cow::Borrowed(&pcm.samples()[one.clone()]),
        many => Cow::Owned(many.iter().flat_map(|piece| &pcm.samples()[piece.clone()]).copied().collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::SAMPLE_RATE;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_window_over_two_pieces_leads_back_to_the_file() {
        let at = |second: usize| second * SAMPLE_RATE;
        let timeline = Timeline::of(vec![at(2)..at(5), at(5)..at(5), at(10)..at(14)]);
        assert_eq!(timeline.len(), at(7));
        let window = timeline.slice(at(1)..at(5)).unwrap();
        assert_eq!(window.pieces(), [at(3)..at(5), at(10)..at(12)]);
        assert_eq!(
            (window.start(), window.end(), window.duration()),
            (seconds(3.), seconds(12.), seconds(4.))
        );
        assert_eq!(window.opens_at(seconds(1.5)), seconds(4.5));
        // Where the pieces meet, the beginning of something lies after the gap and the end of something before it.
        assert_eq!(window.opens_at(seconds(2.)), seconds(10.));
        assert_eq!(window.closes_at(seconds(2.)), seconds(5.));
        assert_eq!(window.closes_at(seconds(9.)), seconds(12.));
        assert_eq!(timeline.slice(at(7)..at(9)), None);
    }

    #[test]
    fn samples_are_those_of_the_pieces_in_order() {
        let pcm = Pcm::from_16k_mono((0..10).map(|n| n as f32).collect());
        let timeline = Timeline::of(vec![1..3, 7..9]);
        assert_eq!(*timeline.samples(&pcm), [1., 2., 7., 8.]);
        assert_eq!(*timeline.slice(1..3).unwrap().samples(&pcm), [2., 7.]);
        assert!(matches!(Timeline::whole(&pcm).samples(&pcm), Cow::Borrowed(_)));
    }

    fn how(padding: u64, min_silence: u64) -> Speech {
        let (padding, min_silence) = (Duration::from_millis(padding), Duration::from_millis(min_silence));
        Speech { padding, min_silence, ..Speech::default() }
    }

    #[test]
    fn speech_is_padded_within_the_file_and_only_long_gaps_are_left_out() {
        let at = |millis: usize| millis * SAMPLE_RATE / 1000;
        // Gaps of 900 and 1,100 ms, and 200 ms to the end of the file.
        let spans = [at(100)..at(1000), at(1900)..at(3000), at(4100)..at(5000)];
        let timeline = Timeline::of_speech(&spans, at(5200), &how(400, 1000));
        assert_eq!(timeline.pieces(), [0..at(3400), at(3700)..at(5200)]);
        // The padding may be longer than what counts as a gap; what pads twice is there once.
        let timeline = Timeline::of_speech(&spans, at(5200), &how(550, 100));
        assert_eq!(timeline.pieces(), std::slice::from_ref(&(0..at(5200))));
        assert_eq!(timeline.pauses, [at(1000)..at(1900), at(3000)..at(4100)]);
        assert!(Timeline::of_speech(&[], at(5200), &how(400, 1000)).is_empty());
        assert!(Timeline::of_speech(&[at(6000)..at(7000)], at(5200), &how(400, 1000)).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn windows_of_speech_cover_it_once_in_order_and_lead_back_to_the_sample(
            spoken in prop::collection::vec((1usize..40_000, 1usize..400_000), 0..12), tail in 0usize..40_000,
            padding in 0u64..800, min_silence in 0u64..2000, longest in 2u64..=30,
        ) {
            let mut spans = Vec::new();
            let mut end = 0;
            for (gap, len) in spoken {
                spans.push(end + gap..end + gap + len);
                end += gap + len;
            }
            let pcm = Pcm::from_16k_mono(vec![0.1; end + tail]);
            let how = how(padding, min_silence);
            let timeline = Timeline::of_speech(&spans, pcm.samples().len(), &how);
            // Every span lies within a piece with its padding; pieces lie apart by more than a gap that is kept.
            for span in &spans {
                let padded = span.start.saturating_sub(samples_in(how.padding))..(span.end + samples_in(how.padding)).min(end + tail);
                prop_assert!(timeline.pieces().iter().any(|piece| piece.start <= padded.start && padded.end <= piece.end));
            }
            for pair in timeline.pieces().windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
                prop_assert!(pair[1].start - pair[0].end + 2 * samples_in(how.padding) > samples_in(how.min_silence));
            }
            // Windows are the pieces again, cut up.
            let windows = timeline.windows(&pcm, Duration::from_secs(longest));
            let mut joined: Vec<Range<usize>> = Vec::new();
            for piece in windows.iter().flat_map(Window::pieces) {
                match joined.last_mut() {
                    Some(last) if last.end == piece.start => last.end = piece.end,
                    _ => joined.push(piece.clone()),
                }
            }
            prop_assert_eq!(&joined, timeline.pieces());
            for window in &windows {
                prop_assert!(window.duration() <= Duration::from_secs(longest));
                // Each sample of the window is the file's sample at the time that the map gives for it.
                let mut heard = 0;
                for piece in window.pieces() {
                    for inside in [0, piece.len() / 2, piece.len() - 1] {
                        let time = duration_of(heard + inside);
                        prop_assert_eq!(window.opens_at(time), duration_of(piece.start + inside));
                        let closing = duration_of(heard + inside + 1);
                        prop_assert_eq!(window.closes_at(closing), duration_of(piece.start + inside + 1));
                    }
                    heard += piece.len();
                }
                let times: Vec<Duration> = (0..=20).map(|step| window.opens_at(window.duration() * step / 20)).collect();
                prop_assert!(times.is_sorted() && times.iter().all(|time| (window.start()..=window.end()).contains(time)));
            }
        }
    }
}
