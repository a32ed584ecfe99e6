//! A model id in, a folder with the model's files out: from the cache, or fetched from the model hub and verified.
//!
//! The cache has the layout of the Python tools (`models--owner--name/{blobs,refs,snapshots}`), so both can share it.

mod cached;
mod download;
mod listing;
mod reach;
mod verify;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::files::shard_names;
use super::source::ModelId;
use listing::{Entry, Listing};

pub use cached::{Cached, Snapshot, inventory, remove};
pub use reach::{ask, reach};
pub use verify::{Finding, Proof, verify};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Whisper cannot be loaded without these.
const REQUIRED: &[&str] = &["config.json", "tokenizer.json"];
/// Fetched where the repository has them.
const OPTIONAL: &[&str] = &["generation_config.json", "preprocessor_config.json"];
/// A connection that breaks in the middle of a file is taken up again this often, from where it broke.
const RETRIES: usize = 3;

/// Everything that decides what is fetched and from where.
#[derive(Clone)]
pub struct Request {
    pub id: ModelId,
    /// Branch, tag or commit.
    pub revision: String,
    pub cache_dir: PathBuf,
    /// `https://huggingface.co` or a mirror, without a slash at the end.
    pub endpoint: String,
    pub token: Option<String>,
    /// Nothing but the cache is asked.
    pub offline: bool,
}

/// What `fetch` reports while it works, for a progress bar or a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// A file begins, or begins again after a broken connection: its size, counted from nothing.
    File {
        name: &'a str,
        bytes: u64,
    },
    Received(u64),
    Verifying {
        name: &'a str,
    },
}

/// A complete snapshot in the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub folder: PathBuf,
    pub commit: String,
    /// Files that were downloaded just now; the others were there.
    pub downloaded: Vec<String>,
    /// Set where the hub could not be asked and the cache served: why.
    pub note: Option<String>,
}

/// Finds the model in the cache or fetches what is missing of it.
pub fn fetch(request: &Request, on: &mut dyn FnMut(Progress<'_>)) -> Result<Fetched, HubError> {
    // An exact commit never changes, so a complete one needs no question.
    let exact = request.revision.len() == 40 && request.revision.chars().all(|c| c.is_ascii_hexdigit());
    if request.offline || exact {
        match from_cache(request) {
            Err(_) if !request.offline => {}
            outcome => return outcome,
        }
    }
    match from_hub(request, on) {
        // A restart must not depend on the hub where the model is on the disk already.
        Err(error @ HubError::Unreachable { .. }) => match from_cache(request) {
            Ok(fetched) => Ok(Fetched { note: Some(error.to_string()), ..fetched }),
            Err(_) => Err(error),
        },
        outcome => outcome,
    }
}

fn from_hub(request: &Request, on: &mut dyn FnMut(Progress<'_>)) -> Result<Fetched, HubError> {
    let api = request.api()?;
    let listing = listing::fetch(&api.repo(request.repo(&request.revision)), request, listing::TIMEOUT)?;
    let cache = request.cache();
    let folder = cache.pointer_path(&listing.sha);
    let mut fetched =
        Fetched { folder: folder.clone(), commit: listing.sha.clone(), downloaded: Vec::new(), note: None };
    let mut bring = |entry: &Entry| -> Result<(), HubError> {
        if download::cached(&folder, entry)
            .or_else(|| download::link_known_blob(&cache, &folder, entry))
            .is_some()
        {
            return Ok(());
        }
        // A link in the way would be taken for the new file.
        let _ = fs::remove_file(folder.join(&entry.name));
        download::download(request, &api, (request.repo(&listing.sha), entry), on)?;
        fetched.downloaded.push(entry.name.clone());
        Ok(())
    };
    for entry in small_files(request, &listing)? {
        bring(entry)?;
    }
    match listing.entry(WEIGHTS) {
        Some(weights) => bring(weights)?,
        None => {
            bring(request.required(&listing, INDEX)?)?;
            for shard in shards(&folder)? {
                bring(request.required(&listing, &shard)?)?;
            }
        }
    }
    let note = |error: std::io::Error| HubError::Cache {
        path: request.cache_dir.clone(),
        detail: error.to_string(),
    };
    request.cache().create_ref(&listing.sha).map_err(note)?;
    Ok(fetched)
}

fn small_files<'a>(request: &Request, listing: &'a Listing) -> Result<Vec<&'a Entry>, HubError> {
    let mut entries = Vec::new();
    for name in REQUIRED {
        entries.push(request.required(listing, name)?);
    }
    entries.extend(OPTIONAL.iter().filter_map(|name| listing.entry(name)));
    Ok(entries)
}

fn shards(folder: &Path) -> Result<Vec<String>, HubError> {
    let broken = |detail: String| HubError::Broken { file: INDEX.to_owned(), detail };
    let index = fs::read(folder.join(INDEX)).map_err(|error| broken(error.to_string()))?;
    shard_names(&index).map_err(|error| broken(error.to_string()))
}

