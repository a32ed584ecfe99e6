//! A file's bytes in, corrections of size fields out that would make symphonia read less than there is.

mod apple;

use bytes::Bytes;

/// Bytes that are to read differently from the upload's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mend {
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// The most boxes or clusters that are walked through: hours of a live recording, and no long walk through forged ones.
const MOST_STEPS: usize = 100_000;

/// What a file's sizes say of its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Extent {
    /// That which it has, as far as can be seen from outside.
    #[default]
    Told,
    /// Nothing: they are placeholders.
    Open,
    /// More than it has.
    CutOff,
}

/// The corrections for a file, and what made them necessary.
pub(super) fn sizes(bytes: &[u8]) -> (Vec<Mend>, Extent) {
    let mended = match bytes {
        [b'R', b'I', b'F', b'F', ..] => wav(bytes),
        // WAV for more than 4 GiB, with placeholders for sizes; all it takes is the old name.
        [b'R', b'F', b'6', b'4', ..] => wav(bytes).map(|(mut mends, extent)| {
            mends.push(Mend { at: 0, bytes: b"RIFF".to_vec() });
            (mends, extent)
        }),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => apple::aiff(bytes),
        [b'c', b'a', b'f', b'f', ..] => apple::caf(bytes),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(bytes),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4(bytes),
        _ => None,
    };
    mended.unwrap_or_default()
}

/// Where a WAV's sizes are placeholders, they are to read as "until the end".
///
/// Programs that write WAV to a pipe, or that die while recording, leave 0, 0x7fff.... or 0xffffffff in the size
/// fields; read literally, such a file holds no audio, or lacks two gigabytes. A size that is merely too large is no
/// placeholder: that file was cut off, and stays as it is to be reported. The size of the whole never helps: one too small
/// for its own chunks makes the reader refuse the file.
fn wav(bytes: &[u8]) -> Option<(Vec<Mend>, Extent)> {
    let until_the_end = |at: usize| Mend { at: at as u64, bytes: vec![0xff; 4] };
    let size_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let mut at = 12;
    // The chunks before the audio are few.
    for _ in 0..64 {
        let size = size_at(at + 4)?;
        if bytes.get(at..at + 4) == Some(b"data") {
            let rest = bytes.len() - (at + 8);
            let placeholder = size as usize > rest && size >= 0x7fff_0000;
            let untouched = size == 0 && rest > 0 && size_at(4)? <= 36;
            return Some(match placeholder || untouched {
                true => (vec![until_the_end(4), until_the_end(at + 4)], Extent::Open),
                false => (vec![until_the_end(4)], Extent::Told),
            });
        }
        at = at.checked_add(8 + size as usize + (size as usize & 1))?;
    }
    None
}

/// Where an MP4 was cut off in its media data, the data is to end where the file ends: symphonia reads none of it
/// otherwise. What is missing shows when a sample is not there.
fn mp4(bytes: &[u8]) -> Option<(Vec<Mend>, Extent)> {
    let mut at = 0;
    for _ in 0..MOST_STEPS {
        let narrow: [u8; 4] = *bytes.get(at..)?.first_chunk()?;
        let kind = bytes.get(at + 4..at + 8)?;
        let rest = (bytes.len() - at) as u64;
        let size = match u32::from_be_bytes(narrow) {
            // To the end of the file.
            0 => return None,
            1 => u64::from_be_bytes(*bytes.get(at + 8..)?.first_chunk()?),
            size => size.into(),
        };
        if size > rest {
            let (at, bytes) = match narrow {
                [0, 0, 0, 1] => (at as u64 + 8, rest.to_be_bytes().to_vec()),
                // Fits: it is less than the size that stands there.
                _ => (at as u64, (rest as u32).to_be_bytes().to_vec()),
            };
            return (kind == b"mdat").then(|| (vec![Mend { at, bytes }], Extent::Told));
        }
        // Eight bytes are the least; less would go round in circles.
        at += size.max(8) as usize;
    }
    None
}

/// Where a Matroska file was cut off, its segment and its last cluster are to have no size, as in a live recording:
/// symphonia refuses elements that reach beyond the file, with all that is in them.
fn matroska(bytes: &[u8]) -> Option<(Vec<Mend>, Extent)> {
    const SEGMENT: &[u8] = &[0x18, 0x53, 0x80, 0x67];
    const CLUSTER: &[u8] = &[0x1f, 0x43, 0xb6, 0x75];
    let mut mends = Vec::new();
    let mut at = Element::read(bytes, 0)?.end()?;
    for _ in 0..MOST_STEPS {
        let Some(element) = Element::read(bytes, at) else { break };
        let end = element.end();
        let overrun = end.is_some_and(|end| end > bytes.len());
        if overrun && (element.id == SEGMENT || element.id == CLUSTER) {
            mends.push(element.without_size());
        }
        at = match end {
            _ if element.id == SEGMENT => element.data,
            Some(end) if !overrun => end,
            // A live cluster has no end to go to.
            _ => break,
        };
    }
    let extent = if mends.is_empty() { Extent::Told } else { Extent::CutOff };
    Some((mends, extent))
}

