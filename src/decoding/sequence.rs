//! One window from encoding to its last token: says what it needs next, takes in what came back.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::LogMel;
use crate::model::{Choice, Lane, Pick, Probe, Sample, Slot, Step};
use crate::text::Token;
use crate::transcript::Task;

use super::{Prompt, Rules};

/// What a request wants of each of its windows.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub task: Task,
    /// `None`: detect it, in this window.
    pub language: Option<Token>,
    /// Text before the audio.
    pub previous: Arc<[Token]>,
    pub temperature: f32,
    /// Decides sampling above temperature 0.
    pub seed: u64,
}

/// One window on its way through the engine. Holds its own progress and nothing of anyone else's.
#[derive(Clone, Debug)]
pub struct Sequence {
    rules: Arc<Rules>,
    request: Request,
    mel: Arc<LogMel>,
    /// Length of the audio in the window, for the engine's accounts.
    audio: Duration,
    stage: Stage,
    prompt: Prompt,
    sampled: Vec<Token>,
    sum_logprob: f32,
    no_speech_prob: f32,
    language: Option<Token>,
    language_probability: Option<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Encode,
    DetectLanguage,
    Decode,
    Done,
}

/// What a sequence needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Encode(Arc<LogMel>),
    Step(Step),
    Done,
}

/// What was said in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// Text and timestamps, without the end of text.
    pub tokens: Vec<Token>,
    /// Mean log-probability of the sampled tokens, the end of text counted.
    pub avg_logprob: f32,
    pub no_speech_prob: f32,
    pub temperature: f32,
    /// `None` for English-only models.
    pub language: Option<Token>,
    /// Where the language was detected: how sure that was.
    pub language_probability: Option<f32>,
    /// The token limit was reached before the end of text.
    pub cut_short: bool,
}

impl Sequence {
    pub fn new(rules: Arc<Rules>, request: Request, mel: Arc<LogMel>, audio: Duration) -> Self {
        let prompt = Prompt::new(&rules, &request.previous, request.language, request.task);
        Sequence {
            language: request.language,
            rules,
            request,
            mel,
            audio,
            stage: Stage::Encode,
            prompt,
            sampled: Vec::new(),
            sum_logprob: 0.0,
            no_speech_prob: 0.0,
            language_probability: None,
        }
    }

    pub fn audio(&self) -> Duration {
        self.audio
    }

    /// Tokens sampled so far.
    pub fn len(&self) -> usize {
        self.sampled.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sampled.is_empty()
    }

    /// What to do for this sequence now that it lives in `slot`.
    pub fn next(&self, slot: Slot) -> Work {
        match self.stage {
            Stage::Encode => Work::Encode(self.mel.clone()),
            Stage::DetectLanguage => Work::Step(self.detect_step(slot)),
            Stage::Decode => Work::Step(self.decode_step(slot)),
            Stage::Done => Work::Done,
        }
    }

    /// The window's audio is in its slot.
    pub fn encoded(&mut self) {
        let detect = self.rules.multilingual() && self.language.is_none();
        self.stage = if detect { Stage::DetectLanguage } else { Stage::Decode };
    }

    /// Takes in the answer to the last `Work::Step`.
    pub fn sampled(&mut self, sample: Sample) {
        match self.stage {
            Stage::DetectLanguage => self.detected(sample),
            Stage::Decode => self.decoded(sample),
            Stage::Encode | Stage::Done => {}
        }
    }

    /// What was said, once `next` is `Work::Done`.
    pub fn finish(self) -> Hypothesis {
        let end = self.rules.specials().end_of_text;
        let cut_short = self.sampled.last() != Some(&end);
        let counted = self.sampled.len().max(1) as f32;
        let mut tokens = self.sampled;
        tokens.retain(|token| *token != end);
        Hypothesis {
            tokens,
            avg_logprob: self.sum_logprob / counted,
            no_speech_prob: self.no_speech_prob,
            temperature: self.request.temperature,
            language: self.language,
            language_probability: self.language_probability,
            cut_short,
        }
    }

    fn detect_step(&self, slot: Slot) -> Step {
        Step {
            slot,
            lane: Lane(slot.0),
            position: 0,
            tokens: vec![self.rules.specials().start_of_transcript],
            constraint: self.rules.only_languages(),
            pick: Pick::Likeliest(1),
            probe: None,
        }
    }

    fn detected(&mut self, sample: Sample) {
        self.language = Some(sample.choices[0].token);
        self.language_probability = Some(sample.choices[0].logprob.exp());
        self.prompt = Prompt::new(&self.rules, &self.request.previous, self.language, self.request.task);
        self.stage = Stage::Decode;
    }

