//! Events in, as they come; the socket's frames out, as fast as the client reads. What waits is bounded.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};
use tokio_util::task::AbortOnDropHandle;

/// For the last events and the close frame to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub struct Outgoing {
    queue: Sender<Message>,
    writer: AbortOnDropHandle<()>,
}

/// Why an event cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The queue is full.
    Slow,
    Gone,
}

impl Outgoing {
    pub fn new(sink: SplitSink<WebSocket, Message>, most: usize) -> Self {
        let (queue, waiting) = mpsc::channel(most.max(1));
        Outgoing { queue, writer: AbortOnDropHandle::new(tokio::spawn(write(sink, waiting))) }
    }

    pub fn say(&self, message: Message) -> Result<(), Unheard> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Unheard::Slow,
            TrySendError::Closed(_) => Unheard::Gone,
        })
    }

    /// Resolves once nothing can be written any more.
    pub async fn broken(&self) {
        self.queue.closed().await;
    }

    /// After what still waits, as far as the client takes it in time.
    pub async fn close(self, code: u16, reason: String) {
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let Outgoing { queue, writer } = self;
        let leave = async {
            // Whoever has left needs no frame.
            let _ = queue.send(frame).await;
            drop(queue);
            let _ = writer.await;
        };
        let _ = tokio::time::timeout(LAST_WORDS, leave).await;
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: Receiver<Message>) {
    while let Some(message) = waiting.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
