//! Rows in, their products with a weight matrix out, what follows done while the sums are still in registers.
//!
//! Weights are packed once, in panels of sixteen outputs: as `floats`, or as `ints` of 8 bits. Of few rows (a decoder's step) the
//! weights are what must be read: once, in as many parts as there are threads. Of many (an encoder's frames) each part of the rows
//! stays in the cache until all panels have been over it.

mod finish;
mod floats;
mod ints;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::ints::{Inputs, Panels as IntPanels};
use super::tile::PANEL;
use super::{tensor, values};
use crate::vector::for_each_level;

use finish::{Finish, Rows};

pub use finish::After;

/// From so many rows on they are what is divided among threads.
const MANY: usize = 64;
/// So many rows are a part: 192 KiB of their inputs stay in a core's own cache while all panels are over them.
const BLOCK: usize = 96;
/// Numbers of a part of the weights: 256 KiB in f32, read in some tens of microseconds.
const SHARE: usize = 64 << 10;

/// `y = x W^T + b`.
#[derive(Debug)]
pub struct Linear {
    outputs: usize,
    inputs: usize,
    panels: Panels,
    bias: Option<Vec<f32>>,
}

#[derive(Debug)]
enum Panels {
    Floats(floats::Panels),
    Ints(IntPanels<i8>),
}

/// How weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    F32,
    Q8,
}

/// Rows in memory.
#[derive(Clone, Copy)]
struct From<'a> {
    x: &'a [f32],
    count: usize,
    /// From the beginning of one to that of the next.
    stride: usize,
}

impl Linear {
    /// `weight`: `[outputs, inputs]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, kept: Kept) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let panels = values(&weight.contiguous()?, |weight| match kept {
            Kept::F32 => Panels::Floats(floats::Panels::pack(weight, inputs)),
            Kept::Q8 => Panels::Ints(ints::pack(weight, inputs)),
        })?;
        let bias = bias.map(|bias| values(bias, <[f32]>::to_vec)).transpose()?;
        Ok(Linear { outputs, inputs, panels, bias })
    }

    /// `x`: `[rows, inputs]` -> `[rows, outputs]`.
    pub fn forward(&self, x: &Tensor, after: After) -> Result<Tensor> {
        let (rows, inputs) = x.dims2()?;
        if inputs != self.inputs {
            candle_core::bail!("{inputs} inputs for weights of {}", self.inputs);
        }
        self.over(x, (rows, inputs), after)
    }

    /// Rows that begin `stride` numbers after each other in `x`, whatever its shape: they may lie over each other.
    pub fn over(&self, x: &Tensor, (count, stride): (usize, usize), after: After) -> Result<Tensor> {
        if count == 0 || x.elem_count() < (count - 1) * stride + self.inputs {
            candle_core::bail!("{count} rows, {stride} apart, of {:?}", x.dims());
        }
        let run = |add: Option<&[f32]>| {
            let finish = Finish { bias: self.bias.as_deref(), gelu: after.gelu(), add };
            values(x, |x| self.run(From { x, count, stride }, finish))
        };
        let out = match after.add() {
            Some(add) if add.elem_count() != count * self.outputs => {
                candle_core::bail!("{:?} for {count} rows of {}", add.dims(), self.outputs)
            }
            Some(add) => values(add, |add| run(Some(add)))??,
            None => run(None)?,
        };
        tensor(out, count, self.outputs)
    }

    /// Rows of the weights: `[rows, inputs]`, as an embedding is read.
    pub fn rows(&self, wanted: &[u32]) -> Result<Tensor> {
        let mut out = Vec::with_capacity(wanted.len() * self.inputs);
        for row in wanted {
            let row = *row as usize;
            match &self.panels {
                _ if row >= self.outputs => candle_core::bail!("row {row} of {}", self.outputs),
                Panels::Floats(panels) => panels.row(row, &mut out),
                Panels::Ints(panels) => panels.row(row, self.inputs, &mut out),
            }
        }
        tensor(out, wanted.len(), self.inputs)
    }

    fn run(&self, from: From, finish: Finish) -> Vec<f32> {
        if from.count >= MANY { self.many(from, finish) } else { self.few(from, finish) }
    }

    fn many(&self, From { x, count, stride }: From, finish: Finish) -> Vec<f32> {
        let mut out = vec![0.0; count * self.outputs];
        let parts = out.par_chunks_mut(BLOCK * self.outputs).enumerate();
        parts.for_each_init(Inputs::default, |inputs, (index, out)| {
            let first = index * BLOCK;
            let x = &x[first * stride..];
            let mut rows = Rows { out, first, width: self.outputs, begun: false, finish: Some(finish) };
            match &self.panels {
                Panels::Floats(panels) => panels.many(x, stride, &mut rows),
                Panels::Ints(panels) => {
                    inputs.take(x, (rows.out.len() / self.outputs, stride), self.inputs, 1.0);
                    ints::whole_rows(inputs, panels, &mut rows);
                }
            }
        });
        out
    }

    fn few(&self, From { x, count, stride }: From, finish: Finish) -> Vec<f32> {
        let panels = match &self.panels {
            Panels::Floats(panels) => panels.len(),
            Panels::Ints(panels) => panels.len(),
        };
        let mut sums = vec![0.0; count * panels * PANEL];
        let share = SHARE / (PANEL * self.inputs) + 1;
        let parts = sums.par_chunks_mut(share * count * PANEL).enumerate();
        match &self.panels {
            Panels::Floats(panels) => {
                parts.for_each(|(part, sums)| panels.few(x, (count, stride), part * share, sums));
            }
            Panels::Ints(panels) => {
                let mut inputs = Inputs::default();
                inputs.take(x, (count, stride), self.inputs, 1.0);
                parts.for_each(|(part, sums)| ints::some_panels(&inputs, panels, part * share, sums));
            }
        }
        let mut out = vec![0.0; count * self.outputs];
        for (row, out) in out.chunks_exact_mut(self.outputs).enumerate() {
            gather(&sums, (row, count), out, finish);
        }
        out
    }
}

