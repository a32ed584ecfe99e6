//! A window's tokens in; out: which of them are closed segments, and where the next window of the sequential mode begins.

use crate::text::Token;

/// Follows openai/whisper transcribe.py at c0d2f624, lines 311-370.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The first so many tokens stand; what follows is said again by the next window.
    pub kept: usize,
    /// Steps of 0.02 s from the start of the window to the next one; `None`: this window is done to its end.
    pub next: Option<u32>,
}

/// `begin`: the first timestamp token.
pub fn closed(tokens: &[Token], begin: Token) -> Closed {
    let whole = Closed { kept: tokens.len(), next: None };
    let is_time = |at: usize| tokens[at] >= begin;
    // A single timestamp at the end: nobody speaks after it.
    if let [.., before, last] = tokens
        && *before < begin
        && *last >= begin
    {
        return whole;
    }
    // The latest pair of timestamps closes one segment and opens the next, which has no end.
    match (1..tokens.len()).rev().find(|at| is_time(*at) && is_time(at - 1)) {
        Some(opens) => Closed { kept: opens, next: Some(tokens[opens - 1] - begin) },
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_segment_is_left_to_the_next_window() {
        assert_eq!(closed(&[100, 1, 110, 110, 2, 3], 100), Closed { kept: 3, next: Some(10) });
        // A pair at the very end opens nothing more, but the next window begins there.
        assert_eq!(closed(&[100, 1, 110, 110], 100), Closed { kept: 3, next: Some(10) });
    }

    #[test]
    fn a_window_whose_text_is_closed_or_has_no_pair_is_done() {
        assert_eq!(closed(&[100, 1, 110, 110, 2, 120], 100), Closed { kept: 6, next: None });
        assert_eq!(closed(&[100, 1, 2], 100), Closed { kept: 3, next: None });
        assert_eq!(closed(&[], 100), Closed { kept: 0, next: None });
    }
}
