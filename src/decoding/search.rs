//! One attempt at a window's text: which rows it needs next, what their samples make of it, and the best text in the end.

use crate::model::{Choice, Fork, Lane, Pick, Probe, Sample, Slot, Step};
use crate::text::Token;

use super::beam::Beams;
use super::rules::Policy;
use super::{Prompt, Rules};
use crate::transcript::Search as Asked;

/// Where a window lives on the device.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    pub slot: Slot,
    /// As many as its request is wide.
    pub lanes: &'a [Lane],
}

/// What every attempt of a window goes by.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    pub rules: &'a Rules,
    pub policy: &'a Policy,
    pub prompt: &'a Prompt,
}

/// A text that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Text and timestamps, without the end of text.
    pub tokens: Vec<Token>,
    /// Of each of `tokens`.
    pub logprobs: Vec<f32>,
    /// Over all tokens, the end of text counted.
    pub sum_logprob: f32,
    /// The model ended it itself.
    pub ended: bool,
}

impl Found {
    /// As the reference has it, the end of text counted (decoding.py, line 757).
    pub fn avg_logprob(&self) -> f32 {
        self.sum_logprob / (self.tokens.len() + 1) as f32
    }

    /// What texts are ranked by: `MaximumLikelihoodRanker` of openai/whisper decoding.py at c0d2f624, lines 182-207.
    fn score(&self, length_penalty: Option<f32>) -> f32 {
        let length = self.tokens.len().max(1) as f32;
        let penalty = match length_penalty {
            None => length,
            Some(penalty) => ((5.0 + length) / 6.0).powf(penalty),
        };
        self.sum_logprob / penalty
    }
}

/// Beams at temperature 0, draws above, and a single row where neither was asked for.
#[derive(Clone, Debug)]
pub enum Search {
    Group(Group),
    Beams(Beams),
}

impl Search {
    /// `attempt` sets the draws of one attempt apart from those of the one before.
    pub fn new(asked: &Asked, temperature: f32, attempt: usize) -> Self {
        match (temperature > 0.0, asked.beam_size) {
            (false, 0 | 1) => Search::Group(Group::greedy()),
            (false, _) => Search::Beams(Beams::new(asked)),
            (true, _) => Search::Group(Group::drawn(asked, temperature, attempt)),
        }
    }

    /// Rows of the next step, with the copies of memory that they begin with. Copies never overwrite a lane that another
    /// copy reads, so making them twice does no harm.
    pub fn steps(&self, ground: Ground, seat: Seat) -> (Vec<Fork>, Vec<Step>) {
        match self {
            Search::Group(group) => (Vec::new(), group.steps(ground, seat)),
            Search::Beams(beams) => beams.steps(ground, seat),
        }
    }

    /// Takes in the samples of the last `steps`, in their order.
    pub fn take(&mut self, ground: Ground, samples: &[Sample]) {
        match self {
            Search::Group(group) => group.take(ground, samples),
            Search::Beams(beams) => beams.take(ground, samples),
        }
    }

    pub fn is_done(&self) -> bool {
        match self {
            Search::Group(group) => group.lines.iter().all(|line| line.done),
            Search::Beams(beams) => beams.is_done(),
        }
    }

    /// Tokens of the text that is furthest.
    pub fn len(&self) -> usize {
        self.texts().map(<[Token]>::len).max().unwrap_or(0)
    }

    /// Gives up every text for which `hopeless` holds.
    pub fn give_up(&mut self, hopeless: impl Fn(&[Token]) -> bool) {
        match self {
            Search::Group(group) => {
                let open = group.lines.iter_mut().filter(|line| !line.done);
                open.for_each(|line| line.done = hopeless(&line.found.tokens));
            }
            Search::Beams(beams) => beams.give_up(hopeless),
        }
    }

