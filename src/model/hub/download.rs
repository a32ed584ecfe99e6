//! One file of the hub in, the same file in the cache out, its size and hash compared with what the hub announced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiError};
use hf_hub::{CacheRepo, Repo};

use super::listing::Entry;
use super::verify::sha256;
use super::{HubError, Progress, Request};

/// The client has no timeouts of its own: a connection that gives nothing for so long is given up.
const STALL: Duration = Duration::from_secs(60);

enum Event {
    Started(u64),
    Received(u64),
    Ended(Result<PathBuf, ApiError>),
}

/// Hands the client's progress to the waiting thread. A receiver that has left is no reason to fail.
struct Reporter(SyncSender<Event>);

impl hf_hub::api::Progress for Reporter {
    fn init(&mut self, size: usize, _filename: &str) {
        let _ = self.0.send(Event::Started(size as u64));
    }

    fn update(&mut self, size: usize) {
        let _ = self.0.send(Event::Received(size as u64));
    }

    fn finish(&mut self) {}
}

/// The file in the snapshot, if it is there with the announced size. Its hash was compared when it arrived.
pub(super) fn cached(snapshot: &Path, entry: &Entry) -> Option<PathBuf> {
    let path = snapshot.join(&entry.name);
    let found = fs::metadata(&path).ok()?;
    let fits = found.is_file() && entry.size.is_none_or(|size| size == found.len());
    fits.then_some(path)
}

/// Another commit may have brought the same content: then a link is enough.
pub(super) fn link_known_blob(cache: &CacheRepo, snapshot: &Path, entry: &Entry) -> Option<PathBuf> {
    let name = entry.lfs.as_ref().map(|large| &large.sha256).or(entry.blob.as_ref())?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_hexdigit());
    let blob = cache.blob_path(name);
    let fits = plain && fs::metadata(&blob).is_ok_and(|found| Some(found.len()) == entry.size);
    let path = snapshot.join(&entry.name);
    if !fits || fs::create_dir_all(snapshot).is_err() {
        return None;
    }
    // A link to a blob that was removed, or a file of another size, stands in the way.
    let _ = fs::remove_file(&path);
    symlink(&Path::new("../../blobs").join(name), &path).ok()?;
    Some(path)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn download(
    request: &Request,
    api: &Api,
    (repo, entry): (Repo, &Entry),
    on: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, HubError> {
    let name = &entry.name;
    let (sender, receiver) = sync_channel(64);
    let (api, filename) = (api.clone(), name.clone());
    // A thread that is left behind in a stalled read ends with the process, which has no model and is about to.
    let spawned = std::thread::Builder::new().name("hub-download".to_owned()).spawn(move || {
        let result = api.repo(repo).download_with_progress(&filename, Reporter(sender.clone()));
        let _ = sender.send(Event::Ended(result));
    });
    spawned.map_err(|error| HubError::Broken { file: name.clone(), detail: error.to_string() })?;
    let path = loop {
        match receiver.recv_timeout(STALL) {
            Ok(Event::Started(size)) => on(Progress::File { name, bytes: size }),
            Ok(Event::Received(bytes)) => on(Progress::Received(bytes)),
            Ok(Event::Ended(result)) => break result.map_err(|error| explain(request, name, error))?,
            Err(RecvTimeoutError::Timeout) => {
                let detail = format!("nothing came for {} s", STALL.as_secs());
                return Err(HubError::Broken { file: name.clone(), detail });
            }
            // The thread panicked inside the client, on an answer that it did not foresee.
            Err(RecvTimeoutError::Disconnected) => {
                let detail = "the answer could not be understood".to_owned();
                return Err(HubError::Broken { file: name.clone(), detail });
            }
        }
    };
    on(Progress::Verifying { name });
    verify(&path, entry).inspect_err(|_| remove(&path))?;
    Ok(path)
}

fn explain(request: &Request, file: &str, error: ApiError) -> HubError {
    match error {
        ApiError::TooManyRetries(inner) => explain(request, file, *inner),
        ApiError::RequestError(error) => match *error {
            ureq::Error::StatusCode(status) => request.refused(status, ""),
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => request.unreachable(error),
            error => HubError::Broken { file: file.to_owned(), detail: error.to_string() },
        },
        ApiError::IoError(error) if is_of_the_disk(&error) => {
            HubError::Cache { path: request.cache_dir.clone(), detail: error.to_string() }
        }
        ApiError::LockAcquisition(lock) => HubError::Busy { lock },
        error => HubError::Broken { file: file.to_owned(), detail: error.to_string() },
    }
}

fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem | StorageFull)
}

/// Large files are named by their SHA-256; for those the blob's own name serves where the listing says nothing.
fn verify(path: &Path, entry: &Entry) -> Result<(), HubError> {
    let broken = |error: io::Error| HubError::Broken { file: entry.name.clone(), detail: error.to_string() };
    let got = fs::metadata(path).map_err(broken)?.len();
    if let Some(expected) = entry.size.filter(|expected| *expected != got) {
        return Err(HubError::WrongSize { file: entry.name.clone(), expected, got });
    }
    let blob = fs::canonicalize(path).map_err(broken)?;
    let name = blob.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named_by_hash = (name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit())).then_some(name);
    let Some(expected) = entry.lfs.as_ref().map(|large| large.sha256.clone()).or(named_by_hash) else {
        return Ok(());
    };
    let got = sha256(path, &mut |_| {}).map_err(broken)?;
    match got.eq_ignore_ascii_case(&expected) {
        true => Ok(()),
        false => Err(HubError::WrongHash { file: entry.name.clone(), expected, got }),
    }
}

/// Takes a bad file out of the cache, link and blob, so that the next attempt starts afresh.
fn remove(path: &Path) {
    if let Ok(blob) = fs::canonicalize(path) {
        let _ = fs::remove_file(blob);
    }
    let _ = fs::remove_file(path);
}
