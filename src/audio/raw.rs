//! Bare samples in (s16le, 16 kHz, mono), `Pcm` out, under the same limits as files.

use super::{AudioError, Limits, Pcm, duration_of, kind};

/// A file of samples that somebody called raw is let to the decoder of files.
pub fn is_file(bytes: &[u8]) -> bool {
    matches!(kind(bytes), "wav" | "aiff" | "caf")
}

/// Half a sample at the end is none.
///
/// # Errors
/// `Empty` without a sample, `TooLarge` where a limit is passed.
pub fn decode_raw(bytes: &[u8], limits: &Limits) -> Result<Pcm, AudioError> {
    let count = bytes.len() / 2;
    if count == 0 {
        return Err(AudioError::Empty);
    }
    if duration_of(count) > limits.max_duration {
        let what = format!("the audio is longer than {} s", limits.max_duration.as_secs_f64());
        return Err(AudioError::TooLarge { what, setting: "audio.max_duration_seconds" });
    }
    if count * size_of::<f32>() > limits.max_decoded_bytes {
        let what = format!("the decoded audio is larger than {} bytes", limits.max_decoded_bytes);
        return Err(AudioError::TooLarge { what, setting: "audio.max_decoded_bytes" });
    }
    let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
    Ok(Pcm::from_16k_mono(bytes.chunks_exact(2).map(sample).collect()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(seconds: u64, max_decoded_bytes: usize) -> Limits {
        let max_duration = Duration::from_secs(seconds);
        Limits { max_duration, max_decoded_bytes, max_channels: 1, max_decode_time: max_duration }
    }

    #[test]
    fn samples_are_read_as_they_lie_and_half_of_one_is_none() {
        let pcm = decode_raw(&[0, 0, 0, 0x80, 0xff, 0x7f, 9], &limits(1, 100)).unwrap();
        assert_eq!(pcm.samples(), [0.0, -1.0, 32_767.0 / 32_768.0]);
        assert_eq!(decode_raw(&[1], &limits(1, 100)), Err(AudioError::Empty));
    }

    #[test]
    fn limits_name_their_settings() {
        let setting = |limits| match decode_raw(&[0; 64_000], &limits) {
            Err(AudioError::TooLarge { setting, .. }) => setting,
            other => panic!("not too large: {other:?}"),
        };
        assert_eq!(setting(limits(1, usize::MAX)), "audio.max_duration_seconds");
        assert_eq!(setting(limits(60, 1000)), "audio.max_decoded_bytes");
    }
}
