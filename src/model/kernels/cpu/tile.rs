//! The inner loop of every product here: some rows over a panel of sixteen columns, with all sums in registers.

/// Columns of a panel.
pub const PANEL: usize = 16;

pub type Sums = [f32; PANEL];

/// `rows`: M of them, each `stride` after the one before; `panel`: `[k][16]`. Sums are made in the order of `k`, whatever M is.
#[inline(always)]
#[allow(unsafe_code, reason = "six checks of bounds a step take as long as the step; see tests/tidy.rs")]
pub fn tile<const M: usize>(rows: &[f32], stride: usize, panel: &[f32]) -> [Sums; M] {
    let mut sums = [[0.0; PANEL]; M];
    let (columns, _) = panel.as_chunks::<PANEL>();
    let rows: [&[f32]; M] = std::array::from_fn(|row| &rows[row * stride..row * stride + columns.len()]);
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

/// Of all sixteen, in halves: one after the other they would wait for each other.
#[inline(always)]
pub fn total(mut sums: Sums) -> f32 {
    for half in [8, 4, 2, 1] {
        for at in 0..half {
            sums[at] += sums[at + half];
        }
    }
    sums[0]
}

/// Takes what a row and a panel add up to.
pub trait Put {
    fn put(&mut self, row: usize, panel: usize, sums: &Sums);
}

/// All `count` rows over one panel, M at a time.
#[inline(always)]
pub fn sweep<const M: usize, P: Put>(
    rows: &[f32],
    (count, stride): (usize, usize),
    (index, panel): (usize, &[f32]),
    put: &mut P,
) {
    let mut row = 0;
    // Eight are two fours rather than six and two: each pass over the panel should be worth it.
    while count - row >= M && count - row != 8 {
        several::<M, P>(rows, (row, stride), (index, panel), put);
        row += M;
    }
    while count - row >= 4 {
        several::<4, P>(rows, (row, stride), (index, panel), put);
        row += 4;
    }
    match count - row {
        3 => several::<3, P>(rows, (row, stride), (index, panel), put),
        2 => several::<2, P>(rows, (row, stride), (index, panel), put),
        1 => several::<1, P>(rows, (row, stride), (index, panel), put),
        _ => {}
    }
}

#[inline(always)]
fn several<const M: usize, P: Put>(
    rows: &[f32],
    (first, stride): (usize, usize),
    (index, panel): (usize, &[f32]),
    put: &mut P,
) {
    let sums = tile::<M>(&rows[first * stride..], stride, panel);
    for (row, sums) in sums.iter().enumerate() {
        put.put(first + row, index, sums);
    }
}
