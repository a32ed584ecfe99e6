//! Tokens of a window and how they lie over its audio in, segments and words with their place in the file out: pure.

mod align;
mod median;
mod place;
mod segments;
mod silence;
mod usual;
mod warp;
mod words;

pub use align::token_frames;
pub use place::{Place, give};
pub use segments::{Placed, hold_together, segments};
pub use silence::quiet;
pub use words::{Aligned, Spoken, text_tokens, words};
