//! A row of logits in, what a choice among them needs out.

use super::tile::PANEL;
use crate::vector::curves::exp;
use crate::vector::{self, for_each_level};

/// Terms that are added in f32 before they are added to the rest in f64: 51,866 of them would cost f32 its last digits.
const RUN: usize = 64 * PANEL;

/// Whether one of them is no number.
pub fn has_nan(logits: &[f32]) -> bool {
    let mut found = false;
    find_nan(logits, &mut found);
    found
}

/// `-inf` of none.
pub fn largest(logits: &[f32]) -> f32 {
    let mut most = f32::NEG_INFINITY;
    find_largest(logits, &mut most);
    most
}

/// Sum of `exp(logit - largest)`; that of `-inf` is less than 1e-37.
pub fn exp_sum(logits: &[f32], largest: f32) -> f64 {
    let mut sum = 0.0;
    add_exps(logits, largest, &mut sum);
    sum
}

/// How likely one of them is by their softmax.
pub fn share(logits: &[f32], of: usize) -> f32 {
    let largest = largest(logits);
    (f64::from((logits[of] - largest).exp()) / exp_sum(logits, largest)) as f32
}

for_each_level! {
    fn find_nan(logits: &[f32], found: &mut bool) = find_nan_of
}

#[inline(always)]
fn find_nan_of<const M: usize>(logits: &[f32], found: &mut bool) {
    for run in logits.chunks(RUN) {
        let mut some = false;
        for logit in run {
            some |= logit.is_nan();
        }
        *found |= some;
    }
}

for_each_level! {
    fn find_largest(logits: &[f32], most: &mut f32) = find_largest_of
}

#[inline(always)]
fn find_largest_of<const M: usize>(logits: &[f32], most: &mut f32) {
    *most = vector::largest(logits);
}

for_each_level! {
    fn add_exps(logits: &[f32], largest: f32, sum: &mut f64) = add_exps_of
}

#[inline(always)]
fn add_exps_of<const M: usize>(logits: &[f32], largest: f32, sum: &mut f64) {
    for run in logits.chunks(RUN) {
        let (chunks, rest) = run.as_chunks::<PANEL>();
        let mut lanes = [0.0f32; PANEL];
        for chunk in chunks {
            for (lane, logit) in lanes.iter_mut().zip(chunk) {
                *lane += exp(logit - largest);
            }
        }
        for lane in lanes {
            *sum += f64::from(lane);
        }
        for logit in rest {
            *sum += f64::from(exp(logit - largest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_double_precision() {
        for count in [1, 15, 16, 1_023, 1_501, 51_866] {
            let logits: Vec<f32> = (0..count).map(|at| ((at * 7_919 % 1_000) as f32 / 50.0) - 10.0).collect();
            let most = largest(&logits);
            assert_eq!(most, logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let exact: f64 = logits.iter().map(|logit| (f64::from(*logit) - f64::from(most)).exp()).sum();
            assert!((exp_sum(&logits, most) - exact).abs() < 1e-6 * exact);
        }
    }

    #[test]
    fn what_is_ruled_out_counts_for_nothing_and_nan_is_found_anywhere() {
        let mut logits = vec![f32::NEG_INFINITY; 51_866];
        assert_eq!(largest(&logits), f32::NEG_INFINITY);
        logits[51_865] = 3.0;
        assert_eq!((largest(&logits), exp_sum(&logits, 3.0) as f32), (3.0, 1.0));
        assert!(!has_nan(&logits));
        for at in [0, 20_000, 51_865] {
            let mut logits = logits.clone();
            logits[at] = f32::NAN;
            assert!(has_nan(&logits));
        }
    }
}
