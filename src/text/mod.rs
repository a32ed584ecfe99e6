//! Tokens and text: the tokenizer, its special tokens, and the language table.

mod invented;
pub mod language;
mod tokenizer;
mod words;

pub use invented::tokenizer_json;
pub use tokenizer::{Specials, TIMESTAMP_STEP, Tokenizer, TokenizerError};
pub use words::{WordTokens, split_words};

/// A token id of the loaded model.
pub type Token = u32;
