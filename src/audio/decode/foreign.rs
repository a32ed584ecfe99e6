//! The first bytes of a file in, the name of what it is out, where that is nothing we read.
//!
//! MPEG audio is found by its frames, which some of these hold in pieces: without a name first, noise would be heard in them.

/// Formats by their first bytes, none of which any other begins with.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b".snd", "AU"),
    (b"riff\x2e\x91\xcf\x11", "Wave64 (W64)"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or another ASF format"),
    (b"wvpk", "WavPack"),
    (b"FLV\x01", "FLV"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"#!AMR", "AMR"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"Creative Voice File", "VOC"),
    (b"MThd", "MIDI"),
    (b"\0\0\x01\xba", "an MPEG program stream"),
];

/// Codecs by their tag in a WAV (RFC 2361).
const IN_WAV: &[(u16, &str)] = &[
    (0x0022, "TrueSpeech in WAV"),
    (0x0031, "GSM in WAV"),
    (0x0045, "G.726 in WAV"),
    (0x0050, "MPEG layer 1 or 2 in WAV"),
    (0x0055, "MP3 in WAV"),
    (0x00ff, "AAC in WAV"),
    (0x0161, "WMA in WAV"),
    (0x2000, "AC-3 in WAV"),
];

/// Where the page of an Ogg stream's header holds its first packet: behind one lacing value.
const OGG_PACKET: usize = 28;

/// Of what could not be read: two bytes are too few to tell beforehand.
pub(super) fn guess(file: &[u8]) -> Option<&'static str> {
    file.starts_with(b"\x0b\x77").then_some("AC-3")
}

/// What `file` is, if that is certain.
pub(super) fn name(file: &[u8]) -> Option<&'static str> {
    let begins = |at: usize, with: &[u8]| file.get(at..).is_some_and(|rest| rest.starts_with(with));
    if begins(0, b"RIFF") && begins(8, b"AVI ") {
        return Some("AVI");
    }
    if begins(0, b"RIFF") && begins(8, b"WAVE") {
        let tag = wav_tag(file)?;
        return IN_WAV.iter().find(|(known, _)| *known == tag).map(|(_, name)| *name);
    }
    if begins(0, b"OggS") && begins(OGG_PACKET, b"Speex   ") {
        return Some("Speex");
    }
    // Packets of 188 bytes, on Blu-ray and in cameras with four bytes of time before each.
    let packets = |first: usize, length: usize| (0..4).all(|number| begins(first + number * length, b"G"));
    if packets(0, 188) || packets(4, 192) {
        return Some("an MPEG transport stream");
    }
    BEGINNINGS.iter().find(|(beginning, _)| begins(0, beginning)).map(|(_, name)| *name)
}

/// The tag of the format chunk.
fn wav_tag(file: &[u8]) -> Option<u16> {
    let mut at = 12;
    // It is among the first.
    for _ in 0..16 {
        let size = u32::from_le_bytes(*file.get(at + 4..)?.first_chunk()?) as usize;
        if file.get(at..)?.starts_with(b"fmt ") {
            return file.get(at + 8..)?.first_chunk().map(|tag| u16::from_le_bytes(*tag));
        }
        at = at.checked_add(8 + size + (size & 1))?;
    }
    None
}
