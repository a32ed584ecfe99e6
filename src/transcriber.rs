//! The use case, top to bottom: the bytes of an upload in, a `Transcript` out. Read this first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use crate::audio::{self, AudioError, Decoded, LogMel, MelFilters, Pcm, Timeline, WINDOW_SECONDS, Window};
use crate::decoding::{Request, Rules, Sequence, Verdict, judge};
use crate::engine::{Engine, EngineError, Load, Outcome};
use crate::model::ModelInfo;
use crate::text::{Token, Tokenizer, language};
use crate::timing::{Placed, segments};
use crate::transcript::{
    DropReason, Dropped, Language, Options, Receipt, Segment, Span, Task, Timing, Transcript,
};

/// What the operator may set (`[transcriber]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Uploads and windows prepared at once (decoding, resampling, log-mel); 0: as many as there are CPU cores.
    pub cpu_tasks: usize,
    /// Windows of one request that may be on their way to or in the engine at once. A long file leaves room for
    /// others by this.
    pub windows_in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { cpu_tasks: 0, windows_in_flight: 16 }
    }
}

/// Everything between the wire and the device; one for the process, shared by all requests.
#[derive(Debug)]
pub struct Transcriber {
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
    rules: Arc<Rules>,
    mel: Arc<MelFilters>,
    model: ModelInfo,
    limits: audio::Limits,
    cpu: Arc<Semaphore>,
    windows_in_flight: usize,
}

/// The loaded model as the transcriber needs it: its words and its facts, not its weights.
#[derive(Debug)]
pub struct Voice {
    pub tokenizer: Tokenizer,
    pub rules: Rules,
    pub model: ModelInfo,
}

impl Transcriber {
    pub fn new(engine: Engine, voice: Voice, limits: audio::Limits, settings: &Settings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu_tasks = if settings.cpu_tasks == 0 { cores } else { settings.cpu_tasks };
        Transcriber {
            engine,
            tokenizer: Arc::new(voice.tokenizer),
            rules: Arc::new(voice.rules),
            mel: Arc::new(MelFilters::new(voice.model.n_mels)),
            model: voice.model,
            limits,
            cpu: Arc::new(Semaphore::new(cpu_tasks)),
            windows_in_flight: settings.windows_in_flight.max(1),
        }
    }

    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    pub fn load(&self) -> Load {
        self.engine.load()
    }

    pub async fn transcribe(&self, upload: Bytes, options: &Options) -> Result<Transcript, TranscribeError> {
        let started = Instant::now();
        let request = self.request(options)?;
        let (decoded, windows, decode_time) = self.decode(upload).await?;
        let pcm = Arc::new(decoded.pcm);
        let duration = pcm.duration();
        let results = self.windows(&pcm, windows, request).await?;

        let language = self.spoken(options, &results);
        let mut transcript = Transcript {
            task: options.task,
            language: language.0,
            language_probability: language.1,
            languages: Vec::new(),
            duration,
            segments: Vec::new(),
            dropped: Vec::new(),
            fallbacks: Vec::new(),
            windows: results
                .iter()
                .map(|result| Span { start: result.window.start(), end: result.window.end() })
                .collect(),
            warnings: Vec::new(),
            words: false,
            incomplete: decoded.incomplete,
            receipt: self.receipt(&results),
        };
        for result in &results {
            let placed = self.place(result);
            match judge(&result.outcome.hypothesis) {
                Verdict::NoSpeech => transcript.dropped.extend(withheld(result, &placed)),
                Verdict::Accept => {
                    transcript.dropped.extend(missing(result, &placed));
                    transcript.segments.extend(placed);
                }
            }
        }
        transcript.receipt.timing.decode = decode_time;
        transcript.receipt.timing.total = started.elapsed();
        Ok(transcript)
    }

    /// Runs a window of silence through everything, so that the first caller does not wait for caches and kernels.
    pub async fn warm_up(&self) -> Result<Duration, TranscribeError> {
        let started = Instant::now();
        let request =
            Request { language: self.rules.specials().languages.first().map(|l| l.1), ..Default::default() };
        let pcm = Arc::new(Pcm::from_16k_mono(vec![0.0; audio::SAMPLE_RATE]));
        let windows = Timeline::whole(&pcm).windows(&pcm, Duration::from_secs(WINDOW_SECONDS as u64));
        self.windows(&pcm, windows, request).await?;
        Ok(started.elapsed())
    }

    /// What is asked of every window, or why this model cannot do it.
    fn request(&self, options: &Options) -> Result<Request, TranscribeError> {
        let refuse = |param, message| Err(TranscribeError::Options { param, message });
        let specials = self.rules.specials();
        let language = match options.language {
            Some(language) if self.rules.multilingual() => match specials.language_token(language) {
                Some(token) => Some(token),
                None => {
                    let known: Vec<&str> = specials.languages.iter().map(|(known, _)| known.code).collect();
                    let known = known.join(", ");
                    return refuse(
                        "language",
                        format!(
                            "the model {} does not know {}; it knows {known}",
                            self.model.name, language.name
                        ),
                    );
                }
            },
            Some(language) if language.code != "en" => {
                return refuse("language", format!("the model {} understands English only", self.model.name));
            }
            _ => None,
        };
        if options.task == Task::Translate && !self.rules.multilingual() {
            return refuse(
                "task",
                format!("the model {} cannot translate: it understands English only", self.model.name),
            );
        }
        let previous: Vec<Token> = match options.context.prompt.as_deref().map(str::trim) {
            Some(prompt) if !prompt.is_empty() => self.tokenizer.encode(&format!(" {prompt}")),
            _ => Vec::new(),
        };
        Ok(Request {
            task: options.task,
            language,
            previous: previous.into(),
            temperature: options.fallback.temperatures.first().copied().unwrap_or_default(),
            seed: 0,
        })
    }

