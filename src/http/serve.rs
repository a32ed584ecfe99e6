//! A listening socket and the wishes to end in; the server's whole life out: accept, limit, drain, end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use super::{App, router};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::CONNECTIONS;

/// After a failed accept, mostly for want of file descriptors: without a pause it would fail again at once, and burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request that was begun got its answer.
    Drained,
    /// So many connections were still open after `drain_timeout` and were cut.
    Cut(usize),
}

/// Serves until it is to end, then in good order to the end. Dropping the future cuts every connection.
pub async fn serve(listener: TcpListener, app: App, shutdown: Shutdown) -> io::Result<Ended> {
    let connections = Connections::new(&app);
    let _followed = AbortOnDropHandle::new(tokio::spawn(app.keys.clone().follow()));
    tokio::select! {
        never = connections.accept(&listener) => match never {},
        () = shutdown.graceful.cancelled() => {}
    }
    app.readiness.drain();
    let delay = match shutdown.promptly.is_cancelled() {
        true => Duration::ZERO,
        false => app.settings.drain_delay,
    };
    tracing::info!(
        delay_seconds = delay.as_secs_f64(),
        timeout_seconds = app.settings.drain_timeout.as_secs_f64(),
        "draining: /readyz says 503, and after the delay no new requests are taken"
    );
    tokio::select! {
        never = connections.accept(&listener) => match never {},
        () = tokio::time::sleep(delay) => {}
        () = shutdown.promptly.cancelled() => {}
    }
    drop(listener);
    app.close_jobs().await;
    Ok(connections.drain(app.settings.drain_timeout).await)
}

struct Connections {
    app: App,
    router: Router,
    http: auto::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
    /// Cancelled when this value is dropped, and with it every connection.
    cut: Cut,
}

enum Never {}

struct Cut(CancellationToken, App);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.cancel();
        self.1.realtime.cut();
    }
}

impl Connections {
    fn new(app: &App) -> Self {
        let settings = &app.settings;
        let mut http = auto::Builder::new(TokioExecutor::new());
        // Without a timer hyper switches its own timeouts off without a word.
        http.http1().timer(TokioTimer::new()).header_read_timeout(settings.keep_alive);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(settings.keep_alive)
            .keep_alive_timeout(settings.header_timeout);
        Connections {
            app: app.clone(),
            router: router(app.clone()),
            http,
            places: Arc::new(Semaphore::new(settings.max_connections)),
            graceful: GracefulShutdown::new(),
            cut: Cut(CancellationToken::new(), app.clone()),
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Never {
        loop {
            // A place first: connections beyond the limit wait in the system's backlog and cost nothing here.
            let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = self.connection(stream);
                    tokio::spawn(async move {
                        let _open = (place, CONNECTIONS.enter());
                        connection.await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let (http, watcher) = (self.http.clone(), self.graceful.watcher());
        let (router, patience) = (self.router.clone(), self.app.settings.header_timeout);
        let cut = self.cut.0.clone();
        async move {
            tokio::select! {
                () = converse(stream, Talk { http, router, watcher, patience }) => {}
                () = cut.cancelled() => {}
            }
        }
    }

    async fn drain(self, most: Duration) -> Ended {
        let open = Arc::clone(&self.places);
        let max = self.app.settings.max_connections;
        // Websockets are connections no more: hyper has handed them over.
        let sessions = &self.app.realtime;
        sessions.end();
        let all = async { tokio::join!(self.graceful.shutdown(), sessions.ended()) };
        match tokio::time::timeout(most, all).await {
            Ok(_) => Ended::Drained,
            Err(_) => Ended::Cut(max - open.available_permits().min(max) + sessions.open()),
        }
    }
}

/// What one connection needs.
struct Talk {
    http: auto::Builder<TokioExecutor>,
    router: Router,
    watcher: Watcher,
    /// For the first request's headers.
    patience: Duration,
}

/// One connection from its first byte to its last.
async fn converse(stream: TcpStream, talk: Talk) {
    let Talk { http, router, watcher, patience } = talk;
    // Answers are small and written at once: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let first_request = Arc::new(Notify::new());
    let seen = first_request.clone();
    let service = tower::service_fn(move |request: http::Request<Incoming>| {
        seen.notify_one();
        router.clone().oneshot(request)
    });
    let connection =
        http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(watcher.watch(connection.into_owned()));
    // hyper's own header timeout does not run while it still waits to tell HTTP/1 from HTTP/2, so a silent client
    // would stay. This clock covers silence, half a preface and half a header alike.
    let done = tokio::select! {
        done = &mut connection => done,
        () = first_request.notified() => connection.await,
        () = tokio::time::sleep(patience) => return tracing::debug!("no request came in time"),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a connection ended early");
    }
}
