//! A nats-server of a test's own and what jobs need beside it; out: a URL, and something to kill.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;
use verbatim::jobs::{Item, Job, JobError, Manifests, Priority, Results, Sound, Standing, now_ms};

pub struct Broker {
    server: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
}

impl Broker {
    /// `None`, and a line that says so: there is no nats-server here.
    pub fn start() -> Option<Broker> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: nats-server is not installed");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Broker { server: None, port, folder: tempfile::tempdir().unwrap() };
        broker.restart();
        Some(broker)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn restart(&mut self) {
        let config = self.folder.path().join("nats.conf");
        let store = self.folder.path().join("store");
        let text = format!(
            "listen: \"127.0.0.1:{}\"\njetstream {{ store_dir: {:?} }}\n",
            self.port,
            store.display().to_string()
        );
        std::fs::write(&config, text).unwrap();
        let mut server = Command::new("nats-server");
        server.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub fn lose_everything(&self) {
        std::fs::remove_dir_all(self.folder.path().join("store")).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Manifests in memory.
#[derive(Default)]
pub struct Kept {
    jobs: Mutex<BTreeMap<String, Job>>,
    reads: Mutex<BTreeMap<String, usize>>,
}

impl Kept {
    pub fn names(&self) -> Vec<String> {
        self.jobs.lock().unwrap().keys().cloned().collect()
    }

    pub fn add(&self, job: &Job) {
        self.jobs.lock().unwrap().insert(job.id.clone(), job.clone());
    }

    pub fn reads(&self, id: &str) -> usize {
        self.reads.lock().unwrap().get(id).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Manifests for Kept {
    async fn put(&self, job: &Job) -> Result<(), JobError> {
        self.add(job);
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Job>, JobError> {
        *self.reads.lock().unwrap().entry(id.to_owned()).or_default() += 1;
        Ok(self.jobs.lock().unwrap().get(id).cloned())
    }

    async fn delete(&self, id: &str) -> Result<(), JobError> {
        self.jobs.lock().unwrap().remove(id);
        Ok(())
    }

    async fn ids(&self) -> Result<Vec<String>, JobError> {
        Ok(self.names())
    }
}

pub struct NoResults;

#[async_trait]
impl Results for NoResults {
    async fn has(&self, _: &str, _: usize) -> Result<Option<Standing>, JobError> {
        Ok(None)
    }
}

/// The one result that is there.
pub struct Done {
    pub job: String,
    pub item: usize,
    pub standing: Standing,
}

#[async_trait]
impl Results for Done {
    async fn has(&self, job: &str, item: usize) -> Result<Option<Standing>, JobError> {
        Ok((job == self.job && item == self.item).then(|| self.standing.clone()))
    }
}

/// Of the owner 7.
pub fn job(id: &str, items: usize) -> Job {
    let item = |at: usize| Item {
        name: format!("{at}.wav"),
        sound: Sound::Kept { hash: format!("{at:064x}"), bytes: 1_000 },
    };
    Job {
        id: id.to_owned(),
        owner: 7,
        created_ms: now_ms(),
        name: Some(format!("the job {id}")),
        priority: Priority::Normal,
        fields: vec![("language".to_owned(), "en".to_owned())],
        webhook: None,
        request: None,
        items: (0..items).map(item).collect(),
    }
}

pub fn refused(name: &str, error: Value) -> Item {
    Item { name: name.to_owned(), sound: Sound::Refused(error) }
}
