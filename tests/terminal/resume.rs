//! A folder gone on with: after a kill, with other options, with another input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::{Said, files_in, put, verbatim};

/// Recordings in `in`; texts go to `out`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(recordings: &[(&str, &str)]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        recordings.iter().for_each(|(recording, name)| put(recording, &dir.path().join("in"), name));
        Folder(dir)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = verbatim();
        command.current_dir(self.0.path()).args(["transcribe", "in", "--output-dir", "out"]).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Said {
        Said::by(&mut self.command(more))
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn texts(&self) -> Vec<String> {
        if self.out().is_dir() { files_in(&self.out()) } else { Vec::new() }
    }

    fn written(&self, name: &str) -> SystemTime {
        fs::metadata(self.out().join(name)).unwrap().modified().unwrap()
    }
}

fn until(what: &str, child: &mut Child, met: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !met() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(Instant::now() < until, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_run_that_was_killed_is_gone_on_with_where_it_was() {
    let folder = Folder::with(&[
        ("english-other-voice.wav", "short.wav"),
        ("long.flac", "long-1.flac"),
        ("english-long.mp3", "deep/long-2.mp3"),
    ]);
    let mut first = folder.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lines = || fs::read_to_string(folder.out().join(".verbatim.jsonl")).unwrap_or_default();
    until("a text", &mut first, || lines().lines().count() == 1);
    // SIGKILL.
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(folder.texts(), ["short.txt"]);
    let written = folder.written("short.txt");
    let again = folder.run(&[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stderr.contains("1 of 3 done before"), "{again:?}");
    assert_eq!(folder.texts(), ["deep/long-2.txt", "long-1.txt", "short.txt"]);
    assert_eq!(folder.written("short.txt"), written);
    let third = folder.run(&[]);
    assert_eq!(third.code, Some(0), "{third:?}");
    assert!(third.stderr.contains("3 of 3 done before"), "{third:?}");
    assert!(!third.stderr.contains("demo model"), "no model is loaded for nothing: {third:?}");
}

#[test]
fn other_options_another_model_another_input_and_overwrite_do_it_anew() {
    let folder = Folder::with(&[("english-other-voice.wav", "a.wav"), ("english-other-voice.wav", "b.wav")]);
    assert_eq!(folder.run(&[]).code, Some(0));
    let skipped = |more: &[&str]| {
        let said = folder.run(more);
        assert_eq!(said.code, Some(0), "{said:?}");
        (0..=2).rev().find(|count| said.stderr.contains(&format!("{count} of 2 done before"))).unwrap_or(0)
    };
    assert_eq!(skipped(&[]), 2);
    assert_eq!(skipped(&["--beam-size", "2"]), 0);
    assert_eq!(skipped(&["--beam-size", "2"]), 2);
    assert_eq!(skipped(&["--dtype", "q8_0", "--beam-size", "2"]), 0);
    assert_eq!(skipped(&["--format", "srt"]), 0);
    // The options of the table, not the letters of the command line.
    assert_eq!(skipped(&["--format=srt", "--language", "en"]), 0);
    assert_eq!(skipped(&["--format", "srt", "--language", "english"]), 2);
    assert_eq!(skipped(&["--format", "srt", "--language", "english", "--overwrite"]), 0);
    put("spanish.wav", &folder.0.path().join("in"), "b.wav");
    assert_eq!(skipped(&["--format", "srt", "--language", "en"]), 1);
    fs::remove_file(folder.out().join("a.srt")).unwrap();
    assert_eq!(skipped(&["--format", "srt", "--language", "en"]), 1);
    assert!(folder.out().join("a.srt").is_file());
}

#[test]
fn what_needs_a_folder_or_files_says_so() {
    for wrong in [["a.wav", "--overwrite"], ["-", "--jobs"]] {
        let said = Said::by(verbatim().arg("transcribe").args(wrong));
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_within_a_moment_and_says_what_was_done() {
    let folder = Folder::with(&[("english-other-voice.wav", "short.wav"), ("long.flac", "long.flac")]);
    let mut child = folder.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("a text", &mut child, || folder.out().join("short.txt").is_file());
    let asked = Instant::now();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("interrupted: 1 of 2 files were done"), "{said:?}");
    assert!(said.stderr.contains("the same command goes on from here"), "{said:?}");
    assert!(!Path::new(&folder.out().join("long.txt")).exists());
}
