//! A session as it stands in; the JSON that its client reads out.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Chunk;
use super::intake::Taken;
use super::session::{Finished, Session, State};
use crate::audio;
use crate::format::{self, Rendered, TimingJson};
use crate::live::agreement::text;
use crate::live::difference::Change;
use crate::transcript::{Incomplete, Timing};

/// What a session says of itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct Standing {
    id: String,
    object: &'static str,
    state: &'static str,
    /// Seconds since 1970; every request for the session moves it.
    expires_at: u64,
    next_seq: u64,
    missing: Vec<u64>,
    /// How many chunks are here.
    chunks: usize,
    seconds: f64,
    committed: String,
    tentative: String,
    /// Of the whole take, once it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Vec<ChangeJson>>,
}

impl Standing {
    pub fn of(session: &Session, idle: Duration) -> Standing {
        let state = session.state();
        let finished = state.live.finished.as_ref();
        Standing {
            id: session.id.clone(),
            object: "transcription.session",
            state: if finished.is_some() { "finished" } else { "open" },
            expires_at: expires_at(&state, idle),
            next_seq: state.take.next(),
            missing: state.take.missing(None),
            chunks: state.take.received(),
            seconds: seconds(&state),
            committed: text(state.live.agreement.committed()),
            tentative: text(state.live.agreement.tentative()),
            text: finished.map(|finished| finished.text.clone()),
            difference: finished.map(changes),
        }
    }
}

/// What a chunk is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionChunk)]
pub struct Heard {
    seq: u64,
    duplicate: bool,
    next_seq: u64,
    missing: Vec<u64>,
    committed: String,
    tentative: String,
    /// Of `committed`, what no earlier answer had. A duplicate is told what the first answer was.
    committed_delta: String,
    seconds: f64,
    expires_at: u64,
    timing: TimingJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<BrokenOff>,
}

impl Heard {
    pub fn of(
        session: &Session,
        chunk: Chunk,
        taken: &Taken,
        timing: Option<Timing>,
        idle: Duration,
    ) -> Heard {
        let state = session.state();
        let committed = state.live.agreement.committed();
        let delta = state.live.answered.get(&chunk.seq).and_then(|&(from, to)| committed.get(from..to));
        Heard {
            seq: chunk.seq,
            duplicate: taken.duplicate,
            next_seq: state.take.next(),
            missing: state.take.missing(None),
            committed: text(committed),
            tentative: text(state.live.agreement.tentative()),
            committed_delta: text(delta.unwrap_or_default()),
            seconds: seconds(&state),
            expires_at: expires_at(&state, idle),
            timing: whole(timing.unwrap_or_default(), taken.decode),
            incomplete: taken.incomplete.as_ref().map(BrokenOff::of),
        }
    }
}

/// A chunk whose file ends before it should.
#[derive(Serialize, ToSchema)]
pub struct BrokenOff {
    at: f64,
    reason: String,
}

impl BrokenOff {
    fn of(incomplete: &Incomplete) -> Self {
        BrokenOff { at: format::seconds(incomplete.at), reason: incomplete.reason.clone() }
    }
}

/// What a finished dictation's JSON has beside the transcript's.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionFinish)]
pub struct Ended<'a> {
    session: &'a str,
    live_text: &'a str,
    difference: Vec<ChangeJson>,
    missing: &'a [u64],
}

/// Where the text of the whole take is not what was heard on the way.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeJson {
    op: &'static str,
    /// Number of the word in the live text, from 0.
    at: usize,
    live: String,
    #[serde(rename = "final")]
    finished: String,
}

pub fn changes(finished: &Finished) -> Vec<ChangeJson> {
    let json = |Change { kind, at, live, finished }| ChangeJson { op: kind.name(), at, live, finished };
    finished.difference().into_iter().map(json).collect()
}

/// A finished transcript with what is the session's, where the format is JSON; it stays as it is otherwise.
pub fn finished(mut rendered: Rendered, session: &Session, finished: &Finished) -> Rendered {
    let trimmed = rendered.body.trim_end();
    if let Some(object) = trimmed.strip_suffix('}').filter(|_| rendered.content_type == "application/json") {
        let (live_text, missing) = (&finished.live, &finished.missing);
        let ours = Ended { session: &session.id, live_text, difference: changes(finished), missing };
        // Put at the end by hand: as a `Value` the transcript would lose the order of its keys.
        let ours = serde_json::to_string(&ours).expect("plain structs serialise");
        rendered.body = format!("{object},{}\n", ours.trim_start_matches('{'));
    }
    rendered
}

fn seconds(state: &State) -> f64 {
    audio::duration_of(state.take.samples().len()).as_millis() as f64 / 1e3
}

fn expires_at(state: &State, idle: Duration) -> u64 {
    state.expires(idle).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn whole(timing: Timing, decode: Duration) -> TimingJson {
    TimingJson::of(&Timing { decode, total: decode + timing.total, ..timing })
}
