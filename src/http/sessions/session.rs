//! One dictation: what is here of it, and who may change it when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::asked::{Container, Opening};
use super::folder::Folder;
use crate::http::error::ApiError;
use crate::live::agreement::Agreement;
use crate::live::difference::Change;
use crate::live::take::Take;
use crate::transcript::{Language, Options, Transcript};

pub struct Session {
    pub owner: u64,
    pub id: String,
    pub opening: Opening,
    /// `None`: it lives in memory alone.
    pub folder: Option<Folder>,
    /// Held while a chunk is taken in: one after the other.
    pub intake: tokio::sync::Mutex<()>,
    /// Held while the open end is heard: never two at once, which would not be two hypotheses in a row.
    pub ear: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    held: Held,
}

pub struct State {
    pub take: Take,
    pub live: Live,
    /// How chunks come, from the first on.
    pub container: Option<Container>,
    /// The language of what was committed, where the session leaves it open.
    pub language: Option<Language>,
    pub used: Instant,
    /// The transcript of the whole, and what it was asked with.
    pub transcript: Option<(Options, Arc<Transcript>)>,
}

/// What must be the same after a restart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Live {
    pub agreement: Agreement,
    /// By chunk: the words that its answer was the first to commit, as places among the committed.
    pub answered: BTreeMap<u64, (usize, usize)>,
    pub finished: Option<Finished>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Finished {
    pub text: String,
    /// What the dictation said before.
    pub live: String,
    /// Chunks that never came.
    pub missing: Vec<u64>,
}

impl Finished {
    pub fn difference(&self) -> Vec<Change> {
        crate::live::difference::difference(&self.live, &self.text)
    }
}

impl Session {
    pub fn new(
        (owner, id): (u64, String),
        opening: Opening,
        folder: Option<Folder>,
        state: State,
        room: Arc<Room>,
    ) -> Session {
        Session {
            owner,
            id,
            opening,
            folder,
            intake: tokio::sync::Mutex::default(),
            ear: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            held: Held { room, bytes: AtomicUsize::new(0) },
        }
    }

    /// For a moment: never across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // What was changed half-way by a panic is one field; the take and the words in it are sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that so much more may be held.
    pub fn room_for(&self, more: usize) -> Result<(), ApiError> {
        self.held.room.check(more)
    }

    /// Counts what is held now.
    pub fn recount(&self) {
        let bytes = self.state().take.bytes();
        self.held.set(bytes);
    }
}

impl State {
    pub fn new(max_ahead: u64) -> State {
        State {
            take: Take::new(max_ahead),
            live: Live::default(),
            container: None,
            language: None,
            used: Instant::now(),
            transcript: None,
        }
    }

    /// When it will be forgotten if nobody asks for it.
    pub fn expires(&self, idle: Duration) -> SystemTime {
        SystemTime::now() + idle.saturating_sub(self.used.elapsed())
    }
}

/// Memory for the audio of all sessions.
#[derive(Debug)]
pub struct Room {
    used: AtomicUsize,
    most: usize,
}

impl Room {
    pub fn new(most: usize) -> Room {
        Room { used: AtomicUsize::new(0), most }
    }

    fn check(&self, more: usize) -> Result<(), ApiError> {
        // Sessions end or expire in minutes, not in seconds.
        const RETRY_AFTER: u64 = 30;
        match self.used.load(Relaxed).saturating_add(more) <= self.most {
            true => Ok(()),
            false => Err(ApiError::Busy {
                what: "session_memory",
                full: format!(
                    "dictations hold {} bytes of audio already (sessions.max_memory_bytes)",
                    self.most
                ),
                retry_after: RETRY_AFTER,
            }),
        }
    }
}

struct Held {
    room: Arc<Room>,
    bytes: AtomicUsize,
}

impl Held {
    fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Relaxed);
        self.room.used.fetch_add(bytes, Relaxed);
        self.room.used.fetch_sub(before, Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}
