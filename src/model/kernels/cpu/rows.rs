//! A decoder's attention: each row's queries in, what they heard of the keys and values of a slot or a lane out.
//!
//! Keys and values stay where they are; reading them is nearly all of the time that it takes.

use candle_core::{CpuStorage, Result, Storage, Tensor, bail};
use half::f16;
use rayon::prelude::*;

use super::attention::softmax;
use super::tile::{PANEL, Sums};
use super::{dense, tensor};
use crate::vector::chip::Chip;
use crate::vector::for_each_level;
use crate::vector::total;

/// Fewer numbers read are not worth another thread.
const FEW: usize = 32 << 10;

/// What one row listens to.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Queries of the row.
    pub queries: usize,
    /// `[heads, positions, head]`, dense, f32 or f16.
    pub keys: &'a Tensor,
    pub values: &'a Tensor,
    /// Positions that the first query hears; of the lane's own tokens each further one hears one more.
    pub positions: usize,
    pub causal: bool,
}

/// One query of one row.
struct Query<'a> {
    query: &'a [f32],
    memory: Memory<'a>,
    /// Positions of a head, and how many of them are heard.
    of: usize,
    heard: usize,
}

/// Keys and values, `[heads, of, head]`.
#[derive(Clone, Copy)]
enum Memory<'a> {
    F32(&'a [f32], &'a [f32]),
    F16(&'a [f16], &'a [f16]),
}

/// What one head's queries say of each key before the softmax: `q k / sqrt(head)`, `[queries, positions]`. `x`: `[queries, width]`,
/// heads side by side; `keys`: `[heads, of, head]`, of which the first `positions` are asked.
pub fn scores(x: &Tensor, (index, heads): (usize, usize), keys: &Tensor, positions: usize) -> Result<Tensor> {
    let (count, width) = x.dims2()?;
    let (of_heads, of, head) = keys.dims3()?;
    if positions == 0
        || positions > of
        || of_heads != heads
        || head * heads != width
        || !head.is_multiple_of(PANEL)
        || index >= heads
    {
        bail!("head {index} of {heads}, keys of shape {:?} for queries of {width}", keys.dims());
    }
    let (queries, layout) = x.storage_and_layout();
    let queries = dense(&queries, layout.contiguous_offsets())?;
    let (stored, of_keys) = keys.storage_and_layout();
    let stored = (&*stored, of_keys.contiguous_offsets());
    let memory = read(stored, stored)?;
    let mut out = vec![0.0; count * positions];
    let asked = out.par_chunks_exact_mut(positions).zip(queries.par_chunks_exact(width));
    asked.for_each(|(out, query)| {
        score_head(&Query { query, memory, of, heard: positions }, index, head, out);
    });
    tensor(out, count, positions)
}

/// `x`: `[sum of queries, width of a row]`, of which the first `width` numbers are the queries, heads side by side. Out:
/// `[sum of queries, width]`.
pub fn attend_rows(x: &Tensor, width: usize, heads: usize, rows: &[Heard]) -> Result<Tensor> {
    let (count, stride) = x.dims2()?;
    let head = width / heads;
    if rows.iter().map(|row| row.queries).sum::<usize>() != count || !head.is_multiple_of(PANEL) {
        bail!("{count} queries with heads of {head}");
    }
    let (queries, layout) = x.storage_and_layout();
    let queries = dense(&queries, layout.contiguous_offsets())?;
    let stored: Vec<_> =
        rows.iter().map(|row| (row.keys.storage_and_layout(), row.values.storage_and_layout())).collect();
    let mut all = Vec::with_capacity(count);
    for (row, ((keys, of_keys), (values, of_values))) in rows.iter().zip(&stored) {
        let of = match (of_keys.dims(), of_values.dims()) {
            ([of_heads, of, of_head], values)
                if (*of_heads, *of_head) == (heads, head) && *values == [heads, *of, head] =>
            {
                *of
            }
            (keys, values) => bail!("keys of shape {keys:?} and values of {values:?}"),
        };
        let memory = read((keys, of_keys.contiguous_offsets()), (values, of_values.contiguous_offsets()))?;
        for index in 0..row.queries {
            let heard = row.positions + if row.causal { index } else { 0 };
            if heard == 0 || heard > of {
                bail!("{heard} positions of {of}");
            }
            all.push(Query { query: &queries[all.len() * stride..][..width], memory, of, heard });
        }
    }
    let mut out = vec![0.0; count * width];
    let work: usize = all.iter().map(|query| 2 * query.heard * width).sum();
    let one = |(place, out): (usize, &mut [f32])| attend_head(&all[place / heads], place % heads, out);
    match work < FEW {
        true => out.chunks_exact_mut(head).enumerate().for_each(one),
        false => {
            // Some heads a task, so that none is too small.
            let least = (FEW * all.len() * heads / work).max(1);
            out.par_chunks_exact_mut(head).enumerate().with_min_len(least).for_each(one);
        }
    }
    tensor(out, count, width)
}

