//! The tokens sampled so far in, the `Constraint` on the next one out: suppression and timestamp rules.
//!
//! Follows `SuppressBlank`, `SuppressTokens` and `ApplyTimestampRules` of openai/whisper decoding.py at c0d2f624,
//! lines 420-507.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Constraint, Generation, ModelInfo};
use crate::text::{Specials, TIMESTAMP_STEP, Token, Tokenizer};
use crate::transcript::Tokens;

/// Everything about the loaded model that decides which token may come next; one for all requests.
#[derive(Debug)]
pub struct Rules {
    tokenizer: Arc<Tokenizer>,
    vocab: Token,
    text_ctx: usize,
    multilingual: bool,
    /// Symbols nobody speaks: what -1 stands for in a list of suppressed tokens.
    non_speech: Vec<Token>,
    /// Not allowed as the first token.
    begin_suppress: Arc<[Token]>,
    /// The first timestamp may not lie beyond this many steps of 0.02 s.
    max_initial_timestamp: Option<u32>,
}

/// What one request makes of the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Never allowed: what was asked for, and special tokens other than the end and the timestamps.
    suppress: Arc<[Token]>,
    begin_suppress: Arc<[Token]>,
    max_initial_timestamp: Option<u32>,
    pub without_timestamps: bool,
}

impl Rules {
    /// The checkpoint's own lists where it has them; else those that the reference computes from the tokenizer.
    pub fn new(tokenizer: Arc<Tokenizer>, generation: &Generation, info: &ModelInfo) -> Self {
        let listed = |list: &Option<Vec<Token>>| list.clone().filter(|tokens| !tokens.is_empty());
        Rules {
            vocab: info.vocab as Token,
            text_ctx: info.text_ctx,
            multilingual: info.multilingual,
            non_speech: listed(&generation.suppress_tokens).unwrap_or_else(|| tokenizer.non_speech()),
            begin_suppress: listed(&generation.begin_suppress_tokens)
                .unwrap_or_else(|| tokenizer.blank())
                .into(),
            max_initial_timestamp: generation.max_initial_timestamp_index,
            tokenizer,
        }
    }

    /// Follows `_get_suppress_tokens` of the same file, lines 623-652. `Err`: an id that is no token of this model.
    pub fn policy(&self, asked: &Tokens) -> Result<Policy, i64> {
        let specials = self.specials();
        let mut suppress = vec![
            specials.start_of_transcript,
            specials.translate,
            specials.transcribe,
            specials.start_of_lm,
            specials.start_of_previous,
            specials.no_speech,
            specials.no_timestamps,
        ];
        for id in &asked.suppress {
            match Token::try_from(*id) {
                Ok(token) if token < self.vocab => suppress.push(token),
                Err(_) if *id == -1 => suppress.extend(&self.non_speech),
                _ => return Err(*id),
            }
        }
        suppress.sort_unstable();
        suppress.dedup();
        let steps = |time: std::time::Duration| (time.as_millis() / TIMESTAMP_STEP.as_millis()) as u32;
        Ok(Policy {
            suppress: suppress.into(),
            begin_suppress: match asked.suppress_blank {
                true => self.begin_suppress.clone(),
                false => Arc::default(),
            },
            max_initial_timestamp: asked.max_initial_timestamp.map(steps).or(self.max_initial_timestamp),
            without_timestamps: asked.without_timestamps,
        })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The text tokens of all segments that say anything: a segment of blanks alone is none.
    pub fn spoken(&self, tokens: &[Token]) -> Vec<Token> {
        let says = |text: &&[Token]| !self.tokenizer.decode(text).trim().is_empty();
        let texts = tokens.split(|token| self.specials().is_timestamp(*token)).filter(says);
        texts.flatten().copied().filter(|token| self.specials().is_text(*token)).collect()
    }

    pub fn specials(&self) -> &Specials {
        self.tokenizer.specials()
    }

    pub fn multilingual(&self) -> bool {
        self.multilingual
    }

    /// Positions of the decoder.
    pub fn text_ctx(&self) -> usize {
        self.text_ctx
    }

    /// Tokens of earlier text that the decoder reads at most: half of its positions, less one for the token before them.
    pub fn previous_room(&self) -> usize {
        self.text_ctx / 2 - 1
    }

    /// Tokens that one window may give: half of the context, as the reference has it.
    pub fn max_tokens(&self) -> usize {
        self.text_ctx / 2
    }

    /// Only one of these languages may come next; of all that the model knows where none are named.
    pub fn only_languages(&self, among: &[Token]) -> Constraint {
        let mut forbid = Vec::new();
        let mut from = 0;
        let known = self.specials().languages.iter().map(|(_, token)| *token);
        for token in known.filter(|token| among.is_empty() || among.contains(token)) {
            if token > from {
                forbid.push(from..token);
            }
            from = token + 1;
        }
        forbid.push(from..self.vocab);
        Constraint { forbid, ..Default::default() }
    }

    /// What may follow `sampled`, the tokens after the prompt.
    pub fn constraint(&self, policy: &Policy, sampled: &[Token]) -> Constraint {
        let specials = self.specials();
        let begin = specials.timestamp_begin;
        let mut forbid: Vec<Range<Token>> = Vec::new();
        if sampled.is_empty() {
            forbid.extend(policy.begin_suppress.iter().map(|token| *token..token + 1));
        }
        if policy.without_timestamps {
            // The reference lets a timestamp slip through where the model insists; as text it is nothing.
            forbid.push(begin..self.vocab);
            return Constraint { suppress: policy.suppress.clone(), forbid, timestamps_from: None };
        }
        let is_timestamp = |token: &Token| *token >= begin;
        let last = sampled.last().is_some_and(is_timestamp);
        // Fewer than two tokens count as if a pair had been completed: the first timestamp opens a segment.
        let last_but_one = sampled.len() < 2 || is_timestamp(&sampled[sampled.len() - 2]);
        match (last, last_but_one) {
            // A segment was just opened: text must follow.
            (true, true) => forbid.push(begin..self.vocab),
            // A segment was just closed: the next opens, or the window ends.
            (true, false) => forbid.push(0..specials.end_of_text),
            (false, _) => {}
        }
        if let Some(latest) = sampled.iter().copied().rfind(is_timestamp) {
            // Time never runs back, and a segment is longer than nothing; the next one may open where this closed.
            let opens = last && !last_but_one;
            forbid.push(begin..if opens { latest } else { latest + 1 });
        }
        if sampled.is_empty() {
            forbid.push(0..begin);
            if let Some(most) = policy.max_initial_timestamp {
                forbid.push(begin + most + 1..self.vocab.max(begin + most + 1));
            }
        }
        Constraint { suppress: policy.suppress.clone(), forbid, timestamps_from: Some(begin) }
    }
}

#[cfg(test)]
pub(crate) mod for_tests {
    use super::*;
    use crate::text::language;

