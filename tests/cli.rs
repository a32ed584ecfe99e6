//! The program as a shell sees it: exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn speech(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name)
}

/// Without the settings of whoever runs the tests.
fn verbatim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.args(["--device", "cpu"]);
    command
}

fn run(arguments: &[&str]) -> Output {
    verbatim().args(arguments).output().unwrap()
}

fn refusal(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}: standard output is for text alone");
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    stderr
}

#[test]
fn transcribe_writes_the_text_and_nothing_else_to_standard_output() {
    let output = run(&["transcribe", speech("english.wav").to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.to_lowercase().contains("eggs"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("demo model"), "the demo model says what it is");
}

#[test]
fn transcribe_reads_standard_input() {
    let mut child =
        verbatim().args(["transcribe", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(speech("english.wav")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().to_lowercase().contains("eggs"));
}

#[test]
fn several_files_go_into_a_folder_and_one_that_fails_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.mp3");
    std::fs::write(&broken, b"this is no audio").unwrap();
    let out = folder.path().join("out");
    let output = run(&[
        "transcribe",
        "--format",
        "srt",
        "--output-dir",
        out.to_str().unwrap(),
        speech("english.wav").to_str().unwrap(),
        broken.to_str().unwrap(),
        speech("german.wav").to_str().unwrap(),
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("broken.mp3"), "{stderr}");
    for name in ["english.srt", "german.srt"] {
        assert!(std::fs::read_to_string(out.join(name)).unwrap().contains(" --> "), "{name}");
    }
    let names = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| !name.to_string_lossy().starts_with('.')).count(), 2);
}

#[test]
fn subtitles_are_made_from_a_stored_transcript_without_the_audio() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("english.json");
    let english = speech("english.wav");
    let output = run(&["transcribe", "--format", "verbose_json", english.to_str().unwrap()]);
    std::fs::write(&stored, &output.stdout).unwrap();
    let stored = stored.to_str().unwrap();
    let direct = run(&["transcribe", "--format", "srt", english.to_str().unwrap()]);
    assert_eq!(run(&["subtitles", stored]).stdout, direct.stdout);
    assert_eq!(run(&["subtitles", stored, "--format", "verbose_json"]).stdout, output.stdout);
    let narrow = run(&["subtitles", stored, "--format", "tsv", "--max-words-per-line", "2"]);
    let tsv = String::from_utf8(narrow.stdout).unwrap();
    assert!(tsv.lines().skip(1).all(|row| row.split(' ').count() <= 2), "{tsv}");

    let out = folder.path().join("english.vtt");
    let mut child = verbatim()
        .args(["subtitles", "-", "--format", "vtt", "--subtitles", "tidy", "--output", out.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&output.stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read_to_string(out).unwrap().starts_with("WEBVTT\n\n00:00:0"));
}

#[test]
fn stored_transcripts_that_cannot_be_read_end_with_1_and_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("wrong.json");
    std::fs::write(&stored, r#"{"segments":[{"start":2,"end":1,"text":"a"}]}"#).unwrap();
    let stderr = refusal(&["subtitles", stored.to_str().unwrap()], 1);
    assert!(stderr.contains("wrong.json: segments[0].end is 1"), "{stderr}");
    assert!(refusal(&["subtitles", "nowhere.json"], 1).contains("nowhere.json"));
    let stderr = refusal(&["subtitles", stored.to_str().unwrap(), "--max-line-width", "wide"], 2);
    assert!(stderr.contains("--max-line-width"), "{stderr}");
}

#[test]
fn without_keys_the_service_is_for_this_machine_alone_unless_told_otherwise() {
    let stderr = refusal(&["serve", "--host", "0.0.0.0", "--port", "0"], 64);
    assert!(stderr.contains("verbatim keys new") && stderr.contains("--allow-no-keys"), "{stderr}");
    assert!(!stderr.contains("loaded in"), "{stderr}");
    let mut short = verbatim();
    short.env("VERBATIM_SERVER__KEYS", "me:password").args(["serve", "--host", "0.0.0.0", "--port", "0"]);
    let output = short.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("server.keys") && !stderr.contains("password"), "{stderr}");
}

#[test]
fn a_new_key_shows_its_secret_once_and_its_lines_are_what_the_server_reads() {
    let output = run(&["keys", "new", "ward-7"]);
    assert!(output.status.success());
    let (lines, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let secret = told.lines().find(|line| line.starts_with("vk-")).unwrap();
    assert!(!lines.contains(secret), "{lines}");
    assert!(lines.contains(&verbatim::http::Digest::of(secret.as_bytes()).to_string()), "{lines}");
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), &lines).unwrap();
    let settings = verbatim::http::Settings { keys_file: Some(file.path().to_owned()), ..Default::default() };
    assert_eq!(verbatim::http::keys::check(&settings), Ok(()));
    assert!(verbatim::http::keys::Keys::new(&settings).holder(secret.as_bytes()).is_some());
    assert!(refusal(&["keys", "new", "ward 7"], 2).contains("ward 7"));
}

