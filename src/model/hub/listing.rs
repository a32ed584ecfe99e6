//! A repository and a revision in, the commit and the list of its files with their sizes and hashes out.

use std::time::Duration;

use hf_hub::api::sync::ApiRepo;
use serde::Deserialize;

use super::{HubError, Request};

/// The listing is one small request; past this the hub counts as unreachable and the cache may serve instead.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    /// The commit that the revision stands for now. Files are fetched from it, so that all are of one commit.
    pub sha: String,
    siblings: Vec<Entry>,
}

/// One file as the hub describes it. Mirrors may leave out all but the name.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "rfilename")]
    pub name: String,
    pub size: Option<u64>,
    /// Name of the blob in the cache, for files that are kept in git itself.
    #[serde(rename = "blobId")]
    pub blob: Option<String>,
    pub lfs: Option<Large>,
}

/// A file in large-file storage.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Large {
    pub sha256: String,
}

impl Listing {
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.siblings.iter().find(|entry| entry.name == name)
    }
}

pub(super) fn fetch(repo: &ApiRepo, request: &Request, within: Duration) -> Result<Listing, HubError> {
    let call = repo
        .info_request()
        .query("blobs", "true")
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(within))
        .build()
        .call();
    let mut response = call.map_err(|error| request.unreachable(error))?;
    let reason =
        response.headers().get("x-error-code").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.status().as_u16() {
        200 => {}
        status => return Err(request.refused(status, reason)),
    }
    let listing: Listing = response
        .body_mut()
        .read_json()
        .map_err(|error| request.unreachable(format!("its listing: {error}")))?;
    // The commit becomes a folder's name.
    match listing.sha.len() == 40 && listing.sha.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(listing),
        false => Err(request.unreachable(format!("its listing names {:?} as the commit", listing.sha))),
    }
}
