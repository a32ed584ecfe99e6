//! Batch jobs on the real program and the demo model, from the command line: handed in, killed, gone on with, fetched.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn speech(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name)
}

/// Without the settings of whoever runs the tests, and with jobs in a folder of the test's own.
fn verbatim(jobs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.env("VERBATIM_JOBS__DIR", jobs).args(["--device", "cpu"]);
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `verbatim serve`, until dropped.
struct Serve {
    child: Child,
    url: String,
}

impl Serve {
    fn start(jobs: &Path) -> Serve {
        let mut child = verbatim(jobs).args(["serve", "--port", "0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready = log.find(|line| line.contains("ready on")).expect("the server says that it is ready");
        let address = ready.rsplit("http://").next().unwrap().split_whitespace().next().unwrap();
        let url = format!("http://{address}");
        // A pipe that is full would stop the server.
        std::thread::spawn(move || log.for_each(drop));
        Serve { child, url }
    }

    fn jobs(&self, arguments: &[&str]) -> Output {
        let mut command = verbatim(Path::new("/nowhere"));
        command.args(["jobs", "--server", &self.url]).args(arguments).output().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Recordings in a folder of folders, one of which is none.
fn recordings(folder: &Path) {
    fs::create_dir_all(folder.join("deep")).unwrap();
    fs::copy(speech("english.wav"), folder.join("one.wav")).unwrap();
    fs::copy(speech("spanish.wav"), folder.join("deep/two.wav")).unwrap();
    fs::write(folder.join("broken.mp3"), b"this is no audio").unwrap();
}

#[test]
fn a_folder_is_handed_in_and_its_texts_are_fetched_although_the_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (jobs, input, out) = (dir.path().join("jobs"), dir.path().join("in"), dir.path().join("out"));
    recordings(&input);
    let serve = Serve::start(&jobs);
    let submitted = serve.jobs(&[
        "submit",
        input.to_str().unwrap(),
        "--option",
        "word_timestamps=true",
        "--name",
        "night",
    ]);
    assert!(submitted.status.success(), "{}", said(&submitted));
    let id = String::from_utf8(submitted.stdout).unwrap().trim().to_owned();
    assert!(id.starts_with("job_"), "{id}");
    drop(serve);

    let serve = Serve::start(&jobs);
    let fetched = serve.jobs(&["results", &id, "--output-dir", out.to_str().unwrap(), "--format", "srt"]);
    // One of the files was no audio.
    assert_eq!(fetched.status.code(), Some(1), "{}", said(&fetched));
    assert!(said(&fetched).contains("broken.mp3"), "{}", said(&fetched));
    assert!(fs::read_to_string(out.join("one.srt")).unwrap().to_lowercase().contains("eggs"));
    assert!(fs::read_to_string(out.join("deep/two.srt")).unwrap().starts_with("1\n"));
    let lines = serve.jobs(&["results", &id]);
    assert_eq!(String::from_utf8(lines.stdout).unwrap().lines().count(), 3);
    let status = said(&serve.jobs(&["status", &id]));
    assert!(status.contains("2 of 3 done, 1 failed") && status.contains("night"), "{status}");
    assert!(said(&serve.jobs(&["list"])).contains(&id));
    assert!(serve.jobs(&["cancel", &id]).status.success());
    let gone = serve.jobs(&["status", &id]);
    assert!(gone.status.code() == Some(1) && said(&gone).contains("there is no job"), "{}", said(&gone));
}

#[test]
fn a_worker_does_what_a_server_has_left_and_ends_when_there_is_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("jobs");
    let serve = Serve::start(&jobs);
    let submitted = serve.jobs(&["submit", speech("english-long.mp3").to_str().unwrap()]);
    let id = String::from_utf8(submitted.stdout).unwrap().trim().to_owned();
    drop(serve);
    let worked = verbatim(&jobs).args(["worker", "--exit-when-idle", "1"]).output().unwrap();
    assert!(worked.status.success(), "{}", said(&worked));
    let serve = Serve::start(&jobs);
    let status = said(&serve.jobs(&["status", &id]));
    assert!(status.contains("1 of 1 done"), "{status}");
}

#[test]
fn a_folder_is_transcribed_as_a_job_that_goes_on_where_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (jobs, input, out) = (dir.path().join("jobs"), dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&input).unwrap();
    for at in 0..6 {
        fs::copy(
            speech(if at < 3 { "english-long.mp3" } else { "german.wav" }),
            input.join(format!("{at}.mp3")),
        )
        .unwrap();
    }
    let command = || {
        let mut command = verbatim(&jobs);
        command.args(["transcribe", "--jobs", "--output-dir"]).arg(&out).arg(&input);
        command
    };
    let mut first = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let is_text = |entry: &std::io::Result<fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "txt"))
    };
    let texts = || fs::read_dir(&out).map_or(0, |entries| entries.filter(is_text).count());
    while texts() < 1 && first.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let again = command().output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    for at in 0..6 {
        assert!(fs::read_to_string(out.join(format!("{at}.txt"))).unwrap().len() > 20);
    }
    // What was written does not lie there as well.
    assert_eq!(fs::read_dir(jobs.join("blobs/jobs")).map_or(0, Iterator::count), 0);
    // And what is done is not done again.
    let third = command().output().unwrap();
    assert!(third.status.success() && said(&third).contains("6 of 6 done before"), "{}", said(&third));
}
