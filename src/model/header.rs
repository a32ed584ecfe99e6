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

/// Weights, of which every file is as long as its own header says; nothing where they are drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By name.
    pub tensors: BTreeMap<String, Described>,
    pub files: usize,
    pub bytes: u64,
}

pub fn inventory(files: &ModelFiles) -> Result<Inventory, FilesError> {
    let mut all = Inventory::default();
    match files.weights()? {
        Weights::Drawn => {}
        Weights::Bytes(bytes) => {
            let file = || "model.safetensors".to_owned();
            let read = SafeTensors::read_metadata(bytes);
            let read =
                read.map_err(|error| FilesError::Header { file: file(), detail: error.to_string() })?;
            all.add(&read.1, bytes.len() as u64);
        }
        Weights::Paths(paths) => {
            for path in paths {
                let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                let (metadata, bytes) = read(&path).map_err(|detail| FilesError::Header { file, detail })?;
                all.add(&metadata, bytes);
            }
        }
    }
    Ok(all)
}

impl Inventory {
    fn add(&mut self, metadata: &Metadata, bytes: u64) {
        self.tensors.extend(metadata.tensors().into_iter().map(|(name, info)| {
            (name, Described { kind: info.dtype.to_string(), shape: info.shape.clone() })
        }));
        self.files += 1;
        self.bytes += bytes;
    }
}

/// What stands there, and the length of the file.
fn read(path: &Path) -> Result<(Metadata, u64), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(told)?;
    let whole = file.metadata().map_err(told)?.len();
    let mut length = [0; LENGTH];
    file.read_exact(&mut length).map_err(|_| format!("it has {whole} bytes and no header"))?;
    let length = u64::from_le_bytes(length);
    let after = LENGTH as u64 + length;
    if length > LONGEST || after > whole {
        return Err(format!(
            "its header of {length} bytes does not fit into its {whole} bytes: it is cut off or damaged"
        ));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(told)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header cannot be read: {error}"))?;
    let announced = after + metadata.data_len() as u64;
    match announced == whole {
        true => Ok((metadata, whole)),
        false => Err(format!(
            "it has {whole} bytes, and its header announces {announced}: it is cut off or damaged"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(bytes: &[u8]) -> Result<Inventory, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        inventory(&ModelFiles::Folder(folder.path().to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_demo_model_is_whole_and_a_byte_less_or_more_is_told() {
        let Weights::Bytes(bytes) = ModelFiles::Demo.weights().unwrap() else {
            panic!("it is in the binary")
        };
        let whole = on_disk(bytes).unwrap();
        assert_eq!((whole.files, whole.bytes), (1, bytes.len() as u64));
        assert!(whole.tensors.len() > 50);
        assert_eq!(inventory(&ModelFiles::Demo).unwrap(), whole);
        for wrong in [&bytes[..bytes.len() - 1], &[bytes, b"x"].concat(), &bytes[..200]] {
            let said = on_disk(wrong).unwrap_err();
            assert!(said.contains("model.safetensors") && said.contains("cut off or damaged"), "{said}");
        }
    }

    #[test]
    fn what_has_no_header_is_no_panic() {
        for bytes in
            [&b""[..], b"1234", b"version https://git-lfs.github.com/spec/v1\n", b"\x02\0\0\0\0\0\0\0[]"]
        {
            let said = on_disk(bytes).unwrap_err();
            assert!(said.contains("header"), "{bytes:?}: {said}");
        }
        assert!(on_disk(b"\x13\0\0\0\0\0\0\0{\"a\":{\"dtype\":1}}  ").is_err());
    }
}
