//! Container and codec bytes in, 16 kHz mono out, under limits counted while decoding.

mod aac;
mod ahead;
mod boxes;
mod clock;
mod edits;
mod entry;
mod foreign;
mod heard;
mod mend;
mod mix;
mod opus;
mod promise;
mod source;
mod track;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_MKV, FORMAT_ID_WAVE};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use self::clock::Clock;
pub(super) use self::clock::took_too_long;
use self::heard::Heard;
pub use self::heard::Taker;
use self::mend::Extent;
use self::promise::Promise;
use self::source::Source;
use self::track::{Track, is_mpeg};
use super::{AudioError, FORMATS, Pcm};
use crate::transcript::{Channels, Incomplete};

/// What one upload may cost. Counted on what was decoded, never on what headers promise.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Limits {
    pub max_duration: Duration,
    /// Bytes of 16 kHz mono f32 kept in memory.
    pub max_decoded_bytes: usize,
    /// At most 32 whatever stands here.
    pub max_channels: usize,
    /// Wall time that decoding one upload may take.
    pub max_decode_time: Duration,
}

/// The audio of one upload, in one channel.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub pcm: Pcm,
    /// Set where the container promised more than could be read.
    pub incomplete: Option<Incomplete>,
}

/// The audio of one upload, channel by channel.
#[derive(Clone, Debug)]
pub struct Apart {
    /// All of one length; at least one.
    pub channels: Vec<Pcm>,
    /// As in `Decoded`.
    pub incomplete: Option<Incomplete>,
}

/// `decode_channels` with all channels mixed into one.
pub fn decode(bytes: Bytes, limits: &Limits) -> Result<Decoded, AudioError> {
    let Apart { mut channels, incomplete } = decode_channels(bytes, limits, Channels::Mix)?;
    Ok(Decoded { pcm: channels.swap_remove(0), incomplete })
}

/// Decodes the first audio track. `bytes` may be any supported container; file names play no part.
///
/// Samples come out in -1..=1. What is no number in a float format is silence; the encoder's delay and padding are cut
/// off where the container tells them (all but ADTS, MP3 without a LAME header, and padding in MP4 and Matroska). Memory
/// holds the upload, the 16 kHz mono result and one packet.
///
/// # Errors
/// `Empty`, `UnknownFormat` and `Unsupported` for what is no audio of ours, `Damaged` where no packet could be decoded,
/// `TooLarge` where a limit was passed. A file that is damaged further on is no error: it is `incomplete`.
pub fn decode_channels(bytes: Bytes, limits: &Limits, channels: Channels) -> Result<Apart, AudioError> {
    let mut heard = Heard::new(limits, channels);
    let incomplete = hear(bytes, limits, &mut heard)?;
    Ok(Apart { channels: heard.into_pcm(), incomplete })
}

/// `decode` for whoever takes the samples as they come. Memory holds the upload and what `taker` takes at once.
///
/// # Errors
/// As `decode_channels`, maybe after samples were given; `GaveUp` where the taker wants no more.
pub fn decode_in_parts<'a>(
    bytes: Bytes,
    limits: &'a Limits,
    taker: Taker<'a>,
) -> Result<Option<Incomplete>, AudioError> {
    let mut heard = Heard::new(limits, Channels::Mix);
    heard.give_to(taker);
    let incomplete = hear(bytes, limits, &mut heard)?;
    heard.hand_on_all()?;
    Ok(incomplete)
}

/// Reads all of an upload; what is missing of it out.
fn hear(bytes: Bytes, limits: &Limits, heard: &mut Heard<'_>) -> Result<Option<Incomplete>, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty);
    }
    let refused = |name: &str| {
        AudioError::Unsupported(format!(
            "the upload is {name}, which cannot be read; supported are {FORMATS}"
        ))
    };
    if let Some(name) = foreign::name(&bytes) {
        return Err(refused(name));
    }
    let guess = foreign::guess(&bytes);
    hear_known(bytes, limits, heard).map_err(|error| match (&error, guess) {
        (AudioError::TooLarge { .. }, _) | (_, None) => error,
        (_, Some(name)) => refused(name),
    })
}

