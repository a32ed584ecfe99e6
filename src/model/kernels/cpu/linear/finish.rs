//! Sums in, results where they belong: bias, GELU and what is added, done while the sums are still in registers.

use candle_core::Tensor;

use super::super::tile::{PANEL, Put, Sums};
use crate::vector::curves::gelu;

/// What is done with each result.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    Nothing,
    Gelu,
    /// `[rows, outputs]`, added.
    Add(&'a Tensor),
    /// GELU, and then added.
    GeluAdd(&'a Tensor),
}

impl After<'_> {
    pub fn gelu(&self) -> bool {
        matches!(self, After::Gelu | After::GeluAdd(_))
    }

    pub fn add(&self) -> Option<&Tensor> {
        match self {
            After::Add(add) | After::GeluAdd(add) => Some(add),
            After::Nothing | After::Gelu => None,
        }
    }
}

/// The same in slices, and the bias.
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    pub bias: Option<&'a [f32]>,
    pub gelu: bool,
    pub add: Option<&'a [f32]>,
}

impl Finish<'_> {
    /// `out`: the whole of row `row`.
    #[inline(always)]
    pub fn put(&self, row: usize, panel: usize, sums: &Sums, out: &mut [f32]) {
        let (first, width) = (panel * PANEL, out.len());
        let add = self.add.map(|add| &add[row * width..][..width]);
        if let Some(out) = out[first..].first_chunk_mut::<PANEL>() {
            *out = self.finished(sums, first, add);
        } else {
            // Columns beyond the last are there in the panel alone.
            let count = width - first;
            let mut bias = [0.0; PANEL];
            let mut others = [0.0; PANEL];
            if let Some(all) = self.bias {
                bias[..count].copy_from_slice(&all[first..]);
            }
            if let Some(all) = add {
                others[..count].copy_from_slice(&all[first..]);
            }
            let padded = Finish { bias: Some(&bias), gelu: self.gelu, add: None };
            let finished = padded.finished(sums, 0, Some(&others));
            out[first..].copy_from_slice(&finished[..count]);
        }
    }

    /// A whole panel's, from the column `first` on of a row's.
    #[inline(always)]
    fn finished(&self, sums: &Sums, first: usize, add: Option<&[f32]>) -> Sums {
        let mut out = *sums;
        if let Some(bias) = self.bias.and_then(|bias| bias[first..].first_chunk::<PANEL>()) {
            for column in 0..PANEL {
                out[column] += bias[column];
            }
        }
        if self.gelu {
            for sum in &mut out {
                *sum = gelu(*sum);
            }
        }
        if let Some(add) = add.and_then(|add| add[first..].first_chunk::<PANEL>()) {
            for column in 0..PANEL {
                out[column] += add[column];
            }
        }
        out
    }
}

/// Of many rows: each result in its row, which is done with when the last inputs are.
pub struct Rows<'a> {
    pub out: &'a mut [f32],
    /// Which of all rows the first of these is.
    pub first: usize,
    pub width: usize,
    /// Whether the sums of inputs before these are there already.
    pub begun: bool,
    /// `None`: there are more inputs.
    pub finish: Option<Finish<'a>>,
}

impl Put for Rows<'_> {
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, sums: &Sums) {
        let out = &mut self.out[row * self.width..(row + 1) * self.width];
        let mut sums = *sums;
        if self.begun {
            match out[panel * PANEL..].first_chunk::<PANEL>() {
                Some(before) => {
                    for column in 0..PANEL {
                        sums[column] += before[column];
                    }
                }
                None => {
                    for (sum, before) in sums.iter_mut().zip(&out[panel * PANEL..]) {
                        *sum += before;
                    }
                }
            }
        }
        match (self.finish, out[panel * PANEL..].first_chunk_mut::<PANEL>()) {
            (Some(finish), _) => finish.put(self.first + row, panel, &sums, out),
            (None, Some(out)) => *out = sums,
            (None, None) => {
                let out = &mut out[panel * PANEL..];
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
    }
}

/// Of few rows: sums of each panel by themselves, `[panels][rows][16]`, for rows are not in one piece there.
pub struct Columns<'a> {
    pub sums: &'a mut [f32],
    pub rows: usize,
    pub begun: bool,
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
