//! Frames of sound in, the power of each of their frequencies out: eight frames at once, one in each lane of a vector.
//!
//! A frame of 400 samples is taken for 200 complex numbers, whose transform (Stockham's, of radices 5, 5, 4 and 2, in natural order)
//! is taken apart again: Press et al., Numerical Recipes, 12.3.2.

use std::f64::consts::TAU;

use crate::vector::chip::Chip;
use crate::vector::eight::Eight;
use crate::vector::for_each_level;

/// Samples under one transform: 25 ms.
pub const N_FFT: usize = 400;
/// Frequency bins of one transform, 40 Hz apart.
pub const BINS: usize = N_FFT / 2 + 1;
/// Frames at once: two buffers of 200 complex numbers of each just fit a core's first cache.
pub const LANES: usize = 8;

/// One number of each frame.
pub type Lane = [f32; LANES];

const HALF: usize = N_FFT / 2;

/// Factors of the transform, made once.
pub struct Spectrum {
    /// By which samples are multiplied, `[400]`.
    window: Vec<f32>,
    /// `e^(-2 pi i p k / n)` of each pass, by `p` and by `k` from 1 on.
    fives: Vec<Factor>,
    more_fives: Vec<Factor>,
    fours: Vec<Factor>,
    /// `e^(-2 pi i k / 400)`.
    apart: Vec<Factor>,
}

#[derive(Clone, Copy)]
struct Factor {
    re: f32,
    im: f32,
}

#[derive(Clone, Copy)]
struct Complex {
    re: Lane,
    im: Lane,
}

const ZERO: Complex = Complex { re: [0.0; LANES], im: [0.0; LANES] };

/// What one thread works in.
pub struct Scratch {
    one: Box<[Complex; HALF]>,
    other: Box<[Complex; HALF]>,
    pub power: Box<[Lane; BINS]>,
}

impl Scratch {
    pub fn new() -> Self {
        Scratch {
            one: Box::new([ZERO; HALF]),
            other: Box::new([ZERO; HALF]),
            power: Box::new([[0.0; LANES]; BINS]),
        }
    }
}

fn factor(part: usize, of: usize) -> Factor {
    let angle = -TAU * part as f64 / of as f64;
    Factor { re: angle.cos() as f32, im: angle.sin() as f32 }
}

fn factors(n: usize, radix: usize) -> Vec<Factor> {
    (0..n / radix).flat_map(|p| (1..radix).map(move |k| factor(p * k, n))).collect()
}

impl Spectrum {
    pub fn new(window: Vec<f32>) -> Self {
        Spectrum {
            window,
            fives: factors(200, 5),
            more_fives: factors(40, 5),
            fours: factors(8, 4),
            apart: (0..BINS).map(|k| factor(k, N_FFT)).collect(),
        }
    }

    /// `scratch.power` of the frames.
    pub fn power(&self, frames: &[[f32; N_FFT]; LANES], scratch: &mut Scratch) {
        power(self, frames, scratch);
    }
}

for_each_level! {
    fn power(plan: &Spectrum, frames: &[[f32; N_FFT]; LANES], scratch: &mut Scratch) = power_of with chip
}

#[inline(always)]
fn power_of<const M: usize, C: Chip>(plan: &Spectrum, frames: &[[f32; N_FFT]; LANES], scratch: &mut Scratch) {
    let Scratch { one, other, power } = scratch;
    for (index, z) in one.as_chunks_mut::<{ LANES / 2 }>().0.iter_mut().enumerate() {
        let window = C::Eight::load(&plan.window.as_chunks::<LANES>().0[index]);
        let mut samples = [window; LANES];
        for (samples, frame) in samples.iter_mut().zip(frames) {
            *samples = samples.times(C::Eight::load(&frame.as_chunks::<LANES>().0[index]));
        }
        let samples = C::Eight::transposed(samples);
        for (z, two) in z.iter_mut().zip(samples.as_chunks::<2>().0) {
            Pair { re: two[0], im: two[1] }.store(z);
        }
    }
    pass_of_five::<C::Eight>(&one[..], &mut other[..], &plan.fives);
    pass_of_five::<C::Eight>(&other[..], &mut one[..], &plan.more_fives);
    pass_of_four::<C::Eight>(&one[..], &mut other[..], &plan.fours);
    // The last pass, of two, has no factors and lies 100 apart.
    let ((a, b), (sum, rest)) = (other.split_at(HALF / 2), one.split_at_mut(HALF / 2));
    for ((a, b), (sum, rest)) in a.iter().zip(b).zip(sum.iter_mut().zip(rest)) {
        let (a, b) = (Pair::<C::Eight>::load(a), Pair::load(b));
        a.plus(b).store(sum);
        a.minus(b).store(rest);
    }
    for (k, (power, w)) in power.iter_mut().zip(&plan.apart).enumerate() {
        let (z, mirrored) = (Pair::<C::Eight>::load(&one[k % HALF]), Pair::load(&one[(HALF - k) % HALF]));
        // The transforms of even and of odd samples, twice each.
        let even = Pair { re: z.re.plus(mirrored.re), im: z.im.minus(mirrored.im) };
        let odd = Pair { re: z.im.plus(mirrored.im), im: mirrored.re.minus(z.re) };
        let Pair { re, im } = even.plus(odd.times(w));
        C::Eight::splat(0.25).times(re.times_plus(re, im.times(im))).store(power);
    }
}

/// Complex numbers in registers.
#[derive(Clone, Copy)]
struct Pair<V> {
    re: V,
    im: V,
}

impl<V: Eight> Pair<V> {
    #[inline(always)]
    fn load(from: &Complex) -> Self {
        Pair { re: V::load(&from.re), im: V::load(&from.im) }
    }

