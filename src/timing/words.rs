//! Segments and how their text lies over the audio in, words with their times in the window's audio out.

use std::ops::Range;
use std::time::Duration;

use super::align::token_frames;
use super::usual::shorten_at_sentences;
use crate::model::Alignment;
use crate::text::{Token, Tokenizer, WordTokens, split_words};
use crate::transcript::{Language, Segment};

/// One encoder frame.
const FRAME: Duration = Duration::from_millis(20);
/// The reference's own lists; openai/whisper timing.py at c0d2f624, lines 285-286.
const PREPENDED: &str = "\"'“¿([{-";
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";

/// The segments of one window, and what `Model::align` made of their text.
#[derive(Clone, Copy, Debug)]
pub struct Aligned<'a> {
    pub segments: &'a [Segment],
    /// Of `prompt` tokens, then `text_tokens` of the segments, then the end of text. `None` where it could not be had.
    pub alignment: Option<&'a Alignment>,
    pub prompt: usize,
}

/// A word of one segment, its times counted from the start of the window's audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    pub text: String,
    /// `None` where the attention told nothing.
    pub time: Option<Range<Duration>>,
    /// When the punctuation at its end was over, which may sound as the end of the word.
    pub until: Option<Duration>,
    /// Mean over its tokens; `None` as above.
    pub probability: Option<f32>,
}

/// What is to be aligned between the prompt and the end of text.
pub fn text_tokens(segments: &[Segment], tokenizer: &Tokenizer) -> Vec<Token> {
    segments.iter().flat_map(|segment| text_of(segment, tokenizer)).collect()
}

/// The words of every segment. Their texts together are the segment's text. `language`: the text's own, which
/// for a translation is English.
///
/// Follows `find_alignment` and `add_word_timestamps`, openai/whisper timing.py at c0d2f624, lines 210-325. Unlike there, no word
/// reaches from one segment into the next, a word that is only blank goes with the one after it, and punctuation within a
/// word does not part it.
pub fn words(heard: Aligned, tokenizer: &Tokenizer, language: Option<Language>) -> Vec<Vec<Spoken>> {
    let texts: Vec<Vec<Token>> = heard.segments.iter().map(|segment| text_of(segment, tokenizer)).collect();
    let count: usize = texts.iter().map(Vec::len).sum();
    let fitting = heard.alignment.filter(|alignment| alignment.tokens == heard.prompt + count + 1);
    let frames = fitting.and_then(|alignment| token_frames(alignment, heard.prompt));
    let probabilities = fitting.and_then(|alignment| {
        let first = heard.prompt.checked_sub(1)?;
        alignment.probabilities.get(first..first + count)
    });

    let mut first = 0;
    let mut segments = Vec::with_capacity(texts.len());
    for text in &texts {
        let words = join(split_words(tokenizer, text, language));
        let spoken = words.into_iter().map(|word| {
            let tokens = first + word.tokens.start..first + word.tokens.end;
            Spoken {
                text: word.text,
                time: frames.as_ref().map(|frames| time_of(frames, &tokens)),
                until: None,
                probability: probabilities.map(|all| mean(&all[tokens])),
            }
        });
        segments.push(spoken.collect::<Vec<Spoken>>());
        first += text.len();
    }
    shorten_at_sentences(&mut segments);
    segments.into_iter().map(merge).collect()
}

/// Where the text has no space, there is one word: the reference splits `o'clock` before the apostrophe, and `3.5` before the point.
fn join(words: Vec<WordTokens>) -> Vec<WordTokens> {
    let mut joined: Vec<WordTokens> = Vec::with_capacity(words.len());
    for word in words {
        let goes_on = word.text.starts_with(|c: char| c.is_ascii_punctuation())
            && word.text.contains(char::is_alphanumeric);
        match joined.last_mut() {
            Some(last) if goes_on && last.text.ends_with(char::is_alphanumeric) => {
                last.text.push_str(&word.text);
                last.tokens.end = word.tokens.end;
            }
            _ => joined.push(word),
        }
    }
    joined
}

fn text_of(segment: &Segment, tokenizer: &Tokenizer) -> Vec<Token> {
    segment.tokens.iter().copied().filter(|token| tokenizer.specials().is_text(*token)).collect()
}

