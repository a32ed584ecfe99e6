//! The end in good order: say so, finish what was begun, go.

use std::time::Duration;

use verbatim::http::Ended;

use crate::fake_model::{Behaviour, Gate};
use crate::server::{PATIENCE, Server, start, start_with};

async fn ended(server: Server) -> Ended {
    tokio::time::timeout(PATIENCE, server.task).await.expect("the server does not end").unwrap().unwrap()
}

#[tokio::test]
async fn an_idle_server_ends_at_once_and_closes_its_port() {
    let server = start(Behaviour::default()).await;
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    let address = server.address;
    server.shutdown.cancel();
    assert_eq!(ended(server).await, Ended::Drained);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_was_begun_is_finished() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let begun = tokio::spawn(server.transcribe(&[("response_format", "text")]).send());
    server.gate.reached(1).await;
    server.shutdown.cancel();
    server.gate.open();
    let answer = begun.await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello there\n");
    assert_eq!(ended(server).await, Ended::Drained);
}

#[tokio::test]
async fn during_the_pause_balancers_are_told_and_requests_are_still_taken() {
    let server = start_with(Behaviour::default(), |settings| settings.drain_delay = PATIENCE * 10).await;
    server.shutdown.cancel();
    let told = async {
        while server.get("/readyz").send().await.unwrap().status() != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("/readyz stays 200");
    assert_eq!(server.get("/livez").send().await.unwrap().status(), 200);
    assert_eq!(server.transcribe(&[]).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let behaviour = Behaviour { gate: Gate::shut(), ..Behaviour::default() };
    let server = start_with(behaviour, |settings| settings.drain_timeout = Duration::from_millis(50)).await;
    let gate = server.gate.clone();
    let begun = tokio::spawn(server.transcribe(&[]).send());
    gate.reached(1).await;
    server.shutdown.cancel();
    assert_eq!(ended(server).await, Ended::Cut(1));
    assert!(begun.await.unwrap().is_err());
    gate.open();
}
