//! Eight numbers in a register: for what is too long a story for a loop that compilers make vectors of.

/// Computed together, each by itself.
pub trait Eight: Copy {
    fn splat(number: f32) -> Self;
    fn load(numbers: &[f32; 8]) -> Self;
    fn store(self, numbers: &mut [f32; 8]);
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// `self * by + more`, rounded once where the processor can.
    fn times_plus(self, by: Self, more: Self) -> Self;
    /// Columns of eight rows.
    fn transposed(rows: [Self; 8]) -> [Self; 8];
}

/// On every processor.
#[derive(Clone, Copy)]
pub struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn with(mut self, other: Plain, of: impl Fn(f32, f32) -> f32) -> Plain {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = of(*a, b);
        }
        self
    }
}

impl Eight for Plain {
    #[inline(always)]
    fn splat(number: f32) -> Self {
        Plain([number; 8])
    }

    #[inline(always)]
    fn load(numbers: &[f32; 8]) -> Self {
        Plain(*numbers)
    }

    #[inline(always)]
    fn store(self, numbers: &mut [f32; 8]) {
        *numbers = self.0;
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    fn times_plus(self, by: Self, more: Self) -> Self {
        self.times(by).plus(more)
    }

    #[inline(always)]
    fn transposed(rows: [Self; 8]) -> [Self; 8] {
        std::array::from_fn(|column| Plain(rows.map(|row| row.0[column])))
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::Wide;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "one instruction each; see tests/tidy.rs")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Eight;

    /// An AVX register.
    #[derive(Clone, Copy)]
    pub struct Wide(__m256);

    // SAFETY, for all below: only functions that are compiled for these instructions use them (`for_each_level`), and what is loaded
    // and stored is eight numbers long.
    impl Eight for Wide {
        #[inline(always)]
        fn splat(number: f32) -> Self {
            unsafe { Wide(_mm256_set1_ps(number)) }
        }

        #[inline(always)]
        fn load(numbers: &[f32; 8]) -> Self {
            unsafe { Wide(_mm256_loadu_ps(numbers.as_ptr())) }
        }

        #[inline(always)]
        fn store(self, numbers: &mut [f32; 8]) {
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            unsafe { Wide(_mm256_add_ps(self.0, other.0)) }
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            unsafe { Wide(_mm256_sub_ps(self.0, other.0)) }
        }

        #[inline(always)]
        fn times(self, other: Self) -> Self {
            unsafe { Wide(_mm256_mul_ps(self.0, other.0)) }
        }

        #[inline(always)]
        fn times_plus(self, by: Self, more: Self) -> Self {
            unsafe { Wide(_mm256_fmadd_ps(self.0, by.0, more.0)) }
        }

        #[inline(always)]
        fn transposed(r: [Self; 8]) -> [Self; 8] {
            unsafe {
                // Pairs of rows, fours, and then both halves.
                let (a, b) = (_mm256_unpacklo_ps(r[0].0, r[1].0), _mm256_unpackhi_ps(r[0].0, r[1].0));
                let (c, d) = (_mm256_unpacklo_ps(r[2].0, r[3].0), _mm256_unpackhi_ps(r[2].0, r[3].0));
                let (e, f) = (_mm256_unpacklo_ps(r[4].0, r[5].0), _mm256_unpackhi_ps(r[4].0, r[5].0));
                let (g, h) = (_mm256_unpacklo_ps(r[6].0, r[7].0), _mm256_unpackhi_ps(r[6].0, r[7].0));
                let (ac0, ac1) = (_mm256_shuffle_ps::<0x44>(a, c), _mm256_shuffle_ps::<0xee>(a, c));
                let (bd0, bd1) = (_mm256_shuffle_ps::<0x44>(b, d), _mm256_shuffle_ps::<0xee>(b, d));
                let (eg0, eg1) = (_mm256_shuffle_ps::<0x44>(e, g), _mm256_shuffle_ps::<0xee>(e, g));
                let (fh0, fh1) = (_mm256_shuffle_ps::<0x44>(f, h), _mm256_shuffle_ps::<0xee>(f, h));
                [
                    Wide(_mm256_permute2f128_ps::<0x20>(ac0, eg0)),
                    Wide(_mm256_permute2f128_ps::<0x20>(ac1, eg1)),
                    Wide(_mm256_permute2f128_ps::<0x20>(bd0, fh0)),
                    Wide(_mm256_permute2f128_ps::<0x20>(bd1, fh1)),
                    Wide(_mm256_permute2f128_ps::<0x31>(ac0, eg0)),
                    Wide(_mm256_permute2f128_ps::<0x31>(ac1, eg1)),
                    Wide(_mm256_permute2f128_ps::<0x31>(bd0, fh0)),
                    Wide(_mm256_permute2f128_ps::<0x31>(bd1, fh1)),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chip::Chip;
    use super::super::for_each_level;
    use super::*;

    for_each_level! {
        fn here(rows: &[[f32; 8]; 8], out: &mut [[f32; 8]; 8]) = columns_of with chip
    }

    #[inline(always)]
    fn columns_of<const M: usize, C: Chip>(rows: &[[f32; 8]; 8], out: &mut [[f32; 8]; 8]) {
        let columns = C::Eight::transposed(rows.map(|row| C::Eight::load(&row)));
        for (out, column) in out.iter_mut().zip(columns) {
            column.store(out);
        }
    }

    #[test]
    fn rows_become_columns() {
        let rows: [[f32; 8]; 8] = std::array::from_fn(|row| std::array::from_fn(|at| (row * 8 + at) as f32));
        let mut columns = [[0.0; 8]; 8];
        here(&rows, &mut columns);
        for (at, column) in columns.iter().enumerate() {
            assert_eq!(*column, rows.map(|row| row[at]));
        }
    }
}
