//! The reference's sequential mode against OpenAI's own `transcribe`, both around a model that answers by script: where each
//! window begins, what it is told of the text before it, at which temperatures it is tried, and which segments come of it.
//!
//! Recorded by tools/parity (its README says how). Left out are scripts whose last attempt fails: there the reference takes the
//! hottest text and we the likeliest, and of a loop what it repeats is withheld.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/fake_model.rs"]
#[allow(dead_code, reason = "its tokenizer alone is used")]
mod fake_model;

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use verbatim::audio::{LogMel, SAMPLE_RATE};
use verbatim::decoding::{Rules, compression_ratio};
use verbatim::engine::Engine;
use verbatim::model::{
    AlignRow, Alignment, Capacity, Choice, Fork, Generation, Model, ModelError, ModelInfo, Pick, Sample,
    Slot, Step,
};
use verbatim::text::{Token, Tokenizer, language};
use verbatim::transcriber::{Settings, Transcriber, Voice};
use verbatim::transcript::{Context, Fallback, LongForm, Options, Speech, Transcript};

#[derive(Deserialize)]
struct Recorded {
    scripts: Vec<Script>,
}

#[derive(Deserialize)]
struct Script {
    name: String,
    frames: usize,
    options: Asked,
    attempts: Vec<Attempt>,
    segments: Vec<Expected>,
}

#[derive(Deserialize)]
struct Asked {
    condition_on_previous_text: bool,
    initial_prompt: Option<String>,
    carry_initial_prompt: bool,
    temperature: Vec<f32>,
    compression_ratio_threshold: Option<f32>,
    logprob_threshold: Option<f32>,
    no_speech_threshold: Option<f32>,
    clip_timestamps: Vec<f64>,
}

#[derive(Clone, Deserialize)]
struct Attempt {
    seek: usize,
    prompt: Vec<Token>,
    temperature: f32,
    tokens: Vec<Token>,
    avg_logprob: f32,
    no_speech_prob: f32,
    compression_ratio: f32,
}

#[derive(Deserialize)]
struct Expected {
    seek: usize,
    start: f64,
    end: f64,
    text: String,
    tokens: Vec<Token>,
    temperature: f32,
}

/// A prompt and a temperature.
type AskedOnce = (Vec<Token>, f32);

/// Says the attempts of a script one after the other, and notes how it was asked.
struct Scripted {
    tokenizer: Arc<Tokenizer>,
    attempts: std::vec::IntoIter<Attempt>,
    current: Option<Attempt>,
    said: usize,
    asked: Arc<Mutex<Vec<AskedOnce>>>,
}

impl Model for Scripted {
    fn capacity(&self) -> Capacity {
        Capacity { slots: 1, lanes: 1 }
    }

    fn encode(&mut self, _: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        Ok(())
    }

    fn step(&mut self, _: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
        let (step, specials) = (&steps[0], self.tokenizer.specials());
        if step.position == 0 {
            self.current = self.attempts.next();
            self.said = 0;
            let start = step.tokens.iter().position(|token| *token == specials.start_of_transcript).unwrap();
            let prompt = step.tokens[..start].iter().skip(1).copied().collect();
            let temperature = match step.pick {
                Pick::Likeliest(_) => 0.0,
                Pick::Drawn { temperature, .. } => temperature,
            };
            self.asked.lock().unwrap().push((prompt, temperature));
        }
        let attempt = self.current.as_ref().expect("the script is long enough");
        let token = attempt.tokens.get(self.said).copied().unwrap_or(specials.end_of_text);
        self.said += 1;
        let choices = vec![Choice { token, logprob: attempt.avg_logprob }];
        Ok(vec![Sample { choices, probe: step.probe.map(|_| attempt.no_speech_prob) }])
    }

    fn align(&mut self, _: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        unreachable!("no script asks for words")
    }
}

impl Script {
    fn is_ours(&self, tokenizer: &Tokenizer) -> bool {
        let options = &self.options;
        let plain = options.clip_timestamps == [0.0]
            && !(options.carry_initial_prompt && options.initial_prompt.is_some());
        let fails = |attempt: &Attempt| {
            let ratio = compression_ratio(tokenizer.decode(&attempt.tokens).trim());
            let most = options.compression_ratio_threshold.unwrap_or(f32::INFINITY);
            let is_loop = attempt.compression_ratio > most;
            let unlikely = options.logprob_threshold.is_some_and(|least| attempt.avg_logprob < least);
            let silent = options.no_speech_threshold.is_some_and(|most| attempt.no_speech_prob > most);
            ((ratio > most) != is_loop, (is_loop || unlikely) && !(silent && unlikely), is_loop)
        };
        let hottest = options.temperature.last();
        plain
            && self.attempts.iter().all(|attempt| {
                let (forged, failed, is_loop) = fails(attempt);
                let last = Some(&attempt.temperature) == hottest;
                !forged && !(failed && last && (options.temperature.len() > 1 || is_loop))
            })
    }

