//! Every container and codec in, the same sound out; damage reported; hostile bytes refused; log-mel as OpenAI's.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod channels;
mod formats;
mod hostile;
mod incomplete;
#[cfg(target_os = "linux")]
mod isolation;
mod live_speech;
#[cfg(target_os = "linux")]
mod lives;
mod mel;
mod speech;
mod windows;

use std::time::Duration;

use bytes::Bytes;
use verbatim::audio::{AudioError, Decoded, Limits, decode};

/// Limits that no fixture comes near.
fn generous() -> Limits {
    Limits {
        max_duration: Duration::from_secs(3600),
        max_decoded_bytes: 256 << 20,
        max_channels: 32,
        max_decode_time: Duration::from_secs(600),
    }
}

/// A committed file; `tools/fixtures/audio.sh` makes them.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/audio/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(bytes: impl Into<Bytes>) -> Result<Decoded, AudioError> {
    decode(bytes.into(), &generous())
}

/// A fixture of 16-bit WAV at 16 kHz, taken apart by hand: what everything else is held against.
fn reference() -> Vec<f32> {
    let file = fixture("reference.wav");
    let data = file.windows(4).position(|word| word == b"data").unwrap() + 8;
    file[data..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
        .collect()
}

/// A WAV of 16-bit samples.
fn wav(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    wav_of(1, rate, channels, 16, &data)
}

/// A WAV around `data`; `format`: 1 integers, 3 floats.
fn wav_of(format: u16, rate: u32, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let frame = channels.wrapping_mul(bits) / 8;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.wrapping_mul(frame.into()).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// Numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }
}
