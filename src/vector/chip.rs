//! What processors have instructions for that compilers make no use of: products of whole numbers, and numbers of 16 bits.
//!
//! Weights of 8 bits and factors of 16, sixteen columns at once and two inputs at a time, for that is what processors multiply and
//! add in one. Nothing is ever rounded or cut off, so every processor gives the same.

use half::f16;

use super::eight::{Eight, Plain};
use super::{LANES, Lanes};

/// Weights of two inputs for each column: `[16][2]`.
pub type Pairs = [i8; 2 * LANES];

pub trait Chip {
    type Weights: Copy;
    type Sums: Copy;
    type Eight: Eight;

    fn none() -> Self::Sums;
    fn widen(weights: &Pairs) -> Self::Weights;
    /// Those that are wide already, of 12 bits at most.
    fn load(weights: &[i16; 2 * LANES]) -> Self::Weights;
    fn add(sums: &mut Self::Sums, weights: Self::Weights, pair: [i16; 2]);
    /// Adds them to `into`, each times its scale.
    fn scaled(sums: Self::Sums, scales: &Lanes, into: &mut Lanes);

    fn floats(halves: &[f16; LANES]) -> [f32; LANES];
}

/// What every processor has.
pub struct Base;

impl Chip for Base {
    type Weights = [[i16; 2]; LANES];
    type Sums = [i32; LANES];
    type Eight = Plain;

    #[inline(always)]
    fn none() -> Self::Sums {
        [0; LANES]
    }

    #[inline(always)]
    fn widen(weights: &Pairs) -> Self::Weights {
        std::array::from_fn(|column| [weights[2 * column].into(), weights[2 * column + 1].into()])
    }

    #[inline(always)]
    fn load(weights: &[i16; 2 * LANES]) -> Self::Weights {
        std::array::from_fn(|column| [weights[2 * column], weights[2 * column + 1]])
    }

