//! `Idempotency-Key` in; out: the answer of the request that already runs under it, or ran a moment ago, so that nobody pays twice.
//!
//! OpenAI's SDKs say the same key with every retry of a request, once they have been told the header's name; the form's boundary is another
//! each time, so it is the file and the fields that are compared. The work belongs to all who wait for it, and ends with the last of
//! them. Answers that are streamed are nobody else's: their handlers do not come here.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use http::{HeaderMap, HeaderName, HeaderValue, response};

use super::bench::Bench;
use super::caller::Caller;
use super::digest::Digest;
use super::error::ApiError;
use super::form::Form;
use super::settings::Settings;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAY: HeaderName = HeaderName::from_static("x-idempotent-replay");
const LONGEST: usize = 255;
/// Of what is kept beside the body.
const OVERHEAD: usize = 1 << 10;

/// What the client calls its request; `None`: it does not mind paying twice.
pub fn read(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(given) = headers.get(KEY).map(HeaderValue::as_bytes) else { return Ok(None) };
    match (1..=LONGEST).contains(&given.len()) && given.iter().all(u8::is_ascii_graphic) {
        true => Ok(Some(String::from_utf8_lossy(given).into_owned())),
        false => {
            let message =
                format!("Idempotency-Key must be 1 to {LONGEST} printable characters without spaces");
            Err(ApiError::param("Idempotency-Key", message))
        }
    }
}

pub fn is_replay(response: &Response) -> bool {
    response.headers().contains_key(REPLAY)
}

/// A request that may be joined.
pub struct Claim {
    /// Whose it is and what it is called: one key's names mean nothing to another.
    name: (u64, String),
    content: Digest,
    /// Whether the answer may be kept when nobody waits any more.
    may_keep: bool,
}

impl Claim {
    pub async fn new(name: String, caller: &Caller, asked: Asked, bench: &Bench) -> Result<Claim, ApiError> {
        let content = bench.work(move || Ok(asked.digest())).await?;
        Ok(Claim { name: (caller.number(), name), content, may_keep: !caller.is_private() })
    }
}

/// What a request is, whatever it is called.
pub struct Asked {
    pub route: String,
    pub form: Form,
}

impl Asked {
    fn digest(&self) -> Digest {
        let fields = self.form.fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Digest::of_all([self.route.as_bytes(), &self.form.audio].into_iter().chain(fields))
    }
}

/// Requests that run under a name, and answers that are kept for a while; cheap to clone.
#[derive(Clone)]
pub struct Answers(Arc<Shelf>);

struct Shelf {
    /// 0: an answer is forgotten as soon as nobody waits for it.
    keep: Duration,
    max_bytes: usize,
    max_answers: usize,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    entries: HashMap<(u64, String), Entry>,
    /// The oldest first.
    kept: VecDeque<(Instant, (u64, String), u64)>,
    bytes: usize,
    claims: u64,
}

struct Entry {
    claim: u64,
    content: Digest,
    state: State,
}

enum State {
    Running(WeakShared<BoxFuture<'static, Arc<Told>>>),
    Done(Arc<Told>),
}

/// A whole answer.
struct Told {
    parts: response::Parts,
    body: Bytes,
}

enum Found {
    Running(Shared<BoxFuture<'static, Arc<Told>>>),
    Done(Arc<Told>),
}

impl Answers {
    pub fn new(settings: &Settings) -> Self {
        Answers(Arc::new(Shelf {
            keep: settings.idempotency_keep,
            max_bytes: settings.idempotency_max_bytes as usize,
            max_answers: settings.idempotency_max_answers,
            books: Mutex::default(),
        }))
    }

    /// Does the work, or waits for somebody's who does the same, or remembers. Dropping the last future that waits drops the work.
    pub async fn answer(
        &self,
        claim: Claim,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let (found, is_replay) = self.find_or_begin(claim, work)?;
        let told = match found {
            Found::Done(told) => told,
            Found::Running(running) => running.await,
        };
        Ok(told.again(is_replay))
    }

