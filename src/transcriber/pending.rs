//! Pending pieces of other rooms in; out: stand-ins until they are merged.

use std::ops::Range;
use std::time::Duration;

use crate::audio::{LogMel, MelFilters, Pcm, Timeline};
use crate::transcript::Speech;

pub fn speech(pcm: &Pcm, _how: &Speech) -> Vec<Range<usize>> {
    vec![0..pcm.samples().len()]
}
pub trait P {
    fn of_speech(spans: &[Range<usize>], _len: usize, _how: &Speech) -> Timeline {
        Timeline::of(spans.to_vec())
    }
}
impl P for Timeline {}
pub trait M {
    fn peak(&self, _s: &[f32]) -> f32 {
        0.0
    }
    fn log_mel_at(&self, s: &[f32], peak: f32, frame: usize, frames: usize) -> LogMel;
}
impl M for MelFilters {
    fn log_mel_at(&self, s: &[f32], _peak: f32, frame: usize, frames: usize) -> LogMel {
        self.log_mel(&s[frame * 160..(frame + frames) * 160])
    }
}
pub fn samples_in(time: Duration) -> usize {
    (time.as_nanos() / 62_500) as usize
}