    /// A vocabulary of 100 text tokens, three languages and 11 timestamps.
    pub fn rules() -> Arc<Rules> {
        with_context(40)
    }

    pub fn with_context(text_ctx: usize) -> Arc<Rules> {
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
        Arc::new(Rules {
            tokenizer: Arc::new(Tokenizer::for_tests(specials)),
            vocab: 122,
            text_ctx,
            multilingual: true,
            non_speech: vec![7],
            begin_suppress: [5, 100].into(),
            max_initial_timestamp: Some(3),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(sampled: &[Token]) -> Vec<Token> {
        allowed_where(&Tokens::default(), sampled)
    }

    fn allowed_where(asked: &Tokens, sampled: &[Token]) -> Vec<Token> {
        let rules = for_tests::rules();
        let constraint = rules.constraint(&rules.policy(asked).unwrap(), sampled);
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
        let allowed = |among: &[Token]| -> Vec<Token> {
            let forbid = for_tests::rules().only_languages(among).forbid;
            (0..122).filter(|token| !forbid.iter().any(|range| range.contains(token))).collect()
        };
        assert_eq!(allowed(&[]), [102, 103, 104]);
        assert_eq!(allowed(&[104, 102]), [102, 104]);
    }

    #[test]
    fn without_timestamps_text_comes_at_once_but_no_blank() {
        let asked = Tokens { without_timestamps: true, ..Tokens::default() };
        let first = allowed_where(&asked, &[]);
        assert!(first.contains(&1) && !first.contains(&5) && !first.contains(&100) && !first.contains(&7));
        assert!(first.iter().all(|token| *token < 111));
        assert!(allowed_where(&asked, &[1]).contains(&100));
        let blank = Tokens { suppress_blank: false, ..asked };
        assert!(allowed_where(&blank, &[]).contains(&5));
    }

    #[test]
    fn a_list_of_suppressed_tokens_takes_the_place_of_the_models() {
        let suppress = |suppress: &[i64]| Tokens { suppress: suppress.to_vec(), ..Tokens::default() };
        let after = |asked| allowed_where(&asked, &[111]);
        assert!(after(suppress(&[])).contains(&7));
        let custom = after(suppress(&[8]));
        assert!(custom.contains(&7) && !custom.contains(&8));
        let both = after(suppress(&[-1, 8]));
        assert!(!both.contains(&7) && !both.contains(&8));
        assert_eq!(for_tests::rules().policy(&suppress(&[122])), Err(122));
        assert_eq!(for_tests::rules().policy(&suppress(&[-2])), Err(-2));
    }

    #[test]
    fn a_request_may_bound_the_first_timestamp_itself() {
        let most = Some(std::time::Duration::from_millis(20));
        let asked = Tokens { max_initial_timestamp: most, ..Tokens::default() };
        assert_eq!(allowed_where(&asked, &[]), [111, 112]);
    }
}
