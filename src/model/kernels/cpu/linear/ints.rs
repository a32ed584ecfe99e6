//! Weights in 8 bits.
//!
//! What they are multiplied with has 16: less is lost by that than by the weights' own rounding.

use rayon::prelude::*;

use super::super::ints::{Inputs, Panels, Source, pack_bytes};
use super::super::tile::{PANEL, sweep};
use super::finish::{Columns, Rows};
use crate::vector::chip::Chip;
use crate::vector::for_each_level;

/// So many inputs at a time: 16 KiB of a panel stay in a core's first cache, and 192 KiB of 96 rows in its second.
const DEPTH: usize = 1024;

/// `weight`: `[outputs, inputs]`.
pub fn pack(weight: &[f32], inputs: usize) -> Panels<i8> {
    let outputs = weight.len() / inputs;
    let mut panels = Panels::new(outputs, inputs);
    let source = Source { numbers: weight, outputs, inputs, output: inputs, input: 1 };
    let each: Vec<_> = panels.each().enumerate().collect();
    each.into_par_iter().for_each(|(panel, (weights, scales))| pack_bytes(source, panel, weights, scales));
    panels
}

for_each_level! {
    pub fn whole_rows(x: &Inputs, panels: &Panels<i8>, rows: &mut Rows<'_>) = whole_rows_of with chip
}

#[inline(always)]
fn whole_rows_of<const M: usize, C: Chip>(x: &Inputs, panels: &Panels<i8>, rows: &mut Rows<'_>) {
    let finish = rows.finish;
    for from in (0..panels.inputs()).step_by(DEPTH) {
        let to = (from + DEPTH).min(panels.inputs());
        rows.begun = from > 0;
        rows.finish = finish.filter(|_| to == panels.inputs());
        for panel in 0..panels.len() {
            sweep::<M, _, _>(&panels.part::<C>(x, panel, (from, to)), x.rows(), panel, rows);
        }
    }
}

for_each_level! {
    /// Panels from `first` on, for as many as `sums` has room.
    pub fn some_panels(x: &Inputs, panels: &Panels<i8>, first: usize, sums: &mut [f32]) = some_panels_of with chip
}

#[inline(always)]
fn some_panels_of<const M: usize, C: Chip>(x: &Inputs, panels: &Panels<i8>, first: usize, sums: &mut [f32]) {
    let rows = x.rows();
    for panel in 0..sums.len() / (rows * PANEL) {
        // In the same parts as of many rows: sums must not depend on how many there are.
        for from in (0..panels.inputs()).step_by(DEPTH) {
            let to = (from + DEPTH).min(panels.inputs());
            let part = panels.part::<C>(x, first + panel, (from, to));
            sweep::<M, _, _>(&part, rows, panel, &mut Columns { sums, rows, begun: from > 0 });
        }
    }
}