    fn find_or_begin(
        &self,
        claim: Claim,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> Result<(Found, bool), ApiError> {
        self.0.forget(Instant::now());
        let mut books = self.0.books();
        if let Some(entry) = books.entries.get(&claim.name) {
            let is_same = entry.content == claim.content;
            let found = match &entry.state {
                State::Done(told) => Some(Found::Done(told.clone())),
                // `None`: nobody waits any more, it is just being given up.
                State::Running(running) => running.upgrade().map(Found::Running),
            };
            if let Some(found) = found {
                // First: where everybody else has left meanwhile, this is the last one that waits, and work that ends opens the books.
                drop(books);
                return if is_same { Ok((found, true)) } else { Err(ApiError::KeyReused) };
            }
        }
        books.claims += 1;
        let number = books.claims;
        let Claim { name, content, may_keep } = claim;
        let place = Under { shelf: Arc::downgrade(&self.0), name: name.clone(), claim: number };
        let running = async move {
            let told = Arc::new(Told::of(work.await).await);
            place.done(&told, may_keep);
            told
        };
        let running = running.boxed().shared();
        let state = State::Running(running.downgrade().expect("it has just been made"));
        books.entries.insert(name, Entry { claim: number, content, state });
        Ok((Found::Running(running), false))
    }
}

impl Shelf {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, now: Instant) {
        let mut books = self.books();
        while let Some((at, ..)) = books.kept.front() {
            let is_over = books.kept.len() > self.max_answers || books.bytes > self.max_bytes;
            if !is_over && now.saturating_duration_since(*at) < self.keep {
                break;
            }
            books.forget_oldest();
        }
    }
}

impl Books {
    fn forget_oldest(&mut self) {
        let Some((_, name, claim)) = self.kept.pop_front() else { return };
        if let Some(Entry { state: State::Done(told), .. }) = self.take(&name, claim) {
            self.bytes -= told.size();
        }
    }

    fn take(&mut self, name: &(u64, String), claim: u64) -> Option<Entry> {
        let is_it = self.entries.get(name).is_some_and(|entry| entry.claim == claim);
        is_it.then(|| self.entries.remove(name)).flatten()
    }
}

/// A running request's entry. It goes with the work, unless the answer takes its place.
struct Under {
    shelf: Weak<Shelf>,
    name: (u64, String),
    claim: u64,
}

impl Under {
    /// What failed may go well another time.
    fn done(&self, told: &Arc<Told>, may_keep: bool) {
        let Some(shelf) = self.shelf.upgrade() else { return };
        let fits = told.size() <= shelf.max_bytes && shelf.max_answers > 0;
        if !may_keep || !fits || shelf.keep.is_zero() || !told.parts.status.is_success() {
            return;
        }
        let mut books = shelf.books();
        match books.entries.get_mut(&self.name) {
            Some(entry) if entry.claim == self.claim => entry.state = State::Done(told.clone()),
            _ => return,
        }
        books.bytes += told.size();
        books.kept.push_back((Instant::now(), self.name.clone(), self.claim));
        drop(books);
        shelf.forget(Instant::now());
        // Also where no request comes that would.
        let (weak, keep) = (self.shelf.clone(), shelf.keep);
        tokio::spawn(async move {
            tokio::time::sleep(keep).await;
            if let Some(shelf) = weak.upgrade() {
                shelf.forget(Instant::now());
            }
        });
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        let Some(shelf) = self.shelf.upgrade() else { return };
        let mut books = shelf.books();
        let is_running = |entry: &Entry| matches!(entry.state, State::Running(_));
        if books.entries.get(&self.name).is_some_and(is_running) {
            let _gone = books.take(&self.name, self.claim);
        }
    }
}

impl Told {
    async fn of(response: Response) -> Told {
        let (parts, body) = response.into_parts();
        match to_bytes(body, usize::MAX).await {
            Ok(body) => Told { parts, body },
            Err(error) => {
                let (parts, _) =
                    ApiError::Internal(format!("an answer broke off: {error}")).into_response().into_parts();
                Told { parts, body: Bytes::new() }
            }
        }
    }

    fn again(&self, is_replay: bool) -> Response {
        let mut response = Response::from_parts(self.parts.clone(), Body::from(self.body.clone()));
        if is_replay {
            response.headers_mut().insert(REPLAY, HeaderValue::from_static("true"));
        }
        response
    }

    fn size(&self) -> usize {
        self.body.len() + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_forgotten_when_its_time_is_over() {
        let answers = Answers::new(&Settings::default());
        let claim = || Claim { name: (0, "a".to_owned()), content: Digest::of(b"a"), may_keep: true };
        let given = answers.answer(claim(), async { "text".into_response() }).await;
        assert!(given.is_ok_and(|given| !is_replay(&given)));
        let kept = || {
            let books = answers.0.books();
            (books.entries.len(), books.bytes)
        };
        answers.0.forget(Instant::now() + Duration::from_secs(590));
        assert_eq!(kept(), (1, 4 + OVERHEAD));
        answers.0.forget(Instant::now() + Duration::from_secs(601));
        assert_eq!(kept(), (0, 0));
    }
}
