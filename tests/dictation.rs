//! Dictations on the real program and the demo model: chunks cut through words, sent twice, out of order and not at all, and a
//! server that is killed in between. `cargo test --release --test dictation -- --nocapture` prints how quick and how right the
//! live text is.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use verbatim::audio::{Limits, decode};

/// `verbatim serve`, until dropped.
struct Serve {
    child: Child,
    address: String,
    client: Client,
}

impl Serve {
    fn start(sessions: Option<&Path>) -> Serve {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| {
            ["PATH", "HOME", "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"].iter().any(|kept| name == kept)
        }));
        command.args(["serve", "--device", "cpu", "--port", "0"]).stderr(Stdio::piped());
        if let Some(dir) = sessions {
            command.env("VERBATIM_SESSIONS__DIR", dir);
        }
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready = log.find(|line| line.contains("ready on")).expect("the server says that it is ready");
        let address = ready.rsplit("http://").next().unwrap().split_whitespace().next().unwrap().to_owned();
        // A pipe that is full would stop the server.
        std::thread::spawn(move || log.for_each(drop));
        // reqwest comes without a cryptography of its own, and asks for one though nothing here is encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Serve { child, address, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// SIGKILL: no time to put anything in order.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self.client.request(method.parse().unwrap(), format!("http://{}{path}", self.address));
        let response = request.body(body).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A recording as 16-bit samples.
fn samples(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name);
    let limits = Limits {
        max_duration: Duration::from_secs(600),
        max_decoded_bytes: 1 << 30,
        max_channels: 2,
        max_decode_time: Duration::from_secs(60),
    };
    let pcm = decode(std::fs::read(path).unwrap().into(), &limits).unwrap().pcm;
    pcm.samples().iter().map(|sample| (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16).collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn wave(samples: &[i16]) -> Vec<u8> {
    let data = bytes(samples);
    let mut wave = b"RIFF".to_vec();
    wave.extend((36 + data.len() as u32).to_le_bytes());
    wave.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wave.extend([16_000_u32, 32_000].map(u32::to_le_bytes).concat());
    wave.extend(b"\x02\0\x10\0data");
    wave.extend((data.len() as u32).to_le_bytes());
    wave.extend(data);
    wave
}

/// A client that keeps its chunks until the dictation is finished, as it must, and believes what it is told.
#[derive(Default)]
struct Dictation<'a> {
    chunks: Vec<&'a [i16]>,
    committed: String,
    answered: Vec<u64>,
}

impl Dictation<'_> {
    async fn send(&mut self, server: &Serve, seq: u64) -> Value {
        let path = format!("/v1/sessions/visit/chunks?seq={seq}&format=s16le");
        let (status, answer) = server.ask("POST", &path, bytes(self.chunks[seq as usize])).await;
        assert_eq!(status, 200, "{answer}");
        let committed = answer["committed"].as_str().unwrap();
        assert!(committed.starts_with(&self.committed), "{committed:?} was {:?}", self.committed);
        self.committed = committed.to_owned();
        self.answered.push(seq);
        answer
    }
}

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, sides: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(sides)
    }
}

