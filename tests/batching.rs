//! The engine on a device whose step costs the same for one row and for 32: how much of that sixteen clients get.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[allow(dead_code, reason = "the tests of the HTTP contract need the rest of it")]
#[path = "support/fake_model.rs"]
mod fake_model;
#[path = "support/simulated_device.rs"]
mod simulated_device;

use std::sync::Arc;
use std::time::Duration;

use fake_model::{Behaviour, FakeModel, generation, tokenizer};
use simulated_device::{Call, Crowd, SimulatedDevice};
use verbatim::audio::LogMel;
use verbatim::decoding::{Request, Rules, Sequence, Spoken};
use verbatim::engine::{Class, Engine, Settings, Ticket};
use verbatim::text::Token;
use verbatim::transcript::Fallback;

const WINDOWS_EACH: usize = 6;

/// What the client's window is about: 20 to 44 tokens in no order, so that nothing ends together.
fn text(client: usize, window: usize) -> Vec<Token> {
    let seed = client * WINDOWS_EACH + window;
    (0..20 + seed * 7 % 25).map(|at| (300 + (seed * 31 + at * 17) % 400) as Token).collect()
}

struct Simulation {
    texts: Vec<Vec<Vec<Token>>>,
    calls: Vec<Call>,
}

/// Each client asks for one window after the other.
async fn simulate(clients: usize, slots: usize) -> Simulation {
    let crowd = Crowd::of(clients);
    let fake = FakeModel::new(Behaviour { slots, ..Behaviour::default() });
    let rules = Arc::new(Rules::new(tokenizer().into(), &generation(), &fake.info()));
    let device = SimulatedDevice::new(fake, crowd.clone());
    // Coalescing is real time, of which there is none here.
    let settings = Settings { encode_batch: slots, coalesce_ms: 0, ..Settings::default() };
    let (engine, _worker) = Engine::start(Box::new(device), settings);
    let clients = (0..clients).map(|client| converse(client, &engine, &crowd, &rules));
    let texts = futures::future::join_all(clients).await;
    Simulation { texts, calls: crowd.calls() }
}

async fn converse(client: usize, engine: &Engine, crowd: &Crowd, rules: &Arc<Rules>) -> Vec<Vec<Token>> {
    let mut texts = Vec::new();
    let language = tokenizer().specials().languages[0].1;
    for window in 0..WINDOWS_EACH {
        let request = Request {
            language: Spoken::Known(Some(language)),
            previous: text(client, window).into(),
            fallback: Fallback { temperatures: vec![0.0], ..Fallback::default() },
            ..Request::default()
        };
        let mel = Arc::new(LogMel::new(80, Vec::new()));
        let sequence = Sequence::new(rules.clone(), request, mel, Duration::from_secs(2));
        let ticket = Ticket { request: client as u64, class: Class::Interactive, ..Ticket::default() };
        let place = engine.place(ticket).await.unwrap();
        let mut asked = std::pin::pin!(place.submit(sequence));
        // The first poll puts it into the queue; only then does the client count as waiting.
        let first = futures::poll!(asked.as_mut());
        crowd.waits();
        let outcome = match first {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => asked.await,
        };
        texts.push(outcome.unwrap().hypothesis.tokens);
    }
    crowd.leaves();
    texts
}

/// Its text without the timestamps around it.
fn said(tokens: &[Token]) -> &[Token] {
    &tokens[1..tokens.len() - 1]
}

fn steps(calls: &[Call]) -> impl Iterator<Item = (usize, usize)> {
    calls.iter().filter_map(|call| match call {
        Call::Step { rows, possible } => Some((*rows, *possible)),
        Call::Encode { .. } => None,
    })
}

#[tokio::test]
async fn sixteen_clients_finish_in_an_eighth_of_the_calls_of_batch_limit_one_with_the_same_texts() {
    let one_at_a_time = simulate(16, 1).await;
    let together = simulate(16, 32).await;
    assert_eq!(together.texts, one_at_a_time.texts);
    for (client, texts) in together.texts.iter().enumerate() {
        for (window, tokens) in texts.iter().enumerate() {
            assert_eq!(said(tokens), text(client, window), "client {client}, window {window}");
        }
    }
    let (alone, shared) = (one_at_a_time.calls.len(), together.calls.len());
    println!("{alone} calls one at a time, {shared} together");
    assert!(alone >= 8 * shared, "{alone} calls one at a time, {shared} together");
}

#[tokio::test]
async fn no_step_has_a_free_slot_while_a_window_waits() {
    // More slots than clients, fewer, and one.
    for slots in [32, 5, 1] {
        let simulation = simulate(16, slots).await;
        let windows: usize = simulation
            .calls
            .iter()
            .map(|call| match call {
                Call::Encode { windows } => *windows,
                Call::Step { .. } => 0,
            })
            .sum();
        assert_eq!(windows, 16 * WINDOWS_EACH);
        for (number, (rows, possible)) in steps(&simulation.calls).enumerate() {
            assert_eq!(rows, possible, "step {number} with {slots} slots");
        }
        let full = steps(&simulation.calls).filter(|(rows, _)| *rows == slots.min(16)).count();
        assert!(full * 2 > steps(&simulation.calls).count(), "{full} full steps with {slots} slots");
    }
}
