//! An id in, the whole job out: who keeps manifests says `Manifests`; a worker reads one once for all the items that it does of a job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::jobs::backend::JobError;
use crate::jobs::job::{Fields, Job, Standing};

/// Where jobs are kept as they were handed in, so that the broker is never the only one who knows.
#[async_trait]
pub trait Manifests: Send + Sync {
    async fn put(&self, job: &Job) -> Result<(), JobError>;
    async fn get(&self, id: &str) -> Result<Option<Job>, JobError>;
    /// Of one that is not there, nothing happens.
    async fn delete(&self, id: &str) -> Result<(), JobError>;
    async fn ids(&self) -> Result<Vec<String>, JobError>;
}

/// Where results are.
#[async_trait]
pub trait Results: Send + Sync {
    /// What became of an item, if its result is there.
    async fn has(&self, job: &str, item: usize) -> Result<Option<Standing>, JobError>;
}

/// How many manifests are at hand. One of a hundred thousand items is tens of megabytes.
const AT_HAND: usize = 4;

#[derive(Clone)]
pub struct Manifest {
    pub job: Arc<Job>,
    pub fields: Arc<Fields>,
}

pub struct Shelf {
    kept: Arc<dyn Manifests>,
    /// The last used last.
    at_hand: Mutex<VecDeque<Manifest>>,
    /// One is read at a time: all of a process begin on a job at once, and one reading is enough for all.
    reading: tokio::sync::Mutex<()>,
}

impl Shelf {
    pub fn new(kept: Arc<dyn Manifests>) -> Shelf {
        Shelf { kept, at_hand: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    pub fn kept(&self) -> &dyn Manifests {
        self.kept.as_ref()
    }

    pub async fn get(&self, id: &str) -> Result<Option<Manifest>, JobError> {
        if let Some(manifest) = self.find(id) {
            return Ok(Some(manifest));
        }
        let _reading = self.reading.lock().await;
        if let Some(manifest) = self.find(id) {
            return Ok(Some(manifest));
        }
        let Some(job) = self.kept.get(id).await? else { return Ok(None) };
        let manifest = Manifest { fields: Arc::new(job.fields.clone()), job: Arc::new(job) };
        self.lay(manifest.clone());
        Ok(Some(manifest))
    }

    pub async fn delete(&self, id: &str) -> Result<(), JobError> {
        self.take(id);
        self.kept.delete(id).await
    }

    fn find(&self, id: &str) -> Option<Manifest> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let at = at_hand.iter().position(|manifest| manifest.job.id == id)?;
        let manifest = at_hand.remove(at)?;
        at_hand.push_back(manifest.clone());
        Some(manifest)
    }

    fn take(&self, id: &str) -> Option<Manifest> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let at = at_hand.iter().position(|manifest| manifest.job.id == id)?;
        at_hand.remove(at)
    }

    fn lay(&self, manifest: Manifest) {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        at_hand.retain(|other| other.job.id != manifest.job.id);
        if at_hand.len() >= AT_HAND {
            at_hand.pop_front();
        }
        at_hand.push_back(manifest);
    }
}
