//! A window's samples in, its log-mel spectrogram out, equal to OpenAI's.
//!
//! Follows `log_mel_spectrogram` in openai/whisper@c0d2f62, whisper/audio.py lines 110-157. The filters are computed
//! (Slaney's scale and norm, as librosa makes them): they agree with whisper's `mel_filters.npz` to 3e-9.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::{HOP, LogMel, SAMPLE_RATE, WINDOW_FRAMES, WINDOW_SAMPLES};

/// Samples under one transform: 25 ms.
const N_FFT: usize = 400;
/// Frequency bins of one transform, 40 Hz apart.
const BINS: usize = N_FFT / 2 + 1;
/// Frame `t` is centred on sample `t * HOP`, so it begins this much before.
const CENTRE: usize = N_FFT / 2;
/// Whisper's floor under the power before the logarithm.
const FLOOR: f32 = 1e-10;
/// Frames that one thread takes at a time: enough to pay for its buffers.
const CHUNK: usize = 128;

/// Filters and transform plan for one number of mel bins (80 or 128); made once, shared by all threads.
pub struct MelFilters {
    n_mels: usize,
    /// A periodic Hann window, `[400]`.
    hann: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    /// Of each mel bin, the first frequency bin it hears and its weights from there: a triangle, zero elsewhere.
    filters: Vec<(usize, Vec<f32>)>,
}

/// A periodic Hann window.
pub(super) fn hann(len: usize) -> Vec<f32> {
    (0..len).map(|i| (0.5 - 0.5 * (TAU * i as f64 / len as f64).cos()) as f32).collect()
}

impl std::fmt::Debug for MelFilters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MelFilters").field("n_mels", &self.n_mels).finish_non_exhaustive()
    }
}

impl MelFilters {
    /// `n_mels`: 80, or 128 for large-v3 and its kin; any other number gives the same construction.
    pub fn new(n_mels: usize) -> Self {
        let hann = hann(N_FFT);
        let fft = RealFftPlanner::new().plan_fft_forward(N_FFT);
        MelFilters { n_mels, hann, fft, filters: triangles(n_mels) }
    }

    /// The spectrogram `[n_mels, 3000]` of one window, padded to 30 s with zeros as `pad_or_trim` does.
    ///
    /// `samples`: 16 kHz mono; what lies beyond 480,000 samples is left out. Frames that see only padding cost nothing.
    pub fn log_mel(&self, samples: &[f32]) -> LogMel {
        let samples = &samples[..samples.len().min(WINDOW_SAMPLES)];
        // Frames from here on begin at or after the last sample. The last frame of all also mirrors the window's end,
        // but only samples that it covers anyway.
        let heard = (samples.len() + CENTRE).div_ceil(HOP).min(WINDOW_FRAMES);
        let mut rows = vec![0.0f32; heard * self.n_mels];
        let peak = rows
            .par_chunks_mut(CHUNK * self.n_mels.max(1))
            .enumerate()
            .map(|(chunk, rows)| self.log_power(samples, chunk * CHUNK, End::Mirrored, rows))
            .reduce(|| f32::NEG_INFINITY, f32::max);
        let silence = FLOOR.log10();
        // Whisper clamps to 8 below the loudest value of the whole window, padding included.
        let peak = if heard < WINDOW_FRAMES { peak.max(silence) } else { peak };
        let mut values = vec![normalised(silence, peak); self.n_mels * WINDOW_FRAMES];
        for (mel, row) in values.chunks_exact_mut(WINDOW_FRAMES).enumerate() {
            for (value, frame) in row.iter_mut().zip(rows.chunks_exact(self.n_mels.max(1))) {
                *value = normalised(frame[mel], peak);
            }
        }
        LogMel { n_mels: self.n_mels, values }
    }

    /// The loudest log-mel value of a whole recording, by which the reference's sequential mode normalises each of its windows
    /// (transcribe.py calls `log_mel_spectrogram` once, with 30 s of silence after the end).
    pub fn peak(&self, samples: &[f32]) -> f32 {
        let frames = samples.len() / HOP + 1;
        let chunks = (0..frames).step_by(CHUNK).collect::<Vec<_>>();
        let loudest = chunks.into_par_iter().map(|first| {
            let mut rows = vec![0.0f32; CHUNK.min(frames - first) * self.n_mels];
            self.log_power(samples, first, End::Open, &mut rows)
        });
        loudest.reduce(|| f32::NEG_INFINITY, f32::max).max(FLOOR.log10())
    }

