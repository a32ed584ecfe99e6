//! What a caller presents in; who it is and what it may do out. Secrets are known by their digests alone.
//!
//! A secret that a machine has drawn (`verbatim keys new`: 192 bits) cannot be found by trying, so a fast hash keeps it as well
//! as a slow one would, and costs a request nothing. That is why secrets under 16 characters are refused: people's passwords
//! would need more.

mod entry;
mod file;
mod meter;
mod present;
mod secret;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

pub use self::entry::{Class, Entry};
use self::meter::Meter;
pub use self::meter::{Passed, Place, Standing};
pub use self::present::{masked, take};
pub use self::secret::{check_label, draw};
use super::digest::Digest;
use super::settings::Settings;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// All keys of the moment; cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: RwLock<Arc<[Arc<Holder>]>>,
    /// Those of the environment, which stay.
    fixed: Vec<Entry>,
    file: Option<PathBuf>,
    are_wanted: bool,
}

/// Whoever holds a key: what the operator wrote of it, and what is left of its quotas.
#[derive(Debug)]
pub struct Holder {
    pub entry: Entry,
    /// Stands for the label where only a number is wanted.
    pub number: u64,
    pub meter: Meter,
}

/// Why there are no keys to serve with.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum KeysError {
    #[error("server.keys_file: {path} cannot be read: {detail}")]
    File { path: String, detail: String },
    /// Number in the list; the entry itself may be a secret.
    #[error("server.keys: entry {0} {1}")]
    Listed(usize, String),
    #[error("the key {0:?} is there twice (server.keys, server.keys_file)")]
    Twice(String),
    #[error(
        "{0} can be reached from other machines and there are no keys: give some (`verbatim keys new LABEL` makes one \
         for server.keys_file; or VERBATIM_SERVER__KEYS=label:secret), or let everybody in with --allow-no-keys \
         (server.allow_no_keys = true)"
    )]
    Open(std::net::IpAddr),
}

/// Whether the server may start with these settings: keys that can be read, or no need of any.
pub fn check(settings: &Settings) -> Result<(), KeysError> {
    let entries = all(&fixed(settings)?, settings.keys_file.as_deref())?;
    let is_private = settings.host.to_canonical().is_loopback();
    match entries.is_empty() && !is_private && !settings.allow_no_keys {
        true => Err(KeysError::Open(settings.host)),
        false => Ok(()),
    }
}

impl Keys {
    /// Where the settings cannot be met, nobody has a key; whoever wants to know why asks `check` first.
    pub fn new(settings: &Settings) -> Keys {
        let fixed = fixed(settings).unwrap_or_default();
        let file = settings.keys_file.clone();
        let keys = Keys(Arc::new(Shared {
            ring: RwLock::new(Arc::new([])),
            fixed,
            are_wanted: !settings.keys.is_empty() || file.is_some(),
            file,
        }));
        keys.read();
        keys
    }

    /// Without any, everybody is let in.
    pub fn are_wanted(&self) -> bool {
        self.0.are_wanted
    }

    /// Looks at every key whatever it finds, so that the time it takes says nothing.
    pub fn holder(&self, secret: &[u8]) -> Option<Arc<Holder>> {
        let digest = Digest::of(secret);
        let mut found = None;
        for holder in self.ring().iter() {
            if holder.entry.digest.matches(&digest).into() {
                found = Some(holder.clone());
            }
        }
        found
    }

    /// So much audio was transcribed for a key, of which only the number is left.
    pub fn heard(&self, number: u64, audio: Duration) {
        if let Some(holder) = self.ring().iter().find(|holder| holder.number == number) {
            holder.meter.heard(audio, Instant::now());
        }
    }

