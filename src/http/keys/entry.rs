//! One key as the operator wrote it in; its label, digest, class and quotas out, or what is wrong with it.

use serde::Deserialize;

use super::super::digest::Digest;
use super::secret::{check_label, check_secret};

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Entry {
    pub label: String,
    pub digest: Digest,
    pub class: Class,
    /// Nothing of what is asked or answered is written down.
    pub is_private: bool,
    pub quota: Quota,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Short recordings go first, as without a key.
    #[default]
    Auto,
    /// Others go first, however short it is.
    Batch,
}

/// `None`: as much as the server bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub requests_per_minute: Option<u32>,
    pub audio_seconds_per_hour: Option<u32>,
    pub max_concurrent: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    label: String,
    digest: Digest,
    #[serde(default)]
    class: Class,
    #[serde(default)]
    private: bool,
    requests_per_minute: Option<u32>,
    audio_seconds_per_hour: Option<u32>,
    max_concurrent: Option<u32>,
}

impl TryFrom<Written> for Entry {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        check_label(&written.label)?;
        let quota = Quota {
            requests_per_minute: written.requests_per_minute,
            audio_seconds_per_hour: written.audio_seconds_per_hour,
            max_concurrent: written.max_concurrent,
        };
        let limits = [quota.requests_per_minute, quota.audio_seconds_per_hour, quota.max_concurrent];
        if limits.contains(&Some(0)) {
            return Err(format!("a limit of {:?} is 0; take the key out instead", written.label));
        }
        let Written { label, digest, class, private, .. } = written;
        Ok(Entry { label, digest, class, is_private: private, quota })
    }
}

impl Entry {
    /// `label:secret`, as in the settings. The problem never quotes it.
    pub fn listed(text: &str) -> Result<Entry, String> {
        let (label, secret) = text.split_once(':').ok_or("is not written as label:secret")?;
        check_label(label.trim())?;
        check_secret(secret.trim())?;
        Ok(Entry {
            label: label.trim().to_owned(),
            digest: Digest::of(secret.trim().as_bytes()),
            class: Class::Auto,
            is_private: false,
            quota: Quota::default(),
        })
    }
}
