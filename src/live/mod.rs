//! What is spoken while it is transcribed, without a socket, a clock or a task: time is samples.
//!
//! ```text
//! realtime   a websocket's events in, events out; turns heard by the server or committed by the client
//! dictation  chunk --take (sequence, overlap)--> samples --the window that is still open--> hypothesis
//!            --agreement--> committed, tentative; difference: what the finished text changed
//! ```

pub mod agreement;
pub mod difference;
pub mod overlap;
pub mod realtime;
pub mod take;

#[cfg(test)]
mod tests;
