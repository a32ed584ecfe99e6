//! A window's samples in, its log-mel spectrogram out, equal to OpenAI's.
//!
//! Follows `log_mel_spectrogram` in openai/whisper@c0d2f62, whisper/audio.py lines 110-157. The filters are computed
//! (Slaney's scale and norm, as librosa makes them): they agree with whisper's `mel_filters.npz` to 3e-9.

mod spectrum;

use std::f64::consts::TAU;
use std::ops::Range;

use rayon::prelude::*;

use super::{HOP, LogMel, SAMPLE_RATE, WINDOW_FRAMES, WINDOW_SAMPLES};
use crate::vector::curves::log10;
use crate::vector::for_each_level;
use spectrum::{BINS, LANES, Lane, N_FFT, Scratch, Spectrum};

/// Frame `t` is centred on sample `t * HOP`, so it begins this much before.
const CENTRE: usize = N_FFT / 2;
/// Whisper's floor under the power before the logarithm.
const FLOOR: f32 = 1e-10;
/// Frames that one thread takes at a time: enough to pay for its buffers.
const CHUNK: usize = 128;

/// Filters and transform plan for one number of mel bins (80 or 128); made once, shared by all threads.
pub struct MelFilters {
    n_mels: usize,
    spectrum: Spectrum,
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
        MelFilters { n_mels, spectrum: Spectrum::new(hann(N_FFT)), filters: triangles(n_mels) }
    }

    /// The spectrogram `[n_mels, 3000]` of one window, padded to 30 s with zeros as `pad_or_trim` does.
    ///
    /// `samples`: 16 kHz mono; what lies beyond 480,000 samples is left out. Frames that see only padding cost nothing.
    pub fn log_mel(&self, samples: &[f32]) -> LogMel {
        let samples = &samples[..samples.len().min(WINDOW_SAMPLES)];
        // Frames from here on begin at or after the last sample. The last frame of all also mirrors the window's end,
        // but only samples that it covers anyway.
        let heard = (samples.len() + CENTRE).div_ceil(HOP).min(WINDOW_FRAMES);
        let (chunks, peak) = self.log_powers(samples, 0..heard, End::Mirrored);
        let silence = FLOOR.log10();
        // Whisper clamps to 8 below the loudest value of the whole window, padding included.
        let peak = if heard < WINDOW_FRAMES { peak.max(silence) } else { peak };
        self.normalise(&chunks, heard, peak)
    }

    /// The loudest log-mel value of a whole recording, by which the reference's sequential mode normalises each of its windows
    /// (transcribe.py calls `log_mel_spectrogram` once, with 30 s of silence after the end).
    pub fn peak(&self, samples: &[f32]) -> f32 {
        let frames = samples.len() / HOP + 1;
        let parts = (0..frames).step_by(WINDOW_FRAMES);
        let loudest = parts
            .map(|first| self.log_powers(samples, first..frames.min(first + WINDOW_FRAMES), End::Open).1);
        loudest.fold(FLOOR.log10(), f32::max)
    }

    /// The spectrogram `[n_mels, 3000]` of the frames from `first` on of a recording that goes on in silence, normalised by
    /// `peak`. `samples`: all of it.
    ///
    /// The reference pads its last window with zeros, which in a normalised log-mel are loud; transformers pads it with
    /// silence, and so do we: on the demo model the zeros cost words.
    pub fn log_mel_at(&self, samples: &[f32], peak: f32, first: usize) -> LogMel {
        let (chunks, _) = self.log_powers(samples, first..first + WINDOW_FRAMES, End::Open);
        self.normalise(&chunks, WINDOW_FRAMES, peak)
    }

    /// log10 of the mel power of frames, `[chunks][n_mels][128]`; and the loudest.
    fn log_powers(&self, samples: &[f32], frames: Range<usize>, end: End) -> (Vec<f32>, f32) {
        let mut chunks = vec![0.0; frames.len().div_ceil(CHUNK) * CHUNK * self.n_mels];
        let parts = chunks.par_chunks_mut((CHUNK * self.n_mels).max(1)).enumerate();
        let peak = parts.map_init(Scratch::new, |scratch, (index, chunk)| {
            let first = frames.start + index * CHUNK;
            self.log_power(samples, first..frames.end.min(first + CHUNK), end, scratch, chunk)
        });
        let peak = peak.reduce(|| f32::NEG_INFINITY, f32::max);
        (chunks, peak)
    }

    /// Of one chunk.
    fn log_power(
        &self,
        samples: &[f32],
        frames: Range<usize>,
        end: End,
        scratch: &mut Scratch,
        chunk: &mut [f32],
    ) -> f32 {
        let mut heard = [[0.0f32; N_FFT]; LANES];
        let mut peak = f32::NEG_INFINITY;
        for (group, first) in frames.clone().step_by(LANES).enumerate() {
            let some = LANES.min(frames.end - first);
            for (frame, heard) in heard.iter_mut().enumerate().take(some) {
                gather(samples, (first + frame) * HOP, end, heard);
            }
            self.spectrum.power(&heard, scratch);
            let mut loudest = [f32::NEG_INFINITY; LANES];
            filter(&self.filters, &scratch.power, group, chunk, &mut loudest);
            peak = loudest.iter().take(some).copied().fold(peak, f32::max);
        }
        peak
    }

    /// The first `heard` frames of the chunks, and silence after them.
    fn normalise(&self, chunks: &[f32], heard: usize, peak: f32) -> LogMel {
        let silence = normalised(FLOOR.log10(), peak);
        let mut values = vec![0.0; self.n_mels * WINDOW_FRAMES];
        for (mel, row) in values.chunks_exact_mut(WINDOW_FRAMES).enumerate() {
            let (row, beyond) = row.split_at_mut(heard);
            let chunks = chunks.chunks_exact(CHUNK).skip(mel).step_by(self.n_mels);
            for (row, chunk) in row.chunks_mut(CHUNK).zip(chunks) {
                for (value, power) in row.iter_mut().zip(chunk) {
                    *value = normalised(*power, peak);
                }
            }
            beyond.fill(silence);
        }
        LogMel::new(self.n_mels, values)
    }
}

for_each_level! {
    /// log10 of what each filter hears of eight frames, the `group`th of a chunk `[n_mels][128]`; and the loudest of each frame.
    fn filter(
        filters: &[(usize, Vec<f32>)],
        power: &[Lane; BINS],
        group: usize,
        chunk: &mut [f32],
        loudest: &mut Lane
    ) = filter_of
}

#[inline(always)]
fn filter_of<const M: usize>(
    filters: &[(usize, Vec<f32>)],
    power: &[Lane; BINS],
    group: usize,
    chunk: &mut [f32],
    loudest: &mut Lane,
) {
    for ((from, weights), row) in filters.iter().zip(chunk.chunks_exact_mut(CHUNK)) {
        let mut sums = [0.0f32; LANES];
        for (weight, power) in weights.iter().zip(&power[*from..]) {
            for lane in 0..LANES {
                sums[lane] += weight * power[lane];
            }
        }
        let row = &mut row[group * LANES..][..LANES];
        for lane in 0..LANES {
            row[lane] = log10(sums[lane].max(FLOOR));
            loudest[lane] = loudest[lane].max(row[lane]);
        }
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
fn gather(samples: &[f32], centre: usize, end: End, frame: &mut [f32; N_FFT]) {
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
