//! A chunk's bytes in; the take with its audio in the right place, on the disk where sessions are kept, out.

use std::time::{Duration, Instant};

use super::asked::{Chunk, Chunking, Container};
use super::folder::{KeptChunk, Stored};
use super::session::{Session, State};
use super::settings::Settings;
use super::store::on_disk;
use crate::audio::{self, AudioError};
use crate::http::digest::Digest;
use crate::http::error::{ApiError, Next};
use crate::live::take::{Content, Offer, Piece, Refusal, Take};
use crate::transcriber::{TranscribeError, Transcriber};
use crate::transcript::Incomplete;
use bytes::Bytes;

/// What became of a chunk.
#[derive(Debug)]
pub struct Taken {
    pub duplicate: bool,
    /// Audio that was not here before.
    pub audio: Duration,
    pub decode: Duration,
    /// Its own audio ended early.
    pub incomplete: Option<Incomplete>,
}

/// The chunk is part of the take when this returns, and was before; or it is refused and nothing has changed.
pub async fn take_in(
    transcriber: &Transcriber,
    settings: &Settings,
    session: &Session,
    chunk: Chunk,
    bytes: Bytes,
) -> Result<Taken, ApiError> {
    let _intake = session.intake.lock().await;
    let started = Instant::now();
    let digest = Digest::of(&bytes).bytes();
    {
        let state = session.state();
        match state.take.offer(chunk.seq, &digest) {
            Ok(Offer::Duplicate) => {
                return Ok(Taken {
                    duplicate: true,
                    audio: Duration::ZERO,
                    decode: Duration::ZERO,
                    incomplete: None,
                });
            }
            Ok(Offer::New) => {}
            Err(refusal) => return Err(refused(&refusal, &state.take)),
        }
        if state.live.finished.is_some() {
            let message = format!("the session '{}' is finished; open another one", session.id);
            return Err(ApiError::Conflict { code: "session_finished", message, next: None });
        }
        let container = chunk.chunking.container;
        if let Some(other) =
            state.container.filter(|other| (*other == Container::Stream) != (container == Container::Stream))
        {
            let message =
                format!("'format' cannot be {container:?} here: the session's chunks are {other:?}");
            return Err(ApiError::param("format", message.to_lowercase()));
        }
    }
    let kept = KeptChunk { seq: chunk.seq, chunking: chunk.chunking, bytes };
    let (piece, incomplete) = piece(transcriber, &kept).await?;
    let more = piece.content.bytes();
    session.room_for(more)?;
    let before = session.state().take.samples().len();
    let (grown, added) = match &piece.content {
        Content::Samples(samples) => {
            check_length((before + samples.len()) / audio::SAMPLE_RATE, settings)?;
            (None, samples.len())
        }
        // What a piece adds can only be told with all that comes before it.
        Content::Bytes(bytes) => {
            let grown = grown(transcriber, session, chunk.seq, bytes).await?;
            let added = grown.as_ref().map_or(0, |samples| samples.len().saturating_sub(before));
            (grown, added)
        }
    };
    if let Some(samples) = &grown {
        check_length(samples.len() / audio::SAMPLE_RATE, settings)?;
        session.room_for(more + size_of_val(&samples[..]))?;
    }
    if let Some(folder) = session.folder.clone() {
        on_disk(move || folder.keep_chunk(&kept)).await?;
    }
    {
        let mut state = session.state();
        state.container = Some(chunk.chunking.container);
        state.take.put(chunk.seq, digest, piece);
        if let Some(samples) = grown {
            state.take.decoded(samples);
        }
    }
    session.recount();
    let audio = audio::duration_of(added);
    Ok(Taken { duplicate: false, audio, decode: started.elapsed(), incomplete })
}

