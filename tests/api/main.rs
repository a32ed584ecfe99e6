//! The HTTP contract: a real server and a real client, with a fake model between the real engine and nothing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "../support/fake_model.rs"]
mod fake_model;
#[path = "../support/server.rs"]
mod server;

mod accounts;
mod cancel;
mod cors;
mod errors;
mod exposition;
mod gpu_info;
mod health;
mod idempotency;
mod jobs;
mod keys;
mod life;
mod openai;
mod options;
mod overload;
mod page;
mod privacy;
mod realtime;
mod sessions;
mod shutdown;
mod slow_clients;
mod subtitles;
mod transcribe;
