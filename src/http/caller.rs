//! Who asks: what handlers may know of a key's holder, what they tell of the work done for it, and the audit line of a private one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Extensions;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::bench::Bench;
use super::digest::Digest;
use super::error::ApiError;
use super::keys::{Class, Holder, Place};
use crate::transcriber::Terms;

/// In every request's extensions. What lives longer than its handler, such as a websocket, keeps a clone: the key's place is free, and
/// the audit line written, when the last one is dropped.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<Visit>>);

/// One request of a key.
pub struct Visit {
    holder: Arc<Holder>,
    id: String,
    route: String,
    facts: Mutex<Facts>,
    _place: Option<Place>,
}

#[derive(Default)]
struct Facts {
    /// What was answered; 0: nobody was there any more to answer.
    status: u16,
    upload: Option<Digest>,
    audio: Duration,
}

impl Visit {
    pub fn new(holder: Arc<Holder>, place: Option<Place>, id: String, route: String) -> Self {
        Visit { holder, id, route, facts: Mutex::default(), _place: place }
    }

    fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl From<Visit> for Caller {
    fn from(visit: Visit) -> Caller {
        Caller(Some(Arc::new(visit)))
    }
}

impl Caller {
    /// Nobody in particular, where there are no keys.
    pub fn of(extensions: &Extensions) -> Caller {
        extensions.get::<Caller>().cloned().unwrap_or_default()
    }

    /// Stands for the key; 0: nobody's.
    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |visit| visit.holder.number)
    }

    /// Nothing of what is asked or answered may be kept or written down.
    pub fn is_private(&self) -> bool {
        self.0.as_ref().is_some_and(|visit| visit.holder.entry.is_private)
    }

    /// What the request asks for, on the key's terms.
    pub fn terms(&self, terms: Terms) -> Terms {
        let is_batch = self.0.as_ref().is_some_and(|visit| visit.holder.entry.class == Class::Batch);
        Terms { key: self.number(), is_patient: terms.is_patient || is_batch, ..terms }
    }

    /// So much audio was transcribed for it, which its quota pays for. A stream tells this when it ends.
    pub fn heard(&self, audio: Duration) {
        let Some(visit) = &self.0 else { return };
        visit.holder.meter.heard(audio, Instant::now());
        self.shown(audio);
    }

    /// An answer about so much audio was given once more, and costs nothing.
    pub fn shown(&self, audio: Duration) {
        if let Some(visit) = &self.0 {
            visit.note(|facts| facts.audio += audio);
        }
    }

    /// What was sent, for the audit line: nobody else's uploads are hashed.
    pub async fn sent(&self, upload: &Bytes, bench: &Bench) -> Result<(), ApiError> {
        let Some(visit) = self.0.as_ref().filter(|_| self.is_private()) else { return Ok(()) };
        let upload = upload.clone();
        let digest = bench.work(move || Ok(Digest::of(&upload))).await?;
        visit.note(|facts| facts.upload = Some(digest));
        Ok(())
    }

    /// The answer on its way; until its body has gone, the request is not over.
    pub fn answered(self, response: Response) -> Response {
        if let Some(visit) = &self.0 {
            visit.note(|facts| facts.status = response.status().as_u16());
        }
        response.map(|body| Body::new(Held { body, _caller: self }))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.holder.entry.is_private {
            return;
        }
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let sha256 = facts.upload.map(|digest| digest.to_string());
        let sha256 = sha256.as_deref().map(|text| text.trim_start_matches("sha256:"));
        // As in the access log: nginx's number for a client that closed the connection.
        let status = if facts.status == 0 { 499 } else { facts.status };
        let (key, id, route) = (self.holder.entry.label.as_str(), self.id.as_str(), self.route.as_str());
        let seconds = facts.audio.as_secs_f64();
        tracing::info!(target: "audit", key, id, route, sha256, seconds, status);
    }
}

/// A body and whoever it is for.
struct Held {
    body: Body,
    _caller: Caller,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::super::settings::Settings;
    use super::*;

    fn caller(more: &str) -> Caller {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let digest = Digest::of(b"secret");
        std::fs::write(file.path(), format!("[[keys]]\nlabel = 'a'\ndigest = '{digest}'\n{more}\n")).unwrap();
        let keys = Keys::new(&Settings { keys_file: Some(file.path().to_owned()), ..Settings::default() });
        Visit::new(keys.holder(b"secret").unwrap(), None, "1".to_owned(), "/transcribe".to_owned()).into()
    }

    #[test]
    fn a_key_has_a_number_of_its_own_and_one_of_the_class_batch_is_patient() {
        let patient = |caller: &Caller| caller.terms(Terms::default()).is_patient;
        let (usual, batch) = (caller(""), caller("class = 'batch'"));
        assert_eq!((patient(&usual), patient(&batch), patient(&Caller::default())), (false, true, false));
        assert!(usual.terms(Terms { is_patient: true, ..Terms::default() }).is_patient);
        assert_eq!(usual.terms(Terms::default()).key, Digest::of(b"a").number());
        assert_eq!(Caller::default().terms(Terms::default()).key, 0);
    }
}