type Stored<'a> = (&'a Storage, Option<(usize, usize)>);

fn read<'a>((keys, from_keys): Stored<'a>, (values, from_values): Stored<'a>) -> Result<Memory<'a>> {
    let (Storage::Cpu(keys), Storage::Cpu(values), Some(of_keys), Some(of_values)) =
        (keys, values, from_keys, from_values)
    else {
        bail!("the CPU kernels take dense keys and values of the CPU alone")
    };
    match (keys, values) {
        (CpuStorage::F32(keys), CpuStorage::F32(values)) => {
            Ok(Memory::F32(&keys[of_keys.0..of_keys.1], &values[of_values.0..of_values.1]))
        }
        (CpuStorage::F16(keys), CpuStorage::F16(values)) => {
            Ok(Memory::F16(&keys[of_keys.0..of_keys.1], &values[of_values.0..of_values.1]))
        }
        _ => bail!("keys and values are both f32 or both f16"),
    }
}

for_each_level! {
    fn score_head(query: &Query<'_>, head: usize, width: usize, out: &mut [f32]) = score_head_of with chip
}

#[inline(always)]
fn score_head_of<const M: usize, C: Chip>(query: &Query<'_>, head: usize, width: usize, out: &mut [f32]) {
    match query.memory {
        Memory::F32(keys, _) => score::<C, f32>(query, keys, (head, width), out),
        Memory::F16(keys, _) => score::<C, f16>(query, keys, (head, width), out),
    }
}

for_each_level! {
    fn attend_head(query: &Query<'_>, head: usize, out: &mut [f32]) = attend_head_of with chip
}

#[inline(always)]
fn attend_head_of<const M: usize, C: Chip>(query: &Query<'_>, head: usize, out: &mut [f32]) {
    match query.memory {
        Memory::F32(keys, values) => attend_one::<C, f32>(query, (keys, values), head, out),
        Memory::F16(keys, values) => attend_one::<C, f16>(query, (keys, values), head, out),
    }
}

/// What memories are made of.
trait Number: Copy {
    fn floats<C: Chip>(numbers: &[Self; PANEL]) -> Sums;
}

impl Number for f32 {
    #[inline(always)]
    fn floats<C: Chip>(numbers: &[f32; PANEL]) -> Sums {
        *numbers
    }
}

impl Number for f16 {
    #[inline(always)]
    fn floats<C: Chip>(numbers: &[f16; PANEL]) -> Sums {
        C::floats(numbers)
    }
}

#[inline(always)]
fn attend_one<C: Chip, N: Number>(
    query: &Query<'_>,
    (keys, values): (&[N], &[N]),
    head: usize,
    out: &mut [f32],
) {
    let width = out.len();
    let mut scores = vec![0.0; query.heard];
    score::<C, N>(query, keys, (head, width), &mut scores);
    softmax(&mut scores, query.heard);
    out.fill(0.0);
    for (weight, value) in scores.iter().zip(values[head * query.of * width..].chunks_exact(width)) {
        for (out, value) in out.as_chunks_mut::<PANEL>().0.iter_mut().zip(value.as_chunks::<PANEL>().0) {
            let value = N::floats::<C>(value);
            for at in 0..PANEL {
                out[at] = weight.mul_add(value[at], out[at]);
            }
        }
    }
}

/// Of as many keys as `out` has room for.
#[inline(always)]
fn score<C: Chip, N: Number>(query: &Query<'_>, keys: &[N], (head, width): (usize, usize), out: &mut [f32]) {
    let scale = 1.0 / (width as f32).sqrt();
    let asked = &query.query[head * width..(head + 1) * width];
    // Loops, not iterators' closures: what is not inlined into this function is not compiled for its vectors.
    for (score, key) in out.iter_mut().zip(keys[head * query.of * width..].chunks_exact(width)) {
        *score = dot::<C, N>(asked, key) * scale;
    }
}

#[inline(always)]
fn dot<C: Chip, N: Number>(a: &[f32], b: &[N]) -> f32 {
    let mut sums = [0.0; PANEL];
    for (a, b) in a.as_chunks::<PANEL>().0.iter().zip(b.as_chunks::<PANEL>().0) {
        let b = N::floats::<C>(b);
        for at in 0..PANEL {
            sums[at] = a[at].mul_add(b[at], sums[at]);
        }
    }
    total(sums)
}

#[cfg(test)]
mod tests {
    use candle_core::{D, DType, Device};

    use super::*;

    fn random(shape: impl Into<candle_core::Shape>) -> Tensor {
        Tensor::randn(0f32, 2.0, shape, &Device::Cpu).unwrap()
    }

    /// One query after the other.
    fn plain(x: &Tensor, width: usize, heads: usize, rows: &[Heard]) -> Vec<Vec<f32>> {
        let mut out = Vec::new();
        for row in rows {
            for index in 0..row.queries {
                let heard = row.positions + if row.causal { index } else { 0 };
                let query = x.narrow(0, out.len(), 1).unwrap().narrow(1, 0, width).unwrap();
                let query = query.contiguous().unwrap().reshape((heads, 1, width / heads)).unwrap();
                let keys = row.keys.narrow(1, 0, heard).unwrap().contiguous().unwrap();
                let values = row.values.narrow(1, 0, heard).unwrap().contiguous().unwrap();
                let scores = query.matmul(&keys.t().unwrap()).unwrap();
                let scores = (scores / ((width / heads) as f64).sqrt()).unwrap();
                let weights = candle_nn::ops::softmax(&scores, D::Minus1).unwrap();
                out.push(weights.matmul(&values).unwrap().flatten_all().unwrap().to_vec1().unwrap());
            }
        }
        out
    }

    #[test]
    fn rows_of_every_kind_hear_what_candle_hears_and_the_same_alone() {
        let (heads, head) = (3, 64);
        let width = heads * head;
        let caches: Vec<(Tensor, Tensor)> =
            [448, 448, 1500, 20].map(|of| (random((heads, of, head)), random((heads, of, head)))).to_vec();
        let heard = |index: usize, queries, positions, causal| Heard {
            queries,
            keys: &caches[index].0,
            values: &caches[index].1,
            positions,
            causal,
        };
        let rows =
            [heard(0, 1, 448, true), heard(1, 4, 1, true), heard(2, 3, 1500, false), heard(3, 1, 17, false)];
        let x = random((9, 3 * width));
        let ours = attend_rows(&x, width, heads, &rows).unwrap();
        let plain = plain(&x, width, heads, &rows);
        for (ours, plain) in ours.to_vec2::<f32>().unwrap().iter().zip(&plain) {
            assert!(ours.iter().zip(plain).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        let alone = attend_rows(&x.narrow(0, 5, 3).unwrap(), width, heads, &rows[2..3]).unwrap();
        let beside = ours.narrow(0, 5, 3).unwrap();
        assert_eq!(alone.to_vec2::<f32>().unwrap(), beside.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn memories_of_halves_are_heard_as_what_they_are() {
        let halves = || random((2, 70, 64)).to_dtype(DType::F16).unwrap();
        let (keys, values, x) = (halves(), halves(), random((2, 128)));
        let floats = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
        let (wide_keys, wide_values) = (floats(&keys), floats(&values));
        let heard = |keys, values| [Heard { queries: 2, keys, values, positions: 69, causal: true }];
        let ours = attend_rows(&x, 128, 2, &heard(&keys, &values)).unwrap();
        let plain = attend_rows(&x, 128, 2, &heard(&wide_keys, &wide_values)).unwrap();
        assert_eq!(ours.to_vec2::<f32>().unwrap(), plain.to_vec2::<f32>().unwrap());
        assert!(attend_rows(&x, 128, 2, &heard(&keys, &wide_values)).is_err());
    }

    #[test]
    fn scores_are_products_before_the_softmax() {
        let (keys, x) = (random((3, 70, 64)), random((5, 192)));
        let ours = scores(&x, (1, 3), &keys, 60).unwrap().to_vec2::<f32>().unwrap();
        let queries = x.narrow(1, 64, 64).unwrap().contiguous().unwrap();
        let plain = (queries.matmul(&keys.get(1).unwrap().t().unwrap()).unwrap() / 8.0).unwrap();
        let plain = plain.narrow(1, 0, 60).unwrap().to_vec2::<f32>().unwrap();
        for (ours, plain) in ours.iter().flatten().zip(plain.iter().flatten()) {
            assert!((ours - plain).abs() < 1e-5, "{ours} {plain}");
        }
        assert!(scores(&x, (3, 3), &keys, 60).is_err() && scores(&x, (1, 3), &keys, 71).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (x, cache) = (random((1, 64)), random((1, 10, 64)));
        let heard =
            |positions, queries| [Heard { queries, keys: &cache, values: &cache, positions, causal: true }];
        assert!(attend_rows(&x, 64, 1, &heard(10, 1)).is_ok());
        assert!(attend_rows(&x, 64, 1, &heard(11, 1)).is_err());
        assert!(attend_rows(&x, 64, 1, &heard(0, 1)).is_err());
        assert!(attend_rows(&x, 64, 1, &heard(5, 2)).is_err());
        assert!(attend_rows(&x, 64, 2, &heard(5, 1)).is_err());
    }
}
