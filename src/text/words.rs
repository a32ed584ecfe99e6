//! Tokens in, the words that they spell out: each with its text and its tokens.

use std::ops::Range;

use super::{Token, Tokenizer};
use crate::transcript::Language;

/// Written without spaces between words: every character that tokens can be cut at is a word of its own.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];
/// Python's `string.punctuation`.
const PUNCTUATION: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

/// A word as it stands in the text, with its leading space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordTokens {
    pub text: String,
    /// Places among the tokens that were split. Never empty.
    pub tokens: Range<usize>,
}

/// The words of `tokens` in order: every token belongs to one, and their texts together are the decoded text. Punctuation
/// stands alone. `language`: the text's own, which for a translation is English.
///
/// Follows `split_to_word_tokens`, openai/whisper tokenizer.py at c0d2f624, lines 277-328, but cuts between characters even
/// in bytes that are no UTF-8, where the reference loses tokens or fails. Tokens that are no text go with the
/// word before them.
pub fn split_words(tokenizer: &Tokenizer, tokens: &[Token], language: Option<Language>) -> Vec<WordTokens> {
    let parts = split_characters(tokenizer, tokens);
    if language.is_some_and(|language| WITHOUT_SPACES.contains(&language.code)) {
        return parts;
    }
    let mut words: Vec<WordTokens> = Vec::new();
    for part in parts {
        // The reference asks `part in string.punctuation`, which finds runs such as `()` as well, and the empty text.
        let opens = part.text.starts_with(' ') || PUNCTUATION.contains(part.text.trim());
        match words.last_mut() {
            Some(word) if !opens => {
                word.text.push_str(&part.text);
                word.tokens.end = part.tokens.end;
            }
            _ => words.push(part),
        }
    }
    words
}

/// Cuts after every token at whose end a character ends.
fn split_characters(tokenizer: &Tokenizer, tokens: &[Token]) -> Vec<WordTokens> {
    let mut bytes = Vec::new();
    let ends: Vec<usize> = tokens
        .iter()
        .map(|token| {
            bytes.extend(tokenizer.bytes(*token));
            bytes.len()
        })
        .collect();
    let mut between = character_edges(&bytes);
    // What is left at the end is a part even where its last character is cut off.
    between[bytes.len()] = true;
    let mut parts: Vec<WordTokens> = Vec::new();
    let (mut first, mut from) = (0, 0);
    for (index, &end) in ends.iter().enumerate() {
        let is_last = index + 1 == ends.len();
        // A token without text is no part of its own, unless nothing comes before it.
        let silent = end == from && first == index;
        match parts.last_mut() {
            Some(part) if silent => {
                part.tokens.end = index + 1;
                first = index + 1;
            }
            _ if is_last || (between[end] && !silent) => {
                let text = String::from_utf8_lossy(&bytes[from..end]).into_owned();
                parts.push(WordTokens { text, tokens: first..index + 1 });
                (first, from) = (index + 1, end);
            }
            _ => {}
        }
    }
    parts
}

