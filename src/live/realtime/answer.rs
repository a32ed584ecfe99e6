//! The text of one turn as it is made in, and what the client is told of it out.

use std::time::Duration;

use crate::format::{Logprob, seconds};
use crate::transcript::{Segment, Transcript};

use super::Turn;
use super::events::{Event, Failure, Usage};

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
        self.logprobs.then(|| Logprob::of(segments))
    }
}
