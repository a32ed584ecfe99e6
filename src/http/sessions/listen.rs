//! A take that has grown in, what it says so far out; and at its end, all of it again at full quality.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asked::Finish;
use super::intake::heard_so_far;
use super::session::{Finished, Live, Session, State};
use super::store::on_disk;
use crate::audio::{self, AudioError, Pcm};
use crate::http::error::{ApiError, Next};
use crate::live::agreement::{Said, text};
use crate::transcriber::{Sound, Terms, TranscribeError, Transcriber};
use crate::transcript::{Context, Fallback, LongForm, Options, Timing, Transcript};

/// Characters of committed text that the decoder is told, where it is: a sentence or two.
const PROMPT: usize = 200;

/// What is to be heard again: from the open end's beginning on.
struct Window {
    from: Duration,
    end: Duration,
    pcm: Pcm,
    options: Options,
}

/// Hears the open end where there is something new in it, and settles what chunk `seq` is answered.
pub async fn hear(
    transcriber: &Transcriber,
    session: &Session,
    seq: u64,
    terms: Terms,
) -> Result<Option<Timing>, ApiError> {
    let _ear = session.ear.lock().await;
    // While this waited, another chunk's hearing may have covered it.
    let window = Window::of(session);
    let mut timing = None;
    if let Some(Window { from, end, pcm, options }) = window {
        let heard = transcriber.transcribe_on(Sound::Pcm(pcm), &options, terms, None).await?;
        timing = Some(heard.receipt.timing);
        let mut state = session.state();
        let before = state.live.agreement.committed().len();
        state.live.agreement.update(said(&heard, from), end);
        if state.live.agreement.committed().len() > before {
            state.language.get_or_insert(heard.language);
        }
    }
    let live = session.state().settle(seq);
    keep(session, live).await?;
    Ok(timing)
}

/// The transcript of the whole take. A second time with the same options it is the same one.
pub async fn finish(
    transcriber: &Transcriber,
    session: &Session,
    asked: &Finish,
    terms: Terms,
) -> Result<(Arc<Transcript>, Finished), ApiError> {
    let _intake = session.intake.lock().await;
    let _ear = session.ear.lock().await;
    let options = &asked.wanted.options;
    let (closed, missing) = {
        let state = session.state();
        if let (Some((before, transcript)), Some(finished)) = (&state.transcript, &state.live.finished)
            && before == options
        {
            return Ok((transcript.clone(), finished.clone()));
        }
        let missing = state.take.missing(asked.chunks);
        if !missing.is_empty() && !asked.allow_missing && state.live.finished.is_none() {
            let message = format!(
                "chunks are missing: send {missing:?} again, or finish with allow_missing=true, and silence stands in for them"
            );
            let next = Some(Next::of(&state.take).with(missing));
            return Err(ApiError::Conflict { code: "chunks_missing", message, next });
        }
        (state.take.closed(), missing)
    };
    let samples = match closed.stream.is_empty() {
        true => closed.samples,
        false => heard_so_far(transcriber, closed.stream).await?,
    };
    if samples.is_empty() {
        return Err(TranscribeError::Audio(AudioError::Empty).into());
    }
    let sound = Sound::Pcm(Pcm::from_16k_mono(samples));
    let mut transcript = transcriber.transcribe_on(sound, options, terms, None).await?;
    if !missing.is_empty() {
        let what = format!("chunks that never came, and for which silence stands in: {missing:?}");
        transcript.warnings.push(what);
    }
    let transcript = Arc::new(transcript);
    let (finished, live) = session.state().finished(options, &transcript, missing);
    keep(session, live).await?;
    Ok((transcript, finished))
}

async fn keep(session: &Session, live: Live) -> Result<(), ApiError> {
    match session.folder.clone() {
        Some(folder) => on_disk(move || folder.keep_live(&live)).await,
        None => Ok(()),
    }
}

impl Window {
    /// `None`: all of it was heard.
    fn of(session: &Session) -> Option<Window> {
        let state = session.state();
        let (samples, agreement) = (state.take.samples(), &state.live.agreement);
        let end = audio::duration_of(samples.len());
        if end <= agreement.heard() || state.live.finished.is_some() {
            return None;
        }
        let from = audio::samples_in(agreement.from()).min(samples.len());
        let pcm = Pcm::from_16k_mono(samples[from..].to_vec());
        let from = audio::duration_of(from);
        Some(Window { from, end, pcm, options: live_options(session, &state) })
    }
}

/// As asked, but quickly: one attempt, the window on its own, and the time of every word.
fn live_options(session: &Session, state: &State) -> Options {
    let asked = &session.opening.wanted.options;
    let committed = state.live.agreement.committed();
    let is_first = state.live.agreement.from().is_zero();
    let prompt = match session.opening.live_prompt && !committed.is_empty() {
        true => Some(tail(&text(committed))),
        false => asked.context.prompt.clone(),
    };
    Options {
        language: asked.language.or(state.language),
        context: Context {
            prompt,
            prefix: asked.context.prefix.clone().filter(|_| is_first),
            keywords: asked.context.keywords.clone(),
        },
        long_form: LongForm::default(),
        fallback: Fallback {
            temperatures: asked.fallback.temperatures.iter().take(1).copied().collect(),
            ..asked.fallback.clone()
        },
        words: true,
        ..asked.clone()
    }
}

/// Whole words.
fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(PROMPT);
    let from = (from..text.len()).find(|at| *at == 0 || text.as_bytes()[at - 1] == b' ').unwrap_or(0);
    text[from..].to_owned()
}

/// The words at their places in the take.
fn said(heard: &Transcript, from: Duration) -> Vec<Said> {
    let words = heard.segments.iter().flat_map(|segment| &segment.words);
    let said = |word: &crate::transcript::Word| Said {
        text: word.text.clone(),
        start: from + word.start,
        end: from + word.end,
    };
    words.map(said).collect()
}

impl State {
    /// The words that this chunk's answer is the first to tell of as committed.
    fn settle(&mut self, seq: u64) -> Live {
        let told = self.live.answered.values().map(|(_, to)| *to).max().unwrap_or(0);
        let count = self.live.agreement.committed().len();
        self.live.answered.entry(seq).or_insert((told, count));
        self.used = Instant::now();
        self.live.clone()
    }

    fn finished(
        &mut self,
        options: &Options,
        transcript: &Arc<Transcript>,
        missing: Vec<u64>,
    ) -> (Finished, Live) {
        let agreement = &self.live.agreement;
        let words: Vec<Said> = agreement.committed().iter().chain(agreement.tentative()).cloned().collect();
        let finished = Finished { text: transcript.text(), live: text(&words), missing };
        self.live.finished = Some(finished.clone());
        self.transcript = Some((options.clone(), transcript.clone()));
        self.used = Instant::now();
        (finished, self.live.clone())
    }
}