for_each_level! {
    /// One of `rows` rows out of its panels' sums.
    fn gather(sums: &[f32], of: (usize, usize), out: &mut [f32], finish: Finish<'_>) = gather_of
}

#[inline(always)]
fn gather_of<const M: usize>(sums: &[f32], (row, rows): (usize, usize), out: &mut [f32], finish: Finish<'_>) {
    let (sums, _) = sums.as_chunks::<PANEL>();
    for (panel, sums) in sums.iter().skip(row).step_by(rows).enumerate() {
        finish.put(row, panel, sums, out);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::ints::rounded;
    use super::*;

    fn random(rows: usize, width: usize) -> Tensor {
        Tensor::randn(0f32, 1.0, (rows, width), &Device::Cpu).unwrap()
    }

    fn worst(ours: &Tensor, plain: &Tensor) -> f32 {
        (ours - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    /// What candle computes with: the weights that are kept.
    fn kept_weight(weight: &Tensor, kept: Kept) -> Tensor {
        match kept {
            Kept::F32 => weight.clone(),
            Kept::Q8 => {
                let (outputs, inputs) = weight.dims2().unwrap();
                let values = rounded(&weight.flatten_all().unwrap().to_vec1().unwrap(), inputs);
                Tensor::from_vec(values, (outputs, inputs), &Device::Cpu).unwrap()
            }
        }
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
            for kept in [Kept::F32, Kept::Q8] {
                let (x, weight, bias, add) = (
                    random(rows, inputs),
                    random(outputs, inputs),
                    random(1, outputs).squeeze(0).unwrap(),
                    random(rows, outputs),
                );
                let linear = Linear::new(&weight, Some(&bias), kept).unwrap();
                let weight = kept_weight(&weight, kept);
                let plain = x.matmul(&weight.t().unwrap()).unwrap();
                let biased = plain.broadcast_add(&bias).unwrap();
                // Inputs of 16 bits are off by 4 / 65534 at most, and more or less by chance.
                let bound = match kept {
                    Kept::F32 => 1e-6 * inputs as f32,
                    Kept::Q8 => 4e-4 * (inputs as f32).sqrt(),
                };
                let forward = |after| linear.forward(&x, after).unwrap();
                assert!(
                    worst(&forward(After::Nothing), &biased) < bound,
                    "{rows} {inputs} {outputs} {kept:?}"
                );
                let curved = biased.gelu_erf().unwrap();
                assert!(worst(&forward(After::Gelu), &curved) < bound);
                assert!(worst(&forward(After::Add(&add)), &(&biased + &add).unwrap()) < bound);
                assert!(worst(&forward(After::GeluAdd(&add)), &(&curved + &add).unwrap()) < bound);
                let wanted = [0, outputs as u32 / 2, outputs as u32 - 1];
                let rows = weight.index_select(&Tensor::new(&wanted, &Device::Cpu).unwrap(), 0).unwrap();
                assert_eq!(worst(&linear.rows(&wanted).unwrap(), &rows), 0.0);
                assert!(linear.rows(&[outputs as u32]).is_err());
            }
        }
    }

    #[test]
    fn a_row_is_the_same_to_the_bit_whoever_is_beside_it() {
        for kept in [Kept::F32, Kept::Q8] {
            let (x, weight) = (random(130, 1_100), random(100, 1_100));
            let linear = Linear::new(&weight, None, kept).unwrap();
            let all = linear.forward(&x, After::Gelu).unwrap();
            for (first, count) in [(0, 1), (3, 2), (10, 5), (20, 8), (40, 63), (0, 129)] {
                let some = linear.forward(&x.narrow(0, first, count).unwrap(), After::Gelu).unwrap();
                assert_eq!(worst(&some, &all.narrow(0, first, count).unwrap()), 0.0, "{first} {count}");
            }
        }
    }

    #[test]
    fn rows_may_lie_over_each_other() {
        for kept in [Kept::F32, Kept::Q8] {
            let (x, weight) = (random(1, 700), random(20, 96));
            let linear = Linear::new(&weight, None, kept).unwrap();
            let over = linear.over(&x, (75, 8), After::Nothing).unwrap();
            let rows: Vec<Tensor> = (0..75).map(|row| x.narrow(1, row * 8, 96).unwrap()).collect();
            let apart = linear.forward(&Tensor::cat(&rows, 0).unwrap(), After::Nothing).unwrap();
            assert_eq!(worst(&over, &apart), 0.0);
            assert!(linear.over(&x, (77, 8), After::Nothing).is_err());
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let linear = Linear::new(&random(20, 100), None, Kept::Q8).unwrap();
        for wrong in [f32::NAN, f32::INFINITY] {
            for at in [3, 99] {
                let mut row = vec![0.5; 100];
                row[at] = wrong;
                let x = Tensor::from_vec(row, (1, 100), &Device::Cpu).unwrap();
                let out: Vec<f32> =
                    linear.forward(&x, After::Nothing).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                assert!(out.iter().all(|out| out.is_nan()));
            }
        }
        let nothing = Tensor::zeros((1, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
        let out = linear.forward(&nothing, After::Nothing).unwrap();
        assert_eq!(worst(&out, &Tensor::zeros((1, 20), candle_core::DType::F32, &Device::Cpu).unwrap()), 0.0);
    }
}
