//! Which language a take is in: its first windows are listened to until one of them is sure, or all of them together are.

use futures::future::try_join_all;

use crate::audio::Window;
use crate::decoding::{Request, Stop};
use crate::text::Token;

use super::asked::Asked;
use super::{Take, TranscribeError, Transcriber};

/// Probabilities of several detections, the likeliest first.
pub(super) type Languages = Vec<(Token, f32)>;

impl Transcriber {
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
    let mut sums = Languages::new();
    for (token, probability) in detections.iter().flatten() {
        match sums.iter_mut().find(|(known, _)| known == token) {
            Some((_, sum)) => *sum += probability,
            None => sums.push((*token, *probability)),
        }
    }
    let count = detections.iter().filter(|found| !found.is_empty()).count().max(1) as f32;
    sums.iter_mut().for_each(|(_, sum)| *sum /= count);
    sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    sums
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
}
