//! The text of one turn as it is made in, and what the client is told of it out.

use std::time::Duration;

use crate::transcript::{Segment, Transcript};

use super::Turn;
use super::events::{Event, Failure, Logprob, Usage};

/// Each turn is a message with one content.
const CONTENT: usize = 0;

/// What has been told of a turn.
#[derive(Debug)]
pub struct Answer {
    item: String,
    start: Duration,
    logprobs: bool,
    segments: usize,
}

impl Answer {
    pub fn of(turn: &Turn) -> Self {
        Answer { item: turn.item.clone(), start: turn.start, logprobs: turn.logprobs, segments: 0 }
    }

    /// Segments that stand.
    pub fn more(&mut self, segments: &[Segment]) -> Vec<Event> {
        let joined: String = segments.iter().map(|segment| segment.text.as_str()).collect();
        // All deltas together are the transcript, which does not begin with a space.
        let delta = if self.segments == 0 { joined.trim_start() } else { &joined };
        let mut events = Vec::new();
        if !delta.is_empty() {
            events.push(Event::Delta {
                item_id: self.item.clone(),
                content_index: CONTENT,
                delta: delta.to_owned(),
                logprobs: self.logprobs(segments),
            });
        }
        for segment in segments {
            self.segments += 1;
            events.push(Event::Segment {
                item_id: self.item.clone(),
                content_index: CONTENT,
                id: format!("seg_{}_{}", self.item.trim_start_matches("item_"), self.segments),
                text: segment.text.trim().to_owned(),
                speaker: String::new(),
                start: seconds(self.start + segment.start),
                end: seconds(self.start + segment.end),
            });
        }
        events
    }

    pub fn completed(&self, transcript: &Transcript) -> Event {
        Event::Completed {
            item_id: self.item.clone(),
            content_index: CONTENT,
            transcript: transcript.text(),
            usage: Usage::Duration { seconds: seconds(transcript.duration) },
            logprobs: self.logprobs(&transcript.segments),
        }
    }

    pub fn failed(&self, error: Failure) -> Event {
        Event::Failed { item_id: self.item.clone(), content_index: CONTENT, error }
    }

    fn logprobs(&self, segments: &[Segment]) -> Option<Vec<Logprob>> {
        let uttered = segments.iter().flat_map(|segment| &segment.uttered);
        let logprob = |token: &crate::transcript::Uttered| Logprob {
            token: String::from_utf8_lossy(&token.bytes).into_owned(),
            logprob: token.logprob,
            bytes: token.bytes.clone(),
        };
        self.logprobs.then(|| uttered.map(logprob).collect())
    }
}

/// To the millisecond, as everywhere in answers.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
