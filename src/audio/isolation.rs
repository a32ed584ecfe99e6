//! Uploads in, their samples out: decoded in a thread, or in a process of its own that may crash, hang or balloon alone.
//!
//! ```text
//! server --job, upload--> `verbatim decode-worker` --answer--> Pending --room--> samples --> Apart
//!                                                  --answer--> Parts --> Part, Part, ...
//! ```
//!
//! A process decodes one upload and ends. `keeper` holds a few that have started and wait, `child` speaks with one,
//! `worker` is its side, `confine` what it may use, `frame` what is said.

mod child;
#[cfg(target_os = "linux")]
mod confine;
mod frame;
mod keeper;
mod parts;
#[cfg(any(feature = "faults", debug_assertions))]
mod rehearsal;
mod room;
mod worker;

use std::path::Path;

use bytes::Bytes;

use self::child::{Child, Failure, Told};
use self::frame::Job;
use self::keeper::Keeper;
pub use self::parts::{Part, Parts};
pub use self::room::Room;
use self::room::Rooms;
pub use self::worker::run as decode_worker;
use super::decode::{Apart, Limits, decode_channels};
use super::{AudioError, duration_of, kind};
use crate::telemetry::metrics;
use crate::transcript::Channels;

/// Where uploads are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Each in a process of its own, with limits that the system holds it to. Linux only.
    Process,
    /// In a thread of this process.
    Thread,
}

impl Isolation {
    /// What a server should have.
    pub fn safest() -> Self {
        if cfg!(target_os = "linux") { Isolation::Process } else { Isolation::Thread }
    }
}

/// 1 ms of WAV: eight samples of 16 bits at 8 kHz.
const SILENCE: &[u8] =
    b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x10\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Decodes for all requests, and counts what their samples take together.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    rooms: Rooms,
    /// `None`: in this process.
    keeper: Option<Keeper>,
}

impl Decoder {
    /// In this process. `total`: bytes of samples in memory together.
    pub fn in_threads(limits: Limits, total: usize) -> Self {
        Decoder { limits, rooms: Rooms::new(total), keeper: None }
    }

    /// In processes of `program`, which is this one or another build of it. Must be called within a tokio runtime.
    pub fn in_processes(limits: Limits, total: usize, program: &Path) -> std::io::Result<Self> {
        let keeper = Keeper::start(program)?;
        Ok(Decoder { limits, rooms: Rooms::new(total), keeper: Some(keeper) })
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// `decode_channels` without waiting in place. `core` is dropped when no processor is at work on it any more: at
    /// once where a process is and the caller leaves, else at the end.
    pub async fn decode<C: Send + 'static>(
        &self,
        upload: Bytes,
        channels: Channels,
        core: C,
    ) -> Result<Pending, DecodeError> {
        let format = kind(&upload);
        let decoded = match &self.keeper {
            Some(keeper) => self.elsewhere(keeper, upload, channels, core).await,
            None => self.here(upload, channels, core).await,
        };
        let (bytes, held) = counted(format, decoded)?;
        Ok(Pending { bytes, format, rooms: self.rooms.clone(), held })
    }

    /// Decodes a moment of silence, so that what keeps processes from decoding is told before the first caller comes.
    pub async fn check(&self) -> Result<(), DecodeError> {
        self.decode(Bytes::from_static(SILENCE), Channels::Mix, ()).await?.samples().await.map(drop)
    }

