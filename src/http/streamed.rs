//! A transcription under way in, server-sent events out: the text window by window, and the whole of it in the end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::error::ApiError;
use super::transcriptions::Work;
use crate::format::ReadAlong;
use crate::transcript::{Segment, Transcript};

/// Proxies cut what is silent for a minute, mostly.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Until then a failure still gets a status of its own; afterwards it is an event of a stream that is under way.
const FIRST_WORD: Duration = Duration::from_secs(5);

type Running = Pin<Box<dyn Future<Output = Result<Transcript, ApiError>> + Send>>;

/// Dropping the response's body drops the work.
pub async fn answer(work: Work) -> Result<Response, ApiError> {
    let (hearer, heard) = unbounded_channel();
    let along = ReadAlong::new(work.wanted.layout.clone());
    let work: Running = Box::pin(work.transcript(Some(hearer)));
    let mut telling = Telling { work: Some(work), heard, along: Some(along) };
    let first = match tokio::time::timeout(FIRST_WORD, telling.next()).await {
        Ok(Some(Ok(events))) => events,
        Ok(Some(Err(error))) => return Err(error),
        Ok(None) | Err(_) => Vec::new(),
    };
    let rest = stream::unfold(telling, async |mut telling| {
        let events = match telling.next().await? {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "a transcription failed while it was being told");
                vec![error.body()]
            }
        };
        Some((stream::iter(events), telling))
    });
    let events = stream::iter(first).chain(rest.flatten());
    let events = events.map(|event| Ok::<_, Infallible>(Event::default().data(event.trim_end())));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // nginx would gather events until its buffer is full.
    let name = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
    Ok(response)
}

struct Telling {
    /// `None` once it is done.
    work: Option<Running>,
    heard: UnboundedReceiver<Vec<Segment>>,
    along: Option<ReadAlong>,
}

impl Telling {
    /// The next events, `None` behind the last.
    async fn next(&mut self) -> Option<Result<Vec<String>, ApiError>> {
        loop {
            let work = self.work.as_mut()?;
            tokio::select! {
                biased;
                Some(segments) = self.heard.recv() => {
                    let events = self.along.as_mut()?.more(&segments);
                    if !events.is_empty() {
                        return Some(Ok(events));
                    }
                }
                done = work => {
                    self.work = None;
                    return Some(done.and_then(|transcript| self.end(&transcript)));
                }
            }
        }
    }

    fn end(&mut self, transcript: &Transcript) -> Result<Vec<String>, ApiError> {
        let mut events = Vec::new();
        let mut along = self.along.take().expect("there is one until the end");
        while let Ok(segments) = self.heard.try_recv() {
            events.extend(along.more(&segments));
        }
        let last = along.end(transcript);
        let last = last.ok_or_else(|| {
            ApiError::Internal("the text that was told is not the text of the transcript".to_owned())
        })?;
        events.extend(last);
        Ok(events)
    }
}
