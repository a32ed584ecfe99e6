//! Jobs, answers and samples in, bytes on a pipe out, and back.
//!
//! A head is its length in four bytes and JSON; the upload follows a job, the samples of each channel an answer.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::audio::decode::{Apart, Limits};
use crate::audio::{AudioError, Pcm};
use crate::transcript::{Channels, Incomplete};

/// Heads are a few hundred bytes; an `Incomplete` holds a sentence.
const LONGEST_HEAD: u32 = 64 << 10;
/// Bytes of samples on their way at once.
const CHUNK: usize = 256 << 10;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Job {
    pub limits: Limits,
    pub channels: Channels,
    /// Bytes that follow.
    pub upload: usize,
    /// Samples of a part, where they are to be answered as they come; `None`: all at the end.
    pub part: Option<usize>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Answer {
    /// `channels` times `samples` numbers follow.
    Decoded {
        channels: usize,
        samples: usize,
        incomplete: Option<Incomplete>,
    },
    /// So many numbers follow, and after them another answer.
    Part {
        samples: usize,
        expected: Option<Duration>,
    },
    /// After all parts.
    End {
        incomplete: Option<Incomplete>,
    },
    Refused(Refusal),
}

/// An `AudioError` on its way.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Refusal {
    Empty,
    UnknownFormat,
    Unsupported(String),
    Damaged(String),
    GaveUp(String),
    TooLarge { what: String, setting: String },
}

/// Every limit that a decoder may name.
const SETTINGS: [&str; 4] = [
    "audio.max_duration_seconds",
    "audio.max_decoded_bytes",
    "audio.max_channels",
    "audio.max_decode_seconds",
];

impl From<AudioError> for Refusal {
    fn from(error: AudioError) -> Self {
        match error {
            AudioError::Empty => Refusal::Empty,
            AudioError::UnknownFormat => Refusal::UnknownFormat,
            AudioError::Unsupported(why) => Refusal::Unsupported(why),
            AudioError::Damaged(why) => Refusal::Damaged(why),
            AudioError::GaveUp(why) => Refusal::GaveUp(why),
            AudioError::TooLarge { what, setting } => Refusal::TooLarge { what, setting: setting.to_owned() },
        }
    }
}

impl Refusal {
    /// # Errors
    /// `InvalidData` for a limit that there is not.
    pub fn into_error(self) -> io::Result<AudioError> {
        Ok(match self {
            Refusal::Empty => AudioError::Empty,
            Refusal::UnknownFormat => AudioError::UnknownFormat,
            Refusal::Unsupported(why) => AudioError::Unsupported(why),
            Refusal::Damaged(why) => AudioError::Damaged(why),
            Refusal::GaveUp(why) => AudioError::GaveUp(why),
            Refusal::TooLarge { what, setting } => {
                let known = SETTINGS.into_iter().find(|known| *known == setting);
                AudioError::TooLarge { what, setting: known.ok_or(io::ErrorKind::InvalidData)? }
            }
        })
    }
}

pub(super) fn write_head(to: &mut impl Write, head: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(head)?;
    let length = u32::try_from(json.len()).ok().filter(|length| *length <= LONGEST_HEAD);
    to.write_all(&length.ok_or(io::ErrorKind::InvalidData)?.to_le_bytes())?;
    to.write_all(&json)
}

pub(super) fn read_head<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_HEAD {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; length as usize];
    from.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

pub(super) fn write_answer(to: &mut impl Write, decoded: Result<Apart, AudioError>) -> io::Result<()> {
    let apart = match decoded {
        Ok(apart) => apart,
        Err(error) => return write_head(to, &Answer::Refused(error.into())),
    };
    let samples = apart.channels.first().map_or(0, |pcm| pcm.samples().len());
    let (channels, incomplete) = (apart.channels.len(), apart.incomplete);
    write_head(to, &Answer::Decoded { channels, samples, incomplete })?;
    apart.channels.iter().try_for_each(|pcm| write_pcm(to, pcm))
}

