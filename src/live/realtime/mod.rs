//! One realtime session: a client's events in; server events and turns to be transcribed out, in OpenAI's order.
//!
//! ```text
//! bytes --Feed--> samples --Turns--> speech_started, speech_stopped, committed, item --> Turn --transcriber--> Answer
//! ```
//!
//! How the same audio is cut into messages changes nothing: everything is decided by frames of 16 ms, counted from the session's
//! start.

mod answer;
mod client;
mod config;
mod events;
#[cfg(test)]
mod tests;
mod turns;

use std::time::Duration;

pub use self::answer::Answer;
pub use self::client::{Client, MOST_AUDIO_BYTES, Received, Refusal, read};
pub use self::config::{Config, Dialect, Vad};
pub use self::events::Failure;
use self::events::{Event, Item};
use self::turns::{Change, Turns};
use crate::audio::{Feed, Pcm, duration_of, samples_in};
use crate::transcript::Options;

/// Less than this is no turn, as with OpenAI.
const SHORTEST_COMMIT: Duration = Duration::from_millis(100);

/// What a session asks of the world.
#[expect(clippy::large_enum_variant, reason = "one at a time, and moved once")]
#[derive(Debug, PartialEq)]
pub enum Out {
    /// One event for the client, as JSON.
    Say(String),
    Hear(Turn),
}

/// What was said in one go, to be transcribed.
#[derive(Debug, PartialEq)]
pub struct Turn {
    pub item: String,
    /// Where it begins, counted from the session's first sample.
    pub start: Duration,
    pub pcm: Pcm,
    pub options: Options,
    pub logprobs: bool,
}

pub struct Session {
    id: String,
    dialect: Dialect,
    config: Config,
    feed: Feed,
    turns: Turns,
    /// Samples that may wait for the client's commit.
    most_uncommitted: usize,
    /// Events and items so far; their ids are made of it.
    said: u64,
    items: u64,
    /// The last item that was committed.
    last: Option<String>,
    /// The item of what is being said.
    open: Option<String>,
}

