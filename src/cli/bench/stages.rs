//! A loaded model, a batch and a number of tokens in; how long each stage of the work took, run by run, out.
//!
//! The model is driven as the engine drives it, by its trait alone, but nothing is queued, no text is made, and what it says
//! decides nothing: every window gets exactly as many tokens as were asked for.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::audio::{LogMel, MelFilters, WINDOW_FRAMES, WINDOW_SAMPLES};
use crate::model::{AlignRow, Constraint, Lane, Model, ModelError, ModelInfo, Pick, Sample, Slot, Step};
use crate::telemetry::Cores;
use crate::text::{Specials, Token};

/// What the windows are and what is read before the first token.
pub struct Work {
    filters: MelFilters,
    /// 30 s of sound each, no two alike.
    windows: Vec<Vec<f32>>,
    prompt: Vec<Token>,
    /// Never chosen: the end of text, and whatever is no text.
    forbidden: Range<Token>,
}

/// Start of transcript, language, task, no timestamps.
const LONGEST_PROMPT: usize = 4;

/// A decoder has so many positions, of which the prompt takes some and the end of text one.
pub fn most_tokens(text_ctx: usize) -> usize {
    text_ctx.saturating_sub(LONGEST_PROMPT + 1)
}

/// One run over one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub mel: Duration,
    pub encode: Duration,
    /// Steps of one token a row; the first token comes of the prompt, which is read in one piece before.
    pub steps: Vec<Duration>,
    /// From the samples to the last token.
    pub end_to_end: Duration,
    /// What this process had of the cores meanwhile; `None`: the system does not tell.
    pub cores: Option<Cores>,
    /// Of the words over the audio, afterwards.
    pub align: Duration,
}

impl Work {
    pub fn new(model: &ModelInfo, specials: &Specials, windows: usize) -> Self {
        let mut prompt = vec![specials.start_of_transcript];
        if model.multilingual {
            prompt.extend(specials.languages.first().map(|(_, token)| *token));
            prompt.push(specials.transcribe);
        }
        prompt.push(specials.no_timestamps);
        Work {
            filters: MelFilters::new(model.n_mels),
            windows: (0..windows).map(sound).collect(),
            prompt,
            forbidden: specials.end_of_text..model.vocab as Token,
        }
    }

    /// `batch` windows together, `tokens` (2 at least) of each.
    pub fn run(&self, model: &mut dyn Model, batch: usize, tokens: usize) -> Result<Run, ModelError> {
        let before = Cores::read();
        let started = Instant::now();
        let windows = &self.windows[..batch];
        let mels: Vec<LogMel> = windows.par_iter().map(|samples| self.filters.log_mel(samples)).collect();
        let mels =
            mels.into_iter().enumerate().map(|(slot, mel)| (Slot(slot), Arc::new(mel))).collect::<Vec<_>>();
        let mel = started.elapsed();

        let (encode, ()) = timed(|| model.encode(&mels))?;

        let start = (0..batch).map(|row| self.step(row, 0, self.prompt.clone())).collect::<Vec<_>>();
        let mut said: Vec<Vec<Token>> = vec![Vec::with_capacity(tokens); batch];
        take(&mut said, model.step(&[], &start)?)?;
        let mut steps = Vec::with_capacity(tokens);
        for position in self.prompt.len()..self.prompt.len() + tokens - 1 {
            let next =
                |(row, said): (usize, &Vec<Token>)| self.step(row, position, said[said.len() - 1..].to_vec());
            let rows = said.iter().enumerate().map(next).collect::<Vec<_>>();
            let (took, samples) = timed(|| model.step(&[], &rows))?;
            steps.push(took);
            take(&mut said, samples)?;
        }
        let end_to_end = started.elapsed();
        let cores = Cores::read().zip(before).map(|(now, before)| now.since(before));

        let rows =
            said.into_iter().enumerate().map(|(row, said)| self.align_row(row, &said)).collect::<Vec<_>>();
        let (align, _) = timed(|| model.align(&rows))?;
        Ok(Run { mel, encode, steps, end_to_end, cores, align })
    }

    fn step(&self, row: usize, position: usize, tokens: Vec<Token>) -> Step {
        let constraint = Constraint { forbid: vec![self.forbidden.clone()], ..Constraint::default() };
        let (slot, lane, pick) = (Slot(row), Lane(row), Pick::Likeliest(1));
        Step { slot, lane, position, tokens, constraint, pick, probe: None }
    }

