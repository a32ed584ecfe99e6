//! Attention of a text over its audio in, the frame at which each of its tokens begins out.
//!
//! Follows `find_alignment`, openai/whisper timing.py at c0d2f624, lines 206-236, but for two things: a frame to which all tokens
//! attend alike counts nothing, where the reference divides by zero; and sums are of f32 alone.

use super::median;
use super::warp::begins;
use crate::model::Alignment;

/// The frame at which each text token begins, and last the frame at which the text ends: one more than there are text
/// tokens. `None` where the attention tells nothing: no frames, no heads, or values that are no numbers.
///
/// `first`: the place of the first text token. The token before it decides where that begins, so it is 1 at least.
pub fn token_frames(alignment: &Alignment, first: usize) -> Option<Vec<usize>> {
    let Alignment { heads, tokens, frames, ref scores, .. } = *alignment;
    // The row that reads a token is the row that says what comes next: rows from the one before the first text token to
    // the last text token; the last row of all reads the end of text and says nothing.
    let rows = first.checked_sub(1)?..tokens.checked_sub(1)?;
    if heads == 0 || frames == 0 || rows.is_empty() || scores.len() != heads * tokens * frames {
        return None;
    }
    let mut mean = vec![0.0; rows.len() * frames];
    let mut head = vec![0.0; tokens * frames];
    let mut smooth = median::Filter::new(frames);
    for scores in scores.chunks_exact(tokens * frames) {
        head.copy_from_slice(scores);
        head.chunks_exact_mut(frames).for_each(softmax);
        standardise(&mut head, frames);
        let wanted = head.chunks_exact(frames).skip(rows.start);
        for (sum, row) in mean.chunks_exact_mut(frames).zip(wanted) {
            smooth.add(row, sum);
        }
    }
    // The mean over the heads is this sum by their number, which moves no path.
    mean.iter().all(|value| value.is_finite()).then(|| begins(&mean, frames))
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - most).exp();
        sum += *value;
    }
    let scale = 1.0 / sum;
    row.iter_mut().for_each(|value| *value *= scale);
}

/// Mean 0 and deviation 1 over the rows, in each column.
fn standardise(matrix: &mut [f32], columns: usize) {
    let rows = (matrix.len() / columns) as f32;
    let mut mean = vec![0.0f32; columns];
    for row in matrix.chunks_exact(columns) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / rows);
    }
    let mut variance = vec![0.0f32; columns];
    for row in matrix.chunks_exact(columns) {
        for ((variance, value), mean) in variance.iter_mut().zip(row).zip(&mean) {
            *variance += (value - mean) * (value - mean) / rows;
        }
    }
    let scale = |variance: &f32| if *variance > 0.0 { variance.sqrt().recip() } else { 0.0 };
    let scale: Vec<f32> = variance.iter().map(scale).collect();
    for row in matrix.chunks_exact_mut(columns) {
        for ((value, mean), scale) in row.iter_mut().zip(&mean).zip(&scale) {
            *value = (*value - mean) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token attends to its share of the frames, in noise. Numbers that f32 holds exactly, so that they are the same
    /// in the script that asked the reference.
    fn alignment((heads, tokens, frames): (usize, usize, usize), seed: u64) -> Alignment {
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut scores = Vec::with_capacity(heads * tokens * frames);
        for _ in 0..heads {
            for token in 0..tokens {
                for frame in 0..frames {
                    let near = 6usize.saturating_sub(frame.abs_diff(token * frames / tokens));
                    scores.push(near as f32 * 0.5 + noise() * 2.0);
                }
            }
        }
        Alignment { heads, tokens, frames, scores, probabilities: vec![0.5; tokens - 1] }
    }

    /// Recorded from openai-whisper 20250625 (c0d2f624) with torch 2.15: its `median_filter` and `dtw_cpu` between lines
    /// 206-216 and 228-229 of timing.py, on the same scores.
    #[test]
    fn tokens_begin_where_the_reference_has_them_begin() {
        let frames = |shape, first, seed| token_frames(&alignment(shape, seed), first).unwrap();
        assert_eq!(frames((3, 18, 97), 5, 1), [0, 23, 30, 34, 40, 46, 51, 56, 61, 67, 73, 78, 83]);
        assert_eq!(frames((1, 9, 5), 4, 2), [0, 0, 3, 4, 4]);
        assert_eq!(frames((2, 7, 3), 2, 3), [0, 0, 1, 1, 2]);
        let crowded =
            [0, 6, 7, 8, 9, 12, 13, 13, 14, 16, 18, 18, 20, 22, 24, 24, 27, 27, 29, 29, 30, 33, 33, 34, 38];
        assert_eq!(frames((2, 30, 40), 5, 4), crowded);
        let long = [
            0, 26, 33, 41, 49, 56, 63, 71, 79, 86, 94, 101, 109, 116, 123, 131, 138, 146, 154, 161, 169, 176,
            183, 191, 198, 206, 213, 221, 228, 236, 243, 251, 259, 266, 273, 281,
        ];
        assert_eq!(frames((6, 40, 300), 4, 5), long);
    }

    #[test]
    fn attention_that_tells_nothing_gives_no_times() {
        assert_eq!(token_frames(&alignment((2, 6, 0), 1), 3), None);
        assert_eq!(token_frames(&alignment((0, 6, 10), 1), 3), None);
        assert_eq!(token_frames(&alignment((2, 6, 10), 1), 0), None);
        assert_eq!(token_frames(&alignment((2, 6, 10), 1), 6), None);
        assert_eq!(token_frames(&alignment((2, 1, 10), 1), 1), None);
        let mut broken = alignment((2, 6, 10), 1);
        broken.scores[70] = f32::NAN;
        assert_eq!(token_frames(&broken, 3), None);
        broken.scores.pop();
        assert_eq!(token_frames(&broken, 3), None);
    }

    #[test]
    fn frames_to_which_all_tokens_attend_alike_count_nothing() {
        let mut flat = alignment((1, 6, 20), 1);
        flat.scores.fill(0.25);
        let frames = token_frames(&flat, 2).unwrap();
        assert!(frames.is_sorted() && frames.len() == 4);
    }
}
