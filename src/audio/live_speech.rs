//! A live stream in frames of 16 ms in; how likely it is that somebody speaks in each of them out, at once.
//!
//! The same network as for files (`speech`), which hears best at one level. A file's level is known before and after each place;
//! here it is learnt from what has been heard so far: the background from the last ten seconds, the foreground from the last two.

use std::collections::VecDeque;

use earshot::Detector;

use super::SAMPLE_RATE;
use super::speech::{BACKGROUND, FOREGROUND, FRAME, LEAST_GAIN, MOST_GAIN, NOTHING};
use super::steady::SteadyNow;

/// Frames that the background is looked for in: 10 s.
const REMEMBERED: usize = 10 * SAMPLE_RATE / FRAME;
/// Frames that the foreground is looked for in: 2 s.
const RECENT: usize = 2 * SAMPLE_RATE / FRAME;
/// From one look to the next: a quarter of a second.
const LOOK: usize = 16;
/// A second must be heard before its quietest part can be called the background; until then it is as quiet as a usual room.
const KNOWN: usize = SAMPLE_RATE / FRAME;
const USUAL: f32 = -50.0;
/// The gain changes by so many dB a frame at most, or the network would hear the change.
const FALL: f32 = 1.0;
const RISE: f32 = 0.5;

/// One stream's detector.
pub struct LiveSpeech {
    network: Box<Detector>,
    steady: SteadyNow,
    /// Of the last frames that were no digital silence, in dB.
    levels: VecDeque<f32>,
    frames: usize,
    /// What the gain goes towards, and where it is, in dB.
    target: f32,
    gain: f32,
}

impl Default for LiveSpeech {
    fn default() -> Self {
        LiveSpeech {
            network: Detector::default_boxed(),
            steady: SteadyNow::default(),
            levels: VecDeque::with_capacity(REMEMBERED),
            frames: 0,
            target: BACKGROUND - USUAL,
            gain: BACKGROUND - USUAL,
        }
    }
}

impl LiveSpeech {
    /// `frame`: the next `FRAME` samples.
    pub fn hear(&mut self, frame: &[f32]) -> f32 {
        let level = level(frame);
        if level > NOTHING {
            if self.levels.len() == REMEMBERED {
                self.levels.pop_front();
            }
            self.levels.push_back(level);
        }
        if self.frames.is_multiple_of(LOOK) {
            self.look();
        }
        self.frames += 1;
        self.gain += (self.target - self.gain).clamp(-FALL, RISE);
        // A voice that sets in may not be cut off by the gain that the pause before it had.
        let factor = 10f32.powf(self.gain.min(FOREGROUND - level) / 20.0);
        let mut louder = [0.0; FRAME];
        for (slot, sample) in louder.iter_mut().zip(frame) {
            *slot = if sample.is_finite() { (sample * factor).clamp(-1.0, 1.0) } else { 0.0 };
        }
        self.steady.hear(frame);
        let heard = self.network.predict_f32(&louder);
        if self.steady.is_steady() { 0.0 } else { heard }
    }

    fn look(&mut self) {
        let mut recent: Vec<f32> = self.levels.iter().rev().take(RECENT).copied().collect();
        let mut all: Vec<f32> = self.levels.iter().copied().collect();
        recent.sort_by(f32::total_cmp);
        all.sort_by(f32::total_cmp);
        if all.is_empty() {
            return;
        }
        let quiet = all[all.len() / 20];
        let background = if all.len() < KNOWN { quiet.min(USUAL) } else { quiet };
        let foreground = recent[recent.len() - 1 - recent.len() / 20];
        self.target = (BACKGROUND - background).min(FOREGROUND - foreground).clamp(LEAST_GAIN, MOST_GAIN);
    }
}

fn level(frame: &[f32]) -> f32 {
    let power = frame.iter().map(|s| s * s).sum::<f32>() / frame.len().max(1) as f32;
    // What is no number has no level.
    if power.is_finite() { 10.0 * power.max(1e-12).log10() } else { NOTHING }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(samples: &[f32]) -> usize {
        let mut live = LiveSpeech::default();
        samples.chunks_exact(FRAME).filter(|frame| live.hear(frame) >= 0.5).count()
    }

    #[test]
    fn silence_and_what_is_no_number_hold_no_speech() {
        assert_eq!(spoken(&vec![0.0; 100_000]), 0);
        assert_eq!(spoken(&vec![f32::NAN; 100_000]), 0);
        assert_eq!(spoken(&vec![f32::INFINITY; 100_000]), 0);
    }

    #[test]
    fn a_hum_is_speech_for_a_second_at_most() {
        let hum = |i: usize| (std::f32::consts::TAU * 180.0 * i as f32 / SAMPLE_RATE as f32).sin() * 0.2;
        let hum: Vec<f32> = (0..20 * SAMPLE_RATE).map(hum).collect();
        assert!(spoken(&hum) * FRAME <= SAMPLE_RATE * 5 / 4, "{} frames", spoken(&hum));
    }
}
