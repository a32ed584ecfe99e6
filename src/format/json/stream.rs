//! Segments as they are told in; out, the events of OpenAI's `stream=true`: deltas, segments, and the whole text in the end.
//!
//! Shapes follow `TranscriptTextDeltaEvent`, `..SegmentEvent` and `..DoneEvent` of openai/openai-openapi at f85dbe2.

use serde::Serialize;
use utoipa::ToSchema;

use super::pieces::{Logprob, SaidJson};
use super::{Verbose, to_json};
use crate::format::{Format, Layout};
use crate::transcript::{Segment, Transcript};

/// The encoder makes one vector of every 0.02 s: what the decoder reads of the audio.
const AUDIO_TOKENS_A_SECOND: u128 = 50;

/// A text that grows, and how much of it was sent: the deltas together are the text of the end.
#[derive(Debug)]
pub struct ReadAlong {
    layout: Layout,
    text: String,
    sent: usize,
    segments: usize,
}

impl ReadAlong {
    pub fn new(layout: Layout) -> Self {
        ReadAlong { layout, text: String::new(), sent: 0, segments: 0 }
    }

    /// The events of the next segments, each the JSON of one.
    pub fn more(&mut self, segments: &[Segment]) -> Vec<String> {
        let mut events = Vec::new();
        for segment in segments {
            match self.text.is_empty() {
                true => self.text.push_str(segment.text.trim_start()),
                false => self.text.push_str(&segment.text),
            }
            if matches!(self.layout.format, Format::DiarizedJson | Format::VerboseJson) {
                events.push(to_json(&SaidJson::of(self.segments, segment)));
            }
            self.segments += 1;
        }
        // A space at the end may turn out to be the last thing said, and then it is not part of the text.
        let settled = self.text.trim_end().len();
        if settled > self.sent {
            let logprobs = self.layout.logprobs.then(|| Logprob::of(segments));
            events.push(delta(&self.text[self.sent..settled], logprobs));
            self.sent = settled;
        }
        events
    }

    /// What of `transcript` was not told yet, and the event that ends the stream. `None`: what was told is not what the
    /// transcript says, which must not happen.
    pub fn end(mut self, transcript: &Transcript) -> Option<Vec<String>> {
        let untold = transcript.segments.get(self.segments..)?;
        let mut events = self.more(untold);
        let text = transcript.text();
        (self.text[..self.sent] == text).then(|| {
            let logprobs = self.layout.logprobs.then(|| Logprob::of(&transcript.segments));
            let long = self.layout.format == Format::VerboseJson;
            let whole = long.then(|| Verbose::of(transcript, &self.layout));
            events.push(done(&text, logprobs, whole, transcript));
            events
        })
    }
}

/// Text that stands.
#[derive(Serialize, ToSchema)]
#[schema(as = DeltaEvent)]
pub struct Delta<'a> {
    r#type: &'static str,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
}

/// The last event.
#[derive(Serialize, ToSchema)]
#[schema(as = DoneEvent)]
pub struct Done<'a> {
    r#type: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
    usage: TokenUsage,
    /// Ours, with `verbose_json`: what the answer would have been without `stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Verbose<'a>>,
}

