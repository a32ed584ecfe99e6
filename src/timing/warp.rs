//! Dynamic time warping: how well each token fits each frame in, the frame at which each token begins out.
//!
//! Follows `dtw_cpu` and `backtrace`, openai/whisper timing.py at c0d2f624, lines 57-105, and its choice between equals but for
//! one: where two ways are equal and better than the third, `c0 == c1 < c2`, the reference takes the third.

/// Where the best path came from.
#[derive(Clone, Copy)]
enum From {
    Both,
    TokenBefore,
    FrameBefore,
}

/// `fit`: `[tokens, frames]`, row-major, the larger the better; neither may be 0. The path runs from the first token at the first frame to
/// the last token at the last frame, and never back.
pub(super) fn begins(fit: &[f32], frames: usize) -> Vec<usize> {
    let tokens = fit.len() / frames;
    let mut trace = Vec::with_capacity(fit.len());
    // Costs of the token before at every frame, the frame before the first one included; then of this token.
    let mut before = vec![f32::INFINITY; frames + 1];
    let mut cost = vec![f32::INFINITY; frames + 1];
    before[0] = 0.0;
    for row in fit.chunks_exact(frames) {
        let mut left = f32::INFINITY;
        cost[0] = left;
        for (frame, value) in row.iter().enumerate() {
            let (both, up) = (before[frame], before[frame + 1]);
            let (best, from) = if both <= up && both < left {
                (both, From::Both)
            } else if up < both && up < left {
                (up, From::TokenBefore)
            } else {
                (left, From::FrameBefore)
            };
            left = best - value;
            cost[frame + 1] = left;
            trace.push(from);
        }
        std::mem::swap(&mut before, &mut cost);
    }
    trace_back(&trace, tokens, frames)
}

fn trace_back(trace: &[From], tokens: usize, frames: usize) -> Vec<usize> {
    let mut begins = vec![0; tokens];
    let (mut token, mut frame) = (tokens - 1, frames - 1);
    loop {
        // Frames are walked backwards, so what is written last is the token's first one.
        begins[token] = frame;
        if token == 0 {
            // What is left of the path stays with the first token.
            begins[0] = 0;
            return begins;
        }
        match trace[token * frames + frame] {
            _ if frame == 0 => token -= 1,
            From::Both => (token, frame) = (token - 1, frame - 1),
            From::TokenBefore => token -= 1,
            From::FrameBefore => frame -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small enough numbers to be the same on every machine.
    fn noise(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1u64 << 24) as f32
    }

    /// As openai/whisper tests/test_timing.py plants it: noise below 1, and 1 more along a random path.
    fn planted(tokens: usize, frames: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut state = seed;
        let mut fit: Vec<f32> = (0..tokens * frames).map(|_| -noise(&mut state)).collect();
        let mut steps: Vec<bool> = [vec![false; tokens - 1], vec![true; frames - 1]].concat();
        for place in (1..steps.len()).rev() {
            let other = (noise(&mut state) * (place + 1) as f32) as usize;
            steps.swap(place, other.min(place));
        }
        let (mut token, mut frame, mut next) = (0, 0, 0);
        let mut begins = vec![usize::MAX; tokens];
        loop {
            fit[token * frames + frame] += 1.0;
            begins[token] = begins[token].min(frame);
            let Some(&forward) = steps.get(next) else { return (fit, begins) };
            // Two different steps in a row are one diagonal step.
            let both = steps.get(next + 1).is_some_and(|other| *other != forward);
            token += usize::from(both || !forward);
            frame += usize::from(both || forward);
            next += if both { 2 } else { 1 };
        }
    }

    #[test]
    fn planted_paths_are_found() {
        for (tokens, frames) in [(10, 20), (32, 16), (123, 1500), (234, 189)] {
            for seed in 0..4 {
                let (fit, planted) = planted(tokens, frames, seed);
                assert_eq!(
                    begins(&fit, frames),
                    planted,
                    "{tokens} tokens over {frames} frames, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn one_token_or_one_frame_leaves_no_choice() {
        assert_eq!(begins(&[0.5, 0.1, 0.9], 3), [0]);
        assert_eq!(begins(&[0.5, 0.1, 0.9], 1), [0, 0, 0]);
    }

    /// The best sum over all paths from here to the end.
    fn brute(fit: &[f32], (tokens, frames): (usize, usize), (token, frame): (usize, usize)) -> f32 {
        let own = fit[token * frames + frame];
        let steps = [(token + 1, frame + 1), (token + 1, frame), (token, frame + 1)];
        let rest = steps.into_iter().filter(|(token, frame)| *token < tokens && *frame < frames);
        let best = rest.map(|step| brute(fit, (tokens, frames), step)).reduce(f32::max);
        own + best.unwrap_or(0.0)
    }

    /// The best sum over the paths on which every token begins where `begins` says.
    fn sum_along(fit: &[f32], frames: usize, begins: &[usize]) -> f32 {
        let mut sum = 0.0;
        for (token, &begin) in begins.iter().enumerate() {
            let row = &fit[token * frames..][..frames];
            match begins.get(token + 1) {
                // The next token begins at this frame, or at the one after this token's last.
                Some(&next) => {
                    let short: f32 = row[begin..next.max(begin + 1)].iter().sum();
                    let long: f32 = row[begin..=next].iter().sum();
                    sum += if next == begin { row[begin] } else { short.max(long) };
                }
                None => sum += row[begin..].iter().sum::<f32>(),
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn no_path_is_better(tokens in 1usize..5, frames in 1usize..6, seed: u64) {
            let mut state = seed;
            // Sums of few sixteenths are exact.
            let fit: Vec<f32> = (0..tokens * frames).map(|_| (noise(&mut state) * 32.0).floor() / 16.0 - 1.0).collect();
            let found = begins(&fit, frames);
            prop_assert!(found.is_sorted() && found[0] == 0);
            prop_assert_eq!(sum_along(&fit, frames, &found), brute(&fit, (tokens, frames), (0, 0)));
        }
    }
}
