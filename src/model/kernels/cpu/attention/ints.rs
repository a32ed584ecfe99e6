//! In whole numbers: keys and values of 12 bits, queries and the weights of values of 16.

use rayon::prelude::*;

use super::super::ints::{Inputs, Panels, Source, pack_words};
use super::super::tile::sweep;
use super::{BLOCK, Into, Shape};
use crate::vector::chip::Chip;
use crate::vector::for_each_level;

/// One head's keys and values, over frames and transposed.
struct Head {
    keys: Panels<i16>,
    values: Panels<i16>,
}

/// One window's `[frames, 3 * width]` in, its `[frames, width]` out.
pub fn attend(qkv: &[f32], shape: Shape, out: &mut [f32]) {
    let (width, heads) = (shape.width(), 0..shape.heads);
    let heads: Vec<Head> = heads.into_par_iter().map(|head| pack(qkv, head, shape)).collect();
    let parts = out.par_chunks_mut(BLOCK * width).enumerate();
    parts.for_each_init(Scratch::default, |scratch, (index, out)| {
        some_queries(&qkv[index * BLOCK * 3 * width..], &heads, shape, scratch, out);
    });
}

fn pack(qkv: &[f32], head: usize, shape: Shape) -> Head {
    let width = shape.width();
    let of = |part: usize| &qkv[part * width + head * shape.head..];
    let frame = 3 * width;
    let keys = Source { numbers: of(1), outputs: shape.frames, inputs: shape.head, output: frame, input: 1 };
    let values =
        Source { numbers: of(2), outputs: shape.head, inputs: shape.frames, output: 1, input: frame };
    let [keys, values] = [keys, values].map(|source| {
        let mut panels = Panels::new(source.outputs, source.inputs);
        for (panel, (weights, scales)) in panels.each().enumerate() {
            pack_words(source, panel, weights, scales);
        }
        panels
    });
    Head { keys, values }
}

/// Of one thread.
#[derive(Default)]
struct Scratch {
    queries: Inputs,
    scores: Vec<f32>,
    shares: Inputs,
}

for_each_level! {
    /// `queries`: `qkv` from the first query on; `out`: `[queries, width]`.
    fn some_queries(queries: &[f32], heads: &[Head], shape: Shape, scratch: &mut Scratch, out: &mut [f32]) =
        some_queries_of with chip
}

#[inline(always)]
fn some_queries_of<const M: usize, C: Chip>(
    queries: &[f32],
    heads: &[Head],
    shape: Shape,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let (width, keys, count) = (shape.width(), shape.keys(), out.len() / shape.width());
    let Scratch { queries: asked, scores, shares } = scratch;
    scores.resize(BLOCK * keys, 0.0);
    for (index, head) in heads.iter().enumerate() {
        let scale = 1.0 / (shape.head as f32).sqrt();
        asked.take(&queries[index * shape.head..], (count, 3 * width), shape.head, scale);
        let mut into = Into { out: scores, stride: keys, first: 0 };
        for panel in 0..head.keys.len() {
            sweep::<M, _, _>(
                &head.keys.part::<C>(asked, panel, (0, head.keys.inputs())),
                count,
                panel,
                &mut into,
            );
        }
        shares.take_softmax(scores, (count, keys), shape.frames);
        let mut into = Into { out, stride: width, first: index * shape.head };
        for panel in 0..head.values.len() {
            sweep::<M, _, _>(
                &head.values.part::<C>(shares, panel, (0, head.values.inputs())),
                count,
                panel,
                &mut into,
            );
        }
    }
}
