//! A running server and audio files in; how long it takes to answer, and how much it answers, under each number of clients out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::audio::{self, Limits};

use super::report::{Row, short};
use super::spread::{Spread, rounded};

/// Longer than any queue of a benchmark: a server that hangs must end in a figure all the same.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between the parts of a form; nothing that is audio contains it.
const BOUNDARY: &str = "----verbatim-bench-2f1c7d0a9be84e6c";

/// A form with a file in it, and how long the file plays.
pub struct Upload {
    body: Vec<u8>,
    seconds: f64,
}

impl Upload {
    /// The file is decoded here too, to know its length, whatever the server makes of it.
    pub fn read(file: &Path, fields: &[(String, String)], limits: &Limits) -> Result<Upload, String> {
        let bytes = Bytes::from(std::fs::read(file).map_err(|error| error.to_string())?);
        let decoded = audio::decode(bytes.clone(), limits).map_err(|error| error.to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Upload { body: form(fields, &name, &bytes), seconds: decoded.pcm.duration().as_secs_f64() })
    }
}

/// RFC 7578; names that would leave their quotes are changed.
fn form(fields: &[(String, String)], file_name: &str, file: &[u8]) -> Vec<u8> {
    let quoted = |name: &str| name.replace(['"', '\\', '\r', '\n'], "_");
    let mut body = Vec::with_capacity(file.len() + 1024);
    for (name, value) in fields {
        let name = quoted(name);
        let part =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let name = quoted(file_name);
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// All that the clients of one benchmark share.
pub struct Server {
    agent: ureq::Agent,
    base: String,
    route: String,
    authorization: Option<String>,
}

impl Server {
    /// `most`: clients at once, each of which keeps its connection.
    pub fn new(base: &str, route: &str, key: Option<&str>, most: usize) -> Server {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_idle_connections(most)
            .max_idle_connections_per_host(most);
        Server {
            agent: config.build().new_agent(),
            base: base.trim_end_matches('/').to_owned(),
            route: format!("/{}", route.trim_start_matches('/')),
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// What the server says of itself, where it is one of ours.
    pub fn describe(&self) -> Map<String, Value> {
        let mut request = self.agent.get(format!("{}/gpu-info", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let body = request.call().ok().and_then(|mut answer| answer.body_mut().read_to_vec().ok());
        let told: Map<String, Value> =
            body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let names = ["model", "device", "dtype", "gpu_name", "slots"];
        told.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
    }

    /// Sends one upload and waits for the whole answer; `Err` says what came instead of a 200, in few words and in the server's own.
    pub fn ask(&self, upload: &Upload) -> Result<(), (String, String)> {
        let broken = |error: ureq::Error| {
            let said = error.to_string();
            (said.split(':').next().unwrap_or_default().to_owned(), said)
        };
        let mut request = self.agent.post(format!("{}{}", self.base, self.route));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        let answer = request.send(&upload.body[..]).map_err(broken)?;
        let status = answer.status();
        let body = answer.into_body().into_with_config().limit(u64::MAX).read_to_vec().map_err(broken)?;
        match status.is_success() {
            true => Ok(()),
            false => Err((status.as_u16().to_string(), String::from_utf8_lossy(&body).into_owned())),
        }
    }

    /// `clients` at once, each asking again as soon as it is answered, until `requests` have been sent in all. Uploads take turns.
    pub fn load(&self, uploads: &[Upload], clients: usize, requests: usize) -> LoadRow {
        let next = AtomicUsize::new(0);
        let client = || {
            let mut answers: Vec<Answer> = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return answers;
                }
                let upload = &uploads[number % uploads.len()];
                let sent = Instant::now();
                let asked = self.ask(upload);
                let (took, seconds) = (sent.elapsed(), upload.seconds);
                answers.push(Answer { took, seconds, failed: asked.err().map(|(kind, _)| kind) });
            }
        };
        let started = Instant::now();
        let answers = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            // A client has nothing to panic about; what it knew would be lost.
            clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect::<Vec<Answer>>()
        });
        LoadRow::of(clients, &answers, started.elapsed())
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    took: Duration,
    /// Of audio.
    seconds: f64,
    /// Why it was not answered: a status, or what happened to the connection.
    failed: Option<String>,
}

/// What clients felt at one concurrency. Latencies are of the requests that were answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadRow {
    pub concurrency: usize,
    pub requests: usize,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub requests_per_s: f64,
    pub audio_seconds_per_s: f64,
    pub errors: usize,
    /// How many of each kind.
    pub error_kinds: BTreeMap<String, usize>,
}

impl LoadRow {
    fn of(concurrency: usize, answers: &[Answer], wall: Duration) -> LoadRow {
        let answered: Vec<&Answer> = answers.iter().filter(|answer| answer.failed.is_none()).collect();
        let spread = Spread::of(answered.iter().map(|answer| answer.took));
        let percentile = |percent| spread.as_ref().map(|spread| rounded(spread.percentile(percent)));
        let mut error_kinds = BTreeMap::new();
        for kind in answers.iter().filter_map(|answer| answer.failed.as_ref()) {
            *error_kinds.entry(kind.clone()).or_insert(0) += 1;
        }
        let per_second = |amount: f64| rounded(amount / wall.as_secs_f64().max(1e-9));
        LoadRow {
            concurrency,
            requests: answers.len(),
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
            max_ms: percentile(100),
            requests_per_s: per_second(answered.len() as f64),
            audio_seconds_per_s: per_second(answered.iter().map(|answer| answer.seconds).sum()),
            errors: answers.len() - answered.len(),
            error_kinds,
        }
    }
}

impl Row for LoadRow {
    const COLUMNS: &'static [&'static str] =
        &["clients", "requests", "p50 ms", "p95 ms", "p99 ms", "max ms", "requests/s", "audio s/s", "errors"];
    const LABELS: usize = 0;

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.concurrency.to_string(), self.requests.to_string()];
        let latencies = [self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms];
        cells.extend(latencies.map(|latency| latency.map_or_else(|| "-".to_owned(), short)));
        cells.extend([self.requests_per_s, self.audio_seconds_per_s].map(short));
        let kinds = self.error_kinds.iter().map(|(kind, count)| format!("{count} x {kind}"));
        cells.push(if self.errors == 0 { "0".to_owned() } else { kinds.collect::<Vec<_>>().join(", ") });
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ms: u64, failed: Option<&str>) -> Answer {
        Answer { took: Duration::from_millis(ms), seconds: 5.0, failed: failed.map(str::to_owned) }
    }

    #[test]
    fn latencies_are_of_what_was_answered_and_errors_are_counted_by_kind() {
        let mut answers: Vec<Answer> = (1..=100).map(|ms| answer(ms, None)).collect();
        answers.extend([answer(1, Some("503")), answer(9000, Some("timeout")), answer(1, Some("503"))]);
        let row = LoadRow::of(4, &answers, Duration::from_secs(10));
        assert_eq!(
            (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms),
            (Some(50.), Some(95.), Some(99.), Some(100.))
        );
        assert_eq!((row.requests, row.errors), (103, 3));
        assert_eq!((row.requests_per_s, row.audio_seconds_per_s), (10.0, 50.0));
        assert_eq!(row.cells().last().unwrap(), "2 x 503, 1 x timeout");
        assert_eq!(row.cells().len(), LoadRow::COLUMNS.len());
    }

    #[test]
    fn where_nothing_was_answered_there_is_no_latency() {
        let row = LoadRow::of(1, &[answer(3, Some("500"))], Duration::from_secs(1));
        assert_eq!((row.p50_ms, row.requests_per_s, row.errors), (None, 0.0, 1));
        assert!(row.cells().contains(&"-".to_owned()));
    }

    #[test]
    fn a_form_has_its_fields_and_its_file_and_no_name_leaves_its_quotes() {
        let body = form(&[("language".to_owned(), "en".to_owned())], "a\"\r\n.wav", b"RIFF");
        let text = String::from_utf8(body).unwrap();
        let parts: Vec<&str> = text.split(&format!("--{BOUNDARY}")).collect();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[1], "\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n");
        assert!(parts[2].contains("filename=\"a___.wav\"") && parts[2].ends_with("\r\n\r\nRIFF\r\n"));
        assert_eq!(parts[3], "--\r\n");
    }
}
