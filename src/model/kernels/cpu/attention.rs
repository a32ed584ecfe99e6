//! An encoder's self-attention: fused queries, keys and values of whole windows in, what each frame heard of all others out.
//!
//! Some queries at a time against all keys of a head, so that scores are in the cache and never in memory.

mod ints;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::linear::Kept;
use super::tile::{Floats, PANEL, Put, Sums, sweep};
use super::{tensor, values};
use crate::vector::curves::exp;
use crate::vector::for_each_level;
use crate::vector::{largest, total};

/// Queries at a time: with 1,500 keys 144 KiB of scores, and each key is read once for all of them.
const BLOCK: usize = 24;

#[derive(Clone, Copy)]
struct Shape {
    frames: usize,
    heads: usize,
    /// Numbers of a head; a multiple of 16.
    head: usize,
}

impl Shape {
    fn width(self) -> usize {
        self.heads * self.head
    }

    /// Keys of a head as they are packed: filled up with zeros.
    fn keys(self) -> usize {
        self.frames.next_multiple_of(PANEL)
    }

    /// Numbers of one head's packed keys, and of its values.
    fn packed(self) -> usize {
        self.keys() * self.head
    }
}

/// `qkv`: `[windows * frames, 3 * width]`; out: `[windows * frames, width]`, heads side by side. Softmax of `q k / sqrt(head)`.
///
/// `kept`: whether what is multiplied is rounded to 12 and 16 bits.
pub fn attend_windows(qkv: &Tensor, windows: usize, heads: usize, kept: Kept) -> Result<Tensor> {
    let (rows, width) = qkv.dims2()?;
    let width = width / 3;
    let shape = Shape { frames: rows / windows, heads, head: width / heads };
    if !shape.head.is_multiple_of(PANEL) || shape.frames == 0 {
        candle_core::bail!("heads of {} over {} frames", shape.head, shape.frames);
    }
    let mut out = vec![0.0; rows * width];
    values(qkv, |qkv| {
        let each = qkv.chunks_exact(shape.frames * 3 * width).zip(out.chunks_exact_mut(shape.frames * width));
        // One window's keys and values after the other: they share the cache.
        match kept {
            Kept::F32 => attend_floats(each, shape),
            Kept::Q8 => each.for_each(|(qkv, out)| ints::attend(qkv, shape, out)),
        }
    })?;
    tensor(out, rows, width)
}

fn attend_floats<'a>(each: impl Iterator<Item = (&'a [f32], &'a mut [f32])>, shape: Shape) {
    let width = shape.width();
    let mut packed = vec![0.0; 2 * shape.heads * shape.packed()];
    for (qkv, out) in each {
        let pack = |(head, packed): (usize, &mut [f32])| pack(qkv, head, shape, packed);
        packed.par_chunks_exact_mut(2 * shape.packed()).enumerate().for_each(pack);
        out.par_chunks_mut(BLOCK * width).enumerate().for_each_init(Vec::new, |scores, (index, out)| {
            let queries = &qkv[index * BLOCK * 3 * width..];
            scores.resize(BLOCK * shape.keys(), 0.0);
            some_queries(queries, &packed, shape, scores, out);
        });
    }
}

/// Keys as `[keys / 16][head][16]`, values as `[head / 16][keys][16]`.
fn pack(qkv: &[f32], head: usize, shape: Shape, packed: &mut [f32]) {
    let (keys, values) = packed.split_at_mut(shape.packed());
    let width = shape.width();
    for (frame, qkv) in qkv.chunks_exact(3 * width).enumerate() {
        let of = |part: usize| &qkv[part * width + head * shape.head..][..shape.head];
        let panel = &mut keys[frame / PANEL * PANEL * shape.head..];
        for (at, key) in of(1).iter().enumerate() {
            panel[at * PANEL + frame % PANEL] = *key;
        }
        for (panel, value) in of(2).chunks_exact(PANEL).enumerate() {
            values[(panel * shape.keys() + frame) * PANEL..][..PANEL].copy_from_slice(value);
        }
    }
}

for_each_level! {
    /// `queries`: `qkv` from the first query on; `out`: `[queries, width]`.
    fn some_queries(queries: &[f32], packed: &[f32], shape: Shape, scores: &mut [f32], out: &mut [f32]) = some_queries_of
}

