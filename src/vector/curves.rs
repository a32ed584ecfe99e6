//! exp, erf and logarithm as polynomials that compile to vector code.

/// Adding it rounds to an integer, which then stands in the low bits: 1.5 * 2^23.
pub const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first exact in few bits (Cody and Waite).
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// e^x, within 1e-7 of itself, for x from -87 to 88; that of -87 for all below.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.max(-87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let rest = n.mul_add(-LN_2.1, n.mul_add(-LN_2.0, x));
    // Taylor's series over half an octave.
    let mut power = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = rest.mul_add(power, factor);
    }
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(power.to_bits()))
}

/// Of positive normal numbers, within 2e-7 of itself and of 1.
#[inline(always)]
pub fn log10(x: f32) -> f32 {
    // The nearest power of two apart; sqrt(1/2) begins the octave that 1 is the middle of.
    let bits = x.to_bits() as i32;
    let octave = (bits - std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let rest = f32::from_bits((bits - (octave << 23)) as u32);
    // ln((1 + s) / (1 - s)) as a series.
    let s = (rest - 1.0) / (rest + 1.0);
    let z = s * s;
    let mut series = 1.0 / 9.0;
    for factor in [1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        series = z.mul_add(series, factor);
    }
    (octave as f32).mul_add(std::f32::consts::LOG10_2, 2.0 * std::f32::consts::LOG10_E * s * series)
}

/// Abramowitz and Stegun, 7.1.26: within 2e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / size.mul_add(0.327_591_1, 1.0);
    let mut tail = 1.061_405_4;
    for factor in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        tail = t.mul_add(tail, factor);
    }
    (1.0 - tail * t * exp(-size * size)).copysign(x)
}

/// The exact GELU, as PyTorch's `nn.GELU()`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_the_last_bits() {
        for step in -87_000..88_000 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() < 2e-7 * exact, "{x}");
        }
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(-1e30) < 2e-38);
        assert!(exp(f32::NAN).is_nan() || exp(f32::NAN) < 2e-38);
    }

    #[test]
    fn log10_is_that_of_double_precision() {
        for step in -1_000..1_000 {
            for more in [1.0, 1.3, 1.414, 1.7, 1.999_9, 2.0, 2.9] {
                let x = more * 10f32.powf(step as f32 / 40.0);
                let exact = f64::from(x).log10();
                assert!((f64::from(log10(x)) - exact).abs() < 2e-7 * exact.abs().max(1.0), "{x}");
            }
        }
    }

    #[test]
    fn gelu_is_that_of_double_precision() {
        // erf's own series.
        let erf = |x: f64| {
            let mut term = x;
            let mut sum = x;
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        };
        for step in -6_000..6_000 {
            let x = step as f32 / 1000.0;
            let exact = 0.5 * f64::from(x) * (1.0 + erf(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2));
            assert!((f64::from(gelu(x)) - exact).abs() < 1e-6 * f64::from(x).abs().max(1.0), "{x}");
        }
        assert_eq!((gelu(12.0), gelu(-12.0)), (12.0, 0.0));
    }
}
