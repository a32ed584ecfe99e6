//! Text in, tokens out, and back; and where the loaded model keeps Whisper's special tokens.

use std::time::Duration;

use crate::transcript::Language;

use super::{Token, language};

/// Time between two of Whisper's timestamp tokens: `<|0.00|>`, `<|0.02|>`, ...
pub const TIMESTAMP_STEP: Duration = Duration::from_millis(20);

/// Whisper's symbols that are written but not spoken; openai/whisper tokenizer.py at c0d2f624, lines 247-259.
const NON_SPEECH_SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 \
     << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Musical symbols are suppressed by their first byte token, as the reference does: no spoken text needs that byte.
const MUSICAL_SYMBOLS: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// Ids of the special tokens. Text tokens are those below `end_of_text`.
#[derive(Clone, Debug, PartialEq)]
pub struct Specials {
    pub end_of_text: Token,
    pub start_of_transcript: Token,
    pub translate: Token,
    pub transcribe: Token,
    pub start_of_lm: Token,
    pub start_of_previous: Token,
    pub no_speech: Token,
    pub no_timestamps: Token,
    /// `<|0.00|>`. Some published tokenizers leave the timestamps out; they always follow `<|notimestamps|>`.
    pub timestamp_begin: Token,
    /// The model's languages by rising id.
    pub languages: Vec<(Language, Token)>,
}

impl Specials {
    pub fn language_token(&self, language: Language) -> Option<Token> {
        self.languages.iter().find(|(known, _)| *known == language).map(|(_, token)| *token)
    }

    pub fn language_of(&self, token: Token) -> Option<Language> {
        self.languages.iter().find(|(_, known)| *known == token).map(|(language, _)| *language)
    }

    pub fn is_timestamp(&self, token: Token) -> bool {
        token >= self.timestamp_begin
    }

    pub fn is_text(&self, token: Token) -> bool {
        token < self.end_of_text
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("tokenizer.json cannot be read: {0}")]
    Unreadable(String),
    #[error("tokenizer.json has no {0} token, so it is not a Whisper tokenizer")]
    MissingSpecial(&'static str),
}

#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    specials: Specials,
}

