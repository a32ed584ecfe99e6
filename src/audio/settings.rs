//! The `[audio]` settings in, the limits of one upload out.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Decoder, Isolation, Limits};

/// The very program that runs, also where its file has been replaced since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the operator may set (`[audio]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Seconds of audio that one upload may decode to.
    pub max_duration_seconds: u64,
    /// Bytes of 16 kHz mono samples that one upload may hold in memory.
    pub max_decoded_bytes: usize,
    /// Bytes of such samples in memory together, over all uploads; further ones wait, already decoded, for room.
    pub max_decoded_total_bytes: usize,
    pub max_channels: usize,
    /// Seconds of wall time that decoding one upload may take.
    pub max_decode_seconds: u64,
    /// `None`: `process` for a server on Linux, else `thread`.
    pub decode_isolation: Option<Isolation>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            // Four hours: 921.6 MB of samples, just under the next limit.
            max_duration_seconds: 4 * 3600,
            max_decoded_bytes: 1 << 30,
            max_decoded_total_bytes: 4 << 30,
            max_channels: 32,
            max_decode_seconds: 300,
            decode_isolation: None,
        }
    }
}

impl Settings {
    /// Where processes are asked for, they are this program's. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where they cannot be had: elsewhere than on Linux, or where the system refuses to start one.
    pub fn decoder(&self) -> io::Result<Decoder> {
        match self.decode_isolation.unwrap_or(Isolation::Thread) {
            Isolation::Thread => Ok(Decoder::in_threads(self.limits(), self.max_decoded_total_bytes)),
            Isolation::Process if cfg!(target_os = "linux") => {
                Decoder::in_processes(self.limits(), self.max_decoded_total_bytes, Path::new(THIS_PROGRAM))
            }
            Isolation::Process => Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux can do it")),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            max_duration: Duration::from_secs(self.max_duration_seconds),
            max_decoded_bytes: self.max_decoded_bytes,
            max_channels: self.max_channels,
            max_decode_time: Duration::from_secs(self.max_decode_seconds),
        }
    }
}
