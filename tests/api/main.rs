//! The HTTP contract: a real server and a real client, with a fake model between the real engine and nothing.

#[path = "../support/fake_model.rs"]
mod fake_model;
#[path = "../support/server.rs"]
mod server;

mod cancel;
mod errors;
mod gpu_info;
mod health;
mod overload;
mod shutdown;
mod slow_clients;
mod transcribe;
