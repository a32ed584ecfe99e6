//! The tokens sampled so far in, the `Constraint` on the next one out: suppression and timestamp rules.
//!
//! Follows `SuppressBlank`, `SuppressTokens` and `ApplyTimestampRules` of openai/whisper decoding.py at c0d2f624,
//! lines 420-507.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Constraint, Generation, ModelInfo};
use crate::text::{Specials, Token, Tokenizer};

/// Everything about the loaded model that decides which token may come next; one for all requests.
#[derive(Debug)]
pub struct Rules {
    specials: Specials,
    vocab: Token,
    text_ctx: usize,
    multilingual: bool,
    /// Never allowed: symbols nobody speaks, and special tokens other than the end and the timestamps.
    suppress: Arc<[Token]>,
    /// Not allowed as the first token.
    begin_suppress: Vec<Token>,
    /// The first timestamp may not lie beyond this many steps of 0.02 s.
    max_initial_timestamp: Option<u32>,
}

impl Rules {
    /// The checkpoint's own lists where it has them; else those that the reference computes from the tokenizer.
    pub fn new(tokenizer: &Tokenizer, generation: &Generation, info: &ModelInfo) -> Self {
        let specials = tokenizer.specials().clone();
        let listed = |list: &Option<Vec<Token>>| list.clone().filter(|tokens| !tokens.is_empty());
        let mut suppress = listed(&generation.suppress_tokens).unwrap_or_else(|| tokenizer.non_speech());
        suppress.extend([
            specials.start_of_transcript,
            specials.translate,
            specials.transcribe,
            specials.start_of_lm,
            specials.start_of_previous,
            specials.no_speech,
            specials.no_timestamps,
        ]);
        suppress.sort_unstable();
        suppress.dedup();
        let begin_suppress = listed(&generation.begin_suppress_tokens).unwrap_or_else(|| tokenizer.blank());
        Rules {
            vocab: info.vocab as Token,
            text_ctx: info.text_ctx,
            multilingual: info.multilingual,
            suppress: suppress.into(),
            begin_suppress,
            max_initial_timestamp: generation.max_initial_timestamp_index,
            specials,
        }
    }

    pub fn specials(&self) -> &Specials {
        &self.specials
    }

    pub fn multilingual(&self) -> bool {
        self.multilingual
    }

    /// Positions of the decoder.
    pub fn text_ctx(&self) -> usize {
        self.text_ctx
    }

    /// Tokens that one window may give: half of the context, as the reference has it.
    pub fn max_tokens(&self) -> usize {
        self.text_ctx / 2
    }

    /// Only a language may come next.
    pub fn only_languages(&self) -> Constraint {
        let mut forbid = Vec::new();
        let mut from = 0;
        for (_, token) in &self.specials.languages {
            if *token > from {
                forbid.push(from..*token);
            }
            from = token + 1;
        }
        forbid.push(from..self.vocab);
        Constraint { forbid, ..Default::default() }
    }

    /// What may follow `sampled`, the tokens after the prompt.
    pub fn constraint(&self, sampled: &[Token]) -> Constraint {
        let begin = self.specials.timestamp_begin;
        let end_of_text = self.specials.end_of_text;
        let mut forbid: Vec<Range<Token>> = Vec::new();
        let is_timestamp = |token: &Token| *token >= begin;
        let last = sampled.last().is_some_and(is_timestamp);
        // Fewer than two tokens count as if a pair had been completed: the first timestamp opens a segment.
        let last_but_one = sampled.len() < 2 || is_timestamp(&sampled[sampled.len() - 2]);
        match (last, last_but_one) {
            // A segment was just opened: text must follow.
            (true, true) => forbid.push(begin..self.vocab),
            // A segment was just closed: the next opens, or the window ends.
            (true, false) => forbid.push(0..end_of_text),
            (false, _) => {}
        }
        if let Some(latest) = sampled.iter().copied().rfind(is_timestamp) {
            // Time never runs back, and a segment is longer than nothing; the next one may open where this closed.
            let opens = last && !last_but_one;
            forbid.push(begin..if opens { latest } else { latest + 1 });
        }
        if sampled.is_empty() {
            forbid.push(0..begin);
            if let Some(most) = self.max_initial_timestamp {
                forbid.push(begin + most + 1..self.vocab.max(begin + most + 1));
            }
            forbid.extend(self.begin_suppress.iter().map(|token| *token..token + 1));
        }
        Constraint { suppress: self.suppress.clone(), forbid, timestamps_from: Some(begin) }
    }

    /// For tests: a vocabulary of 100 text tokens, three languages and 11 timestamps.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        use crate::text::language;
        let language = |code| language::by_code(code).unwrap();
        let specials = Specials {
            end_of_text: 100,
            start_of_transcript: 101,
            languages: vec![(language("en"), 102), (language("es"), 103), (language("de"), 104)],
            translate: 105,
            transcribe: 106,
            start_of_lm: 107,
            start_of_previous: 108,
            no_speech: 109,
            no_timestamps: 110,
            timestamp_begin: 111,
        };
        Rules {
            specials,
            vocab: 122,
            text_ctx: 40,
            multilingual: true,
            suppress: [7, 101, 110].into(),
            begin_suppress: vec![5, 100],
            max_initial_timestamp: Some(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(sampled: &[Token]) -> Vec<Token> {
        let constraint = Rules::for_tests().constraint(sampled);
        (0..122)
            .filter(|token| !constraint.suppress.contains(token))
            .filter(|token| !constraint.forbid.iter().any(|range| range.contains(token)))
            .collect()
    }

    #[test]
    fn the_first_token_is_an_early_timestamp() {
        assert_eq!(allowed(&[]), [111, 112, 113, 114]);
    }

    #[test]
    fn after_the_opening_timestamp_text_must_follow() {
        let next = allowed(&[111]);
        assert!(next.contains(&5) && next.contains(&100) && !next.contains(&7));
        assert!(next.iter().all(|token| *token < 111));
    }

    #[test]
    fn a_segment_closes_later_than_it_opened() {
        let next = allowed(&[113, 1]);
        assert!(next.contains(&1) && next.contains(&100));
        assert_eq!(next.iter().copied().filter(|token| *token >= 111).min(), Some(114));
    }

    #[test]
    fn a_closed_segment_is_followed_by_another_or_by_the_end() {
        let next = allowed(&[111, 1, 115]);
        assert!(next.contains(&100));
        assert!(next.iter().all(|token| *token >= 100));
        // The next segment may open exactly where this one closed.
        assert_eq!(next.iter().copied().filter(|token| *token >= 111).min(), Some(115));
        // And once it has opened, text must follow.
        assert!(allowed(&[111, 1, 115, 115]).iter().all(|token| *token < 111));
    }

    #[test]
    fn language_detection_allows_the_languages_alone() {
        let constraint = Rules::for_tests().only_languages();
        let allowed: Vec<Token> =
            (0..122).filter(|token| !constraint.forbid.iter().any(|range| range.contains(token))).collect();
        assert_eq!(allowed, [102, 103, 104]);
    }
}
