//! A class in, a place out: what is short does not wait until a hundred long recordings are decoded.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::TranscribeError;
use crate::engine::Class;

/// Places of one kind, by class.
#[derive(Debug)]
pub(super) struct Places {
    interactive: Arc<Semaphore>,
    batch: Arc<Semaphore>,
}

impl Places {
    pub fn new(interactive: usize, batch: usize) -> Self {
        Places { interactive: Arc::new(Semaphore::new(interactive)), batch: Arc::new(Semaphore::new(batch)) }
    }

    /// Held until dropped.
    pub async fn take(&self, class: Class) -> Result<OwnedSemaphorePermit, TranscribeError> {
        let places = match class {
            Class::Interactive => &self.interactive,
            Class::Batch => &self.batch,
        };
        let place = places.clone().acquire_owned().await;
        place.map_err(|error| TranscribeError::Internal(error.to_string()))
    }
}
