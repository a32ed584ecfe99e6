//! The use case, top to bottom: the bytes of an upload in, a `Transcript` out. Read this first.

mod account;
mod ahead;
mod asked;
mod canary;
mod chapters;
mod hearing;
mod independent;
mod language;
mod omissions;
mod places;
mod sequential;
mod sound;
mod telling;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use self::account::Account;
pub use self::ahead::Progress;
use self::ahead::{Ahead, Share};
use self::asked::Asked;
pub use self::canary::Canary;
use self::canary::Perch;
use self::chapters::chapter_samples;
use self::places::Places;
pub use self::sound::Sound;
pub use self::telling::Hearer;
use self::telling::Told;
use crate::audio::{AudioError, DecodeError, Decoder, LogMel, MelFilters, Pcm, Timeline, Window};
use crate::decoding::{Request, Rules, Sequence};
use crate::engine::{Class, Engine, EngineError, Fault, Load, Outcome, Ticket};
use crate::model::ModelInfo;
use crate::text::{Token, Tokenizer};
use crate::transcript::{LongForm, Options, Transcript};

/// Uploads up to this size are decoded ahead of larger ones: half a minute as a WAV file of 16 kHz, five as an MP3.
const SMALL: usize = 1 << 20;

/// What the operator may set (`[transcriber]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Uploads and windows prepared at once (decoding, speech detection, log-mel); 0: as many as there are CPU cores.
    pub cpu_tasks: usize,
    /// Windows of one request that may be on their way to or in the engine at once. A long file leaves room for
    /// others by this.
    pub windows_in_flight: usize,
    /// Longer recordings are read and heard in chapters of at most so many seconds, cut in pauses: two of them are in memory at a
    /// time. 0: as a whole, as are those whose channels are apart, that are sequential, or that change their language.
    pub chapter_seconds: u64,
    /// Recordings with no more speech than this, in seconds, are interactive: they go ahead of longer ones.
    pub interactive_seconds: u64,
    /// Of recordings no longer than this, in seconds, the encoder hears no more silence than 2.56 s after them (10 s in all at
    /// least), instead of 30 s: an answer in half the time, from a model that was trained on whole windows. 0: never.
    pub short_context_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            cpu_tasks: 0,
            windows_in_flight: 16,
            chapter_seconds: 600,
            interactive_seconds: 30,
            short_context_seconds: 0,
        }
    }
}

/// What a caller may say of a request beside what is to be heard and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// From then on nobody wants the answer.
    pub deadline: Option<Instant>,
    /// However short it is, others go first.
    pub is_patient: bool,
    /// Whose request it is, where callers are known; 0: nobody's. Each key gets the same share of the device.
    pub key: u64,
}

/// Everything between the wire and the device; one for the process, shared by all requests.
#[derive(Debug)]
pub struct Transcriber {
    engine: Engine,
    rules: Arc<Rules>,
    mel: Arc<MelFilters>,
    model: ModelInfo,
    decoder: Decoder,
    /// Uploads that are decoded, or decoded and without room in memory.
    decoding: Places,
    /// Work on the CPU.
    cpu: Places,
    windows_in_flight: usize,
    /// Samples of a chapter; `None`: a recording is one.
    chapter: Option<usize>,
    interactive: Duration,
    /// Recordings no longer than this are heard with a short context.
    short: Duration,
    ahead: Arc<Ahead>,
    requests: AtomicU64,
    perch: Perch,
}

/// The loaded model as the transcriber needs it: its rules with its words, and its facts, not its weights.
#[derive(Debug)]
pub struct Voice {
    pub rules: Rules,
    pub model: ModelInfo,
}

impl Transcriber {
    pub fn new(engine: Engine, voice: Voice, decoder: impl Into<Decoder>, settings: &Settings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Long recordings are prepared far sooner than the device can take them; a core is left to what is short.
        let (cpu_tasks, batch_tasks) = match settings.cpu_tasks {
            0 => (cores, (cores - 1).max(1)),
            tasks => (tasks, tasks),
        };
        Transcriber {
            engine,
            rules: Arc::new(voice.rules),
            mel: Arc::new(MelFilters::new(voice.model.n_mels)),
            model: voice.model,
            decoder: decoder.into(),
            decoding: Places::new(cpu_tasks, batch_tasks),
            cpu: Places::new(cpu_tasks, batch_tasks),
            windows_in_flight: settings.windows_in_flight.max(1),
            chapter: chapter_samples(settings.chapter_seconds),
            interactive: Duration::from_secs(settings.interactive_seconds),
            short: Duration::from_secs(settings.short_context_seconds),
            ahead: Arc::default(),
            requests: AtomicU64::new(0),
            perch: Perch::default(),
        }
    }

    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    pub fn load(&self) -> Load {
        Load {
            audio_seconds_ahead: self.ahead.audio().as_secs_f64(),
            audio_seconds_in: self.ahead.entered().as_secs_f64(),
            ..self.engine.load()
        }
    }

    pub fn last_fault(&self) -> Option<Fault> {
        self.engine.last_fault()
    }

    pub async fn transcribe(&self, upload: Bytes, options: &Options) -> Result<Transcript, TranscribeError> {
        self.transcribe_on(upload.into(), options, Terms::default(), None).await
    }

    /// `hearer`: who is told of the text while it is being made.
    pub async fn transcribe_on(
        &self,
        sound: Sound,
        options: &Options,
        terms: Terms,
        hearer: Option<Hearer>,
    ) -> Result<Transcript, TranscribeError> {
        self.transcribe_watched(sound, (options, terms), hearer, &Progress::default()).await
    }

