//! Matrices as whole numbers: of 8 bits (weights) or of 12 (what is made while computing), in blocks of 32 inputs with a scale each, as
//! ggml's `q8_0` has them (scales in f32 here).
//!
//! What they are multiplied with is rounded to 16 bits, one scale a row. Sums of a block are exact; from block to block they are added
//! in f32.

use std::marker::PhantomData;

use super::tile::{PANEL, Sums, Tile};
use crate::vector::chip::Chip;
use crate::vector::curves::{ROUND, exp};
use crate::vector::for_each_level;
use crate::vector::{largest, total};

/// Inputs of a block.
pub const BLOCK: usize = 32;
/// Of a row's largest input.
const MOST_INPUT: f32 = 32_767.0;

#[inline(always)]
fn nearest(x: f32) -> i16 {
    (x + ROUND).to_bits() as i16
}

/// What a matrix is made of.
pub trait Weight: Copy + Default + Send + Sync {
    /// What a block's largest becomes. 32 times as much times 32,767 is less than 2^31, so sums of a block never overflow.
    const MOST: f32;

    fn of(nearest: i16) -> Self;
    fn load<C: Chip>(pairs: &[Self; 2 * PANEL]) -> C::Weights;
}

impl Weight for i8 {
    const MOST: f32 = 127.0;

    #[inline(always)]
    fn of(nearest: i16) -> i8 {
        nearest as i8
    }

    #[inline(always)]
    fn load<C: Chip>(pairs: &[i8; 2 * PANEL]) -> C::Weights {
        C::widen(pairs)
    }
}

impl Weight for i16 {
    const MOST: f32 = 2_047.0;

    #[inline(always)]
    fn of(nearest: i16) -> i16 {
        nearest
    }

    #[inline(always)]
    fn load<C: Chip>(pairs: &[i16; 2 * PANEL]) -> C::Weights {
        C::load(pairs)
    }
}

/// A block's weights are its largest over `W::MOST`, times whole numbers.
#[inline(always)]
fn scales<W: Weight>(largest: f32) -> (f32, f32) {
    (largest / W::MOST, if largest > 0.0 { W::MOST / largest } else { 0.0 })
}

/// What weights are after their rounding to 8 bits: `weight` is `[outputs, inputs]`. For the plain version, and for those who compare.
pub fn rounded(weight: &[f32], inputs: usize) -> Vec<f32> {
    let mut out = weight.to_vec();
    for block in out.chunks_exact_mut(inputs).flat_map(|row| row.chunks_mut(BLOCK)) {
        let (scale, factor) = scales::<i8>(block.iter().fold(0.0, |most, weight| weight.abs().max(most)));
        for weight in block {
            *weight = f32::from(nearest(*weight * factor)) * scale;
        }
    }
    out
}

/// Where the numbers of a matrix are: that of output `o` and input `i` at `o * output + i * input`.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub numbers: &'a [f32],
    pub outputs: usize,
    pub inputs: usize,
    pub output: usize,
    pub input: usize,
}

/// Sixteen outputs a panel.
#[derive(Debug)]
pub struct Panels<W> {
    /// A multiple of 32: the last block is filled up with zeros.
    inputs: usize,
    /// `[panels][inputs / 2][16][2]`.
    weights: Vec<W>,
    /// `[panels][inputs / 32][16]`.
    scales: Vec<f32>,
}

impl<W: Weight> Panels<W> {
    /// Of nothing yet.
    pub fn new(outputs: usize, inputs: usize) -> Self {
        let inputs = inputs.next_multiple_of(BLOCK);
        let numbers = outputs.next_multiple_of(PANEL) * inputs;
        Panels { inputs, weights: vec![W::default(); numbers], scales: vec![0.0; numbers / BLOCK] }
    }

    pub fn len(&self) -> usize {
        self.weights.len() / (PANEL * self.inputs)
    }

    /// With the padding.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Each panel by itself: its weights and their scales.
    pub fn each(&mut self) -> impl ExactSizeIterator<Item = (&mut [W], &mut [f32])> {
        let numbers = PANEL * self.inputs;
        self.weights.chunks_exact_mut(numbers).zip(self.scales.chunks_exact_mut(numbers / BLOCK))
    }

    /// `count` numbers of a row.
    pub fn row(&self, row: usize, count: usize, out: &mut Vec<f32>)
    where
        f32: From<W>,
    {
        let (panel, column) = (row / PANEL, row % PANEL);
        let weights = &self.weights[panel * PANEL * self.inputs..];
        let scales = &self.scales[panel * PANEL * self.inputs / BLOCK..];
        out.extend((0..count).map(|at| {
            let weight = weights[(at / 2 * PANEL + column) * 2 + at % 2];
            f32::from(weight) * scales[at / BLOCK * PANEL + column]
        }));
    }

