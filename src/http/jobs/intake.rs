//! A request with files in; out, their items, with the audio among the blobs already, so that the job may be acknowledged.

use std::collections::HashSet;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::request::Parts;
use http::{HeaderMap, header};
use multer::Multipart;
use serde_json::Value;

use super::scribe::value;
use super::spool::{Spooled, spool};
use crate::http::body::{self, Limits};
use crate::http::caller::Caller;
use crate::http::digest::Digest;
use crate::http::error::ApiError;
use crate::http::{App, form, options, transcriptions};
use crate::jobs::{
    ArchiveBounds, ArchiveKind, Fields, Item, Job, Jobs, Priority, Request, Sound, check_url, hash, new_id,
    now_ms, unpack,
};

/// A field's text; a list of URLs is one too.
const MAX_FIELD_BYTES: usize = 1 << 20;
const MAX_FIELDS: usize = 640;
const LONGEST_NAME: usize = 512;
const FILES: [&str; 3] = ["file", "files", "audio_file"];

/// What is to be a job.
pub struct Taken {
    pub id: String,
    fields: Fields,
    items: Vec<Item>,
    name: Option<String>,
    priority: Priority,
    webhook: Option<String>,
}

/// It cannot be one; what of it is among the blobs is to be removed.
pub struct Failed {
    pub id: String,
    pub error: ApiError,
}

impl Taken {
    /// `key`: what the client calls its request.
    pub fn of(self, caller: &Caller, key: Option<String>) -> Job {
        let content = self.content();
        let Taken { id, fields, items, name, priority, webhook } = self;
        let request = key.map(|key| Request { key, content });
        Job {
            id,
            owner: caller.number(),
            created_ms: now_ms(),
            name,
            priority,
            fields,
            webhook,
            request,
            items,
        }
    }

    /// The same for the same files in the same order, wanted in the same way.
    fn content(&self) -> String {
        let fields = self.fields.iter().flat_map(|(name, value)| [name.clone(), value.clone()]);
        let items = self.items.iter().flat_map(|item| {
            let sound = match &item.sound {
                Sound::Kept { hash, .. } => hash.clone(),
                Sound::Url(url) => url.clone(),
                Sound::Refused(error) => error.to_string(),
            };
            [item.name.clone(), sound]
        });
        let all: Vec<String> = fields.chain(items).collect();
        Digest::of_all(all.iter().map(String::as_bytes)).to_string()
    }
}

/// Removes what a job that was not to be has left, in the background.
pub fn undo(jobs: &Jobs, id: &str) {
    let (jobs, id) = (jobs.clone(), id.to_owned());
    tokio::spawn(async move {
        if let Err(error) = jobs.blobs.forget(&id).await {
            tracing::warn!(job = id, %error, "the files of a job that was not taken are still there");
        }
    });
}

pub async fn take_in(app: &App, jobs: &Jobs, parts: &Parts, body: Body) -> Result<Taken, Failed> {
    let id = new_id();
    let mut intake =
        Intake { app, jobs, id: id.clone(), fields: Vec::new(), items: Vec::new(), kept: HashSet::new() };
    match intake.read(parts, body).await {
        Ok(()) => intake.taken().map_err(|error| Failed { id, error }),
        Err(error) => Err(Failed { id, error }),
    }
}

struct Intake<'a> {
    app: &'a App,
    jobs: &'a Jobs,
    id: String,
    fields: Fields,
    items: Vec<Item>,
    /// Hashes of audio that is among the blobs.
    kept: HashSet<String>,
}

type Chunks = BoxStream<'static, Result<Bytes, ApiError>>;

