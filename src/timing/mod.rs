//! Tokens of a window in, segments with their place in the file out: pure.

mod segments;

pub use segments::{Placed, segments};
