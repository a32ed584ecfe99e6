//! What the operator may set of realtime sessions (`[server.realtime]`), with the defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::settings::seconds;

/// A session may last as long as it likes; these bound what it can hold meanwhile.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Sessions open at once. Each takes one of `server.max_requests` as well.
    pub max_sessions: usize,
    /// Audio that may wait for the client's commit, where the client says when a turn ends.
    #[serde(rename = "max_uncommitted_seconds", with = "seconds")]
    pub max_uncommitted: Duration,
    /// Audio of turns that are not answered yet. Beyond it the session is not read from until there is room again.
    #[serde(rename = "max_backlog_seconds", with = "seconds")]
    pub max_backlog: Duration,
    /// Events that may wait for a client that does not read; then the session is closed.
    pub max_unread_events: usize,
    /// Sessions in which the client says nothing for so long are closed.
    #[serde(rename = "idle_timeout_seconds", with = "seconds")]
    pub idle_timeout: Duration,
    /// From one ping to the next. A client that answers none of three in a row has left.
    #[serde(rename = "ping_seconds", with = "seconds")]
    pub ping: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_sessions: 32,
            max_uncommitted: Duration::from_secs(300),
            max_backlog: Duration::from_secs(120),
            max_unread_events: 1024,
            idle_timeout: Duration::from_secs(300),
            ping: Duration::from_secs(20),
        }
    }
}
