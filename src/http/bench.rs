//! Work for a processor in, its result out: off the threads that serve sockets, and no more at once than there are processors.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::ApiError;

#[derive(Clone, Debug)]
pub struct Bench(Arc<Semaphore>);

impl Default for Bench {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Bench(Arc::new(Semaphore::new(processors)))
    }
}

impl Bench {
    /// Begun work is finished even where nobody waits for it any more; work that waits for its turn is not begun.
    pub async fn work<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    {
        let turn = self.0.clone().acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| ApiError::Internal(format!("work ended early: {error}")))?
    }
}
