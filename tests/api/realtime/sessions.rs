//! What a session says, and when.

use std::time::Duration;

use futures::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, TRANSCRIBED, connect, manual, open, silence, speech};
use crate::fake_model::{Behaviour, Failure, Gate};
use crate::server::start;

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches(TRANSCRIBED)).collect()
}

#[tokio::test]
async fn a_committed_turn_is_answered_with_deltas_segments_and_the_whole() {
    let server = start(Behaviour::default()).await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(1)).await;
    client.commit().await;
    let events = client.until(&format!("{TRANSCRIBED}completed")).await;
    let committed = [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "delta",
        "segment",
        "completed",
    ];
    assert_eq!(kinds(&events), committed);
    let item = &events[0]["item_id"];
    assert_eq!(events[0]["previous_item_id"], Value::Null);
    assert_eq!(events[1]["item"]["content"], json!([{"type": "input_audio", "transcript": null}]));
    assert_eq!((&events[4]["item_id"], &events[4]["delta"]), (item, &json!("hello there")));
    assert_eq!(events[5]["text"], "hello there");
    let completed = &events[6];
    assert_eq!((&completed["transcript"], &completed["content_index"]), (&json!("hello there"), &json!(0)));
    assert_eq!(completed["usage"], json!({"type": "duration", "seconds": 1.0}));
    assert_eq!(completed.get("logprobs"), None);

    client.append(&speech(2)).await;
    client.commit().await;
    assert_eq!(&client.next().await["previous_item_id"], item);
}

#[tokio::test]
async fn the_server_hears_when_somebody_speaks() {
    let server = start(Behaviour::default()).await;
    let mut client = open(&server, json!({"format": {"type": "audio/pcm", "rate": 16_000}})).await;
    let sound = [silence(Duration::from_secs(1)), speech(3), silence(Duration::from_secs(1))].concat();
    // 20 ms a message, as microphones send.
    for piece in sound.chunks(640) {
        client.append(piece).await;
    }
    let events = client.until(&format!("{TRANSCRIBED}completed")).await;
    assert_eq!(
        kinds(&events)[..2],
        ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    );
    let started = events[0]["audio_start_ms"].as_u64().unwrap();
    assert!((500..1_500).contains(&started), "{started}");
    assert!(events.iter().all(|event| event["event_id"].as_str().unwrap().starts_with("event_")));
}

#[tokio::test]
async fn raw_frames_are_audio_too_and_logprobs_come_where_asked() {
    let server = start(Behaviour::default()).await;
    let mut client = open(&server, manual()).await;
    let include = json!({"include": ["item.input_audio_transcription.logprobs"]});
    client.tell(json!({"type": "session.update", "session": include})).await;
    assert_eq!(client.next().await["session"]["include"], include["include"]);
    client.socket.send(Message::binary(speech(1))).await.unwrap();
    client.commit().await;
    let events = client.until(&format!("{TRANSCRIBED}completed")).await;
    for event in [&events[4], events.last().unwrap()] {
        let tokens = event["logprobs"].as_array().unwrap();
        let text: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
        assert_eq!(text.trim(), "hello there", "{event}");
        assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() < 0.0));
    }
}

#[tokio::test]
async fn errors_name_the_clients_event_and_the_session_goes_on() {
    let server = start(Behaviour::default()).await;
    let mut client = open(&server, manual()).await;
    for (event, code, param) in [
        (json!({"type": "input_audio_buffer.commit"}), "input_audio_buffer_commit_empty", Value::Null),
        (json!({"type": "response.create"}), "invalid_value", json!("type")),
        (json!({"type": "input_audio_buffer.append", "audio": "!"}), "invalid_value", json!("audio")),
        (
            json!({"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": "gpt-9"}}}}}),
            "model_not_found",
            json!("session.audio.input.transcription.model"),
        ),
    ] {
        let mut event = event;
        event["event_id"] = json!("mine");
        client.tell(event.clone()).await;
        let told = client.next().await;
        assert_eq!(told["type"], "error", "{event}");
        let error = &told["error"];
        assert_eq!(
            (&error["event_id"], &error["code"], &error["param"]),
            (&json!("mine"), &json!(code), &param)
        );
        assert_eq!(error["type"], "invalid_request_error");
    }
    client.socket.send(Message::text("{")).await.unwrap();
    assert_eq!(client.next().await["error"]["code"], "invalid_json");
    client.append(&speech(1)).await;
    client.commit().await;
    client.until(&format!("{TRANSCRIBED}completed")).await;
}

