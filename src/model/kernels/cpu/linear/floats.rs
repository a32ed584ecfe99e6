//! Weights as they are, in f32.

use rayon::prelude::*;

use super::super::tile::{Floats, PANEL, sweep};
use super::finish::{Columns, Finish, Rows};
use crate::vector::for_each_level;

/// So many inputs at a time: 32 KiB of a panel stay in a core's first cache.
const DEPTH: usize = 512;

#[derive(Debug)]
pub struct Panels {
    inputs: usize,
    /// `[outputs / 16][inputs][16]`, the last panel filled up with zeros.
    weights: Vec<f32>,
}

impl Panels {
    /// `weight`: `[outputs, inputs]`.
    pub fn pack(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut weights = vec![0.0; outputs.next_multiple_of(PANEL) * inputs];
        weights.par_chunks_exact_mut(PANEL * inputs).enumerate().for_each(|(index, panel)| {
            let rows = weight[index * PANEL * inputs..].chunks_exact(inputs).take(PANEL);
            for (column, row) in rows.enumerate() {
                for (at, weight) in row.iter().enumerate() {
                    panel[at * PANEL + column] = *weight;
                }
            }
        });
        Panels { inputs, weights }
    }

    pub fn row(&self, row: usize, out: &mut Vec<f32>) {
        let panel = &self.weights[row / PANEL * PANEL * self.inputs..][..PANEL * self.inputs];
        out.extend(panel.iter().skip(row % PANEL).step_by(PANEL));
    }

    pub fn len(&self) -> usize {
        self.weights.len() / (PANEL * self.inputs)
    }

    /// Panels from `first` on, for as many as `sums` has room.
    pub fn few(&self, x: &[f32], (rows, stride): (usize, usize), first: usize, sums: &mut [f32]) {
        let panels = &self.weights[first * PANEL * self.inputs..];
        some_panels(x, (rows, stride), panels, self.inputs, sums);
    }

    pub fn many(&self, x: &[f32], stride: usize, rows: &mut Rows) {
        whole_rows(x, stride, &self.weights, self.inputs, rows);
    }
}

for_each_level! {
    fn whole_rows(x: &[f32], stride: usize, weights: &[f32], inputs: usize, rows: &mut Rows<'_>) = whole_rows_of
}

#[inline(always)]
fn whole_rows_of<const M: usize>(
    x: &[f32],
    stride: usize,
    weights: &[f32],
    inputs: usize,
    rows: &mut Rows<'_>,
) {
    let count = rows.out.len() / rows.width;
    let finish: Option<Finish> = rows.finish;
    for from in (0..inputs).step_by(DEPTH) {
        let to = (from + DEPTH).min(inputs);
        rows.begun = from > 0;
        rows.finish = finish.filter(|_| to == inputs);
        for (index, panel) in weights.chunks_exact(PANEL * inputs).enumerate() {
            let tile = Floats { rows: &x[from..], stride, panel: &panel[from * PANEL..to * PANEL] };
            sweep::<M, _, _>(&tile, count, index, rows);
        }
    }
}

for_each_level! {
    fn some_panels(x: &[f32], shape: (usize, usize), weights: &[f32], inputs: usize, sums: &mut [f32]) = some_panels_of
}

#[inline(always)]
fn some_panels_of<const M: usize>(
    x: &[f32],
    (rows, stride): (usize, usize),
    weights: &[f32],
    inputs: usize,
    sums: &mut [f32],
) {
    let panels = weights.chunks_exact(PANEL * inputs).take(sums.len() / (rows * PANEL));
    for (index, panel) in panels.enumerate() {
        // In the same parts as of many rows: sums must not depend on how many there are.
        for from in (0..inputs).step_by(DEPTH) {
            let to = (from + DEPTH).min(inputs);
            let tile = Floats { rows: &x[from..], stride, panel: &panel[from * PANEL..to * PANEL] };
            sweep::<M, _, _>(&tile, rows, index, &mut Columns { sums, rows, begun: from > 0 });
        }
    }
}