fn time_of(frames: &[usize], tokens: &Range<usize>) -> Range<Duration> {
    FRAME * frames[tokens.start] as u32..FRAME * frames[tokens.end] as u32
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Punctuation becomes part of its word, whose times stay as they are. timing.py, lines 245-276.
fn merge(words: Vec<Spoken>) -> Vec<Spoken> {
    let mut kept: Vec<Spoken> = Vec::with_capacity(words.len());
    for mut word in words.into_iter().rev() {
        let opens = word.text.starts_with(' ') && PREPENDED.contains(word.text.trim());
        match kept.last_mut() {
            // A blank text is found in the list as well, and goes with the word after it.
            Some(next) if opens || word.text.trim().is_empty() => {
                word.text.push_str(&next.text);
                next.text = word.text;
            }
            _ => kept.push(word),
        }
    }
    let mut merged: Vec<Spoken> = Vec::with_capacity(kept.len());
    for word in kept.into_iter().rev() {
        match merged.last_mut() {
            Some(last) if !last.text.ends_with(' ') && APPENDED.contains(&word.text) => {
                last.text.push_str(&word.text);
                last.until = word.until.or(word.time.map(|time| time.end)).max(last.until);
            }
            Some(last) if word.text.trim().is_empty() => last.text.push_str(&word.text),
            _ => merged.push(word),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str, start: u64, end: u64) -> Spoken {
        let time = Duration::from_millis(start)..Duration::from_millis(end);
        Spoken { text: text.to_owned(), time: Some(time), until: None, probability: Some(0.5) }
    }

    fn merged(texts: &[&str]) -> Vec<String> {
        let words = texts.iter().map(|text| spoken(text, 0, 20)).collect();
        merge(words).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn punctuation_becomes_part_of_its_word() {
        assert_eq!(merged(&[" Yes", ",", " \"", "two", "\"", "."]), [" Yes,", " \"two\"."]);
        assert_eq!(merged(&[" ¿", "Verdad", "?", "!"]), [" ¿Verdad?!"]);
        assert_eq!(merged(&[" one", " -", " two"]), [" one", " - two"]);
        assert_eq!(merged(&["日", "。", "本"]), ["日。", "本"]);
    }

    #[test]
    fn a_blank_goes_with_the_word_after_it_or_else_before_it() {
        assert_eq!(merged(&[" ", "one", " two", " "]), [" one", " two "]);
        assert_eq!(merged(&[" one", "\n", " two"]), [" one", "\n two"]);
        assert_eq!(merged(&[" "]), [" "]);
    }

    #[test]
    fn the_times_of_a_word_are_not_those_of_its_punctuation() {
        let words = merge(vec![spoken(" (", 0, 100), spoken("yes", 100, 300), spoken(")", 300, 900)]);
        let until = Some(Duration::from_millis(900));
        assert_eq!(words, [Spoken { until, ..spoken(" (yes)", 100, 300) }]);
    }

    mod with_the_demo_tokenizer {
        use super::*;

        fn tokenizer() -> Tokenizer {
            Tokenizer::from_json(include_bytes!("../../models/demo/tokenizer.json")).unwrap()
        }

        fn segment(tokenizer: &Tokenizer, text: &str) -> Segment {
            let mut tokens = vec![tokenizer.specials().timestamp_begin];
            tokens.extend(tokenizer.encode(text));
            Segment { text: text.to_owned(), tokens, compression_ratio: 1.0, ..Segment::default() }
        }

        fn texts(words: &[Spoken]) -> Vec<&str> {
            words.iter().map(|word| word.text.as_str()).collect()
        }

        #[test]
        fn every_segment_gets_the_words_of_its_own_text() {
            let tokenizer = tokenizer();
            let segments = [segment(&tokenizer, " Take two."), segment(&tokenizer, "tablets")];
            let count = text_tokens(&segments, &tokenizer).len();
            // Every token is heard for four frames.
            let (prompt, tokens) = (3, count + 4);
            let frames = 4 * (count + 1);
            let scores = (0..tokens * frames)
                .map(|at| if (at % frames) / 4 + 2 == at / frames { 9.0 } else { 0.0 })
                .collect();
            let probabilities = (0..tokens - 1).map(|token| token as f32).collect();
            let alignment = Alignment { heads: 1, tokens, frames, scores, probabilities };
            let heard = Aligned { segments: &segments, alignment: Some(&alignment), prompt };
            let words = words(heard, &tokenizer, None);
            assert_eq!(texts(&words[0]), [" Take", " two."]);
            assert_eq!(texts(&words[1]), ["tablets"]);
            // The first word is the mean of the first tokens, whose probabilities count from the last of the prompt.
            let first = tokenizer.encode(" Take").len();
            assert_eq!(words[0][0].probability, Some(2.0 + (first - 1) as f32 / 2.0));
            assert_eq!(words[0][0].time, Some(Duration::ZERO..FRAME * 4 * first as u32));
        }

        #[test]
        fn punctuation_within_a_word_does_not_part_it() {
            let tokenizer = tokenizer();
            let segments = [segment(&tokenizer, " at eight o'clock, word(s) \"and/or\" l'homme (3.5)")];
            let heard = Aligned { segments: &segments, alignment: None, prompt: 3 };
            let words = words(heard, &tokenizer, None);
            let expected = [" at", " eight", " o'clock,", " word(s)", " \"and/or\"", " l'homme", " (3.5)"];
            assert_eq!(texts(&words[0]), expected);
        }

        #[test]
        fn an_alignment_of_another_text_is_none() {
            let tokenizer = tokenizer();
            let segments = [segment(&tokenizer, " yes")];
            let alignment = Alignment {
                heads: 1,
                tokens: 99,
                frames: 1,
                scores: vec![0.0; 99],
                probabilities: vec![0.0; 98],
            };
            let heard = Aligned { segments: &segments, alignment: Some(&alignment), prompt: 3 };
            let words = words(heard, &tokenizer, None);
            assert_eq!(
                words,
                [[Spoken { text: " yes".to_owned(), time: None, until: None, probability: None }]]
            );
        }
    }
}
