//! Samples in; out: where for a second on end nothing changes as it does when somebody speaks.
//!
//! A network of 40 KB takes tunes for vowels, and noise that begins suddenly for breath. Both are told from speech by what
//! no voice does for a second: noise and hum keep their level in every band of frequencies, and tones keep their lines in
//! the spectrum for a tenth of a second and longer. A voice in the midst of them still changes. Figures: docs/speech.md.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::SAMPLE_RATE;
use super::mel::hann;

/// Samples under one transform: 64 ms, lines of 16 Hz, so that the harmonics of a voice lie apart.
const N_FFT: usize = 1024;
/// Samples between two transforms: 20 ms.
const STEP: usize = SAMPLE_RATE / 50;
/// Frames that are judged together: a second.
const BLOCK: usize = 50;
/// Frames from one judgement to the next: 0.24 s.
const EVERY: usize = 12;
/// Levels are the mean of this many frames, or noise would seem to change.
const SMOOTH: usize = 3;
/// Frames that a tone lasts at least: 0.1 s.
const LAG: usize = 5;

/// Bands of equal ratio between these frequencies, in Hz.
const BANDS: usize = 24;
const LOWEST: f64 = 100.0;
const HIGHEST: f64 = 7_000.0;
/// Lines that are compared: 60 to 5,000 Hz.
const LINES: std::ops::Range<usize> = 4..320;

/// A band further than this below the loudest of its second is taken to be there: 50 dB.
const FAINT: f32 = 1e-5;
/// A frame further than this below the loudest of its second has no tone to keep: 30 dB.
const SOFT: f32 = 1e-3;
/// One band in seven changes at least so much when somebody speaks, in dB (standard deviation): in speech in as much noise it
/// does by 3.6 and more, in noise alone by up to 2.7.
const LEAST_CHANGE: f32 = 3.0;
/// Two spectra that are alike: their correlation.
const ALIKE: f32 = 0.9;
/// The share of frames that are alike 0.1 s later: in tunes more than half, in speech over chords as loud less than 0.3.
const MOST_ALIKE: f32 = 0.45;
/// In such a second tones are only where they sound: where of the frames this near on either side so many are alike.
const AROUND: usize = 8;
const LEAST_AROUND: f32 = 0.25;

/// Where the sound is steady.
pub(super) struct Steady {
    /// Each second, one begun every `EVERY` frames.
    blocks: Vec<Second>,
    /// Of each frame, whether its spectrum is still there `LAG` later; `None`: it is soft.
    alike: Vec<Option<bool>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Second {
    Changing,
    /// No band changes its level.
    Still,
    /// Most of it is tones, and somebody may speak between them.
    Tones,
}

impl Steady {
    pub(super) fn of(samples: &[f32]) -> Self {
        let mut transform = Transform::new();
        let mut heard = Heard::new();
        let (mut blocks, mut alike) = (Vec::new(), Vec::new());
        let frames = samples.windows(N_FFT).step_by(STEP);
        for (index, window) in frames.enumerate() {
            heard.hear(transform.powers(window));
            if index >= LAG {
                alike.push(heard.latest());
            }
            if index + 1 >= BLOCK && (index + 1 - BLOCK).is_multiple_of(EVERY) {
                blocks.push(heard.second());
            }
        }
        Steady { blocks, alike }
    }

    /// Whether a second that `at` lies in is steady from its start to its end.
    pub(super) fn contains(&self, at: usize) -> bool {
        let (every, reach) = (EVERY * STEP, BLOCK * STEP + N_FFT - STEP);
        let last = (at / every + 1).min(self.blocks.len());
        // What is left at the end is like the second before it.
        let first = (at + 1).saturating_sub(reach).div_ceil(every).min(last.saturating_sub(1));
        let seconds = &self.blocks[first..last];
        seconds.contains(&Second::Still) || seconds.contains(&Second::Tones) && self.is_tone(at)
    }

