//! Audio, results and manifests of jobs in; the same out, from a folder or a bucket that all machines share.
//!
//! ```text
//! jobs/<job>/manifest.json  jobs/<job>/audio/<sha256>  jobs/<job>/results/<item>.json
//! known/<owner>/<digest of audio, options and model>   which item of which job has the result already
//! ```

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};

use super::backend::JobError;
use super::job::{ItemId, Job};
use super::settings::Settings;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Before every path.
    root: Path,
    /// Where it is one.
    folder: Option<PathBuf>,
}

impl Blobs {
    /// `folder`: where they are unless `jobs.store_url` says otherwise; it is made where it is missing.
    pub fn open(settings: &Settings, folder: &FilePath) -> Result<Blobs, JobError> {
        let failed = |error: &dyn std::fmt::Display| JobError::unavailable("jobs.store_url", error);
        match settings.store_url.as_deref() {
            None => Blobs::in_folder(folder),
            Some(url) => match url.split_once("://") {
                Some(("file", path)) => Blobs::in_folder(FilePath::new(path)),
                Some(("s3", rest)) => {
                    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                    let store = bucket_store(settings, bucket).map_err(|error| failed(&error))?;
                    Ok(Blobs { store: Arc::new(store), root: Path::from(prefix), folder: None })
                }
                _ => Err(failed(&format!("{url:?} is neither s3://bucket/prefix nor file:///folder"))),
            },
        }
    }

    fn in_folder(folder: &FilePath) -> Result<Blobs, JobError> {
        let what = format!("the folder of jobs {}", folder.display());
        private(folder).map_err(|error| JobError::unavailable(&what, error))?;
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| JobError::unavailable(&what, error))?;
        // A job that was acknowledged is on the disk with its audio, also when the power goes.
        let store = Arc::new(store.with_fsync(true));
        Ok(Blobs { store, root: Path::default(), folder: Some(folder.to_owned()) })
    }

    pub async fn put_audio(&self, job: &str, hash: &str, bytes: Bytes) -> Result<(), JobError> {
        self.put(self.audio_path(job, hash), bytes).await
    }

    pub async fn audio(&self, job: &str, hash: &str) -> Result<Option<Bytes>, JobError> {
        self.get(self.audio_path(job, hash)).await
    }

    pub async fn put_result(&self, id: &ItemId, json: Bytes) -> Result<(), JobError> {
        self.put(self.result_path(id), json).await
    }

    pub async fn result(&self, id: &ItemId) -> Result<Option<Bytes>, JobError> {
        self.get(self.result_path(id)).await
    }

    pub async fn put_manifest(&self, job: &Job) -> Result<(), JobError> {
        let json = serde_json::to_vec(job).expect("plain data serialises");
        self.put(self.of(&job.id).join("manifest.json"), json.into()).await
    }

    pub async fn manifest(&self, id: &str) -> Result<Option<Job>, JobError> {
        let Some(json) = self.get(self.of(id).join("manifest.json")).await? else { return Ok(None) };
        let job = serde_json::from_slice(&json);
        job.map(Some).map_err(|error| JobError::unavailable(&format!("the manifest of {id}"), error))
    }

    /// Ids of all jobs that have blobs.
    pub async fn jobs(&self) -> Result<Vec<String>, JobError> {
        let all = self.root.clone().join("jobs");
        let found = self.store.list_with_delimiter(Some(&all)).await.map_err(unusable)?;
        Ok(found.common_prefixes.iter().filter_map(|path| Some(path.filename()?.to_owned())).collect())
    }

    /// Which item has the result that is called so.
    pub async fn known(&self, owner: u64, digest: &str) -> Result<Option<ItemId>, JobError> {
        let found = self.get(self.known_path(owner, digest)).await?;
        Ok(found.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    pub async fn put_known(&self, owner: u64, digest: &str, id: &ItemId) -> Result<(), JobError> {
        let json = serde_json::to_vec(id).expect("plain data serialises");
        self.put(self.known_path(owner, digest), json.into()).await
    }

    /// Writes a few bytes, reads them and removes them.
    pub async fn try_out(&self) -> Result<(), JobError> {
        let path = self.root.clone().join("trial").join(super::job::new_id());
        let bytes = Bytes::from_static(b"verbatim");
        self.put(path.clone(), bytes.clone()).await?;
        let found = self.get(path.clone()).await?;
        self.store.delete(&path).await.map_err(unusable)?;
        match found == Some(bytes) {
            true => Ok(()),
            false => Err(JobError::Unavailable(
                "the store of jobs (jobs.store_url) does not give back what was written to it".to_owned(),
            )),
        }
    }

    /// All that there is of a job.
    pub async fn forget(&self, job: &str) -> Result<(), JobError> {
        let of = self.of(job);
        if let Some(folder) = &self.folder {
            // All at once, and no empty folders are left.
            return match tokio::fs::remove_dir_all(folder.join(of.as_ref())).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(JobError::unavailable("the folder of jobs", error))
                }
                _ => Ok(()),
            };
        }
        self.remove(self.store.list(Some(&of)).map_ok(|found| found.location).boxed()).await
    }

    /// Names of results that were given so long ago that the jobs they lead to are forgotten.
    pub async fn forget_known(&self, before_ms: u64) -> Result<(), JobError> {
        let known = self.root.clone().join("known");
        let all = self.store.list(Some(&known));
        let is_old = move |found: &ObjectMeta| (found.last_modified.timestamp_millis() as u64) < before_ms;
        let old = all.try_filter(move |found| std::future::ready(is_old(found)));
        self.remove(old.map_ok(|found| found.location).boxed()).await
    }

    async fn remove(&self, paths: BoxStream<'static, object_store::Result<Path>>) -> Result<(), JobError> {
        let gone = self.store.delete_stream(paths).filter_map(async |gone| match gone {
            Err(Error::NotFound { .. }) | Ok(_) => None,
            Err(error) => Some(error),
        });
        match Box::pin(gone).next().await {
            None => Ok(()),
            Some(error) => Err(unusable(error)),
        }
    }

    fn of(&self, job: &str) -> Path {
        self.root.clone().join("jobs").join(job)
    }

    fn audio_path(&self, job: &str, hash: &str) -> Path {
        self.of(job).join("audio").join(hash)
    }

    fn result_path(&self, id: &ItemId) -> Path {
        self.of(&id.job).join("results").join(format!("{}.json", id.item))
    }

    fn known_path(&self, owner: u64, digest: &str) -> Path {
        self.root.clone().join("known").join(format!("{owner:016x}")).join(digest)
    }

    async fn put(&self, path: Path, bytes: Bytes) -> Result<(), JobError> {
        self.store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(unusable)?;
        Ok(())
    }

    async fn get(&self, path: Path) -> Result<Option<Bytes>, JobError> {
        match self.store.get(&path).await {
            Ok(found) => found.bytes().await.map(Some).map_err(unusable),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unusable(error)),
        }
    }
}

