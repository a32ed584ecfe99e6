//! The three kinds of metric: a declaration in, samples recorded by its methods.

use metrics::Label;

/// Label names with the values of one sample.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// Only grows.
#[derive(Debug)]
pub struct Counter {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

/// Goes up and down.
#[derive(Debug)]
pub struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

/// How often each range of values was seen.
#[derive(Debug)]
pub struct Histogram {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) buckets: &'static [f64],
}

impl Counter {
    pub fn add(&self, amount: u64, labels: Labels) {
        metrics::counter!(self.name, owned(labels)).increment(amount);
    }

    /// For counts that are kept elsewhere: sets the total.
    pub fn set_total(&self, total: u64, labels: Labels) {
        metrics::counter!(self.name, owned(labels)).absolute(total);
    }
}

impl Gauge {
    pub fn set(&self, value: f64, labels: Labels) {
        metrics::gauge!(self.name, owned(labels)).set(value);
    }

    /// Adds one until the guard is dropped.
    pub fn enter(&self) -> Entered {
        let gauge = metrics::gauge!(self.name);
        gauge.increment(1.0);
        Entered(gauge)
    }
}

impl Histogram {
    pub fn observe(&self, value: f64, labels: Labels) {
        metrics::histogram!(self.name, owned(labels)).record(value);
    }
}

/// One of those that a gauge counts.
pub struct Entered(metrics::Gauge);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn owned(labels: Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
}