fn from_cache(request: &Request) -> Result<Fetched, HubError> {
    let miss = |file: &str| HubError::OfflineMiss {
        id: request.id.clone(),
        revision: request.revision.clone(),
        file: file.to_owned(),
        cache: request.cache_dir.clone(),
    };
    let root = request.cache_dir.join(request.repo("main").folder_name());
    let pointed = fs::read_to_string(root.join("refs").join(&request.revision));
    let commit = pointed.map_or_else(|_| request.revision.clone(), |commit| commit.trim().to_owned());
    let folder = root.join("snapshots").join(&commit);
    match missing(&folder)? {
        Some(missing) => Err(miss(&missing)),
        None => Ok(Fetched { folder, commit, downloaded: Vec::new(), note: None }),
    }
}

/// The first file that Whisper needs and a snapshot has not.
fn missing(folder: &Path) -> Result<Option<String>, HubError> {
    let mut names: Vec<String> = REQUIRED.iter().map(|name| (*name).to_owned()).collect();
    if folder.join(INDEX).is_file() && !folder.join(WEIGHTS).is_file() {
        names.extend(shards(folder)?);
    } else {
        names.push(WEIGHTS.to_owned());
    }
    Ok(names.into_iter().find(|name| !folder.join(name).is_file()))
}

impl Request {
    fn api(&self) -> Result<Api, HubError> {
        let cache = Cache::new(self.cache_dir.clone());
        let token = self.token.clone().or_else(|| cache.token());
        ApiBuilder::from_cache(cache)
            .with_endpoint(self.endpoint.clone())
            .with_token(token)
            .with_retries(RETRIES)
            .with_progress(false)
            .with_user_agent("verbatim", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| self.unreachable(error))
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.id.to_string(), RepoType::Model, revision.to_owned())
    }

    fn cache(&self) -> CacheRepo {
        Cache::new(self.cache_dir.clone()).repo(self.repo(&self.revision))
    }

    fn required<'a>(&self, listing: &'a Listing, name: &str) -> Result<&'a Entry, HubError> {
        listing.entry(name).ok_or_else(|| HubError::Unfit { id: self.id.clone(), missing: name.to_owned() })
    }

    fn unreachable(&self, detail: impl fmt::Display) -> HubError {
        HubError::Unreachable { endpoint: self.endpoint.clone(), detail: detail.to_string() }
    }

    /// `reason` is the hub's own code: it answers 401 both for a repository that is closed and for one that is not there.
    fn refused(&self, status: u16, reason: &str) -> HubError {
        let (id, endpoint) = (self.id.clone(), self.endpoint.clone());
        match (status, reason) {
            (404, "RevisionNotFound") => HubError::NoRevision { id, revision: self.revision.clone() },
            (404, _) => HubError::NotFound { id, endpoint },
            (401 | 403, _) => HubError::Gated { id, endpoint, status },
            _ => self.unreachable(format!("it answered with status {status}")),
        }
    }
}

/// The token stays out of logs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}@{} from {})", self.id, self.revision, self.endpoint)
    }
}

/// Why a model could not be had. Each sentence names the way out.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(
        "the model hub {endpoint} cannot be reached: {detail}. Check the network (a proxy is taken from HTTPS_PROXY), \
         name a mirror in model.endpoint or HF_ENDPOINT, or copy the model's files here and give their folder as --model; \
         --model demo needs no network"
    )]
    Unreachable { endpoint: String, detail: String },
    #[error("{endpoint} has no model {id}; check its spelling on {endpoint}/models")]
    NotFound { id: ModelId, endpoint: String },
    #[error("the model {id} has no revision {revision:?}; see model.revision")]
    NoRevision { id: ModelId, revision: String },
    #[error(
        "{endpoint} refuses the model {id} ({status}): it does not exist, or is private, or its terms must be accepted on \
         {endpoint}/{id}; then give a token with access to it in HF_TOKEN"
    )]
    Gated { id: ModelId, endpoint: String, status: u16 },
    #[error("the repository {id} has no {missing}; Verbatim loads Whisper models in safetensors")]
    Unfit { id: ModelId, missing: String },
    #[error(
        "offline, and {file} of the model {id} at {revision} is not in the cache {}; \
         run `verbatim models pull {id}` once with a network, or copy that cache here (model.cache_dir)",
        cache.display()
    )]
    OfflineMiss { id: ModelId, revision: String, file: String, cache: PathBuf },
    #[error("the download of {file} broke off: {detail}. Run it again: it goes on from where it stopped")]
    Broken { file: String, detail: String },
    #[error(
        "{file} arrived with {got} bytes instead of {expected} and was removed; run it again, or check model.endpoint"
    )]
    WrongSize { file: String, expected: u64, got: u64 },
    #[error(
        "{file} arrived with other content than the hub announced (SHA-256 {got} instead of {expected}) and was removed; \
         run it again, or check model.endpoint and what stands between"
    )]
    WrongHash { file: String, expected: String, got: String },
    #[error("the model cache {} cannot be written: {detail}; choose another folder with model.cache_dir", path.display())]
    Cache { path: PathBuf, detail: String },
    #[error("another process is downloading the same file; wait for it, or remove {} if there is none", lock.display())]
    Busy { lock: PathBuf },
}
