//! The `[model]` settings in; out: where the files are, after a download if need be.

use std::env;
use std::fmt;
use std::path::PathBuf;

use super::files::ModelFiles;
use super::hub::{self, HubError, Progress, Request};
use super::kernels::Kernels;
use super::source::{ModelId, Source, SourceError, is_revision};

/// What the operator may set (`[model]`). Texts stay as typed here; `whisper` reads the device and the dtype.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `demo`, a folder, a hub id, or `random:` and a size.
    pub name: String,
    /// Branch, tag or commit of a hub id.
    pub revision: String,
    /// Folder of downloaded models; `None`: the one that the hub's Python tools use.
    pub cache_dir: Option<PathBuf>,
    pub endpoint: String,
    pub token: Option<Secret>,
    pub offline: bool,
    /// `auto`, `cpu`, `cuda`, `cuda:N`, `metal`.
    pub device: String,
    /// `auto`, `f32`, `f16`, `bf16`, `q8_0`.
    pub dtype: String,
    /// `auto`, `plain`, `own`.
    pub kernels: Kernels,
    /// Windows decoded at once; 0: chosen by device and size of the model.
    pub slots: usize,
    /// Rows of one decoder step, beams and draws counted; 0: 16 more than `slots`.
    pub lanes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: "demo".to_owned(),
            revision: "main".to_owned(),
            cache_dir: None,
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            device: "auto".to_owned(),
            dtype: "auto".to_owned(),
            kernels: Kernels::Auto,
            slots: 0,
            lanes: 0,
        }
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl Settings {
    /// Where the model's files are. `on` is told about a download; the last value says what the operator should know.
    pub fn locate(
        &self,
        on: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(ModelFiles, Option<String>), LocateError> {
        match Source::parse(&self.name)? {
            Source::Demo => Ok((ModelFiles::Demo, None)),
            Source::Folder(folder) => Ok((ModelFiles::Folder(folder), None)),
            Source::Random(size) => Ok((ModelFiles::Random(size), None)),
            Source::Hub(id) => {
                let fetched = hub::fetch(&self.request(id)?, on)?;
                Ok((ModelFiles::Folder(fetched.folder), fetched.note))
            }
        }
    }

    /// The folder of downloaded models, whether or not it is there.
    pub fn cache(&self) -> Result<PathBuf, LocateError> {
        let cache_dir = self.cache_dir.clone().or_else(default_cache_dir).ok_or(LocateError::NoCache)?;
        Ok(std::path::absolute(&cache_dir).unwrap_or(cache_dir))
    }

    pub fn request(&self, id: ModelId) -> Result<Request, LocateError> {
        if !is_revision(&self.revision) {
            return Err(LocateError::Revision(self.revision.clone()));
        }
        let endpoint = self.endpoint.trim_end_matches('/').to_owned();
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(LocateError::Endpoint(self.endpoint.clone()));
        }
        Ok(Request {
            id,
            revision: self.revision.clone(),
            cache_dir: self.cache()?,
            endpoint,
            token: self.token.as_ref().map(|token| token.reveal().to_owned()),
            offline: self.offline,
        })
    }
}

/// The Python tools' own rule, so that a model fetched by them is found.
fn default_cache_dir() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = folder("HF_HOME")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache").join("huggingface")));
    home.map(|home| home.join("hub"))
}

/// Why there are no files to load.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error("model.name: {0}")]
    Source(#[from] SourceError),
    #[error("model.revision: {0:?} is not a branch, tag or commit")]
    Revision(String),
    #[error("model.endpoint: {0:?} is not an http or https address")]
    Endpoint(String),
    #[error("there is no folder to keep models in: set model.cache_dir, HF_HOME or HOME")]
    NoCache,
    #[error(transparent)]
    Hub(#[from] HubError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let settings = Settings { token: Some(Secret("hf_private".to_owned())), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hf_private"));
        assert!(!serde_json::to_string(&settings).unwrap().contains("hf_private"));
        let request = settings.request("a/b".parse().unwrap()).unwrap();
        assert!(!format!("{request:?}").contains("hf_private"));
    }

    #[test]
    fn a_bad_endpoint_or_revision_names_its_key() {
        let refused = |settings: Settings| settings.request("a/b".parse().unwrap()).unwrap_err().to_string();
        let endpoint = refused(Settings { endpoint: "huggingface.co".to_owned(), ..Settings::default() });
        let revision = refused(Settings { revision: "../main".to_owned(), ..Settings::default() });
        assert!(endpoint.starts_with("model.endpoint") && revision.starts_with("model.revision"));
    }
}
