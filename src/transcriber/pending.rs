//! Pending pieces of other rooms in; out: stand-ins until they are merged.

use std::ops::Range;

use crate::audio::{Pcm, Timeline};
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
