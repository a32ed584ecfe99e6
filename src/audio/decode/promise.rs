//! A probed container in, the length that it announces out, to be held against what was decoded.

use std::time::Duration;

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::formats::FormatReader;
use symphonia::core::formats::well_known::{
    FORMAT_ID_AIFF, FORMAT_ID_FLAC, FORMAT_ID_ISOMP4, FORMAT_ID_MKV, FORMAT_ID_MP3, FORMAT_ID_OGG,
    FORMAT_ID_WAVE,
};
use symphonia::core::units::Duration as Ticks;

use super::mend::Extent;
use super::opus::OpusHead;
use super::track::ticks_to_time;

/// Uncompressed and lossless audio is there to the sample. The tolerance is for writers who count the bytes of a
/// trailing chunk as audio.
const EXACT: Duration = Duration::from_millis(10);
/// Lossy formats round to packets (Opus: up to 120 ms) and count or leave out the encoder's delay (AAC: 2,112 samples, at
/// 22 kHz 96 ms; MP3: 1,105 and a frame).
const PACKETS: Duration = Duration::from_millis(200);
/// Matroska gives the length of the whole file, whose last video frame may stand for a second.
const WHOLE_FILE: Duration = Duration::from_millis(1500);

/// What a container says of its own length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Promise {
    /// `None` where it says nothing, or only guesses.
    pub(super) length: Option<Duration>,
    /// How much less is still the whole.
    pub(super) tolerance: Duration,
    /// The length counts from the start of the container's clock, not of the audio.
    pub(super) by_clock: bool,
}

impl Promise {
    /// `file`: the upload. `extent`: what its own sizes are worth. `delay`: what an MP4's edit list cuts off the length.
    pub(super) fn of(
        reader: &dyn FormatReader,
        track_id: u32,
        file: &[u8],
        extent: Extent,
        delay: Duration,
    ) -> Self {
        let Some(track) = reader.tracks().iter().find(|track| track.id == track_id) else {
            return Promise::default();
        };
        let length =
            track.duration.map(|ticks| ticks_to_time(ticks, track.time_base)).filter(|it| !it.is_zero());
        let promise = |length, tolerance| Promise { length, tolerance, by_clock: false };
        match reader.format_info().format {
            FORMAT_ID_WAVE | FORMAT_ID_AIFF if extent == Extent::Open => Promise::default(),
            FORMAT_ID_WAVE | FORMAT_ID_AIFF | FORMAT_ID_FLAC => promise(length, EXACT),
            FORMAT_ID_ISOMP4 => promise(length.map(|length| length.saturating_sub(delay)), PACKETS),
            // Without such a header symphonia guesses from the first frames.
            FORMAT_ID_MP3 if has_frame_count(file) => promise(length, PACKETS),
            FORMAT_ID_OGG => {
                // The last granule position; a stream cut out of a longer one does not begin at 0.
                let begin = u64::try_from(track.start_ts.get()).unwrap_or(0);
                let params = track.codec_params.as_ref().and_then(|params| params.audio());
                let head = params
                    .filter(|params| params.codec == CODEC_ID_OPUS)
                    .and_then(|params| params.extra_data.as_deref())
                    .and_then(OpusHead::parse);
                let before = begin + head.map_or(0, |head| u64::from(head.pre_skip));
                let before = ticks_to_time(Ticks::new(before), track.time_base);
                promise(length.map(|length| length.saturating_sub(before)), PACKETS)
            }
            FORMAT_ID_MKV => {
                let info = reader.media_info();
                let length = info.duration.map(|ticks| ticks_to_time(ticks, info.time_base));
                // Of a file that was cut off, the last frames are gone anyway.
                let lenient = reader.tracks().len() > 1 && extent != Extent::CutOff;
                let tolerance = if lenient { WHOLE_FILE } else { PACKETS };
                Promise { length: length.filter(|it| !it.is_zero()), tolerance, by_clock: true }
            }
            // Of a CAF its sizes tell whether it is whole; its count of frames is wrong where ffmpeg wrote MP3 into it.
            _ => Promise::default(),
        }
    }

    /// Whether `reached` is all of it: what goes wrong after that is behind the audio.
    pub(super) fn kept_by(&self, reached: Duration) -> bool {
        self.length.is_some_and(|length| reached + EXACT >= length)
    }

    /// Whether `reached` falls short of it.
    pub(super) fn broken_by(&self, reached: Duration) -> bool {
        self.length.is_some_and(|length| reached + self.tolerance < length)
    }
}

/// Whether an MP3 begins with a Xing, Info or VBRI header, behind its tags where it has any.
fn has_frame_count(file: &[u8]) -> bool {
    let head = &file[tags(file)..];
    head[..head.len().min(4096)].windows(4).any(|word| matches!(word, b"Xing" | b"Info" | b"VBRI"))
}

/// Bytes of the ID3v2 tags that `file` begins with: cover art can be most of an MP3.
pub(super) fn tags(file: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&[b'I', b'D', b'3', _, _, _, a, b, c, d]) = file.get(at..at + 10) {
        // Sizes have seven bits a byte.
        let size = [a, b, c, d].iter().fold(0usize, |size, &byte| size << 7 | usize::from(byte & 0x7f));
        at = (at + 10 + size).min(file.len());
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_count_is_found_behind_tags() {
        let mut file = b"ID3\x04\0\0\0\0\x02\0".to_vec();
        file.resize(10 + 256, 0);
        file.extend(b"\xff\xfb\x90\x00");
        file.resize(file.len() + 32, 0);
        assert!(!has_frame_count(&file));
        file.extend(b"Xing\0\0\0\x01");
        assert!(has_frame_count(&file));
        assert!(!has_frame_count(b"ID3\x04\0\0\x7f\x7f\x7f\x7fXing"));
        assert!(!has_frame_count(b""));
    }

    #[test]
    fn a_promise_is_broken_only_beyond_its_tolerance() {
        let promise = Promise { length: Some(Duration::from_secs(10)), tolerance: PACKETS, by_clock: false };
        assert!(!promise.broken_by(Duration::from_millis(9_850)));
        assert!(promise.broken_by(Duration::from_millis(9_700)));
        assert!(
            promise.kept_by(Duration::from_millis(9_995)) && !promise.kept_by(Duration::from_millis(9_850))
        );
        assert!(!Promise::default().broken_by(Duration::ZERO));
    }
}
