//! What Whisper may say next, and when it has said enough: pure.

/// One window on its way through the engine.
#[derive(Clone, Debug)]
pub struct Sequence {}

/// What was said in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {}
