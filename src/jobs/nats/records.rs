//! What the broker is told of jobs, as keys and JSON: keys in and out of text, records in and out of bytes. Plain data.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::jobs::job::{ItemState, Job, Priority, Request, Standing};

/// The bucket of the key-value store, and what its keys are as subjects.
pub const BUCKET: &str = "verbatim_jobs";
pub const BUCKET_STREAM: &str = "KV_verbatim_jobs";
pub const BUCKET_SUBJECTS: &str = "$KV.verbatim_jobs";

/// Where a state is kept. A job's own key is written last when it is handed in and buried first when it is forgotten: without it, there is
/// no job, whatever else there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Job(String),
    Item(String, usize),
    Cancelled(String),
    Ended(String),
    /// An owner's `Idempotency-Key`, by its hash: it may contain what a key of the broker may not.
    Request(u64, String),
}

impl Key {
    pub fn request(owner: u64, request: &Request) -> Key {
        let hash = Sha256::digest(request.key.as_bytes());
        Key::Request(owner, hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn parse(text: &str) -> Option<Key> {
        let (kind, rest) = text.split_once('.')?;
        match kind {
            "j" => Some(Key::Job(rest.to_owned())),
            "c" => Some(Key::Cancelled(rest.to_owned())),
            "e" => Some(Key::Ended(rest.to_owned())),
            "i" => {
                let (job, item) = rest.rsplit_once('.')?;
                Some(Key::Item(job.to_owned(), item.parse().ok()?))
            }
            "r" => {
                let (owner, hash) = rest.split_once('.')?;
                Some(Key::Request(owner.parse().ok()?, hash.to_owned()))
            }
            _ => None,
        }
    }

    /// As a subject of the broker.
    pub fn subject(&self) -> String {
        format!("{BUCKET_SUBJECTS}.{self}")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Job(job) => write!(f, "j.{job}"),
            Key::Item(job, item) => write!(f, "i.{job}.{item}"),
            Key::Cancelled(job) => write!(f, "c.{job}"),
            Key::Ended(job) => write!(f, "e.{job}"),
            Key::Request(owner, hash) => write!(f, "r.{owner}.{hash}"),
        }
    }
}

/// Whether an id can be part of a key and of a subject.
pub fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Of a job, what lists and webhooks need; the rest is in its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub owner: u64,
    pub created_ms: u64,
    pub name: Option<String>,
    pub priority: Priority,
    /// How many.
    pub items: usize,
    pub webhook: Option<String>,
    /// The hash of its `Idempotency-Key`.
    pub request: Option<String>,
}

impl Record {
    pub fn of(job: &Job) -> Record {
        let request = job.request.as_ref().map(|request| match Key::request(job.owner, request) {
            Key::Request(_, hash) => hash,
            other => other.to_string(),
        });
        Record {
            owner: job.owner,
            created_ms: job.created_ms,
            name: job.name.clone(),
            priority: job.priority,
            items: job.items.len(),
            webhook: job.webhook.clone(),
            request,
        }
    }
}

/// An item's state, and which delivery of its message it is of: that is how a worker that was too slow learns that somebody else has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(flatten)]
    pub standing: Standing,
    #[serde(default)]
    pub by: String,
}

impl Kept {
    /// Of a file that was refused when its job was handed in.
    pub fn refused(error: &serde_json::Value, now_ms: u64) -> Kept {
        let standing = Standing {
            state: ItemState::Failed,
            error: Some(error.clone()),
            ended_ms: Some(now_ms),
            ..Standing::default()
        };
        Kept { standing, by: String::new() }
    }
}

/// When something happened to a job: it was cancelled, it ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    pub ms: u64,
}

/// Which job a request made, and what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    pub job: String,
    pub content: String,
}

/// An item in the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    pub job: String,
    pub item: usize,
}

/// A webhook in the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub job: String,
}

/// An item that was given up, for whoever looks after the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dead {
    pub job: String,
    pub item: usize,
    pub reason: String,
}

pub fn bytes(record: &impl Serialize) -> Vec<u8> {
    // Records are plain structures with text for keys: there is nothing in them that JSON has no words for.
    serde_json::to_vec(record).expect("a record is JSON")
}

/// `None`: it is of a version that wrote something else.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let request =
            Key::request(7, &Request { key: "a key. with > all *".to_owned(), content: String::new() });
        let job = "job-1_a".to_owned();
        let keys = [
            Key::Job(job.clone()),
            Key::Item(job.clone(), 12),
            Key::Cancelled(job.clone()),
            Key::Ended(job),
            request,
        ];
        for key in keys {
            let text = key.to_string();
            assert_eq!(Key::parse(&text), Some(key));
            assert!(text.bytes().all(|byte| is_plain(&(byte as char).to_string()) || byte == b'.'), "{text}");
        }
        assert_eq!(Key::parse("i.job.x"), None);
        assert_eq!(Key::parse("job"), None);
    }

    #[test]
    fn a_state_is_read_as_it_was_written_with_or_without_whose_it_is() {
        let kept = Kept { standing: Standing { percent: 3, ..Standing::default() }, by: "1.2".to_owned() };
        assert_eq!(read::<Kept>(&bytes(&kept)), Some(kept.clone()));
        assert_eq!(read::<Kept>(&bytes(&kept.standing)), Some(Kept { by: String::new(), ..kept }));
    }
}