    fn options(&self) -> Options {
        let asked = &self.options;
        Options {
            language: language::by_code("en"),
            context: Context { prompt: asked.initial_prompt.clone(), ..Context::default() },
            long_form: LongForm::Sequential {
                condition_on_previous_text: asked.condition_on_previous_text,
                prompt_reset_on_temperature: 0.5,
            },
            fallback: Fallback {
                temperatures: asked.temperature.clone(),
                compression_ratio_threshold: asked.compression_ratio_threshold,
                logprob_threshold: asked.logprob_threshold,
                no_speech_threshold: asked.no_speech_threshold,
            },
            speech: Speech { detect: false, ..Speech::default() },
            ..Options::default()
        }
    }

    async fn play(&self) -> (Transcript, Vec<(Vec<Token>, f32)>) {
        let tokenizer = Arc::new(fake_model::tokenizer());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let model = Scripted {
            tokenizer: tokenizer.clone(),
            attempts: self.attempts.clone().into_iter(),
            current: None,
            said: 0,
            asked: asked.clone(),
        };
        let info = ModelInfo {
            n_mels: 80,
            vocab: tokenizer.specials().timestamp_begin as usize + 1501,
            text_ctx: 448,
            multilingual: true,
            slots: 1,
            lanes: 1,
            ..ModelInfo::default()
        };
        let generation = Generation { max_initial_timestamp_index: Some(1500), ..Generation::default() };
        let voice = Voice { rules: Rules::new(tokenizer, &generation, &info), model: info };
        let (engine, _worker) = Engine::start(Box::new(model), Default::default());
        let limits = verbatim::audio::Settings::default().limits();
        let transcriber = Transcriber::new(engine, voice, limits, &Settings::default());
        let heard = transcriber.transcribe(silence(self.frames), &self.options()).await.unwrap();
        let asked = asked.lock().unwrap().clone();
        (heard, asked)
    }
}

/// A WAV of so many frames of 10 ms.
fn silence(frames: usize) -> bytes::Bytes {
    let bytes = frames * SAMPLE_RATE / 100 * 2;
    let mut wav =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
    wav.extend((bytes as u32).to_le_bytes());
    wav.resize(wav.len() + bytes, 0);
    wav.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_follow_each_other_as_in_the_reference() {
    let recorded: Recorded = serde_json::from_str(include_str!("fixtures/parity/sequential.json")).unwrap();
    let tokenizer = fake_model::tokenizer();
    let scripts: Vec<&Script> = recorded.scripts.iter().filter(|script| script.is_ours(&tokenizer)).collect();
    assert!(scripts.len() >= 30, "{} scripts", scripts.len());
    for script in &scripts {
        let (heard, asked) = script.play().await;
        let name = &script.name;
        let wanted: Vec<(Vec<Token>, f32)> = script
            .attempts
            .iter()
            .map(|attempt| {
                // The decoder reads the last 223 tokens of what it is told.
                let prompt = &attempt.prompt[attempt.prompt.len().saturating_sub(223)..];
                (prompt.to_vec(), attempt.temperature)
            })
            .collect();
        assert_eq!(asked, wanted, "{name}: what was asked of the model");
        let mut seeks: Vec<usize> = script.attempts.iter().map(|attempt| attempt.seek).collect();
        seeks.dedup();
        let ours: Vec<usize> =
            heard.windows.iter().map(|span| span.start.as_millis() as usize / 10).collect();
        assert_eq!(ours, seeks, "{name}: where windows begin");
        let expected: Vec<&Expected> =
            script.segments.iter().filter(|segment| !segment.text.trim().is_empty()).collect();
        assert_eq!(heard.segments.len(), expected.len(), "{name}: {:#?}", heard.segments);
        for (ours, theirs) in heard.segments.iter().zip(expected) {
            assert_eq!((&ours.text, &ours.tokens), (&theirs.text, &theirs.tokens), "{name}");
            assert_eq!(ours.temperature, theirs.temperature, "{name}");
            assert_eq!(ours.window_start.as_millis() as usize / 10, theirs.seek, "{name}");
            // The reference lets a segment reach beyond the end of the file.
            let length = script.frames as f64 / 100.0;
            let (start, end) = (theirs.start.min(length), theirs.end.min(length));
            // Where a window has a single segment, ours begins at its timestamp and the reference's at the window; and where
            // it is open, ours ends with the window, the reference's at the timestamp that opens it.
            let begins = (ours.start.as_secs_f64() - start).abs() < 0.011;
            let at_window = (start * 100.0 - theirs.seek as f64).abs() < 1e-6;
            assert!(begins || at_window, "{name}: {ours:?} {start}");
            let is_open = theirs.tokens.last().is_some_and(|token| tokenizer.specials().is_text(*token));
            let ends = (ours.end.as_secs_f64() - end).abs() < 0.011;
            assert!(ends || at_window && is_open, "{name}: {ours:?} {end}");
        }
    }
    println!("{} scripts of {}", scripts.len(), recorded.scripts.len());
}
