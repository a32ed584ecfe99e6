//! A safetensors file in, the names, kinds and shapes of its tensors out, without its numbers; one that is not whole is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use super::files::{FilesError, ModelFiles, Weights};

/// The length of the header stands before it, in so many bytes.
const LENGTH: usize = 8;
/// The format's own limit.
const LONGEST: u64 = 100_000_000;

/// One tensor, as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `F32`, `F16`, `BF16`, ...
    pub kind: String,
    pub shape: Vec<usize>,
}

/// All tensors of a checkpoint, by name; empty where they are drawn.
pub fn tensors(files: &ModelFiles) -> Result<BTreeMap<String, Described>, FilesError> {
    let mut found = BTreeMap::new();
    let mut add = |metadata: Metadata| {
        found.extend(metadata.tensors().into_iter().map(|(name, info)| {
            (name, Described { kind: info.dtype.to_string(), shape: info.shape.clone() })
        }));
    };
    match files.weights()? {
        Weights::Drawn => {}
        Weights::Bytes(bytes) => {
            let file = || "model.safetensors".to_owned();
            let read = SafeTensors::read_metadata(bytes);
            add(read.map_err(|error| FilesError::Header { file: file(), detail: error.to_string() })?.1);
        }
        Weights::Paths(paths) => {
            for path in paths {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                add(read(&path).map_err(|detail| FilesError::Header { file, detail })?);
            }
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Metadata, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(told)?;
    let whole = file.metadata().map_err(told)?.len();
    let mut length = [0; LENGTH];
    file.read_exact(&mut length).map_err(|_| format!("it has {whole} bytes and no header"))?;
    let length = u64::from_le_bytes(length);
    let after = LENGTH as u64 + length;
    if length > LONGEST || after > whole {
        return Err(format!("its header of {length} bytes does not fit into its {whole} bytes"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(told)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header cannot be read: {error}"))?;
    let announced = after + metadata.data_len() as u64;
    match announced == whole {
        true => Ok(metadata),
        false => Err(format!("it has {whole} bytes, and its header announces {announced}")),
    }
}
