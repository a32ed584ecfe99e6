//! What the operator may set of jobs (`[jobs]`), with the defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::Secret;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether jobs are taken at all.
    pub enabled: bool,
    /// Where the embedded backend keeps them; `None`: the user's own folder for such things, see `folder`. One server a folder.
    pub dir: Option<PathBuf>,
    /// A broker, for many machines: `nats://host:4222`, several with commas. `None`: the embedded backend.
    pub nats_url: Option<String>,
    /// Its credentials file.
    pub nats_credentials: Option<PathBuf>,
    /// Copies that the broker keeps of what it is told: 1, 3 or 5.
    pub nats_replicas: usize,
    /// Where audio and results are, for many machines: `s3://bucket/prefix`, or `file:///folder`. `None`: in `dir`.
    pub store_url: Option<String>,
    /// Of an S3 that is not Amazon's.
    pub store_endpoint: Option<String>,
    pub store_region: String,
    /// The store's key; `None`: what the environment says (`AWS_ACCESS_KEY_ID`, a role).
    pub store_key: Option<String>,
    pub store_secret: Option<Secret>,
    /// Items that this process works on at once; 0: as many as the model has slots, and one more that is being read.
    pub concurrency: usize,
    /// Items of a job. More are refused.
    pub max_items: usize,
    /// Items that wait, over all jobs. Beyond it jobs get 503.
    pub max_queued_items: usize,
    /// All files of a job.
    pub max_job_bytes: u64,
    /// How often an item is begun before it is given up, where its worker dies of it or the device fails.
    pub max_deliveries: u32,
    /// Jobs are forgotten so long after they have ended, audio and text.
    pub keep_seconds: u64,
    /// Whether items may be URLs, and webhooks told, in networks that are not the public Internet too.
    pub allow_private_addresses: bool,
    /// Whether items may be URLs.
    pub allow_urls: bool,
    /// What webhooks are signed with; `None`: they are not signed.
    pub webhook_secret: Option<Secret>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enabled: true,
            dir: None,
            nats_url: None,
            nats_credentials: None,
            nats_replicas: 1,
            store_url: None,
            store_endpoint: None,
            store_region: "us-east-1".to_owned(),
            store_key: None,
            store_secret: None,
            concurrency: 0,
            max_items: 100_000,
            max_queued_items: 1_000_000,
            max_job_bytes: 100 << 30,
            max_deliveries: 4,
            keep_seconds: 7 * 86_400,
            allow_private_addresses: false,
            allow_urls: false,
            webhook_secret: None,
        }
    }
}

impl Settings {
    /// What types alone do not say: the key that is wrong, and why.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.nats_url.is_some() && self.store_url.is_none() {
            return Err((
                "jobs.store_url",
                "must be set where jobs.nats_url is: workers on other machines need the audio",
            ));
        }
        if ![1, 3, 5].contains(&self.nats_replicas) {
            return Err(("jobs.nats_replicas", "must be 1, 3 or 5"));
        }
        if self.max_deliveries == 0 {
            return Err(("jobs.max_deliveries", "must be at least 1"));
        }
        Ok(())
    }

    /// `dir`, or `verbatim/jobs` in the user's folder for the state of programs.
    pub fn folder(&self) -> Option<PathBuf> {
        let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = || given("XDG_STATE_HOME").or_else(|| Some(given("HOME")?.join(".local/state")));
        self.dir.clone().or_else(|| Some(state()?.join("verbatim/jobs")))
    }
}