/// The head of an EBML element (RFC 8794, sections 4 and 5).
struct Element<'a> {
    id: &'a [u8],
    /// Where its size stands, and where its data begins.
    size_at: usize,
    data: usize,
    /// `None`: unknown.
    size: Option<u64>,
}

impl<'a> Element<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        let width = |at: usize| bytes.get(at).map(|byte| byte.leading_zeros() as usize + 1);
        let id_width = width(at).filter(|&width| width <= 4)?;
        let size_at = at + id_width;
        let size_width = width(size_at).filter(|&width| width <= 8)?;
        let data = size_at + size_width;
        let field = bytes.get(size_at..data)?;
        let value = field.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let ones = (1u64 << (7 * size_width)) - 1;
        let size = Some(value & ones).filter(|&size| size != ones);
        Some(Element { id: &bytes[at..size_at], size_at, data, size })
    }

    fn end(&self) -> Option<usize> {
        self.data.checked_add(usize::try_from(self.size?).ok()?)
    }

    /// All ones, in the width that it has.
    fn without_size(&self) -> Mend {
        let width = self.data - self.size_at;
        let mut bytes = vec![0xff; width];
        bytes[0] = 0xff >> (width - 1);
        Mend { at: self.size_at as u64, bytes }
    }
}

/// FLAC files with an ID3v1 tag behind them: symphonia takes the tag for part of the last frame, and loses both.
pub(super) fn without_id3v1(bytes: Bytes) -> Bytes {
    match bytes.len().checked_sub(128) {
        Some(end) if bytes.starts_with(b"fLaC") && bytes[end..].starts_with(b"TAG") => bytes.slice(..end),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(riff_size: u32, data_size: u32, samples: usize) -> Vec<u8> {
        let mut file = b"RIFF".to_vec();
        file.extend(riff_size.to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
        file.extend(data_size.to_le_bytes());
        file.extend(std::iter::repeat_n(1, samples * 2));
        file
    }

    #[test]
    fn placeholders_in_a_wav_read_as_until_the_end() {
        for placeholder in [0x7fff_f000, 0x8000_0000, u32::MAX] {
            let (mends, extent) = sizes(&recording(placeholder, placeholder, 100));
            assert_eq!(extent, Extent::Open, "{placeholder:#x}");
            assert_eq!(mends[1], Mend { at: 40, bytes: vec![0xff; 4] });
        }
        assert_eq!(sizes(&recording(0, 0, 100)).1, Extent::Open);
        assert_eq!(sizes(&recording(36, 0, 100)).1, Extent::Open);
    }

    #[test]
    fn the_size_of_a_cut_off_wav_is_left_to_be_reported() {
        let (mends, extent) = sizes(&recording(2036, 2000, 100));
        assert_eq!((mends.len(), extent), (1, Extent::Told));
    }

    #[test]
    fn the_media_data_of_a_cut_off_mp4_ends_with_the_file() {
        let mut file = b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\0\x08free".to_vec();
        let narrow = [file.clone(), b"\0\0\x10\0mdat".to_vec(), vec![7; 100]].concat();
        assert_eq!(sizes(&narrow).0, [Mend { at: 24, bytes: vec![0, 0, 0, 108] }]);
        file.extend(b"\0\0\0\x01mdat\0\0\0\0\0\0\x10\0");
        file.extend([7; 100]);
        assert_eq!(sizes(&file).0, [Mend { at: 32, bytes: vec![0, 0, 0, 0, 0, 0, 0, 116] }]);
        file.extend([7; 0x1000 - 116]);
        assert_eq!(sizes(&file).0, []);
    }

    #[test]
    fn the_segment_and_last_cluster_of_a_cut_off_matroska_lose_their_sizes() {
        let head = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x40\x20";
        let clusters = b"\x1f\x43\xb6\x75\x81\0\x1f\x43\xb6\x75\x88";
        let file = [head.as_slice(), clusters, &[0; 3]].concat();
        let expected = [Mend { at: 9, bytes: vec![0x7f, 0xff] }, Mend { at: 21, bytes: vec![0xff] }];
        assert_eq!(sizes(&file), (expected.into(), Extent::CutOff));
        // Whole: the cluster's 8 bytes, and 13 of another element to fill the segment's 32.
        let whole = [file, vec![0; 5], b"\xec\x8b".to_vec(), vec![0; 11]].concat();
        assert_eq!(sizes(&whole).0, [], "{} bytes", whole.len());
    }

    #[test]
    fn stubs_of_every_kind_are_left_alone() {
        for stub in
            [&b"RIFF"[..], b"RIFF\0\0\0\0WAVEdata", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp\0\0\0\x01mdat"]
        {
            assert_eq!(sizes(stub), (Vec::new(), Extent::Told), "{stub:?}");
        }
    }
}