/// `hear`, without names for what is foreign.
fn hear_known(
    bytes: Bytes,
    limits: &Limits,
    heard: &mut Heard<'_>,
) -> Result<Option<Incomplete>, AudioError> {
    // symphonia has panicked on forged files before (CHANGELOG of 0.6.0 and 0.6.1). `heard` only ever grows by whole
    // packets, so what it holds after a panic is sound.
    let ending = catch_unwind(AssertUnwindSafe(|| read(bytes, limits, heard))).unwrap_or_else(|_| {
        heard.flush(0)?;
        Ok(Ending {
            reached: heard.now(),
            promise: Promise::default(),
            fault: Some("is malformed".to_owned()),
        })
    })?;
    if heard.decoded == 0 || heard.is_empty() {
        return Err(match (ending.fault, heard.lost) {
            (Some(fault), _) => AudioError::Damaged(format!("it {fault}")),
            (None, 0) if heard.decoded > 0 || ending.promise.length.is_none() => {
                AudioError::Unsupported("the file is well-formed but holds no audio samples".to_owned())
            }
            (None, 0) => AudioError::Damaged("it ends where its audio should begin".to_owned()),
            (None, lost) => AudioError::Damaged(format!("none of its {lost} packets is valid")),
        });
    }
    Ok(shortfall(heard, &ending))
}

/// How reading came to its end.
struct Ending {
    /// The time reached, by the clock that the promise is counted by.
    reached: Duration,
    promise: Promise,
    /// What went wrong in the container, as the end of a sentence about the file.
    fault: Option<String>,
}

/// Reads packet by packet to the end, or to where it goes no further.
fn read(bytes: Bytes, limits: &Limits, heard: &mut Heard<'_>) -> Result<Ending, AudioError> {
    if boxes::announces_too_much(&bytes) {
        return Err(AudioError::Damaged("its fragments announce more samples than it has bytes".to_owned()));
    }
    let clock = Clock::start(limits.max_decode_time);
    let source = Source::new(bytes.clone(), clock.clone());
    let extent = source.extent();
    let probed = probe(source);
    clock.check()?;
    let mut reader = probed.map_err(unreadable)?;
    let mut track = Track::open(reader.as_ref(), &bytes, limits)?;
    let promise = Promise::of(reader.as_ref(), track.id, &bytes, extent, track.told_delay());
    let format = reader.format_info().format;
    heard.expect(promise.length);
    ahead::check(&bytes, format, track.id, &clock, heard)?;

    let mut reached = Duration::ZERO;
    let mut framed = 0;
    let mut last: Box<[u8]> = Box::default();
    let fault = loop {
        let next = reader.next_packet();
        clock.check()?;
        match next {
            Ok(Some(packet)) => {
                let before = heard.now();
                if packet.track_id == track.id {
                    framed += packet.data.len();
                    track.decode(&packet, heard)?;
                }
                if promise.by_clock {
                    reached = reached.max(track.start_of(&packet) + (heard.now() - before));
                }
                last = packet.data;
                clock.pause(|| heard.hand_on())?;
            }
            Ok(None) => break None,
            // A chained Ogg file: another stream begins, maybe of another rate.
            Err(Error::ResetRequired) => match Track::open(reader.as_ref(), &bytes, limits) {
                Ok(next) => std::mem::replace(&mut track, next).finish(heard)?,
                Err(_) => break Some("goes on with something that cannot be decoded".to_owned()),
            },
            // WAV ends where the bytes end; whether that is too early, the promise tells.
            Err(Error::IoError(_)) if format == FORMAT_ID_WAVE => break None,
            // So does a live recording in Matroska, whose clusters have no size.
            Err(Error::IoError(_)) if format == FORMAT_ID_MKV && ends_with(&bytes, &last) => break None,
            Err(Error::IoError(_)) => break Some("ends in the middle of its audio".to_owned()),
            Err(error) => break Some(format!("cannot be read further ({})", without_crate(&error))),
        }
    };
    let cut_off = match heard.decoded {
        0 => "was cut off before its audio or its index",
        _ => "was cut off; its audio ends",
    };
    let fault = fault.or((extent == Extent::CutOff).then(|| cut_off.to_owned()));
    track.finish(heard)?;
    // MPEG audio and ADTS have no header of their own: frames are found by two bytes that turn up in anything, a picture or
    // an archive too. There they make up a small part; in audio they are nearly the whole.
    if (is_mpeg(format) || format == FORMAT_ID_ADTS) && framed < (bytes.len() - promise::tags(&bytes)) / 2 {
        return Err(AudioError::UnknownFormat);
    }
    let reached = if promise.by_clock { reached } else { heard.now() };
    Ok(Ending { reached, promise, fault })
}

