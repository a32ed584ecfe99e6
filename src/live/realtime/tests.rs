//! Sessions by what they tell: real speech in pieces of all sizes, commits, long turns, both dialects.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audio::{Encoding, SAMPLE_RATE, WINDOW_SAMPLES};

/// Two sentences in 7.1 s at 16 kHz.
fn speech() -> &'static [u8] {
    &include_bytes!("../../../tests/fixtures/speech/english.wav")[44..]
}

fn silence(ms: usize) -> Vec<u8> {
    vec![0; ms * 32]
}

fn session(update: Value) -> Session {
    let mut given = json!({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}});
    if let (Some(input), Some(more)) = (given["audio"]["input"].as_object_mut(), update.as_object()) {
        input.extend(more.clone());
    }
    let config = Config::new("demo").updated(&given).unwrap();
    Session::new("s", config, Dialect::Current, Duration::from_secs(60))
}

fn events(outs: &[Out]) -> Vec<Value> {
    let said = outs.iter().filter_map(|out| match out {
        Out::Say(text) => Some(serde_json::from_str(text).unwrap()),
        Out::Hear(_) => None,
    });
    said.collect()
}

fn kinds(outs: &[Out]) -> Vec<String> {
    events(outs).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn turns(outs: &[Out]) -> Vec<&Turn> {
    outs.iter().filter_map(|out| if let Out::Hear(turn) = out { Some(turn) } else { None }).collect()
}

fn end(turn: &Turn) -> Duration {
    turn.start + turn.pcm.duration()
}

const TURN: [&str; 6] = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
];

#[test]
fn each_turn_is_told_in_openais_order_with_its_item() {
    let mut session = session(json!({}));
    let outs = session.append(&[speech().to_vec(), silence(1_000)].concat());
    let told = events(&outs);
    let turns = turns(&outs);
    assert!(!turns.is_empty());
    let mut previous = Value::Null;
    for (told, turn) in told.chunks(TURN.len()).zip(&turns) {
        let kinds: Vec<&str> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, TURN);
        assert!(told[..3].iter().all(|event| event["item_id"] == turn.item));
        assert!(told[3..].iter().all(|event| event["item"]["id"] == turn.item));
        assert_eq!(told[2]["previous_item_id"], previous);
        assert_eq!(told[0]["audio_start_ms"], turn.start.as_millis() as u64);
        assert_eq!(told[1]["audio_end_ms"], end(turn).as_millis() as u64);
        previous = json!(turn.item);
    }
    let ids: std::collections::HashSet<&str> =
        told.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), told.len());
}

#[test]
fn turns_are_where_the_detector_for_files_hears_speech() {
    let mut session = session(json!({}));
    let bytes =
        [silence(2_000), speech().to_vec(), silence(3_000), speech().to_vec(), silence(1_000)].concat();
    let (pairs, _) = bytes.as_chunks::<2>();
    let samples = pairs.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect();
    let spans = crate::audio::speech(&Pcm::from_16k_mono(samples), &crate::transcript::Speech::default());
    let outs = session.append(&bytes);
    let turns = turns(&outs);
    assert!(turns.len() >= 2);
    for span in &spans {
        let (start, stop) = (duration_of(span.start), duration_of(span.end));
        let slack = Duration::from_millis(100);
        let holds = turns.iter().any(|turn| turn.start <= start + slack && stop <= end(turn) + slack);
        assert!(holds, "{start:?} to {stop:?} is in no turn");
    }
    // No more than padding, the silence that ends a turn, and a second of doubt.
    let spoken: usize = spans.iter().map(ExactSizeIterator::len).sum();
    let heard: Duration = turns.iter().map(|turn| turn.pcm.duration()).sum();
    let most = duration_of(spoken) + Duration::from_millis(1_500) * turns.len() as u32;
    assert!(heard <= most, "{heard:?} of {most:?}");
}

