//! Interleaved samples of any channel layout in, one channel out.

use symphonia::core::audio::{ChannelLabel, Channels, Position};

/// Louder than any real recording, small enough that no filter after it overflows: forged floats go up to 1e38.
const LOUDEST: f32 = 64.0;

/// Weights of one layout, adding up to 1.
pub(super) struct Mix {
    weights: Vec<f32>,
}

impl Mix {
    /// ffmpeg's weights (libswresample/rematrix.c): the centre, where films speak, 3 dB above left and right, the
    /// surrounds 3 dB below them, no low-frequency channel. Layouts without positions are averaged.
    pub(super) fn new(channels: &Channels) -> Self {
        let mut weights = weights(channels);
        let sum: f32 = weights.iter().sum();
        // A file of nothing but a low-frequency channel is still to be heard.
        let fallback = 1.0 / weights.len().max(1) as f32;
        weights.iter_mut().for_each(|weight| *weight = if sum > 0.0 { *weight / sum } else { fallback });
        Mix { weights }
    }

    /// Each channel for itself. Rumble is nobody's voice: a low-frequency channel is left out where there are others.
    pub(super) fn each(channels: &Channels) -> Vec<Self> {
        let rumble: Vec<bool> = weights(channels).into_iter().map(|weight| weight == 0.0).collect();
        let count = rumble.len();
        let only_rumble = rumble.iter().all(|is| *is);
        let voices = (0..count).filter(|channel| only_rumble || !rumble[*channel]);
        let alone = |channel: usize| {
            let weights = (0..count).map(|other| if other == channel { 1.0 } else { 0.0 });
            Mix { weights: weights.collect() }
        };
        voices.map(alone).collect()
    }

    /// Appends one sample for each whole frame of `interleaved` (`[frames, channels]`). What is no number counts as
    /// silence: float formats can carry NaN, and one NaN would spread over the whole window.
    pub(super) fn down(&self, interleaved: &[f32], mono: &mut Vec<f32>) {
        let sane = |sample: f32| if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
        if self.weights.len() == 1 {
            mono.extend(interleaved.iter().map(|&sample| sane(sample)));
            return;
        }
        mono.extend(interleaved.chunks_exact(self.weights.len().max(1)).map(|frame| {
            let sum: f32 =
                frame.iter().zip(&self.weights).map(|(&sample, weight)| sane(sample) * weight).sum();
            sum
        }));
    }
}

/// Of each channel, before they are made to add up to 1.
fn weights(channels: &Channels) -> Vec<f32> {
    match channels {
        Channels::Positioned(positions) => positions.iter().map(weight).collect(),
        Channels::Custom(labels) => labels
            .iter()
            .map(|label| match label {
                ChannelLabel::Positioned(position) => weight(*position),
                _ => 1.0,
            })
            .collect(),
        other => vec![1.0; other.count()],
    }
}

fn weight(position: Position) -> f32 {
    let low = Position::LFE1 | Position::LFE2;
    let wide = Position::FRONT_LEFT | Position::FRONT_RIGHT;
    let front = Position::FRONT_CENTER | Position::FRONT_LEFT_CENTER | Position::FRONT_RIGHT_CENTER;
    match position {
        it if low.contains(it) => 0.0,
        it if front.contains(it) => 1.0,
        it if wide.contains(it) => std::f32::consts::FRAC_1_SQRT_2,
        _ => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::layouts;

    use super::*;

    fn mixed(channels: &Channels, interleaved: &[f32]) -> Vec<f32> {
        let mut mono = Vec::new();
        Mix::new(channels).down(interleaved, &mut mono);
        mono
    }

    #[test]
    fn mono_is_kept_and_stereo_is_averaged() {
        assert_eq!(mixed(&layouts::CHANNEL_LAYOUT_MONO, &[0.5, -1.5]), [0.5, -1.5]);
        assert_eq!(mixed(&layouts::CHANNEL_LAYOUT_STEREO, &[1.0, 0.0, 0.25, 0.75]), [0.5, 0.5]);
        assert_eq!(mixed(&Channels::Discrete(4), &[1.0, 0.0, 0.0, 0.0]), [0.25]);
    }

    #[test]
    fn channels_apart_are_each_for_themselves_and_rumble_is_no_voice() {
        let mixes = Mix::each(&layouts::CHANNEL_LAYOUT_STEREO);
        let heard = |mix: &Mix| {
            let mut mono = Vec::new();
            mix.down(&[0.5, -0.25, 0.75, 0.0], &mut mono);
            mono
        };
        assert_eq!(mixes.iter().map(heard).collect::<Vec<_>>(), [[0.5, 0.75], [-0.25, 0.0]]);
        assert_eq!(Mix::each(&layouts::CHANNEL_LAYOUT_5P1).len(), 5);
        assert_eq!(Mix::each(&Channels::Discrete(3)).len(), 3);
        // But where there is nothing else, it is to be heard.
        assert_eq!(Mix::each(&Channels::Positioned(Position::LFE1 | Position::LFE2)).len(), 2);
    }

    #[test]
    fn the_centre_of_a_film_is_the_loudest_and_its_rumble_is_dropped() {
        let one = |channel: usize| {
            let mut frame = [0.0; 6];
            frame[channel] = 1.0;
            mixed(&layouts::CHANNEL_LAYOUT_5P1, &frame)[0]
        };
        assert!(one(2) > one(0) && one(0) > one(4) && one(3) == 0.0);
        let sum: f32 = (0..6).map(one).sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_number_is_silence_and_what_is_absurd_is_bounded() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38];
        assert_eq!(mixed(&layouts::CHANNEL_LAYOUT_MONO, &odd), [0.0, 0.0, 0.0, LOUDEST]);
    }
}
