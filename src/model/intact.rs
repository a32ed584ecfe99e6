//! Weights in; whether each of their files is as long as its own table of tensors says, out. No number is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::files::Weights;

/// The format's own bound on its table.
const LONGEST_TABLE: u64 = 100_000_000;
/// Bytes before the table: its length.
const LENGTH: u64 = 8;

/// What was found in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub files: usize,
    pub tensors: usize,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum NotIntact {
    #[error("{file} cannot be read: {error}")]
    Unreadable { file: String, error: io::Error },
    #[error("{file} is no safetensors file: {detail}")]
    Malformed { file: String, detail: String },
    #[error("{file} has {is} bytes where its own table of tensors says {should}: it is cut off or damaged")]
    Length { file: String, is: u64, should: u64 },
}

/// One tensor of the table; what else stands there does not matter here.
#[derive(Deserialize)]
struct Entry {
    data_offsets: (u64, u64),
}

pub fn check(weights: &Weights) -> Result<Inventory, NotIntact> {
    let mut all = Inventory::default();
    match weights {
        Weights::Drawn => {}
        Weights::Bytes(bytes) => add(&mut all, "the bundled file", *bytes, bytes.len() as u64)?,
        Weights::Paths(paths) => {
            for path in paths {
                let name = path.display().to_string();
                let unreadable = |error| NotIntact::Unreadable { file: name.clone(), error };
                let (file, length) = open(path).map_err(unreadable)?;
                add(&mut all, &name, file, length)?;
            }
        }
    }
    Ok(all)
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn add(all: &mut Inventory, name: &str, mut file: impl Read, is: u64) -> Result<(), NotIntact> {
    let malformed =
        |detail: &dyn ToString| NotIntact::Malformed { file: name.to_owned(), detail: detail.to_string() };
    let mut length = [0; LENGTH as usize];
    file.read_exact(&mut length).map_err(|_| malformed(&format!("it has {is} bytes")))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_TABLE {
        return Err(malformed(&"it does not begin with a table of tensors"));
    }
    if LENGTH + length > is {
        return Err(NotIntact::Length { file: name.to_owned(), is, should: LENGTH + length });
    }
    let mut table = vec![0; length as usize];
    file.read_exact(&mut table).map_err(|error| malformed(&error))?;
    let table: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&table).map_err(|error| malformed(&error))?;
    let mut end = 0;
    for (tensor, entry) in table.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(entry)
            .map_err(|error| malformed(&format!("the tensor {tensor:?}: {error}")))?;
        end = end.max(entry.data_offsets.1);
        all.tensors += 1;
    }
    let should = LENGTH.saturating_add(length).saturating_add(end);
    if should != is {
        return Err(NotIntact::Length { file: name.to_owned(), is, should });
    }
    all.files += 1;
    all.bytes += is;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::files::ModelFiles;

    fn on_disk(bytes: &[u8]) -> Result<Inventory, NotIntact> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        check(&Weights::Paths(vec![path]))
    }

    #[test]
    fn the_demo_model_is_whole_and_a_byte_less_or_more_is_told() {
        let Weights::Bytes(bytes) = ModelFiles::Demo.weights().unwrap() else {
            panic!("it is in the binary")
        };
        let whole = on_disk(bytes).unwrap();
        assert_eq!((whole.files, whole.bytes), (1, bytes.len() as u64));
        assert!(whole.tensors > 50);
        assert!(matches!(on_disk(&bytes[..bytes.len() - 1]), Err(NotIntact::Length { .. })));
        assert!(matches!(on_disk(&[bytes, b"x"].concat()), Err(NotIntact::Length { .. })));
        assert!(matches!(on_disk(&bytes[..200]), Err(NotIntact::Length { .. })));
    }

    #[test]
    fn what_is_no_table_is_no_panic() {
        for bytes in
            [&b""[..], b"1234", b"version https://git-lfs.github.com/spec/v1\n", b"\x02\0\0\0\0\0\0\0[]"]
        {
            assert!(matches!(on_disk(bytes), Err(NotIntact::Malformed { .. })), "{bytes:?}");
        }
        assert!(on_disk(b"\x13\0\0\0\0\0\0\0{\"a\":{\"dtype\":1}}  ").is_err());
    }
}
