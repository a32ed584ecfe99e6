//! Tokens and text: the tokenizer and the language table.

pub mod language;

/// A token id of the loaded model.
pub type Token = u32;
