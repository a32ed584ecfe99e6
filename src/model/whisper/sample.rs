//! A row of logits and its constraint in, the next token out: the plain version, on the host.

use crate::model::kernels::cpu;
use crate::model::{Choice, Constraint, ModelError, Pick, Probe, Step};
use crate::text::Token;

/// Picks what may come next in one row. `logits`: `[vocab]` after the row's last token, changed in place.
pub fn sample(logits: &mut [f32], step: &Step) -> Result<Vec<Choice>, ModelError> {
    check(logits)?;
    constrain(logits, &step.constraint);
    let total = log_sum_exp(logits);
    if total == f32::NEG_INFINITY {
        return Err(ModelError::Device("no token was allowed to come next".to_owned()));
    }
    let choice = |token: usize| Choice { token: token as Token, logprob: logits[token] - total };
    Ok(match step.pick {
        Pick::Likeliest(0 | 1) => vec![choice(argmax(logits))],
        Pick::Likeliest(count) => likeliest(logits, count).into_iter().map(choice).collect(),
        Pick::Drawn { temperature, seed } => vec![choice(draw(logits, step, temperature, seed))],
    })
}

/// Probability of the probed token, before any constraint. `logits`: `[vocab]` after `tokens[probe.index]`.
pub fn probe(logits: &[f32], probe: Probe) -> Result<f32, ModelError> {
    check(logits)?;
    Ok(logits.get(probe.token as usize).map_or(0.0, |logit| (logit - log_sum_exp(logits)).exp()))
}

/// NaN is a fault of the device or the weights; no text may come of it.
fn check(logits: &[f32]) -> Result<(), ModelError> {
    match cpu::has_nan(logits) {
        true => Err(ModelError::Device("the network gave NaN".to_owned())),
        false => Ok(()),
    }
}

fn constrain(logits: &mut [f32], constraint: &Constraint) {
    let vocab = logits.len();
    for token in constraint.suppress.iter() {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
    for range in &constraint.forbid {
        let (start, end) = ((range.start as usize).min(vocab), (range.end as usize).min(vocab));
        logits[start..end.max(start)].fill(f32::NEG_INFINITY);
    }
    if let Some(first) = constraint.timestamps_from {
        let (text, timestamps) = logits.split_at_mut((first as usize).min(vocab));
        // Both sides would be divided by the same total, so the logits themselves can be compared.
        if log_sum_exp(timestamps) > cpu::largest(text) {
            text.fill(f32::NEG_INFINITY);
        }
    }
}

/// The first of the largest, as `torch.argmax` has it on the CPU.
fn argmax(logits: &[f32]) -> usize {
    let largest = cpu::largest(logits);
    logits.iter().position(|logit| *logit == largest).unwrap_or(0)
}

/// The largest `count` of those that are allowed, the largest first and the first of equal ones first.
fn likeliest(logits: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for (index, logit) in logits.iter().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY) {
        if best.len() == count && *logit <= logits[best[count - 1]] {
            continue;
        }
        let place = best.partition_point(|other| logits[*other] >= *logit);
        best.insert(place, index);
        best.truncate(count);
    }
    best
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = cpu::largest(logits);
    if largest == f32::NEG_INFINITY {
        return largest;
    }
    largest + cpu::exp_sum(logits, largest).ln() as f32
}

/// Gumbel-max: the argmax of `logit / temperature + noise` is a draw from the softmax. The noise depends on the seed,
/// the position and the token alone, so the draw is the same in any batch and on any machine.
fn draw(logits: &[f32], step: &Step, temperature: f32, seed: u64) -> usize {
    let position = step.position + step.tokens.len();
    let row = mix(seed ^ mix(position as u64));
    let mut best = (f32::NEG_INFINITY, 0);
    for (token, logit) in logits.iter().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY) {
        // 53 random bits in the open interval (0, 1): its double logarithm is finite.
        let uniform = ((mix(row.wrapping_add(token as u64)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let noisy = logit / temperature - (-uniform.ln()).ln() as f32;
        if noisy > best.0 {
            best = (noisy, token);
        }
    }
    best.1
}

/// 2^64 over the golden ratio: the distance between two seeds of SplitMix64.
pub(super) const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): every input bit decides every output bit.
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Lane, Slot};

    fn step(constraint: Constraint, pick: Pick) -> Step {
        Step { slot: Slot(0), lane: Lane(0), position: 3, tokens: vec![1], constraint, pick, probe: None }
    }

    fn best(logits: &mut [f32], constraint: Constraint) -> Choice {
        sample(logits, &step(constraint, Pick::Likeliest(1))).unwrap()[0]
    }

    #[test]
    fn the_likeliest_allowed_token_comes_with_its_probability_among_the_allowed() {
        let constraint = Constraint { suppress: [2].into(), forbid: vec![3..4, 3..9], ..Default::default() };
        let mut logits = [0.0, 0.0, 5.0, 9.0];
        let best = best(&mut logits, constraint);
        assert_eq!(best.token, 0);
        assert!((best.logprob - 0.5f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn many_small_timestamps_outweigh_one_larger_text_token() {
        let constraint = Constraint { timestamps_from: Some(1), ..Default::default() };
        let mut logits = [1.0, 0.5, 0.6];
        assert_eq!(best(&mut logits, constraint).token, 2);
        let constraint = Constraint { timestamps_from: Some(1), ..Default::default() };
        let mut logits = [2.0, 0.5, 0.6];
        assert_eq!(best(&mut logits, constraint).token, 0);
    }

    #[test]
    fn a_seed_decides_the_draw_and_draws_follow_the_distribution() {
        let draws = |temperature| {
            (0..4000)
                .map(|seed| {
                    let mut logits = [0.0, 1.0, f32::NEG_INFINITY];
                    let step = step(Constraint::default(), Pick::Drawn { temperature, seed });
                    sample(&mut logits, &step).unwrap()[0].token
                })
                .collect::<Vec<_>>()
        };
        let ones = draws(1.0).iter().filter(|token| **token == 1).count() as f32 / 4000.0;
        let expected = 1f32.exp() / (1.0 + 1f32.exp());
        assert!((ones - expected).abs() < 0.03, "{ones} of the draws, {expected} expected");
        assert!(!draws(1.0).contains(&2));
        assert_eq!(draws(0.7), draws(0.7));
    }

    #[test]
    fn the_likeliest_few_come_in_order_and_never_what_is_ruled_out() {
        let constraint = Constraint { forbid: vec![1..2], ..Default::default() };
        let picked = |count| {
            let mut logits = [0.5, 9.0, 2.0, 0.5, 1.0];
            let choices = sample(&mut logits, &step(constraint.clone(), Pick::Likeliest(count))).unwrap();
            choices.iter().map(|choice| choice.token).collect::<Vec<_>>()
        };
        assert_eq!(picked(3), [2, 4, 0]);
        assert_eq!(picked(9), [2, 4, 0, 3]);
    }

    #[test]
    fn nan_is_a_fault_and_not_a_token() {
        let mut logits = [0.0, f32::NAN];
        let step = step(Constraint::default(), Pick::Likeliest(1));
        assert!(matches!(sample(&mut logits, &step), Err(ModelError::Device(_))));
        assert!(probe(&logits, Probe { index: 0, token: 0 }).is_err());
    }

    #[test]
    fn a_probe_is_the_plain_softmax() {
        let logits = [0.0, 0.0, f32::ln(2.0)];
        assert!((probe(&logits, Probe { index: 0, token: 2 }).unwrap() - 0.5).abs() < 1e-6);
        assert_eq!(probe(&logits, Probe { index: 0, token: 99 }).unwrap(), 0.0);
    }
}
