//! What a caller sends in, samples out: files decoded, bare samples read, each within its limits and its room.

use std::time::Duration;

use bytes::Bytes;

use crate::audio::{self, Apart, Decoded, Part, Parts, Pcm, Room};
use crate::engine::Class;
use crate::transcript::{Channels, Incomplete};

use super::{SMALL, TranscribeError, Transcriber};

/// What is to be transcribed.
#[derive(Clone, Debug)]
pub enum Sound {
    /// A file of any supported container.
    Upload(Bytes),
    /// Bare samples: s16le, 16 kHz, mono.
    Raw(Bytes),
    /// Audio already.
    Pcm(Pcm),
}

impl From<Bytes> for Sound {
    fn from(upload: Bytes) -> Sound {
        Sound::Upload(upload)
    }
}

impl Sound {
    /// By size alone where it is not decoded yet: how long it is can only be told afterwards, how long decoding takes from this.
    pub(super) fn is_short(&self, interactive: Duration) -> bool {
        match self {
            Sound::Upload(upload) | Sound::Raw(upload) => upload.len() <= SMALL,
            Sound::Pcm(pcm) => pcm.duration() <= interactive,
        }
    }
}

/// Where the samples of a recording come from.
#[derive(Debug)]
pub(super) enum Source {
    Parts(Box<Parts>),
    /// All of it, and how much was read.
    Held(Pcm, usize),
    /// All of it, channel by channel, to be taken at once.
    Apart(Vec<Pcm>),
    /// All was read.
    Ended,
}

impl Source {
    /// Some more, `most` samples or a decoder's part; `None` at the end.
    pub async fn next(&mut self, most: usize) -> Result<Option<Part>, TranscribeError> {
        match self {
            Source::Parts(parts) => Ok(parts.next().await?),
            Source::Held(pcm, read) => {
                let all = pcm.samples();
                let some = &all[*read..all.len().min(read.saturating_add(most))];
                let part = Part { pcm: Pcm::from_16k_mono(some.to_vec()), expected: Some(pcm.duration()) };
                *read += some.len();
                Ok((!part.pcm.samples().is_empty()).then_some(part))
            }
            Source::Apart(_) | Source::Ended => Ok(None),
        }
    }

    /// Forgets where it came from; what was missing.
    pub fn end(&mut self) -> Option<Incomplete> {
        let incomplete = match self {
            Source::Parts(parts) => parts.incomplete().cloned(),
            _ => None,
        };
        *self = Source::Ended;
        incomplete
    }
}

impl Transcriber {
    /// An upload as audio, all channels mixed, and nothing more.
    pub async fn decode(&self, upload: Bytes) -> Result<Decoded, TranscribeError> {
        let class = if upload.len() <= SMALL { Class::Interactive } else { Class::Batch };
        let (Apart { mut channels, incomplete }, _room) = self.decoded(upload, Channels::Mix, class).await?;
        Ok(Decoded { pcm: channels.swap_remove(0), incomplete })
    }

    pub(super) async fn raw(&self, samples: Bytes, class: Class) -> Result<Pcm, TranscribeError> {
        let limits = self.decoder.limits().clone();
        Ok(self.on_cpu(class, move || audio::decode_raw(&samples, &limits)).await??)
    }

    /// The upload decoded, once there is room for its samples.
    pub(super) async fn decoded(
        &self,
        upload: Bytes,
        channels: Channels,
        class: Class,
    ) -> Result<(Apart, Room), TranscribeError> {
        // First a place among those that decode, then a core or room. Who holds room asks for cores alone, and who holds
        // a core waits for nothing, so that nobody waits in a circle.
        let _place = self.decoding.take(class).await?;
        let core = self.cpu.take(class).await?;
        let pending = self.decoder.decode(upload, channels, core).await?;
        let room = pending.room().await;
        Ok((pending.samples().await?, room))
    }
}
