//! Durable batch jobs: files in one call, accepted for good, worked off by whoever has a device, however often somebody crashes.
//!
//! ```text
//! submit --blobs: audio--> backend: manifest, queue --claim--> runner --scribe--> blobs: result --end--> backend --> webhook
//! ```
//!
//! The backend is embedded (SQLite, in the server's own process) or a broker (NATS JetStream, for many machines). Audio and results are
//! blobs, in a folder or a bucket. A result is in the blobs before its item is said to be done, under a name that says whose it is, so
//! that doing an item twice does no harm: at least once, and the same each time.

mod archive;
mod backend;
mod blobs;
mod embedded;
mod job;
mod nats;
mod outbox;
mod remote;
mod runner;
mod service;
mod settings;
mod webhook;

pub use self::archive::{Bounds as ArchiveBounds, Kind as ArchiveKind, kind as archive_kind, unpack};
pub use self::backend::{
    Backend, Claimed, Hold, JobError, LEASE, Lease, SIGN_OF_LIFE, Submitted, Token, Webhook,
};
pub use self::blobs::Blobs;
pub use self::embedded::Embedded;
pub use self::job::{
    Counts, Fields, Item, ItemId, ItemState, Job, JobState, Priority, Request, Sound, Standing, Summary,
    new_id, now_ms,
};
pub use self::nats::{Manifests, Nats, Results, Times, reach as reach_broker};
pub use self::outbox::tell;
pub use self::remote::{Remote, check as check_url};
pub use self::runner::{Failure, Fetch, Said, Scribe, Shift, Watch, error, hash, run};
pub use self::service::Jobs;
pub use self::settings::Settings;
