//! A row of values in, the median of seven around each out.
//!
//! Follows `median_filter`, openai/whisper timing.py at c0d2f624, lines 19-55, at its width of 7: edges are reflected, and a row too
//! short to be reflected stays as it is.

/// Values on either side of the middle one.
const REACH: usize = 3;

/// Holds the memory that one row after the other needs.
pub(super) struct Filter {
    padded: Vec<f32>,
}

impl Filter {
    pub(super) fn new(columns: usize) -> Self {
        Filter { padded: Vec::with_capacity(columns + 2 * REACH) }
    }

    /// Adds the filtered `row` to `sum`.
    pub(super) fn add(&mut self, row: &[f32], sum: &mut [f32]) {
        if row.len() <= REACH {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            return;
        }
        self.padded.clear();
        self.padded.extend(row[1..=REACH].iter().rev());
        self.padded.extend(row);
        self.padded.extend(row[row.len() - 1 - REACH..row.len() - 1].iter().rev());
        // Seven shifted views, so that the compiler takes many places at once.
        let at = |shift: usize| &self.padded[shift..shift + row.len()];
        let (a, b, c, d, e, f, g) = (at(0), at(1), at(2), at(3), at(4), at(5), at(6));
        for (place, sum) in sum[..row.len()].iter_mut().enumerate() {
            *sum += median([a[place], b[place], c[place], d[place], e[place], f[place], g[place]]);
        }
    }
}

/// Five of seven values hold two that cannot be the median, the smallest and the largest; without them and with the sixth there
/// are four, of which the same is true; then three are left. Exchanges alone, no branches.
fn median([a, b, c, d, e, f, g]: [f32; 7]) -> f32 {
    let ((a, b), (c, d)) = (order(a, b), order(c, d));
    let ((a, c), (b, d)) = (order(a, c), order(b, d));
    let (_, e) = order(a, e);
    let (e, _) = order(e, d);
    let ((b, c), (e, f)) = (order(b, c), order(e, f));
    let ((_, e), (c, _)) = (order(b, e), order(c, f));
    let (c, e) = order(c, e);
    order(c, order(e, g).0).1
}

fn order(a: f32, b: f32) -> (f32, f32) {
    if a < b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(row: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0; row.len()];
        Filter::new(row.len()).add(row, &mut sum);
        sum
    }

    #[test]
    fn edges_are_reflected() {
        assert_eq!(filtered(&[0.0, 1.0, 2.0, 3.0]), [2.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn a_row_too_short_to_be_reflected_stays_as_it_is() {
        assert_eq!(filtered(&[3.0, 1.0, 2.0]), [3.0, 1.0, 2.0]);
        assert!(filtered(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn it_is_the_middle_of_seven_sorted_values(row in prop::collection::vec(-4i8..5, 4..60)) {
            let row: Vec<f32> = row.into_iter().map(f32::from).collect();
            let last = row.len() as isize - 1;
            let reflected = |place: isize| row[(last - (last - place.abs()).abs()) as usize];
            let naive: Vec<f32> = (0..=last)
                .map(|place| {
                    let mut seven: Vec<f32> = (place - 3..=place + 3).map(reflected).collect();
                    seven.sort_by(f32::total_cmp);
                    seven[3]
                })
                .collect();
            prop_assert_eq!(filtered(&row), naive);
        }
    }
}
