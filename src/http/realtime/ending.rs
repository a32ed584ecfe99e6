//! Why a session ends in; what the client is told at the end out: an event where there is something to explain, and a close frame.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, close_code};
use futures::StreamExt;
use futures::stream::SplitStream;

use super::outgoing::Outgoing;
use super::settings::Settings;
use crate::live::realtime::{Failure, Out, Session};

/// For the client to close its side. What it still sends is read, or the system would take back our last words with a reset.
const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub enum End {
    /// The client closed it, or the network did.
    Left,
    /// It answers no pings.
    Silent,
    Idle,
    /// It does not read what it is told.
    Slow,
    TooLarge,
    /// Not websocket, in the protocol's words.
    Broken(String),
    Shutdown,
}

impl End {
    pub fn of(error: &axum::Error) -> End {
        let text = error.to_string();
        // Neither axum nor its websocket crate lets one ask for the kind of an error without naming that crate.
        match text {
            text if text.contains("too long") => End::TooLarge,
            text if text.contains("without closing handshake") || text.contains("IO error") => End::Left,
            text => End::Broken(text),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            End::Left => "client",
            End::Silent => "no_pong",
            End::Idle => "idle",
            End::Slow => "slow_reader",
            End::TooLarge => "too_large",
            End::Broken(_) => "protocol",
            End::Shutdown => "shutdown",
        }
    }

    pub async fn say(
        self,
        settings: &Settings,
        mut session: Session,
        (out, mut stream): (Outgoing, SplitStream<WebSocket>),
    ) {
        // A close frame's reason may have 123 bytes.
        let (code, reason, explained) = match self {
            End::Left | End::Silent => return,
            End::Idle => {
                let seconds = settings.idle_timeout.as_secs_f64();
                let text = format!("nothing came for {seconds} s (server.realtime.idle_timeout_seconds)");
                (close_code::POLICY, text, Some(("invalid_request_error", "session_idle")))
            }
            End::Slow => {
                let most = settings.max_unread_events;
                let text = format!("{most} events were not read (server.realtime.max_unread_events)");
                (close_code::POLICY, text, None)
            }
            End::TooLarge => {
                (close_code::SIZE, "one event may hold 15 MiB of audio at most".to_owned(), None)
            }
            End::Broken(mut text) => {
                text.truncate(text.floor_char_boundary(120));
                (close_code::PROTOCOL, text, None)
            }
            End::Shutdown => {
                let text = "the server is shutting down; connect again".to_owned();
                (close_code::AWAY, text, Some(("server_error", "shutting_down")))
            }
        };
        if let Some((kind, code)) = explained {
            let failure = Failure {
                r#type: kind.to_owned(),
                code: Some(code.to_owned()),
                message: reason.clone(),
                param: None,
            };
            if let Out::Say(text) = session.refuse(failure, None) {
                // Whoever cannot be told has left.
                let _ = out.say(Message::Text(text.into()));
            }
        }
        out.close(code, reason).await;
        let until_closed = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(LINGER, until_closed).await;
    }
}