    #[inline(always)]
    fn store(self, to: &mut Complex) {
        self.re.store(&mut to.re);
        self.im.store(&mut to.im);
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Pair { re: self.re.plus(other.re), im: self.im.plus(other.im) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Pair { re: self.re.minus(other.re), im: self.im.minus(other.im) }
    }

    /// `self - i other`.
    #[inline(always)]
    fn plus_turned(self, other: Self) -> Self {
        Pair { re: self.re.plus(other.im), im: self.im.minus(other.re) }
    }

    /// `self + i other`.
    #[inline(always)]
    fn minus_turned(self, other: Self) -> Self {
        Pair { re: self.re.minus(other.im), im: self.im.plus(other.re) }
    }

    /// `self + by a + more b`.
    #[inline(always)]
    fn with(self, a: Self, by: f32, b: Self, more: f32) -> Self {
        let (by, more) = (V::splat(by), V::splat(more));
        Pair {
            re: b.re.times_plus(more, a.re.times_plus(by, self.re)),
            im: b.im.times_plus(more, a.im.times_plus(by, self.im)),
        }
    }

    #[inline(always)]
    fn times(self, by: &Factor) -> Self {
        let (re, im, minus_im) = (V::splat(by.re), V::splat(by.im), V::splat(-by.im));
        Pair {
            re: self.im.times_plus(minus_im, self.re.times(re)),
            im: self.im.times_plus(re, self.re.times(im)),
        }
    }
}

/// cos and sin of one fifth and of two fifths of a turn.
const COS: [f32; 2] = [0.309_017, -0.809_017];
const SIN: [f32; 2] = [0.951_056_54, 0.587_785_24];

/// `factors`: `[n / 5][4]`; what was transformed before lies `x.len() / n` apart.
#[inline(always)]
fn pass_of_five<V: Eight>(x: &[Complex], y: &mut [Complex], factors: &[Factor]) {
    let (apart, factors) = (x.len() / 5, factors.as_chunks::<4>().0);
    let stride = apart / factors.len();
    let nothing = Pair { re: V::splat(0.0), im: V::splat(0.0) };
    for (p, factors) in factors.iter().enumerate() {
        for q in 0..stride {
            let from = q + stride * p;
            let a = |index: usize| Pair::<V>::load(&x[from + index * apart]);
            let (near, near_off) = (a(1).plus(a(4)), a(1).minus(a(4)));
            let (far, far_off) = (a(2).plus(a(3)), a(2).minus(a(3)));
            let first = a(0).with(near, COS[0], far, COS[1]);
            let second = a(0).with(near, COS[1], far, COS[0]);
            let first_off = nothing.with(near_off, SIN[0], far_off, SIN[1]);
            let second_off = nothing.with(near_off, SIN[1], far_off, -SIN[0]);
            let to = q + stride * 5 * p;
            a(0).plus(near.plus(far)).store(&mut y[to]);
            first.plus_turned(first_off).times(&factors[0]).store(&mut y[to + stride]);
            second.plus_turned(second_off).times(&factors[1]).store(&mut y[to + 2 * stride]);
            second.minus_turned(second_off).times(&factors[2]).store(&mut y[to + 3 * stride]);
            first.minus_turned(first_off).times(&factors[3]).store(&mut y[to + 4 * stride]);
        }
    }
}

#[inline(always)]
fn pass_of_four<V: Eight>(x: &[Complex], y: &mut [Complex], factors: &[Factor]) {
    let (apart, factors) = (x.len() / 4, factors.as_chunks::<3>().0);
    let stride = apart / factors.len();
    for (p, factors) in factors.iter().enumerate() {
        for q in 0..stride {
            let from = q + stride * p;
            let a = |index: usize| Pair::<V>::load(&x[from + index * apart]);
            let (even, even_off) = (a(0).plus(a(2)), a(0).minus(a(2)));
            let (odd, odd_off) = (a(1).plus(a(3)), a(1).minus(a(3)));
            let to = q + stride * 4 * p;
            even.plus(odd).store(&mut y[to]);
            even_off.plus_turned(odd_off).times(&factors[0]).store(&mut y[to + stride]);
            even.minus(odd).times(&factors[1]).store(&mut y[to + 2 * stride]);
            even_off.minus_turned(odd_off).times(&factors[2]).store(&mut y[to + 3 * stride]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_is_what_the_definition_says() {
        let mut frames = [[0.0f32; N_FFT]; LANES];
        for (lane, frame) in frames.iter_mut().enumerate() {
            for (at, sample) in frame.iter_mut().enumerate() {
                *sample = ((at * at * (lane + 3) % 1_013) as f32 / 506.5) - 1.0;
            }
        }
        let window: Vec<f32> = (0..N_FFT).map(|at| 0.5 + at as f32 / 800.0).collect();
        let mut scratch = Scratch::new();
        Spectrum::new(window.clone()).power(&frames, &mut scratch);
        for (lane, frame) in frames.iter().enumerate() {
            for k in 0..BINS {
                let (mut re, mut im) = (0.0f64, 0.0f64);
                for (at, (sample, weight)) in frame.iter().zip(&window).enumerate() {
                    let angle = -TAU * (k * at % N_FFT) as f64 / N_FFT as f64;
                    re += f64::from(sample * weight) * angle.cos();
                    im += f64::from(sample * weight) * angle.sin();
                }
                let (exact, ours) = (re * re + im * im, f64::from(scratch.power[k][lane]));
                assert!((ours - exact).abs() < 1e-5 * exact + 1e-3, "{lane} {k}: {ours} {exact}");
            }
        }
    }
}
