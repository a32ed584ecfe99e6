//! A tar, a tar.gz or a zip in, the files in it one by one out, within bounds: what its headers promise is never trusted.
//!
//! Names are names alone: nothing is written to a path. One file that is too large or damaged is refused by itself; what makes the whole
//! unreadable, or larger than a job may be, ends it.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tar,
    TarGz,
    Zip,
}

/// Where a tar says that it is one.
const USTAR: std::ops::Range<usize> = 257..262;

/// From its first 512 bytes. What is packed with gzip is no audio, so it is taken for a tar.
pub fn kind(first: &[u8]) -> Option<Kind> {
    match first {
        [b'P', b'K', 3, 4, ..] => Some(Kind::Zip),
        [0x1f, 0x8b, 8, ..] => Some(Kind::TarGz),
        _ if first.get(USTAR).is_some_and(|magic| magic == b"ustar") => Some(Kind::Tar),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub max_files: usize,
    /// Of one file.
    pub max_file_bytes: u64,
    /// Unpacked, of all of them.
    pub max_bytes: u64,
}

/// A file in an archive.
#[derive(Debug)]
pub struct Entry {
    /// Its path there.
    pub name: String,
    pub content: Result<Vec<u8>, Refusal>,
}

/// Why one file cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the file is larger than {0} bytes (limit set by server.max_body_bytes)")]
    TooLarge(u64),
    #[error("the file cannot be read from its archive: {0}")]
    Damaged(String),
}

/// Why an archive cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("it cannot be read: {0}")]
    Damaged(String),
    #[error("it has more than {0} files (jobs.max_items)")]
    TooMany(usize),
    #[error("it holds more than {0} bytes (jobs.max_job_bytes)")]
    TooLarge(u64),
}

/// Gives each file to `each`, which says whether it wants another. Blocks.
pub fn unpack(
    kind: Kind,
    archive: File,
    bounds: &Bounds,
    each: &mut dyn FnMut(Entry) -> bool,
) -> Result<(), ArchiveError> {
    let mut unpacking = Unpacking { bounds, each, files: 0, bytes: 0, wants_more: true };
    match kind {
        Kind::Tar => unpacking.tar(BufReader::new(archive)),
        Kind::TarGz => unpacking.tar(MultiGzDecoder::new(BufReader::new(archive))),
        Kind::Zip => unpacking.zip(archive),
    }
}

struct Unpacking<'a> {
    bounds: &'a Bounds,
    each: &'a mut dyn FnMut(Entry) -> bool,
    files: usize,
    bytes: u64,
    wants_more: bool,
}

