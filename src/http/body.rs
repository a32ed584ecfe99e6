//! A request's body in, its bytes out, counted and timed as they come: headers are never trusted, and nobody may dawdle.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, header};
use tokio::time::Instant;

use super::error::ApiError;
use super::settings::Settings;

/// After a refusal, how much of an upload is still taken in, and for how long, so that the client reads the refusal
/// instead of a reset connection.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(3);
/// A hundred gigabytes at ten megabits a second.
const LONGEST_JOB: Duration = Duration::from_secs(86_400);

/// What one upload may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    max_bytes: u64,
    /// What sets it.
    setting: &'static str,
    idle: Duration,
    min_rate: u64,
    total: Duration,
}

impl Limits {
    pub fn of(settings: &Settings) -> Self {
        Limits {
            max_bytes: settings.max_body_bytes,
            setting: "server.max_body_bytes",
            idle: settings.body_idle_timeout,
            min_rate: settings.min_body_rate_bytes,
            total: settings.upload_timeout,
        }
    }

    /// For many files at once, which are put away as they come: what that takes is no fault of the client's.
    pub fn of_a_job(self, bytes: u64) -> Self {
        Limits { max_bytes: bytes, setting: "jobs.max_job_bytes", min_rate: 0, total: LONGEST_JOB, ..self }
    }

    fn too_large(&self) -> ApiError {
        ApiError::BodyTooLarge { limit: self.max_bytes, setting: self.setting }
    }

    /// For what is no audio, and needs less.
    pub fn at_most(self, bytes: u64) -> Self {
        Limits { max_bytes: self.max_bytes.min(bytes), ..self }
    }
}

/// Refuses what the headers alone show to be refused, before a byte of the body is read. Gives the length that they announce.
pub fn check_headers(headers: &HeaderMap, limits: &Limits) -> Result<Option<u64>, ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity") && !encoding.is_empty()) {
        // Unpacking would let a small upload become a large one, and audio is compressed already.
        let message = "compressed bodies (Content-Encoding) are not taken; send the audio file as it is";
        return Err(ApiError::UnsupportedType(message.to_owned()));
    }
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > limits.max_bytes => Err(limits.too_large()),
        length => Ok(length),
    }
}

/// The body as a stream that ends with an error as soon as a limit is passed.
pub fn counted(body: Body, limits: Limits) -> impl Stream<Item = Result<Bytes, ApiError>> + Send {
    let body = Some(body.into_data_stream());
    let reader = Reader { body, limits, started: Instant::now(), read: 0 };
    stream::try_unfold(reader, |mut reader| async {
        let chunk = reader.next().await?;
        Ok(chunk.map(|chunk| (chunk, reader)))
    })
}

/// The whole body.
pub async fn collect(body: Body, limits: Limits) -> Result<Bytes, ApiError> {
    let mut chunks = std::pin::pin!(counted(body, limits));
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk?);
    }
    Ok(whole.freeze())
}

/// Reads on for a moment and forgets it, in the background.
pub fn linger(headers: &HeaderMap, body: Body) {
    // A client that asked before sending is still waiting, and reading would tell it to go ahead.
    if !headers.contains_key(header::EXPECT) {
        discard(body.into_data_stream());
    }
}

fn discard(mut chunks: BodyDataStream) {
    let discard = async move {
        let mut read = 0;
        while let Some(Ok(chunk)) = chunks.next().await {
            read += chunk.len();
            if read > LINGER_BYTES {
                break;
            }
        }
    };
    // The last requests of a runtime that ends have none to read on in, and no need to.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(tokio::time::timeout(LINGER, discard));
    }
}

struct Reader {
    /// `None` from the end on, good or bad.
    body: Option<BodyDataStream>,
    limits: Limits,
    started: Instant,
    read: u64,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let (deadline, why) = self.deadline();
        let Some(body) = &mut self.body else { return Ok(None) };
        let chunk = match tokio::time::timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            ended => {
                self.body = None;
                return match ended {
                    Err(_) => Err(ApiError::SlowUpload(why)),
                    Ok(Some(Err(error))) => Err(ApiError::BrokenUpload(error.to_string())),
                    Ok(_) => Ok(None),
                };
            }
        };
        self.read += chunk.len() as u64;
        if self.read > self.limits.max_bytes {
            return Err(self.limits.too_large());
        }
        Ok(Some(chunk))
    }

    /// When the next chunk must be here, and which limit it would pass otherwise.
    fn deadline(&self) -> (Instant, String) {
        let Limits { idle, min_rate, total, .. } = self.limits;
        let pause = (
            Instant::now() + idle,
            format!("a pause of {} s (server.body_idle_timeout_seconds)", idle.as_secs_f64()),
        );
        let whole = (
            self.started + total,
            format!("more than {} s in all (server.upload_timeout_seconds)", total.as_secs_f64()),
        );
        // What has come so far buys this much time; `idle` is the head start.
        let bought =
            (min_rate > 0).then(|| idle + Duration::from_secs_f64(self.read as f64 / min_rate as f64));
        let rate = bought.map(|bought| {
            (self.started + bought, format!("under {min_rate} bytes a second (server.min_body_rate_bytes)"))
        });
        let limits = [Some(pause), Some(whole), rate].into_iter().flatten();
        limits.min_by_key(|(deadline, _)| *deadline).expect("two limits always apply")
    }
}

impl Drop for Reader {
    /// Refused half-way: the client is still sending and must be able to read why.
    fn drop(&mut self) {
        if let Some(rest) = self.body.take() {
            discard(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            max_bytes: 100,
            setting: "server.max_body_bytes",
            idle: Duration::from_secs(2),
            min_rate: 10,
            total: Duration::from_secs(20),
        }
    }

    /// Chunks of `size` bytes, one every `pause`; time is the test's own.
    fn dripping(chunks: usize, size: usize, pause: Duration) -> Body {
        Body::from_stream(stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; size]))
        }))
    }

    fn slow(result: Result<Bytes, ApiError>) -> String {
        match result {
            Err(ApiError::SlowUpload(why)) => why,
            other => panic!("not slow: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_upload_is_read_whole() {
        let body = dripping(10, 10, Duration::from_millis(900));
        assert_eq!(collect(body, limits()).await.unwrap().len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_whatever_the_headers_said() {
        let result = collect(dripping(11, 10, Duration::ZERO), limits()).await;
        assert!(matches!(result, Err(ApiError::BodyTooLarge { limit: 100, .. })), "{result:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_the_upload() {
        let why = slow(collect(dripping(2, 50, Duration::from_secs(3)), limits()).await);
        assert!(why.contains("body_idle_timeout_seconds"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_without_pauses_ends_too() {
        let why = slow(collect(dripping(90, 1, Duration::from_millis(500)), limits()).await);
        assert!(why.contains("min_body_rate_bytes"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_the_whole_time_still_counts() {
        let any_rate = Limits { min_rate: 0, ..limits() };
        let why = slow(collect(dripping(90, 1, Duration::from_millis(500)), any_rate).await);
        assert!(why.contains("upload_timeout_seconds"), "{why}");
    }

    #[test]
    fn headers_alone_can_refuse() {
        let check = |name, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            check_headers(&headers, &limits()).map_err(|error| error.status().as_u16())
        };
        assert_eq!(check(header::CONTENT_LENGTH, "100"), Ok(Some(100)));
        assert_eq!(check(header::CONTENT_LENGTH, "101"), Err(413));
        assert_eq!(check(header::CONTENT_ENCODING, "identity"), Ok(None));
        assert_eq!(check(header::CONTENT_ENCODING, "gzip"), Err(415));
    }
}