    fn align_row(&self, row: usize, said: &[Token]) -> AlignRow {
        let end = self.forbidden.start;
        AlignRow {
            slot: Slot(row),
            lane: Lane(row),
            tokens: [&self.prompt[..], said, &[end]].concat(),
            frames: WINDOW_FRAMES / 2,
            text_below: end,
        }
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T, ModelError>) -> Result<(Duration, T), ModelError> {
    let started = Instant::now();
    let done = work()?;
    Ok((started.elapsed(), done))
}

/// One token more of each row.
fn take(said: &mut [Vec<Token>], samples: Vec<Sample>) -> Result<(), ModelError> {
    if samples.len() != said.len() {
        return Err(ModelError::Device(format!("{} rows gave {} tokens", said.len(), samples.len())));
    }
    for (said, sample) in said.iter_mut().zip(samples) {
        let best = sample.choices.first().filter(|best| best.logprob.is_finite());
        let best = best.ok_or_else(|| ModelError::Device("the network gave NaN".to_owned()))?;
        said.push(best.token);
    }
    Ok(())
}

/// Like speech to a spectrogram: a gliding voice of many harmonics, syllables, breath. No pause of it is empty.
fn sound(window: usize) -> Vec<f32> {
    let mut noise = 0x9E37_79B9_u32.wrapping_mul(window as u32 + 1);
    let pitch = 90.0 + (window * 37 % 120) as f32;
    let mut phase = 0.0f32;
    (0..WINDOW_SAMPLES)
        .map(|at| {
            let time = at as f32 / 16_000.0;
            phase = (phase + (pitch + 30.0 * (time * 1.7).sin()) / 16_000.0).fract();
            let syllable = (time * (3.1 + window as f32 * 0.07) * std::f32::consts::PI).sin().abs();
            // A sawtooth has every harmonic.
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let breath = (noise >> 8) as f32 / (1 << 23) as f32 - 1.0;
            0.3 * syllable * (2.0 * phase - 1.0) + 0.02 * breath
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alignment, Capacity, Choice, Fork};

    /// Says its own number of calls, and notes what it was asked.
    #[derive(Default)]
    struct Counting {
        encoded: Vec<usize>,
        read: Vec<Vec<(usize, Vec<Token>)>>,
        aligned: Vec<AlignRow>,
    }

    impl Model for Counting {
        fn capacity(&self) -> Capacity {
            Capacity { slots: 4, lanes: 4 }
        }

        fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
            assert!(windows.iter().all(|(_, mel)| mel.values.len() == mel.n_mels * WINDOW_FRAMES));
            self.encoded.push(windows.len());
            Ok(())
        }

        fn step(&mut self, _: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
            assert!(steps.iter().all(|step| step.constraint.forbid == [100..200]));
            self.read.push(steps.iter().map(|step| (step.position, step.tokens.clone())).collect());
            let token = self.read.len() as Token;
            let sample = Sample { choices: vec![Choice { token, logprob: -0.1 }], probe: None };
            Ok(vec![sample; steps.len()])
        }

        fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
            self.aligned = rows.to_vec();
            Ok(Vec::new())
        }
    }

    fn work(multilingual: bool) -> Work {
        let model = ModelInfo { n_mels: 80, vocab: 200, text_ctx: 20, multilingual, ..ModelInfo::default() };
        let specials = Specials {
            end_of_text: 100,
            start_of_transcript: 101,
            translate: 103,
            transcribe: 104,
            start_of_lm: 105,
            start_of_previous: 106,
            no_speech: 107,
            no_timestamps: 108,
            timestamp_begin: 109,
            languages: vec![(crate::text::language::ALL[0], 102)],
        };
        Work::new(&model, &specials, 3)
    }

    #[test]
    fn every_row_gets_exactly_the_tokens_asked_for() {
        let mut model = Counting::default();
        let run = work(true).run(&mut model, 2, 5).unwrap();
        assert_eq!(model.encoded, [2]);
        assert_eq!(run.steps.len(), 4);
        assert_eq!(model.read.len(), 5);
        assert_eq!(model.read[0], vec![(0, vec![101, 102, 104, 108]); 2]);
        assert_eq!(
            model.read[1..].iter().map(|rows| rows[1].clone()).collect::<Vec<_>>(),
            [(4, vec![1]), (5, vec![2]), (6, vec![3]), (7, vec![4]),]
        );
        assert_eq!(model.aligned.len(), 2);
        assert_eq!(model.aligned[1].tokens, [101, 102, 104, 108, 1, 2, 3, 4, 5, 100]);
        assert!(run.end_to_end >= run.mel + run.encode + run.steps.iter().sum::<Duration>());
    }

    #[test]
    fn as_many_tokens_as_the_decoder_has_room_for() {
        let mut model = Counting::default();
        work(true).run(&mut model, 1, most_tokens(20)).unwrap();
        assert_eq!(model.aligned[0].tokens.len(), 20);
        let mut english = Counting::default();
        work(false).run(&mut english, 1, 2).unwrap();
        assert_eq!(english.read[0], [(0, vec![101, 108])]);
    }

    #[test]
    fn windows_are_alive_and_no_two_are_alike() {
        let (one, other) = (sound(0), sound(1));
        assert_ne!(one, other);
        for window in [one, other] {
            assert!(window.iter().all(|sample| sample.abs() < 1.0));
            let power =
                |part: &[f32]| part.iter().map(|sample| sample * sample).sum::<f32>() / part.len() as f32;
            assert!(window.chunks(1600).all(|part| power(part) > 1e-5));
        }
    }
}
