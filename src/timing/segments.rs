//! Splits a window's tokens at its timestamps, and puts the pieces where they belong in the file.

use std::time::Duration;

use crate::audio::Window;
use crate::decoding::Hypothesis;
use crate::text::{TIMESTAMP_STEP, Token, Tokenizer};
use crate::transcript::Segment;

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
    for piece in pieces(&hypothesis.tokens, begin) {
        let text = tokenizer.decode(piece.tokens);
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
}