impl Session {
    /// `id`: unique among all sessions.
    pub fn new(id: &str, config: Config, dialect: Dialect, most_uncommitted: Duration) -> Self {
        Session {
            id: id.to_owned(),
            dialect,
            feed: Feed::new(config.encoding),
            turns: Turns::new(config.turns),
            config,
            most_uncommitted: samples_in(most_uncommitted),
            said: 0,
            items: 0,
            last: None,
            open: None,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The first event.
    pub fn created(&mut self) -> Out {
        let session = self.config.shape(&self.session_id(), self.dialect);
        self.say(match self.dialect {
            Dialect::Current => Event::Created { session },
            Dialect::Beta => Event::BetaCreated { session },
        })
    }

    /// From here on `config` holds. `dialect`: of the event that asked for it.
    pub fn configure(&mut self, config: Config, dialect: Dialect) -> Vec<Out> {
        let mut outs = Vec::new();
        if config.encoding != self.config.encoding {
            let mut rest = Vec::new();
            self.feed.flush(&mut rest);
            self.heard(&rest, &mut outs);
            self.feed = Feed::new(config.encoding);
        }
        if config.turns != self.config.turns {
            self.turns.detect(config.turns);
        }
        self.config = config;
        let session = self.config.shape(&self.session_id(), dialect);
        outs.push(self.say(match dialect {
            Dialect::Current => Event::Updated { session },
            Dialect::Beta => Event::BetaUpdated { session },
        }));
        outs
    }

    /// Whether so many bytes find room, where the client says when a turn ends.
    pub fn has_room(&self, bytes: usize) -> Result<(), Refusal> {
        let samples = self.turns.waiting() + self.config.encoding.samples_in(bytes);
        match self.config.turns.is_none() && samples > self.most_uncommitted {
            false => Ok(()),
            true => Err(Refusal::new(
                "input_audio_buffer_full",
                None,
                format!(
                    "no more than {} s of audio may wait for input_audio_buffer.commit (server.realtime.max_uncommitted_seconds); \
                 this append was not taken",
                    duration_of(self.most_uncommitted).as_secs()
                ),
            )),
        }
    }

    /// The next bytes of the stream, as many or as few as there are.
    pub fn append(&mut self, bytes: &[u8]) -> Vec<Out> {
        let (mut samples, mut outs) = (Vec::new(), Vec::new());
        self.feed.push(bytes, &mut samples);
        self.heard(&samples, &mut outs);
        outs
    }

    /// All that waits is a turn, also where somebody is still speaking.
    pub fn commit(&mut self) -> Result<Vec<Out>, Refusal> {
        let (mut rest, mut outs) = (Vec::new(), Vec::new());
        self.feed.flush(&mut rest);
        self.heard(&rest, &mut outs);
        if self.turns.waiting() < samples_in(SHORTEST_COMMIT) && outs.is_empty() {
            let ms = self.turns.waiting() as f64 / 16.0;
            let message = format!(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has {ms:.2}ms of audio."
            );
            return Err(Refusal::new("input_audio_buffer_commit_empty", None, message));
        }
        for change in self.turns.commit() {
            outs.extend(self.turned(change));
        }
        Ok(outs)
    }

    pub fn clear(&mut self) -> Out {
        self.feed.flush(&mut Vec::new());
        self.turns.clear();
        self.open = None;
        self.say(Event::Cleared)
    }

    /// The server ends: what was said so far is the last turn.
    pub fn finish(&mut self) -> Vec<Out> {
        match self.config.turns.is_none() || self.turns.is_speaking() {
            true => self.commit().unwrap_or_default(),
            false => Vec::new(),
        }
    }

    /// What an `Answer` tells.
    pub fn tell(&mut self, events: Vec<Event>) -> Vec<Out> {
        events.into_iter().map(|event| self.say(event)).collect()
    }

    /// `event_id`: of the client's event that is to blame.
    pub fn refuse(&mut self, failure: Failure, event_id: Option<String>) -> Out {
        self.say(Event::Error { error: failure.of_event(event_id) })
    }

    fn heard(&mut self, samples: &[f32], outs: &mut Vec<Out>) {
        for change in self.turns.hear(samples) {
            outs.extend(self.turned(change));
        }
    }

    fn turned(&mut self, change: Change) -> Vec<Out> {
        match change {
            Change::Started(at) => {
                let item_id = self.new_item();
                self.open = Some(item_id.clone());
                vec![self.say(Event::SpeechStarted { audio_start_ms: ms(at), item_id })]
            }
            Change::Stopped(at) => {
                let item_id = self.open.clone().unwrap_or_default();
                vec![self.say(Event::SpeechStopped { audio_end_ms: ms(at), item_id })]
            }
            Change::Turn { start, samples } => self.committed(start, samples),
        }
    }

    fn committed(&mut self, start: usize, samples: Vec<f32>) -> Vec<Out> {
        let item_id = self.open.take().unwrap_or_else(|| self.new_item());
        let previous_item_id = self.last.replace(item_id.clone());
        let item = Item::new(item_id.clone());
        let mut events =
            vec![Event::Committed { previous_item_id: previous_item_id.clone(), item_id: item_id.clone() }];
        let created = Event::ItemCreated { previous_item_id: previous_item_id.clone(), item: item.clone() };
        match self.dialect {
            Dialect::Beta => events.push(created),
            Dialect::Current => events.extend([
                Event::ItemAdded { previous_item_id: previous_item_id.clone(), item: item.clone() },
                created,
                Event::ItemDone { previous_item_id, item },
            ]),
        }
        let mut outs = self.tell(events);
        outs.push(Out::Hear(Turn {
            item: item_id,
            start: duration_of(start),
            pcm: Pcm::from_16k_mono(samples),
            options: self.config.options(),
            logprobs: self.config.logprobs,
        }));
        outs
    }

    fn say(&mut self, event: Event) -> Out {
        self.said += 1;
        Out::Say(event.numbered(&format!("event_{}_{}", self.id, self.said)))
    }

    fn new_item(&mut self) -> String {
        self.items += 1;
        format!("item_{}_{}", self.id, self.items)
    }

    fn session_id(&self) -> String {
        format!("sess_{}", self.id)
    }
}

fn ms(samples: usize) -> u64 {
    duration_of(samples).as_millis() as u64
}
