//! An AIFF's or CAF's bytes in, corrections of its sizes out.

use super::{Extent, MOST_STEPS, Mend};

/// Each byte of a CAF's packet table can make symphonia keep 32. These are 29 hours of Opus in packets of 20 ms.
const LONGEST_TABLE: i64 = 4 << 20;

/// An AIFF is to end with its last whole chunk: symphonia reads its own size to the letter, tags behind it included.
///
/// Placeholders are told from sizes as in a WAV. Where the file was cut off, the size of the audio stays, to be reported.
pub(super) fn aiff(bytes: &[u8]) -> Option<(Vec<Mend>, Extent)> {
    let size_from = |at: usize| u32::try_from(bytes.len().saturating_sub(at)).unwrap_or(u32::MAX);
    let mend = |at: usize, size: u32| Mend { at: at as u64, bytes: size.to_be_bytes().to_vec() };
    let mut at = 12;
    for _ in 0..MOST_STEPS {
        let Some(size) = bytes.get(at + 4..).and_then(|field| field.first_chunk()) else { break };
        let (size, rest) = (u32::from_be_bytes(*size), size_from(at + 8));
        if bytes[at..].starts_with(b"SSND") {
            // It begins with eight bytes that are no audio.
            if size < 8 || size > rest && size >= 0x7fff_0000 {
                return Some((vec![mend(4, size_from(8)), mend(at + 4, rest)], Extent::Open));
            }
            if size > rest {
                return Some((vec![mend(4, u32::MAX)], Extent::CutOff));
            }
        }
        if size > rest {
            break;
        }
        at = (at + 8 + size as usize + (size as usize & 1)).min(bytes.len());
    }
    let size = u32::try_from(at - 8).unwrap_or(u32::MAX);
    Some((vec![mend(4, size)], Extent::Told))
}

/// What reaches beyond the end of a CAF is to end there: symphonia refuses the whole otherwise. Other chunks than the
/// audio are of no use in part, and are to be padding.
pub(super) fn caf(bytes: &[u8]) -> Option<(Vec<Mend>, Extent)> {
    let mut at = 8;
    for _ in 0..MOST_STEPS {
        let Some((kind, size)) = bytes.get(at..).and_then(|head| head.split_first_chunk::<4>()) else {
            break;
        };
        let Some(size) = size.first_chunk().map(|size| i64::from_be_bytes(*size)) else { break };
        let rest = (bytes.len() - (at + 12)) as i64;
        let resized = |kind: &[u8; 4], size: i64| {
            let bytes = [kind.as_slice(), &size.to_be_bytes()].concat();
            Some(Mend { at: at as u64, bytes })
        };
        let (mend, extent) = match kind {
            // The audio begins with four bytes that are none; -1 is "until the end".
            b"data" if size < 4 => (resized(kind, rest), Extent::Open),
            b"data" if size > rest => (resized(kind, rest), Extent::CutOff),
            b"pakt" if size > LONGEST_TABLE => (resized(kind, -1), Extent::Told),
            b"pakt" if !(0..=rest).contains(&size) => (resized(b"free", rest), Extent::CutOff),
            _ if !(0..=rest).contains(&size) => (resized(b"free", rest), Extent::Told),
            _ => (None, Extent::Told),
        };
        match mend {
            Some(mend) => return Some((vec![mend], extent)),
            None => at += 12 + size as usize,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aiff_of(form: u32, sound: u32, behind: &[u8]) -> Vec<u8> {
        let head = [b"FORM".as_slice(), &form.to_be_bytes(), b"AIFFCOMM\0\0\0\x12", &[1; 18]].concat();
        [&head, b"SSND".as_slice(), &sound.to_be_bytes(), &[0; 8], &[7; 100], behind].concat()
    }

    #[test]
    fn an_aiff_ends_with_its_last_whole_chunk() {
        let ends_at = |file: &[u8], end: u32| {
            let (mends, extent) = aiff(file).unwrap();
            assert_eq!(
                (mends, extent),
                (vec![Mend { at: 4, bytes: end.to_be_bytes().to_vec() }], Extent::Told)
            );
        };
        ends_at(&aiff_of(146, 108, b""), 146);
        ends_at(&aiff_of(9999, 108, b"NAME\0\0\0\x02xy"), 156);
        ends_at(&aiff_of(146, 108, b"TAGSome title"), 146);
    }

    #[test]
    fn the_sound_of_an_aiff_is_open_or_cut_off_by_its_size() {
        for placeholder in [0, 0x7fff_ffff, u32::MAX] {
            let (mends, extent) = aiff(&aiff_of(placeholder, placeholder, b"")).unwrap();
            assert_eq!((mends[1].bytes.as_slice(), extent), ([0, 0, 0, 108].as_slice(), Extent::Open));
        }
        assert_eq!(aiff(&aiff_of(946, 908, b"")).unwrap().1, Extent::CutOff);
    }

    fn caf_of(size: i64, behind: &[u8]) -> Vec<u8> {
        let head = [b"caff\0\x01\0\0desc".as_slice(), &32i64.to_be_bytes(), &[1; 32], b"data"].concat();
        [&head, size.to_be_bytes().as_slice(), &[0; 4], &[7; 60], behind].concat()
    }

    #[test]
    fn the_sound_of_a_caf_ends_where_the_file_does() {
        let whole = Mend { at: 52, bytes: b"data\0\0\0\0\0\0\0\x40".to_vec() };
        assert_eq!(caf(&caf_of(-1, b"")), Some((vec![whole.clone()], Extent::Open)));
        assert_eq!(caf(&caf_of(i64::MAX, b"")), Some((vec![whole], Extent::CutOff)));
        assert_eq!(caf(&caf_of(64, b"")), None);
    }

    #[test]
    fn other_chunks_of_a_caf_that_were_cut_off_are_padding() {
        let chunk = |kind: &[u8; 4], size: i64| [kind.as_slice(), &size.to_be_bytes(), &[0; 10]].concat();
        let padding = Mend { at: 128, bytes: b"free\0\0\0\0\0\0\0\x0a".to_vec() };
        let got = |kind: &[u8; 4], size: i64| caf(&caf_of(64, &chunk(kind, size)));
        assert_eq!(got(b"info", 4000), Some((vec![padding.clone()], Extent::Told)));
        assert_eq!(got(b"pakt", 4000), Some((vec![padding], Extent::CutOff)));
        // A table that would take too much memory is no chunk at all.
        let table = got(b"pakt", LONGEST_TABLE + 1).unwrap().0;
        assert_eq!(table[0].bytes[4..], [0xff; 8]);
    }
}
