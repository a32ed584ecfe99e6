//! A snapshot in the cache in; out, of each of its files whether it is what its name in the cache says.
//!
//! Blobs are called by what the hub announced: large files by their SHA-256, small ones by git's own hash of them. Mirrors may call them
//! otherwise; then there is nothing to compare with, and that is said.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256};

/// Bytes that are read and hashed at a time.
const CHUNK: usize = 1 << 20;

/// What a file's content was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Sha256,
    /// SHA-1 over its length and its content, as git names it.
    Git,
    /// It is there, and its name says nothing.
    Nothing,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// In the snapshot, with `/` between folders.
    pub name: String,
    pub bytes: u64,
    /// Or why it is not what it should be.
    pub outcome: Result<Proof, String>,
}

/// `on` is told of each file and then of its bytes as they are read.
pub fn verify(snapshot: &Path, on: &mut dyn FnMut(&str, u64)) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files(snapshot)? {
        let below = path.strip_prefix(snapshot).unwrap_or(&path);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.join("/");
        let bytes = fs::metadata(&path).map_or(0, |found| found.len());
        let outcome = match fs::canonicalize(&path) {
            Ok(blob) => judge(&path, &blob, bytes, &mut |read| on(&name, read)),
            Err(_) => Err("it leads to a file that is not there".to_owned()),
        };
        findings.push(Finding { name, bytes, outcome });
    }
    Ok(findings)
}

fn judge(path: &Path, blob: &Path, bytes: u64, on: &mut dyn FnMut(u64)) -> Result<Proof, String> {
    // A file that stands in the snapshot itself has a name, not a hash.
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let name = blob.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_hash = is_link && name.chars().all(|c| c.is_ascii_hexdigit());
    let told = |error: io::Error| format!("it cannot be read: {error}");
    let (got, proof) = match name.len() {
        64 if is_hash => (sha256(blob, on).map_err(told)?, Proof::Sha256),
        40 if is_hash => (git(blob, bytes, on).map_err(told)?, Proof::Git),
        _ => return Ok(Proof::Nothing),
    };
    match got == name {
        true => Ok(proof),
        false => Err(format!("its content is not what the hub announced: {got} instead of {name}")),
    }
}

/// All files below a folder, links to files among them, by name.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        // A link to a folder is none of ours, and might lead round in a circle.
        match fs::symlink_metadata(&path)?.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

pub(super) fn sha256(path: &Path, on: &mut dyn FnMut(u64)) -> io::Result<String> {
    let mut hasher = Sha256::new();
    each_chunk(path, on, |chunk| hasher.update(chunk))?;
    Ok(hex(&hasher.finalize()))
}

/// `git hash-object`.
fn git(path: &Path, bytes: u64, on: &mut dyn FnMut(u64)) -> io::Result<String> {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {bytes}\0"));
    each_chunk(path, on, |chunk| hasher.update(chunk))?;
    Ok(hex(&hasher.finalize()))
}

fn each_chunk(path: &Path, on: &mut dyn FnMut(u64), mut hash: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                hash(&buffer[..read]);
                on(read as u64);
            }
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_of_sha256sum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hello\n").unwrap();
        let mut read = 0;
        let of = git(file.path(), 6, &mut |bytes| read += bytes).unwrap();
        assert_eq!((of.as_str(), read), ("ce013625030ba8dba906f756967f9e9ca394464a", 6));
        let of = sha256(file.path(), &mut |_| {}).unwrap();
        assert_eq!(of, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }
}
