//! Tokens and text: the tokenizer, its special tokens, and the language table.

pub mod language;
mod tokenizer;
mod words;

pub use tokenizer::{Specials, TIMESTAMP_STEP, Tokenizer, TokenizerError};
pub use words::{WordTokens, split_words};

/// A token id of the loaded model.
pub type Token = u32;
