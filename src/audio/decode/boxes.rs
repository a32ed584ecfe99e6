//! An MP4's or QuickTime film's bytes in, its boxes out.

/// The box of the track with that number: symphonia counts them by the same.
pub(super) fn track(file: &[u8], track_id: u32) -> Option<&[u8]> {
    tracks(file).find(|trak| id(trak) == Some(track_id))
}

/// The boxes of all tracks.
pub(super) fn tracks(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let moov = child(file, b"moov").unwrap_or_default();
    children(moov, b"trak")
}

/// Whether its fragments announce more samples than it has bytes, which no file does: symphonia would count them one by one, also
/// where each is nothing.
pub(super) fn announces_too_much(file: &[u8]) -> bool {
    let fragments = children(file, b"moof").flat_map(|moof| children(moof, b"traf"));
    let runs = fragments.flat_map(|traf| children(traf, b"trun"));
    // After version and flags.
    let counts = runs.filter_map(|trun| trun.get(4..)?.first_chunk().copied());
    counts.map(|count| u64::from(u32::from_be_bytes(count))).sum::<u64>() > file.len() as u64
}

/// The first box of that kind in `bytes`.
pub(super) fn child<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(kind, _)| kind == wanted).map(|(_, body)| body)
}

/// All of that kind in `bytes`.
fn children<'a>(bytes: &'a [u8], wanted: &'static [u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    boxes(bytes).filter(move |(kind, _)| kind == wanted).map(|(_, body)| body)
}

/// The boxes that `bytes` consist of: kind and body. Ends at the first that does not fit.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, body) = rest.split_first_chunk::<4>()?;
        let (size, head, body) = match u32::from_be_bytes(*size) {
            0 => (bytes.len(), 8, body),
            1 => {
                let (size, body) = body.split_first_chunk::<8>()?;
                (usize::try_from(u64::from_be_bytes(*size)).ok()?, 16, body)
            }
            size => (size as usize, 8, body),
        };
        // A box that was cut off is not there; the mdat that a cut-off file ends with holds no boxes.
        let body = body.get(..size.checked_sub(head)?)?;
        bytes = &bytes[size..];
        Some((*kind, body))
    })
}

/// The track's number: after version, flags and two times of 4 or 8 bytes.
fn id(trak: &[u8]) -> Option<u32> {
    let tkhd = child(trak, b"tkhd")?;
    let at = if tkhd.first()? == &1 { 20 } else { 12 };
    tkhd.get(at..)?.first_chunk().map(|&id| u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(8 + body.len() as u32).to_be_bytes()[..], kind, body].concat()
    }

    fn fragment(samples: u32) -> Vec<u8> {
        let run = [&[0; 4][..], &samples.to_be_bytes()].concat();
        boxed(b"moof", &boxed(b"traf", &boxed(b"trun", &run)))
    }

    #[test]
    fn fragments_may_announce_as_many_samples_as_there_are_bytes() {
        let file = |counts: &[u32]| {
            let fragments = counts.iter().map(|count| fragment(*count)).collect::<Vec<_>>().concat();
            [boxed(b"ftyp", b"iso5"), fragments].concat()
        };
        assert!(!announces_too_much(&file(&[])));
        assert!(!announces_too_much(&file(&[30, 30])));
        assert!(announces_too_much(&file(&[u32::MAX])));
        // Each alone would pass, and no sum runs over.
        assert!(announces_too_much(&file(&[60, 60])));
        assert!(announces_too_much(&file(&[u32::MAX; 3])));
        assert!(!announces_too_much(b"\0\0\0\x20moof\0\0\0\x18traf"));
    }
}
