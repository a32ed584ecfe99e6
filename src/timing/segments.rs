//! Splits a window's tokens at its timestamps, and puts the pieces where they belong in the file.

use std::ops::Range;
use std::time::Duration;

use crate::audio::{Window, duration_of, samples_in};
use crate::decoding::Hypothesis;
use crate::text::{TIMESTAMP_STEP, Token, Tokenizer};
use crate::transcript::{Segment, Uttered};

/// So much of the speech is the edge of what another segment says.
const TOUCH: Duration = Duration::from_millis(100);

/// A window's hypothesis and where the window lies in the file.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    pub hypothesis: &'a Hypothesis,
    pub window: &'a Window,
}

/// Segments in order, each within its window, none empty, none running back before the one before it.
///
/// Follows openai/whisper transcribe.py at c0d2f624, lines 311-370, with two differences that independent windows
/// call for. A last segment that was opened but not closed ends with its window, where the reference would decode
/// from there again. And a lone segment begins at its timestamp, where the reference takes the start of the window.
pub fn segments(placed: Placed, tokenizer: &Tokenizer) -> Vec<Segment> {
    let Placed { hypothesis, window } = placed;
    let duration = window.duration();
    let begin = tokenizer.specials().timestamp_begin;
    let time = |token: Token| (TIMESTAMP_STEP * (token - begin)).min(duration);
    let mut segments = Vec::new();
    let mut earliest = Duration::ZERO;
    let mut logprobs = hypothesis.logprobs.iter();
    for piece in pieces(&hypothesis.tokens, begin) {
        let text = tokenizer.decode(piece.tokens);
        let uttered = piece.tokens.iter().zip(logprobs.by_ref()).filter_map(|(token, logprob)| {
            let bytes = tokenizer.bytes(*token);
            (!bytes.is_empty()).then_some(Uttered { bytes, logprob: *logprob })
        });
        let uttered = uttered.collect();
        let start = piece.start.map_or(earliest, time).max(earliest);
        let end = piece.end.map_or(duration, time).max(start);
        earliest = end;
        if text.trim().is_empty() {
            continue;
        }
        let opens = window.opens_at(start);
        segments.push(Segment {
            start: opens,
            // A moment at the seam of two pieces opens in the later one and closes in the earlier.
            end: window.closes_at(end).max(opens),
            window_start: window.start(),
            compression_ratio: hypothesis.compression_ratio,
            text,
            tokens: piece.tokens.to_vec(),
            uttered,
            temperature: hypothesis.temperature,
            avg_logprob: hypothesis.avg_logprob,
            no_speech_prob: hypothesis.no_speech_prob,
            language: None,
            channel: None,
            risk: Vec::new(),
            words: Vec::new(),
        });
    }
    segments
}

/// A timestamp that lies a little too late or too early may carry a segment over a stretch that was left out, into a piece in
/// which nothing of it is said: there it is cut off again.
///
/// `speech`: where somebody speaks in the file, in order.
pub fn hold_together(segments: &mut [Segment], window: &Window, speech: &[Range<usize>]) {
    let spoken = |from: Duration, to: Duration| {
        let (from, to) = (samples_in(from), samples_in(to));
        let first = speech.partition_point(|span| span.end <= from);
        speech[first..].iter().any(|span| span.end.min(to) > span.start.max(from) + samples_in(TOUCH))
    };
    for segment in segments {
        for seam in window.pieces().windows(2) {
            let gap = duration_of(seam[0].end)..duration_of(seam[1].start);
            if segment.start > gap.start || segment.end < gap.end {
                continue;
            }
            match (spoken(segment.start, gap.start), spoken(gap.end, segment.end)) {
                (true, false) => segment.end = gap.start,
                (false, true) => segment.start = gap.end,
                _ => {}
            }
        }
    }
}

/// One segment's tokens, its timestamps included, and which of them open and close it.
#[derive(Debug, PartialEq)]
struct Piece<'a> {
    tokens: &'a [Token],
    start: Option<Token>,
    end: Option<Token>,
}

