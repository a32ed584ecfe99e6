//! What `--model` says in, where its files come from out: the demo model, a folder, a repository on the model hub, or nowhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::random::{self, SIZES, Size};

/// `model.name`, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Demo,
    Folder(PathBuf),
    /// `random:tiny`.
    Random(Size),
    Hub(ModelId),
}

/// `owner/name` on the hub; the type is the proof that it can stand in a path and in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId(String);

/// The hub's own limit on the length of an id.
const LONGEST_ID: usize = 96;

impl Source {
    /// A folder that exists wins over an id of the same spelling, as it does in other tools of the hub.
    pub fn parse(name: &str) -> Result<Source, SourceError> {
        if name == "demo" {
            return Ok(Source::Demo);
        }
        if let Some(size) = name.strip_prefix(random::PREFIX) {
            return Size::named(size)
                .map(Source::Random)
                .ok_or_else(|| SourceError::NoSize { given: name.to_owned() });
        }
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(Source::Folder(path.to_owned()));
        }
        let meant_as_path =
            path.is_absolute() || name.starts_with('.') || name.ends_with('/') || path.exists();
        if meant_as_path {
            return Err(SourceError::NoFolder(name.to_owned()));
        }
        name.parse().map(Source::Hub)
    }
}

impl ModelId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModelId {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        // People know the checkpoints by their sizes; what loads is always spelt out.
        if let Some(size) = Size::named(text.strip_prefix("whisper-").unwrap_or(text)) {
            return Err(SourceError::BareName { given: text.to_owned(), id: size.hub_id });
        }
        let parts: Vec<&str> = text.split('/').collect();
        match parts.len() == 2 && parts.iter().all(|part| is_plain(part)) && text.len() <= LONGEST_ID {
            true => Ok(ModelId(text.to_owned())),
            false => Err(SourceError::Malformed(text.to_owned())),
        }
    }
}

/// A branch, tag or commit that can stand in a path and in a URL.
pub fn is_revision(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(is_plain)
}

/// Letters, digits, `-`, `_` and `.`, beginning with a letter or digit, and no `..`.
fn is_plain(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !part.contains("..")
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    #[error("{0} is not a folder; give a folder with config.json and model.safetensors, a hub id, or `demo`")]
    NoFolder(String),
    #[error("{0:?} is neither `demo`, nor a folder, nor a hub id such as openai/whisper-large-v3-turbo")]
    Malformed(String),
    #[error("{given:?} is not a full hub id; did you mean {id}?")]
    BareName { given: String, id: &'static str },
    #[error("{given:?} is no random model; there are {}", random_names())]
    NoSize { given: String },
}

fn random_names() -> String {
    SIZES.iter().map(|size| format!("{}{}", random::PREFIX, size.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_folders_and_ids_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(Source::parse("demo"), Ok(Source::Demo));
        assert_eq!(Source::parse(path), Ok(Source::Folder(folder.path().to_owned())));
        let id = Source::parse("openai/whisper-tiny").unwrap();
        assert_eq!(id, Source::Hub(ModelId("openai/whisper-tiny".to_owned())));
        assert!(matches!(Source::parse("./nowhere"), Err(SourceError::NoFolder(_))));
    }

    #[test]
    fn ids_that_could_leave_the_cache_are_refused() {
        for id in ["a/../b", "../b", "a/b/c", "a//b", "-a/b", "a/.b", "a/b?x", "a/b c", "a", "a/b\n", "%2e/b"]
        {
            assert!(id.parse::<ModelId>().is_err(), "{id:?}");
        }
        assert!("a/".to_owned().repeat(60).parse::<ModelId>().is_err());
    }

    #[test]
    fn a_size_alone_gets_a_hint() {
        let hint = |name: &str| name.parse::<ModelId>().unwrap_err().to_string();
        assert!(hint("large-v3-turbo").contains("openai/whisper-large-v3-turbo?"));
        assert!(hint("distil-large-v3").contains("distil-whisper/distil-large-v3?"));
    }

    #[test]
    fn random_models_have_the_published_sizes_and_no_other() {
        assert_eq!(Source::parse("random:tiny.en"), Ok(Source::Random(Size::named("tiny.en").unwrap())));
        let error = Source::parse("random:huge").unwrap_err().to_string();
        assert!(error.contains("random:base, ") && error.contains("random:large-v3-turbo"), "{error}");
    }

    #[test]
    fn revisions_are_branches_tags_and_commits() {
        assert!(["main", "refs/pr/3", "v1.0", "ab12"].iter().all(|revision| is_revision(revision)));
        assert!(["", "..", "a/../b", "a b", "/a", "a?b"].iter().all(|revision| !is_revision(revision)));
    }
}