/// A session as it was kept, chunk by chunk.
pub async fn replay(transcriber: &Transcriber, state: &mut State, stored: Stored) -> Result<(), ApiError> {
    for chunk in &stored.chunks {
        let (piece, _) = piece(transcriber, chunk).await?;
        state.container = Some(chunk.chunking.container);
        state.take.put(chunk.seq, Digest::of(&chunk.bytes).bytes(), piece);
    }
    if !state.take.stream().is_empty() {
        let samples = heard_so_far(transcriber, state.take.stream().to_vec()).await?;
        state.take.decoded(samples);
    }
    state.live = stored.live;
    Ok(())
}

/// What bytes that grow sound like so far. The beginning of a file may hold no audio yet.
pub async fn heard_so_far(transcriber: &Transcriber, bytes: Vec<u8>) -> Result<Vec<f32>, ApiError> {
    match transcriber.decode(bytes.into()).await {
        Ok(decoded) => Ok(decoded.pcm.into_samples()),
        Err(TranscribeError::Audio(AudioError::TooLarge { what, setting })) => {
            Err(TranscribeError::Audio(AudioError::TooLarge { what, setting }).into())
        }
        Err(TranscribeError::Audio(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The audio of the file with the chunk, where that is the next one.
async fn grown(
    transcriber: &Transcriber,
    session: &Session,
    seq: u64,
    bytes: &[u8],
) -> Result<Option<Vec<f32>>, ApiError> {
    let file = {
        let state = session.state();
        if seq != state.take.next() {
            return Ok(None);
        }
        state.take.followed_by(bytes)
    };
    heard_so_far(transcriber, file).await.map(Some)
}

async fn piece(
    transcriber: &Transcriber,
    chunk: &KeptChunk,
) -> Result<(Piece, Option<Incomplete>), ApiError> {
    let Chunking { container, rate, overlap } = chunk.chunking;
    let bytes = match container {
        Container::File => chunk.bytes.clone(),
        Container::S16le => wave(&chunk.bytes, rate)?,
        Container::Stream if chunk.bytes.is_empty() => {
            return Err(TranscribeError::Audio(AudioError::Empty).into());
        }
        Container::Stream => {
            return Ok((Piece { content: Content::Bytes(chunk.bytes.to_vec()), overlap: 0 }, None));
        }
    };
    let decoded = transcriber.decode(bytes).await?;
    let content = Content::Samples(decoded.pcm.into_samples());
    Ok((Piece { content, overlap: audio::samples_in(overlap) }, decoded.incomplete))
}

/// Bare samples with the header that says what they are.
fn wave(samples: &Bytes, rate: u32) -> Result<Bytes, ApiError> {
    if samples.is_empty() {
        return Err(TranscribeError::Audio(AudioError::Empty).into());
    }
    if samples.len() % 2 == 1 {
        let message = "the chunk has an odd number of bytes: samples of s16le have two each";
        return Err(ApiError::param("file", message));
    }
    let length = u32::try_from(samples.len()).map_err(|_| ApiError::BodyTooLarge {
        limit: u64::from(u32::MAX),
        setting: "server.max_body_bytes",
    })?;
    let mut wave = Vec::with_capacity(44 + samples.len());
    wave.extend(b"RIFF");
    wave.extend(length.saturating_add(36).to_le_bytes());
    wave.extend(b"WAVEfmt ");
    wave.extend(16_u32.to_le_bytes());
    wave.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    wave.extend([rate, rate * 2].map(u32::to_le_bytes).concat());
    wave.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    wave.extend(b"data");
    wave.extend(length.to_le_bytes());
    wave.extend_from_slice(samples);
    Ok(wave.into())
}

fn check_length(seconds: usize, settings: &Settings) -> Result<(), ApiError> {
    match seconds as u64 > settings.max_seconds {
        true => Err(ApiError::SessionTooLong { limit: settings.max_seconds }),
        false => Ok(()),
    }
}

fn refused(refusal: &Refusal, take: &Take) -> ApiError {
    let code = match refusal {
        Refusal::Conflict { .. } => "chunk_conflict",
        Refusal::TooFar { .. } => "chunk_too_far_ahead",
    };
    ApiError::Conflict { code, message: refusal.to_string(), next: Some(Next::of(take)) }
}
