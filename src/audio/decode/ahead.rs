//! A file in; out, before any of it is decoded, the refusal of one whose frames add up to more than a limit allows.
//!
//! A mebibyte can hold days of silence. To decode them up to the limit takes a minute, and the memory that the limit
//! allows; to count frames takes a moment.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use symphonia::core::formats::FormatId;
use symphonia::core::formats::well_known::{
    FORMAT_ID_ADTS, FORMAT_ID_AIFF, FORMAT_ID_FLAC, FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3,
    FORMAT_ID_OGG, FORMAT_ID_WAVE,
};

use super::clock::Clock;
use super::heard::Heard;
use super::source::Source;
use super::track::ticks_to_time;
use crate::audio::AudioError;

/// Those whose frames say themselves how long they are. Others tell it in tables, which may be forged either way.
const COUNTED: [FormatId; 8] = [
    FORMAT_ID_ADTS,
    FORMAT_ID_AIFF,
    FORMAT_ID_FLAC,
    FORMAT_ID_MP1,
    FORMAT_ID_MP2,
    FORMAT_ID_MP3,
    FORMAT_ID_OGG,
    FORMAT_ID_WAVE,
];
/// What decoding may cut off: the encoder's delay and padding.
const CUT: Duration = Duration::from_secs(3);

/// Whoever decodes knows then how much is to come.
///
/// # Errors
/// `TooLarge`, as decoding would say in the end. Whatever else is wrong with the file, decoding tells better.
pub(super) fn check(
    bytes: &Bytes,
    format: FormatId,
    track: u32,
    clock: &Clock,
    heard: &mut Heard<'_>,
) -> Result<(), AudioError> {
    if !COUNTED.contains(&format) {
        return Ok(());
    }
    let counted = catch_unwind(AssertUnwindSafe(|| count(bytes, track, clock, heard)));
    // A panic is decoding's to tell of.
    heard.make_room(counted.unwrap_or(Ok(Duration::ZERO))?);
    Ok(())
}

fn count(bytes: &Bytes, id: u32, clock: &Clock, heard: &Heard<'_>) -> Result<Duration, AudioError> {
    let Ok(mut reader) = super::probe(Source::new(bytes.clone(), clock.clone())) else {
        return Ok(Duration::ZERO);
    };
    let base = reader.tracks().iter().find(|track| track.id == id).and_then(|track| track.time_base);
    let mut total = Duration::ZERO;
    while let Ok(Some(packet)) = reader.next_packet() {
        if packet.track_id == id {
            total += ticks_to_time(packet.dur, base);
            heard.foresee(total.saturating_sub(CUT))?;
        }
    }
    Ok(total)
}
