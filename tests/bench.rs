//! `verbatim bench` as a shell sees it: what it measures, where it writes it, and what it refuses before it begins. No figure is judged.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Without the settings of whoever runs the tests.
fn verbatim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    verbatim(arguments).output().unwrap()
}

fn refusal(arguments: &[&str], code: i32) -> String {
    let output = run(&[&["bench"], arguments].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty() && !stderr.contains("loaded in"), "{arguments:?}: {stderr}");
    stderr
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn positive(row: &Value, names: &[&str]) {
    for name in names {
        assert!(row[name].as_f64().unwrap_or_default() > 0.0, "{name} of {row}");
    }
}

#[test]
fn each_stage_of_each_combination_has_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let (json, markdown) = (folder.path().join("out.json"), folder.path().join("out.md"));
    let asked = "bench --model random:tiny --model demo --device cpu --dtype f32 --batch 1,2 --tokens 3 --repeat 2 --warm-up 0";
    let mut arguments: Vec<&str> = asked.split(' ').collect();
    arguments.extend(["--output", json.to_str().unwrap(), "--markdown", markdown.to_str().unwrap()]);
    let output = run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let report = read(&json);
    let rows = report["rows"].as_array().unwrap();
    let mut expected = Vec::new();
    for model in ["random:tiny", "demo"] {
        for batch in [1, 2] {
            for (stage, samples) in [("mel", 2), ("encode", 2), ("step", 4), ("align", 2), ("end_to_end", 2)]
            {
                expected.push((model, batch, stage, samples));
            }
        }
    }
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            (text("model"), row["batch"].as_u64().unwrap(), text("stage"), row["samples"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(found, expected);
    for row in rows {
        assert_eq!(
            (&row["device"], &row["dtype"], &row["tokens"]),
            (&"cpu".into(), &"f32".into(), &3.into())
        );
        positive(row, &["median_ms", "min_ms", "p95_ms", "max_ms", "windows_per_s", "rtfx"]);
        let makes_tokens = ["step", "end_to_end"].contains(&row["stage"].as_str().unwrap());
        assert_eq!(row["tokens_per_s"].is_number(), makes_tokens, "{row}");
        #[cfg(target_os = "linux")]
        assert_eq!(row["peak_memory_bytes"].is_number(), row["stage"] == "end_to_end", "{row}");
    }
    assert_eq!((&report["repetitions"], &report["warm_up"]), (&2.into(), &0.into()));
    assert_eq!(report["verbatim"], env!("CARGO_PKG_VERSION"));
    assert!(report["threads"].as_u64().unwrap() > 0 && report["machine"]["cpu"].is_string());

    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().filter(|line| line.starts_with("random:tiny ")).count(), 10, "{table}");
    let markdown = std::fs::read_to_string(markdown).unwrap();
    assert_eq!(markdown.lines().filter(|line| line.starts_with("| demo | cpu | f32 | ")).count(), 10);
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is() {
    let here = ["--device", "cpu"];
    assert!(refusal(&[&here[..], &["--dtype", "f32,q4_0"]].concat(), 64).contains("q4_0"));
    assert!(refusal(&[&here[..], &["--dtype", "f32", "--dtype", "f16"]].concat(), 64).contains("f16"));
    assert!(refusal(&[&here[..], &["--model", "demo,random:huge"]].concat(), 64).contains("random:large-v3"));
    #[cfg(not(feature = "cuda"))]
    assert!(refusal(&["--device", "cpu,cuda"], 64).contains("--features cuda"));
    assert!(refusal(&[&here[..], &["--tokens", "100,444"]].concat(), 2).contains("443"));
    assert!(refusal(&[&here[..], &["--batch", "0"]].concat(), 2).contains("--batch"));
    assert!(
        refusal(&[&here[..], &["--output", "/nowhere/out.json"]].concat(), 64).contains("/nowhere/out.json")
    );
    refusal(&["--file", "speech.wav"], 2);
    refusal(&["--server", "http://127.0.0.1:1"], 2);
}

/// Ended when the test is over, however it ends.
struct Served(Child, String);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve() -> Served {
    let mut command = verbatim(&["serve", "--device", "cpu", "--port", "0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let ready = log.by_ref().find(|line| line.contains("ready on")).unwrap();
    let address = ready.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
    let url = format!("http://{address}");
    // A pipe that nobody empties stops whoever writes into it.
    std::thread::spawn(move || log.for_each(drop));
    Served(child, url)
}

#[test]
fn a_running_server_is_asked_by_several_clients_at_once() {
    let server = serve();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech/english.wav");
    let asked = [
        "bench",
        "--server",
        &server.1,
        "--file",
        speech.to_str().unwrap(),
        "--output",
        json.to_str().unwrap(),
    ];
    let output = run(&[&asked[..], &["--concurrency", "1,3", "--requests", "4"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = read(&json);
    assert_eq!((&report["server_model"], &report["server"]), (&"demo".into(), &server.1.as_str().into()));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["concurrency"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    for row in rows {
        assert_eq!((&row["requests"], &row["errors"]), (&4.into(), &0.into()), "{row}");
        positive(row, &["p50_ms", "p95_ms", "p99_ms", "max_ms", "requests_per_s", "audio_seconds_per_s"]);
    }
    // Refused at the first request, in the server's own words.
    let refused = run(&[&asked[..], &["--field", "language=klingon"]].concat());
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("(400)") && stderr.contains("klingon"), "{stderr}");
}
