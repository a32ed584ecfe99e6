//! Verbatim turns audio into text over HTTP with Whisper, the windows of all requests batched on one device.
//!
//! ```text
//! http         upload, Options                                 one permit at the door
//! transcriber  decode -> Pcm -> speech -> Window* -> LogMel*   bounded CPU pool, never the threads that serve sockets
//! engine       queue -> slots -> Plan {Encode | Step | Align}  one OS thread owns the device
//! model        encode(batch), step(rows), align(rows)          synchronous, plain data in and out
//! decoding     Sample -> Sequence -> Hypothesis                Whisper's rules as data
//! timing       Hypothesis* -> Segment*, Word*
//! format       Transcript -> text
//! ```
//!
//! What must stay true is in CONTRIBUTING.md, and held by tests/tidy.rs. The modules, in reading order:

// The use case and its words.
pub mod transcriber;
pub mod transcript;

// What is spoken while it is transcribed, and what may take all night.
pub mod jobs;
pub mod live;

// From bytes to text, as the flow goes.
pub mod audio;
pub mod decoding;
pub mod engine;
pub mod format;
pub mod model;
pub mod text;
pub mod timing;

// What its arithmetic is made of.
mod vector;

// What people and machines see of it.
pub mod cli;
pub mod config;
pub mod http;

// How it lives and is watched.
pub mod readiness;
pub mod shutdown;
pub mod telemetry;