    async fn here<C: Send + 'static>(
        &self,
        upload: Bytes,
        channels: Channels,
        core: C,
    ) -> Result<(usize, Held), DecodeError> {
        let limits = self.limits.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the caller: work of a caller that left still takes its core to the end.
            let _core = core;
            decode_channels(upload, &limits, channels)
        });
        let apart = work.await.map_err(DecodeError::internal)??;
        let bytes = apart.channels.iter().map(|pcm| size_of_val(pcm.samples())).sum();
        Ok((bytes, Held::Here(apart)))
    }

    async fn elsewhere<C>(
        &self,
        keeper: &Keeper,
        upload: Bytes,
        channels: Channels,
        core: C,
    ) -> Result<(usize, Held), DecodeError> {
        let size = upload.len();
        let job = Job { limits: self.limits.clone(), channels, upload: size, part: None };
        let child = child_for(keeper, &upload).await?;
        let told = child.decode(job, upload).await;
        drop(core);
        let told = told.map_err(|failure| gave_up(failure, &self.limits, size))?;
        Ok((told.bytes(), Held::Elsewhere(told)))
    }

    /// Waits until there is room for so many samples of a recording of which no more are held at once.
    pub async fn room(&self, samples: usize) -> Room {
        self.rooms.take(samples.saturating_mul(size_of::<f32>()), duration_of(samples)).await
    }
}

async fn child_for(keeper: &Keeper, upload: &Bytes) -> Result<Child, DecodeError> {
    // Not worth a process, and no process could tell it from a server that died.
    if upload.is_empty() {
        return Err(AudioError::Empty.into());
    }
    keeper.child().await.map_err(DecodeError::internal)
}

/// What the caller and the log are told of a process that failed at an upload of `size` bytes.
fn gave_up(failure: Failure, limits: &Limits, size: usize) -> DecodeError {
    if let Failure::Refused(error) = failure {
        return error.into();
    }
    let reason = failure.reason();
    tracing::warn!(reason, upload_bytes = size, "a decoding process was lost: {failure}");
    if let Failure::Internal(detail) = failure {
        return DecodeError::Internal(detail);
    }
    DecodeError::GaveUp { error: failure.told(limits), reason }
}

impl From<Limits> for Decoder {
    /// In threads, with the usual room.
    fn from(limits: Limits) -> Self {
        Decoder::in_threads(limits, super::Settings::default().max_decoded_total_bytes)
    }
}

/// A decoded upload whose samples are not counted yet.
///
/// Its size is known, and so it asks for room once, for all of it, while a process still holds the samples. Whoever has
/// room never asks for more, and so two can never wait for each other.
#[derive(Debug)]
pub struct Pending {
    bytes: usize,
    /// What the upload takes itself for.
    format: &'static str,
    rooms: Rooms,
    held: Held,
}

#[expect(clippy::large_enum_variant, reason = "one an upload, and moved once")]
#[derive(Debug)]
enum Held {
    Here(Apart),
    Elsewhere(Told),
}

impl Pending {
    /// Waits until there is room for the samples.
    pub async fn room(&self) -> Room {
        let length = duration_of(self.bytes / size_of::<f32>());
        self.rooms.take(self.bytes, length).await
    }

    pub async fn samples(self) -> Result<Apart, DecodeError> {
        match self.held {
            Held::Here(apart) => Ok(apart),
            Held::Elsewhere(told) => told.samples().await.map_err(|failure| {
                let reason = failure.reason();
                count_failure(self.format, reason);
                tracing::warn!(reason, "a decoding process was lost while it gave its samples: {failure}");
                DecodeError::GaveUp { error: AudioError::GaveUp(failure.to_string()), reason }
            }),
        }
    }
}

fn counted<T>(format: &'static str, done: Result<T, DecodeError>) -> Result<T, DecodeError> {
    done.inspect_err(|error| count_failure(format, error.reason()))
}

fn count_failure(format: &'static str, reason: &'static str) {
    metrics::DECODE_FAILURES.add(1, &[("format", format), ("reason", reason)]);
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The process ended without an answer. `reason`: what the metrics call it.
    #[error("{error}")]
    GaveUp { error: AudioError, reason: &'static str },
    /// No process could be started, or a thread of ours panicked.
    #[error("{0}")]
    Internal(String),
}

impl DecodeError {
    fn internal(error: impl std::fmt::Display) -> Self {
        DecodeError::Internal(error.to_string())
    }

    fn reason(&self) -> &'static str {
        match self {
            DecodeError::Audio(error) => error.reason(),
            DecodeError::GaveUp { reason, .. } => reason,
            DecodeError::Internal(_) => "internal",
        }
    }
}
