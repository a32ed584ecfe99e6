//! Rows in, their products with a weight matrix out, what follows done while the sums are still in registers.
//!
//! Weights are packed once, in panels of sixteen outputs. Of few rows (a decoder's step) the weights are what must be read: once,
//! in as many parts as there are threads. Of many (an encoder's frames) each part of the rows stays in the cache until all
//! panels have been over it.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::curves::gelu;
use super::level::for_each_level;
use super::tile::{PANEL, Put, Sums, sweep};
use super::{tensor, values};

/// From so many rows on they are what is divided among threads.
const MANY: usize = 64;
/// So many rows are a part, and so many inputs at a time: 192 KiB of them stay in a core's own cache while all panels are over
/// them, and 32 KiB of a panel in its first.
const BLOCK: usize = 96;
const DEPTH: usize = 512;
/// Numbers of a part of the weights: 256 KiB, read in some tens of microseconds.
const SHARE: usize = 64 << 10;

/// `y = x W^T + b`.
#[derive(Debug)]
pub struct Linear {
    outputs: usize,
    inputs: usize,
    /// `[outputs / 16][inputs][16]`, the last panel filled up with zeros.
    panels: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// What is done with each result.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    Nothing,
    Gelu,
    /// `[rows, outputs]`, added.
    Add(&'a Tensor),
}

/// The same in slices.
#[derive(Clone, Copy)]
struct Finish<'a> {
    bias: Option<&'a [f32]>,
    gelu: bool,
    add: Option<&'a [f32]>,
}

impl Linear {
    /// `weight`: `[outputs, inputs]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let mut panels = vec![0.0; outputs.next_multiple_of(PANEL) * inputs];
        values(&weight.contiguous()?, |weight| {
            let pack = |(index, panel): (usize, &mut [f32])| {
                let rows = weight[index * PANEL * inputs..].chunks_exact(inputs).take(PANEL);
                for (column, row) in rows.enumerate() {
                    for (at, weight) in row.iter().enumerate() {
                        panel[at * PANEL + column] = *weight;
                    }
                }
            };
            panels.par_chunks_exact_mut(PANEL * inputs).enumerate().for_each(pack);
        })?;
        let bias = bias.map(|bias| values(bias, <[f32]>::to_vec)).transpose()?;
        Ok(Linear { outputs, inputs, panels, bias })
    }

    /// `x`: `[rows, inputs]` -> `[rows, outputs]`.
    pub fn forward(&self, x: &Tensor, after: After) -> Result<Tensor> {
        let rows = x.dim(0)?;
        let bias = self.bias.as_deref();
        let run = |finish: Finish| values(x, |x| self.run(x, rows, finish));
        let out = match after {
            After::Nothing => run(Finish { bias, gelu: false, add: None })?,
            After::Gelu => run(Finish { bias, gelu: true, add: None })?,
            After::Add(add) => values(add, |add| run(Finish { bias, gelu: false, add: Some(add) }))??,
        };
        tensor(out, rows, self.outputs)
    }

    /// Rows of the weights: `[rows, inputs]`, as an embedding is read.
    pub fn rows(&self, wanted: &[u32]) -> Result<Tensor> {
        let mut out = Vec::with_capacity(wanted.len() * self.inputs);
        for row in wanted {
            let (panel, column) = (*row as usize / PANEL, *row as usize % PANEL);
            let Some(panel) = self.panels.chunks_exact(PANEL * self.inputs).nth(panel) else {
                candle_core::bail!("row {row} of {}", self.outputs)
            };
            out.extend(panel.iter().skip(column).step_by(PANEL));
        }
        tensor(out, wanted.len(), self.inputs)
    }

    fn run(&self, x: &[f32], rows: usize, finish: Finish) -> Vec<f32> {
        let mut out = vec![0.0; rows * self.outputs];
        if rows >= MANY {
            out.par_chunks_mut(BLOCK * self.outputs).enumerate().for_each(|(index, out)| {
                let first = index * BLOCK;
                whole_rows(&x[first * self.inputs..], first, out, self, finish);
            });
            return out;
        }
        // Sums of each panel by themselves, for rows are not in one piece here.
        let mut sums = vec![0.0; rows * self.panels.len() / self.inputs];
        let share = SHARE / (PANEL * self.inputs) + 1;
        let parts = sums.par_chunks_mut(share * rows * PANEL);
        parts
            .zip(self.panels.par_chunks(share * PANEL * self.inputs))
            .for_each(|(sums, panels)| some_panels(x, rows, panels, sums));
        for (row, out) in out.chunks_exact_mut(self.outputs).enumerate() {
            gather(&sums, (row, rows), out, finish);
        }
        out
    }
}

