//! The text of a message in; what the client wants out, or why it cannot be read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::config::Dialect;
use super::events::Failure;

/// As with OpenAI: 15 MiB in one event.
pub const MOST_AUDIO_BYTES: usize = 15 << 20;

const KNOWN: &str = "'session.update', 'transcription_session.update', 'input_audio_buffer.append', \
                     'input_audio_buffer.commit' and 'input_audio_buffer.clear'";

#[derive(Debug, PartialEq)]
pub enum Client {
    Update { session: Value, dialect: Dialect },
    Append(Vec<u8>),
    Commit,
    Clear,
}

/// A client's event with the id that it gave it.
#[derive(Debug, PartialEq)]
pub struct Received {
    pub event_id: Option<String>,
    pub wanted: Result<Client, Refusal>,
}

/// Why something cannot be done. The session goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: &'static str,
    pub param: Option<String>,
    pub message: String,
}

impl Refusal {
    pub fn new(code: &'static str, param: Option<&str>, message: impl Into<String>) -> Self {
        Refusal { code, param: param.map(str::to_owned), message: message.into() }
    }

    pub fn value(param: &str, message: impl Into<String>) -> Self {
        Refusal::new("invalid_value", Some(param), message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure {
            r#type: "invalid_request_error".to_owned(),
            code: Some(refusal.code.to_owned()),
            message: refusal.message,
            param: refusal.param,
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    audio: Option<Cow<'a, str>>,
    session: Option<Value>,
}

pub fn read(text: &str) -> Received {
    match serde_json::from_str::<Envelope>(text) {
        Ok(envelope) => {
            let event_id = envelope.event_id.as_deref().map(str::to_owned);
            Received { event_id, wanted: wanted(envelope) }
        }
        Err(error) => {
            let message = format!("the message is not an event as JSON: {error}");
            Received { event_id: None, wanted: Err(Refusal::new("invalid_json", None, message)) }
        }
    }
}

fn wanted(envelope: Envelope) -> Result<Client, Refusal> {
    let Some(kind) = envelope.r#type.as_deref() else {
        return Err(Refusal::new("missing_required_parameter", Some("type"), "the event has no 'type'"));
    };
    let update = |session: Option<Value>, dialect| match session {
        Some(session @ Value::Object(_)) => Ok(Client::Update { session, dialect }),
        _ => Err(Refusal::new("missing_required_parameter", Some("session"), "'session' must be an object")),
    };
    match kind {
        "session.update" => update(envelope.session, Dialect::Current),
        "transcription_session.update" => update(envelope.session, Dialect::Beta),
        "input_audio_buffer.append" => Ok(Client::Append(audio(envelope.audio.as_deref())?)),
        "input_audio_buffer.commit" => Ok(Client::Commit),
        "input_audio_buffer.clear" => Ok(Client::Clear),
        other => {
            let shown: String = other.chars().take(80).collect();
            let message = format!("a transcription session knows no event '{shown}'; it knows {KNOWN}");
            Err(Refusal::value("type", message))
        }
    }
}

fn audio(encoded: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let Some(encoded) = encoded else {
        return Err(Refusal::new("missing_required_parameter", Some("audio"), "the event has no 'audio'"));
    };
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map_err(|error| Refusal::value("audio", format!("'audio' is not base64: {error}")))?;
    match bytes.len() > MOST_AUDIO_BYTES {
        true => Err(Refusal::value("audio", "one event may hold 15 MiB of audio at most")),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<String>, &'static str, Option<String>) {
        let received = read(text);
        let refusal = received.wanted.unwrap_err();
        (received.event_id, refusal.code, refusal.param)
    }

    #[test]
    fn events_are_read_with_the_id_that_the_client_gave_them() {
        let received = read(r#"{"type":"input_audio_buffer.append","event_id":"a","audio":"AAEC"}"#);
        assert_eq!(received.event_id.as_deref(), Some("a"));
        assert_eq!(received.wanted, Ok(Client::Append(vec![0, 1, 2])));
        assert_eq!(read(r#"{"type":"input_audio_buffer.commit"}"#).wanted, Ok(Client::Commit));
        assert_eq!(read(r#"{"type":"input_audio_buffer.clear","more":1}"#).wanted, Ok(Client::Clear));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_the_field_at_fault() {
        assert_eq!(refused("{"), (None, "invalid_json", None));
        assert_eq!(refused("[1]"), (None, "invalid_json", None));
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(refused(r#"{"event_id":"e"}"#), (field("e"), "missing_required_parameter", field("type")));
        assert_eq!(refused(r#"{"type":"response.create"}"#), (None, "invalid_value", field("type")));
        let append = |audio: &str| format!(r#"{{"type":"input_audio_buffer.append"{audio}}}"#);
        assert_eq!(refused(&append("")), (None, "missing_required_parameter", field("audio")));
        assert_eq!(refused(&append(r#","audio":"A-_?""#)), (None, "invalid_value", field("audio")));
        let large = BASE64_STANDARD.encode(vec![0; MOST_AUDIO_BYTES + 1]);
        assert_eq!(
            refused(&append(&format!(r#","audio":"{large}""#))),
            (None, "invalid_value", field("audio"))
        );
        assert_eq!(
            refused(r#"{"type":"session.update","session":3}"#),
            (None, "missing_required_parameter", field("session"))
        );
    }
}
