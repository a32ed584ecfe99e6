//! Tokens and text: the tokenizer, its special tokens, and the language table.

pub mod language;
mod tokenizer;

pub use tokenizer::{Specials, TIMESTAMP_STEP, Tokenizer, TokenizerError};

/// A token id of the loaded model.
pub type Token = u32;