#[inline(always)]
fn some_queries_of<const M: usize>(
    queries: &[f32],
    packed: &[f32],
    shape: Shape,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let (width, keys, count) = (shape.width(), shape.keys(), out.len() / shape.width());
    let scale = 1.0 / (shape.head as f32).sqrt();
    let mut scaled = vec![0.0; count * shape.head];
    for (head, packed) in packed.chunks_exact(2 * shape.packed()).enumerate() {
        for (row, scaled) in scaled.chunks_exact_mut(shape.head).enumerate() {
            let query = &queries[row * 3 * width + head * shape.head..][..shape.head];
            for (scaled, query) in scaled.iter_mut().zip(query) {
                *scaled = query * scale;
            }
        }
        let (packed_keys, values) = packed.split_at(shape.packed());
        let mut into = Into { out: scores, stride: keys, first: 0 };
        for (index, panel) in packed_keys.chunks_exact(PANEL * shape.head).enumerate() {
            let tile = Floats { rows: &scaled, stride: shape.head, panel };
            sweep::<M, _, _>(&tile, count, index, &mut into);
        }
        for scores in scores.chunks_exact_mut(keys).take(count) {
            softmax(scores, shape.frames);
        }
        let mut into = Into { out, stride: width, first: head * shape.head };
        for (index, panel) in values.chunks_exact(PANEL * keys).enumerate() {
            let tile = Floats { rows: scores, stride: keys, panel };
            sweep::<M, _, _>(&tile, count, index, &mut into);
        }
    }
}

/// Sums as they are, some columns in.
struct Into<'a> {
    out: &'a mut [f32],
    stride: usize,
    first: usize,
}

impl Put for Into<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, sums: &Sums) {
        self.out[row * self.stride + self.first + panel * PANEL..][..PANEL].copy_from_slice(sums);
    }
}

/// Of the first `count` scores; the others become 0.
#[inline(always)]
pub fn softmax(scores: &mut [f32], count: usize) {
    let (scores, beyond) = scores.split_at_mut(count);
    beyond.fill(0.0);
    let most = largest(scores);
    let mut sums = [0.0; PANEL];
    let (chunks, rest) = scores.as_chunks_mut::<PANEL>();
    for chunk in chunks {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(*score - most);
            *sum += *score;
        }
    }
    let mut sum = total(sums);
    for score in rest {
        *score = exp(*score - most);
        sum += *score;
    }
    let share = 1.0 / sum;
    for score in scores {
        *score *= share;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, DType, Device};

    use super::*;

    /// As good as normal, and the same in every run: scores of a hundred leave f32 few digits, so that of random draws one in fifteen
    /// was further than the bound from candle, whose own last digits are no better.
    fn noise(rows: usize, width: usize) -> Tensor {
        let mut state = (rows * 8_191 + width + 3 * 65_537) as u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        // Of twelve uniform numbers the sum has deviation 1.
        let values = (0..rows * width).map(|_| 2.0 * (0..12).map(|_| uniform()).sum::<f32>()).collect();
        Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
    }

    fn plain(qkv: &Tensor, windows: usize, heads: usize) -> Tensor {
        let (rows, width) = qkv.dims2().unwrap();
        let (frames, width) = (rows / windows, width / 3);
        let part = |index: usize| {
            let part = qkv.narrow(1, index * width, width).unwrap().contiguous().unwrap();
            part.reshape((windows, frames, heads, width / heads))
                .unwrap()
                .transpose(1, 2)
                .unwrap()
                .contiguous()
                .unwrap()
        };
        let scores = part(0).matmul(&part(1).t().unwrap()).unwrap();
        let scores = (scores / ((width / heads) as f64).sqrt()).unwrap();
        let weights = candle_nn::ops::softmax(&scores, D::Minus1).unwrap();
        let out = weights.matmul(&part(2)).unwrap().transpose(1, 2).unwrap().contiguous().unwrap();
        out.reshape((rows, width)).unwrap()
    }

    #[test]
    fn every_shape_gives_what_candle_gives() {
        for (windows, frames, heads, head) in
            [(1, 1, 1, 16), (2, 15, 3, 64), (1, 24, 2, 64), (3, 100, 1, 32), (1, 203, 6, 64)]
        {
            let qkv = noise(windows * frames, 3 * heads * head);
            let plain = plain(&qkv, windows, heads);
            // Scores of some 30 are off by some 1/4094 of the largest of their parts.
            for (kept, bound) in [(Kept::F32, 1e-5), (Kept::Q8, 2e-2)] {
                let ours = attend_windows(&qkv, windows, heads, kept).unwrap();
                let worst: f32 =
                    (ours - &plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
                assert!(worst < bound, "{windows} {frames} {heads} {head} {kept:?}: {worst}");
            }
        }
        let odd = Tensor::zeros((4, 3 * 20), DType::F32, &Device::Cpu).unwrap();
        assert!(attend_windows(&odd, 1, 1, Kept::F32).is_err());
    }

    #[test]
    fn a_window_is_the_same_to_the_bit_alone_and_beside_others() {
        let qkv = Tensor::randn(0f32, 2.0, (3 * 50, 3 * 128), &Device::Cpu).unwrap();
        for kept in [Kept::F32, Kept::Q8] {
            let all = attend_windows(&qkv, 3, 2, kept).unwrap();
            for window in 0..3 {
                let alone = qkv.narrow(0, window * 50, 50).unwrap();
                let alone = attend_windows(&alone, 1, 2, kept).unwrap();
                let beside = all.narrow(0, window * 50, 50).unwrap();
                assert_eq!(alone.to_vec2::<f32>().unwrap(), beside.to_vec2::<f32>().unwrap());
            }
        }
    }
}
