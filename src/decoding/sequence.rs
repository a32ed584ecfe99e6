//! One window from encoding to its last token: says what it needs next, takes in what came back.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::LogMel;
use crate::model::{AlignRow, Alignment, Constraint, Fork, Pick, Probe, Sample, Step};
use crate::text::Token;

use super::attempts::{Attempts, Judged};
use super::prompt::start_sequence;
use super::search::{Ground, Search, Seat};
use super::{Prompt, Request, Rules, Spoken, Stop, Verdict, Withheld};
use crate::transcript::Risk;

/// Time of one frame of the encoder's output.
const FRAME: Duration = Duration::from_millis(20);
/// Circles in a text are looked for every so many tokens.
const LOOK: usize = 8;

/// One window on its way through the engine. Holds its own progress and nothing of anyone else's.
#[derive(Clone, Debug)]
pub struct Sequence {
    rules: Arc<Rules>,
    request: Request,
    mel: Arc<LogMel>,
    /// Length of the audio in the window.
    audio: Duration,
    stage: Stage,
    language: Option<Token>,
    languages: Vec<(Token, f32)>,
    no_speech_prob: f32,
    attempts: Attempts,
    judged: Option<Judged>,
    alignment: Option<Aligned>,
}

#[derive(Clone, Debug)]
enum Stage {
    Encode,
    DetectLanguage,
    Decode { prompt: Prompt, search: Search },
    Align,
    Done,
}

/// What a sequence needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Encode(Arc<LogMel>),
    /// All rows in one step, after the copies.
    Step(Vec<Fork>, Vec<Step>),
    Align(AlignRow),
    Done,
}

/// What was said in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// Text and timestamps, without the end of text.
    pub tokens: Vec<Token>,
    /// Log-probabilities of `tokens`, and maybe of more that were said after them.
    pub logprobs: Vec<f32>,
    /// Mean log-probability of the sampled tokens, the end of text counted.
    pub avg_logprob: f32,
    pub no_speech_prob: f32,
    pub compression_ratio: f32,
    pub temperature: f32,
    pub verdict: Verdict,
    /// `None` for English-only models.
    pub language: Option<Token>,
    /// Where the language was detected: how probable each was, the likeliest first.
    pub languages: Vec<(Token, f32)>,
    /// Why attempts were not taken, in their order.
    pub given_up: Vec<Risk>,
    /// What was said and is not among `tokens`.
    pub withheld: Vec<Withheld>,
    /// The token limit was reached before the end of text.
    pub cut_short: bool,
    /// Where the sequential mode goes on, in steps of 0.02 s from the window's start; `None`: behind it.
    pub next: Option<u32>,
    /// Where words were asked for and there is text.
    pub alignment: Option<Aligned>,
}

/// A text held against its window's audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    pub alignment: Alignment,
    /// Tokens of the start sequence before `<|notimestamps|>` and the text.
    pub start: usize,
    /// The text tokens, without timestamps.
    pub text: Vec<Token>,
}

impl Aligned {
    /// Of the first `count` text tokens alone. The row after them, which tells where they end, takes the place of the end of
    /// text.
    pub fn shorten(&mut self, count: usize) {
        let kept = self.start + 1 + count + 1;
        let alignment = &mut self.alignment;
        if kept >= alignment.tokens {
            return;
        }
        let row = alignment.frames;
        let heads =
            alignment.scores.chunks_exact(alignment.tokens * row).flat_map(|head| &head[..kept * row]);
        alignment.scores = heads.copied().collect();
        alignment.probabilities.truncate(kept - 1);
        alignment.tokens = kept;
        self.text.truncate(count);
    }
}

impl Sequence {
    pub fn new(rules: Arc<Rules>, request: Request, mel: Arc<LogMel>, audio: Duration) -> Self {
        let language = match &request.language {
            Spoken::Known(language) => *language,
            Spoken::Detect { .. } => None,
        };
        Sequence {
            attempts: Attempts::default(),
            rules,
            request,
            mel,
            audio,
            stage: Stage::Encode,
            language,
            languages: Vec::new(),
            no_speech_prob: 0.0,
            judged: None,
            alignment: None,
        }
    }

    pub fn audio(&self) -> Duration {
        self.audio
    }

    /// Lanes that it needs.
    pub fn width(&self) -> usize {
        self.request.width()
    }

    /// What to do for this sequence now that it lives in `seat`.
    pub fn next(&self, seat: Seat) -> Work {
        match &self.stage {
            Stage::Encode => Work::Encode(self.mel.clone()),
            Stage::DetectLanguage => Work::Step(Vec::new(), vec![self.detect_step(seat)]),
            Stage::Decode { prompt, search } => {
                let (forks, steps) = search.steps(self.ground(prompt), seat);
                Work::Step(forks, steps)
            }
            Stage::Align => Work::Align(self.align_row(seat)),
            Stage::Done => Work::Done,
        }
    }

    /// The window's audio is in its slot.
    pub fn encoded(&mut self) {
        match self.request.language {
            Spoken::Detect { .. } if self.rules.multilingual() => self.stage = Stage::DetectLanguage,
            _ => self.attempt(),
        }
    }

