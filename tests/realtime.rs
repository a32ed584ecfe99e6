//! Realtime sessions on the demo model: real speech in every format, piece by piece, against the same recording as a file.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/demo.rs"]
mod demo;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use audio_codec_algorithms::{encode_alaw, encode_ulaw};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use verbatim::audio::{Limits, decode};
use verbatim::engine::Worker;
use verbatim::http::{App, Settings, serve};
use verbatim::readiness::Readiness;
use verbatim::shutdown::Shutdown;
use verbatim::telemetry::gpu::Gpu;
use verbatim::transcript::Options;

/// Nothing here takes so long; reaching it fails the test.
const PATIENCE: Duration = Duration::from_secs(300);
/// Share of words that a session may hear otherwise than the file: its turns are other windows.
const MOST_OTHERWISE: f64 = 0.04;

fn recording(file: &str) -> Bytes {
    let path = format!("{}/tests/fixtures/speech/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().into()
}

/// A recording's samples at 16 kHz.
fn samples(file: &str) -> Vec<f32> {
    let limits = Limits {
        max_duration: PATIENCE,
        max_decoded_bytes: 1 << 30,
        max_channels: 2,
        max_decode_time: PATIENCE,
    };
    decode(recording(file), &limits).unwrap().pcm.samples().to_vec()
}

/// At another rate, by a windowed sinc.
fn at_rate(samples: &[f32], rate: usize) -> Vec<f32> {
    const REACH: f64 = 24.0;
    let step = 16_000.0 / rate as f64;
    let cutoff = (1.0 / step).min(1.0) * 0.95;
    let kernel = |x: f64| {
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / REACH).cos();
        let angle = std::f64::consts::PI * x * cutoff;
        window * cutoff * if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
    };
    let value = |index: usize| {
        let place = index as f64 * step;
        let first = (place - REACH).ceil().max(0.0) as usize;
        let last = ((place + REACH) as usize).min(samples.len() - 1);
        (first..=last).map(|at| f64::from(samples[at]) * kernel(place - at as f64)).sum::<f64>() as f32
    };
    (0..samples.len() * rate / 16_000).map(value).collect()
}

fn to_i16(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0) as i16).collect()
}

fn pcm(samples: &[f32]) -> Vec<u8> {
    to_i16(samples).into_iter().flat_map(i16::to_le_bytes).collect()
}

/// `tag`: 1 for PCM, 6 for A-law, 7 for u-law.
fn wav(tag: u16, rate: usize, data: &[u8]) -> Bytes {
    let width: u16 = if tag == 1 { 2 } else { 1 };
    let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x12\0\0\0".to_vec();
    wav.extend([tag, 1].map(u16::to_le_bytes).concat());
    wav.extend([rate as u32, rate as u32 * u32::from(width)].map(u32::to_le_bytes).concat());
    // No extension follows, which only G.711 must say.
    wav.extend([width, 8 * width, 0].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav.into()
}

fn words(text: &str) -> Vec<String> {
    let plain = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    text.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect()
}

/// Substitutions, insertions and deletions (Levenshtein over words), as a share of the first text's words.
fn otherwise(want: &str, got: &str) -> f64 {
    let (want, got) = (words(want), words(got));
    let mut row: Vec<usize> = (0..=got.len()).collect();
    for (i, expected) in want.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, word) in got.iter().enumerate() {
            let substitution = diagonal + usize::from(expected != word);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[got.len()] as f64 / want.len() as f64
}

async fn server() -> (SocketAddr, Worker) {
    let (transcriber, worker) = demo::transcriber();
    let app =
        App::new(transcriber, Readiness::default(), Gpu::absent("tests need none"), Settings::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, app, Shutdown::default()));
    (address, worker)
}

