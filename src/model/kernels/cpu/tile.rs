//! The inner loop of every product here: some rows over a panel of sixteen columns, with all sums in registers.

use crate::vector::{LANES, Lanes};

/// Columns of a panel.
pub const PANEL: usize = LANES;

pub type Sums = Lanes;

/// Rows over one panel, however their numbers are kept.
pub trait Tile {
    /// Of M rows from `first` on. Sums are made in the order of the inputs, whatever M is.
    fn sums<const M: usize>(&self, first: usize) -> [Sums; M];
}

/// In f32.
pub struct Floats<'a> {
    pub rows: &'a [f32],
    /// From one row to the next.
    pub stride: usize,
    /// `[k][16]`.
    pub panel: &'a [f32],
}

impl Tile for Floats<'_> {
    #[inline(always)]
    #[allow(unsafe_code, reason = "six checks of bounds a step take as long as the step; see tests/tidy.rs")]
    fn sums<const M: usize>(&self, first: usize) -> [Sums; M] {
        let mut sums = [[0.0; PANEL]; M];
        let (columns, _) = self.panel.as_chunks::<PANEL>();
        let rows: [&[f32]; M] =
            std::array::from_fn(|row| &self.rows[(first + row) * self.stride..][..columns.len()]);
        for (at, column) in columns.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                // SAFETY: each row was cut to the number of columns above.
                let factor = unsafe { *row.get_unchecked(at) };
                for (sum, weight) in sums.iter_mut().zip(column) {
                    *sum = factor.mul_add(*weight, *sum);
                }
            }
        }
        sums
    }
}

/// Takes what a row and a panel add up to.
pub trait Put {
    fn put(&mut self, row: usize, panel: usize, sums: &Sums);
}

/// All `count` rows over the panel `index`, M at a time.
#[inline(always)]
pub fn sweep<const M: usize, T: Tile, P: Put>(tile: &T, count: usize, index: usize, put: &mut P) {
    let mut row = 0;
    // Eight are two fours rather than six and two: each pass over the panel should be worth it.
    while count - row >= M && count - row != 8 {
        several::<M, T, P>(tile, row, index, put);
        row += M;
    }
    while count - row >= 4 {
        several::<4, T, P>(tile, row, index, put);
        row += 4;
    }
    match count - row {
        3 => several::<3, T, P>(tile, row, index, put),
        2 => several::<2, T, P>(tile, row, index, put),
        1 => several::<1, T, P>(tile, row, index, put),
        _ => {}
    }
}

#[inline(always)]
fn several<const M: usize, T: Tile, P: Put>(tile: &T, first: usize, index: usize, put: &mut P) {
    let sums = tile.sums::<M>(first);
    for (row, sums) in sums.iter().enumerate() {
        put.put(first + row, index, sums);
    }
}
