//! A socket and its session in; everything that both sides say, until one of them ends it, out.

use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use futures::stream::SplitStream;
use futures::{FutureExt, StreamExt};
use tokio::time::{Interval, MissedTickBehavior};

use super::super::caller::Caller;
use super::super::{App, models, observe};
use super::ending::End;
use super::outgoing::{Outgoing, Unheard};
use super::turns::{Told, Turns};
use crate::live::realtime::{Client, Config, Dialect, Out, Received, Refusal, Session, read};
use crate::telemetry::metrics::REALTIME_TURNS;

/// Pings without an answer after which a client has left.
const MOST_UNANSWERED: u32 = 3;

/// What is being said by both.
struct Conversation {
    app: App,
    session: Session,
    turns: Turns,
    out: Outgoing,
    pings: Interval,
    unanswered: u32,
    /// Audio of the last message that was not heard yet, from this byte on.
    audio: (Vec<u8>, usize),
    /// When the client last said something, or was last answered.
    last: Instant,
    farewell: Farewell,
    tally: Tally,
}

/// How far the server's own end is.
#[derive(Clone, Copy, PartialEq)]
enum Farewell {
    Not,
    /// Nothing more is read, but what was read is heard.
    Begun,
    /// What was being said is the last turn.
    Finished,
}

/// For the log.
#[derive(Default)]
struct Tally {
    audio: Duration,
    turns: usize,
    failed: usize,
}

/// `caller`: whose place among the keys it holds as long as it lasts.
pub async fn hold(app: App, socket: WebSocket, session: Session, (id, caller): (String, Caller)) {
    let started = Instant::now();
    let settings = &app.settings.realtime;
    let (sink, mut stream) = socket.split();
    let out = Outgoing::new(sink, settings.max_unread_events);
    let mut pings = tokio::time::interval(settings.ping.max(Duration::from_millis(10)));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut conversation = Conversation {
        turns: Turns::new(app.clone(), caller),
        app,
        session,
        out,
        pings,
        unanswered: 0,
        audio: (Vec::new(), 0),
        last: started,
        farewell: Farewell::Not,
        tally: Tally::default(),
    };
    let end = conversation.run(&mut stream).await;
    let Conversation { out, session, tally, turns, app, .. } = conversation;
    // What is under way is nobody's any more.
    drop(turns);
    tracing::info!(
        id,
        ended = end.name(),
        seconds = started.elapsed().as_secs_f64().round(),
        audio_seconds = tally.audio.as_secs_f64().round(),
        turns = tally.turns,
        failed = tally.failed,
        "realtime session"
    );
    end.say(&app.settings.realtime, session, (out, stream)).await;
}

impl Conversation {
    async fn run(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let created = self.session.created();
        let mut said = self.act(vec![created]);
        loop {
            match said {
                Ok(()) => said = self.step(stream).await,
                Err(end) => return end,
            }
        }
    }

    async fn step(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        if self.has_audio() && !self.turns.is_full() {
            self.hear()?;
            // An event may hold minutes: others have their turn between two seconds of it.
            tokio::task::yield_now().await;
            return match self.turns.next().now_or_never() {
                Some(told) => self.told(told),
                None => Ok(()),
            };
        }
        if self.farewell == Farewell::Begun && !self.has_audio() {
            self.farewell = Farewell::Finished;
            let outs = self.session.finish();
            self.act(outs)?;
        }
        if self.farewell == Farewell::Finished && self.turns.is_empty() {
            return Err(End::Shutdown);
        }
        let reads = !self.has_audio() && !self.turns.is_full() && self.farewell == Farewell::Not;
        // Time that the client waits for us is not its own.
        let may_idle = reads && self.turns.is_empty();
        let idle = self.app.settings.realtime.idle_timeout.saturating_sub(self.last.elapsed());
        tokio::select! {
            message = stream.next(), if reads => {
                self.unanswered = 0;
                self.receive(message)
            }
            told = self.turns.next() => self.told(told),
            _ = self.pings.tick() => {
                // An answer that we do not read cannot be missed.
                self.unanswered = if reads { self.unanswered + 1 } else { 0 };
                match self.unanswered > MOST_UNANSWERED {
                    true => Err(End::Silent),
                    false => self.say(Message::Ping(Vec::new().into())),
                }
            }
            () = tokio::time::sleep(idle), if may_idle => Err(End::Idle),
            () = self.app.realtime.ending.cancelled(), if self.farewell == Farewell::Not => {
                self.farewell = Farewell::Begun;
                Ok(())
            }
            () = self.out.broken() => Err(End::Left),
        }
    }

    fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let received = match message {
            None | Some(Ok(Message::Close(_))) => return Err(End::Left),
            Some(Err(error)) => return Err(End::of(&error)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Text(text))) => read(&text),
            Some(Ok(Message::Binary(bytes))) => {
                Received { event_id: None, wanted: Ok(Client::Append(bytes.into())) }
            }
        };
        self.last = Instant::now();
        let outs = match received.wanted.and_then(|wanted| self.wanted(wanted)) {
            Ok(outs) => outs,
            Err(refusal) => vec![self.session.refuse(refusal.into(), received.event_id)],
        };
        self.act(outs)
    }

    fn wanted(&mut self, wanted: Client) -> Result<Vec<Out>, Refusal> {
        match wanted {
            Client::Commit => self.session.commit(),
            Client::Clear => Ok(vec![self.session.clear()]),
            Client::Append(bytes) => {
                self.session.has_room(bytes.len())?;
                self.audio = (bytes, 0);
                Ok(Vec::new())
            }
            Client::Update { session, dialect } => {
                let config = self.session.config().updated(&session)?;
                self.check(&config, dialect)?;
                Ok(self.session.configure(config, dialect))
            }
        }
    }

    /// What the loaded model cannot do is better said now than of every turn.
    fn check(&self, config: &Config, dialect: Dialect) -> Result<(), Refusal> {
        let place = match dialect {
            Dialect::Current => "session.audio.input.transcription",
            Dialect::Beta => "session.input_audio_transcription",
        };
        models::check(&self.app, &config.model).map_err(|unknown| {
            Refusal::new("model_not_found", Some(&format!("{place}.model")), unknown.to_string())
        })?;
        let cannot = |error: crate::transcriber::TranscribeError| Refusal::value(place, error.to_string());
        self.app.transcriber.check(&config.options()).map_err(cannot)
    }

    fn has_audio(&self) -> bool {
        !self.audio.0.is_empty()
    }

    /// A second of what was sent.
    fn hear(&mut self) -> Result<(), End> {
        let (bytes, from) = std::mem::take(&mut self.audio);
        let second = self.session.config().encoding.bytes_per_second();
        let to = (from + second).min(bytes.len());
        self.tally.audio += Duration::from_secs_f64((to - from) as f64 / second as f64);
        let outs = self.session.append(&bytes[from..to]);
        if to < bytes.len() {
            self.audio = (bytes, to);
        }
        self.act(outs)
    }

    /// Of the first turn that is not answered yet.
    fn told(&mut self, told: Told) -> Result<(), End> {
        self.last = Instant::now();
        let Some(answer) = self.turns.first() else { return Ok(()) };
        let events = match told {
            Told::More(segments) => answer.more(&segments),
            Told::Done(done) => {
                let (event, outcome) = match *done {
                    Ok(transcript) => {
                        observe::transcribed(&transcript);
                        (answer.completed(&transcript), "ok")
                    }
                    Err(error) => {
                        tracing::warn!(?error, "a turn failed");
                        self.tally.failed += 1;
                        (answer.failed(error.failure()), "failed")
                    }
                };
                REALTIME_TURNS.add(1, &[("outcome", outcome)]);
                self.turns.finish();
                vec![event]
            }
        };
        let outs = self.session.tell(events);
        self.act(outs)
    }

    fn act(&mut self, outs: Vec<Out>) -> Result<(), End> {
        for out in outs {
            match out {
                Out::Say(text) => self.say(Message::Text(text.into()))?,
                Out::Hear(turn) => {
                    self.tally.turns += 1;
                    self.turns.begin(turn);
                }
            }
        }
        Ok(())
    }

    fn say(&self, message: Message) -> Result<(), End> {
        self.out.say(message).map_err(|unheard| match unheard {
            Unheard::Slow => End::Slow,
            Unheard::Gone => End::Left,
        })
    }
}