#[test]
fn usage_errors_end_with_2() {
    refusal(&["transcribe"], 2);
    refusal(&["transcribe", "--format", "docx", "a.wav"], 2);
    refusal(&["transcribe", "--format", "srt", "a.wav", "b.wav"], 2);
    assert!(refusal(&["transcribe", "--language", "klingon", "a.wav"], 2).contains("klingon"));
    assert!(refusal(&["transcribe", "--beam-size", "40", "a.wav"], 2).contains("from 0 to 16"));
    refusal(&["dance"], 2);
}

#[test]
fn settings_that_cannot_be_met_end_with_64_and_name_the_way_out() {
    assert!(refusal(&["serve", "--model", "large-v3"], 64).contains("openai/whisper-large-v3"));
    assert!(refusal(&["serve", "--model", "./nowhere"], 64).contains("model.name"));
    assert!(refusal(&["serve", "--dtype", "q4_0", "--port", "0"], 64).contains("model.dtype"));
    assert!(refusal(&["serve", "--config", "nowhere.toml"], 64).contains("nowhere.toml"));
    let cache = tempfile::tempdir().unwrap();
    let mut offline = verbatim();
    offline.env("HF_HOME", cache.path()).args(["models", "pull", "openai/whisper-tiny", "--offline"]);
    let output = offline.output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("models pull openai/whisper-tiny"));
}

#[cfg(not(feature = "cuda"))]
#[test]
fn cuda_is_never_replaced_in_silence() {
    let mut asked = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    let output = asked.args(["serve", "--device", "cuda", "--port", "0"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("--features cuda"), "{stderr}");
}

#[test]
fn an_unknown_setting_is_refused_with_64_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typing-error.toml");
    std::fs::write(&file, "[server]\nprot = 1\n").unwrap();
    let stderr = refusal(&["serve", "--config", file.to_str().unwrap()], 64);
    assert!(stderr.contains("server.prot") && stderr.contains("typing-error.toml"), "{stderr}");
    let output = verbatim().env("VERBATIM_SERVER__PROT", "1").arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("VERBATIM_SERVER__PORT"));
}

#[test]
fn a_port_that_is_taken_ends_with_64_before_the_model_is_loaded() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let stderr = refusal(&["serve", "--port", &port], 64);
    assert!(stderr.contains("server.port") && !stderr.contains("loaded in"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn serve_announces_itself_answers_and_ends_in_good_order_on_sigterm() {
    use std::io::{BufRead, BufReader, Read};
    let mut serve = verbatim();
    serve
        .args(["serve", "--port", "0"])
        .env("VERBATIM_SERVER__DRAIN_DELAY_SECONDS", "0")
        .stderr(Stdio::piped());
    let mut child = serve.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let ready =
        log.by_ref().find(|line| line.contains("ready on")).expect("the server says that it is ready");
    let address = ready.rsplit("http://").next().unwrap().split_whitespace().next().unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let rest: Vec<String> = log.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("draining")), "{rest:?}");
}
