//! The model cache in; which repositories lie there, at which commits, how large and how complete out; and one taken out of it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::verify::files;
use super::{HubError, missing};
use crate::model::source::ModelId;

const PREFIX: &str = "models--";

/// A repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Cached {
    pub id: ModelId,
    pub folder: PathBuf,
    /// By commit.
    pub snapshots: Vec<Snapshot>,
    /// On the disk, what is unfinished and what no snapshot uses counted.
    pub bytes: u64,
}

/// A repository at one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub commit: String,
    /// Branches and tags that stand for it.
    pub refs: Vec<String>,
    pub folder: PathBuf,
    /// What its files take; other commits may share them.
    pub bytes: u64,
    /// The first file that Whisper needs and that is not here, or why that cannot be told.
    pub missing: Option<String>,
    /// What `config.json` says that it is; `None`: there is none.
    pub kind: Option<String>,
}

impl Snapshot {
    /// Whether it is a Whisper, or may become one.
    pub fn is_whisper(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "whisper")
    }

    pub fn is_called(&self, revision: &str) -> bool {
        self.commit == revision || self.refs.iter().any(|name| name == revision)
    }
}

/// Everything in the cache, by name; nothing where there is no cache.
pub fn inventory(cache_dir: &Path) -> io::Result<Vec<Cached>> {
    let mut found = Vec::new();
    for folder in folders(cache_dir)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = name.strip_prefix(PREFIX).map(|rest| rest.replacen("--", "/", 1));
        // What is called otherwise is no model: data sets, locks.
        let Some(Ok(id)) = id.map(|id| id.parse::<ModelId>()) else { continue };
        let refs = references(&folder.join("refs"))?;
        let mut snapshots = Vec::new();
        for at in folders(&folder.join("snapshots"))? {
            snapshots.push(snapshot(at, &refs)?);
        }
        let bytes = files(&folder)?.iter().filter_map(|path| own_bytes(path)).sum();
        found.push(Cached { id, folder, snapshots, bytes });
    }
    Ok(found)
}

/// Takes the snapshots of those commits out of the cache, with the blobs that no other uses; all of the repository where no snapshot is
/// left. How many bytes are free for it.
pub fn remove(cached: &Cached, commits: &[&str]) -> io::Result<u64> {
    let (gone, kept): (Vec<_>, Vec<_>) =
        cached.snapshots.iter().partition(|snapshot| commits.contains(&snapshot.commit.as_str()));
    if kept.is_empty() {
        fs::remove_dir_all(&cached.folder)?;
        return Ok(cached.bytes);
    }
    let blobs = |snapshots: &[&Snapshot]| -> io::Result<BTreeSet<PathBuf>> {
        let mut all = BTreeSet::new();
        for snapshot in snapshots {
            all.extend(files(&snapshot.folder)?.iter().filter_map(|path| fs::canonicalize(path).ok()));
        }
        Ok(all)
    };
    let (theirs, others) = (blobs(&gone)?, blobs(&kept)?);
    for (name, commit) in references(&cached.folder.join("refs"))? {
        if gone.iter().any(|snapshot| snapshot.commit == commit) {
            fs::remove_file(cached.folder.join("refs").join(name))?;
        }
    }
    gone.iter().try_for_each(|snapshot| fs::remove_dir_all(&snapshot.folder))?;
    let blobs = fs::canonicalize(cached.folder.join("blobs"))?;
    for blob in theirs.difference(&others).filter(|blob| blob.starts_with(&blobs)) {
        fs::remove_file(blob)?;
    }
    let left: u64 = files(&cached.folder)?.iter().filter_map(|path| own_bytes(path)).sum();
    Ok(cached.bytes.saturating_sub(left))
}

fn snapshot(folder: PathBuf, refs: &[(String, String)]) -> io::Result<Snapshot> {
    let commit = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let blobs: BTreeSet<PathBuf> =
        files(&folder)?.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let bytes = blobs.iter().filter_map(|path| own_bytes(path)).sum();
    let missing = missing(&folder).unwrap_or_else(|error: HubError| Some(error.to_string()));
    // Downloads leave one under the commit's own name as well.
    let names = refs.iter().filter(|(name, of)| *of == commit && *name != commit);
    let refs = names.map(|(name, _)| name.clone()).collect();
    let kind = fs::read(folder.join("config.json")).ok().map(|json| {
        let config: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
        config["model_type"].as_str().unwrap_or_default().to_owned()
    });
    Ok(Snapshot { commit, refs, folder, bytes, missing, kind })
}

/// Each branch and tag with the commit that it stands for.
fn references(folder: &Path) -> io::Result<Vec<(String, String)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let named = files(folder)?.into_iter().map(|path| {
        let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        Ok((below, fs::read_to_string(&path)?.trim().to_owned()))
    });
    named.collect()
}

fn folders(within: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(within) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Not of links: what they lead to is counted where it is.
fn own_bytes(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}
