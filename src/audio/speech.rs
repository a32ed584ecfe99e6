//! Samples and what counts as speech in, the spans in which somebody speaks out.
//!
//! Two passes over the samples, neither of which keeps more than a few numbers a second. The first learns how loud the
//! background and the foreground are around each second. The second asks `earshot`, a small recurrent network, about every
//! 16 ms, at a level at which it hears best: it misses half of what is said at -60 dB, and takes noise above -30 dB for
//! speech. What it takes for speech must also change as speech does (`steady`). How good that is, and what else was tried:
//! docs/speech.md.

use std::ops::Range;

use earshot::Detector;

use super::steady::Steady;
use super::{Pcm, SAMPLE_RATE, samples_in};
use crate::transcript::Speech;

/// Samples that the network judges at once: 16 ms.
pub const FRAME: usize = 256;
/// Frames whose levels are summed up together: about a second.
const BLOCK: usize = 64;
/// Once somebody speaks, speech goes on down to this much below the threshold: Silero's `get_speech_timestamps`
/// (snakers4/silero-vad, utils_vad.py) has the same.
pub const HYSTERESIS: f32 = 0.15;
/// The network hears through a window of 48 ms that ends with the frame, and takes a frame or two to make up its mind.
pub const LATENCY: usize = 2 * FRAME;
/// Pauses from here on part two spans, so that windows can be cut there; which of them are left out is the timeline's to say.
const PAUSE: usize = 3 * SAMPLE_RATE / 10;
/// Shorter pauses are within a word: 0.2 s.
pub const WITHIN: usize = SAMPLE_RATE / 5;

/// In dB below full scale. Quieter frames are digital silence, which tells nothing of the background.
pub(super) const NOTHING: f32 = -90.0;
/// Where the background is brought to, and the foreground at most; the network was measured to be at its best there.
pub(super) const BACKGROUND: f32 = -34.0;
pub(super) const FOREGROUND: f32 = -3.0;
pub(super) const MOST_GAIN: f32 = 50.0;
pub(super) const LEAST_GAIN: f32 = -30.0;
/// Blocks before and after that the background and the foreground are looked for in: a voice changes with the speaker,
/// a room does not, and somebody may speak for 15 s on end.
const BACKGROUND_REACH: usize = 8;
const FOREGROUND_REACH: usize = 1;

/// The spans where somebody speaks, in order, disjoint, without padding, with pauses of 0.3 s and more between them.
///
/// `how.detect` is not asked here; `how.padding` and longer `how.min_silence` are `Timeline::of_speech`'s.
pub fn speech(pcm: &Pcm, how: &Speech) -> Vec<Range<usize>> {
    let samples = pcm.samples();
    let gains = gains(samples);
    let steady = (!how.keep_steady).then(|| Steady::of(samples));
    let mut network = Detector::default_boxed();
    let mut frame = [0.0; FRAME];
    let mut spans = Spans::new(how);
    for (index, heard) in samples.chunks(FRAME).enumerate() {
        let gain = gain_at(&gains, index);
        frame.fill(0.0);
        for (slot, sample) in frame.iter_mut().zip(heard) {
            let louder = sample * gain;
            // The network's own state would keep what is no number for ever.
            *slot = if louder.is_nan() { 0.0 } else { louder.clamp(-1.0, 1.0) };
        }
        let at = index * FRAME;
        let heard = network.predict_f32(&frame);
        let is_steady = steady.as_ref().is_some_and(|steady| steady.contains(at.saturating_sub(LATENCY)));
        spans.hear(at, if is_steady { 0.0 } else { heard });
    }
    spans.finish(samples.len())
}

/// Probabilities frame by frame in, spans out.
struct Spans {
    on: f32,
    off: f32,
    shortest: usize,
    min_silence: usize,
    /// Where the sound began that has not ended yet.
    since: Option<usize>,
    /// Where it has last been heard, in the frames since.
    last: usize,
    found: Vec<Range<usize>>,
}

impl Spans {
    fn new(how: &Speech) -> Self {
        Spans {
            on: how.threshold,
            off: (how.threshold - HYSTERESIS).max(0.01),
            shortest: samples_in(how.shortest),
            min_silence: samples_in(how.min_silence).min(PAUSE),
            since: None,
            last: 0,
            found: Vec::new(),
        }
    }

    /// `at`: where the frame begins of which the network thinks so.
    fn hear(&mut self, at: usize, probability: f32) {
        if probability >= self.on || (self.since.is_some() && probability >= self.off) {
            self.since.get_or_insert(at);
            self.last = at + FRAME;
        } else if self.since.is_some() && at + FRAME >= self.last + WITHIN {
            self.close();
        }
    }

    /// Ends a sound: it is dropped where it is too short, and joined to the one before where the pause is.
    fn close(&mut self) {
        let Some(start) = self.since.take() else { return };
        if self.last - start < self.shortest {
            return;
        }
        let span = start.saturating_sub(LATENCY)..self.last.saturating_sub(LATENCY);
        match self.found.last_mut() {
            Some(before) if span.start < before.end + self.min_silence => before.end = span.end,
            _ => self.found.push(span),
        }
    }

    fn finish(mut self, len: usize) -> Vec<Range<usize>> {
        if self.since.is_some() && self.last >= len {
            self.last = len + LATENCY;
        }
        self.close();
        self.found.retain_mut(|span| {
            span.end = span.end.min(len);
            span.start < span.end
        });
        self.found
    }
}

