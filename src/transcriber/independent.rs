//! Windows that know nothing of each other, all of a take at once: the default, and what batching lives on.

use std::ops::Range;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use crate::audio::{Timeline, Window, samples_in};
use crate::decoding::{Request, Verdict, closed};
use crate::text::TIMESTAMP_STEP;

use super::asked::Asked;
use super::language::is_sure;
use super::{Heard, Listened, Take, TranscribeError, Transcriber};

/// Speech that a window leaves unsaid is heard again from where its text ended; shorter sounds are let be, for the detector of
/// speech hears some in breath and noise.
const UNSAID: Duration = Duration::from_millis(1_000);
/// The text's last timestamp may lie a little before the end of what it says.
const SLACK: Duration = Duration::from_millis(400);
/// A window is heard again so many times at most.
const MOST_REMAINDERS: usize = 4;

impl Transcriber {
    pub(super) async fn independently(
        &self,
        take: &Take,
        asked: &Asked,
        longest: Duration,
    ) -> Result<Heard, TranscribeError> {
        let (timeline, pcm) = (take.timeline.clone(), take.pcm.clone());
        let windows = self.on_cpu(move || timeline.windows(&pcm, longest)).await?;
        let mut heard = Heard { language: asked.known(), ..Heard::default() };
        let begun = self.find_language(take, &windows, asked, &mut heard).await?;
        let rest = Request { language: asked.among(heard.language), ..asked.request.clone() };
        let windows: Vec<Window> = windows.into_iter().skip(begun).collect();
        let rest: Vec<Vec<Listened>> = stream::iter(windows.into_iter().enumerate())
            .map(|(index, window)| {
                let request = if begun + index == 0 { rest.clone() } else { rest.later() };
                self.to_the_end(take, window, request)
            })
            .buffered(self.windows_in_flight)
            .try_collect()
            .await?;
        heard.windows.extend(rest.into_iter().flatten());
        Ok(heard)
    }

    /// Where the language must be found, the first windows are heard one after the other until one of them has speech and
    /// tells. Gives how many windows were heard.
    async fn find_language(
        &self,
        take: &Take,
        windows: &[Window],
        asked: &Asked,
        heard: &mut Heard,
    ) -> Result<usize, TranscribeError> {
        if !asked.is_open() {
            return Ok(0);
        }
        for (index, window) in windows.iter().enumerate() {
            let request = if index == 0 { asked.request.clone() } else { asked.request.later() };
            let first = self.window(take, window.clone(), request.clone()).await?;
            let hypothesis = &first.outcome.hypothesis;
            let silent = hypothesis.verdict == Verdict::NoSpeech || hypothesis.tokens.is_empty();
            if silent && index + 1 < windows.len() {
                heard.windows.push(first);
                continue;
            }
            let mut found = hypothesis.languages.clone();
            if !is_sure(&found, asked) {
                let others = &windows[index + 1..];
                let others = &others[..others.len().min(asked.detection.windows.saturating_sub(1))];
                found = self.detect_further(take, found, others, asked).await?;
            }
            heard.language = found.first().map(|(token, _)| *token);
            heard.languages = found;
            let window = first.window.clone();
            let request = Request { language: asked.among(heard.language), ..request };
            let first = match first.outcome.hypothesis.language == heard.language {
                true => first,
                // The others overruled it.
                false => self.window(take, window, request.clone()).await?,
            };
            heard.windows.extend(self.remainders(take, first, request).await?);
            return Ok(index + 1);
        }
        Ok(windows.len())
    }

    /// A window, and what its text left unsaid.
    async fn to_the_end(
        &self,
        take: &Take,
        window: Window,
        request: Request,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let first = self.window(take, window, request.clone()).await?;
        self.remainders(take, first, request).await
    }

    /// Whisper may end a window's text before its speech has ended, or find no room for all of it: then the rest is heard as a
    /// window of its own.
    async fn remainders(
        &self,
        take: &Take,
        first: Listened,
        request: Request,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let request = request.later();
        let mut heard = vec![first];
        while heard.len() <= MOST_REMAINDERS {
            let last = heard.last_mut().expect("there is a first one");
            let Some(rest) = self.unsaid(take, last) else { break };
            heard.push(self.window(take, rest, request.clone()).await?);
        }
        Ok(heard)
    }

    /// What a window left unsaid. An open segment that the rest will say again is taken out of its text.
    fn unsaid(&self, take: &Take, listened: &mut Listened) -> Option<Window> {
        let hypothesis = &mut listened.outcome.hypothesis;
        if hypothesis.verdict == Verdict::NoSpeech || !hypothesis.withheld.is_empty() {
            return None;
        }
        let begin = self.rules.specials().timestamp_begin;
        let closed = closed(&hypothesis.tokens, begin);
        let is_open = hypothesis.cut_short && closed.next.is_some();
        let kept = if is_open { closed.kept } else { hypothesis.tokens.len() };
        let latest = *hypothesis.tokens[..kept].iter().rfind(|token| **token >= begin)?;
        // Text after the last timestamp reaches to the end of the window.
        if !is_open && hypothesis.tokens.last() != Some(&latest) {
            return None;
        }
        let end = TIMESTAMP_STEP * (latest - begin);
        let rest = after(&listened.window, end)?;
        let progress = end >= UNSAID;
        let behind = after(&listened.window, end + SLACK);
        let spoken = match (&take.speech, behind) {
            (Some(speech), Some(behind)) => overlap(speech, &behind),
            _ => 0,
        };
        if progress && (is_open || spoken >= samples_in(UNSAID)) {
            hypothesis.tokens.truncate(kept);
            hypothesis.cut_short = false;
            if let Some(aligned) = &mut hypothesis.alignment {
                aligned.shorten(self.rules.spoken(&hypothesis.tokens).len());
            }
            return Some(rest);
        }
        None
    }
}

/// The part of a window from `time` on.
fn after(window: &Window, time: Duration) -> Option<Window> {
    let timeline = Timeline::of(window.pieces().to_vec());
    timeline.slice(samples_in(time)..timeline.len())
}

/// Samples of a window in which somebody speaks.
fn overlap(speech: &[Range<usize>], window: &Window) -> usize {
    let common = |a: &Range<usize>, b: &Range<usize>| a.end.min(b.end).saturating_sub(a.start.max(b.start));
    window.pieces().iter().map(|piece| speech.iter().map(|span| common(piece, span)).sum::<usize>()).sum()
}