/// The container's reader, by the bytes alone.
fn probe(source: Source) -> Result<Box<dyn FormatReader>, Error> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let (container, tags) = (FormatOptions::default(), MetadataOptions::default());
    symphonia::default::get_probe().probe(&Hint::new(), stream, container, tags)
}

/// Whether nothing but a few bytes of padding and the like follows the last packet.
fn ends_with(file: &[u8], packet: &[u8]) -> bool {
    let tail = &file[file.len().saturating_sub(packet.len() + 32)..];
    !packet.is_empty() && tail.windows(packet.len()).any(|window| window == packet)
}

/// What is missing of the file, in one sentence, or `None` where all of it was heard.
fn shortfall(heard: &Heard<'_>, ending: &Ending) -> Option<Incomplete> {
    let expected = ending.promise.length;
    let end = heard.now();
    let broken = ending.promise.broken_by(ending.reached);
    // Behind audio that is as long as announced anything may follow: tags, padding, a cut-off index.
    let whole = ending.promise.kept_by(ending.reached);
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (at, reason) = match (&ending.fault, heard.first_lost) {
        (Some(fault), _) if !whole => (end, format!("the file {fault} at {}", seconds(end))),
        (_, _) if broken => {
            let announced =
                expected.map_or_else(String::new, |length| format!(", it announces {}", seconds(length)));
            (end, format!("the file ends at {}{announced}", seconds(end)))
        }
        (_, Some(first)) => {
            let (lost, its) = match heard.lost {
                1 => ("1 packet".to_owned(), "its"),
                lost => (format!("{lost} packets"), "their"),
            };
            let from = seconds(first);
            let reason = format!("{lost} from {from} on could not be decoded; silence stands in {its} place");
            (first, reason)
        }
        _ => return None,
    };
    Some(Incomplete { at, expected, reason })
}

/// Why a container could not even be opened.
fn unreadable(error: Error) -> AudioError {
    match &error {
        Error::Unsupported(reason) if reason.contains("no suitable format reader") => {
            AudioError::UnknownFormat
        }
        Error::Unsupported("isomp4: missing moov atom") => AudioError::Damaged(
            "the index (moov) of the mp4 is missing; the file was probably cut off".to_owned(),
        ),
        Error::Unsupported(_) => AudioError::Unsupported(format!(
            "the file is of a kind that cannot be read ({})",
            without_crate(&error)
        )),
        Error::IoError(_) => AudioError::Damaged("it ends in the middle of its headers".to_owned()),
        other => AudioError::Damaged(format!("its headers cannot be read ({})", without_crate(other))),
    }
}

/// The decoder's own words, without the name of the crate's module that symphonia puts in front.
fn without_crate(error: &Error) -> String {
    let text = match error {
        Error::DecodeError(text) | Error::Unsupported(text) | Error::LimitError(text) => text,
        _ => return "malformed".to_owned(),
    };
    text.split_once(": ").map_or(*text, |(_, rest)| rest).to_owned()
}