/// One chunk in ten twice, one in twenty after its successor, one in forty lost on the way, and the server killed while it
/// works on the one in the middle.
async fn through_trouble(dir: Option<&Path>, chunks: usize) {
    let whole = samples("long.flac");
    let middle = chunks / 2;
    // Cut through words.
    let chunks: Vec<&[i16]> = whole.chunks(whole.len().div_ceil(chunks)).collect();
    let count = chunks.len() as u64;
    let mut server = Serve::start(dir);
    let (status, one_shot) = server.ask("POST", "/transcribe?language=en", wave(&whole)).await;
    assert_eq!(status, 200);
    assert_eq!(server.ask("PUT", "/v1/sessions/visit?language=en", Vec::new()).await.0, 201);

    let mut dictation = Dictation { chunks, committed: String::new(), answered: Vec::new() };
    let mut dice = Dice(5);
    let mut order: Vec<u64> = (0..count).collect();
    for at in 0..order.len() - 1 {
        if dice.one_in(20) {
            order.swap(at, at + 1);
        }
    }
    order.retain(|_| !dice.one_in(40));
    let (mut duplicates, lost) = (0, count as usize - order.len());
    assert!(lost > 0, "{lost}");
    let (mut at, mut killed) = (0, false);
    while at < order.len() {
        let seq = order[at];
        if at == middle && !killed {
            killed = true;
            // On its way when the server dies: whether it is there nobody can know but the next one.
            let path = format!("/v1/sessions/visit/chunks?seq={seq}&format=s16le");
            let body = bytes(dictation.chunks[seq as usize]);
            let url = format!("http://{}{path}", server.address);
            let going = tokio::spawn(server.client.post(url).body(body).send());
            tokio::task::yield_now().await;
            server.kill();
            let _ = going.await;
            server = Serve::start(dir);
            let (status, state) = server.ask("GET", "/v1/sessions/visit", Vec::new()).await;
            match dir {
                Some(_) => {
                    assert_eq!(status, 200, "{state}");
                    // Nothing that was answered is asked for again, and what was committed stands.
                    let needed: Vec<u64> = serde_json::from_value(state["missing"].clone()).unwrap();
                    let next = state["next_seq"].as_u64().unwrap();
                    assert!(dictation.answered.iter().all(|seq| !needed.contains(seq)), "{state}");
                    let all_before =
                        (0..next).all(|seq| dictation.answered.contains(&seq) || seq == order[middle]);
                    assert!(all_before, "{state}");
                    assert_eq!(state["committed"], dictation.committed);
                }
                None => {
                    assert_eq!((status, &state["error"]["code"]), (404, &"session_not_found".into()));
                    let (status, state) =
                        server.ask("PUT", "/v1/sessions/visit?language=en", Vec::new()).await;
                    assert_eq!((status, &state["next_seq"]), (201, &0.into()));
                    // All again, and what it said before may not be what it says now.
                    dictation.committed.clear();
                    dictation.answered.clear();
                    order = (0..count).collect();
                    at = 0;
                    continue;
                }
            }
        }
        let answer = dictation.send(&server, seq).await;
        // What the answer asks for is sent, unless it is on its way.
        let missing: Vec<u64> = serde_json::from_value(answer["missing"].clone()).unwrap();
        for seq in missing.into_iter().filter(|seq| !order[at..].contains(seq)) {
            dictation.send(&server, seq).await;
        }
        if dice.one_in(10) {
            duplicates += 1;
            assert_eq!(dictation.send(&server, seq).await["duplicate"], true);
        }
        at += 1;
    }
    assert!(duplicates > 1, "{duplicates}");
    let finish = format!("/v1/sessions/visit/finish?chunks={count}&response_format=verbose_json");
    let (status, refused) = server.ask("POST", &finish, Vec::new()).await;
    if status == 409 {
        // Lost at the very end, where only the client knows how many there are.
        for seq in serde_json::from_value::<Vec<u64>>(refused["error"]["missing"].clone()).unwrap() {
            dictation.send(&server, seq).await;
        }
    }
    let (status, done) = server.ask("POST", &finish, Vec::new()).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!((&done["text"], &done["duration"]), (&one_shot["text"], &one_shot["duration"]));
    assert_eq!(done["segments"], one_shot["segments"]);
    assert!(done["live_text"].as_str().unwrap().starts_with(&dictation.committed));
}

#[tokio::test]
async fn through_duplicates_disorder_losses_and_a_kill_a_kept_dictation_ends_as_if_sent_at_once() {
    let dir = tempfile::tempdir().unwrap();
    through_trouble(Some(dir.path()), 50).await;
}

#[tokio::test]
#[ignore = "takes minutes; .ci/run has it"]
async fn the_same_with_two_hundred_chunks() {
    let dir = tempfile::tempdir().unwrap();
    through_trouble(Some(dir.path()), 200).await;
}

#[tokio::test]
async fn a_dictation_in_memory_is_begun_anew_after_a_kill_and_ends_as_if_sent_at_once() {
    through_trouble(None, 50).await;
}

/// Words of the live text that the finished one has not, or has otherwise.
fn changed(done: &Value) -> usize {
    let words = |text: &Value| text.as_str().unwrap().split_whitespace().count();
    let changes = done["difference"].as_array().unwrap();
    changes.iter().map(|change| words(&change["live"]).max(words(&change["final"]))).sum()
}

#[tokio::test]
async fn the_live_text_of_three_second_chunks_is_nearly_the_finished_one() {
    let server = Serve::start(None);
    let mut times = Vec::new();
    // More options, for a comparison by hand.
    let options = std::env::var("DICTATION_OPTIONS").unwrap_or_default();
    for file in ["long.flac", "english-long.mp3"] {
        let whole = samples(file);
        let path = format!("/v1/sessions/visit?language=en&{options}");
        assert_eq!(server.ask("PUT", &path, Vec::new()).await.0, 201);
        let mut dictation = Dictation { chunks: whole.chunks(48_000).collect(), ..Dictation::default() };
        for seq in 0..dictation.chunks.len() as u64 {
            let begun = Instant::now();
            let answer = dictation.send(&server, seq).await;
            times.push(begun.elapsed());
            println!("{file} {seq}: {} | {}", answer["committed_delta"], answer["tentative"]);
        }
        let finish = "/v1/sessions/visit/finish?response_format=verbose_json";
        let (status, done) = server.ask("POST", finish, Vec::new()).await;
        assert_eq!(status, 200, "{done}");
        let words = done["text"].as_str().unwrap().split_whitespace().count();
        let changed = changed(&done);
        println!("{file}: {changed} of {words} words changed: {}", done["difference"]);
        assert!(changed * 10 <= words, "{changed} of {words} words: {}", done["difference"]);
        assert_eq!(server.ask("DELETE", "/v1/sessions/visit", Vec::new()).await.0, 204);
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{} chunks of 3 s: p50 {:?}, p95 {:?}, most {:?}", times.len(), at(50), at(95), at(100));
}
