//! A file on its way in; out, its bytes, or the archive that it is, on the disk.

use std::fs::File;
use std::io::Write;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::http::error::ApiError;
use crate::jobs::{ArchiveKind, archive_kind};

/// What tells an archive from audio is within so many bytes.
const HEAD: usize = 512;

pub enum Spooled {
    File(Bytes),
    /// Larger than one file may be.
    TooLarge,
    Archive(ArchiveKind, File),
}

/// Reads to the end, holding at most `most` bytes.
pub async fn spool(
    mut chunks: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
    most: u64,
) -> Result<Spooled, ApiError> {
    let mut whole = BytesMut::new();
    while whole.len() < HEAD {
        match chunks.next().await {
            Some(chunk) => whole.extend_from_slice(&chunk?),
            None => break,
        }
    }
    if let Some(kind) = archive_kind(&whole) {
        return Ok(Spooled::Archive(kind, on_disk(whole.freeze(), chunks).await?));
    }
    let mut is_too_large = false;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        // What follows is read all the same: other files may be behind it.
        is_too_large |= (whole.len() + chunk.len()) as u64 > most;
        match is_too_large {
            true => whole = BytesMut::new(),
            false => whole.extend_from_slice(&chunk),
        }
    }
    Ok(if is_too_large { Spooled::TooLarge } else { Spooled::File(whole.freeze()) })
}

/// A file without a name: it is gone when nobody has it any more, whatever becomes of the process.
async fn on_disk(
    first: Bytes,
    mut chunks: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
) -> Result<File, ApiError> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "an archive cannot be written to the disk");
        ApiError::Busy {
            what: "job_store",
            full: "there is no room on the disk for an archive".to_owned(),
            retry_after: 60,
        }
    };
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(failed)?);
    let mut chunk = first;
    loop {
        tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await.map_err(failed)?;
        match chunks.next().await {
            Some(next) => chunk = next?,
            None => break,
        }
    }
    tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(failed)?;
    let mut file = file.into_std().await;
    file.flush().map_err(failed)?;
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    Ok(file)
}
