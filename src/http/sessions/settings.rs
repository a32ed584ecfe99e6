//! What the operator may set of dictations (`[sessions]`), with the defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Sessions at once, finished ones counted. Further ones get 503.
    pub max_sessions: usize,
    /// Audio of one session.
    pub max_seconds: u64,
    /// A session that nobody asks for is forgotten after so long.
    pub idle_timeout_seconds: u64,
    /// Chunks that may come before the one that is expected.
    pub max_chunks_ahead: u64,
    /// Audio of all sessions in memory: 4 bytes a sample at 16 kHz, and what was sent of files that grow.
    pub max_memory_bytes: usize,
    /// Where sessions are kept so that they outlive the process; `None`: in memory alone.
    pub dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_sessions: 256,
            max_seconds: 7200,
            idle_timeout_seconds: 900,
            max_chunks_ahead: 16,
            max_memory_bytes: 1 << 30,
            dir: None,
        }
    }
}
