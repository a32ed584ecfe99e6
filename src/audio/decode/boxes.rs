//! An MP4's or QuickTime film's bytes in, its boxes out.

/// The box of the track with that number: symphonia counts them by the same.
pub(super) fn track(file: &[u8], track_id: u32) -> Option<&[u8]> {
    tracks(file).find(|trak| id(trak) == Some(track_id))
}

/// The boxes of all tracks.
pub(super) fn tracks(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let moov = child(file, b"moov").unwrap_or_default();
    boxes(moov).filter(|(kind, _)| kind == b"trak").map(|(_, body)| body)
}

/// The first box of that kind in `bytes`.
pub(super) fn child<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(kind, _)| kind == wanted).map(|(_, body)| body)
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
