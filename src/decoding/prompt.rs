//! What the decoder reads before it says anything: keywords and previous text, start of transcript, language, task, prefix.

use crate::text::Token;
use crate::transcript::Task;

use super::{Request, Rules};

/// The tokens before the first sampled one. Follows `_get_initial_tokens` of openai/whisper decoding.py at c0d2f624,
/// lines 600-621; keywords, which the reference has not, go before the previous text and share its room.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub tokens: Vec<Token>,
    /// Where `<|startoftranscript|>` stands: the no-speech probability is read there.
    pub start: usize,
}

impl Prompt {
    pub fn new(rules: &Rules, request: &Request, language: Option<Token>) -> Self {
        let mut tokens = Vec::new();
        if !request.previous.is_empty() || !request.keywords.is_empty() {
            tokens.push(rules.specials().start_of_previous);
            tokens.extend_from_slice(&request.keywords[..request.keywords.len().min(rules.previous_room())]);
            let left = rules.previous_room() - (tokens.len() - 1);
            let previous = &request.previous;
            tokens.extend_from_slice(&previous[previous.len().saturating_sub(left)..]);
        }
        let prompt = Prompt::bare(rules, request, language);
        let start = tokens.len();
        tokens.extend(prompt.tokens);
        Prompt { tokens, start }
    }

    /// The same without any text before the audio.
    pub fn bare(rules: &Rules, request: &Request, language: Option<Token>) -> Self {
        let mut tokens = start_sequence(rules, request.task, language);
        if request.policy.without_timestamps {
            tokens.push(rules.specials().no_timestamps);
        }
        tokens.extend_from_slice(&request.prefix);
        Prompt { tokens, start: 0 }
    }
}

/// Start of transcript, language, task; English-only models know neither languages nor tasks.
pub fn start_sequence(rules: &Rules, task: Task, language: Option<Token>) -> Vec<Token> {
    let specials = rules.specials();
    let mut tokens = vec![specials.start_of_transcript];
    if rules.multilingual() {
        tokens.extend(language);
        tokens.push(match task {
            Task::Transcribe => specials.transcribe,
            Task::Translate => specials.translate,
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoding::for_tests;
    use crate::transcript::Tokens;

    #[test]
    fn the_latest_previous_text_comes_before_the_start() {
        let request = Request { previous: (0..50).collect(), task: Task::Translate, ..Request::default() };
        let prompt = Prompt::new(&for_tests::rules(), &request, Some(104));
        assert_eq!(prompt.tokens[0], 108);
        assert_eq!(prompt.tokens[1..20], request.previous[31..]);
        assert_eq!(prompt.tokens[20..], [101, 104, 105]);
        assert_eq!(prompt.start, 20);
    }

    #[test]
    fn without_previous_text_nothing_comes_before_the_start() {
        let prompt = Prompt::new(&for_tests::rules(), &Request::default(), Some(102));
        assert_eq!((prompt.tokens, prompt.start), (vec![101, 102, 106], 0));
    }

    #[test]
    fn keywords_keep_their_place_before_the_previous_text() {
        let (previous, keywords) = ((0..50).collect(), [90, 91, 92].into());
        let request = Request { previous, keywords, ..Request::default() };
        let prompt = Prompt::new(&for_tests::rules(), &request, Some(102));
        assert_eq!(prompt.tokens[..5], [108, 90, 91, 92, 34]);
        assert_eq!(prompt.start, 20);
    }

    #[test]
    fn a_prefix_and_the_absence_of_timestamps_stand_after_the_task() {
        let rules = for_tests::rules();
        let asked = Tokens { without_timestamps: true, ..Tokens::default() };
        let policy = rules.policy(&asked).unwrap();
        let request = Request { prefix: [1, 2].into(), policy, ..Request::default() };
        assert_eq!(Prompt::new(&rules, &request, Some(102)).tokens, [101, 102, 106, 110, 1, 2]);
    }
}