pub(super) fn write_part(to: &mut impl Write, pcm: &Pcm, expected: Option<Duration>) -> io::Result<()> {
    write_head(to, &Answer::Part { samples: pcm.samples().len(), expected })?;
    write_pcm(to, pcm)
}

fn write_pcm(to: &mut impl Write, pcm: &Pcm) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK);
    for some in pcm.samples().chunks(CHUNK / size_of::<f32>()) {
        bytes.clear();
        bytes.extend(some.iter().flat_map(|sample| sample.to_le_bytes()));
        to.write_all(&bytes)?;
    }
    Ok(())
}

/// The samples of one channel.
pub(super) fn read_pcm(from: &mut impl Read, count: usize) -> io::Result<Pcm> {
    let mut samples = Vec::with_capacity(count);
    let mut bytes = vec![0; CHUNK.min(count * size_of::<f32>())];
    while samples.len() < count {
        let some = bytes.len().min((count - samples.len()) * size_of::<f32>());
        from.read_exact(&mut bytes[..some])?;
        samples.extend(bytes[..some].as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)));
    }
    Ok(Pcm::from_16k_mono(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_a_pipe(decoded: Result<Apart, AudioError>) -> Result<Apart, AudioError> {
        let mut bytes = Vec::new();
        write_answer(&mut bytes, decoded).unwrap();
        let mut rest = &bytes[..];
        match read_head(&mut rest).unwrap() {
            Answer::Refused(refusal) => Err(refusal.into_error().unwrap()),
            Answer::Decoded { channels, samples, incomplete } => {
                let channels = (0..channels).map(|_| read_pcm(&mut rest, samples).unwrap()).collect();
                assert!(rest.is_empty());
                Ok(Apart { channels, incomplete })
            }
            Answer::Part { .. } | Answer::End { .. } => panic!("nobody asked for parts"),
        }
    }

    #[test]
    fn samples_arrive_to_the_bit_whatever_their_number() {
        for count in [1, 65_535, 65_536, 65_537, 200_000] {
            let pcm = |offset: usize| {
                Pcm::from_16k_mono((0..count).map(|i| ((i + offset) as f32 * 0.01).sin()).collect())
            };
            let incomplete = Incomplete {
                at: Duration::from_nanos(1_234_567_891),
                expected: Some(Duration::from_secs(3)),
                reason: "it ends".to_owned(),
            };
            let sent = Apart { channels: vec![pcm(0), pcm(7)], incomplete: Some(incomplete) };
            let got = through_a_pipe(Ok(sent.clone())).unwrap();
            assert_eq!((got.channels, got.incomplete), (sent.channels, sent.incomplete));
        }
    }

    #[test]
    fn every_error_arrives_as_it_was() {
        let why = || "because".to_owned();
        let sized = |setting| AudioError::TooLarge { what: why(), setting };
        let plain = [AudioError::Empty, AudioError::UnknownFormat, AudioError::Unsupported(why())];
        let others = [AudioError::Damaged(why()), AudioError::GaveUp(why())];
        for error in plain.into_iter().chain(others).chain(SETTINGS.map(sized)) {
            let text = format!("{error:?}");
            assert_eq!(format!("{:?}", through_a_pipe(Err(error)).unwrap_err()), text);
        }
    }

    #[test]
    fn nonsense_on_the_pipe_is_an_error() {
        assert!(read_head::<Answer>(&mut &b"\xff\xff\xff\xff{}"[..]).is_err());
        assert!(read_head::<Answer>(&mut &b"\x02\0\0\0{}"[..]).is_err());
        assert!(read_head::<Answer>(&mut &b"\x09"[..]).is_err());
        assert!(read_pcm(&mut &[0; 7][..], 2).is_err());
        let refusal = Refusal::TooLarge { what: String::new(), setting: "audio.fun".to_owned() };
        assert!(refusal.into_error().is_err());
    }
}
