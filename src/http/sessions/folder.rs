//! A session in, files that outlive the process out, and back. What was answered is on the disk before it was answered.
//!
//! ```text
//! <sessions.dir>/<owner>.<id>/session.json   what it was opened with
//!                             00000007.chunk a line of JSON about the chunk, then its bytes as they came
//!                             live.json      what is committed, so that it never changes
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::asked::{Chunking, Fields};
use super::session::Live;

const SESSION: &str = "session.json";
const LIVE: &str = "live.json";
const CHUNK: &str = ".chunk";

#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What a session was opened with, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    pub fields: Fields,
    pub chunks: Chunking,
    pub live_prompt: bool,
}

/// A chunk as it came.
#[derive(Clone, Debug)]
pub struct KeptChunk {
    pub seq: u64,
    pub chunking: Chunking,
    pub bytes: Bytes,
}

/// Everything of one session.
#[derive(Clone, Debug)]
pub struct Stored {
    pub session: Kept,
    pub chunks: Vec<KeptChunk>,
    pub live: Live,
}

impl Folder {
    pub fn of(dir: &Path, owner: u64, id: &str) -> Folder {
        Folder(dir.join(format!("{owner}.{id}")))
    }

    /// Since something was written to it; `None`: it is not there.
    pub fn age(&self) -> Option<Duration> {
        let written = fs::metadata(self.0.join(SESSION)).and_then(|_| fs::metadata(&self.0)).ok()?;
        Some(written.modified().ok()?.elapsed().unwrap_or_default())
    }

    pub fn create(&self, session: &Kept) -> io::Result<()> {
        private_folder(&self.0)?;
        self.write(SESSION, &[&serde_json::to_vec(session)?])?;
        // The folder's own name must last too.
        sync(self.0.parent().unwrap_or(Path::new(".")))
    }

    pub fn keep_chunk(&self, chunk: &KeptChunk) -> io::Result<()> {
        let mut head = serde_json::to_vec(&chunk.chunking)?;
        head.push(b'\n');
        self.write(&format!("{:08}{CHUNK}", chunk.seq), &[&head, &chunk.bytes])
    }

    pub fn keep_live(&self, live: &Live) -> io::Result<()> {
        self.write(LIVE, &[&serde_json::to_vec(live)?])
    }

    pub fn read(&self) -> io::Result<Stored> {
        let session = serde_json::from_slice(&fs::read(self.0.join(SESSION))?)?;
        let live = match fs::read(self.0.join(LIVE)) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Live::default(),
            Err(error) => return Err(error),
        };
        let mut chunks = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(seq) = name.strip_suffix(CHUNK).and_then(|seq| seq.parse().ok()) else { continue };
            let whole = Bytes::from(fs::read(&path)?);
            let line = whole.iter().position(|byte| *byte == b'\n').unwrap_or(whole.len());
            let chunking = serde_json::from_slice(&whole[..line])?;
            chunks.push(KeptChunk { seq, chunking, bytes: whole.slice((line + 1).min(whole.len())..) });
        }
        chunks.sort_by_key(|chunk| chunk.seq);
        Ok(Stored { session, chunks, live })
    }

    /// First under another name, so that half a session is never found.
    pub fn remove(&self) -> io::Result<()> {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".gone");
        let gone = self.0.with_file_name(name);
        match fs::rename(&self.0, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.and_then(|()| fs::remove_dir_all(gone)),
        }
    }

    /// All of it or nothing, and on the disk when this returns.
    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let (path, draft) = (self.0.join(name), self.0.join(format!("{name}.draft")));
        let mut file = private_file(&draft)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(draft, path)?;
        sync(&self.0)
    }
}

/// Makes the folder of all sessions and forgets what is too old in it, but for what is `awake`. Gives how many there are.
pub fn tidy_up(dir: &Path, idle: Duration, awake: impl Fn(u64, &str) -> bool) -> io::Result<usize> {
    private_folder(dir)?;
    let mut alive = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        // Nothing that is not ours is touched.
        let ours = name.split_once('.').and_then(|(owner, id)| Some((owner.parse::<u64>().ok()?, id)));
        let Some((owner, id)) = ours.filter(|_| entry.path().is_dir()) else { continue };
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if name.ends_with(".gone") {
            fs::remove_dir_all(entry.path())?;
        } else if age >= idle && !awake(owner, id) {
            Folder(entry.path()).remove()?;
        } else {
            alive += 1;
        }
    }
    Ok(alive)
}

/// What is said in a hospital is not for other users of the machine.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A rename lasts once its folder is written.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_drafts_are_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(dir.path(), 7, "visit-1");
        assert_eq!(folder.age(), None);
        let fields = vec![("language".to_owned(), "en".to_owned())];
        folder
            .create(&Kept { fields: fields.clone(), chunks: Chunking::default(), live_prompt: false })
            .unwrap();
        for seq in [3, 0, 12] {
            let bytes = Bytes::from(vec![seq as u8, b'\n', 0]);
            folder.keep_chunk(&KeptChunk { seq, chunking: Chunking::default(), bytes }).unwrap();
        }
        fs::write(folder.0.join("00000004.chunk.draft"), b"half").unwrap();
        let stored = folder.read().unwrap();
        assert_eq!((stored.session.fields, stored.live.answered.len()), (fields, 0));
        let chunks: Vec<(u64, &[u8])> =
            stored.chunks.iter().map(|chunk| (chunk.seq, &chunk.bytes[..])).collect();
        assert_eq!(chunks, [(0, &[0, 10, 0][..]), (3, &[3, 10, 0]), (12, &[12, 10, 0])]);
        folder.remove().unwrap();
        assert!(folder.age().is_none() && folder.remove().is_ok());
    }

    #[test]
    fn only_old_sessions_are_forgotten_and_nothing_that_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("letters.old");
        fs::create_dir(&other).unwrap();
        let kept = Kept { fields: Fields::new(), chunks: Chunking::default(), live_prompt: false };
        Folder::of(dir.path(), 0, "a").create(&kept).unwrap();
        assert_eq!(tidy_up(dir.path(), Duration::from_secs(60), |_, _| false).unwrap(), 1);
        assert_eq!(tidy_up(dir.path(), Duration::ZERO, |owner, id| (owner, id) == (0, "a")).unwrap(), 1);
        assert!(Folder::of(dir.path(), 0, "a").age().is_some());
        assert_eq!(tidy_up(dir.path(), Duration::ZERO, |_, _| false).unwrap(), 0);
        assert!(Folder::of(dir.path(), 0, "a").age().is_none() && other.exists());
    }

    #[cfg(unix)]
    #[test]
    fn other_users_of_the_machine_can_read_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::of(dir.path(), 0, "a");
        folder
            .create(&Kept { fields: Fields::new(), chunks: Chunking::default(), live_prompt: false })
            .unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!((mode(&folder.0), mode(&folder.0.join(SESSION))), (0, 0));
    }
}
