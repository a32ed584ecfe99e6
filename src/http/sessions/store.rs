//! Every session there is, by whose it is and what it is called; how many, for how long, and where they are kept.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::asked::{self, Opening};
use super::folder::{self, Folder, Kept};
use super::intake;
use super::session::{Room, Session, State};
use super::settings::Settings;
use crate::http::error::ApiError;
use crate::transcriber::Transcriber;

/// Ids of sessions that expired, so that who comes late is told so and does not look for a typing error.
const REMEMBERED: usize = 4096;
/// How often what is idle is looked for where nobody asks.
const ROUNDS: Duration = Duration::from_secs(30);
/// Sessions end or expire in minutes, not in seconds.
const RETRY_AFTER: u64 = 60;

type Key = (u64, String);

#[derive(Clone)]
pub struct Sessions(Arc<Store>);

struct Store {
    settings: Settings,
    awake: Mutex<HashMap<Key, Arc<Session>>>,
    expired: Mutex<VecDeque<Key>>,
    room: Arc<Room>,
    /// One at a time is opened or read back, so that none is there twice.
    door: tokio::sync::Mutex<()>,
}

impl Sessions {
    /// Where there is a folder, it is made, and what is too old in it is forgotten.
    pub fn open(settings: Settings) -> io::Result<Sessions> {
        let store = Arc::new(Store {
            awake: Mutex::default(),
            expired: Mutex::default(),
            room: Arc::new(Room::new(settings.max_memory_bytes)),
            door: tokio::sync::Mutex::default(),
            settings,
        });
        store.tidy_folder()?;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(look_round(Arc::downgrade(&store)));
        }
        Ok(Sessions(store))
    }

    /// As nobody set anything: without a folder, so nothing can fail.
    pub fn in_memory() -> Sessions {
        Sessions::open(Settings::default()).expect("memory needs no folder")
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn idle(&self) -> Duration {
        self.0.idle()
    }

    /// A session that is there, in memory or in the folder.
    pub async fn find(
        &self,
        transcriber: &Transcriber,
        owner: u64,
        id: &str,
    ) -> Result<Arc<Session>, ApiError> {
        self.0.sweep(Instant::now());
        let key = (owner, id.to_owned());
        if let Some(session) = self.0.awake(&key) {
            return Ok(session);
        }
        let _door = self.0.door.lock().await;
        // Meanwhile somebody else may have read it back.
        if let Some(session) = self.0.awake(&key) {
            return Ok(session);
        }
        match self.0.read_back(transcriber, &key).await? {
            Some(session) => Ok(session),
            None => Err(self.0.absent(&key)),
        }
    }

    /// A new session, or the one that has this name already: a client that did not hear the answer may ask again.
    pub async fn create(
        &self,
        transcriber: &Transcriber,
        owner: u64,
        opening: Opening,
    ) -> Result<(Arc<Session>, Created), ApiError> {
        if let Some(id) = &opening.id {
            match self.find(transcriber, owner, id).await {
                Ok(session) => return Ok((session, Created::Before)),
                Err(ApiError::SessionNotFound(_) | ApiError::SessionExpired(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.0.sweep(Instant::now());
        let _door = self.0.door.lock().await;
        let id = opening.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
        let key = (owner, id);
        if let Some(session) = self.0.awake(&key) {
            return Ok((session, Created::Before));
        }
        self.0.has_place()?;
        let folder = match &self.0.settings.dir {
            None => None,
            Some(dir) => {
                let folder = Folder::of(dir, key.0, &key.1);
                let (made, kept) = (folder.clone(), Kept::of(&opening));
                on_disk(move || made.create(&kept)).await?;
                Some(folder)
            }
        };
        let state = State::new(self.0.settings.max_chunks_ahead);
        Ok((self.0.enter(key, opening, folder, state), Created::Now))
    }

    /// Forgets all of it, at once.
    pub async fn forget(&self, session: &Session) -> Result<(), ApiError> {
        self.0.lock().remove(&(session.owner, session.id.clone()));
        match session.folder.clone() {
            Some(folder) => on_disk(move || folder.remove()).await,
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Now,
    Before,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        self.awake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, VecDeque<Key>> {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Duration {
        Duration::from_secs(self.settings.idle_timeout_seconds)
    }

    fn awake(&self, key: &Key) -> Option<Arc<Session>> {
        let session = self.lock().get(key).cloned()?;
        session.state().used = Instant::now();
        Some(session)
    }

    fn enter(&self, key: Key, opening: Opening, folder: Option<Folder>, state: State) -> Arc<Session> {
        let session = Arc::new(Session::new(key.clone(), opening, folder, state, self.room.clone()));
        session.recount();
        self.gone().retain(|gone| *gone != key);
        self.lock().insert(key, session.clone());
        session
    }

    /// Takes what nobody has asked for in time out of memory and off the disk. Who is being answered is in use.
    fn sweep(&self, now: Instant) {
        let idle = self.idle();
        let is_idle = |session: &Arc<Session>| {
            Arc::strong_count(session) == 1 && now.saturating_duration_since(session.state().used) >= idle
        };
        let mut awake = self.lock();
        let old: Vec<Key> =
            awake.iter().filter(|(_, session)| is_idle(session)).map(|(key, _)| key.clone()).collect();
        let old: Vec<(Key, Arc<Session>)> =
            old.into_iter().filter_map(|key| awake.remove(&key).map(|session| (key, session))).collect();
        drop(awake);
        for (key, session) in old {
            if let Some(folder) = session.folder.clone() {
                drop(tokio::task::spawn_blocking(move || removed(&folder)));
            }
            self.remember(key);
        }
    }

    fn remember(&self, key: Key) {
        let mut gone = self.gone();
        gone.push_back(key);
        if gone.len() > REMEMBERED {
            gone.pop_front();
        }
    }

    fn absent(&self, (owner, id): &Key) -> ApiError {
        let is_known = self.gone().iter().any(|gone| (gone.0, &gone.1) == (*owner, id));
        match is_known {
            true => ApiError::SessionExpired(format!(
                "the session '{id}' was idle for more than {} s and was forgotten (sessions.idle_timeout_seconds)",
                self.settings.idle_timeout_seconds
            )),
            false => ApiError::SessionNotFound(format!(
                "there is no session '{id}'; open it with PUT /v1/sessions/{id} and send all chunks again, from seq 0 on"
            )),
        }
    }

    fn has_place(&self) -> Result<(), ApiError> {
        let most = self.settings.max_sessions;
        let asleep = self.tidy_folder().map_err(|error| unwritable(&error))?;
        match self.lock().len().max(asleep) < most {
            true => Ok(()),
            false => Err(ApiError::Busy {
                what: "sessions",
                full: format!("there are {most} dictations already (sessions.max_sessions)"),
                retry_after: RETRY_AFTER,
            }),
        }
    }

    /// Gives how many sessions the folder holds.
    fn tidy_folder(&self) -> io::Result<usize> {
        let Some(dir) = &self.settings.dir else { return Ok(0) };
        let awake: Vec<Key> = self.lock().keys().cloned().collect();
        folder::tidy_up(dir, self.idle(), |owner, id| {
            awake.iter().any(|key| (key.0, key.1.as_str()) == (owner, id))
        })
    }

    async fn read_back(
        &self,
        transcriber: &Transcriber,
        key: &Key,
    ) -> Result<Option<Arc<Session>>, ApiError> {
        let Some(dir) = &self.settings.dir else { return Ok(None) };
        let folder = Folder::of(dir, key.0, &key.1);
        let (looked, idle) = (folder.clone(), self.idle());
        let stored = on_disk(move || match looked.age() {
            None => Ok(None),
            Some(age) if age >= idle => looked.remove().map(|()| Some(None)),
            Some(_) => looked.read().map(|stored| Some(Some(stored))),
        });
        let stored = match stored.await? {
            None => return Ok(None),
            Some(None) => {
                self.remember(key.clone());
                return Ok(None);
            }
            Some(Some(stored)) => stored,
        };
        let mut fields = stored.session.fields.clone();
        fields.push(("live_prompt".to_owned(), stored.session.live_prompt.to_string()));
        let mut opening = asked::opening(fields, Some(key.1.clone()))?;
        opening.chunks = stored.session.chunks;
        let mut state = State::new(self.settings.max_chunks_ahead);
        intake::replay(transcriber, &mut state, stored).await?;
        Ok(Some(self.enter(key.clone(), opening, Some(folder), state)))
    }
}

impl Kept {
    fn of(opening: &Opening) -> Kept {
        Kept { fields: opening.fields.clone(), chunks: opening.chunks, live_prompt: opening.live_prompt }
    }
}

/// As long as there is a store.
async fn look_round(store: Weak<Store>) {
    loop {
        tokio::time::sleep(ROUNDS).await;
        let Some(store) = store.upgrade() else { return };
        store.sweep(Instant::now());
        let tidied = tokio::task::spawn_blocking(move || store.tidy_folder());
        if let Ok(Err(error)) = tidied.await {
            tracing::warn!(%error, "the folder of sessions cannot be tidied up (sessions.dir)");
        }
    }
}

fn removed(folder: &Folder) {
    if let Err(error) = folder.remove() {
        tracing::warn!(%error, "a session that expired is still on the disk (sessions.dir)");
    }
}

/// Work on the disk, off the threads that serve sockets.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| ApiError::Internal(format!("work on the disk ended early: {error}")))?;
    done.map_err(|error| unwritable(&error))
}

/// A full disk is no fault of the client's, and its chunk must not be lost: it is to come again.
fn unwritable(error: &io::Error) -> ApiError {
    tracing::error!(%error, "the folder of sessions cannot be used (sessions.dir)");
    let full = "the folder that sessions are kept in cannot be used (sessions.dir)".to_owned();
    ApiError::Busy { what: "session_folder", full, retry_after: RETRY_AFTER }
}
