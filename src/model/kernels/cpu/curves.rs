//! exp and erf as polynomials that compile to vector code.

/// Adding it rounds to an integer, which then stands in the low bits: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
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
    fn gelu_is_candles() {
        let x: Vec<f32> = (-12_000..12_000).map(|step| step as f32 / 1000.0).collect();
        let tensor = candle_core::Tensor::new(x.as_slice(), &candle_core::Device::Cpu).unwrap();
        let theirs: Vec<f32> = tensor.gelu_erf().unwrap().to_vec1().unwrap();
        for (x, theirs) in x.into_iter().zip(theirs) {
            assert!((gelu(x) - theirs).abs() < 1e-6 * x.abs().max(1.0), "{x}: {} {theirs}", gelu(x));
        }
    }
}