impl Intake<'_> {
    async fn read(&mut self, parts: &Parts, body: Body) -> Result<(), ApiError> {
        let limits = Limits::of(&self.app.settings).of_a_job(self.jobs.settings.max_job_bytes);
        body::check_headers(&parts.headers, &limits)?;
        self.fields = form::query(&parts.uri)?;
        let kind = content_type(&parts.headers);
        let chunks = body::counted(body, limits).boxed();
        if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            let boundary = multer::parse_boundary(&kind).map_err(form::of_multipart)?;
            return self.read_parts(chunks, &boundary).await;
        }
        if kind.to_ascii_lowercase().starts_with("application/json") {
            return self.read_json(chunks).await;
        }
        let name = self.take_field("filename").unwrap_or_else(|| "audio".to_owned());
        self.file(name, chunks).await
    }

    async fn read_parts(&mut self, chunks: Chunks, boundary: &str) -> Result<(), ApiError> {
        let mut parts = Multipart::new(chunks, boundary);
        while let Some(mut part) = parts.next_field().await.map_err(form::of_multipart)? {
            let name = part.name().unwrap_or_default().to_owned();
            let base = name.split_once('[').map_or(name.as_str(), |(base, _)| base);
            if FILES.contains(&base) || part.file_name().is_some() {
                let file = part.file_name().unwrap_or("audio").to_owned();
                let chunks = (&mut part).map(|chunk| chunk.map_err(form::of_multipart));
                self.file(file, chunks.boxed()).await?;
            } else {
                let bytes = form::read_part(&mut part, MAX_FIELD_BYTES).await?;
                let text = String::from_utf8(bytes.into());
                let text =
                    text.map_err(|_| form::bad_form(format!("the field {name:?} is not UTF-8 text")))?;
                self.fields.push((name, text));
                if self.fields.len() > MAX_FIELDS {
                    return Err(form::bad_form(format!("the form has more than {MAX_FIELDS} fields")));
                }
            }
        }
        self.take_urls()
    }

    /// Options, and URLs as a list.
    async fn read_json(&mut self, mut chunks: Chunks) -> Result<(), ApiError> {
        let mut text = Vec::new();
        while let Some(chunk) = chunks.next().await {
            text.extend_from_slice(&chunk?);
            // A URL has at most 2,048 bytes, and its quotes.
            if text.len() > MAX_FIELD_BYTES + 2_100 * self.jobs.settings.max_items.min(100_000) {
                return Err(form::bad_form("the JSON is too long for a list of URLs".to_owned()));
            }
        }
        let text =
            String::from_utf8(text).map_err(|_| form::bad_form("the body is not UTF-8 text".to_owned()))?;
        let mut fields = form::of_json(&text)?;
        for (name, value) in &mut fields {
            if is_urls(name)
                && let Ok(Value::Array(urls)) = serde_json::from_str(value)
            {
                let urls: Vec<&str> = urls.iter().filter_map(Value::as_str).collect();
                *value = urls.join("\n");
            }
        }
        self.fields.extend(fields);
        self.take_urls()
    }

    fn take_urls(&mut self) -> Result<(), ApiError> {
        let (urls, fields): (Fields, Fields) =
            std::mem::take(&mut self.fields).into_iter().partition(|(name, _)| is_urls(name));
        self.fields = fields;
        for url in urls.iter().flat_map(|(_, urls)| urls.split_whitespace()) {
            if !self.jobs.settings.allow_urls {
                return Err(ApiError::param("url", "items of jobs may not be URLs here (jobs.allow_urls)"));
            }
            let sound = match check_url(url, self.jobs.settings.allow_private_addresses) {
                Ok(()) => Sound::Url(url.to_owned()),
                Err(problem) => Sound::Refused(value(&ApiError::param("url", problem.to_string()))),
            };
            self.add(url.to_owned(), sound)?;
        }
        Ok(())
    }

    /// A recording, or an archive of them.
    async fn file(
        &mut self,
        name: String,
        chunks: BoxStream<'_, Result<Bytes, ApiError>>,
    ) -> Result<(), ApiError> {
        let most = self.app.settings.max_body_bytes;
        match spool(chunks, most).await? {
            Spooled::File(bytes) => self.keep(name, bytes).await,
            Spooled::TooLarge => {
                let error = ApiError::BodyTooLarge { limit: most, setting: "server.max_body_bytes" };
                self.add(name, Sound::Refused(value(&error)))
            }
            Spooled::Archive(kind, archive) => self.archive(&name, kind, archive).await,
        }
    }

    /// One entry at a time: what the archive holds is never in memory as a whole.
    async fn archive(
        &mut self,
        name: &str,
        kind: ArchiveKind,
        archive: std::fs::File,
    ) -> Result<(), ApiError> {
        let bounds = ArchiveBounds {
            max_files: self.jobs.settings.max_items,
            max_file_bytes: self.app.settings.max_body_bytes,
            max_bytes: self.jobs.settings.max_job_bytes,
        };
        let (entries, mut unpacked) = tokio::sync::mpsc::channel(1);
        let unpacking = tokio::task::spawn_blocking(move || {
            unpack(kind, archive, &bounds, &mut |entry| {
                // Nobody listens any more where the request was given up.
                entries.blocking_send(entry).is_ok()
            })
        });
        let before = self.items.len();
        while let Some(entry) = unpacked.recv().await {
            match entry.content {
                Ok(bytes) => self.keep(entry.name, bytes.into()).await?,
                Err(refusal) => {
                    let error = ApiError::param("file", refusal.to_string());
                    self.add(entry.name, Sound::Refused(value(&error)))?;
                }
            }
        }
        let ended = unpacking.await.map_err(|error| ApiError::Internal(error.to_string()))?;
        ended.map_err(|error| ApiError::param("file", format!("the archive {name:?}: {error}")))?;
        match self.items.len() == before {
            true => Err(ApiError::param("file", format!("the archive {name:?} holds no files"))),
            false => Ok(()),
        }
    }

    async fn keep(&mut self, name: String, bytes: Bytes) -> Result<(), ApiError> {
        let hashed = bytes.clone();
        let hash = self.app.bench.work(move || Ok(hash(&hashed))).await?;
        let length = bytes.len() as u64;
        // The same file twice is kept once, and transcribed once.
        if self.kept.insert(hash.clone()) {
            self.jobs.blobs.put_audio(&self.id, &hash, bytes).await?;
        }
        self.add(name, Sound::Kept { hash, bytes: length })
    }

    fn add(&mut self, name: String, sound: Sound) -> Result<(), ApiError> {
        let most = self.jobs.settings.max_items;
        if self.items.len() >= most {
            let message = format!("the job has more than {most} files (jobs.max_items)");
            return Err(ApiError::param("file", message));
        }
        let name = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        self.items.push(Item { name, sound });
        Ok(())
    }

    fn take_field(&mut self, wanted: &str) -> Option<String> {
        let at = self.fields.iter().position(|(name, _)| name == wanted)?;
        Some(self.fields.remove(at).1).filter(|value| !value.trim().is_empty())
    }

    /// What is wrong with all files is said now, and not for each of them later.
    fn taken(mut self) -> Result<Taken, ApiError> {
        let name = self.take_field("name");
        let webhook = self.take_field("webhook_url").or_else(|| self.take_field("webhook"));
        if let Some(url) = &webhook {
            let checked = check_url(url, self.jobs.settings.allow_private_addresses);
            checked.map_err(|problem| ApiError::param("webhook_url", problem.to_string()))?;
        }
        let priority = match self.take_field("priority") {
            None => Priority::Normal,
            Some(text) => Priority::parse(&text).ok_or_else(|| {
                ApiError::param("priority", format!("priority is high, normal or low, not '{text}'"))
            })?,
        };
        if self.items.is_empty() {
            let message = "the job has no files: send each as a part named 'file', an archive (tar, tar.gz, zip), or 'url'";
            return Err(ApiError::param("file", message));
        }
        let wanted = options::judge(&self.fields)?;
        if self.app.has_model() {
            transcriptions::check_model(self.app, &wanted)?;
            self.app.transcriber.check(&wanted.options)?;
        }
        Ok(Taken { id: self.id, fields: self.fields, items: self.items, name, priority, webhook })
    }
}

fn is_urls(name: &str) -> bool {
    ["url", "urls", "url[]", "urls[]"].contains(&name)
}

fn content_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.unwrap_or_default().trim().to_owned()
}