    /// The whole prompt at first, then the latest token.
    fn decode_step(&self, slot: Slot) -> Step {
        let (position, tokens, probe) = match self.sampled.last() {
            None => {
                let probe = Probe { index: self.prompt.start, token: self.rules.specials().no_speech };
                (0, self.prompt.tokens.clone(), Some(probe))
            }
            Some(last) => (self.prompt.tokens.len() + self.sampled.len() - 1, vec![*last], None),
        };
        Step {
            slot,
            lane: Lane(slot.0),
            position,
            tokens,
            constraint: self.rules.constraint(&self.sampled),
            pick: match self.request.temperature > 0.0 {
                true => Pick::Drawn { temperature: self.request.temperature, seed: self.request.seed },
                false => Pick::Likeliest(1),
            },
            probe,
        }
    }

    fn decoded(&mut self, sample: Sample) {
        if let Some(probability) = sample.probe {
            self.no_speech_prob = probability;
        }
        let Choice { token, logprob } = sample.choices[0];
        self.sampled.push(token);
        self.sum_logprob += logprob;
        let end = token == self.rules.specials().end_of_text;
        // The next step would read the latest token at this position; there must be one left.
        let next_position = self.prompt.tokens.len() + self.sampled.len() - 1;
        let full = self.sampled.len() >= self.rules.max_tokens() || next_position >= self.rules.text_ctx();
        if end || full {
            self.stage = Stage::Done;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot(3);

    fn sequence(language: Option<Token>) -> Sequence {
        let mel = Arc::new(LogMel { n_mels: 80, values: Vec::new() });
        let request = Request { language, ..Default::default() };
        Sequence::new(Arc::new(Rules::for_tests()), request, mel, Duration::from_secs(3))
    }

    fn sample(token: Token, logprob: f32) -> Sample {
        Sample { choices: vec![Choice { token, logprob }], probe: None }
    }

    fn step(sequence: &Sequence) -> Step {
        match sequence.next(SLOT) {
            Work::Step(step) => step,
            other => panic!("a step was expected, not {other:?}"),
        }
    }

    #[test]
    fn a_window_is_encoded_its_language_found_its_text_read_and_ended() {
        let mut sequence = sequence(None);
        assert!(matches!(sequence.next(SLOT), Work::Encode(_)));
        sequence.encoded();
        assert_eq!(step(&sequence).tokens, [101]);
        sequence.sampled(sample(104, 0.8f32.ln()));
        let first = step(&sequence);
        assert_eq!((first.position, first.tokens.as_slice()), (0, &[101, 104, 106][..]));
        assert_eq!(first.probe, Some(Probe { index: 0, token: 109 }));
        sequence.sampled(Sample { probe: Some(0.25), ..sample(111, -0.5) });
        let second = step(&sequence);
        assert_eq!((second.position, second.tokens.as_slice(), second.probe), (3, &[111][..], None));
        for token in [1, 115, 100] {
            sequence.sampled(sample(token, -0.5));
        }
        assert_eq!(sequence.next(SLOT), Work::Done);
        let hypothesis = sequence.finish();
        assert_eq!(hypothesis.tokens, [111, 1, 115]);
        assert_eq!((hypothesis.language, hypothesis.no_speech_prob), (Some(104), 0.25));
        assert!((hypothesis.avg_logprob + 0.5).abs() < 1e-6);
        assert!((hypothesis.language_probability.unwrap() - 0.8).abs() < 1e-6);
        assert!(!hypothesis.cut_short);
    }

    #[test]
    fn a_known_language_is_not_asked_for() {
        let mut sequence = sequence(Some(102));
        sequence.encoded();
        assert_eq!(step(&sequence).tokens, [101, 102, 106]);
    }

    #[test]
    fn a_window_that_never_ends_is_ended_at_half_the_context() {
        let mut sequence = sequence(Some(102));
        sequence.encoded();
        for _ in 0..20 {
            assert!(matches!(sequence.next(SLOT), Work::Step(_)));
            sequence.sampled(sample(1, -1.0));
        }
        assert_eq!(sequence.next(SLOT), Work::Done);
        let hypothesis = sequence.finish();
        assert!(hypothesis.cut_short);
        assert_eq!(hypothesis.tokens.len(), 20);
    }

    #[test]
    fn a_step_never_stands_beyond_the_context() {
        let mel = Arc::new(LogMel { n_mels: 80, values: Vec::new() });
        let previous: Arc<[Token]> = (0..90).collect();
        let request = Request { language: Some(102), previous, ..Default::default() };
        let mut sequence = Sequence::new(Arc::new(Rules::for_tests()), request, mel, Duration::ZERO);
        sequence.encoded();
        while let Work::Step(step) = sequence.next(SLOT) {
            assert!(step.position + step.tokens.len() <= 40);
            sequence.sampled(sample(1, -1.0));
        }
        assert!(sequence.len() > 10);
    }
}
