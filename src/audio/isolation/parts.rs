//! An upload in, its samples part by part out, no faster than they are asked for.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::child::{Next, Telling};
use super::frame::Job;
use super::keeper::Keeper;
use super::{DecodeError, Decoder, child_for, counted, gave_up};
use crate::audio::decode::{Limits, Taker, decode_in_parts};
use crate::audio::{AudioError, Pcm, SAMPLE_RATE, kind};
use crate::transcript::{Channels, Incomplete};

/// Samples of a part: half a minute, two megabytes.
const PART: usize = 30 * SAMPLE_RATE;

/// Some of a recording, in one channel.
#[derive(Debug)]
pub struct Part {
    pub pcm: Pcm,
    /// How much audio there will be in all, where its container says so.
    pub expected: Option<Duration>,
}

/// A recording that is being decoded. Dropping it ends that.
#[derive(Debug)]
pub struct Parts {
    from: From,
    limits: Limits,
    /// What the upload takes itself for, and its bytes.
    format: &'static str,
    size: usize,
    incomplete: Option<Incomplete>,
}

#[derive(Debug)]
enum From {
    Here(mpsc::Receiver<Result<Told, AudioError>>),
    Elsewhere(Box<Telling>),
    /// All was told.
    Done,
}

#[derive(Debug)]
enum Told {
    Part(Part),
    End(Option<Incomplete>),
}

impl Decoder {
    /// `decode` with all channels mixed into one, part by part. Who asks for a part should hold a core.
    pub async fn parts(&self, upload: Bytes) -> Result<Parts, DecodeError> {
        let (format, size, limits) = (kind(&upload), upload.len(), self.limits.clone());
        let from = match &self.keeper {
            Some(keeper) => counted(format, elsewhere(keeper, upload, &limits).await)?,
            None => From::Here(here(upload, limits.clone())),
        };
        Ok(Parts { from, limits, format, size, incomplete: None })
    }
}

async fn elsewhere(keeper: &Keeper, upload: Bytes, limits: &Limits) -> Result<From, DecodeError> {
    let size = upload.len();
    let job = Job { limits: limits.clone(), channels: Channels::Mix, upload: size, part: Some(PART) };
    let telling = child_for(keeper, &upload).await?.begin(job, upload).await;
    let telling = telling.map_err(|failure| gave_up(failure, limits, size))?;
    Ok(From::Elsewhere(Box::new(telling)))
}

/// In a thread that waits whenever one part is told and another is there.
fn here(upload: Bytes, limits: Limits) -> mpsc::Receiver<Result<Told, AudioError>> {
    let (tell, told) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut take = |pcm, expected| tell.blocking_send(Ok(Told::Part(Part { pcm, expected }))).is_ok();
        let decoded = decode_in_parts(upload, &limits, Taker { part: PART, take: &mut take });
        // Whoever asked may have left.
        let _ = tell.blocking_send(decoded.map(Told::End));
    });
    told
}

impl Parts {
    /// `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Part>, DecodeError> {
        let told = match &mut self.from {
            From::Done => return Ok(None),
            From::Here(told) => match told.recv().await {
                Some(told) => told.map_err(DecodeError::from),
                None => Err(DecodeError::Internal("the decoder panicked".to_owned())),
            },
            From::Elsewhere(telling) => match telling.next().await {
                Ok(Next::Part(pcm, expected)) => Ok(Told::Part(Part { pcm, expected })),
                Ok(Next::End(incomplete)) => Ok(Told::End(incomplete)),
                Err(failure) => Err(gave_up(failure, &self.limits, self.size)),
            },
        };
        match told {
            Ok(Told::Part(part)) => Ok(Some(part)),
            Ok(Told::End(incomplete)) => {
                (self.from, self.incomplete) = (From::Done, incomplete);
                Ok(None)
            }
            Err(error) => {
                self.from = From::Done;
                counted(self.format, Err(error))
            }
        }
    }

    /// Set after the last part where the container promised more than could be read.
    pub fn incomplete(&self) -> Option<&Incomplete> {
        self.incomplete.as_ref()
    }
}
