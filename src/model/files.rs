//! Where a model's files come from: a folder on disk, the demo model inside the binary, or nowhere (`random`).

use std::borrow::Cow;
use std::path::PathBuf;

use super::random::Size;

/// The bundled demo model, compiled into the binary so that a first start needs no network and no file.
/// See models/demo/README.md.
const DEMO: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../models/demo/config.json")),
    ("generation_config.json", include_bytes!("../../models/demo/generation_config.json")),
    ("tokenizer.json", include_bytes!("../../models/demo/tokenizer.json")),
    ("model.safetensors", include_bytes!("../../models/demo/model.safetensors")),
];

/// A checkpoint in the layout of the model hub: `config.json`, `tokenizer.json`, safetensors, and what else it has.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelFiles {
    Demo,
    Folder(PathBuf),
    /// A published shape, without its weights.
    Random(Size),
}

/// The tensors of a checkpoint.
#[derive(Debug)]
pub enum Weights {
    /// Embedded in the binary.
    Bytes(&'static [u8]),
    /// One file, or the shards that `model.safetensors.index.json` names.
    Paths(Vec<PathBuf>),
    /// To be drawn, whatever the network asks for.
    Drawn,
}

impl ModelFiles {
    /// Bytes of a file; `None` where the checkpoint has no such file.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, FilesError> {
        match self {
            ModelFiles::Demo => {
                Ok(DEMO.iter().find(|(known, _)| *known == name).map(|(_, bytes)| Cow::Borrowed(*bytes)))
            }
            ModelFiles::Random(size) => Ok(match name {
                "config.json" => Some(Cow::Owned(size.config_json().into_bytes())),
                "tokenizer.json" => Some(Cow::Owned(size.tokenizer_json().into_bytes())),
                _ => None,
            }),
            ModelFiles::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(FilesError::Unreadable { path, error }),
                }
            }
        }
    }

    /// Like `read`, for a file that every checkpoint must have.
    pub fn require(&self, name: &'static str) -> Result<Cow<'static, [u8]>, FilesError> {
        self.read(name)?.ok_or_else(|| FilesError::Missing { name, place: self.place() })
    }

    pub fn weights(&self) -> Result<Weights, FilesError> {
        let folder = match self {
            ModelFiles::Demo => {
                let bytes =
                    DEMO.iter().find(|(name, _)| *name == "model.safetensors").map(|(_, bytes)| *bytes);
                return bytes
                    .map(Weights::Bytes)
                    .ok_or(FilesError::Missing { name: "model.safetensors", place: self.place() });
            }
            ModelFiles::Random(_) => return Ok(Weights::Drawn),
            ModelFiles::Folder(folder) => folder,
        };
        let single = folder.join("model.safetensors");
        if single.is_file() {
            return Ok(Weights::Paths(vec![single]));
        }
        let Some(index) = self.read("model.safetensors.index.json")? else {
            return Err(FilesError::Missing { name: "model.safetensors", place: self.place() });
        };
        let shards = shard_names(&index)?;
        for shard in &shards {
            if !folder.join(shard).is_file() {
                return Err(FilesError::MissingShard { shard: shard.clone(), place: self.place() });
            }
        }
        Ok(Weights::Paths(shards.into_iter().map(|shard| folder.join(shard)).collect()))
    }

    fn place(&self) -> String {
        match self {
            ModelFiles::Demo => "the bundled demo model".to_owned(),
            ModelFiles::Random(size) => format!("the random model {}", size.name),
            ModelFiles::Folder(folder) => format!("the folder {}", folder.display()),
        }
    }
}

/// The distinct shard files of an index, each a plain file name.
///
/// An index is data from outside: a name that would leave the folder is refused.
pub fn shard_names(index: &[u8]) -> Result<Vec<String>, FilesError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|error| FilesError::Index(error.to_string()))?;
    let mut names: Vec<String> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        let plain = std::path::Path::new(name).file_name().is_some_and(|file| file == name.as_str());
        if !plain || !name.ends_with(".safetensors") {
            return Err(FilesError::Index(format!("{name:?} is not the name of a shard")));
        }
    }
    Ok(names)
}

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("{place} has no {name}")]
    Missing { name: &'static str, place: String },
    #[error("{place} lacks the shard {shard}, which model.safetensors.index.json names")]
    MissingShard { shard: String, place: String },
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{file} cannot be used: {detail}")]
    Header { file: String, detail: String },
    #[error("model.safetensors.index.json cannot be used: {0}")]
    Index(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_listed_once_and_in_order() {
        let index = br#"{"weight_map": {"b": "model-00002.safetensors", "a": "model-00001.safetensors",
                         "c": "model-00002.safetensors"}}"#;
        assert_eq!(shard_names(index).unwrap(), ["model-00001.safetensors", "model-00002.safetensors"]);
    }

    #[test]
    fn an_index_that_points_outside_the_folder_is_refused() {
        for name in ["../secret.safetensors", "/etc/x.safetensors", "a/b.safetensors", "weights.bin", ".."] {
            let index = serde_json::json!({ "weight_map": { "a": name } }).to_string();
            assert!(shard_names(index.as_bytes()).is_err(), "{name}");
        }
    }
}