    /// The best text.
    pub fn finish(self, length_penalty: Option<f32>) -> Found {
        let texts = match self {
            Search::Group(group) => group.finish(),
            Search::Beams(beams) => beams.finish(),
        };
        let mut best = Found { sum_logprob: f32::NEG_INFINITY, ..Found::default() };
        for (place, found) in texts.into_iter().enumerate() {
            // The first of equal ones, as `numpy.argmax` has it.
            if place == 0 || found.score(length_penalty) > best.score(length_penalty) {
                best = found;
            }
        }
        best
    }

    fn texts(&self) -> Box<dyn Iterator<Item = &[Token]> + '_> {
        match self {
            Search::Group(group) => Box::new(group.lines.iter().map(|line| line.found.tokens.as_slice())),
            Search::Beams(beams) => Box::new(beams.texts()),
        }
    }
}

/// Texts that are made independently of each other: one greedy one, or some draws.
#[derive(Clone, Debug)]
pub struct Group {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    pick: Pick,
    found: Found,
    done: bool,
}

impl Group {
    fn greedy() -> Self {
        Group { lines: vec![Line::new(Pick::Likeliest(1))] }
    }

    fn drawn(asked: &Asked, temperature: f32, attempt: usize) -> Self {
        let line = |index: usize| {
            // An odd multiplier: no two (attempt, line) pairs of a request share a seed.
            let apart = ((attempt as u64) << 32 | index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            Line::new(Pick::Drawn { temperature, seed: asked.seed.wrapping_add(apart) })
        };
        Group { lines: (0..asked.best_of.max(1)).map(line).collect() }
    }

    fn steps(&self, ground: Ground, seat: Seat) -> Vec<Step> {
        let lines = self.lines.iter().zip(seat.lanes).enumerate();
        lines
            .filter(|(_, (line, _))| !line.done)
            .map(|(index, (line, lane))| {
                let row = Row { seat, lane: *lane, tokens: &line.found.tokens, pick: line.pick };
                // All lines of a window hear the same; one of them asks.
                row.step(ground, index == 0)
            })
            .collect()
    }

    fn take(&mut self, ground: Ground, samples: &[Sample]) {
        let open = self.lines.iter_mut().filter(|line| !line.done);
        for (line, sample) in open.zip(samples) {
            let Choice { token, logprob } = sample.choices[0];
            line.found.sum_logprob += logprob;
            if token == ground.rules.specials().end_of_text {
                line.found.ended = true;
            } else {
                line.found.tokens.push(token);
                line.found.logprobs.push(logprob);
            }
            line.done = line.found.ended || ground.is_full(line.found.tokens.len());
        }
    }

    fn finish(self) -> Vec<Found> {
        self.lines.into_iter().map(|line| line.found).collect()
    }
}

impl Line {
    fn new(pick: Pick) -> Self {
        Line { pick, found: Found::default(), done: false }
    }
}

/// One text's next row.
pub struct Row<'a> {
    pub seat: Seat<'a>,
    pub lane: Lane,
    pub tokens: &'a [Token],
    pub pick: Pick,
}

impl Row<'_> {
    /// The whole prompt at first, then the latest token. `probe`: whether the first row asks for the no-speech probability.
    pub fn step(&self, ground: Ground, probe: bool) -> Step {
        let prompt = ground.prompt;
        let (position, tokens) = match self.tokens.last() {
            None => (0, prompt.tokens.clone()),
            Some(last) => (prompt.tokens.len() + self.tokens.len() - 1, vec![*last]),
        };
        let probe = (probe && self.tokens.is_empty())
            .then(|| Probe { index: prompt.start, token: ground.rules.specials().no_speech });
        Step {
            slot: self.seat.slot,
            lane: self.lane,
            position,
            tokens,
            constraint: ground.rules.constraint(ground.policy, self.tokens),
            pick: self.pick,
            probe,
        }
    }
}

impl Ground<'_> {
    /// Whether a text of so many tokens can have no more: half of the context, as the reference has it, and never more than
    /// the context holds, for the next step would read the latest token at a position that must exist.
    pub fn is_full(&self, tokens: usize) -> bool {
        tokens >= self.rules.max_tokens() || self.prompt.tokens.len() + tokens > self.rules.text_ctx()
    }
}