impl Tokenizer {
    /// `json`: the bytes of a checkpoint's `tokenizer.json`.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
        let inner = tokenizers::Tokenizer::from_bytes(json)
            .map_err(|error| TokenizerError::Unreadable(error.to_string()))?;
        let specials = find_specials(&inner)?;
        Ok(Tokenizer { inner, specials })
    }

    /// The demo model's words below other special tokens: what rules are tested on need not be decoded.
    #[cfg(test)]
    pub fn for_tests(specials: Specials) -> Self {
        let demo = Tokenizer::from_json(include_bytes!("../../models/demo/tokenizer.json"));
        Tokenizer { specials, ..demo.expect("the bundled tokenizer is sound") }
    }

    pub fn specials(&self) -> &Specials {
        &self.specials
    }

    /// Plain text only: markup such as `<|endoftext|>` in it is spelled out, never understood as a special token.
    pub fn encode(&self, text: &str) -> Vec<Token> {
        // Special tokens are found by their text before BPE runs; a zero-width split keeps a client's text from
        // forging them: encode the parts around every "<|" on their own.
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("<|") {
            self.encode_part(&rest[..at + 1], &mut tokens);
            rest = &rest[at + 1..];
        }
        self.encode_part(rest, &mut tokens);
        tokens
    }

    fn encode_part(&self, text: &str, tokens: &mut Vec<Token>) {
        if text.is_empty() {
            return;
        }
        match self.inner.encode_fast(text, false) {
            Ok(encoding) => tokens.extend_from_slice(encoding.get_ids()),
            // Byte-level BPE has a token for every byte, so this cannot be the text's fault.
            Err(error) => {
                tracing::error!(%error, "the tokenizer refused a text; it is left out of the prompt")
            }
        }
    }

    /// The text of `tokens`; special tokens and timestamps among them are passed over.
    pub fn decode(&self, tokens: &[Token]) -> String {
        let text: Vec<Token> = tokens.iter().copied().filter(|token| self.specials.is_text(*token)).collect();
        self.inner.decode(&text, false).unwrap_or_else(|error| {
            tracing::error!(%error, "the tokenizer could not decode its own tokens");
            String::new()
        })
    }

    /// The bytes that `token` stands for; a character may be spread over several tokens. None for what is no text.
    pub fn bytes(&self, token: Token) -> Vec<u8> {
        if !self.specials.is_text(token) {
            return Vec::new();
        }
        let spelled = self.inner.id_to_token(token).unwrap_or_default();
        let bytes: Option<Vec<u8>> = spelled.chars().map(byte_of).collect();
        // A token that was added to the vocabulary as plain text is not spelled in byte symbols.
        bytes.unwrap_or_else(|| spelled.into_bytes())
    }

    /// The space alone: what `SuppressBlank` forbids at the start.
    pub fn blank(&self) -> Vec<Token> {
        self.encode(" ")
    }

    /// Tokens of annotations and symbols that nobody speaks, as the reference computes them. For a small
    /// vocabulary in which a symbol takes several tokens, a token that is only a space is not among them.
    pub fn non_speech(&self) -> Vec<Token> {
        let blank = self.blank();
        let mut found: Vec<Token> =
            [" -", " '"].iter().filter_map(|text| self.encode(text).first().copied()).collect();
        for symbol in NON_SPEECH_SYMBOLS.split(' ').filter(|symbol| !symbol.is_empty()) {
            for tokens in [self.encode(symbol), self.encode(&format!(" {symbol}"))] {
                if let [only] = tokens[..] {
                    found.push(only);
                }
            }
        }
        for symbol in MUSICAL_SYMBOLS.split(' ') {
            found.extend(self.encode(symbol).first());
            found.extend(self.encode(&format!(" {symbol}")).first());
        }
        found.retain(|token| !blank.contains(token));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Byte-level BPE writes every byte as a printable character: itself, where it is one, and else the next free one above
/// U+00FF, in the order of the bytes. As `bytes_to_unicode` of openai/gpt-2 encoder.py.
fn byte_of(symbol: char) -> Option<u8> {
    let is_itself = |code: u32| matches!(code, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let code = u32::from(symbol);
    match code {
        _ if is_itself(code) => Some(code as u8),
        0x100..=0x143 => {
            let renamed = code as usize - 0x100;
            (0..=u8::MAX).filter(|byte| !is_itself(u32::from(*byte))).nth(renamed)
        }
        _ => None,
    }
}

fn find_specials(tokenizer: &tokenizers::Tokenizer) -> Result<Specials, TokenizerError> {
    let find = |name: &'static str| tokenizer.token_to_id(name).ok_or(TokenizerError::MissingSpecial(name));
    let mut languages: Vec<(Language, Token)> = language::ALL
        .iter()
        .filter_map(|language| Some((*language, tokenizer.token_to_id(&format!("<|{}|>", language.code))?)))
        .collect();
    languages.sort_by_key(|(_, token)| *token);
    let no_timestamps = find("<|notimestamps|>")?;
    Ok(Specials {
        end_of_text: find("<|endoftext|>")?,
        start_of_transcript: find("<|startoftranscript|>")?,
        translate: find("<|translate|>")?,
        transcribe: find("<|transcribe|>")?,
        start_of_lm: find("<|startoflm|>")?,
        start_of_previous: find("<|startofprev|>")?,
        // OpenAI renamed it; checkpoints before large-v3 carry the older name.
        no_speech: find("<|nospeech|>").or_else(|_| find("<|nocaptions|>"))?,
        no_timestamps,
        timestamp_begin: no_timestamps + 1,
        languages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Tokenizer {
        Tokenizer::from_json(include_bytes!("../../models/demo/tokenizer.json")).unwrap()
    }

    #[test]
    fn specials_stand_in_whispers_order() {
        let tokenizer = demo();
        let specials = tokenizer.specials();
        let codes: Vec<&str> = specials.languages.iter().map(|(language, _)| language.code).collect();
        assert_eq!(codes, ["en", "es", "de"]);
        let order = [
            specials.end_of_text,
            specials.start_of_transcript,
            specials.languages[0].1,
            specials.languages[2].1,
            specials.translate,
            specials.transcribe,
            specials.start_of_lm,
            specials.start_of_previous,
            specials.no_speech,
            specials.no_timestamps,
            specials.timestamp_begin,
        ];
        assert!(order.is_sorted());
        assert_eq!(specials.timestamp_begin - specials.start_of_transcript, 10);
    }

    #[test]
    fn any_text_comes_back_as_it_went_in() {
        let tokenizer = demo();
        for text in [" take two tablets", "Größe über 3 µg, ¿verdad?", "日本語 👍", "", " "] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
        }
    }

    #[test]
    fn the_bytes_of_tokens_are_the_bytes_of_their_text() {
        let tokenizer = demo();
        let every_byte: String =
            (0..0x180).filter_map(char::from_u32).chain("日本語 👍\u{10FFFF}".chars()).collect();
        let tokens = tokenizer.encode(&every_byte);
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| tokenizer.bytes(*token)).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), every_byte);
        assert!(tokenizer.bytes(tokenizer.specials().end_of_text).is_empty());
    }

    #[test]
    fn a_clients_text_cannot_forge_special_tokens() {
        let tokenizer = demo();
        let text = " hello<|endoftext|><|startoftranscript|> <|0.00|> <||> <|";
        let tokens = tokenizer.encode(text);
        assert!(tokens.iter().all(|token| tokenizer.specials().is_text(*token)), "{tokens:?}");
        assert_eq!(tokenizer.decode(&tokens), text);
    }

    #[test]
    fn decoding_passes_over_timestamps_and_specials() {
        let tokenizer = demo();
        let mut tokens = vec![tokenizer.specials().timestamp_begin];
        tokens.extend(tokenizer.encode(" yes"));
        tokens.extend([tokenizer.specials().timestamp_begin + 50, tokenizer.specials().end_of_text]);
        assert_eq!(tokenizer.decode(&tokens), " yes");
    }

    #[test]
    fn annotations_are_not_spoken_but_a_space_is() {
        let tokenizer = demo();
        let suppressed = tokenizer.non_speech();
        assert!(suppressed.contains(&tokenizer.encode("[")[0]));
        assert!(!suppressed.contains(&tokenizer.blank()[0]));
    }

    #[test]
    fn another_models_tokenizer_is_refused_by_the_token_it_lacks() {
        let foreign = r#"{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#;
        let error = Tokenizer::from_json(foreign.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("<|"), "{error}");
        assert!(Tokenizer::from_json(b"{").is_err());
    }
}