    /// Takes in the answers to the last `Work::Step`, in the order of its rows.
    pub fn sampled(&mut self, samples: &[Sample]) {
        if let Some(probability) = samples.first().and_then(|sample| sample.probe) {
            self.no_speech_prob = probability;
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::DetectLanguage => self.detected(samples),
            Stage::Decode { prompt, mut search } => {
                search.take(self.ground(&prompt), samples);
                if search.len() % LOOK == 0 {
                    search.give_up(|tokens| self.attempts.is_hopeless(&self.rules, &self.request, tokens));
                }
                match search.is_done() {
                    true => self.tried(search),
                    false => self.stage = Stage::Decode { prompt, search },
                }
            }
            stage => self.stage = stage,
        }
    }

    /// Takes in the answer to `Work::Align`.
    pub fn aligned(&mut self, alignment: Alignment) {
        let text = self.text();
        self.alignment = Some(Aligned { alignment, start: self.start_sequence().len(), text });
        self.stage = Stage::Done;
    }

    /// What was said, once `next` is `Work::Done`.
    pub fn finish(self) -> Hypothesis {
        let judged = self.judged.unwrap_or_default();
        Hypothesis {
            tokens: judged.tokens,
            logprobs: judged.logprobs,
            avg_logprob: judged.figures.avg_logprob,
            no_speech_prob: self.no_speech_prob,
            compression_ratio: judged.figures.compression_ratio,
            temperature: judged.temperature,
            verdict: judged.verdict,
            language: self.language,
            languages: self.languages,
            given_up: judged.given_up,
            withheld: judged.withheld,
            cut_short: judged.cut_short,
            next: judged.next,
            alignment: self.alignment,
        }
    }

    fn ground<'a>(&'a self, prompt: &'a Prompt) -> Ground<'a> {
        Ground { rules: &self.rules, policy: &self.request.policy, prompt }
    }

    fn detect_step(&self, seat: Seat) -> Step {
        let among = match &self.request.language {
            Spoken::Detect { among, .. } => among.clone(),
            Spoken::Known(_) => Arc::default(),
        };
        Step {
            slot: seat.slot,
            lane: seat.lanes[0],
            position: 0,
            tokens: vec![self.rules.specials().start_of_transcript],
            constraint: Constraint { suppress: Arc::default(), ..self.rules.only_languages(&among) },
            pick: Pick::Likeliest(self.rules.specials().languages.len().max(1)),
            probe: Some(Probe { index: 0, token: self.rules.specials().no_speech }),
        }
    }

    fn detected(&mut self, samples: &[Sample]) {
        let choices = samples.first().map_or(&[][..], |sample| &sample.choices);
        self.languages = choices.iter().map(|choice| (choice.token, choice.logprob.exp())).collect();
        let Spoken::Detect { otherwise, threshold, .. } = &self.request.language else { return };
        let likeliest = self.languages.first();
        self.language = match likeliest {
            Some((_, probability)) if otherwise.is_some() && probability < threshold => *otherwise,
            Some((token, _)) => Some(*token),
            None => *otherwise,
        };
        match self.request.stop {
            Stop::AtLanguage => self.stage = Stage::Done,
            Stop::Whole | Stop::AtLastSegment => self.attempt(),
        }
    }

    /// Begins the next attempt.
    fn attempt(&mut self) {
        let prompt = match self.attempts.is_bare() {
            true => Prompt::bare(&self.rules, &self.request, self.language),
            false => Prompt::new(&self.rules, &self.request, self.language),
        };
        let (temperature, attempt) = self.attempts.temperature(&self.request);
        self.stage =
            Stage::Decode { prompt, search: Search::new(&self.request.search, temperature, attempt) };
    }

    fn tried(&mut self, search: Search) {
        let found = search.finish(self.request.search.length_penalty);
        self.judged = self.attempts.judge(&self.rules, &self.request, found, self.no_speech_prob);
        let Some(judged) = &self.judged else { return self.attempt() };
        let spoken = judged.verdict == Verdict::Accept && !self.text().is_empty();
        self.stage = match self.request.words && spoken && self.frames() > 0 {
            true => Stage::Align,
            false => Stage::Done,
        };
    }

    fn text(&self) -> Vec<Token> {
        self.judged.as_ref().map_or_else(Vec::new, |judged| self.rules.spoken(&judged.tokens))
    }

    fn start_sequence(&self) -> Vec<Token> {
        start_sequence(&self.rules, self.request.task, self.language)
    }

    fn frames(&self) -> usize {
        (self.audio.as_nanos() / FRAME.as_nanos()) as usize
    }

    /// Follows `find_alignment`, openai/whisper timing.py at c0d2f624, lines 176-183: the text is read as one without
    /// timestamps.
    fn align_row(&self, seat: Seat) -> AlignRow {
        let specials = self.rules.specials();
        let mut tokens = self.start_sequence();
        tokens.push(specials.no_timestamps);
        tokens.extend(self.text());
        tokens.push(specials.end_of_text);
        AlignRow {
            slot: seat.slot,
            lane: seat.lanes[0],
            tokens,
            frames: self.frames(),
            text_below: specials.end_of_text,
        }
    }
}
