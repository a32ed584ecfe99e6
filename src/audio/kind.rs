//! The first bytes of an upload in, what it takes itself for out: a word for metrics, no judgement.

/// One of a few words, whatever is sent.
pub fn kind(bytes: &[u8]) -> &'static str {
    let has = |at: usize, word: &[u8]| bytes.get(at..at + word.len()) == Some(word);
    match bytes {
        _ if has(0, b"RIFF") => "wav",
        _ if has(0, b"FORM") && has(8, b"AIF") => "aiff",
        _ if has(0, b"caff") => "caf",
        _ if has(0, b"fLaC") => "flac",
        _ if has(0, b"OggS") => "ogg",
        _ if has(4, b"ftyp") || has(4, b"moov") => "mp4",
        _ if has(0, &[0x1a, 0x45, 0xdf, 0xa3]) => "matroska",
        _ if has(0, b"ID3") => "mpeg",
        // ADTS has layer 0, which MPEG audio never has.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => "aac",
        [0xff, second, ..] if second & 0xe0 == 0xe0 => "mpeg",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_first_bytes() {
        let kinds: [(&[u8], &str); 12] = [
            (b"RIFF\0\0\0\0WAVE", "wav"),
            (b"FORM\0\0\0\0AIFC", "aiff"),
            (b"caff\0\x01", "caf"),
            (b"fLaC\0", "flac"),
            (b"OggS\0", "ogg"),
            (b"\0\0\0\x20ftypM4A ", "mp4"),
            (b"\x1a\x45\xdf\xa3\x01", "matroska"),
            (b"ID3\x04", "mpeg"),
            (b"\xff\xfb\x90", "mpeg"),
            (b"\xff\xf1\x50", "aac"),
            (b"no audio", "other"),
            (b"", "other"),
        ];
        for (bytes, name) in kinds {
            assert_eq!(kind(bytes), name, "{bytes:?}");
        }
    }
}
