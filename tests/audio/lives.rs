//! A real server and the lives of its decoding processes: what they cost when they die, and that none stays behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::fixture;

const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Server {
        Server::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
        command.env("NO_COLOR", "1").args(["--device", "cpu", "serve", "--port", "0"]).args(flags);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("ready on http://")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        // Read on, or the server would wait for somebody to do it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, address: ready.expect("the server ended before it was ready") }
    }

    /// A connection on which an upload has been sent.
    fn send(&self, upload: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = upload.len();
        let head = format!(
            "POST /transcribe HTTP/1.1\r\nhost: x\r\ncontent-type: audio/wav\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), upload].concat()).unwrap();
        stream
    }

    fn ask(&self, upload: &[u8]) -> String {
        answer(self.send(upload))
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .unwrap();
        answer(stream)
    }

    /// Its processes that live.
    fn children(&self) -> Vec<u32> {
        let parent = self.process.id();
        let numbers = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        numbers.filter(|pid| status(*pid).is_some_and(|(state, of)| state != 'Z' && of == parent)).collect()
    }

    fn until_children(&self, what: &str, holds: impl Fn(&[u32]) -> bool) -> Vec<u32> {
        let mut children = Vec::new();
        until(what, || {
            children = self.children();
            holds(&children)
        });
        children
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// State and parent, of proc(5).
fn status(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::yield_now();
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[cfg(any(feature = "faults", debug_assertions))]
#[test]
fn a_server_outlives_its_processes_and_none_of_them_outlives_it() {
    let server = Server::start();
    let idle = server.until_children("some wait for work", |children| !children.is_empty());

    // Each fault costs its own request.
    for fault in ["abort", "overflow", "exit"] {
        let told = server.ask(format!("REHEARSED:{fault}").as_bytes());
        assert!(told.starts_with("HTTP/1.1 400") && told.contains("damaged_audio"), "{fault}: {told}");
        assert!(told.contains("the decoder gave up on the audio"), "{fault}: {told}");
    }

    // Killed from outside, idle or at work.
    let hanging = server.send(b"REHEARSED:hang");
    let all = server.until_children("one more works", |children| children.len() > idle.len());
    all.iter().copied().for_each(kill);
    // Whoever is still dying could be given the next upload.
    until("they are dead", || all.iter().all(|pid| status(*pid).is_none_or(|(state, _)| state == 'Z')));
    let told = answer(hanging);
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("killed"), "{told}");
    let text = server.ask(&fixture("reference.wav"));
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let metrics = server.get("/metrics");
    for line in ["aborted\"} 2", "crashed\"} 1", "killed\"} 1"] {
        let line = format!("verbatim_decode_failures_total{{format=\"other\",reason=\"{line}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }

    // A client that leaves takes its process with it.
    let idle = server.until_children("as many wait as before", |children| children.len() == idle.len());
    let leaving = server.send(b"REHEARSED:hang");
    let more = server.until_children("one more works", |children| children.len() > idle.len());
    let working: Vec<u32> = idle.into_iter().filter(|pid| more.contains(pid)).collect();
    drop(leaving);
    let left = server.until_children("it is gone", |children| children.len() < more.len());
    assert!(working.iter().any(|pid| !left.contains(pid)), "an idle one was killed");

    // A server that is killed leaves nothing behind, at work or idle.
    let _hanging = server.send(b"REHEARSED:hang");
    let all = server.until_children("one more works", |children| children.len() > left.len());
    kill(server.process.id());
    until("all have ended", || all.iter().all(|pid| status(*pid).is_none_or(|(state, _)| state == 'Z')));
}

#[test]
fn in_a_thread_there_are_no_processes() {
    let mut server = Server::start_with(&["--decode-isolation", "thread"]);
    assert!(server.ask(&fixture("reference.wav")).starts_with("HTTP/1.1 200"));
    assert_eq!(server.children(), Vec::<u32>::new());
    // No rehearsal either.
    assert!(server.ask(b"REHEARSED:abort").starts_with("HTTP/1.1 415"));
    assert_eq!(server.process.try_wait().unwrap(), None);
}
