//! What a request asks of each of its windows, in the model's own tokens.

use std::sync::Arc;

use crate::text::Token;
use crate::transcript::{Fallback, Search, Task};

use super::rules::Policy;

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub task: Task,
    pub language: Spoken,
    /// Text before the audio: what was asked for, or what was said so far.
    pub previous: Arc<[Token]>,
    /// Words to expect, as they stand before that text.
    pub keywords: Arc<[Token]>,
    /// What the window's text begins with; it is not said again.
    pub prefix: Arc<[Token]>,
    /// Words of the caller's own prompt, without case and punctuation: saying them is no proof of hearing them.
    pub prompt_words: Arc<[String]>,
    pub search: Search,
    pub fallback: Fallback,
    pub policy: Policy,
    pub stop: Stop,
    /// Whether the text is held against the audio once it is there.
    pub words: bool,
}

/// The language of a window.
#[derive(Clone, Debug, PartialEq)]
pub enum Spoken {
    /// English-only models have none.
    Known(Option<Token>),
    Detect {
        /// Empty: all that the model knows.
        among: Arc<[Token]>,
        /// What is taken where the detection is less probable than `threshold`.
        otherwise: Option<Token>,
        threshold: f32,
    },
}

impl Default for Spoken {
    fn default() -> Self {
        Spoken::Known(None)
    }
}

/// When a window has said what is wanted of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// Its text is there.
    #[default]
    Whole,
    /// The same, and the text after its last closed segment is left to the next window: the reference's sequential mode, with
    /// the reference's own test for silence.
    AtLastSegment,
    /// Its language is known.
    AtLanguage,
}

impl Request {
    /// What later windows are asked: the prefix begins the first one's text alone.
    pub fn later(&self) -> Request {
        Request { prefix: Arc::default(), ..self.clone() }
    }

    /// Lanes that a window takes: one for each beam or draw that may run at once.
    pub fn width(&self) -> usize {
        let draws = self.fallback.temperatures.iter().any(|temperature| *temperature > 0.0);
        let beams = self.fallback.temperatures.iter().any(|temperature| *temperature <= 0.0);
        let search = &self.search;
        let wanted = [(draws, search.best_of), (beams, search.beam_size)];
        wanted.into_iter().filter_map(|(used, width)| used.then_some(width)).max().unwrap_or(1).max(1)
    }
}