#[tokio::test]
async fn older_clients_are_answered_in_their_own_words() {
    let server = start(Behaviour::default()).await;
    let mut client = connect(&server, "?intent=transcription", &[("openai-beta", "realtime=v1")]).await;
    assert_eq!(client.next().await["type"], "transcription_session.created");
    let session = json!({
        "input_audio_format": "g711_ulaw", "turn_detection": null,
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
    });
    client.tell(json!({"type": "transcription_session.update", "session": session})).await;
    let updated = client.next().await;
    assert_eq!(updated["type"], "transcription_session.updated");
    assert_eq!(updated["session"]["input_audio_format"], "g711_ulaw");
    client.append(&[0x7f; 8_000]).await;
    client.commit().await;
    let events = client.until(&format!("{TRANSCRIBED}completed")).await;
    assert_eq!(kinds(&events)[..2], ["input_audio_buffer.committed", "conversation.item.created"]);
    assert_eq!(events.last().unwrap()["usage"]["seconds"], 1.0);
}

#[tokio::test]
async fn browsers_get_the_subprotocol_that_they_offer_and_their_key_is_not_repeated() {
    let server = start(Behaviour::default()).await;
    let offered = [("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-secret")];
    let client = connect(&server, "?model=whisper-1", &offered).await;
    assert_eq!(client.answer.headers()["sec-websocket-protocol"], "realtime");
}

#[tokio::test]
async fn a_turn_that_fails_says_so_and_the_next_one_is_heard() {
    let behaviour = Behaviour { fails: Some(Failure::OutOfMemory), ..Behaviour::default() };
    let server = start(behaviour).await;
    let mut client = open(&server, manual()).await;
    for _ in 0..2 {
        client.append(&speech(1)).await;
        client.commit().await;
        let events = client.until(&format!("{TRANSCRIBED}failed")).await;
        let error = &events.last().unwrap()["error"];
        assert_eq!((&error["code"], &error["type"]), (&json!("out_of_memory"), &json!("server_error")));
    }
}

#[tokio::test]
async fn a_lost_device_is_told_to_whoever_waits() {
    let behaviour = Behaviour { fails: Some(Failure::Device), ..Behaviour::default() };
    let server = start(behaviour).await;
    let mut client = open(&server, manual()).await;
    client.append(&speech(1)).await;
    client.commit().await;
    let events = client.until(&format!("{TRANSCRIBED}failed")).await;
    assert_eq!(events.last().unwrap()["error"]["code"], "device_restarting");
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_turns() {
    let server = start(Behaviour { gate: Gate::shut(), ..Behaviour::default() }).await;
    let mut client = open(&server, manual()).await;
    let mut items = Vec::new();
    for _ in 0..3 {
        client.append(&speech(1)).await;
        client.commit().await;
        items.push(client.until("conversation.item.done").await[0]["item_id"].clone());
    }
    server.gate.open();
    assert_eq!(answered(&mut client, 3).await, items);
}

async fn answered(client: &mut Client, turns: usize) -> Vec<Value> {
    let mut items = Vec::new();
    for _ in 0..turns {
        let events = client.until(&format!("{TRANSCRIBED}completed")).await;
        items.push(events.last().unwrap()["item_id"].clone());
    }
    items
}
