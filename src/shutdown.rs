//! SIGINT and SIGTERM in; out, a wish to end in good order, and on the second one a wish to end at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The wishes. All are cheap to clone and may be awaited by several tasks.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop taking work, finish what was begun.
    pub graceful: CancellationToken,
    /// A person at a terminal asked for it: no balancer has to hear of it first.
    pub promptly: CancellationToken,
    /// Leave what was begun.
    pub at_once: CancellationToken,
}

impl Shutdown {
    /// Takes over both signals from here on. Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Shutdown> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = Shutdown::default();
        let wishes = shutdown.clone();
        tokio::spawn(async move {
            for (wish, meaning) in [
                (wishes.graceful, "finishing what was begun; a second signal ends at once"),
                (wishes.at_once, "ending at once"),
            ] {
                let name = tokio::select! {
                    _ = interrupt.recv() => {
                        wishes.promptly.cancel();
                        "SIGINT"
                    }
                    _ = terminate.recv() => "SIGTERM",
                };
                tracing::info!("{name}: {meaning}");
                wish.cancel();
            }
        });
        Ok(shutdown)
    }
}