#[test]
fn a_long_turn_is_cut_in_pauses_and_no_sample_is_lost() {
    // Without the recording's own pauses at its ends, over and over; any pause within is shorter than this.
    let bytes: Vec<u8> = speech().iter().copied().cycle().take(100 * SAMPLE_RATE * 2).collect();
    let turn_detection = json!({"type": "server_vad", "silence_duration_ms": 5_000});
    let mut session = session(json!({"turn_detection": turn_detection}));
    let mut outs = session.append(&bytes);
    outs.extend(session.finish());
    let turns = turns(&outs);
    assert!(turns.len() >= 4, "{}", turns.len());
    for pair in turns.windows(2) {
        assert_eq!(end(pair[0]), pair[1].start);
        assert!(pair[0].pcm.samples().len() <= WINDOW_SAMPLES);
        // Quiet on both sides of the cut.
        let (before, after) = (pair[0].pcm.samples(), pair[1].pcm.samples());
        let around = before[before.len() - 800..].iter().chain(&after[..800]);
        assert!(around.map(|sample| sample * sample).sum::<f32>() / 1_600.0 < 1e-4);
    }
    let all: Vec<f32> = turns.iter().flat_map(|turn| turn.pcm.samples()).copied().collect();
    let start = (turns[0].start.as_secs_f64() * SAMPLE_RATE as f64).round() as usize;
    let (pairs, _) = bytes.as_chunks::<2>();
    let want: Vec<f32> =
        pairs[start..].iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect();
    assert_eq!(all, want);
    let started = kinds(&outs).iter().filter(|kind| **kind == TURN[0]).count();
    assert_eq!(started, turns.len());
}

#[test]
fn without_detection_everything_waits_for_the_commit() {
    let mut session = session(json!({"turn_detection": null}));
    assert_eq!(session.append(speech()), []);
    let outs = session.commit().unwrap();
    assert_eq!(kinds(&outs), TURN[2..]);
    assert_eq!(turns(&outs)[0].pcm.samples().len(), speech().len() / 2);
    let refusal = session.commit().unwrap_err();
    assert_eq!(refusal.code, "input_audio_buffer_commit_empty");
    assert!(refusal.message.contains("0.00ms"));
    session.append(&silence(99));
    assert!(session.commit().is_err());
    session.append(&silence(1));
    assert_eq!(turns(&session.commit().unwrap())[0].start, duration_of(speech().len() / 2));
}

#[test]
fn what_is_cleared_is_heard_by_nobody_and_the_clock_goes_on() {
    let mut session = session(json!({}));
    session.append(&speech()[..64_000]);
    assert_eq!(kinds(&[session.clear()]), ["input_audio_buffer.cleared"]);
    assert_eq!(session.finish(), []);
    let outs = session.append(&[silence(1_000), speech().to_vec(), silence(1_000)].concat());
    assert!(turns(&outs)[0].start >= Duration::from_millis(2_700));
}

#[test]
fn a_commit_while_somebody_speaks_ends_the_turn_there() {
    let mut session = session(json!({}));
    // A second and a half is within the first sentence.
    let mut outs = session.append(&speech()[..48_000]);
    outs.extend(session.commit().unwrap());
    assert_eq!(kinds(&outs), TURN);
    assert_eq!(end(turns(&outs)[0]), Duration::from_millis(1_500));
}

#[test]
fn uncommitted_audio_is_bounded_and_the_refusal_names_the_setting() {
    let mut manual = session(json!({"turn_detection": null}));
    manual.append(&silence(59_000));
    assert!(manual.has_room(32_000).is_ok());
    let refusal = manual.has_room(32_002 + 32).unwrap_err();
    assert!(refusal.message.contains("server.realtime.max_uncommitted_seconds"));
    let mut detecting = session(json!({}));
    detecting.append(&silence(61_000));
    assert!(detecting.has_room(1 << 20).is_ok());
}

#[test]
fn detection_may_be_switched_on_over_what_waits() {
    let mut session = session(json!({"turn_detection": null}));
    assert_eq!(session.append(speech()), []);
    let update = json!({"turn_detection": {"type": "server_vad"}});
    let config = session.config().updated(&update).unwrap();
    session.configure(config, Dialect::Current);
    let outs = session.append(&silence(1_000));
    assert!(turns(&outs)[0].start < Duration::from_millis(500));
}

#[test]
fn another_format_goes_on_where_the_last_one_ended() {
    let mut session = session(json!({"turn_detection": null}));
    session.append(&silence(500));
    let update = json!({"input_audio_format": "g711_ulaw"});
    let config = session.config().updated(&update).unwrap();
    assert_eq!(config.encoding, Encoding::Ulaw);
    session.configure(config, Dialect::Beta);
    session.append(&[0xff; 4_000]);
    assert_eq!(turns(&session.commit().unwrap())[0].pcm.duration(), Duration::from_secs(1));
}