    /// `progress` says meanwhile how far it is.
    pub async fn transcribe_watched(
        &self,
        sound: Sound,
        (options, terms): (&Options, Terms),
        hearer: Option<Hearer>,
        progress: &Progress,
    ) -> Result<Transcript, TranscribeError> {
        let started = Instant::now();
        let asked = self.asked(options)?;
        let account = Arc::new(Account { rules: self.rules.clone(), model: self.model.clone(), asked });
        let recording = self.open(sound, options, terms, progress).instrument(info_span!("open")).await?;
        let (recording, pieces) = self.hear(recording, &account, hearer).await?;
        let class = recording.ticket.class;
        let mut transcript = self.on_cpu(class, move || account.transcript(&recording, pieces)).await?;
        transcript.receipt.timing.total = started.elapsed();
        Ok(transcript)
    }

    /// Whether the loaded model can do what is asked, before there is anything to hear.
    pub fn check(&self, options: &Options) -> Result<(), TranscribeError> {
        self.asked(options).map(drop)
    }

    async fn listen(&self, take: &Take, asked: &Asked) -> Result<Heard, TranscribeError> {
        match asked.long_form {
            LongForm::Independent { longest } => self.independently(take, asked, longest).await,
            LongForm::Sequential { .. } => self.sequentially(take, asked).await,
        }
    }

    /// One window through the engine, as it is.
    async fn window(
        &self,
        take: &Take,
        window: Window,
        request: Request,
    ) -> Result<Listened, TranscribeError> {
        let (filters, pcm, cut) = (self.mel.clone(), take.pcm.clone(), window.clone());
        let is_short = take.start.is_zero() && pcm.duration() <= self.short;
        let mel = move || {
            let mel = filters.log_mel(&cut.samples(&pcm));
            if is_short { mel.short(cut.duration()) } else { mel }
        };
        self.window_of(take, window, mel, request).await
    }

    /// The same with a log-mel of another making.
    async fn window_of(
        &self,
        take: &Take,
        window: Window,
        mel: impl FnOnce() -> LogMel + Send + 'static,
        request: Request,
    ) -> Result<Listened, TranscribeError> {
        // A place first: a log-mel that waits takes a megabyte.
        let place = self.engine.place(take.ticket).await?;
        let (mel, mel_time) = self
            .on_cpu(take.ticket.class, move || {
                let started = Instant::now();
                (mel(), started.elapsed())
            })
            .await?;
        let sequence = Sequence::new(self.rules.clone(), request, Arc::new(mel), window.duration());
        let span =
            info_span!("window", queue_ms = Empty, encode_ms = Empty, generate_ms = Empty, batch = Empty);
        let outcome = place.submit(sequence).instrument(span.clone()).await?;
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        span.record("queue_ms", millis(outcome.queue)).record("encode_ms", millis(outcome.encode));
        span.record("generate_ms", millis(outcome.generate)).record("batch", outcome.batch_size);
        take.done(window.duration());
        Ok(Listened { window, mel_time, outcome })
    }

    /// CPU-bound work, at most `cpu_tasks` of a class at once, never on the threads that serve sockets.
    async fn on_cpu<R: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, TranscribeError> {
        let permit = self.cpu.take(class).await?;
        let span = Span::current();
        let task = tokio::task::spawn_blocking(move || {
            // What is logged there bears the request's id.
            let _span = span.entered();
            // Held by the work, not by the caller: work of a caller that left still takes its core to the end.
            let _permit = permit;
            work()
        });
        task.await.map_err(|error| TranscribeError::Internal(error.to_string()))
    }

    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed)
    }

    fn tokenizer(&self) -> &Tokenizer {
        self.rules.tokenizer()
    }
}

/// A chapter's one channel, or all of them mixed, and what of it is transcribed.
#[derive(Debug, Default)]
struct Take {
    /// Where channels are transcribed apart.
    channel: Option<usize>,
    /// Where in the recording it begins; all other times and places are its own.
    start: Duration,
    pcm: Arc<Pcm>,
    /// Where somebody speaks, in samples; `None`: nobody looked.
    speech: Option<Arc<[Range<usize>]>>,
    timeline: Timeline,
    ticket: Ticket,
    /// What of it is still to be heard, for all to see; `None`: nobody looks.
    ahead: Option<Share>,
    /// Who is told of its text as it is made.
    told: Option<Told>,
}

impl Take {
    /// The same for a look at it elsewhere.
    fn view(&self) -> Take {
        Take {
            channel: self.channel,
            start: self.start,
            pcm: self.pcm.clone(),
            speech: self.speech.clone(),
            timeline: self.timeline.clone(),
            ticket: self.ticket,
            ..Take::default()
        }
    }

    /// So much of it has been heard. What is heard again counts once.
    fn done(&self, audio: Duration) {
        if let Some(ahead) = &self.ahead {
            ahead.done(audio);
        }
    }
}

/// All of a take through the engine.
#[derive(Debug, Default)]
struct Heard {
    windows: Vec<Listened>,
    /// The take's language; `None` for English-only models and where nobody spoke.
    language: Option<Token>,
    /// What detection found, the likeliest first; empty where the caller named the language.
    languages: Vec<(Token, f32)>,
}

/// A window that went through the engine.
#[derive(Debug)]
struct Listened {
    window: Window,
    mel_time: Duration,
    outcome: Outcome,
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

impl From<DecodeError> for TranscribeError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Audio(error) | DecodeError::GaveUp { error, .. } => TranscribeError::Audio(error),
            DecodeError::Internal(detail) => TranscribeError::Internal(detail),
        }
    }
}
