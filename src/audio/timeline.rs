//! The parts of a file that are transcribed, and windows of them: an exact map between a window's time and the file's.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use super::window::cut;
use super::{Pcm, SAMPLE_RATE, duration_of};

/// What is transcribed of a file: stretches of its samples in order, without overlaps. Its own time runs as if they had
/// been recorded one right after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    pieces: Vec<Range<usize>>,
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
        Timeline::of(vec![0..pcm.samples().len()])
    }

    /// `pieces`: stretches of samples in order that do not overlap. Empty ones are left out.
    pub fn of(pieces: Vec<Range<usize>>) -> Self {
        Timeline { pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect() }
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

    /// The whole timeline as windows of at most `longest`, cut where it is quiet.
    pub fn windows(&self, pcm: &Pcm, longest: Duration) -> Vec<Window> {
        let longest = (longest.as_secs_f64() * SAMPLE_RATE as f64) as usize;
        cut(&self.samples(pcm), longest).into_iter().filter_map(|range| self.slice(range)).collect()
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
    use super::*;

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
}