    /// Whether tones sound around `at`.
    fn is_tone(&self, at: usize) -> bool {
        let frame = at / STEP;
        let last = (frame + AROUND).min(self.alike.len());
        let around = self.alike[frame.saturating_sub(AROUND + LAG).min(last)..last].iter().flatten();
        let (alike, count) = around.fold((0, 0), |(alike, count), one| (alike + i32::from(*one), count + 1));
        alike as f32 > count as f32 * LEAST_AROUND
    }
}

/// Whether the last second of a live stream was steady. A file's places are asked about every second that they lie in; of a live
/// one the next second is not known yet, so steady sound is told from speech only once it has lasted.
pub(super) struct SteadyNow {
    transform: Transform,
    heard: Heard,
    /// Samples of which no frame has begun yet.
    waiting: Vec<f32>,
    frames: usize,
    second: Second,
    alike: VecDeque<Option<bool>>,
}

impl Default for SteadyNow {
    fn default() -> Self {
        SteadyNow {
            transform: Transform::new(),
            heard: Heard::new(),
            waiting: Vec::with_capacity(2 * N_FFT),
            frames: 0,
            second: Second::Changing,
            alike: VecDeque::with_capacity(AROUND + 1),
        }
    }
}

impl SteadyNow {
    pub(super) fn hear(&mut self, samples: &[f32]) {
        self.waiting.extend_from_slice(samples);
        let mut used = 0;
        while let Some(window) = self.waiting.get(used..used + N_FFT) {
            self.heard.hear(self.transform.powers(window));
            used += STEP;
            self.frames += 1;
            if self.frames > LAG {
                self.alike.push_back(self.heard.latest());
                self.alike.drain(..self.alike.len().saturating_sub(AROUND));
            }
            if self.frames >= BLOCK && (self.frames - BLOCK).is_multiple_of(EVERY) {
                self.second = self.heard.second();
            }
        }
        self.waiting.drain(..used);
    }