fn unusable(error: Error) -> JobError {
    JobError::unavailable("the store of jobs (jobs.dir or jobs.store_url)", error)
}

fn bucket_store(settings: &Settings, bucket: &str) -> object_store::Result<impl ObjectStore + use<>> {
    // reqwest was built without a cryptography of its own. A second call finds the first's and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder =
        AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(&settings.store_region);
    if let Some(endpoint) = &settings.store_endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let (Some(key), Some(secret)) = (&settings.store_key, &settings.store_secret) {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret.reveal());
    }
    builder.build()
}

/// Made for this user alone: what people said is nobody else's.
pub fn private(folder: &FilePath) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_comes_back_until_its_job_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&Settings::default(), dir.path()).unwrap();
        let id = |job: &str| ItemId { job: job.to_owned(), item: 3 };
        blobs.try_out().await.unwrap();
        assert!(blobs.jobs().await.unwrap().is_empty());
        for job in ["job_a", "job_b"] {
            blobs.put_audio(job, "00ff", Bytes::from_static(b"sound")).await.unwrap();
            blobs.put_result(&id(job), Bytes::from_static(b"{}")).await.unwrap();
        }
        blobs.put_known(7, "abc", &id("job_a")).await.unwrap();
        assert_eq!(blobs.known(7, "abc").await.unwrap(), Some(id("job_a")));
        assert_eq!(blobs.known(8, "abc").await.unwrap(), None);
        assert_eq!(blobs.jobs().await.unwrap().len(), 2);
        blobs.forget("job_a").await.unwrap();
        blobs.forget("job_a").await.unwrap();
        assert_eq!(blobs.result(&id("job_a")).await.unwrap(), None);
        assert_eq!(blobs.jobs().await.unwrap(), ["job_b"]);
        blobs.forget_known(1).await.unwrap();
        assert!(blobs.known(7, "abc").await.unwrap().is_some());
        blobs.forget_known(u64::MAX).await.unwrap();
        assert!(blobs.known(7, "abc").await.unwrap().is_none());
        assert_eq!(blobs.audio("job_b", "00ff").await.unwrap().as_deref(), Some(&b"sound"[..]));
    }
}