for_each_level! {
    /// `out`: `[rows, outputs]` from row `first` on, of `x`.
    fn whole_rows(x: &[f32], first: usize, out: &mut [f32], linear: &Linear, finish: Finish) = whole_rows_of
}

#[inline(always)]
fn whole_rows_of<const M: usize>(x: &[f32], first: usize, out: &mut [f32], linear: &Linear, finish: Finish) {
    let Linear { outputs, inputs, panels, .. } = linear;
    let shape = (out.len() / outputs, *inputs);
    for from in (0..*inputs).step_by(DEPTH) {
        let to = (from + DEPTH).min(*inputs);
        let finish = (to == *inputs).then_some(finish);
        let mut rows = Rows { out, first, width: *outputs, begun: from > 0, finish };
        for (index, panel) in panels.chunks_exact(PANEL * inputs).enumerate() {
            sweep::<M, _>(&x[from..], shape, (index, &panel[from * PANEL..to * PANEL]), &mut rows);
        }
    }
}

/// Results where they belong.
struct Rows<'a> {
    out: &'a mut [f32],
    first: usize,
    width: usize,
    /// Whether the sums of inputs before these are there already.
    begun: bool,
    /// `None`: there are more inputs.
    finish: Option<Finish<'a>>,
}

impl Put for Rows<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, sums: &Sums) {
        let out = &mut self.out[row * self.width..(row + 1) * self.width];
        let mut sums = *sums;
        let columns = panel * PANEL..(panel * PANEL + PANEL).min(self.width);
        if self.begun {
            for (sum, before) in sums.iter_mut().zip(&out[columns.clone()]) {
                *sum += before;
            }
        }
        match self.finish {
            Some(finish) => finish.put(self.first + row, panel, &sums, out),
            None => {
                let out = &mut out[columns];
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
    }
}

for_each_level! {
    /// `sums`: `[panels][rows][16]`.
    fn some_panels(x: &[f32], rows: usize, panels: &[f32], sums: &mut [f32]) = some_panels_of
}

#[inline(always)]
fn some_panels_of<const M: usize>(x: &[f32], rows: usize, panels: &[f32], sums: &mut [f32]) {
    let inputs = x.len() / rows;
    for (index, panel) in panels.chunks_exact(PANEL * inputs).enumerate() {
        // In the same parts as of many rows: sums must not depend on how many there are.
        for from in (0..inputs).step_by(DEPTH) {
            let to = (from + DEPTH).min(inputs);
            let mut columns = Columns { sums, rows, begun: from > 0 };
            sweep::<M, _>(
                &x[from..],
                (rows, inputs),
                (index, &panel[from * PANEL..to * PANEL]),
                &mut columns,
            );
        }
    }
}

struct Columns<'a> {
    sums: &'a mut [f32],
    rows: usize,
    begun: bool,
}

impl Put for Columns<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, sums: &Sums) {
        let out = &mut self.sums[(panel * self.rows + row) * PANEL..][..PANEL];
        match self.begun {
            true => {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            }
            false => out.copy_from_slice(sums),
        }
    }
}

for_each_level! {
    /// One of `rows` rows out of its panels' sums.
    fn gather(sums: &[f32], of: (usize, usize), out: &mut [f32], finish: Finish) = gather_of
}

