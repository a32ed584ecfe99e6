//! What a client asks of its session in, in OpenAI's present words or those of the beta; what holds from then on out.

use serde_json::{Value, json};

use crate::audio::{Encoding, SAMPLE_RATE};
use crate::text::language;
use crate::transcript::{Context, Detection, Language, Options};

use super::client::Refusal;

const LOGPROBS: &str = "item.input_audio_transcription.logprobs";
/// Milliseconds of silence that may end a turn, and of what is kept before it.
const SILENCE_MS: std::ops::RangeInclusive<u64> = 50..=20_000;
const PREFIX_MS: std::ops::RangeInclusive<u64> = 0..=5_000;

/// Whose words the session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Current,
    /// `OpenAI-Beta: realtime=v1`, and whoever sends `transcription_session.update`.
    Beta,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub encoding: Encoding,
    /// The loaded model's name, or its alias that the client said.
    pub model: String,
    language: Option<Language>,
    languages: Vec<Language>,
    prompt: Option<String>,
    keywords: Vec<String>,
    /// `None`: the client commits.
    pub turns: Option<Vad>,
    pub logprobs: bool,
}

/// When somebody speaks. Lengths are in samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vad {
    pub threshold: f32,
    pub prefix: usize,
    pub silence: usize,
}

impl Default for Vad {
    /// OpenAI's.
    fn default() -> Self {
        Vad { threshold: 0.5, prefix: samples(300), silence: samples(500) }
    }
}

impl Config {
    pub fn new(model: &str) -> Self {
        Config {
            encoding: Encoding::Pcm16 { rate: 24_000 },
            model: model.to_owned(),
            language: None,
            languages: Vec::new(),
            prompt: None,
            keywords: Vec::new(),
            turns: Some(Vad::default()),
            logprobs: false,
        }
    }

    /// With what `session` asks for; what it does not name stays. Both spellings are understood in either event.
    ///
    /// # Errors
    /// The first field that cannot be done as asked; nothing is changed then.
    pub fn updated(&self, session: &Value) -> Result<Config, Refusal> {
        let mut config = self.clone();
        if let Some(kind) = session.get("type").filter(|kind| *kind != "transcription") {
            let message = format!("this server has sessions of type 'transcription' only, not {kind}");
            return Err(Refusal::value("session.type", message));
        }
        if let Some((param, format)) = either(session, "audio.input.format", "input_audio_format") {
            config.encoding = encoding(&param, format)?;
        }
        if let Some((param, asked)) =
            either(session, "audio.input.transcription", "input_audio_transcription")
        {
            config.transcription(&param, asked)?;
        }
        if let Some((param, asked)) = either(session, "audio.input.turn_detection", "turn_detection") {
            config.turns = self.turn_detection(&param, asked)?;
        }
        match session.get("include") {
            None => {}
            Some(Value::Null) => config.logprobs = false,
            Some(Value::Array(wanted)) => {
                if let Some(other) = wanted.iter().find(|one| *one != LOGPROBS) {
                    let message = format!("'include' knows '{LOGPROBS}' alone, not {other}");
                    return Err(Refusal::value("session.include", message));
                }
                config.logprobs = !wanted.is_empty();
            }
            Some(_) => return Err(Refusal::value("session.include", "'include' must be a list")),
        }
        Ok(config)
    }

    /// What every turn is asked.
    pub fn options(&self) -> Options {
        Options {
            language: self.language,
            detection: Detection { among: self.languages.clone(), ..Detection::default() },
            context: Context { prompt: self.prompt.clone(), prefix: None, keywords: self.keywords.clone() },
            ..Options::default()
        }
    }

    /// The session as OpenAI shows it.
    pub fn shape(&self, id: &str, dialect: Dialect) -> Value {
        let include = self.logprobs.then(|| json!([LOGPROBS]));
        let turns = self.turns.map(|turns| {
            json!({
                "type": "server_vad",
                "threshold": (f64::from(turns.threshold) * 1e4).round() / 1e4,
                "prefix_padding_ms": ms(turns.prefix),
                "silence_duration_ms": ms(turns.silence),
            })
        });
        let mut transcription = json!({
            "model": self.model,
            "language": self.language.map(|language| language.code),
            "prompt": self.prompt,
        });
        if !self.languages.is_empty() {
            let codes: Vec<&str> = self.languages.iter().map(|language| language.code).collect();
            transcription["languages"] = json!(codes);
        }
        if !self.keywords.is_empty() {
            transcription["keywords"] = json!(self.keywords);
        }
        // Nothing reduces noise here, whatever was asked: it says so.
        match dialect {
            Dialect::Current => json!({
                "id": id, "object": "realtime.transcription_session", "type": "transcription", "include": include,
                "audio": {"input": {
                    "format": format(self.encoding), "transcription": transcription,
                    "noise_reduction": null, "turn_detection": turns,
                }},
            }),
            Dialect::Beta => json!({
                "id": id, "object": "realtime.transcription_session", "include": include,
                "input_audio_format": beta_format(self.encoding), "input_audio_transcription": transcription,
                "input_audio_noise_reduction": null, "turn_detection": turns,
            }),
        }
    }