/// Everything that was heard of `bytes`, sent in messages of `piece` bytes, and a last commit: the events.
async fn streamed(address: SocketAddr, format: &Value, bytes: Vec<u8>, piece: usize) -> Vec<Value> {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/v1/realtime?intent=transcription");
    let (mut write, mut read) = client_async(url, stream).await.unwrap().0.split();
    let update = json!({"type": "transcription", "audio": {"input": {"format": format}}});
    let update = json!({"type": "session.update", "session": update}).to_string();
    let sending = tokio::spawn(async move {
        write.send(Message::text(update)).await.unwrap();
        for piece in bytes.chunks(piece) {
            let audio = BASE64_STANDARD.encode(piece);
            let event = json!({"type": "input_audio_buffer.append", "audio": audio}).to_string();
            write.send(Message::text(event)).await.unwrap();
        }
        // Whatever is not committed yet; and a sign that everything was read.
        write.send(Message::text(json!({"type": "input_audio_buffer.commit"}).to_string())).await.unwrap();
        write.send(Message::text(json!({"type": "the end"}).to_string())).await.unwrap();
        write
    });
    let mut events: Vec<Value> = Vec::new();
    let (mut ended, mut open) = (false, 0);
    while !ended || open > 0 {
        let frame = tokio::time::timeout(PATIENCE, read.next()).await.expect("the server is silent");
        let Message::Text(text) = frame.unwrap().unwrap() else { continue };
        let event: Value = serde_json::from_str(&text).unwrap();
        match event["type"].as_str().unwrap() {
            "input_audio_buffer.committed" => open += 1,
            "conversation.item.input_audio_transcription.completed" => open -= 1,
            "error" => {
                assert_eq!(event["error"]["param"], "type", "{event}");
                ended = true;
            }
            kind => assert!(!kind.ends_with("failed"), "{event}"),
        }
        events.push(event);
    }
    drop(sending.await.unwrap());
    events
}

fn text(events: &[Value], kind: &str, field: &str) -> String {
    let kind = format!("conversation.item.input_audio_transcription.{kind}");
    let texts = events.iter().filter(|event| event["type"] == kind.as_str());
    texts.map(|event| event[field].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_in_pieces_of_20_to_100_ms_says_what_the_file_says() {
    let (address, worker) = server().await;
    let (files, other_worker) = demo::transcriber();
    let files = Arc::new(files);
    let speech = samples("english.wav");
    let rates = [8_000, 16_000, 24_000, 48_000].map(|rate| {
        let format = json!({"type": "audio/pcm", "rate": rate});
        (format, 1, rate, pcm(&at_rate(&speech, rate)))
    });
    let telephone = to_i16(&at_rate(&speech, 8_000));
    let ulaw: Vec<u8> = telephone.iter().copied().map(encode_ulaw).collect();
    let alaw: Vec<u8> = telephone.iter().copied().map(encode_alaw).collect();
    let codes =
        [(json!({"type": "audio/pcmu"}), 7, 8_000, ulaw), (json!({"type": "audio/pcma"}), 6, 8_000, alaw)];
    for (index, (format, tag, rate, bytes)) in rates.into_iter().chain(codes).enumerate() {
        let want = files.transcribe(wav(tag, rate, &bytes), &Options::default()).await.unwrap().text();
        assert!(words(&want).len() >= 8, "{format}: {want}");
        let width = if tag == 1 { 2 } else { 1 };
        let ms = [20, 33, 50, 70, 85, 100][index];
        let events = streamed(address, &format, bytes, rate * width * ms / 1_000).await;
        let got = text(&events, "completed", "transcript");
        // The demo model has never heard a telephone: it mistakes words of the file too, and others where a turn is cut otherwise.
        let most = if rate == 8_000 { 0.25 } else { 0.0 };
        assert!(otherwise(&want, &got) <= most, "{format}: {want} / {got}");
        assert_eq!(words(&text(&events, "delta", "delta")), words(&got), "{format}");
    }
    drop((worker, other_worker));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_session_as_fast_as_it_is_taken_holds_every_sentence_in_order() {
    // 5 minutes; `tools/clients/realtime.py` streams 35.
    const TIMES: usize = 4;
    let (address, _worker) = server().await;
    let truth: Value = serde_json::from_slice(&recording("truth.json")).unwrap();
    let long = truth.as_array().unwrap().iter().find(|one| one["file"] == "english-long.mp3").unwrap();
    let said = [long["text"].as_str().unwrap(); TIMES].join(" ");
    let bytes = pcm(&samples("english-long.mp3")).repeat(TIMES);
    let seconds = bytes.len() as f64 / 32_000.0;
    let format = json!({"type": "audio/pcm", "rate": 16_000});
    let events = streamed(address, &format, bytes, 3_200).await;
    let share = otherwise(&said, &text(&events, "completed", "transcript"));
    assert!(share <= MOST_OTHERWISE, "{share}");
    let places: Vec<f64> = events.iter().filter_map(|event| event["audio_start_ms"].as_f64()).collect();
    assert!(places.is_sorted() && places.len() >= TIMES * 5, "{places:?}");
    assert!(*places.last().unwrap() / 1e3 > seconds - 20.0);
}