impl Unpacking<'_> {
    fn tar(&mut self, archive: impl Read) -> Result<(), ArchiveError> {
        // Also what lies between files is counted: a sparse or padded tar.gz is a bomb as well.
        let most = self.bounds.max_bytes.saturating_add(64 << 20);
        let mut archive = tar::Archive::new(archive.take(most));
        let mut entries = archive.entries().map_err(damaged)?;
        while self.wants_more {
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(damaged)?;
            let is_file = entry.header().entry_type().is_file();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if is_file && is_wanted(&name) {
                self.take(name, &mut entry)?;
            }
        }
        Ok(())
    }

    fn zip(&mut self, archive: File) -> Result<(), ArchiveError> {
        let mut archive =
            ZipArchive::new(archive).map_err(|error| ArchiveError::Damaged(error.to_string()))?;
        for at in 0..archive.len() {
            if !self.wants_more {
                break;
            }
            // A name that is no text is still one.
            let name = archive
                .name_for_index(at)
                .and_then(Result::ok)
                .map_or_else(|| at.to_string(), |it| it.into_owned());
            match archive.by_index(at) {
                Ok(mut entry) if entry.is_file() && is_wanted(&name) => self.take(name, &mut entry)?,
                Ok(_) => {}
                // Encrypted, or packed in a way that nothing here unpacks.
                Err(error) if is_wanted(&name) => self.refuse(name, &error)?,
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, name: String, entry: &mut dyn Read) -> Result<(), ArchiveError> {
        self.count_file()?;
        let most = self.bounds.max_file_bytes;
        let mut bytes = Vec::new();
        let read = entry.take(most + 1).read_to_end(&mut bytes);
        let content = match read {
            Ok(_) if bytes.len() as u64 > most => {
                // What is skipped is unpacked all the same.
                let skipped = io::copy(&mut entry.take(self.bounds.max_bytes), &mut io::sink()).unwrap_or(0);
                self.count_bytes(most + skipped)?;
                Err(Refusal::TooLarge(most))
            }
            Ok(_) => {
                self.count_bytes(bytes.len() as u64)?;
                Ok(bytes)
            }
            Err(error) => Err(Refusal::Damaged(error.to_string())),
        };
        self.wants_more = (self.each)(Entry { name, content });
        Ok(())
    }

    fn refuse(&mut self, name: String, why: &ZipError) -> Result<(), ArchiveError> {
        self.count_file()?;
        self.wants_more = (self.each)(Entry { name, content: Err(Refusal::Damaged(why.to_string())) });
        Ok(())
    }

    fn count_file(&mut self) -> Result<(), ArchiveError> {
        self.files += 1;
        match self.files > self.bounds.max_files {
            true => Err(ArchiveError::TooMany(self.bounds.max_files)),
            false => Ok(()),
        }
    }

    fn count_bytes(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > self.bounds.max_bytes {
            true => Err(ArchiveError::TooLarge(self.bounds.max_bytes)),
            false => Ok(()),
        }
    }
}

fn damaged(error: io::Error) -> ArchiveError {
    ArchiveError::Damaged(error.to_string())
}

/// Not what systems put beside the files that people put there.
fn is_wanted(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && !last.starts_with("._") && last != ".DS_Store" && !name.starts_with("__MACOSX/")
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const BOUNDS: Bounds = Bounds { max_files: 10, max_file_bytes: 1_000, max_bytes: 5_000 };
    const FILES: &[(&str, usize)] =
        &[("one.wav", 10), ("../two.wav", 2_000), ("deep/three.wav", 20), ("__MACOSX/x", 1), ("a/._b", 1)];

    fn tar_of(files: &[(&str, usize)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, size) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(*size as u64);
            // Written as it is, where the library would refuse a name that leads upwards.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, &vec![7; *size][..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn zip_of(files: &[(&str, usize)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, size) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&vec![7; *size]).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    type Told = (Vec<(String, Result<usize, Refusal>)>, Result<(), String>);

    fn unpacked(bytes: &[u8]) -> Told {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let mut entries = Vec::new();
        let done = unpack(kind(bytes).unwrap(), file, &BOUNDS, &mut |entry| {
            entries.push((entry.name, entry.content.map(|content| content.len())));
            true
        });
        (entries, done.map_err(|error| error.to_string()))
    }

    #[test]
    fn every_kind_gives_its_files_and_one_that_is_too_large_fails_alone() {
        for archive in [tar_of(FILES), gz(&tar_of(FILES)), zip_of(FILES)] {
            let (entries, done) = unpacked(&archive);
            assert_eq!(done, Ok(()));
            let expected = [
                ("one.wav".to_owned(), Ok(10)),
                ("../two.wav".to_owned(), Err(Refusal::TooLarge(1_000))),
                ("deep/three.wav".to_owned(), Ok(20)),
            ];
            assert_eq!(entries, expected);
        }
    }

    #[test]
    fn bombs_end_at_the_bounds_whatever_they_promise() {
        let many: Vec<(&str, usize)> = (0..11).map(|_| ("x", 1)).collect();
        assert!(unpacked(&tar_of(&many)).1.unwrap_err().contains("jobs.max_items"));
        let (entries, done) = unpacked(&gz(&tar_of(&[("a", 10), ("b", 50 << 20), ("c", 10)])));
        assert_eq!(entries.len(), 1);
        assert!(done.unwrap_err().contains("jobs.max_job_bytes"));
        let (entries, done) = unpacked(&zip_of(&[("a", 10), ("b", 50 << 20), ("c", 10)]));
        assert_eq!(entries.len(), 1);
        assert!(done.unwrap_err().contains("jobs.max_job_bytes"));
    }

    #[test]
    fn what_is_cut_off_gives_what_it_has_and_says_so() {
        for archive in [tar_of(&FILES[..1]), gz(&tar_of(&[("one.wav", 900), ("two.wav", 900)]))] {
            let cut = &archive[..archive.len() / 2];
            let (entries, done) = unpacked(cut);
            let is_told = done.is_err() || entries.iter().any(|(_, content)| content.is_err());
            assert!(is_told || entries.len() == 1, "{entries:?}");
        }
        assert!(unpacked(&zip_of(FILES)[..60]).1.is_err());
        // A length that the file does not have.
        let mut lying = tar_of(&[("a", 10)]);
        let mut header = tar::Header::from_byte_slice(&lying[..512]).clone();
        header.set_size(900);
        header.set_cksum();
        lying[..512].copy_from_slice(header.as_bytes());
        lying.truncate(1_024);
        let (entries, done) = unpacked(&lying);
        assert!(
            done.is_err() || matches!(&entries[0].1, Err(Refusal::Damaged(_)) | Ok(..=512)),
            "{entries:?} {done:?}"
        );
    }

    #[test]
    fn audio_is_no_archive() {
        for first in [&b"RIFF\0\0\0\0WAVE"[..], b"ID3\x04", b"OggS", b"fLaC", b""] {
            assert_eq!(kind(first), None);
        }
    }
}
