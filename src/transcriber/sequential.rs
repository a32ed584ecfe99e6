//! The reference's way through a long recording: each window begins where the last one's text ended, and may read it first.
//!
//! Follows `transcribe`, openai/whisper transcribe.py at c0d2f624, lines 231-510. The recording is the take's timeline: with
//! detection of speech, what is not spoken is not there.

use std::sync::Arc;

use crate::audio::{HOP, Pcm, SAMPLE_RATE, WINDOW_FRAMES, WINDOW_SECONDS};
use crate::decoding::{Request, Verdict};
use crate::text::Token;
use crate::transcript::LongForm;

use super::account::place;
use super::asked::Asked;
use super::{Heard, Listened, Take, TranscribeError, Transcriber};

/// Frames of log-mel in one step of Whisper's timestamps.
const FRAMES_A_STEP: usize = 2;

/// A take as its timeline has it.
#[derive(Clone, Debug)]
struct Recording {
    pcm: Arc<Pcm>,
    /// The loudest value of the whole log-mel, which the reference normalises every window by.
    peak: f32,
}

impl Transcriber {
    pub(super) async fn sequentially(&self, take: &Take, asked: &Asked) -> Result<Heard, TranscribeError> {
        let LongForm::Sequential { condition_on_previous_text, prompt_reset_on_temperature } =
            asked.long_form
        else {
            return Ok(Heard::default());
        };
        let mut heard = self.begin(take, asked).await?;
        let frames = take.timeline.len() / HOP;
        let recording = self.recording(take).await?;
        // All that was said so far, and from where on it is a prompt.
        let mut said: Vec<Token> = asked.request.previous.to_vec();
        let mut reset = 0;
        let mut seek = 0;
        while seek < frames {
            let size = WINDOW_FRAMES.min(frames - seek);
            let request = if seek == 0 { asked.request.clone() } else { asked.request.later() };
            let (language, previous) = (asked.among(heard.language), said[reset..].into());
            let request = Request { language, previous, ..request };
            let Some(listened) = self.frames(take, &recording, (seek, size), request).await? else { break };
            let hypothesis = &listened.outcome.hypothesis;
            seek += match (hypothesis.verdict, hypothesis.next) {
                (Verdict::Accept, Some(steps)) if steps > 0 => steps as usize * FRAMES_A_STEP,
                _ => size,
            };
            if hypothesis.verdict == Verdict::Accept {
                said.extend(place(&self.rules, &listened).into_iter().flat_map(|segment| segment.tokens));
                if !condition_on_previous_text || hypothesis.temperature > prompt_reset_on_temperature {
                    reset = said.len();
                }
            }
            heard.windows.extend(self.tell(take, vec![listened]).await?);
        }
        Ok(heard)
    }

    /// The language, found in windows of the first minutes where it was not given.
    pub(super) async fn begin(&self, take: &Take, asked: &Asked) -> Result<Heard, TranscribeError> {
        if !asked.is_open() {
            return Ok(Heard { language: asked.known(), ..Heard::default() });
        }
        let span = WINDOW_SECONDS * SAMPLE_RATE;
        let windows = (0..asked.detection.windows.max(1))
            .map_while(|index| take.timeline.slice(index * span..(index + 1) * span));
        let languages = self.detect(take, &windows.collect::<Vec<_>>(), asked).await?;
        let language = languages.first().map(|(token, _)| *token);
        Ok(Heard { language, languages, ..Heard::default() })
    }

    /// Put together once, for every window is a part of all of it.
    async fn recording(&self, take: &Take) -> Result<Recording, TranscribeError> {
        let (mel, pcm, timeline) = (self.mel.clone(), take.pcm.clone(), take.timeline.clone());
        self.on_cpu(take.ticket.class, move || {
            let samples = timeline.samples(&pcm);
            let peak = mel.peak(&samples);
            let pcm = match samples.len() == pcm.samples().len() {
                true => pcm.clone(),
                false => Arc::new(Pcm::from_16k_mono(samples.into_owned())),
            };
            Recording { pcm, peak }
        })
        .await
    }

    /// A window of `size` frames from frame `seek` on.
    async fn frames(
        &self,
        take: &Take,
        recording: &Recording,
        (seek, size): (usize, usize),
        request: Request,
    ) -> Result<Option<Listened>, TranscribeError> {
        let Some(window) = take.timeline.slice(seek * HOP..(seek + size) * HOP) else { return Ok(None) };
        let (filters, Recording { pcm, peak }) = (self.mel.clone(), recording.clone());
        let mel = move || filters.log_mel_at(pcm.samples(), peak, seek);
        Ok(Some(self.window_of(take, window, mel, request).await?))
    }
}