/// Each piece is the timestamps that open it, its text, and the first timestamp after that.
fn pieces(tokens: &[Token], begin: Token) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let opening = rest.iter().take_while(|token| **token >= begin).count();
        let text = rest[opening..].iter().take_while(|token| **token < begin).count();
        let closing = usize::from(text > 0 && rest.len() > opening + text);
        let (tokens, tail) = rest.split_at(opening + text + closing);
        pieces.push(Piece {
            tokens,
            start: tokens[..opening].last().copied(),
            end: tokens[opening + text..].first().copied(),
        });
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Timeline;

    /// Timestamps from 100 up, text below.
    fn split(tokens: &[Token]) -> Vec<(Option<Token>, Vec<Token>, Option<Token>)> {
        pieces(tokens, 100).into_iter().map(|piece| (piece.start, piece.tokens.to_vec(), piece.end)).collect()
    }

    #[test]
    fn closed_segments_are_split_between_their_timestamps() {
        assert_eq!(
            split(&[100, 1, 2, 110, 112, 3, 120]),
            [(Some(100), vec![100, 1, 2, 110], Some(110)), (Some(112), vec![112, 3, 120], Some(120))]
        );
    }

    #[test]
    fn a_segment_left_open_keeps_its_text() {
        assert_eq!(
            split(&[100, 1, 110, 110, 2]),
            [(Some(100), vec![100, 1, 110], Some(110)), (Some(110), vec![110, 2], None)]
        );
        assert_eq!(split(&[1, 2]), [(None, vec![1, 2], None)]);
    }

    #[test]
    fn a_segment_opened_without_text_has_none() {
        assert_eq!(
            split(&[100, 1, 110, 115]),
            [(Some(100), vec![100, 1, 110], Some(110)), (Some(115), vec![115], None)]
        );
    }

    mod with_the_demo_tokenizer {
        use super::*;
        use crate::audio::{SAMPLE_RATE, Timeline};

        fn tokenizer() -> Tokenizer {
            Tokenizer::from_json(include_bytes!("../../models/demo/tokenizer.json")).unwrap()
        }

        /// `at`: hundredths of a second.
        fn timestamp(tokenizer: &Tokenizer, at: u32) -> Token {
            tokenizer.specials().timestamp_begin + at / 2
        }

        fn place(tokens: Vec<Token>, duration_ms: u64) -> Vec<(u128, u128, String)> {
            let tokenizer = tokenizer();
            let hypothesis = Hypothesis { tokens, ..Default::default() };
            let start = 60 * SAMPLE_RATE;
            let timeline = Timeline::of(vec![start..start + duration_ms as usize * SAMPLE_RATE / 1000]);
            let window = timeline.slice(0..timeline.len()).unwrap();
            segments(Placed { hypothesis: &hypothesis, window: &window }, &tokenizer)
                .into_iter()
                .map(|segment| (segment.start.as_millis(), segment.end.as_millis(), segment.text))
                .collect()
        }

        #[test]
        fn times_count_from_the_start_of_the_file_and_stay_in_the_window() {
            let tokenizer = tokenizer();
            let mut tokens = vec![timestamp(&tokenizer, 100)];
            tokens.extend(tokenizer.encode(" one"));
            tokens.extend([timestamp(&tokenizer, 150), timestamp(&tokenizer, 200)]);
            tokens.extend(tokenizer.encode(" two"));
            tokens.push(timestamp(&tokenizer, 900));
            assert_eq!(
                place(tokens, 3_000),
                [(61_000, 61_500, " one".to_owned()), (62_000, 63_000, " two".to_owned())]
            );
        }

        #[test]
        fn a_segment_without_text_is_no_segment() {
            let tokenizer = tokenizer();
            let tokens = vec![timestamp(&tokenizer, 0), timestamp(&tokenizer, 100)];
            assert!(place(tokens, 3_000).is_empty());
            assert!(place(Vec::new(), 3_000).is_empty());
        }
    }

    #[test]
    fn a_segment_is_not_carried_over_a_gap_by_a_timestamp_alone() {
        let seconds = |seconds: usize| seconds * crate::audio::SAMPLE_RATE;
        let window =
            Timeline::of(vec![seconds(0)..seconds(5), seconds(20)..seconds(30)]).slice(0..seconds(15));
        let window = window.unwrap();
        let speech = [seconds(1)..seconds(4), seconds(21)..seconds(29)];
        let held = |start: f64, end: f64| {
            let mut segment = Segment::default();
            (segment.start, segment.end) = (Duration::from_secs_f64(start), Duration::from_secs_f64(end));
            let mut segments = [segment];
            hold_together(&mut segments, &window, &speech);
            (segments[0].start.as_secs_f64(), segments[0].end.as_secs_f64())
        };
        assert_eq!(held(1.0, 20.5), (1.0, 5.0));
        assert_eq!(held(4.5, 24.0), (20.0, 24.0));
        // What is said on both sides is one segment; so is what nobody was heard to say.
        assert_eq!(held(3.0, 24.0), (3.0, 24.0));
        assert_eq!(held(4.5, 20.5), (4.5, 20.5));
    }
}
