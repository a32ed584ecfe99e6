//! What Whisper may say next, and when it has said enough: pure. A `Sequence` is one window on its way.

mod fallback;
mod prompt;
mod rules;
mod sequence;

pub use fallback::{Verdict, compression_ratio, judge};
pub use prompt::Prompt;
pub use rules::Rules;
pub use sequence::{Hypothesis, Request, Sequence, Work};
