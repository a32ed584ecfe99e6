//! A real server on a free port, with the real engine and transcriber over a fake model.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use verbatim::audio::Limits;
use verbatim::decoding::Rules;
use verbatim::engine::{self, Engine, Worker};
use verbatim::http::{App, Ended, SessionSettings, Settings, serve};
use verbatim::readiness::Readiness;
use verbatim::shutdown::Shutdown;
use verbatim::telemetry::gpu::Gpu;
use verbatim::transcriber::{self, Transcriber, Voice};

use super::fake_model::{Behaviour, FakeModel, Gate, generation, tokenizer};

pub struct Server {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    pub gate: Gate,
    pub readiness: Readiness,
    pub shutdown: CancellationToken,
    pub promptly: CancellationToken,
    pub app: App,
    pub task: JoinHandle<std::io::Result<Ended>>,
    pub worker: Worker,
}

/// What every test waits at most for something that must happen; reaching it fails the test.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn start(behaviour: Behaviour) -> Server {
    start_with(behaviour, |_| {}).await
}

/// `change` sets what the test is about; the defaults are those of production, but for the drain's pause.
pub async fn start_with(behaviour: Behaviour, change: impl FnOnce(&mut Settings)) -> Server {
    start_engine(behaviour, engine::Settings::default(), change).await
}

pub async fn start_with_sessions(behaviour: Behaviour, sessions: SessionSettings) -> Server {
    start_all(behaviour, engine::Settings::default(), sessions, |_| {}).await
}

/// With batch jobs, kept as `jobs` says; the server goes on with those that are there.
pub async fn start_with_jobs(
    behaviour: Behaviour,
    jobs: verbatim::jobs::Settings,
    change: impl FnOnce(&mut Settings),
) -> Server {
    let everything = (engine::Settings::default(), SessionSettings::default(), jobs);
    start_everything(behaviour, everything, change).await
}

pub async fn start_engine(
    behaviour: Behaviour,
    engine: engine::Settings,
    change: impl FnOnce(&mut Settings),
) -> Server {
    start_all(behaviour, engine, SessionSettings::default(), change).await
}

async fn start_all(
    behaviour: Behaviour,
    engine: engine::Settings,
    sessions: SessionSettings,
    change: impl FnOnce(&mut Settings),
) -> Server {
    let none = verbatim::jobs::Settings { enabled: false, ..Default::default() };
    start_everything(behaviour, (engine, sessions, none), change).await
}

async fn start_everything(
    behaviour: Behaviour,
    (engine, sessions, jobs): (engine::Settings, SessionSettings, verbatim::jobs::Settings),
    change: impl FnOnce(&mut Settings),
) -> Server {
    let mut settings = Settings { drain_delay: Duration::ZERO, ..Settings::default() };
    change(&mut settings);
    let gate = behaviour.gate.clone();
    let model = FakeModel::new(behaviour);
    let (tokenizer, info) = (tokenizer(), model.info());
    let rules = Rules::new(tokenizer.into(), &generation(), &info);
    let voice = Voice { rules, model: info };
    let (engine, worker) = Engine::start(Box::new(model), engine);
    let transcriber = Transcriber::new(engine, voice, limits(), &transcriber::Settings::default());
    let readiness = Readiness::default();
    let gpu = Gpu::absent("tests need none");
    let app = App::new(transcriber, readiness.clone(), gpu, settings).with_sessions(sessions).unwrap();
    let goes_on = jobs.enabled;
    let app = app.with_jobs(jobs, Some(verbatim::jobs::Shift::default()));
    if goes_on {
        let app = app.clone();
        tokio::spawn(async move { app.go_on().await });
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let wishes = Shutdown::default();
    let (shutdown, promptly) = (wishes.graceful.clone(), wishes.promptly.clone());
    let task = tokio::spawn(serve(listener, app.clone(), wishes));
    // reqwest comes without a cryptography of its own, and asks for one though nothing here is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    Server { address, client, gate, readiness, shutdown, promptly, app, task, worker }
}

fn limits() -> Limits {
    Limits {
        max_duration: Duration::from_secs(600),
        max_decoded_bytes: 64 << 20,
        max_channels: 8,
        max_decode_time: PATIENCE,
    }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// A form with one second of a tone as its file.
    pub fn transcribe(&self, fields: &[(&'static str, &str)]) -> reqwest::RequestBuilder {
        let form = fields.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| {
            form.text(*name, (*value).to_owned())
        });
        self.post("/transcribe").multipart(form.part("file", file(wav(1))))
    }

    pub async fn gpu_info(&self) -> serde_json::Value {
        self.get("/gpu-info").send().await.unwrap().json().await.unwrap()
    }

    /// Asks `/gpu-info` until it says so.
    pub async fn until(&self, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
        let asked = async {
            while !holds(&self.gpu_info().await) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("never came true: {what}"));
    }

    /// A connection that speaks for itself, and has sent `bytes`.
    pub async fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// Everything until the server closes the connection; that it does is part of what is tested.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset is a way of closing as well.
    let _ = read.expect("the server keeps the connection open");
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn file(bytes: Vec<u8>) -> reqwest::multipart::Part {
    reqwest::multipart::Part::bytes(bytes).file_name("speech.wav")
}

/// Speech at 16 kHz, mono, 16 bits: two sentences over and over.
pub fn wav(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 16_000;
    let speech = include_bytes!("../fixtures/speech/english.wav");
    let data: Vec<u8> = speech[44..].iter().copied().cycle().take((seconds * RATE * 2) as usize).collect();
    let mut wav = Vec::with_capacity(44 + data.len());
    wav.extend(b"RIFF");
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([RATE, RATE * 2].map(u32::to_le_bytes).concat());
    wav.extend([2u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}