    #[inline(always)]
    fn add(sums: &mut Self::Sums, weights: Self::Weights, pair: [i16; 2]) {
        let pair = pair.map(i32::from);
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum += i32::from(weights[0]) * pair[0] + i32::from(weights[1]) * pair[1];
        }
    }

    #[inline(always)]
    fn scaled(sums: Self::Sums, scales: &Lanes, into: &mut Lanes) {
        for ((into, sum), scale) in into.iter_mut().zip(sums).zip(scales) {
            *into = (sum as f32).mul_add(*scale, *into);
        }
    }

    /// The exponent moved by a product with 2^112, which makes the smallest ones right too. Infinity and NaN become large numbers.
    #[inline(always)]
    fn floats(halves: &[f16; LANES]) -> [f32; LANES] {
        let mut floats = [0.0; LANES];
        for (float, half) in floats.iter_mut().zip(halves) {
            let bits = u32::from(half.to_bits());
            let size = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((112 + 127) << 23);
            *float = f32::from_bits(size.to_bits() | (bits & 0x8000) << 16);
        }
        floats
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512, Vnni};

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the compiler makes no such instructions of loops; see tests/tidy.rs")]
mod x86 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use half::f16;

    use super::super::eight::Wide;
    use super::{Chip, LANES, Lanes, Pairs};

    fn both(pair: [i16; 2]) -> i32 {
        // SAFETY: both are 32 bits.
        unsafe { transmute(pair) }
    }

    /// Eight columns a register.
    pub struct Avx2;

    // SAFETY, for all below: only functions that are compiled for these instructions use them (`for_each_level`), what is loaded is as
    // large as its type says, and registers are as large as the arrays that they become.
    impl Chip for Avx2 {
        type Weights = [__m256i; 2];
        type Sums = [__m256i; 2];
        type Eight = Wide;

        #[inline(always)]
        fn none() -> Self::Sums {
            unsafe { [_mm256_setzero_si256(); 2] }
        }

        #[inline(always)]
        fn widen(weights: &Pairs) -> Self::Weights {
            let half = weights.as_ptr().cast::<__m128i>();
            unsafe {
                [
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(half)),
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(half.add(1))),
                ]
            }
        }

        #[inline(always)]
        fn load(weights: &[i16; 2 * LANES]) -> Self::Weights {
            let half = weights.as_ptr().cast::<__m256i>();
            unsafe { [_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))] }
        }

        #[inline(always)]
        fn add(sums: &mut Self::Sums, weights: Self::Weights, pair: [i16; 2]) {
            unsafe {
                let pair = _mm256_set1_epi32(both(pair));
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(weights[0], pair));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(weights[1], pair));
            }
        }

        #[inline(always)]
        fn scaled(sums: Self::Sums, scales: &Lanes, into: &mut Lanes) {
            for (half, sums) in sums.into_iter().enumerate() {
                let (scales, into) = (&scales[8 * half..], &mut into[8 * half..]);
                unsafe {
                    let (sums, scales) = (_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(scales.as_ptr()));
                    let sums = _mm256_fmadd_ps(sums, scales, _mm256_loadu_ps(into.as_ptr()));
                    _mm256_storeu_ps(into.as_mut_ptr(), sums);
                }
            }
        }

        #[inline(always)]
        fn floats(halves: &[f16; LANES]) -> [f32; LANES] {
            let half = halves.as_ptr().cast::<__m128i>();
            unsafe {
                transmute([
                    _mm256_cvtph_ps(_mm_loadu_si128(half)),
                    _mm256_cvtph_ps(_mm_loadu_si128(half.add(1))),
                ])
            }
        }
    }

    /// Sixteen.
    pub struct Avx512;

    impl Chip for Avx512 {
        type Weights = __m512i;
        type Sums = __m512i;
        type Eight = Wide;

        #[inline(always)]
        fn none() -> Self::Sums {
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        fn widen(weights: &Pairs) -> Self::Weights {
            unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(weights.as_ptr().cast())) }
        }

        #[inline(always)]
        fn load(weights: &[i16; 2 * LANES]) -> Self::Weights {
            unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) }
        }

        #[inline(always)]
        fn add(sums: &mut Self::Sums, weights: Self::Weights, pair: [i16; 2]) {
            unsafe {
                let products = _mm512_madd_epi16(weights, _mm512_set1_epi32(both(pair)));
                *sums = _mm512_add_epi32(*sums, products);
            }
        }

        #[inline(always)]
        fn scaled(sums: Self::Sums, scales: &Lanes, into: &mut Lanes) {
            unsafe {
                let (sums, scales) = (_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scales.as_ptr()));
                let sums = _mm512_fmadd_ps(sums, scales, _mm512_loadu_ps(into.as_ptr()));
                _mm512_storeu_ps(into.as_mut_ptr(), sums);
            }
        }

        #[inline(always)]
        fn floats(halves: &[f16; LANES]) -> [f32; LANES] {
            unsafe { transmute(_mm512_cvtph_ps(_mm256_loadu_si256(halves.as_ptr().cast()))) }
        }
    }

    /// The same in one instruction less.
    pub struct Vnni;

    impl Chip for Vnni {
        type Weights = __m512i;
        type Sums = __m512i;
        type Eight = Wide;

        #[inline(always)]
        fn none() -> Self::Sums {
            Avx512::none()
        }

        #[inline(always)]
        fn widen(weights: &Pairs) -> Self::Weights {
            Avx512::widen(weights)
        }

        #[inline(always)]
        fn load(weights: &[i16; 2 * LANES]) -> Self::Weights {
            Avx512::load(weights)
        }

        #[inline(always)]
        fn add(sums: &mut Self::Sums, weights: Self::Weights, pair: [i16; 2]) {
            unsafe { *sums = _mm512_dpwssd_epi32(*sums, weights, _mm512_set1_epi32(both(pair))) }
        }

        #[inline(always)]
        fn scaled(sums: Self::Sums, scales: &Lanes, into: &mut Lanes) {
            Avx512::scaled(sums, scales, into);
        }

        #[inline(always)]
        fn floats(halves: &[f16; LANES]) -> [f32; LANES] {
            Avx512::floats(halves)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::for_each_level;
    use super::*;

    for_each_level! {
        fn here(weights: &[Pairs], factors: &[[i16; 2]], out: &mut Lanes) = sums_of with chip
    }

    #[inline(always)]
    fn sums_of<const M: usize, C: Chip>(weights: &[Pairs], factors: &[[i16; 2]], out: &mut Lanes) {
        let mut sums = C::none();
        for (weights, pair) in weights.iter().zip(factors) {
            C::add(&mut sums, C::widen(weights), *pair);
        }
        C::scaled(sums, &[1e-3; LANES], out);
    }

    for_each_level! {
        fn words_here(weights: &[[i16; 2 * LANES]], factors: &[[i16; 2]], out: &mut Lanes) = words_of with chip
    }

    #[inline(always)]
    fn words_of<const M: usize, C: Chip>(
        weights: &[[i16; 2 * LANES]],
        factors: &[[i16; 2]],
        out: &mut Lanes,
    ) {
        let mut sums = C::none();
        for (weights, pair) in weights.iter().zip(factors) {
            C::add(&mut sums, C::load(weights), *pair);
        }
        C::scaled(sums, &[1e-3; LANES], out);
    }

    for_each_level! {
        fn floats_here(halves: &[f16; LANES], out: &mut [f32; LANES]) = floats_of with chip
    }

    #[inline(always)]
    fn floats_of<const M: usize, C: Chip>(halves: &[f16; LANES], out: &mut [f32; LANES]) {
        *out = C::floats(halves);
    }

    #[test]
    fn every_half_is_read_as_what_it_is() {
        for first in (0..=u16::MAX).step_by(LANES) {
            let halves: [f16; LANES] = std::array::from_fn(|at| f16::from_bits(first + at as u16));
            let mut out = [0.0; LANES];
            floats_here(&halves, &mut out);
            for ((half, ours), base) in halves.iter().zip(out).zip(Base::floats(&halves)) {
                assert!(!half.is_finite() || (ours, base) == (half.to_f32(), half.to_f32()), "{half:?}");
            }
        }
    }

    #[test]
    fn this_processor_adds_up_what_every_processor_does_at_the_largest_too() {
        let weights: Vec<Pairs> =
            (0..16).map(|at| std::array::from_fn(|column| [127, -127, -128, 5][(at + column) % 4])).collect();
        for extreme in [i16::MAX, i16::MIN, 3] {
            let factors: Vec<[i16; 2]> = (0..16i16).map(|at| [extreme, extreme / (at + 1)]).collect();
            let (mut ours, mut base) = ([0.5; LANES], [0.5; LANES]);
            here(&weights, &factors, &mut ours);
            sums_of::<6, Base>(&weights, &factors, &mut base);
            assert_eq!(ours, base);
            let words: Vec<[i16; 2 * LANES]> =
                weights.iter().map(|weights| weights.map(|weight| i16::from(weight) * 16)).collect();
            words_here(&words, &factors, &mut ours);
            words_of::<6, Base>(&words, &factors, &mut base);
            assert_eq!(ours, base);
        }
    }
}