    /// For ever: reads the file again when it has changed, or on SIGHUP. A file that cannot be used changes nothing.
    pub async fn follow(self) {
        let Some(path) = &self.0.file else { return std::future::pending().await };
        let mut seen = stamp(path);
        let mut asked = Asked::listen();
        loop {
            let was_asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = asked.once() => true,
            };
            let now = stamp(path);
            if was_asked || now != seen {
                seen = now;
                self.read();
            }
        }
    }

    fn ring(&self) -> Arc<[Arc<Holder>]> {
        self.0.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holders whose quotas are the same keep what they have used of them.
    fn read(&self) {
        let entries = match all(&self.0.fixed, self.0.file.as_deref()) {
            Ok(entries) => entries,
            Err(error) => return tracing::error!(%error, "the keys stay as they were"),
        };
        let old = self.ring();
        let now = Instant::now();
        let holder = |entry: Entry| {
            let known = old.iter().find(|old| old.entry.label == entry.label);
            let meter = known.filter(|old| old.entry.quota == entry.quota).map(|old| old.meter.clone());
            let meter = meter.unwrap_or_else(|| Meter::new(&entry.quota, now));
            Arc::new(Holder { number: Digest::of(entry.label.as_bytes()).number(), entry, meter })
        };
        let ring: Arc<[Arc<Holder>]> = entries.into_iter().map(holder).collect();
        if self.are_wanted() {
            tracing::info!(keys = ring.len(), "callers need a key");
        }
        *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

/// Those of the settings themselves.
fn fixed(settings: &Settings) -> Result<Vec<Entry>, KeysError> {
    let entries = settings.keys.iter().enumerate().map(|(index, written)| {
        Entry::listed(written.reveal()).map_err(|problem| KeysError::Listed(index + 1, problem))
    });
    entries.collect()
}

fn all(fixed: &[Entry], file: Option<&Path>) -> Result<Vec<Entry>, KeysError> {
    let mut entries = fixed.to_vec();
    if let Some(path) = file {
        entries.extend(file::read(path)?);
    }
    for (index, entry) in entries.iter().enumerate() {
        let same = |other: &Entry| other.label == entry.label || other.digest == entry.digest;
        if entries[..index].iter().any(same) {
            return Err(KeysError::Twice(entry.label.clone()));
        }
    }
    Ok(entries)
}

/// What changes with the file. A mounted secret changes by its link, and the time is that of what it points to.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

/// SIGHUP, where there is such a thing. It is listened to only with a file, so that elsewhere a terminal that closes still ends
/// the program.
struct Asked {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Asked {
    #[cfg(unix)]
    fn listen() -> Self {
        Asked { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok() }
    }

    #[cfg(unix)]
    async fn once(&mut self) {
        let received = match &mut self.signal {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if received.is_none() {
            std::future::pending().await
        }
    }

    #[cfg(not(unix))]
    fn listen() -> Self {
        Asked {}
    }

    #[cfg(not(unix))]
    async fn once(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_secret_and_by_nothing_else() {
        let keys = Keys::new(&settings(r#"{"keys": ["a:0123456789abcdef", "b:fedcba9876543210"]}"#));
        assert!(keys.are_wanted());
        let label = |secret: &str| keys.holder(secret.as_bytes()).map(|holder| holder.entry.label.clone());
        assert_eq!(label("fedcba9876543210").as_deref(), Some("b"));
        for wrong in ["", "b", "fedcba987654321", "fedcba98765432100", "b:fedcba9876543210"] {
            assert_eq!(label(wrong), None, "{wrong}");
        }
        assert!(!Keys::new(&Settings::default()).are_wanted());
    }

    #[test]
    fn without_keys_only_this_machine_is_served_unless_the_operator_says_otherwise() {
        let checked = |json: &str| check(&settings(json)).map_err(|error| error.to_string());
        for fine in [
            r#"{"host": "127.0.0.1"}"#,
            r#"{"host": "::1"}"#,
            r#"{"host": "::ffff:127.0.0.1"}"#,
            r#"{"host": "0.0.0.0", "allow_no_keys": true}"#,
            r#"{"host": "0.0.0.0", "keys": ["a:0123456789abcdef"]}"#,
        ] {
            assert_eq!(checked(fine), Ok(()), "{fine}");
        }
        let refused = checked(r#"{"host": "0.0.0.0"}"#).unwrap_err();
        assert!(refused.contains("--allow-no-keys") && refused.contains("keys new"), "{refused}");
        assert!(checked(r#"{"host": "::"}"#).is_err());
        let twice = r#"{"keys": ["a:0123456789abcdef", "a:fedcba9876543210"]}"#;
        assert_eq!(check(&settings(twice)), Err(KeysError::Twice("a".to_owned())));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_without_saying_the_key() {
        for wrong in ["secretsecretsecret", "a:secret", "two words:secretsecretsecret", ":secretsecretsecret"]
        {
            let told = check(&settings(&format!(r#"{{"keys": ["{wrong}"]}}"#))).unwrap_err().to_string();
            assert!(told.contains("entry 1") && !told.contains("secretsecret"), "{told}");
        }
    }

    #[test]
    fn a_file_that_breaks_keeps_the_old_keys_and_what_they_have_used() {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        let entry = |label: &str, secret: &str, more: &str| {
            let digest = Digest::of(secret.as_bytes());
            format!("[[keys]]\nlabel = '{label}'\ndigest = '{digest}'\n{more}\n")
        };
        write(&entry("a", "one", "requests_per_minute = 1"));
        let keys = Keys::new(&Settings { keys_file: Some(file.path().to_owned()), ..Settings::default() });
        let now = Instant::now();
        let spent = |secret: &str| keys.holder(secret.as_bytes()).unwrap().meter.enter(now).is_err();
        assert!(!spent("one") && spent("one"));

        write("[[keys]]\nlabel = ");
        keys.read();
        assert!(spent("one"));
        // The same holder with another secret has used as much; another has used nothing.
        let renewed = entry("a", "two", "requests_per_minute = 1") + &entry("b", "three", "");
        write(&renewed);
        keys.read();
        assert!(keys.holder(b"one").is_none());
        assert!(spent("two") && !spent("three"));
    }
}
