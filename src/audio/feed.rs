//! The bytes of a live stream in, in pieces of any size; the same sound at 16 kHz out, as far as it is ready.

use audio_codec_algorithms::{decode_alaw, decode_ulaw};

use super::SAMPLE_RATE;
use super::resample::Resampler;

/// How a live stream writes its samples: mono, without a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bits, little-endian, at one of `RATES`.
    Pcm16 {
        rate: usize,
    },
    /// G.711 at 8 kHz.
    Ulaw,
    Alaw,
}

impl Encoding {
    pub const RATES: [usize; 4] = [8_000, 16_000, 24_000, 48_000];

    pub fn rate(self) -> usize {
        match self {
            Encoding::Pcm16 { rate } => rate,
            Encoding::Ulaw | Encoding::Alaw => 8_000,
        }
    }

    pub fn bytes_per_second(self) -> usize {
        match self {
            Encoding::Pcm16 { rate } => 2 * rate,
            Encoding::Ulaw | Encoding::Alaw => self.rate(),
        }
    }

    /// Samples at 16 kHz that so many bytes become.
    pub fn samples_in(self, bytes: usize) -> usize {
        (bytes as u64 * SAMPLE_RATE as u64 / self.bytes_per_second() as u64) as usize
    }
}

/// One stream; its state is what of the pieces before is not heard yet.
pub struct Feed {
    encoding: Encoding,
    resampler: Resampler,
    /// The first byte of a sample whose second one comes with the next piece.
    half: Option<u8>,
    mono: Vec<f32>,
}

impl Feed {
    pub fn new(encoding: Encoding) -> Self {
        Feed { encoding, resampler: resampler(encoding), half: None, mono: Vec::new() }
    }

    /// Appends to `out` what the bytes make ready; the last 60 ms may still be missing.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<f32>) {
        self.mono.clear();
        let to_sample = |value: i16| f32::from(value) / 32_768.0;
        match self.encoding {
            Encoding::Ulaw => self.mono.extend(bytes.iter().map(|byte| to_sample(decode_ulaw(*byte)))),
            Encoding::Alaw => self.mono.extend(bytes.iter().map(|byte| to_sample(decode_alaw(*byte)))),
            Encoding::Pcm16 { .. } => {
                let mut rest = bytes;
                if let (Some(low), Some((high, after))) = (self.half, bytes.split_first()) {
                    self.half = None;
                    self.mono.push(to_sample(i16::from_le_bytes([low, *high])));
                    rest = after;
                }
                let (pairs, odd) = rest.as_chunks::<2>();
                self.mono.extend(pairs.iter().map(|pair| to_sample(i16::from_le_bytes(*pair))));
                self.half = odd.first().copied().or(self.half);
            }
        }
        self.resampler.push(&self.mono, out).expect("blocks are of the resampler's own size");
    }

    /// Appends what is still missing and begins anew: what follows is another sound. Half a sample is none.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        let ended = std::mem::replace(&mut self.resampler, resampler(self.encoding));
        ended.finish(0, out).expect("blocks are of the resampler's own size");
        self.half = None;
    }
}

fn resampler(encoding: Encoding) -> Resampler {
    // `Encoding::RATES` divide or are divided by 16 kHz in small numbers; the tests make one of each.
    Resampler::live(encoding.rate()).expect("every rate that can be asked for can be resampled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec_algorithms::{encode_alaw, encode_ulaw};

    fn fed(encoding: Encoding, bytes: &[u8], piece: usize) -> Vec<f32> {
        let (mut feed, mut out) = (Feed::new(encoding), Vec::new());
        for piece in bytes.chunks(piece) {
            feed.push(piece, &mut out);
        }
        feed.flush(&mut out);
        out
    }

    fn tone(rate: usize) -> Vec<i16> {
        let at = |i: usize| (std::f64::consts::TAU * 440.0 * i as f64 / rate as f64).sin() * 8_000.0;
        (0..rate).map(|i| at(i) as i16).collect()
    }

    #[test]
    fn pieces_of_any_size_even_half_samples_sound_the_same() {
        for rate in Encoding::RATES {
            let bytes: Vec<u8> = tone(rate).into_iter().flat_map(i16::to_le_bytes).collect();
            let whole = fed(Encoding::Pcm16 { rate }, &bytes, bytes.len());
            assert_eq!(whole.len(), SAMPLE_RATE, "{rate} Hz");
            for piece in [1, 3, 640, 4_097] {
                assert_eq!(fed(Encoding::Pcm16 { rate }, &bytes, piece), whole, "{rate} Hz by {piece} bytes");
            }
        }
    }

    #[test]
    fn telephone_codes_sound_as_what_they_encode() {
        let want: Vec<f32> = tone(SAMPLE_RATE).into_iter().map(|value| f32::from(value) / 32_768.0).collect();
        let ulaw: Vec<u8> = tone(8_000).into_iter().map(encode_ulaw).collect();
        let alaw: Vec<u8> = tone(8_000).into_iter().map(encode_alaw).collect();
        for (encoding, bytes) in [(Encoding::Ulaw, ulaw), (Encoding::Alaw, alaw)] {
            let got = fed(encoding, &bytes, 160);
            assert_eq!(got.len(), SAMPLE_RATE);
            // Eight bits leave an error of some 2 % of the amplitude.
            let worst = (800..15_200).map(|i| (got[i] - want[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 0.01, "{encoding:?}: off by {worst}");
        }
    }

    #[test]
    fn after_a_flush_another_sound_begins() {
        let (mut feed, mut out) = (Feed::new(Encoding::Pcm16 { rate: 24_000 }), Vec::new());
        feed.push(&[0; 4_801], &mut out);
        feed.flush(&mut out);
        assert_eq!(out.len(), 1_600);
        feed.push(&[0; 4_800], &mut out);
        feed.flush(&mut out);
        assert_eq!(out.len(), 3_200);
    }
}
