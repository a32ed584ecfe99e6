//! Mono samples of any rate in, chunk by chunk; the same sound at 16 kHz out.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::SAMPLE_RATE;

/// Input samples of one transform, about: large enough for a steep filter (a pass band to some 7.5 kHz), small enough
/// to keep next to nothing in memory.
const BLOCK: usize = 2048;
/// Blocks a second of a live stream: nobody waits longer than 40 ms for the resampler, and its filter is still steep.
const LIVE_BLOCKS: usize = 25;

/// Converts one stream; its state is the tail of the chunk before. At 16 kHz it copies.
pub(super) struct Resampler {
    rate: usize,
    fft: Option<Fft<f32>>,
    /// Input that does not fill a block yet.
    waiting: Vec<f32>,
    /// Output of one block.
    block: Vec<f32>,
    /// Samples of the filter's start-up still to be left out.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// `rate`: of the input, in Hz.
    ///
    /// # Errors
    /// The resampler's own sentence where it cannot serve the rate.
    pub(super) fn new(rate: usize) -> Result<Self, String> {
        Resampler::in_blocks(rate, BLOCK)
    }

    /// The same with little delay.
    pub(super) fn live(rate: usize) -> Result<Self, String> {
        Resampler::in_blocks(rate, rate / LIVE_BLOCKS)
    }

    fn in_blocks(rate: usize, block: usize) -> Result<Self, String> {
        let fft = match rate {
            SAMPLE_RATE => None,
            _ => {
                // Blocks come in whole periods of the two rates. An even number of them puts the middle of the filter on a
                // sample; between two samples, rubato's delay is off by half of one.
                let periods = 2 * rate / greatest_common_divisor(rate, SAMPLE_RATE);
                let block = block.next_multiple_of(periods.max(1));
                let window = WindowFunction::BlackmanHarris2;
                let fft = Fft::new_custom(rate, SAMPLE_RATE, block, 1, 1, window, FixedSync::Both);
                Some(fft.map_err(|error| error.to_string())?)
            }
        };
        let delay = fft.as_ref().map_or(0, |fft| fft.output_delay());
        let block = vec![0.0; fft.as_ref().map_or(0, |fft| fft.output_frames_max())];
        Ok(Resampler { rate, fft, waiting: Vec::new(), block, delay, taken: 0, given: 0 })
    }

    /// Appends to `out` what `mono` makes ready.
    pub(super) fn push(&mut self, mono: &[f32], out: &mut Vec<f32>) -> Result<(), String> {
        self.taken += mono.len() as u64;
        self.feed(mono, out)
    }

    /// Input samples taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Appends the rest, so that all output together is as long as all input but its last `padding` samples, rounded
    /// up to a sample.
    pub(super) fn finish(mut self, padding: u64, out: &mut Vec<f32>) -> Result<(), String> {
        let whole = (self.taken.saturating_sub(padding) * SAMPLE_RATE as u64).div_ceil(self.rate as u64);
        let zeros = vec![0.0; self.fft.as_ref().map_or(0, |fft| fft.input_frames_next())];
        while self.given < whole {
            self.feed(&zeros, out)?;
        }
        out.truncate(out.len().saturating_sub((self.given - whole) as usize));
        Ok(())
    }

    fn feed(&mut self, mono: &[f32], out: &mut Vec<f32>) -> Result<(), String> {
        let Some(fft) = &mut self.fft else {
            self.given += mono.len() as u64;
            out.extend_from_slice(mono);
            return Ok(());
        };
        self.waiting.extend_from_slice(mono);
        let mut used = 0;
        loop {
            let need = fft.input_frames_next();
            let Some(input) = self.waiting.get(used..used + need) else { break };
            let input = InterleavedSlice::new(input, 1, need).map_err(|error| error.to_string())?;
            let room = self.block.len();
            let mut output =
                InterleavedSlice::new_mut(&mut self.block, 1, room).map_err(|error| error.to_string())?;
            let (taken, made) =
                fft.process_into_buffer(&input, &mut output, None).map_err(|error| error.to_string())?;
            used += taken;
            let skipped = self.delay.min(made);
            self.delay -= skipped;
            self.given += (made - skipped) as u64;
            out.extend_from_slice(&self.block[skipped..made]);
        }
        self.waiting.drain(..used);
        Ok(())
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: usize, hertz: f64, seconds: f64) -> Vec<f32> {
        let angle = |i: usize| std::f64::consts::TAU * hertz * i as f64 / rate as f64;
        (0..(rate as f64 * seconds) as usize).map(|i| angle(i).sin() as f32 * 0.5).collect()
    }

    fn resampled(rate: usize, mono: &[f32], chunk: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut out = Vec::new();
        for piece in mono.chunks(chunk) {
            resampler.push(piece, &mut out).unwrap();
        }
        resampler.finish(0, &mut out).unwrap();
        out
    }

    #[test]
    fn a_tone_of_any_rate_comes_out_in_place_and_at_its_level() {
        let want = tone(SAMPLE_RATE, 440.0, 1.0);
        for rate in [4000, 8000, 11025, 16000, 22050, 24000, 44100, 48000, 44101, 96000, 192000, 767_999] {
            let got = resampled(rate, &tone(rate, 440.0, 1.0), 1152);
            assert!(got.len().abs_diff(want.len()) <= 1, "{rate} Hz: {} samples", got.len());
            // The ends carry the filter's ripple from the silence outside.
            let worst = (800..want.len() - 800).map(|i| (got[i] - want[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn a_live_stream_sounds_the_same_with_less_delay() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            let (want, mut got) = (tone(SAMPLE_RATE, 440.0, 1.0), Vec::new());
            let mut resampler = Resampler::live(rate).unwrap();
            let mut longest = 0;
            for (index, piece) in tone(rate, 440.0, 1.0).chunks(rate / 50).enumerate() {
                resampler.push(piece, &mut got).unwrap();
                longest = longest.max((index + 1) * SAMPLE_RATE / 50 - got.len());
            }
            assert!(longest <= SAMPLE_RATE / 10, "{rate} Hz: {longest} samples behind");
            resampler.finish(0, &mut got).unwrap();
            let worst = (800..want.len() - 800).map(|i| (got[i] - want[i]).abs()).fold(0.0, f32::max);
            assert!(got.len() == want.len() && worst < 2e-3, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_gone() {
        let got = resampled(48_000, &tone(48_000, 9_000.0, 1.0), 4096);
        assert!(got[2000..14_000].iter().all(|s| s.abs() < 1e-3), "a 9 kHz tone must not fold back");
    }

    #[test]
    fn chunks_do_not_change_the_result() {
        let input = tone(44_100, 1234.5, 0.7);
        let whole = resampled(44_100, &input, input.len());
        for chunk in [1, 7, 1024, 5000] {
            assert_eq!(resampled(44_100, &input, chunk), whole, "chunks of {chunk}");
        }
    }

    #[test]
    fn padding_is_left_out_at_the_end() {
        for rate in [16_000, 48_000] {
            let mut resampler = Resampler::new(rate).unwrap();
            let mut out = Vec::new();
            resampler.push(&vec![0.1; rate], &mut out).unwrap();
            resampler.finish(rate as u64 / 4, &mut out).unwrap();
            assert_eq!(out.len(), 12_000, "{rate} Hz");
        }
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert!(resampled(44_100, &[], 1).is_empty());
    }
}
