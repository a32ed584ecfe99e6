//! Checks in; what each found out, whatever it did to the process that it ran in.
//!
//! A process of our own carries them out one after the other and says each as a line of JSON. Where it dies or is silent too long, the check that
//! it was at is at fault, and another process goes on with the next.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::case::Case;
use super::finding::{Check, Finding};
use super::table::Entry;

/// A process that was killed and does not end is stuck in the kernel; it is left behind.
const FAREWELL: Duration = Duration::from_secs(2);
/// Between two looks at something that comes to an end soon.
const POLL: Duration = Duration::from_millis(5);
/// Of what a process says on standard error: enough for a panic's message.
const LAST_WORDS: usize = 2_000;

/// `patience`: seconds for each, instead of its own. `in_place`: for a machine on which no process can be started.
pub fn each(
    entries: &[Entry],
    patience: Option<u64>,
    in_place: impl FnOnce() -> Case,
    report: &mut dyn FnMut(Check),
) {
    let mut left = entries;
    while !left.is_empty() {
        let worker = match Worker::start(left) {
            Ok(worker) => worker,
            Err(error) => {
                let found = format!(
                    "no process can be started for the checks ({error}); a check that crashes or hangs ends them all"
                );
                let remedy =
                    "raise the limit of processes (ulimit -u, the container's pids limit), and mount /proc";
                report(Check::new("processes", Finding::fault(found, remedy), 0));
                let case = in_place();
                left.iter().for_each(|entry| report(entry.check(&case)));
                return;
            }
        };
        left = &left[worker.hear(left, patience, report)..];
    }
}

struct Worker {
    process: Child,
    lines: Receiver<String>,
    words: Arc<Mutex<Vec<u8>>>,
    /// Reads them, to the end.
    listener: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(entries: &[Entry]) -> std::io::Result<Worker> {
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        let mut command = Command::new(program()?);
        // As it was called itself, so that it reads the same settings.
        command.args(std::env::args_os().skip(1)).arg(format!("--worker={}", names.join(",")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let (tell, lines) = channel();
        if let Some(output) = process.stdout.take() {
            let read = move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                // Nobody waits for a process that was given up.
                for line in lines {
                    if tell.send(line).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().spawn(read)?;
        }
        let words = Arc::<Mutex<Vec<u8>>>::default();
        let mut listener = None;
        if let Some(output) = process.stderr.take() {
            let kept = words.clone();
            listener = Some(std::thread::Builder::new().spawn(move || keep(output, &kept))?);
        }
        Ok(Worker { process, lines, words, listener })
    }

    /// Reports until all are done or the process is; how many were reported.
    fn hear(mut self, entries: &[Entry], patience: Option<u64>, report: &mut dyn FnMut(Check)) -> usize {
        for (done, entry) in entries.iter().enumerate() {
            let seconds = patience.unwrap_or(entry.seconds);
            let started = Instant::now();
            let took_ms = || started.elapsed().as_millis() as u64;
            match self.next(started + Duration::from_secs(seconds)) {
                Ok(check) => report(check),
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.process.kill();
                    let found = format!("it did not come to an end within {seconds} s and was stopped");
                    let remedy = format!("{}, or wait longer with --patience", entry.lost);
                    report(Check::new(entry.name, Finding::fault(found, remedy), took_ms()));
                    let _ = end_of(&mut self.process);
                    return done + 1;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let found = self.obituary();
                    report(Check::new(entry.name, Finding::fault(found, entry.lost), took_ms()));
                    return done + 1;
                }
            }
        }
        let _ = end_of(&mut self.process);
        entries.len()
    }

    /// What libraries print is passed over.
    fn next(&self, until: Instant) -> Result<Check, RecvTimeoutError> {
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
            if let Ok(check) = serde_json::from_str(&line) {
                return Ok(check);
            }
        }
    }

    fn obituary(&mut self) -> String {
        let end = end_of(&mut self.process).map_or_else(|| "it ended".to_owned(), told);
        // Its last words may still be on their way; a child of its own may keep the pipe open for ever.
        let until = Instant::now() + FAREWELL / 4;
        while self.listener.as_ref().is_some_and(|it| !it.is_finished()) && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&words).trim() {
            "" => end,
            words => format!("{end}: {words}"),
        }
    }
}

/// The very program that runs, also where its file has been replaced since.
fn program() -> std::io::Result<std::path::PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}

fn keep(mut output: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }
}

/// `None`: it does not end.
fn end_of(process: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + FAREWELL;
    loop {
        match process.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(POLL),
            _ => return None,
        }
    }
}

#[cfg(unix)]
fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    // The numbers are Linux's on x86-64 and arm64.
    let name = match status.signal() {
        Some(4) => " (SIGILL: an instruction that this processor does not have)",
        Some(6) => " (SIGABRT)",
        Some(7) => " (SIGBUS: a file that is mapped became shorter)",
        Some(9) => " (SIGKILL: most often for want of memory)",
        Some(11) => " (SIGSEGV)",
        _ => "",
    };
    match status.signal() {
        Some(signal) => format!("it crashed with signal {signal}{name}"),
        None => format!("it crashed with {status}"),
    }
}

#[cfg(not(unix))]
fn told(status: ExitStatus) -> String {
    format!("it crashed with {status}")
}
