//! Which language a take is in: its first windows are listened to until one of them is sure, or all of them together are.
//! Where languages may change, every stretch between two pauses is.

use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use crate::audio::{Timeline, Window};
use crate::decoding::{Request, Stop};
use crate::engine::Class;
use crate::text::Token;
use crate::text::language::ENGLISH;
use crate::transcript::{Channels, Language, Options};

use super::asked::Asked;
use super::{Progress, Sound, Take, Terms, TranscribeError, Transcriber};

/// Probabilities of several detections, the likeliest first.
pub(super) type Languages = Vec<(Token, f32)>;

impl Transcriber {
    /// The languages that an upload may be in, the likeliest first, by its first speech; whatever the options say of channels,
    /// they are mixed. English-only models know one. Never empty.
    pub async fn languages(
        &self,
        sound: Sound,
        options: &Options,
        terms: Terms,
    ) -> Result<Vec<(Language, f32)>, TranscribeError> {
        let options = Options { language: None, channels: Channels::Mix, ..options.clone() };
        let asked = self.asked(&options)?;
        let mut recording = self.open(sound, &options, terms, &Progress::default()).await?;
        let mut take = Take::default();
        // The first chapter in which somebody speaks.
        while let Some(chapter) = self.chapter(&mut recording).await? {
            take = chapter.takes.into_iter().next().unwrap_or_default();
            if !take.timeline.is_empty() {
                break;
            }
        }
        if take.timeline.is_empty() {
            // Nobody was found to speak; who asks still wants to know what the model takes it for.
            take.timeline = Timeline::whole(&take.pcm);
        }
        if !terms.is_patient {
            // A few windows, however long the file is.
            take.ticket.class = Class::Interactive;
        }
        let found = self.begin(&take, &asked).await?.languages;
        let named = |(token, share): (Token, f32)| Some((self.rules.specials().language_of(token)?, share));
        let languages: Vec<_> = found.into_iter().filter_map(named).collect();
        Ok(if languages.is_empty() { vec![(ENGLISH, 1.0)] } else { languages })
    }

    /// Detects in `windows` alone, at most as many as are asked for, one after the other until one is sure.
    pub(super) async fn detect(
        &self,
        take: &Take,
        windows: &[Window],
        asked: &Asked,
    ) -> Result<Languages, TranscribeError> {
        let most = asked.detection.windows.max(1);
        let Some((first, others)) = windows.split_first() else { return Ok(Vec::new()) };
        let found = self.detect_in(take, first.clone(), asked).await?;
        match is_sure(&found, asked) {
            true => Ok(found),
            false => self.detect_further(take, found, &others[..others.len().min(most - 1)], asked).await,
        }
    }

    /// Where the first detection is not sure: the mean over it and further windows, which are heard at once.
    pub(super) async fn detect_further(
        &self,
        take: &Take,
        first: Languages,
        windows: &[Window],
        asked: &Asked,
    ) -> Result<Languages, TranscribeError> {
        let others =
            try_join_all(windows.iter().cloned().map(|window| self.detect_in(take, window, asked))).await?;
        Ok(mean(&[vec![first], others].concat()))
    }

    /// Of each stretch for itself.
    pub(super) async fn detect_each(
        &self,
        take: &Take,
        stretches: &[Window],
        asked: &Asked,
    ) -> Result<Vec<Languages>, TranscribeError> {
        let detections = stretches.iter().cloned().map(|stretch| self.detect_in(take, stretch, asked));
        stream::iter(detections).buffered(self.windows_in_flight).try_collect().await
    }

    async fn detect_in(
        &self,
        take: &Take,
        window: Window,
        asked: &Asked,
    ) -> Result<Languages, TranscribeError> {
        let request = Request { stop: Stop::AtLanguage, ..asked.request.clone() };
        Ok(self.window(take, window, request).await?.outcome.hypothesis.languages)
    }
}

pub(super) fn is_sure(found: &Languages, asked: &Asked) -> bool {
    found.first().is_some_and(|(_, probability)| *probability >= asked.detection.threshold)
}

fn mean(detections: &[Languages]) -> Languages {
    weighted(detections.iter().map(|found| (1.0, found)))
}

/// How much of the time each language is spoken, the most spoken first.
pub(super) fn shares<'a>(found: impl Iterator<Item = (Duration, &'a Languages)>) -> Languages {
    weighted(found.map(|(duration, found)| (duration.as_secs_f32(), found)))
}

fn weighted<'a>(detections: impl Iterator<Item = (f32, &'a Languages)>) -> Languages {
    let (mut sums, mut weights) = (Languages::new(), 0.0);
    for (weight, found) in detections.filter(|(_, found)| !found.is_empty()) {
        weights += weight;
        for (token, probability) in found {
            match sums.iter_mut().find(|(known, _)| known == token) {
                Some((_, sum)) => *sum += probability * weight,
                None => sums.push((*token, probability * weight)),
            }
        }
    }
    sums.iter_mut().for_each(|(_, sum)| *sum /= weights);
    sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    sums
}

/// Stretches one after the other in the same language, as one timeline each. A stretch that is not sure of its language is in
/// that of the one before it, or of the first that is; `None`: none is.
pub(super) fn runs(
    stretches: Vec<Window>,
    found: &[Languages],
    threshold: f32,
) -> Vec<(Option<Token>, Timeline)> {
    let sure =
        |found: &Languages| found.first().filter(|(_, share)| *share >= threshold).map(|(token, _)| *token);
    let mut runs: Vec<(Option<Token>, Vec<Window>)> = Vec::new();
    for (stretch, language) in stretches.into_iter().zip(found.iter().map(sure)) {
        match runs.last_mut() {
            Some((known, run)) if language.is_none() || known.is_none() || *known == language => {
                *known = known.or(language);
                run.push(stretch);
            }
            _ => runs.push((language, vec![stretch])),
        }
    }
    runs.into_iter().map(|(language, run)| (language, Timeline::of_windows(&run))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detections_are_averaged_and_empty_ones_do_not_count() {
        let found = mean(&[vec![(1, 0.4), (2, 0.6)], Vec::new(), vec![(1, 0.9), (2, 0.1)]]);
        assert_eq!(found.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2]);
        assert!((found[0].1 - 0.65).abs() < 1e-6 && (found[1].1 - 0.35).abs() < 1e-6);
        assert!(mean(&[]).is_empty());
    }

    #[test]
    fn the_language_of_most_of_the_time_comes_first() {
        let (short, long) = (vec![(1, 1.0)], vec![(2, 0.75), (1, 0.25)]);
        let found = shares([(Duration::from_secs(1), &short), (Duration::from_secs(3), &long)].into_iter());
        assert_eq!(found, [(2, 0.5625), (1, 0.4375)]);
        assert!(shares(std::iter::once((Duration::ZERO, &Languages::new()))).is_empty());
    }

    #[test]
    fn stretches_of_one_language_run_together_and_the_unsure_follow_their_neighbours() {
        let stretches: Vec<Window> =
            (0..6).filter_map(|at| Timeline::of(vec![at * 100..at * 100 + 80]).slice(0..80)).collect();
        let sure = |token: Token| vec![(token, 0.9)];
        let found = [vec![(2, 0.4)], sure(1), sure(1), sure(2), Vec::new(), sure(1)];
        let runs = runs(stretches, &found, 0.5);
        let told: Vec<_> = runs.iter().map(|(language, run)| (*language, run.pieces().len())).collect();
        assert_eq!(told, [(Some(1), 3), (Some(2), 2), (Some(1), 1)]);
    }
}
