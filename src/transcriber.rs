//! The use case, top to bottom: the bytes of an upload in, a `Transcript` out. Read this first.

use bytes::Bytes;

use crate::audio::AudioError;
use crate::engine::{Engine, EngineError, Load};
use crate::model::ModelInfo;
use crate::transcript::{Options, Transcript};

#[derive(Debug)]
pub struct Transcriber {
    engine: Engine,
    model: ModelInfo,
}

impl Transcriber {
    pub async fn transcribe(&self, _upload: Bytes, _options: &Options) -> Result<Transcript, TranscribeError> {
        Err(TranscribeError::Engine(EngineError::Closed))
    }

    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    pub fn load(&self) -> Load {
        self.engine.load()
    }
}

/// Why an upload gives no transcript.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The loaded model cannot do what `param` asks for; the text says why.
    #[error("{message}")]
    Options { param: &'static str, message: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A bug of ours: a panic in a worker of the CPU pool, say. Details are in the log.
    #[error("internal error")]
    Internal(String),
}
