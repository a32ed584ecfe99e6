//! Texts and the audio of their slots in, how each text lies over its audio out: one pass of the decoder for all rows.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::cache::Cache;
use super::decoder::{Decoder, Row};
use crate::model::kernels::cpu;
use crate::model::{AlignRow, Alignment};

/// `heads`: `(layer, head)`. `frames` of every row must lie within the encoder's output.
pub fn align(
    decoder: &Decoder,
    cache: &Cache,
    heads: &[(usize, usize)],
    rows: &[AlignRow],
) -> Result<Vec<Alignment>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let read: Vec<Row> = rows
        .iter()
        .map(|row| Row { slot: row.slot.0, lane: row.lane.0, position: 0, tokens: &row.tokens })
        .collect();
    let (hidden, scores) = decoder.cross_scores(&read, cache, heads)?;
    let mut first = 0;
    let mut aligned = Vec::with_capacity(rows.len());
    for (row, scores) in rows.iter().zip(scores) {
        let tokens = row.tokens.len();
        let scores = Tensor::stack(&scores, 0)?;
        // Of a short context there are no more.
        let frames = row.frames.min(scores.dim(D::Minus1)?);
        let scores = scores.narrow(D::Minus1, 0, frames)?;
        let hidden = hidden.narrow(0, first, tokens)?;
        first += tokens;
        aligned.push(Alignment {
            heads: heads.len(),
            tokens,
            frames,
            scores: scores.flatten_all()?.to_vec1()?,
            probabilities: probabilities(decoder, &hidden, row)?,
        });
    }
    Ok(aligned)
}

/// Follows `find_alignment`, openai/whisper timing.py at c0d2f624, lines 199-204: a softmax over the text tokens alone.
/// `hidden`: `[tokens, d]`. Tokens that are no text have probability 0.
fn probabilities(decoder: &Decoder, hidden: &Tensor, row: &AlignRow) -> Result<Vec<f32>> {
    let asked = row.tokens.len() - 1;
    if asked == 0 {
        return Ok(Vec::new());
    }
    let logits = decoder.logits(&hidden.narrow(0, 0, asked)?)?;
    let below = (row.text_below as usize).min(logits.dim(1)?);
    let is_text = |token: u32| (token as usize) < below;
    let next = &row.tokens[1..];
    if logits.device().is_cpu() {
        let rows: Vec<Vec<f32>> = logits.to_vec2()?;
        let share = |(logits, next): (&Vec<f32>, &u32)| match is_text(*next) {
            true => cpu::share(&logits[..below], *next as usize),
            false => 0.0,
        };
        return Ok(rows.par_iter().zip(next).map(share).collect());
    }
    let shares = candle_nn::ops::softmax_last_dim(&logits.narrow(1, 0, below)?.contiguous()?)?;
    let ids: Vec<u32> = next.iter().map(|token| if is_text(*token) { *token } else { 0 }).collect();
    let found = shares.gather(&Tensor::from_vec(ids, (asked, 1), shares.device())?, 1)?;
    let found: Vec<f32> = found.flatten_all()?.to_vec1()?;
    Ok(found.into_iter().zip(next).map(|(share, token)| if is_text(*token) { share } else { 0.0 }).collect())
}
