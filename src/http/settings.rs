//! What the operator may set of the server (`[server]`), with the defaults.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{cors, realtime};
use crate::model::Secret;

/// Limits are on by default. Times are in seconds and may have a fraction; 0 does not switch a limit off.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address to listen on. The default is reachable from this machine alone.
    pub host: IpAddr,
    pub port: u16,
    /// Names that the loaded model answers to beside its own, for clients that cannot be told another.
    pub model_aliases: Vec<String>,
    /// `label:secret` each, for those who have no file; see `keys_file`.
    pub keys: Vec<Secret>,
    /// Labels and digests of the keys that callers must have, with their quotas.
    pub keys_file: Option<PathBuf>,
    /// Whether everybody who can reach the server may use it, where there are no keys and that is not this machine alone.
    pub allow_no_keys: bool,
    /// What may be looked at without a key, with all that is below it, beside the routes that platforms ask.
    pub open_routes: Vec<String>,
    /// Pages from there may ask and read answers; `*`: from everywhere. None: browsers keep every page out.
    pub cors_origins: Vec<String>,
    /// How long an answer is kept for a request that comes again under the same `Idempotency-Key`. 0: only what still runs is joined.
    #[serde(rename = "idempotency_seconds", with = "seconds")]
    pub idempotency_keep: Duration,
    /// Answers kept for that at most, and their bytes; the oldest go first.
    pub idempotency_max_answers: usize,
    pub idempotency_max_bytes: u64,
    /// Largest upload, the form around it included. Larger ones get 413.
    pub max_body_bytes: u64,
    /// Transcriptions that may be under way or waiting. Further ones get 503 with `Retry-After`, before their upload is read.
    pub max_requests: usize,
    /// Audio accepted and not yet transcribed, in seconds; beyond it requests get 503 with `Retry-After` before their upload is
    /// read.
    pub max_queue_audio_seconds: u64,
    /// `/readyz` says 503 while more audio than this waits, in seconds, so that a balancer asks others before requests are refused.
    /// `None`: half of `max_queue_audio_seconds`.
    pub ready_max_queue_audio_seconds: Option<u64>,
    /// Bytes of uploads in memory at once, by what their headers announce; an upload of unknown length counts as the largest.
    pub max_uploads_bytes: u64,
    /// Open connections. Further ones wait in the system's backlog.
    pub max_connections: usize,
    /// From the connection to the last header of its first request.
    #[serde(rename = "header_timeout_seconds", with = "seconds")]
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests, the headers of the second included.
    #[serde(rename = "keep_alive_seconds", with = "seconds")]
    pub keep_alive: Duration,
    /// Longest pause within an upload, and the head start before `min_body_rate_bytes` counts.
    #[serde(rename = "body_idle_timeout_seconds", with = "seconds")]
    pub body_idle_timeout: Duration,
    /// Bytes a second that an upload must reach on average. 0: any speed will do.
    pub min_body_rate_bytes: u64,
    /// Longest time that one upload may take.
    #[serde(rename = "upload_timeout_seconds", with = "seconds")]
    pub upload_timeout: Duration,
    /// Longest time that a transcription may take once its upload is there.
    #[serde(rename = "request_timeout_seconds", with = "seconds")]
    pub request_timeout: Duration,
    /// At the end, how long new requests are still taken while `/readyz` already says 503, so that balancers notice.
    #[serde(rename = "drain_delay_seconds", with = "seconds")]
    pub drain_delay: Duration,
    /// After that, how long requests under way may take to finish.
    #[serde(rename = "drain_timeout_seconds", with = "seconds")]
    pub drain_timeout: Duration,
    /// `/readyz` says 503 when the device's thread has shown no life for so long. On a CPU one batch can take a minute.
    #[serde(rename = "heartbeat_timeout_seconds", with = "seconds")]
    pub heartbeat_timeout: Duration,
    pub realtime: realtime::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            host: IpAddr::from([127, 0, 0, 1]),
            port: 8080,
            model_aliases: vec!["whisper-1".to_owned()],
            keys: Vec::new(),
            keys_file: None,
            allow_no_keys: false,
            open_routes: ["/", "/docs", "/openapi.json"].map(str::to_owned).into(),
            cors_origins: Vec::new(),
            idempotency_keep: Duration::from_secs(600),
            idempotency_max_answers: 1_000,
            idempotency_max_bytes: 64 << 20,
            max_body_bytes: 100 << 20,
            max_requests: 64,
            max_queue_audio_seconds: 36_000,
            ready_max_queue_audio_seconds: None,
            max_uploads_bytes: 2 << 30,
            max_connections: 1024,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_idle_timeout: Duration::from_secs(15),
            min_body_rate_bytes: 16 << 10,
            upload_timeout: Duration::from_secs(600),
            request_timeout: Duration::from_secs(600),
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(300),
            heartbeat_timeout: Duration::from_secs(120),
            realtime: realtime::Settings::default(),
        }
    }
}

impl Settings {
    /// Seconds of waiting audio up to which `/readyz` says 200.
    pub fn ready_mark(&self) -> u64 {
        self.ready_max_queue_audio_seconds.unwrap_or(self.max_queue_audio_seconds / 2)
    }

    /// What types alone do not say: the key that is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !self.cors_origins.iter().all(|origin| cors::is_origin(origin)) {
            let problem = "must list origins as browsers write them, https://app.example without a slash at the end, or \"*\"";
            return Err(("server.cors_origins", problem));
        }
        if !self.open_routes.iter().all(|route| route.starts_with('/')) {
            return Err(("server.open_routes", "must list paths that begin with a slash"));
        }
        Ok(())
    }
}

/// A `Duration` as a number of seconds.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// A timer that far away overflows in places; a week is as good as for ever.
    const MOST: f64 = 604_800.0;

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        // As written: `10`, not `10.0`, so that an integer in the file stays one.
        if time.subsec_nanos() == 0 {
            return serializer.serialize_u64(time.as_secs());
        }
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=MOST).contains(&seconds) {
            return Err(D::Error::custom(format!("must be between 0 and {MOST} seconds, not {seconds}")));
        }
        Ok(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults_and_they_survive_a_round_trip() {
        let empty: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Settings::default());
        let written = serde_json::to_string(&empty).unwrap();
        assert!(written.contains(r#""request_timeout_seconds":600,"#), "{written}");
        assert_eq!(serde_json::from_str::<Settings>(&written).unwrap(), empty);
    }

    #[test]
    fn times_may_have_a_fraction_but_must_make_sense() {
        let short: Settings = serde_json::from_str(r#"{"keep_alive_seconds": 0.25}"#).unwrap();
        assert_eq!(short.keep_alive, Duration::from_millis(250));
        for wrong in ["-1", "1e30", "\"ten\""] {
            let text = format!(r#"{{"keep_alive_seconds": {wrong}}}"#);
            assert!(serde_json::from_str::<Settings>(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = serde_json::from_str::<Settings>(r#"{"prot": 1}"#).unwrap_err().to_string();
        assert!(error.contains("prot") && error.contains("port"), "{error}");
    }
}
