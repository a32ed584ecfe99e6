//! A vocabulary's sizes in, a `tokenizer.json` of invented words out: for models that have a published shape and nothing to say.

use serde_json::{Map, Value, json};

use super::{Token, language};

/// `<|endoftext|>`, `<|startoftranscript|>`, and the six after the languages.
const SPECIALS: usize = 8;
/// `<|0.00|>` to `<|30.00|>`.
const TIMESTAMPS: usize = 1501;

const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
const VOWELS: &[u8; 5] = b"aeiou";

/// Of `vocab` tokens, the first are the bytes and words, then come Whisper's special tokens in OpenAI's order, last the
/// timestamps, which many published tokenizers leave out as well. What is written is spelled in bytes: words are only read.
///
/// `languages`: 99, or 100 since large-v3. With OpenAI's numbers every special token has OpenAI's id.
pub fn tokenizer_json(vocab: usize, languages: usize) -> String {
    let texts = vocab.saturating_sub(SPECIALS + languages + TIMESTAMPS);
    let mut words = Map::new();
    for (token, symbol) in symbols().chain((0..).map(word)).take(texts).enumerate() {
        words.insert(symbol, Value::from(token));
    }
    let specials = specials(languages).zip(texts as Token..).map(|(content, id)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0",
        "added_tokens": specials.collect::<Vec<_>>(),
        "pre_tokenizer": bytes,
        "decoder": bytes,
        "model": {"type": "BPE", "vocab": words, "merges": []},
    })
    .to_string()
}

/// Follows openai/whisper tokenizer.py at c0d2f624, lines 340-352.
fn specials(languages: usize) -> impl Iterator<Item = String> {
    let first = ["endoftext", "startoftranscript"].into_iter();
    let last = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"];
    let languages = language::ALL.iter().take(languages).map(|language| language.code);
    first.chain(languages).chain(last).map(|name| format!("<|{name}|>"))
}

/// A character for each byte, in the order of the bytes: `bytes_to_unicode` of openai/gpt-2 encoder.py.
fn symbols() -> impl Iterator<Item = String> {
    let mut renamed = 0x100..;
    (0..=u8::MAX).filter_map(move |byte| {
        match byte {
            0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => Some(char::from(byte)),
            _ => renamed.next().and_then(char::from_u32),
        }
        .map(String::from)
    })
}

/// The n-th word of three syllables, a space before it; there are a million.
fn word(index: usize) -> String {
    let syllables = CONSONANTS.len() * VOWELS.len();
    let mut word = String::from("\u{120}");
    for place in [syllables * syllables, syllables, 1] {
        let syllable = index / place % syllables;
        word.push(char::from(CONSONANTS[syllable / VOWELS.len()]));
        word.push(char::from(VOWELS[syllable % VOWELS.len()]));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Tokenizer;

    fn tokenizer(vocab: usize, languages: usize) -> Tokenizer {
        Tokenizer::from_json(tokenizer_json(vocab, languages).as_bytes()).unwrap()
    }

    #[test]
    fn special_tokens_have_openais_ids() {
        let ids = |vocab, languages| {
            let tokenizer = tokenizer(vocab, languages);
            let specials = tokenizer.specials();
            let first = specials.languages[0].1;
            (
                specials.end_of_text,
                first,
                specials.no_speech,
                specials.timestamp_begin,
                specials.languages.len(),
            )
        };
        assert_eq!(ids(51_864, 99), (50_256, 50_258, 50_361, 50_363, 99));
        assert_eq!(ids(51_865, 99), (50_257, 50_259, 50_362, 50_364, 99));
        assert_eq!(ids(51_866, 100), (50_257, 50_259, 50_363, 50_365, 100));
    }

    #[test]
    fn tokens_are_invented_words_and_any_text_can_be_written_in_bytes() {
        let tokenizer = tokenizer(51_865, 99);
        assert_eq!(tokenizer.decode(&[256, 257, 356]), " bababa bababe babeba");
        let text = "Größe, 大きさ <|endoftext|>";
        assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
        assert_eq!(tokenizer.bytes(256), b" bababa");
    }
}
