//! Windows that know nothing of each other, all of a take at once: the default, and what batching lives on.

use std::ops::Range;
use std::time::Duration;

use futures::future::try_join;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc::unbounded_channel;

use crate::audio::{Timeline, Window, samples_in};
use crate::decoding::{Request, Spoken, Verdict, closed};
use crate::text::{TIMESTAMP_STEP, Token};

use super::asked::Asked;
use super::language::{is_sure, runs, shares};
use super::omissions::Pace;
use super::{Heard, Listened, Take, TranscribeError, Transcriber};

/// Speech that a window leaves unsaid is heard again from where its text ended; shorter sounds are let be, for the detector of
/// speech hears some in breath and noise.
const UNSAID: Duration = Duration::from_millis(1_000);
/// The text's last timestamp may lie a little before the end of what it says.
const SLACK: Duration = Duration::from_millis(400);
/// What a window did not say although somebody seemed to speak was made up, if it is so much less likely than what it did say:
/// as mean log-probabilities.
pub(super) const MOST_LESS_SURE: f32 = 0.4;
/// A window is heard again so many times at most.
const MOST_REMAINDERS: usize = 4;

/// A take of which the language is known, if any of its windows tells.
#[derive(Debug)]
pub(super) struct Begun {
    windows: Vec<Window>,
    pub heard: Heard,
    /// Windows that were heard for it.
    count: usize,
}

impl Take {
    /// What is asked of one of its windows.
    fn request(&self, asked: &Asked, index: usize) -> Request {
        match index == 0 && self.start.is_zero() {
            true => asked.request.clone(),
            false => asked.request.later(),
        }
    }
}

impl Transcriber {
    pub(super) async fn independently(
        &self,
        take: &Take,
        asked: &Asked,
        longest: Duration,
    ) -> Result<Heard, TranscribeError> {
        if asked.is_open() && asked.detection.per_window {
            return self.by_language(take, asked, longest).await;
        }
        let begun = self.begin_windows(take, asked, longest, None).await?;
        self.go_on(take, asked, begun).await
    }

    /// A take's windows, and those heard in which its language was found; `known`: it was found before.
    pub(super) async fn begin_windows(
        &self,
        take: &Take,
        asked: &Asked,
        longest: Duration,
        known: Option<Token>,
    ) -> Result<Begun, TranscribeError> {
        let windows = self.cut(take, take.timeline.clone(), longest).await?;
        let mut heard = Heard { language: asked.known().or(known), ..Heard::default() };
        let count = match known {
            Some(_) => 0,
            None => self.find_language(take, &windows, asked, &mut heard).await?,
        };
        Ok(Begun { windows, heard, count })
    }

    /// The rest of them.
    pub(super) async fn go_on(
        &self,
        take: &Take,
        asked: &Asked,
        begun: Begun,
    ) -> Result<Heard, TranscribeError> {
        let Begun { windows, mut heard, count } = begun;
        let mut pace = Pace::default();
        heard.windows = self.settle(take, heard.windows, asked, &mut pace).await?;
        let language = asked.among(heard.language);
        let windows = windows.into_iter().enumerate().skip(count).map(|(index, window)| {
            (window, Request { language: language.clone(), ..take.request(asked, index) })
        });
        let rest = self.all(take, windows.collect(), asked, pace).await?;
        heard.windows.extend(rest);
        heard.windows = self.without_omissions(take, heard.windows, asked).await?;
        Ok(heard)
    }

    /// Each stretch between two pauses is asked for its language first, and no window holds two of them: a model that is told
    /// one language translates, leaves out or garbles the other.
    async fn by_language(
        &self,
        take: &Take,
        asked: &Asked,
        longest: Duration,
    ) -> Result<Heard, TranscribeError> {
        let (timeline, pcm) = (take.timeline.clone(), take.pcm.clone());
        let stretches = self.on_cpu(take.ticket.class, move || timeline.stretches(&pcm, longest)).await?;
        let found = self.detect_each(take, &stretches, asked).await?;
        let languages = shares(stretches.iter().map(Window::duration).zip(&found));
        let main = languages.first().map(|(token, _)| *token);
        let mut windows = Vec::new();
        for (language, run) in runs(stretches, &found, asked.detection.threshold) {
            let request = Request { language: Spoken::Known(language.or(main)), ..asked.request.clone() };
            for window in self.cut(take, run, longest).await? {
                let request = if windows.is_empty() { request.clone() } else { request.later() };
                windows.push((window, request));
            }
        }
        let windows = self.all(take, windows, asked, Pace::default()).await?;
        let windows = self.without_omissions(take, windows, asked).await?;
        Ok(Heard { windows, language: main, languages })
    }

    async fn cut(
        &self,
        take: &Take,
        timeline: Timeline,
        longest: Duration,
    ) -> Result<Vec<Window>, TranscribeError> {
        let pcm = take.pcm.clone();
        self.on_cpu(take.ticket.class, move || timeline.windows(&pcm, longest)).await
    }

    /// As many at once as a request may have, answered in their order.
    async fn all(
        &self,
        take: &Take,
        windows: Vec<(Window, Request)>,
        asked: &Asked,
        mut pace: Pace,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let windows = stream::iter(windows).map(|(window, request)| self.to_the_end(take, window, request));
        let mut windows = std::pin::pin!(windows.buffered(self.windows_in_flight));
        let (done, mut to_settle) = unbounded_channel();
        // Side by side: windows that nobody polls keep their place in the queue for the CPU, and settling one needs a place.
        let hear = async move {
            while let Some(window) = windows.try_next().await? {
                let _ = done.send(window);
            }
            Ok::<_, TranscribeError>(())
        };
        let settle = async {
            let mut heard = Vec::new();
            while let Some(window) = to_settle.recv().await {
                heard.extend(self.settle(take, window, asked, &mut pace).await?);
            }
            Ok(heard)
        };
        let ((), heard) = try_join(hear, settle).await?;
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
            let request = take.request(asked, index);
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
            let sure = last.outcome.hypothesis.avg_logprob;
            let left_open = last.outcome.hypothesis.cut_short;
            let Some(rest) = self.unsaid(take, last) else { break };
            let mut rest = self.window(take, rest, request.clone()).await?;
            let hypothesis = &mut rest.outcome.hypothesis;
            if !left_open && hypothesis.avg_logprob < sure - MOST_LESS_SURE {
                hypothesis.verdict = Verdict::NoSpeech;
            }
            heard.push(rest);
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
            (Some(speech), Some(behind)) => overlap(speech, behind.pieces()),
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

/// Samples of `pieces` in which somebody speaks.
pub(super) fn overlap(speech: &[Range<usize>], pieces: &[Range<usize>]) -> usize {
    let common = |a: &Range<usize>, b: &Range<usize>| a.end.min(b.end).saturating_sub(a.start.max(b.start));
    let within = |piece: &Range<usize>| {
        // Spans are in order: the first that reaches into the piece is found by halving.
        let first = speech.partition_point(|span| span.end <= piece.start);
        speech[first..]
            .iter()
            .take_while(|span| span.start < piece.end)
            .map(|span| common(piece, span))
            .sum::<usize>()
    };
    pieces.iter().map(within).sum()
}