    async fn decode(&self, upload: Bytes) -> Result<(Decoded, Vec<Window>, Duration), TranscribeError> {
        let limits = self.limits.clone();
        self.on_cpu(move || {
            let started = Instant::now();
            let decoded = audio::decode(upload, &limits)?;
            let windows = Timeline::whole(&decoded.pcm)
                .windows(&decoded.pcm, Duration::from_secs(WINDOW_SECONDS as u64));
            Ok((decoded, windows, started.elapsed()))
        })
        .await?
    }

    /// All windows through the engine, in order. Where the language must be found, the first window finds it for all.
    async fn windows(
        &self,
        pcm: &Arc<Pcm>,
        windows: Vec<Window>,
        mut request: Request,
    ) -> Result<Vec<WindowResult>, TranscribeError> {
        let mut windows = windows.into_iter();
        let mut results = Vec::with_capacity(windows.len());
        let open = request.language.is_none() && self.rules.multilingual();
        if let Some(first) = if open { windows.next() } else { None } {
            let result = self.window(pcm.clone(), first, request.clone()).await?;
            request.language = result.outcome.hypothesis.language;
            results.push(result);
        }
        let rest = stream::iter(windows)
            .map(|window| self.window(pcm.clone(), window, request.clone()))
            .buffered(self.windows_in_flight);
        let rest: Vec<WindowResult> = rest.try_collect().await?;
        results.extend(rest);
        Ok(results)
    }

    async fn window(
        &self,
        pcm: Arc<Pcm>,
        window: Window,
        request: Request,
    ) -> Result<WindowResult, TranscribeError> {
        let (filters, cut) = (self.mel.clone(), window.clone());
        let (mel, mel_time): (LogMel, Duration) = self
            .on_cpu(move || {
                let started = Instant::now();
                (filters.log_mel(&cut.samples(&pcm)), started.elapsed())
            })
            .await?;
        let sequence = Sequence::new(self.rules.clone(), request, Arc::new(mel), window.duration());
        let outcome = self.engine.submit(sequence).await?;
        Ok(WindowResult { window, mel_time, outcome })
    }

    /// CPU-bound work, at most `cpu_tasks` at once, never on the threads that serve sockets.
    async fn on_cpu<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, TranscribeError> {
        let internal = |error: &dyn std::fmt::Display| TranscribeError::Internal(error.to_string());
        let permit = self.cpu.clone().acquire_owned().await.map_err(|error| internal(&error))?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the caller: work of a caller that left still takes its core to the end.
            let _permit = permit;
            work()
        });
        task.await.map_err(|error| internal(&error))
    }

    fn place(&self, result: &WindowResult) -> Vec<Segment> {
        let placed = Placed {
            hypothesis: &result.outcome.hypothesis,
            start: result.window.start(),
            duration: result.window.duration(),
        };
        segments(placed, &self.tokenizer)
    }

    /// The language of the answer, and how sure its detection was.
    fn spoken(&self, options: &Options, results: &[WindowResult]) -> (Language, Option<f32>) {
        let detected = results.first().and_then(|first| {
            let hypothesis = &first.outcome.hypothesis;
            let language = self.rules.specials().language_of(hypothesis.language?)?;
            Some((language, hypothesis.language_probability))
        });
        match (options.language, detected) {
            (Some(language), _) => (language, None),
            (None, Some(detected)) => detected,
            // English-only models are never asked.
            (None, None) => (language::ENGLISH, None),
        }
    }

    fn receipt(&self, results: &[WindowResult]) -> Receipt {
        let sum = |part: fn(&WindowResult) -> Duration| results.iter().map(part).sum();
        Receipt {
            model: self.model.name.clone(),
            device: self.model.device.clone(),
            dtype: self.model.dtype.clone(),
            timing: Timing {
                mel: sum(|result| result.mel_time),
                queue: sum(|result| result.outcome.queue),
                encode: sum(|result| result.outcome.encode),
                generate: sum(|result| result.outcome.generate),
                ..Default::default()
            },
            batch_size_seen: results.iter().map(|result| result.outcome.batch_size).max().unwrap_or(0),
        }
    }
}

/// A window that went through the engine.
#[derive(Debug)]
struct WindowResult {
    window: Window,
    mel_time: Duration,
    outcome: Outcome,
}

/// What is said in the answer about a window whose text is withheld; nothing where there was no text to withhold.
fn withheld(result: &WindowResult, placed: &[Segment]) -> Option<Dropped> {
    let text: String = placed.iter().map(|segment| segment.text.as_str()).collect();
    (!text.trim().is_empty()).then(|| Dropped {
        start: result.window.start(),
        end: result.window.end(),
        channel: None,
        text: text.trim().to_owned(),
        reason: DropReason::NoSpeech,
    })
}

/// What is said in the answer about a window whose text was cut short by the token limit.
fn missing(result: &WindowResult, placed: &[Segment]) -> Option<Dropped> {
    let end = result.window.end();
    result.outcome.hypothesis.cut_short.then(|| Dropped {
        // Times after the last closed segment are not known; from its start on, text may be missing.
        start: placed.last().map_or(result.window.start(), |segment| segment.start),
        end,
        channel: None,
        text: String::new(),
        reason: DropReason::TokenLimit,
    })
}

/// Why an upload gives no transcript.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The loaded model cannot do what `param` asks for; the text says why.
    #[error("{message}")]
    Options { param: &'static str, message: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A bug of ours: a panic in a worker of the CPU pool, say. Details are in the log.
    #[error("internal error")]
    Internal(String),
}
