//! A `Model` without a network: says what it is told to say, and waits or fails when a test wants it to.

use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;
use verbatim::audio::LogMel;
use verbatim::model::files::ModelFiles;
use verbatim::model::{
    AlignRow, Alignment, Capacity, Choice, Fork, Generation, Model, ModelError, ModelInfo, Sample, Slot, Step,
};
use verbatim::text::{Token, Tokenizer};

/// What the fake does, and to whom it listens.
#[derive(Clone)]
pub struct Behaviour {
    pub slots: usize,
    /// Said of every window, unless the request has a prompt: then the prompt is said, so that each request can be
    /// told from the others.
    pub says: &'static str,
    pub fails: Option<Failure>,
    pub gate: Gate,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour { slots: 4, says: "hello there", fails: None, gate: Gate::default() }
    }
}

#[derive(Clone, Copy)]
pub enum Failure {
    OutOfMemory,
    Device,
    Panic,
}

/// Every call to the model passes here. Starts open.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<(Mutex<bool>, Condvar)>,
    arrivals: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { inner: Arc::new((Mutex::new(true), Condvar::new())), arrivals: watch::Sender::new(0) }
    }
}

impl Gate {
    pub fn shut() -> Gate {
        let gate = Gate::default();
        *gate.inner.0.lock().unwrap() = false;
        gate
    }

    pub fn open(&self) {
        *self.inner.0.lock().unwrap() = true;
        self.inner.1.notify_all();
    }

    /// Resolves once the model has been called so many times, calls that still wait at the gate counted.
    pub async fn reached(&self, calls: usize) {
        self.arrivals.subscribe().wait_for(|arrived| *arrived >= calls).await.unwrap();
    }

    pub fn calls(&self) -> usize {
        *self.arrivals.borrow()
    }

    fn pass(&self) {
        self.arrivals.send_modify(|arrived| *arrived += 1);
        let open = self.inner.0.lock().unwrap();
        drop(self.inner.1.wait_while(open, |open| !*open).unwrap());
    }
}

pub struct FakeModel {
    behaviour: Behaviour,
    tokenizer: Tokenizer,
    /// What is left to say, by slot.
    scripts: Vec<Vec<Token>>,
}

impl FakeModel {
    pub fn new(behaviour: Behaviour) -> Self {
        FakeModel { tokenizer: tokenizer(), scripts: vec![Vec::new(); behaviour.slots], behaviour }
    }

    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: "fake".to_owned(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
            n_mels: 80,
            vocab: self.tokenizer.specials().timestamp_begin as usize + 1501,
            text_ctx: 448,
            multilingual: true,
            slots: self.behaviour.slots,
            lanes: self.behaviour.slots,
            ..ModelInfo::default()
        }
    }

    /// From the first timestamp to the end of text, backwards, so that `pop` gives the next.
    fn script(&self, prompt: &[Token]) -> Vec<Token> {
        let specials = self.tokenizer.specials();
        let previous: Vec<Token> =
            match prompt.iter().position(|token| *token == specials.start_of_transcript) {
                Some(at) => prompt[..at].iter().copied().filter(|token| specials.is_text(*token)).collect(),
                None => Vec::new(),
            };
        let said = if previous.is_empty() {
            self.tokenizer.encode(&format!(" {}", self.behaviour.says))
        } else {
            previous
        };
        // One segment from 0.00 to 1.00 s.
        let mut script = vec![specials.timestamp_begin];
        script.extend(said);
        script.extend([specials.timestamp_begin + 50, specials.end_of_text]);
        script.reverse();
        script
    }

    fn next(&mut self, step: &Step) -> Token {
        let specials = self.tokenizer.specials().clone();
        if step.tokens == [specials.start_of_transcript] {
            // The question is which language this is.
            return specials.languages[0].1;
        }
        if step.position == 0 {
            self.scripts[step.slot.0] = self.script(&step.tokens);
        }
        self.scripts[step.slot.0].pop().unwrap_or(specials.end_of_text)
    }
}

impl Model for FakeModel {
    fn capacity(&self) -> Capacity {
        Capacity { slots: self.behaviour.slots, lanes: self.behaviour.slots }
    }

    fn encode(&mut self, _windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        self.behaviour.gate.pass();
        match self.behaviour.fails {
            None => Ok(()),
            Some(Failure::OutOfMemory) => Err(ModelError::OutOfMemory("the fake is full".to_owned())),
            Some(Failure::Device) => Err(ModelError::Device("the fake fell off the bus".to_owned())),
            Some(Failure::Panic) => panic!("the fake panics"),
        }
    }

    fn step(&mut self, _forks: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
        self.behaviour.gate.pass();
        let sample = |step: &Step| Sample {
            choices: vec![Choice { token: self.next(step), logprob: -0.05 }],
            probe: step.probe.map(|_| 0.01),
        };
        Ok(steps.iter().map(sample).collect())
    }

    /// Each token is heard right after the one before it.
    fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        let align = |row: &AlignRow| {
            let (tokens, frames) = (row.tokens.len(), row.frames);
            let score = |at: usize| if at % frames * tokens / frames == at / frames { 9.0 } else { 0.0 };
            let scores = (0..tokens * frames).map(score).collect();
            Alignment { heads: 1, tokens, frames, scores, probabilities: vec![0.9; tokens - 1] }
        };
        Ok(rows.iter().map(align).collect())
    }
}

/// The demo model's: small, and already in the binary.
pub fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(&ModelFiles::Demo.require("tokenizer.json").unwrap()).unwrap()
}

pub fn generation() -> Generation {
    Generation::default()
}
