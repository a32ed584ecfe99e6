//! A decoder's attention: each row's queries in, what they heard of the keys and values of a slot or a lane out.
//!
//! Keys and values stay where they are; reading them is nearly all of the time that it takes.

use candle_core::{Result, StorageRef, Tensor, bail};
use rayon::prelude::*;

use super::attention::softmax;
use super::level::for_each_level;
use super::tile::{PANEL, total};
use super::{dense, tensor};

/// Fewer numbers read are not worth another thread.
const FEW: usize = 32 << 10;

/// What one row listens to.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Queries of the row.
    pub queries: usize,
    /// `[heads, positions, head]`, dense.
    pub keys: &'a Tensor,
    pub values: &'a Tensor,
    /// Positions that the first query hears; of the lane's own tokens each further one hears one more.
    pub positions: usize,
    pub causal: bool,
}

/// One query of one row.
struct Query<'a> {
    query: &'a [f32],
    /// `[heads, of, head]`.
    keys: &'a [f32],
    values: &'a [f32],
    /// Positions of a head, and how many of them are heard.
    of: usize,
    heard: usize,
}

/// `x`: `[sum of queries, width of a row]`, of which the first `width` numbers are the queries, heads side by side. Out:
/// `[sum of queries, width]`.
pub fn attend_rows(x: &Tensor, width: usize, heads: usize, rows: &[Heard]) -> Result<Tensor> {
    let (count, stride) = x.dims2()?;
    let head = width / heads;
    if rows.iter().map(|row| row.queries).sum::<usize>() != count || !head.is_multiple_of(PANEL) {
        bail!("{count} queries with heads of {head}");
    }
    let shape = (heads, head);
    let (queries, caches) = (
        x.storage_and_layout(),
        rows.iter()
            .map(|row| Ok((read(row.keys, shape)?, read(row.values, shape)?)))
            .collect::<Result<Vec<_>>>()?,
    );
    let queries = dense(&queries.0, queries.1.contiguous_offsets())?;
    let mut all = Vec::with_capacity(count);
    for (row, (keys, values)) in rows.iter().zip(&caches) {
        let of = keys.2;
        let (keys, values) = (dense(&keys.0, Some(keys.1))?, dense(&values.0, Some(values.1))?);
        for index in 0..row.queries {
            let heard = row.positions + if row.causal { index } else { 0 };
            if heard == 0 || heard > of || values.len() != keys.len() {
                bail!("{heard} positions of {of}");
            }
            all.push(Query { query: &queries[all.len() * stride..][..width], keys, values, of, heard });
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

/// A cache's storage, where in it the cache lies, and the positions that it has.
type Cached<'a> = (StorageRef<'a>, (usize, usize), usize);

fn read(cache: &Tensor, shape: (usize, usize)) -> Result<Cached<'_>> {
    let (storage, layout) = cache.storage_and_layout();
    match (layout.contiguous_offsets(), layout.dims()) {
        (Some(range), [heads, of, head]) if (*heads, *head) == shape => Ok((storage, range, *of)),
        _ => bail!("keys of shape {:?}", layout.dims()),
    }
}

for_each_level! {
    fn attend_head(query: &Query<'_>, head: usize, out: &mut [f32]) = attend_head_of
}

#[inline(always)]
fn attend_head_of<const M: usize>(query: &Query<'_>, head: usize, out: &mut [f32]) {
    let width = out.len();
    let of_head = head * query.of * width..(head * query.of + query.heard) * width;
    let scale = 1.0 / (width as f32).sqrt();
    let asked = &query.query[head * width..(head + 1) * width];
    // Loops, not iterators' closures: what is not inlined into this function is not compiled for its vectors.
    let mut scores = vec![0.0; query.heard];
    for (score, key) in scores.iter_mut().zip(query.keys[of_head.clone()].chunks_exact(width)) {
        *score = dot(asked, key) * scale;
    }
    softmax(&mut scores, query.heard);
    out.fill(0.0);
    for (weight, value) in scores.iter().zip(query.values[of_head].chunks_exact(width)) {
        for (out, value) in out.iter_mut().zip(value) {
            *out = weight.mul_add(*value, *out);
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; PANEL];
    for (a, b) in a.as_chunks::<PANEL>().0.iter().zip(b.as_chunks::<PANEL>().0) {
        for at in 0..PANEL {
            sums[at] = a[at].mul_add(b[at], sums[at]);
        }
    }
    total(sums)
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Device};

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
