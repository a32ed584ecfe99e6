//! Verbatim.
pub mod audio;
pub mod cli;
pub mod config;
pub mod decoding;
pub mod engine;
pub mod format;
pub mod http;
pub mod model;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;
pub mod text;
pub mod timing;
pub mod transcriber;
pub mod transcript;