    pub(super) fn is_steady(&self) -> bool {
        match self.second {
            Second::Changing => false,
            Second::Still => true,
            Second::Tones => {
                let known: Vec<bool> = self.alike.iter().copied().flatten().collect();
                let alike = known.iter().filter(|alike| **alike).count();
                alike as f32 > known.len() as f32 * LEAST_AROUND
            }
        }
    }
}

/// The spectrum of one frame.
struct Transform {
    hann: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Transform {
    fn new() -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(N_FFT);
        Transform {
            hann: hann(N_FFT),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    fn powers(&mut self, window: &[f32]) -> impl Iterator<Item = f32> {
        for ((slot, sample), weight) in self.frame.iter_mut().zip(window).zip(&self.hann) {
            *slot = if sample.is_finite() { sample * weight } else { 0.0 };
        }
        self.fft
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers are its own");
        self.spectrum.iter().map(|line| line.norm_sqr())
    }
}

/// The last second as it was heard.
struct Heard {
    edges: Vec<usize>,
    recent: VecDeque<Frame>,
}

struct Frame {
    /// Power of each band.
    bands: Vec<f32>,
    power: f32,
    /// Square roots of the lines' amplitudes, less their mean, of length 1.
    lines: Vec<f32>,
}

impl Heard {
    fn new() -> Self {
        let line = |hertz: f64| (hertz * N_FFT as f64 / SAMPLE_RATE as f64).round() as usize;
        let edge = |band: usize| line(LOWEST * (HIGHEST / LOWEST).powf(band as f64 / BANDS as f64));
        let mut edges: Vec<usize> = (0..=BANDS).map(edge).collect();
        edges.dedup();
        Heard { edges, recent: VecDeque::with_capacity(BLOCK) }
    }

    fn hear(&mut self, powers: impl Iterator<Item = f32>) {
        let powers: Vec<f32> = powers.collect();
        let mean = |band: &[usize]| {
            let lines = &powers[band[0]..band[1]];
            lines.iter().sum::<f32>() / lines.len() as f32
        };
        let bands = self.edges.windows(2).map(mean).collect();
        let mut lines: Vec<f32> = powers[LINES].iter().map(|power| power.sqrt().sqrt()).collect();
        let mean = lines.iter().sum::<f32>() / lines.len() as f32;
        lines.iter_mut().for_each(|line| *line -= mean);
        let length = lines.iter().map(|line| line * line).sum::<f32>().sqrt();
        lines.iter_mut().for_each(|line| *line /= length.max(f32::MIN_POSITIVE));
        if self.recent.len() == BLOCK {
            self.recent.pop_front();
        }
        self.recent.push_back(Frame { bands, power: powers.iter().sum(), lines });
    }

    fn second(&self) -> Second {
        match () {
            () if self.change() < LEAST_CHANGE => Second::Still,
            () if self.alike() > MOST_ALIKE => Second::Tones,
            () => Second::Changing,
        }
    }

    /// By how many dB the level of one band in seven changes at least.
    fn change(&self) -> f32 {
        let smooth = |band: usize, first: usize| {
            self.recent.range(first..first + SMOOTH).map(|frame| frame.bands[band]).sum::<f32>()
                / SMOOTH as f32
        };
        let frames = self.recent.len() + 1 - SMOOTH;
        let bands = self.edges.len() - 1;
        let mut levels: Vec<Vec<f32>> =
            (0..bands).map(|band| (0..frames).map(|first| smooth(band, first)).collect()).collect();
        let loudest = levels.iter().flatten().copied().fold(0.0, f32::max);
        // Digital silence changes by nothing.
        let floor = (loudest * FAINT).max(1e-12);
        let mut changes: Vec<f32> = levels
            .iter_mut()
            .map(|band| {
                band.iter_mut().for_each(|power| *power = 10.0 * power.max(floor).log10());
                let mean = band.iter().sum::<f32>() / frames as f32;
                (band.iter().map(|level| (level - mean).powi(2)).sum::<f32>() / frames as f32).sqrt()
            })
            .collect();
        changes.sort_by(f32::total_cmp);
        changes[bands * 17 / 20]
    }

    /// The share of the frames that are not soft whose spectrum is still there `LAG` later.
    fn alike(&self) -> f32 {
        let loudest = self.loudest();
        let heard = (0..self.recent.len() - LAG).filter(|at| self.recent[*at].power > loudest * SOFT);
        let (mut alike, mut count) = (0, 0);
        for at in heard {
            alike += u32::from(self.is_alike(at));
            count += 1;
        }
        alike as f32 / count.max(1) as f32
    }

    /// Of the latest frame that has another `LAG` after it; `None`: it is soft.
    fn latest(&self) -> Option<bool> {
        let at = self.recent.len() - 1 - LAG;
        (self.recent[at].power > self.loudest() * SOFT).then(|| self.is_alike(at))
    }

    fn loudest(&self) -> f32 {
        self.recent.iter().map(|frame| frame.power).fold(0.0, f32::max)
    }

    fn is_alike(&self, at: usize) -> bool {
        let (frame, later) = (&self.recent[at], &self.recent[at + LAG]);
        frame.lines.iter().zip(&later.lines).map(|(a, b)| a * b).sum::<f32>() > ALIKE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of a sound's places that are steady.
    fn share(samples: &[f32]) -> f32 {
        let steady = Steady::of(samples);
        let places: Vec<bool> = (0..samples.len()).step_by(256).map(|at| steady.contains(at)).collect();
        places.iter().filter(|steady| **steady).count() as f32 / places.len() as f32
    }

    fn noise(seconds: usize, mut state: u64) -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..seconds * SAMPLE_RATE).map(|_| next() * 0.1).collect()
    }

    fn tone(seconds: f32, hertz: f32) -> Vec<f32> {
        let len = (seconds * SAMPLE_RATE as f32) as usize;
        let at = |i: usize| (std::f32::consts::TAU * hertz * i as f32 / SAMPLE_RATE as f32).sin() * 0.3;
        (0..len).map(at).collect()
    }

    #[test]
    fn silence_noise_and_tones_are_steady() {
        assert_eq!(share(&vec![0.0; 5 * SAMPLE_RATE]), 1.0);
        assert!(share(&noise(10, 1)) > 0.95, "{}", share(&noise(10, 1)));
        assert_eq!(share(&tone(5.1, 440.0)), 1.0);
        let melody: Vec<f32> =
            (0..20).flat_map(|note| tone(0.3, 220.0 * 1.122f32.powi(note * 5 % 12))).collect();
        assert!(share(&melody) > 0.95, "{}", share(&melody));
    }

    #[test]
    fn a_glide_over_noise_is_not_and_neither_is_noise_in_syllables() {
        let mut phase = 0.0f32;
        let glide = |i: usize| {
            // A pitch that wanders by a third of itself three times a second, with ten harmonics, five times a second louder.
            let time = i as f32 / SAMPLE_RATE as f32;
            phase += std::f32::consts::TAU * (150.0 + 50.0 * (19.0 * time).sin()) / SAMPLE_RATE as f32;
            let voice: f32 = (1..10).map(|k| (phase * k as f32).sin() / k as f32).sum();
            voice * 0.2 * (1.1 + (31.0 * time).sin())
        };
        let voice: Vec<f32> = (0..5 * SAMPLE_RATE).map(glide).collect();
        assert_eq!(share(&voice), 0.0);
        let over: Vec<f32> = voice.iter().zip(noise(5, 2)).map(|(a, b)| a + b).collect();
        assert_eq!(share(&over), 0.0);
        let syllable = |i: usize| if (i / 3_000).is_multiple_of(2) { 1.0 } else { 0.01 };
        let whispered: Vec<f32> = noise(5, 3).iter().enumerate().map(|(i, s)| s * syllable(i)).collect();
        assert_eq!(share(&whispered), 0.0);
    }

    #[test]
    fn less_than_a_second_and_what_is_no_number_can_be_asked() {
        assert!(!Steady::of(&[]).contains(0));
        assert!(!Steady::of(&tone(0.9, 440.0)).contains(5_000));
        assert!(Steady::of(&vec![f32::NAN; 40_000]).contains(20_000));
    }
}
