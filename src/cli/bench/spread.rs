//! How long the same work took each time in, the middle and the edges of it out.

use std::time::Duration;

/// At least one measurement, in milliseconds, the shortest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// `None`: nothing was measured.
    pub fn of(measured: impl IntoIterator<Item = Duration>) -> Option<Spread> {
        let mut sorted: Vec<f64> = measured.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then_some(Spread(sorted))
    }

    pub fn samples(&self) -> usize {
        self.0.len()
    }

    pub fn least(&self) -> f64 {
        self.0[0]
    }

    pub fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Between the two in the middle, where there are two.
    pub fn median(&self) -> f64 {
        let (low, high) = ((self.0.len() - 1) / 2, self.0.len() / 2);
        (self.0[low] + self.0[high]) / 2.0
    }

    /// The least that `percent` of the measurements do not exceed (nearest rank): of few, the largest.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).clamp(1, self.0.len());
        self.0[rank - 1]
    }
}

/// For files: three decimals are a microsecond of a millisecond's figure and a thousandth of any other.
pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(milliseconds: impl IntoIterator<Item = u64>) -> Spread {
        Spread::of(milliseconds.into_iter().map(Duration::from_millis)).unwrap()
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(spread([9]).median(), 9.0);
        assert_eq!(spread([9, 1, 5]).median(), 5.0);
        assert_eq!(spread([9, 1, 4, 5]).median(), 4.5);
    }

    #[test]
    fn a_percentile_is_one_of_the_measurements() {
        let hundred = spread((1..=100).rev());
        assert_eq!([50, 95, 99, 100].map(|percent| hundred.percentile(percent)), [50.0, 95.0, 99.0, 100.0]);
        assert_eq!([0, 95].map(|percent| spread([3, 7]).percentile(percent)), [3.0, 7.0]);
        assert_eq!((hundred.least(), hundred.most(), hundred.samples()), (1.0, 100.0, 100));
    }

    #[test]
    fn no_measurement_has_no_spread() {
        assert_eq!(Spread::of([]), None);
        assert_eq!([rounded(1.23456), rounded(0.0004), rounded(7.0)], [1.235, 0.0, 7.0]);
    }
}
