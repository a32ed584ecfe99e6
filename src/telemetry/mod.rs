//! What operators see: logs, metrics, the GPU's own readings.

pub mod gpu;
pub mod metrics;
