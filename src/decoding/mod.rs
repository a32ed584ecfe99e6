//! What Whisper may say next, and when it has said enough: pure. A `Sequence` is one window on its way.
//!
//! ```text
//! Request, LogMel --Sequence--> Work {Encode | Step | Align} ... --> Hypothesis
//!     prompt     what the decoder reads first          rules     which token may come next
//!     search     greedy, draws; beam: beam search      attempts  the ladder of temperatures, and what is taken
//!     fallback   thresholds                            repetition  loops and echoes     seek  closed segments
//! ```

mod attempts;
mod beam;
mod fallback;
mod prompt;
mod repetition;
mod request;
mod rules;
mod search;
mod seek;
mod sequence;
#[cfg(test)]
mod tests;

pub use attempts::Withheld;
pub use fallback::{Figures, Verdict, compression_ratio};
pub use prompt::Prompt;
pub use repetition::{echo, words};
pub use request::{Request, Spoken, Stop};
#[cfg(test)]
pub(crate) use rules::for_tests;
pub use rules::{Policy, Rules};
pub use search::Seat;
pub use seek::{Closed, closed};
pub use sequence::{Aligned, Hypothesis, Sequence, Work};
