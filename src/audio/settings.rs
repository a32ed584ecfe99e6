//! The `[audio]` settings in, the limits of one upload out.

use std::time::Duration;

use super::Limits;

/// What the operator may set (`[audio]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seconds of audio that one upload may decode to.
    pub max_duration_seconds: u64,
    /// Bytes of 16 kHz mono samples that one upload may hold in memory.
    pub max_decoded_bytes: usize,
    pub max_channels: usize,
    /// Seconds of wall time that decoding one upload may take.
    pub max_decode_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            // Four hours: 921.6 MB of samples, just under the next limit.
            max_duration_seconds: 4 * 3600,
            max_decoded_bytes: 1 << 30,
            max_channels: 32,
            max_decode_seconds: 300,
        }
    }
}

impl Settings {
    pub fn limits(&self) -> Limits {
        Limits {
            max_duration: Duration::from_secs(self.max_duration_seconds),
            max_decoded_bytes: self.max_decoded_bytes,
            max_channels: self.max_channels,
            max_decode_time: Duration::from_secs(self.max_decode_seconds),
        }
    }
}
