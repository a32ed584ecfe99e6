//! No model: for a process that takes work in and has others do it.

use std::sync::Arc;

use super::{AlignRow, Alignment, Capacity, Fork, Model, ModelError, ModelInfo, Sample, Slot, Step};
use crate::audio::LogMel;

/// Whoever asks it for something has not asked whether there is one.
pub struct Absent;

impl Absent {
    pub fn info() -> ModelInfo {
        let none = || "none".to_owned();
        ModelInfo { name: none(), device: none(), dtype: none(), n_mels: 80, ..ModelInfo::default() }
    }

    fn misused<T>() -> Result<T, ModelError> {
        Err(ModelError::Misuse("there is no model".to_owned()))
    }
}

impl Model for Absent {
    fn capacity(&self) -> Capacity {
        Capacity { slots: 1, lanes: 1 }
    }

    fn encode(&mut self, _: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        Absent::misused()
    }

    fn step(&mut self, _: &[Fork], _: &[Step]) -> Result<Vec<Sample>, ModelError> {
        Absent::misused()
    }

    fn align(&mut self, _: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        Absent::misused()
    }
}