fn delta(delta: &str, logprobs: Option<Vec<Logprob>>) -> String {
    to_json(&Delta { r#type: "transcript.text.delta", delta, logprobs })
}

fn done(
    text: &str,
    logprobs: Option<Vec<Logprob>>,
    whole: Option<Verbose>,
    transcript: &Transcript,
) -> String {
    let usage = TokenUsage::of(transcript);
    to_json(&Done { r#type: "transcript.text.done", text, logprobs, usage, transcript: whole })
}

/// The schema counts a stream in tokens, where the short form counts seconds.
#[derive(Serialize, ToSchema)]
pub struct TokenUsage {
    r#type: &'static str,
    input_tokens: u64,
    input_token_details: InputTokens,
    output_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize, ToSchema)]
pub struct InputTokens {
    text_tokens: u64,
    audio_tokens: u64,
}

impl TokenUsage {
    fn of(transcript: &Transcript) -> Self {
        let audio_tokens = (transcript.duration.as_millis() * AUDIO_TOKENS_A_SECOND).div_ceil(1000) as u64;
        let text_tokens = transcript.receipt.prompt_tokens as u64;
        let output: usize = transcript.segments.iter().map(|segment| segment.tokens.len()).sum();
        let (input_tokens, output_tokens) = (audio_tokens + text_tokens, output as u64);
        TokenUsage {
            r#type: "tokens",
            input_tokens,
            input_token_details: InputTokens { text_tokens, audio_tokens },
            output_tokens,
            total_tokens: input_tokens + output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::format::samples::{segment, transcript};

    fn parsed(events: Vec<String>) -> Vec<Value> {
        events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    fn deltas(events: &[Value]) -> String {
        let deltas = events.iter().filter(|event| event["type"] == "transcript.text.delta");
        deltas.map(|event| event["delta"].as_str().unwrap()).collect()
    }

    #[test]
    fn deltas_together_are_the_text_of_the_end() {
        let segments =
            vec![segment(0, 900, "  One "), segment(1_000, 1_900, " two. "), segment(2_000, 2_500, "three ")];
        let whole = transcript(segments.clone());
        for told in 0..=segments.len() {
            let mut along = ReadAlong::new(Layout::new(Format::Json));
            let mut events: Vec<String> =
                segments[..told].chunks(1).flat_map(|one| along.more(one)).collect();
            events.extend(along.end(&whole).unwrap());
            let events = parsed(events);
            let done = events.last().unwrap();
            assert_eq!(done["type"], "transcript.text.done");
            assert_eq!(done["text"], whole.text());
            assert_eq!(deltas(&events), whole.text());
            assert_eq!(done["usage"]["type"], "tokens");
        }
    }

    #[test]
    fn a_text_that_changed_after_it_was_told_is_no_end() {
        let mut along = ReadAlong::new(Layout::new(Format::Json));
        along.more(&[segment(0, 900, " one")]);
        assert_eq!(along.end(&transcript(vec![segment(0, 900, " two")])), None);
        let mut along = ReadAlong::new(Layout::new(Format::Json));
        along.more(&[segment(0, 900, " one"), segment(900, 1_000, " two")]);
        assert_eq!(along.end(&transcript(vec![segment(0, 900, " one")])), None);
    }

    #[test]
    fn the_long_form_is_whole_in_the_last_event_and_in_no_other_format() {
        let whole = transcript(vec![segment(0, 900, " one"), segment(1_000, 1_900, " two")]);
        let layout = Layout::new(Format::VerboseJson);
        let plain: Value = serde_json::from_str(&crate::format::render(&whole, &layout).body).unwrap();
        let events = parsed(ReadAlong::new(layout).end(&whole).unwrap());
        assert_eq!(events.last().unwrap()["transcript"], plain);
        let events = parsed(ReadAlong::new(Layout::new(Format::Json)).end(&whole).unwrap());
        assert!(events.last().unwrap().get("transcript").is_none());
    }

    #[test]
    fn silence_has_an_end_and_no_delta() {
        let events = parsed(ReadAlong::new(Layout::new(Format::Json)).end(&transcript(vec![])).unwrap());
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0]["type"], &events[0]["text"]), (&"transcript.text.done".into(), &"".into()));
    }

    #[test]
    fn who_said_it_is_told_where_that_is_asked_for() {
        let said = |channel, segment: Segment| Segment { channel: Some(channel), ..segment };
        let segments = vec![said(0, segment(0, 900, " one")), said(1, segment(1_000, 1_900, " two"))];
        let along = ReadAlong::new(Layout::new(Format::DiarizedJson));
        let events = parsed(along.end(&transcript(segments)).unwrap());
        assert_eq!(events[0]["type"], "transcript.text.segment");
        assert_eq!((&events[0]["id"], &events[0]["speaker"]), (&"seg_001".into(), &"A".into()));
        assert_eq!((&events[1]["start"], &events[1]["speaker"]), (&1.0.into(), &"B".into()));
    }
}
