//! An MP4's or QuickTime film's bytes and what symphonia makes of a track in, the same put right out.
//!
//! symphonia takes 24 and 32 bits for little-endian always; in QuickTime they are big-endian unless `enda` says otherwise. It
//! also passes over G.711, and over ALAC's configuration where QuickTime has it (QuickTime File Format, sound descriptions).

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ALAC, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE,
};

use super::boxes::{boxes, child, track, tracks};

/// Codecs that symphonia makes no audio track of.
const FOREIGN: &[(&[u8; 4], &str)] = &[
    (b"samr", "AMR"),
    (b"sawb", "AMR-WB"),
    (b"ima4", "ADPCM"),
    (b"agsm", "GSM"),
    (b"QDM2", "QDesign"),
    (b"dtsc", "DTS"),
];

/// The parameters of the track with that number, where symphonia's are wrong or wanting.
pub(super) fn corrected(
    params: &AudioCodecParameters,
    file: &[u8],
    track_id: u32,
) -> Option<AudioCodecParameters> {
    let Entry { kind, version, channels, parts } = Entry::read(track(file, track_id)?)?;
    // The second version says it all by itself, in fields that symphonia reads.
    if version > 1 {
        return None;
    }
    let wave = child(parts, b"wave").unwrap_or_default();
    let little = child(wave, b"enda").or_else(|| child(parts, b"enda")) == Some(&[0, 1]);
    let mut params = params.clone();
    params.codec = match &kind {
        b"in24" if !little => CODEC_ID_PCM_S24BE,
        b"in32" if !little => CODEC_ID_PCM_S32BE,
        b"fl32" if !little => CODEC_ID_PCM_F32BE,
        b"fl64" if !little => CODEC_ID_PCM_F64BE,
        b"alaw" => CODEC_ID_PCM_ALAW,
        b"ulaw" => CODEC_ID_PCM_MULAW,
        b"alac" if params.extra_data.is_none() => CODEC_ID_ALAC,
        _ => return None,
    };
    match params.codec {
        CODEC_ID_PCM_ALAW | CODEC_ID_PCM_MULAW => params.channels = Some(Channels::Discrete(channels)),
        // Behind version and flags.
        CODEC_ID_ALAC => params.extra_data = Some(child(wave, b"alac")?.get(4..)?.into()),
        _ => {}
    }
    Some(params)
}

/// The name of a codec that `file` has a track of and symphonia knows nothing about.
pub(super) fn foreign(file: &[u8]) -> Option<&'static str> {
    let name = |kind| FOREIGN.iter().find(|(foreign, _)| **foreign == kind).map(|(_, name)| *name);
    tracks(file).filter_map(Entry::read).find_map(|entry| name(entry.kind))
}

/// The sample entry of a track.
struct Entry<'a> {
    kind: [u8; 4],
    version: u16,
    channels: u16,
    /// The boxes behind its fields.
    parts: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(trak: &'a [u8]) -> Option<Self> {
        let table = child(child(child(trak, b"mdia")?, b"minf")?, b"stbl")?;
        // Behind version, flags and the count.
        let (kind, body) = boxes(child(table, b"stsd")?.get(8..)?).next()?;
        let field = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let version = field(8)?;
        let parts = body.get(if version == 0 { 28 } else { 44 }..).unwrap_or_default();
        Some(Entry { kind, version, channels: field(16)?, parts })
    }
}
