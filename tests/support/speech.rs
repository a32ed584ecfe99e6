//! Speech of the fixtures as files, and samples as a file.

use bytes::Bytes;

pub fn recording(file: &str) -> Bytes {
    let path = format!("{}/tests/fixtures/speech/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().into()
}

/// 16-bit samples at 16 kHz as a WAV file.
pub fn wav(samples: &[f32]) -> Bytes {
    let mut wav =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
    wav.extend((2 * samples.len() as u32).to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()));
    wav.into()
}