    fn transcription(&mut self, param: &str, asked: &Value) -> Result<(), Refusal> {
        // OpenAI's null switches transcription off, which is all there is here.
        let Value::Object(asked) = asked else {
            return Err(Refusal::value(param, format!("'{param}' must be an object")));
        };
        for (name, value) in asked {
            let param = format!("{param}.{name}");
            match name.as_str() {
                "model" => {
                    if let Some(model) = text(&param, value)? {
                        self.model = model;
                    }
                }
                "language" => {
                    self.language = text(&param, value)?.map(|code| known(&param, &code)).transpose()?
                }
                "prompt" => self.prompt = text(&param, value)?,
                "keywords" => self.keywords = texts(&param, value)?,
                "languages" => {
                    let codes = texts(&param, value)?;
                    self.languages =
                        codes.iter().map(|code| known(&param, code)).collect::<Result<_, _>>()?;
                }
                // Hints that other models take.
                _ => {}
            }
        }
        Ok(())
    }

    fn turn_detection(&self, param: &str, asked: &Value) -> Result<Option<Vad>, Refusal> {
        let Value::Object(asked) = asked else {
            return match asked {
                Value::Null => Ok(None),
                _ => Err(Refusal::value(param, format!("'{param}' must be an object or null"))),
            };
        };
        let kind = asked.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "server_vad") {
            let param = format!("{param}.type");
            let message =
                format!("'{param}' may be 'server_vad', or turn_detection null; others are not offered");
            return Err(Refusal::value(&param, message));
        }
        let mut turns = self.turns.unwrap_or_default();
        let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
        if let Some(value) = given("threshold") {
            let threshold = value.as_f64().filter(|value| (0.0..=1.0).contains(value)).ok_or_else(|| {
                Refusal::value(&format!("{param}.threshold"), format!("must be from 0 to 1, not {value}"))
            })?;
            turns.threshold = threshold as f32;
        }
        let millis = |name: &str, range: std::ops::RangeInclusive<u64>| {
            let Some(value) = given(name) else { return Ok(None) };
            let whole = value.as_u64().filter(|value| range.contains(value));
            whole.map(|value| Some(samples(value))).ok_or_else(|| {
                let message =
                    format!("must be milliseconds from {} to {}, not {value}", range.start(), range.end());
                Refusal::value(&format!("{param}.{name}"), message)
            })
        };
        turns.prefix = millis("prefix_padding_ms", PREFIX_MS)?.unwrap_or(turns.prefix);
        turns.silence = millis("silence_duration_ms", SILENCE_MS)?.unwrap_or(turns.silence);
        Ok(Some(turns))
    }
}

/// What stands at the present place or at the beta's, with the name to blame.
fn either<'a>(session: &'a Value, current: &str, beta: &str) -> Option<(String, &'a Value)> {
    let place = |path: &str| {
        let value = session.pointer(&format!("/{}", path.replace('.', "/")))?;
        Some((format!("session.{path}"), value))
    };
    place(current).or_else(|| place(beta))
}

fn encoding(param: &str, format: &Value) -> Result<Encoding, Refusal> {
    let kind = format.as_str().or_else(|| format.get("type").and_then(Value::as_str));
    match kind {
        Some("pcm16") => Ok(Encoding::Pcm16 { rate: 24_000 }),
        Some("g711_ulaw" | "audio/pcmu") => Ok(Encoding::Ulaw),
        Some("g711_alaw" | "audio/pcma") => Ok(Encoding::Alaw),
        Some("audio/pcm") => {
            let rate = match format.get("rate") {
                None | Some(Value::Null) => Some(24_000),
                Some(rate) => rate.as_u64().map(|rate| rate as usize),
            };
            match rate.filter(|rate| Encoding::RATES.contains(rate)) {
                Some(rate) => Ok(Encoding::Pcm16 { rate }),
                None => Err(Refusal::value(
                    &format!("{param}.rate"),
                    "audio/pcm comes at 8000, 16000, 24000 or 48000 samples a second",
                )),
            }
        }
        _ => Err(Refusal::value(
            param,
            "the format may be audio/pcm, audio/pcmu or audio/pcma, or pcm16, g711_ulaw or g711_alaw",
        )),
    }
}

fn format(encoding: Encoding) -> Value {
    match encoding {
        Encoding::Pcm16 { rate } => json!({"type": "audio/pcm", "rate": rate}),
        Encoding::Ulaw => json!({"type": "audio/pcmu"}),
        Encoding::Alaw => json!({"type": "audio/pcma"}),
    }
}

fn beta_format(encoding: Encoding) -> Value {
    match encoding {
        Encoding::Pcm16 { rate: 24_000 } => json!("pcm16"),
        Encoding::Ulaw => json!("g711_ulaw"),
        Encoding::Alaw => json!("g711_alaw"),
        // The beta had no word for other rates.
        other => format(other),
    }
}

fn text(param: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(Refusal::value(param, format!("'{param}' must be a text"))),
    }
}

fn texts(param: &str, value: &Value) -> Result<Vec<String>, Refusal> {
    let list = match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    list.ok_or_else(|| Refusal::value(param, format!("'{param}' must be a list of texts")))
}

fn known(param: &str, code: &str) -> Result<Language, Refusal> {
    language::parse(code).ok_or_else(|| {
        let shown: String = code.chars().take(40).collect();
        Refusal::value(param, format!("'{shown}' is no language that Whisper knows"))
    })
}

fn samples(ms: u64) -> usize {
    ms as usize * SAMPLE_RATE / 1_000
}

fn ms(samples: usize) -> usize {
    samples * 1_000 / SAMPLE_RATE
}