/// For every place between two bytes, the start and the end among them: whether a character ends there. Bytes that are no
/// UTF-8 are characters as long as one U+FFFD stands for them.
fn character_edges(bytes: &[u8]) -> Vec<bool> {
    let mut edges = vec![false; bytes.len() + 1];
    let mut at = 0;
    edges[0] = true;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            at += character.len_utf8();
            edges[at] = true;
        }
        at += chunk.invalid().len();
        edges[at] = true;
    }
    edges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::language::{self, by_code};

    fn demo() -> Tokenizer {
        Tokenizer::from_json(include_bytes!("../../models/demo/tokenizer.json")).unwrap()
    }

    /// Recorded from `split_to_word_tokens` of openai-whisper 20250625 (c0d2f624) over this tokenizer.
    #[test]
    fn words_are_those_of_the_reference() {
        type Words = &'static [(&'static str, usize)];
        let recorded: [(&str, &str, Words); 8] = [
            (
                "en",
                " Hello, “it’s” (well) ... 👍🏽 done.",
                &[
                    (" Hello", 3),
                    (",", 1),
                    (" “it’s”", 12),
                    (" ", 1),
                    ("(well", 4),
                    (")", 1),
                    (" ", 1),
                    (".", 1),
                    (".", 1),
                    (".", 1),
                    (" 👍🏽", 9),
                    (" done", 3),
                    (".", 1),
                ],
            ),
            (
                "en",
                " Yes\nno  two () x",
                &[(" Yes", 3), ("\nno", 3), (" ", 1), (" two", 1), (" ", 1), ("(", 1), (")", 1), (" x", 2)],
            ),
            (
                "ja",
                "日本語、👍です。",
                &[("日", 3), ("本", 3), ("語", 3), ("、", 3), ("👍", 4), ("で", 3), ("す", 3), ("。", 3)],
            ),
            ("th", "กำลัง", &[("ก", 3), ("ำ", 3), ("ล", 3), ("ั", 3), ("ง", 3)]),
            ("fr", " e\u{301}te\u{301} né", &[(" e\u{301}te\u{301}", 6), (" né", 2)]),
            ("ko", " 日本 語", &[(" 日本", 7), (" 語", 4)]),
            ("es", " ¿Verdad? ¡Sí!", &[(" ¿Verdad", 5), ("?", 1), (" ¡Sí", 5), ("!", 1)]),
            ("yue", "我 是 A1", &[("我", 3), (" ", 1), ("是", 3), (" A", 1), ("1", 1)]),
        ];
        let tokenizer = demo();
        for (code, text, words) in recorded {
            let found = split_words(&tokenizer, &tokenizer.encode(text), by_code(code));
            let found: Vec<(&str, usize)> =
                found.iter().map(|word| (word.text.as_str(), word.tokens.len())).collect();
            assert_eq!(found, words, "{text}");
        }
        assert!(split_words(&tokenizer, &[], None).is_empty());
    }

    #[test]
    fn a_character_cut_off_at_the_end_is_the_last_word() {
        let tokenizer = demo();
        let mut tokens = tokenizer.encode("日👍");
        tokens.pop();
        let words = split_words(&tokenizer, &tokens, by_code("ja"));
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["日", "\u{FFFD}"]);
        assert_eq!(words[1].tokens.end, tokens.len());
    }

    #[test]
    fn tokens_without_text_belong_to_the_word_before_them() {
        let tokenizer = demo();
        let mut tokens = tokenizer.encode(" yes");
        tokens.push(tokenizer.specials().timestamp_begin);
        let words = split_words(&tokenizer, &tokens, None);
        assert_eq!(words, [WordTokens { text: " yes".to_owned(), tokens: 0..tokens.len() }]);
    }

    proptest! {
        #[test]
        fn words_partition_any_tokens_and_spell_their_text(ids in prop::collection::vec(0u32..800, 0..60), japanese: bool) {
            let tokenizer = demo();
            let language = by_code(if japanese { "ja" } else { "en" });
            let words = split_words(&tokenizer, &ids, language);
            let mut next = 0;
            for word in &words {
                prop_assert_eq!(word.tokens.start, next);
                prop_assert!(!word.tokens.is_empty());
                next = word.tokens.end;
            }
            prop_assert_eq!(next, ids.len());
            let text: String = words.iter().map(|word| word.text.as_str()).collect();
            prop_assert_eq!(text, tokenizer.decode(&ids));
        }

        #[test]
        fn no_character_of_real_text_is_cut(text: String) {
            let tokenizer = demo();
            for language in [language::ENGLISH, by_code("zh").unwrap()] {
                for word in split_words(&tokenizer, &tokenizer.encode(&text), Some(language)) {
                    prop_assert!(text.contains(&word.text), "{:?} is not in {:?}", word.text, text);
                }
            }
        }
    }
}
