//! The upload's bytes in, a media source for the demuxers out: it stops at the deadline and mends sizes that mislead them.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use symphonia::core::io::MediaSource;

use super::clock::Clock;
use super::mend::{self, Extent, Mend};

/// Bytes in memory, read until the time is over.
///
/// The clock is looked at in `read`, below the demuxers, so that it also ends one that searches on and on without
/// yielding a packet.
pub(super) struct Source {
    bytes: Bytes,
    position: u64,
    clock: Clock,
    mends: Vec<Mend>,
    extent: Extent,
}

impl Source {
    pub(super) fn new(bytes: Bytes, clock: Clock) -> Self {
        let bytes = mend::without_id3v1(bytes);
        let (mends, extent) = mend::sizes(&bytes);
        Source { bytes, position: 0, clock, mends, extent }
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.clock.is_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.bytes.len());
        let count = buffer.len().min(self.bytes.len() - start);
        buffer[..count].copy_from_slice(&self.bytes[start..start + count]);
        for Mend { at, bytes } in &self.mends {
            for (byte, place) in bytes.iter().zip(*at..) {
                if let Some(slot) =
                    place.checked_sub(self.position).and_then(|i| buffer[..count].get_mut(i as usize))
                {
                    *slot = *byte;
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for Source {
    /// Of a Matroska file or an AIFF that was cut off, symphonia insists on visiting what is missing, unless it cannot
    /// seek. The others need seeking: an MP4's index may be at its end.
    fn is_seekable(&self) -> bool {
        self.extent != Extent::CutOff || self.bytes.starts_with(b"caff")
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A WAV header whose two sizes, at 4 and 40, read as `ff ff ff ff`.
    fn unfinished() -> Bytes {
        Bytes::from_static(
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0soundsound",
        )
    }

    #[test]
    fn a_mend_is_seen_through_reads_of_any_size_and_place() {
        let mut source = Source::new(unfinished(), Clock::start(Duration::MAX));
        let mut one = [0; 1];
        for (at, want) in [(3, b'F'), (4, 0xff), (7, 0xff), (8, b'W'), (40, 0xff), (43, 0xff), (44, b's')] {
            source.seek(SeekFrom::Start(at)).unwrap();
            source.read_exact(&mut one).unwrap();
            assert_eq!(one, [want], "byte {at}");
        }
        source.rewind().unwrap();
        let mut whole = Vec::new();
        source.read_to_end(&mut whole).unwrap();
        assert_eq!(whole[40..44], [0xff; 4]);
        assert_eq!(whole.len(), unfinished().len());
    }

    #[test]
    fn reading_past_the_end_gives_nothing_and_past_the_deadline_an_error() {
        let mut source = Source::new(Bytes::from_static(b"abc"), Clock::start(Duration::MAX));
        source.seek(SeekFrom::Start(u64::MAX)).unwrap();
        assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
        let mut late = Source::new(Bytes::from_static(b"abc"), Clock::start(Duration::ZERO));
        assert_eq!(late.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
