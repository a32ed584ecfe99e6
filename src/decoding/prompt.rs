//! What the decoder reads before it says anything: previous text, start of transcript, language, task.

use crate::text::Token;
use crate::transcript::Task;

use super::Rules;

/// The tokens before the first sampled one. Follows `_get_initial_tokens` of openai/whisper decoding.py at c0d2f624,
/// lines 600-621.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub tokens: Vec<Token>,
    /// Where `<|startoftranscript|>` stands: the no-speech probability is read there.
    pub start: usize,
}

impl Prompt {
    /// `previous`: text before the audio, of which the last `text_ctx / 2 - 1` tokens count.
    pub fn new(rules: &Rules, previous: &[Token], language: Option<Token>, task: Task) -> Self {
        let specials = rules.specials();
        let mut tokens = Vec::new();
        if !previous.is_empty() {
            let most = rules.text_ctx() / 2 - 1;
            tokens.push(specials.start_of_previous);
            tokens.extend_from_slice(&previous[previous.len().saturating_sub(most)..]);
        }
        let start = tokens.len();
        tokens.push(specials.start_of_transcript);
        // English-only models know neither languages nor tasks.
        if rules.multilingual() {
            tokens.extend(language);
            tokens.push(match task {
                Task::Transcribe => specials.transcribe,
                Task::Translate => specials.translate,
            });
        }
        Prompt { tokens, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_previous_text_comes_before_the_start() {
        let rules = Rules::for_tests();
        let previous: Vec<Token> = (0..50).collect();
        let prompt = Prompt::new(&rules, &previous, Some(104), Task::Translate);
        assert_eq!(prompt.tokens[0], 108);
        assert_eq!(prompt.tokens[1..20], previous[31..]);
        assert_eq!(prompt.tokens[20..], [101, 104, 105]);
        assert_eq!(prompt.start, 20);
    }

    #[test]
    fn without_previous_text_nothing_comes_before_the_start() {
        let prompt = Prompt::new(&Rules::for_tests(), &[], Some(102), Task::Transcribe);
        assert_eq!((prompt.tokens, prompt.start), (vec![101, 102, 106], 0));
    }
}
