//! The upload's bytes in, a media source for the demuxers out: it stops at the deadline and mends placeholder WAV sizes.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Instant;

use bytes::Bytes;
use symphonia::core::io::MediaSource;

/// Bytes in memory, read until `deadline`.
///
/// The deadline is looked at in `read`, below the demuxers, so that it also ends one that searches on and on without
/// yielding a packet.
pub(super) struct Source {
    bytes: Bytes,
    position: u64,
    deadline: Option<Instant>,
    /// Bytes that read differently from the upload's: where, and what stands there instead.
    mends: Vec<(u64, [u8; 4])>,
}

impl Source {
    /// `deadline`: `None` where the clock cannot hold it, which is as good as never.
    pub(super) fn new(bytes: Bytes, deadline: Option<Instant>) -> Self {
        let mends = mended_wav_sizes(&bytes);
        Source { bytes, position: 0, deadline, mends }
    }

    /// Whether the upload's own sizes say nothing about its length.
    pub(super) fn is_open_ended(&self) -> bool {
        self.mends.len() > 1
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.bytes.len());
        let count = buffer.len().min(self.bytes.len() - start);
        buffer[..count].copy_from_slice(&self.bytes[start..start + count]);
        for (at, mend) in &self.mends {
            for (byte, place) in mend.iter().zip(*at..) {
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
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }
}

/// The size that means "until the end" to symphonia's WAV reader, in the RIFF and in the data chunk.
const UNTIL_THE_END: [u8; 4] = u32::MAX.to_le_bytes();

/// Where a WAV's sizes are placeholders, the mend that reads them as "until the end".
///
/// Programs that write WAV to a pipe, or that die while recording, leave 0, 0x7fff.... or 0xffffffff in the size
/// fields; read literally, such a file holds no audio, or lacks two gigabytes. A size that is merely too large is no
/// placeholder: that file was cut off, and stays as it is to be reported.
fn mended_wav_sizes(bytes: &[u8]) -> Vec<(u64, [u8; 4])> {
    if bytes.len() < 12 || !bytes.starts_with(b"RIFF") || &bytes[8..12] != b"WAVE" {
        return Vec::new();
    }
    let size_at = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
    };
    let mut at = 12;
    // The chunks before the audio are few; the bound keeps a forged chain of empty chunks from costing a walk.
    for _ in 0..64 {
        let Some(size) = size_at(at + 4) else { break };
        if bytes.get(at..at + 4) == Some(b"data") {
            let rest = bytes.len() - (at + 8);
            if size as usize > rest && size >= 0x7fff_0000 || size == 0 && rest > 0 && size_at(4) <= Some(36)
            {
                return vec![(4, UNTIL_THE_END), (at as u64 + 4, UNTIL_THE_END)];
            }
            // A RIFF size too small for its own chunks makes the reader refuse the file; the chunks know better.
            return vec![(4, UNTIL_THE_END)];
        }
        at = match at.checked_add(8 + size as usize + (size as usize & 1)) {
            Some(next) => next,
            None => break,
        };
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(riff_size: u32, data_size: u32, samples: usize) -> Bytes {
        let mut file = b"RIFF".to_vec();
        file.extend(riff_size.to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
        file.extend(data_size.to_le_bytes());
        file.extend(std::iter::repeat_n(1, samples * 2));
        file.into()
    }

    fn sizes_read(bytes: Bytes) -> (u32, u32) {
        let mut read = Vec::new();
        Source::new(bytes, None).read_to_end(&mut read).unwrap();
        let field = |at: usize| u32::from_le_bytes(read[at..at + 4].try_into().unwrap());
        (field(4), field(40))
    }

    #[test]
    fn placeholder_sizes_read_as_until_the_end() {
        for placeholder in [0x7fff_f000, 0x8000_0000, u32::MAX] {
            assert_eq!(
                sizes_read(wav(placeholder, placeholder, 100)),
                (u32::MAX, u32::MAX),
                "{placeholder:#x}"
            );
        }
        assert_eq!(sizes_read(wav(0, 0, 100)), (u32::MAX, u32::MAX));
        assert_eq!(sizes_read(wav(36, 0, 100)), (u32::MAX, u32::MAX));
    }

    #[test]
    fn the_size_of_a_cut_off_file_is_left_to_be_reported() {
        assert_eq!(sizes_read(wav(2036, 2000, 100)).1, 2000);
    }

    #[test]
    fn a_mend_is_seen_through_reads_of_any_size_and_place() {
        let mut source = Source::new(wav(0, 0, 10), None);
        let mut one = [0; 1];
        for at in [4, 7, 40, 43] {
            source.seek(SeekFrom::Start(at)).unwrap();
            source.read_exact(&mut one).unwrap();
            assert_eq!(one, [0xff], "byte {at}");
        }
    }

    #[test]
    fn reading_past_the_end_gives_nothing_and_past_the_deadline_an_error() {
        let mut source = Source::new(Bytes::from_static(b"abc"), None);
        source.seek(SeekFrom::Start(u64::MAX)).unwrap();
        assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
        let mut late = Source::new(Bytes::from_static(b"abc"), Some(Instant::now()));
        assert_eq!(late.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
