//! Windows as they were heard in; out: the same, but that those whose text passes over speech were heard again, piece by piece.
//!
//! Whisper leaves out a sentence now and then, most of all one that resembles its neighbour, and then lets its neighbour last as
//! long as both. Such a segment has far fewer letters a second of speech than the others of its recording.

use std::ops::Range;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use crate::audio::{duration_of, samples_in};
use crate::decoding::{Request, Rules, Spoken, Verdict};
use crate::transcript::{Risk, Segment};

use super::account::place;
use super::asked::Asked;
use super::independent::{MOST_LESS_SURE, overlap};
use super::{Listened, Take, TranscribeError, Transcriber};

/// A segment may pass over speech where its pace is below this share of the recording's: of segments that hid a sentence most had
/// 0.35 to 0.65 of it, of whole ones one in twenty had less. To hear those again costs time and changes nothing.
const SLOW: f32 = 0.68;
/// So many letters more, at least a short word, are worth another text.
const GAIN: usize = 4;
/// From so many segments on a recording has a pace.
const FEWEST: usize = 8;
/// Segments with less speech have none.
const SHORTEST: Duration = Duration::from_millis(800);
/// A stretch that is longer is cut further where it is quietest.
const STRETCH: Duration = Duration::from_secs(10);

impl Transcriber {
    /// All of a take, by the pace of all of it; nothing where each window was judged as it came.
    pub(super) async fn without_omissions(
        &self,
        take: &Take,
        heard: Vec<Listened>,
        asked: &Asked,
    ) -> Result<Vec<Listened>, TranscribeError> {
        match take.told {
            Some(_) => Ok(heard),
            None => self.mend(take, heard, asked, &mut Pace::default()).await,
        }
    }

    /// The same of the next windows of a take, by the pace of those before them and their own.
    pub(super) async fn mend(
        &self,
        take: &Take,
        heard: Vec<Listened>,
        asked: &Asked,
        pace: &mut Pace,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let Some(speech) = take.speech.clone() else { return Ok(heard) };
        let (rules, mut so_far) = (self.rules.clone(), std::mem::take(pace));
        let (heard, slow, so_far) = self
            .on_cpu(take.ticket.class, move || {
                let slow = so_far.slow(&heard, &speech, &rules);
                (heard, slow, so_far)
            })
            .await?;
        *pace = so_far;
        let again = heard.into_iter().zip(slow).map(|(listened, slow)| async move {
            match slow {
                true => self.hear_again(take, listened, asked).await,
                false => Ok(vec![listened]),
            }
        });
        let heard: Vec<Vec<Listened>> =
            stream::iter(again).buffered(self.windows_in_flight).try_collect().await?;
        Ok(heard.into_iter().flatten().collect())
    }

    /// Each stretch of a window between two pauses for itself, if more is heard that way and it is as likely.
    async fn hear_again(
        &self,
        take: &Take,
        before: Listened,
        asked: &Asked,
    ) -> Result<Vec<Listened>, TranscribeError> {
        let (pieces, timeline, pcm) =
            (before.window.pieces().to_vec(), take.timeline.clone(), take.pcm.clone());
        let cut = move || timeline.within(&pieces).stretches(&pcm, STRETCH);
        let stretches = self.on_cpu(take.ticket.class, cut).await?;
        if stretches.len() < 2 {
            return Ok(vec![before]);
        }
        let request = Request {
            language: before
                .outcome
                .hypothesis
                .language
                .map_or_else(|| asked.request.language.clone(), |language| Spoken::Known(Some(language))),
            ..asked.request.later()
        };
        let again = stretches.into_iter().map(|stretch| self.window(take, stretch, request.clone()));
        let mut again: Vec<Listened> =
            stream::iter(again).buffered(self.windows_in_flight).try_collect().await?;
        let likely = before.outcome.hypothesis.avg_logprob - MOST_LESS_SURE;
        for hypothesis in again.iter_mut().map(|one| &mut one.outcome.hypothesis) {
            if hypothesis.avg_logprob < likely {
                hypothesis.verdict = Verdict::NoSpeech;
            }
        }
        let letters = |one: &Listened| place(&self.rules, one).iter().map(letters).sum::<usize>();
        let said = |one: &&Listened| one.outcome.hypothesis.verdict == Verdict::Accept;
        if again.iter().filter(said).map(letters).sum::<usize>() < letters(&before) + GAIN {
            return Ok(vec![before]);
        }
        if let Some(first) = again.first_mut() {
            first.outcome.hypothesis.given_up.insert(0, Risk::Omission);
        }
        Ok(again)
    }
}

/// How fast a recording is spoken: letters a second of speech, of each segment so far, in order of size.
#[derive(Debug, Default)]
pub(super) struct Pace(Vec<f32>);

impl Pace {
    /// Of each window, whether a segment of it passes over speech.
    fn slow(&mut self, heard: &[Listened], speech: &[Range<usize>], rules: &Rules) -> Vec<bool> {
        let paces: Vec<Vec<f32>> = heard
            .iter()
            .map(|one| match one.outcome.hypothesis.verdict {
                Verdict::Accept => {
                    place(rules, one).iter().filter_map(|segment| pace(segment, speech)).collect()
                }
                Verdict::NoSpeech => Vec::new(),
            })
            .collect();
        let Pace(all) = self;
        all.extend(paces.iter().flatten());
        all.sort_by(f32::total_cmp);
        let usual = if all.len() < FEWEST { 0.0 } else { all[all.len() / 2] };
        paces.iter().map(|window| window.iter().any(|pace| *pace < usual * SLOW)).collect()
    }
}

/// Letters a second of speech.
fn pace(segment: &Segment, speech: &[Range<usize>]) -> Option<f32> {
    let span = samples_in(segment.start)..samples_in(segment.end);
    let spoken = duration_of(overlap(speech, std::slice::from_ref(&span)));
    (spoken >= SHORTEST).then(|| letters(segment) as f32 / spoken.as_secs_f32())
}

fn letters(segment: &Segment) -> usize {
    segment.text.chars().filter(|char| char.is_alphanumeric()).count()
}