    /// Rows over a part of one panel's inputs; `from` and `to` are multiples of 32.
    #[inline(always)]
    pub fn part<'a, C>(&'a self, x: &'a Inputs, panel: usize, (from, to): (usize, usize)) -> Part<'a, W, C> {
        let first = panel * self.inputs;
        Part {
            pairs: &x.pairs[from / 2..],
            stride: x.width / 2,
            of_rows: &x.scales,
            weights: &self.weights[(first + from) * PANEL..(first + to) * PANEL],
            scales: &self.scales[(first + from) / BLOCK * PANEL..(first + to) / BLOCK * PANEL],
            chip: PhantomData,
        }
    }
}

for_each_level! {
    pub fn pack_bytes(source: Source<'_>, panel: usize, weights: &mut [i8], scales: &mut [f32]) = pack_bytes_of
}

#[inline(always)]
fn pack_bytes_of<const M: usize>(source: Source, panel: usize, weights: &mut [i8], scales: &mut [f32]) {
    pack(source, panel, weights, scales);
}

for_each_level! {
    pub fn pack_words(source: Source<'_>, panel: usize, weights: &mut [i16], scales: &mut [f32]) = pack_words_of
}

#[inline(always)]
fn pack_words_of<const M: usize>(source: Source, panel: usize, weights: &mut [i16], scales: &mut [f32]) {
    pack(source, panel, weights, scales);
}

/// One panel of a matrix.
#[inline(always)]
fn pack<W: Weight>(source: Source, panel: usize, weights: &mut [W], into: &mut [f32]) {
    let columns = PANEL.min(source.outputs - panel * PANEL);
    let weights = weights.as_chunks_mut::<{ BLOCK * PANEL }>().0;
    for (block, (weights, into)) in weights.iter_mut().zip(into.as_chunks_mut::<PANEL>().0).enumerate() {
        let mut numbers = [[0.0f32; PANEL]; BLOCK];
        let first = block * BLOCK;
        for (at, numbers) in numbers.iter_mut().enumerate().take(source.inputs - first) {
            let place = panel * PANEL * source.output + (first + at) * source.input;
            match (columns, source.output) {
                (PANEL, 1) => numbers.copy_from_slice(&source.numbers[place..place + PANEL]),
                _ => {
                    for (column, number) in numbers.iter_mut().enumerate().take(columns) {
                        *number = source.numbers[place + column * source.output];
                    }
                }
            }
        }
        let mut largest = [0.0f32; PANEL];
        for numbers in &numbers {
            for column in 0..PANEL {
                largest[column] = largest[column].max(numbers[column].abs());
            }
        }
        let mut factors = [0.0f32; PANEL];
        for column in 0..PANEL {
            (into[column], factors[column]) = scales::<W>(largest[column]);
        }
        for (two, pairs) in weights.as_chunks_mut::<{ 2 * PANEL }>().0.iter_mut().enumerate() {
            for column in 0..PANEL {
                pairs[2 * column] = W::of(nearest(numbers[2 * two][column] * factors[column]));
                pairs[2 * column + 1] = W::of(nearest(numbers[2 * two + 1][column] * factors[column]));
            }
        }
    }
}

/// Rows of inputs in whole numbers.
#[derive(Debug, Default)]
pub struct Inputs {
    /// `[rows, width / 2][2]`.
    pairs: Vec<[i16; 2]>,
    /// What one is worth, of each row.
    scales: Vec<f32>,
    /// A multiple of 32.
    width: usize,
}

impl Inputs {
    /// Rows of `of_row` numbers, each `stride` after the one before, all times `factor`.
    pub fn take(&mut self, x: &[f32], (rows, stride): (usize, usize), of_row: usize, factor: f32) {
        self.width = of_row.next_multiple_of(BLOCK);
        self.pairs.resize(rows * self.width / 2, [0; 2]);
        self.scales.clear();
        for (row, pairs) in self.pairs.chunks_exact_mut(self.width / 2).enumerate() {
            let mut scale = 0.0;
            round_row(&x[row * stride..][..of_row], pairs, &mut scale);
            self.scales.push(scale * factor);
        }
    }

    /// The softmax of the first `count` numbers of each row.
    pub fn take_softmax(&mut self, scores: &[f32], (rows, stride): (usize, usize), count: usize) {
        self.width = count.next_multiple_of(BLOCK);
        self.pairs.resize(rows * self.width / 2, [0; 2]);
        self.scales.clear();
        for (row, pairs) in self.pairs.chunks_exact_mut(self.width / 2).enumerate() {
            let mut scale = 0.0;
            softmax_row(&scores[row * stride..][..count], pairs.as_flattened_mut(), &mut scale);
            self.scales.push(scale);
        }
    }

    pub fn rows(&self) -> usize {
        self.scales.len()
    }
}

for_each_level! {
    fn softmax_row(scores: &[f32], out: &mut [i16], scale: &mut f32) = softmax_row_of
}

/// The largest becomes `MOST_INPUT`, so none need be looked for.
#[inline(always)]
fn softmax_row_of<const M: usize>(scores: &[f32], out: &mut [i16], scale: &mut f32) {
    let (chunks, rest) = scores.as_chunks::<PANEL>();
    let most = largest(scores);
    let mut sums = [0.0f32; PANEL];
    let (out_chunks, out_rest) = out.split_at_mut(chunks.len() * PANEL);
    for (chunk, out) in chunks.iter().zip(out_chunks.as_chunks_mut::<PANEL>().0) {
        for at in 0..PANEL {
            let share = exp(chunk[at] - most);
            sums[at] += share;
            out[at] = nearest(share * MOST_INPUT);
        }
    }
    let mut sum = total(sums);
    out_rest.fill(0);
    for (score, out) in rest.iter().zip(out_rest) {
        let share = exp(*score - most);
        sum += share;
        *out = nearest(share * MOST_INPUT);
    }
    *scale = 1.0 / (sum * MOST_INPUT);
}

for_each_level! {
    fn round_row(row: &[f32], pairs: &mut [[i16; 2]], scale: &mut f32) = round_row_of
}

#[inline(always)]
fn round_row_of<const M: usize>(row: &[f32], pairs: &mut [[i16; 2]], scale: &mut f32) {
    let (chunks, rest) = row.as_chunks::<BLOCK>();
    let (mut most, mut unsound) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
    for chunk in chunks {
        for at in 0..BLOCK {
            most[at] = most[at].max(chunk[at].abs());
            // Nothing of a number, NaN of what is none.
            unsound[at] += 0.0 * chunk[at];
        }
    }
    let (mut largest, mut nothing) = (0.0f32, 0.0f32);
    for (most, unsound) in most.iter().zip(&unsound) {
        largest = largest.max(*most);
        nothing += unsound;
    }
    for x in rest {
        largest = largest.max(x.abs());
        nothing += 0.0 * x;
    }
    let factor = if largest > 0.0 { MOST_INPUT / largest } else { 0.0 };
    // Zeros stay zeros and NaN, infinity too, makes the whole row NaN: a fault must not become text.
    *scale = largest / MOST_INPUT + nothing;
    let (blocks, last) = pairs.split_at_mut(chunks.len() * BLOCK / 2);
    for (chunk, pairs) in chunks.iter().zip(blocks.as_chunks_mut::<{ BLOCK / 2 }>().0) {
        for at in 0..BLOCK / 2 {
            pairs[at] = [nearest(chunk[2 * at] * factor), nearest(chunk[2 * at + 1] * factor)];
        }
    }
    for (at, pair) in last.iter_mut().enumerate() {
        let of = |at: usize| rest.get(at).map_or(0, |x| nearest(x * factor));
        *pair = [of(2 * at), of(2 * at + 1)];
    }
}

/// Rows over one panel, from input to input.
pub struct Part<'a, W, C> {
    pairs: &'a [[i16; 2]],
    /// Pairs of a row.
    stride: usize,
    of_rows: &'a [f32],
    weights: &'a [W],
    scales: &'a [f32],
    chip: PhantomData<C>,
}

impl<W: Weight, C: Chip> Tile for Part<'_, W, C> {
    #[inline(always)]
    #[allow(unsafe_code, reason = "checks of bounds take as long as the products; see tests/tidy.rs")]
    #[allow(
        clippy::needless_range_loop,
        reason = "of iterators over rows the compiler makes no vectors here"
    )]
    fn sums<const M: usize>(&self, first: usize) -> [Sums; M] {
        let mut sums = [[0.0; PANEL]; M];
        let blocks = self.weights.as_chunks::<{ 2 * PANEL }>().0.as_chunks::<{ BLOCK / 2 }>().0;
        let pairs = blocks.len() * BLOCK / 2;
        let rows: [&[[i16; 2]]; M] =
            std::array::from_fn(|row| &self.pairs[(first + row) * self.stride..][..pairs]);
        for (block, (weights, scales)) in blocks.iter().zip(self.scales.as_chunks::<PANEL>().0).enumerate() {
            let mut whole = [C::none(); M];
            for (at, weights) in weights.iter().enumerate() {
                let weights = W::load::<C>(weights);
                for row in 0..M {
                    // SAFETY: each row was cut to the pairs of all blocks above.
                    let pair = unsafe { *rows[row].get_unchecked(block * BLOCK / 2 + at) };
                    C::add(&mut whole[row], weights, pair);
                }
            }
            for row in 0..M {
                C::scaled(whole[row], scales, &mut sums[row]);
            }
        }
        for (sums, scale) in sums.iter_mut().zip(&self.of_rows[first..]) {
            for sum in sums {
                *sum *= scale;
            }
        }
        sums
    }
}