    /// The spectrogram `[n_mels, 3000]` of the frames from `first` on of a recording that goes on in silence, normalised by
    /// `peak`. `samples`: all of it.
    ///
    /// The reference pads its last window with zeros, which in a normalised log-mel are loud; transformers pads it with
    /// silence, and so do we: on the demo model the zeros cost words.
    pub fn log_mel_at(&self, samples: &[f32], peak: f32, first: usize) -> LogMel {
        let mut rows = vec![0.0f32; WINDOW_FRAMES * self.n_mels];
        rows.par_chunks_mut(CHUNK * self.n_mels.max(1)).enumerate().for_each(|(chunk, rows)| {
            self.log_power(samples, first + chunk * CHUNK, End::Open, rows);
        });
        let mut values = vec![0.0; self.n_mels * WINDOW_FRAMES];
        for (mel, row) in values.chunks_exact_mut(WINDOW_FRAMES).enumerate() {
            for (value, frame) in row.iter_mut().zip(rows.chunks_exact(self.n_mels.max(1))) {
                *value = normalised(frame[mel], peak);
            }
        }
        LogMel { n_mels: self.n_mels, values }
    }

    /// Fills `rows` (`[frames, n_mels]`) with log10 of the mel power of the frames from `first` on; returns the loudest.
    fn log_power(&self, samples: &[f32], first: usize, end: End, rows: &mut [f32]) -> f32 {
        let mut frame = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = [0.0f32; BINS];
        let mut peak = f32::NEG_INFINITY;
        for (index, row) in rows.chunks_exact_mut(self.n_mels.max(1)).enumerate() {
            gather(samples, (first + index) * HOP, end, &mut frame);
            for (sample, weight) in frame.iter_mut().zip(&self.hann) {
                *sample *= weight;
            }
            // Lengths come from the plan itself, so the transform cannot refuse them.
            let transformed = self.fft.process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
            debug_assert!(transformed.is_ok(), "buffers made by the plan fit the plan");
            for (power, bin) in power.iter_mut().zip(&spectrum) {
                *power = Complex::norm_sqr(bin);
            }
            for (value, (from, weights)) in row.iter_mut().zip(&self.filters) {
                let heard = &power[*from..*from + weights.len()];
                let sum: f32 = heard.iter().zip(weights).map(|(power, weight)| power * weight).sum();
                *value = sum.max(FLOOR).log10();
                peak = peak.max(*value);
            }
        }
        peak
    }
}

/// What comes after the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Silence up to 30 s, and then all of it backwards.
    Mirrored,
    /// Silence without end.
    Open,
}

/// Whisper's scale: 8 below the loudest value is as quiet as it gets.
fn normalised(value: f32, peak: f32) -> f32 {
    (value.max(peak - 8.0) + 4.0) / 4.0
}

/// The 400 samples centred on `centre`, mirrored beyond the start (and the end, if so) as
/// `torch.stft(center=True, pad_mode="reflect")` does: the end sample itself is not repeated.
fn gather(samples: &[f32], centre: usize, end: End, frame: &mut [f32]) {
    let whole: Option<Range<usize>> = centre.checked_sub(CENTRE).map(|start| start..start + N_FFT);
    if let Some(inside) = whole.and_then(|range| samples.get(range)) {
        frame.copy_from_slice(inside);
        return;
    }
    let last = WINDOW_SAMPLES as isize - 1;
    let start = centre as isize - CENTRE as isize;
    for (slot, place) in frame.iter_mut().zip(start..) {
        let mirrored = if place > last && end == End::Mirrored { 2 * last - place } else { place.abs() };
        *slot = samples.get(mirrored as usize).copied().unwrap_or(0.0);
    }
}

/// Slaney's triangles over the 201 frequency bins, each of area 2 / its width in Hz: `librosa.filters.mel(sr=16000,
/// n_fft=400, n_mels=n_mels)`.
fn triangles(n_mels: usize) -> Vec<(usize, Vec<f32>)> {
    let top = mel_of(SAMPLE_RATE as f64 / 2.0);
    let edge = |i: usize| hertz_of(top * i as f64 / (n_mels + 1) as f64);
    (0..n_mels)
        .map(|mel| {
            let (low, peak, high) = (edge(mel), edge(mel + 1), edge(mel + 2));
            let weight = |bin: usize| {
                let hertz = (bin * SAMPLE_RATE) as f64 / N_FFT as f64;
                let rising = (hertz - low) / (peak - low);
                let falling = (high - hertz) / (high - peak);
                rising.min(falling).max(0.0) * 2.0 / (high - low)
            };
            let heard: Vec<usize> = (0..BINS).filter(|&bin| weight(bin) > 0.0).collect();
            let from = heard.first().copied().unwrap_or(0);
            (from, heard.iter().map(|&bin| weight(bin) as f32).collect())
        })
        .collect()
}

/// Slaney's scale: linear (3 mels per 200 Hz) up to 1 kHz, then 27 mels for each factor of 6.4.
fn mel_of(hertz: f64) -> f64 {
    if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4f64.ln() }
}

fn hertz_of(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp() }
}
