//! What a caller sends in, samples out: files decoded, bare samples read, each within its limits and its room.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::audio::{self, Apart, Decoded, Pcm, Room};
use crate::engine::Class;
use crate::transcript::Channels;

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

/// A sound as samples.
#[derive(Debug)]
pub(super) struct Samples {
    pub apart: Apart,
    /// For what was decoded here.
    pub room: Option<Room>,
    pub time: Duration,
}

impl Transcriber {
    /// An upload as audio, all channels mixed, and nothing more.
    pub async fn decode(&self, upload: Bytes) -> Result<Decoded, TranscribeError> {
        let class = if upload.len() <= SMALL { Class::Interactive } else { Class::Batch };
        let Apart { mut channels, incomplete } = self.decoded(upload, Channels::Mix, class).await?.apart;
        Ok(Decoded { pcm: channels.swap_remove(0), incomplete })
    }

    pub(super) async fn samples(
        &self,
        sound: Sound,
        channels: Channels,
        class: Class,
    ) -> Result<Samples, TranscribeError> {
        let started = Instant::now();
        let pcm = match sound {
            Sound::Upload(upload) => return self.decoded(upload, channels, class).await,
            Sound::Raw(samples) => {
                let limits = self.decoder.limits().clone();
                self.on_cpu(class, move || audio::decode_raw(&samples, &limits)).await??
            }
            Sound::Pcm(pcm) => pcm,
        };
        let apart = Apart { channels: vec![pcm], incomplete: None };
        Ok(Samples { apart, room: None, time: started.elapsed() })
    }

    /// The upload decoded, once there is room for its samples.
    async fn decoded(
        &self,
        upload: Bytes,
        channels: Channels,
        class: Class,
    ) -> Result<Samples, TranscribeError> {
        // First a place among those that decode, then a core or room. Who holds room asks for cores alone, and who holds
        // a core waits for nothing, so that nobody waits in a circle.
        let _place = self.decoding.take(class).await?;
        let core = self.cpu.take(class).await?;
        let started = Instant::now();
        let pending = self.decoder.decode(upload, channels, core).await?;
        let decoded = started.elapsed();
        let room = pending.room().await;
        let started = Instant::now();
        let apart = pending.samples().await?;
        Ok(Samples { apart, room: Some(room), time: decoded + started.elapsed() })
    }
}
