//! Container and codec bytes in, 16 kHz mono out, under limits counted while decoding.

use std::time::Duration;

use super::{AudioError, Pcm};

/// What one upload may cost. Counted on what was decoded, never on what headers promise.
#[derive(Clone, Debug)]
pub struct Limits {
    pub max_duration: Duration,
    /// Bytes of 16 kHz mono f32 kept in memory.
    pub max_decoded_bytes: usize,
    pub max_channels: usize,
    /// Wall time that decoding one upload may take.
    pub max_decode_time: Duration,
}

/// The audio of one upload.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub pcm: Pcm,
    /// Set where the container promised more than could be read.
    pub incomplete: Option<crate::transcript::Incomplete>,
}

/// Decodes the first audio track. `bytes` may be any supported container; file names play no part.
pub fn decode(_bytes: bytes::Bytes, _limits: &Limits) -> Result<Decoded, AudioError> {
    Err(AudioError::UnknownFormat)
}