#[test]
fn each_dialect_has_its_own_words() {
    let mut current = session(json!({}));
    let created = &events(&[current.created()])[0];
    assert_eq!(created["type"], "session.created");
    assert_eq!(created["session"]["type"], "transcription");
    let input = &created["session"]["audio"]["input"];
    assert_eq!(input["format"], json!({"type": "audio/pcm", "rate": 16_000}));
    assert_eq!(
        input["turn_detection"],
        json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500})
    );
    let mut beta = Session::new("b", Config::new("demo"), Dialect::Beta, Duration::from_secs(60));
    let created = &events(&[beta.created()])[0];
    assert_eq!(created["type"], "transcription_session.created");
    assert_eq!(created["session"]["input_audio_format"], "pcm16");
    let update = json!({
        "input_audio_format": "g711_alaw", "turn_detection": null, "include": [LOGPROBS],
        "input_audio_transcription": {"model": "whisper-1", "language": "de", "prompt": "p"},
    });
    let config = beta.config().updated(&update).unwrap();
    assert_eq!((config.encoding, config.turns, config.logprobs), (Encoding::Alaw, None, true));
    assert_eq!(config.options().language.map(|language| language.code), Some("de"));
    let updated = &events(&beta.configure(config, Dialect::Beta))[0];
    assert_eq!(updated["type"], "transcription_session.updated");
    assert_eq!(updated["session"]["input_audio_transcription"]["prompt"], "p");
    beta.append(&[0xd5; 8_000]);
    assert_eq!(kinds(&beta.commit().unwrap()), [TURN[2], TURN[4]]);
}

const LOGPROBS: &str = "item.input_audio_transcription.logprobs";

#[test]
fn what_cannot_be_done_as_asked_is_refused_by_name_and_changes_nothing() {
    let config = Config::new("demo");
    for (update, param) in [
        (json!({"type": "realtime"}), "session.type"),
        (
            json!({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 44_100}}}}),
            "session.audio.input.format.rate",
        ),
        (json!({"audio": {"input": {"format": {"type": "audio/opus"}}}}), "session.audio.input.format"),
        (json!({"input_audio_format": "mp3"}), "session.input_audio_format"),
        (json!({"turn_detection": {"type": "semantic_vad"}}), "session.turn_detection.type"),
        (json!({"turn_detection": 3}), "session.turn_detection"),
        (json!({"turn_detection": {"threshold": 1.5}}), "session.turn_detection.threshold"),
        (json!({"turn_detection": {"silence_duration_ms": 1}}), "session.turn_detection.silence_duration_ms"),
        (json!({"turn_detection": {"prefix_padding_ms": -1}}), "session.turn_detection.prefix_padding_ms"),
        (
            json!({"input_audio_transcription": {"language": "xx"}}),
            "session.input_audio_transcription.language",
        ),
        (
            json!({"input_audio_transcription": {"keywords": "a"}}),
            "session.input_audio_transcription.keywords",
        ),
        (json!({"input_audio_transcription": null}), "session.input_audio_transcription"),
        (json!({"include": ["item.else"]}), "session.include"),
    ] {
        assert_eq!(config.updated(&update).unwrap_err().param.as_deref(), Some(param), "{update}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_way_of_sending_the_same_audio_gives_the_same_turns(
        sizes in prop::collection::vec(1usize..20_000, 1..40),
        rate in prop::sample::select(&Encoding::RATES[..]),
    ) {
        let update = json!({"format": {"type": "audio/pcm", "rate": rate}});
        // At another rate it is another voice, but a voice.
        let bytes = [silence(300), speech().to_vec(), silence(2_500)].concat();
        let mut whole = session(update.clone());
        let mut want = whole.append(&bytes);
        want.extend(whole.finish());
        let mut pieces = session(update);
        let (mut got, mut rest) = (Vec::new(), &bytes[..]);
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            got.extend(pieces.append(piece));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        got.extend(pieces.finish());
        prop_assert!(got == want);
    }
}