/// For each block, the gain in dB that makes it fit for the network.
fn gains(samples: &[f32]) -> Vec<f32> {
    let blocks: Vec<(f32, f32)> = samples.chunks(FRAME * BLOCK).map(levels).collect();
    let around =
        |at: usize, reach: usize| &blocks[at.saturating_sub(reach)..(at + reach + 1).min(blocks.len())];
    (0..blocks.len())
        .map(|at| {
            let mut quiet: Vec<f32> = around(at, BACKGROUND_REACH).iter().map(|block| block.0).collect();
            quiet.sort_by(f32::total_cmp);
            let background = quiet[quiet.len() / 8];
            let foreground = around(at, FOREGROUND_REACH).iter().map(|block| block.1).fold(NOTHING, f32::max);
            (BACKGROUND - background).min(FOREGROUND - foreground).clamp(LEAST_GAIN, MOST_GAIN)
        })
        .collect()
}

/// The levels in dB that a tenth of the frames stay below, and that a twentieth of them pass.
fn levels(block: &[f32]) -> (f32, f32) {
    let power = |frame: &[f32]| frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
    let mut levels: Vec<f32> =
        block.chunks(FRAME).map(|frame| 10.0 * power(frame).max(1e-12).log10()).collect();
    levels.retain(|level| *level > NOTHING);
    levels.sort_by(f32::total_cmp);
    match levels.len() {
        0 => (NOTHING, NOTHING),
        count => (levels[count / 10], levels[count - 1 - count / 20]),
    }
}

/// The factor for one frame, between the gains of the blocks on either side, so that nothing jumps.
fn gain_at(gains: &[f32], frame: usize) -> f32 {
    let place = (frame as f32 + 0.5) / BLOCK as f32 - 0.5;
    let before = place.max(0.0) as usize;
    let after = (before + 1).min(gains.len() - 1);
    let part = (place - before as f32).clamp(0.0, 1.0);
    let decibels = gains[before] * (1.0 - part) + gains[after] * part;
    10f32.powf(decibels / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(probabilities: &[(usize, f32)], how: &Speech) -> Vec<(usize, usize)> {
        let mut spans = Spans::new(how);
        let frames = probabilities.iter().flat_map(|&(count, probability)| vec![probability; count]);
        let mut len = 0;
        for (index, probability) in frames.enumerate() {
            spans.hear(index * FRAME, probability);
            len = (index + 1) * FRAME;
        }
        spans.finish(len).into_iter().map(|span| (span.start / FRAME, span.end.div_ceil(FRAME))).collect()
    }

    #[test]
    fn speech_begins_at_the_threshold_and_goes_on_to_a_little_below_it() {
        let how = Speech::default();
        // Frames of 16 ms; two of them are the network's latency.
        assert_eq!(tell(&[(20, 0.4), (10, 0.6), (10, 0.4), (100, 0.3)], &how), [(18, 38)]);
        assert!(tell(&[(20, 0.4), (10, 0.45), (100, 0.3)], &how).is_empty());
        let strict = Speech { threshold: 0.7, ..how };
        assert!(tell(&[(20, 0.4), (10, 0.6), (100, 0.3)], &strict).is_empty());
    }

    #[test]
    fn short_pauses_are_bridged_and_short_sounds_are_dropped() {
        let how = Speech::default();
        // 0.29 s and 0.32 s.
        assert_eq!(tell(&[(10, 0.9), (18, 0.0), (10, 0.9), (100, 0.0)], &how), [(0, 36)]);
        assert_eq!(tell(&[(10, 0.9), (20, 0.0), (10, 0.9), (100, 0.0)], &how), [(0, 8), (28, 38)]);
        // 96 ms, alone and between two stretches that it would join.
        assert!(tell(&[(50, 0.0), (6, 0.9), (50, 0.0)], &how).is_empty());
        assert_eq!(tell(&[(20, 0.9), (16, 0.0), (6, 0.9), (16, 0.0), (20, 0.9)], &how), [(0, 18), (56, 78)]);
    }

    #[test]
    fn speech_may_last_to_the_end_of_the_file() {
        assert_eq!(tell(&[(20, 0.0), (20, 0.9)], &Speech::default()), [(18, 40)]);
        assert_eq!(tell(&[(20, 0.0), (20, 0.9), (3, 0.0)], &Speech::default()), [(18, 38)]);
    }

    #[test]
    fn nothing_silence_and_what_is_no_number_hold_no_speech() {
        for samples in [vec![], vec![0.0; 1], vec![0.0; 100_000], vec![f32::NAN; 100_000]] {
            assert!(speech(&Pcm::from_16k_mono(samples), &Speech::default()).is_empty());
        }
    }

    #[test]
    fn the_gain_follows_the_room_and_the_voice_without_a_jump() {
        let level = |decibels: f32| 10f32.powf(decibels / 20.0);
        // A minute of quiet hiss, alternating signs so that its level is exact; then a minute 30 dB louder.
        let hiss = |at: usize, loud: f32| if at.is_multiple_of(2) { loud } else { -loud };
        let minute = 60 * SAMPLE_RATE;
        let samples: Vec<f32> =
            (0..2 * minute).map(|at| hiss(at, level(if at < minute { -60.0 } else { -30.0 }))).collect();
        let gains = gains(&samples);
        assert!((gains[2] - (BACKGROUND + 60.0)).abs() < 0.1, "{}", gains[2]);
        assert!((gains[gains.len() - 3] - (BACKGROUND + 30.0)).abs() < 0.1);
        let frames = samples.len() / FRAME;
        let factors: Vec<f32> = (0..frames).map(|frame| 20.0 * gain_at(&gains, frame).log10()).collect();
        assert!(factors.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.5));
    }
}