#[inline(always)]
fn gather_of<const M: usize>(sums: &[f32], (row, rows): (usize, usize), out: &mut [f32], finish: Finish) {
    let (sums, _) = sums.as_chunks::<PANEL>();
    for (panel, sums) in sums.iter().skip(row).step_by(rows).enumerate() {
        finish.put(row, panel, sums, out);
    }
}

impl Finish<'_> {
    /// `out`: the whole of row `row`.
    #[inline(always)]
    fn put(&self, row: usize, panel: usize, sums: &Sums, out: &mut [f32]) {
        let width = out.len();
        let columns = panel * PANEL..(panel * PANEL + PANEL).min(width);
        let mut sums = *sums;
        if let Some(bias) = self.bias {
            for (sum, bias) in sums.iter_mut().zip(&bias[columns.clone()]) {
                *sum += bias;
            }
        }
        if self.gelu {
            for sum in &mut sums {
                *sum = gelu(*sum);
            }
        }
        if let Some(add) = self.add {
            for (sum, add) in sums.iter_mut().zip(&add[row * width..][columns.clone()]) {
                *sum += add;
            }
        }
        let out = &mut out[columns];
        out.copy_from_slice(&sums[..out.len()]);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn random(rows: usize, width: usize) -> Tensor {
        Tensor::randn(0f32, 1.0, (rows, width), &Device::Cpu).unwrap()
    }

    fn worst(ours: &Tensor, plain: &Tensor) -> f32 {
        (ours - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn every_shape_gives_what_candle_gives() {
        for (rows, inputs, outputs) in [
            (1, 64, 16),
            (2, 64, 51),
            (3, 100, 17),
            (5, 384, 33),
            (8, 64, 1),
            (13, 7, 200),
            (63, 192, 40),
            (64, 1_100, 40),
            (9, 1_100, 40),
            (201, 384, 77),
        ] {
            let (x, weight, bias, add) = (
                random(rows, inputs),
                random(outputs, inputs),
                random(1, outputs).squeeze(0).unwrap(),
                random(rows, outputs),
            );
            let linear = Linear::new(&weight, Some(&bias)).unwrap();
            let plain = x.matmul(&weight.t().unwrap()).unwrap();
            let biased = plain.broadcast_add(&bias).unwrap();
            let bound = 1e-6 * inputs as f32;
            let forward = |after| linear.forward(&x, after).unwrap();
            assert!(worst(&forward(After::Nothing), &biased) < bound);
            assert!(worst(&forward(After::Gelu), &biased.gelu_erf().unwrap()) < bound);
            assert!(worst(&forward(After::Add(&add)), &(&biased + &add).unwrap()) < bound);
            let bare = Linear::new(&weight, None).unwrap();
            assert!(worst(&bare.forward(&x, After::Nothing).unwrap(), &plain) < bound);
            let wanted = [0, outputs as u32 / 2, outputs as u32 - 1];
            let rows = weight.index_select(&Tensor::new(&wanted, &Device::Cpu).unwrap(), 0).unwrap();
            assert_eq!(worst(&linear.rows(&wanted).unwrap(), &rows), 0.0);
            assert!(linear.rows(&[outputs.next_multiple_of(PANEL) as u32]).is_err());
        }
    }

    #[test]
    fn a_row_is_the_same_to_the_bit_whoever_is_beside_it() {
        let (x, weight) = (random(130, 1_100), random(100, 1_100));
        let linear = Linear::new(&weight, None).unwrap();
        let all = linear.forward(&x, After::Gelu).unwrap();
        for (first, count) in [(0, 1), (3, 2), (10, 5), (20, 8), (40, 63), (0, 129)] {
            let some = linear.forward(&x.narrow(0, first, count).unwrap(), After::Gelu).unwrap();
            assert_eq!(worst(&some, &all.narrow(0, first, count).unwrap()), 0.0, "{first} {count}");
        }
    }
}
