//! What the server tells, as values; OpenAI's JSON out.

use serde::Serialize;
use serde_json::Value;

use crate::format::Logprob;

/// All that a client of a transcription session can hear.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub enum Event {
    #[serde(rename = "session.created")]
    Created { session: Value },
    #[serde(rename = "transcription_session.created")]
    BetaCreated { session: Value },
    #[serde(rename = "session.updated")]
    Updated { session: Value },
    #[serde(rename = "transcription_session.updated")]
    BetaUpdated { session: Value },
    #[serde(rename = "input_audio_buffer.speech_started")]
    SpeechStarted { audio_start_ms: u64, item_id: String },
    #[serde(rename = "input_audio_buffer.speech_stopped")]
    SpeechStopped { audio_end_ms: u64, item_id: String },
    #[serde(rename = "input_audio_buffer.committed")]
    Committed { previous_item_id: Option<String>, item_id: String },
    #[serde(rename = "input_audio_buffer.cleared")]
    Cleared,
    #[serde(rename = "conversation.item.added")]
    ItemAdded { previous_item_id: Option<String>, item: Item },
    #[serde(rename = "conversation.item.created")]
    ItemCreated { previous_item_id: Option<String>, item: Item },
    #[serde(rename = "conversation.item.done")]
    ItemDone { previous_item_id: Option<String>, item: Item },
    #[serde(rename = "conversation.item.input_audio_transcription.delta")]
    Delta {
        item_id: String,
        content_index: usize,
        delta: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob>>,
    },
    #[serde(rename = "conversation.item.input_audio_transcription.segment")]
    Segment {
        item_id: String,
        content_index: usize,
        id: String,
        text: String,
        /// Empty: one channel is not told apart by speakers.
        speaker: String,
        start: f64,
        end: f64,
    },
    #[serde(rename = "conversation.item.input_audio_transcription.completed")]
    Completed {
        item_id: String,
        content_index: usize,
        transcript: String,
        usage: Usage,
        #[serde(skip_serializing_if = "Option::is_none")]
        logprobs: Option<Vec<Logprob>>,
    },
    #[serde(rename = "conversation.item.input_audio_transcription.failed")]
    Failed { item_id: String, content_index: usize, error: Failure },
    #[serde(rename = "error")]
    Error { error: Blamed },
}

/// What was said, as a message of the conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    id: String,
    object: &'static str,
    r#type: &'static str,
    status: &'static str,
    role: &'static str,
    content: [Content; 1],
}

#[derive(Clone, Debug, Serialize)]
struct Content {
    r#type: &'static str,
    transcript: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Usage {
    Duration { seconds: f64 },
}

/// OpenAI's error, all four keys always.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    pub r#type: String,
    pub code: Option<String>,
    pub message: String,
    pub param: Option<String>,
}

/// The same with the client's event that is to blame.
#[derive(Debug, Serialize)]
pub struct Blamed {
    #[serde(flatten)]
    failure: Failure,
    event_id: Option<String>,
}

impl Failure {
    pub fn of_event(self, event_id: Option<String>) -> Blamed {
        Blamed { failure: self, event_id }
    }
}

impl Item {
    pub fn new(id: String) -> Self {
        let content = [Content { r#type: "input_audio", transcript: None }];
        Item { id, object: "realtime.item", r#type: "message", status: "completed", role: "user", content }
    }
}

impl Event {
    pub fn numbered(&self, event_id: &str) -> String {
        #[derive(Serialize)]
        struct Numbered<'a> {
            event_id: &'a str,
            #[serde(flatten)]
            event: &'a Event,
        }
        serde_json::to_string(&Numbered { event_id, event: self }).expect("plain values have a JSON form")
    }
}
