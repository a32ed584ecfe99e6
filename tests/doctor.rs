//! `verbatim doctor` on machines with one thing wrong each: it is found, and the remedy names what to change.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[allow(dead_code, reason = "its faults are for others")]
#[path = "support/fake_hub.rs"]
mod fake_hub;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Where the doctor's patient lives: none of the settings, folders and variables of whoever runs the tests.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine { home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file with this text; a folder cannot be made below it, whoever asks.
    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The demo model as a folder of its own.
    fn model(&self) -> PathBuf {
        let folder = self.path("model");
        std::fs::create_dir(&folder).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
        for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::copy(demo.join(name), folder.join(name)).unwrap();
        }
        folder
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.env("HOME", self.home.path()).env("RAYON_NUM_THREADS", "2").args(arguments);
        command
    }

    fn doctor(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_verbatim"), &[&["doctor"], arguments].concat())
    }
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is said but the report");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The report and the exit code.
fn examine(mut doctor: Command) -> (Value, Option<i32>) {
    let output = doctor.arg("--json").output().unwrap();
    let report = text(&output);
    let report = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    (report, output.status.code())
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// The one fault that was planted: the doctor's exit code is 1, what it found has these words, and the remedy those.
#[track_caller]
fn finds(doctor: Command, name: &str, found: &[&str], remedy: &[&str]) -> Value {
    let (report, code) = examine(doctor);
    let check = check(&report, name);
    assert_eq!(
        (check["state"].as_str(), report["worst"].as_str(), code),
        (Some("fault"), Some("fault"), Some(1)),
        "{check}"
    );
    for (key, words) in [("found", found), ("remedy", remedy)] {
        let said = check[key].as_str().unwrap();
        for word in words {
            assert!(said.contains(word), "{key} does not say {word:?}: {said}");
        }
    }
    report
}

#[track_caller]
fn is(report: &Value, name: &str, state: &str) {
    assert_eq!(check(report, name)["state"], state, "{}", check(report, name));
}

/// A port on which nobody listens: it was free a moment ago and is not given out again so soon.
fn dead_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_healthy_machine_has_no_fault_and_both_reports_say_the_same() {
    let machine = Machine::new();
    let arguments = ["--offline", "--device", "cpu", "--port", "0", "--min-free-gib", "0"];
    let (report, code) = examine(machine.doctor(&arguments));
    let checks = report["checks"].as_array().unwrap();
    let faults: Vec<&Value> = checks.iter().filter(|check| check["state"] == "fault").collect();
    assert!(faults.is_empty() && code == Some(0), "{faults:#?}");
    assert_ne!(report["worst"], "fault");
    assert_eq!(report["verbatim"], env!("CARGO_PKG_VERSION"));
    assert!(report["platform"].as_str().unwrap().contains(std::env::consts::ARCH));
    for check in checks {
        let needs_remedy = ["warning", "fault"].contains(&check["state"].as_str().unwrap());
        assert_eq!(check["remedy"].is_string(), needs_remedy, "{check}");
        assert!(check["took_ms"].is_u64(), "{check}");
    }
    for name in
        ["kernels", "audio-wav", "audio-opus", "audio-webm", "isolation", "model", "transcription", "keys"]
    {
        is(&report, name, "ok");
    }
    assert!(check(&report, "transcription")["found"].as_str().unwrap().contains("word for word"));
    assert!(!machine.path(".local").exists() && !machine.path(".cache").exists(), "nothing is made");

    let output = machine.doctor(&arguments).output().unwrap();
    let lines = text(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(!lines.contains('\x1b'), "colours are for terminals");
    let (lines, summary) = lines.trim_end().rsplit_once('\n').unwrap();
    let told: Vec<(&str, &str)> = lines
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let listed: Vec<(&str, &str)> = checks
        .iter()
        .map(|check| (check["state"].as_str().unwrap(), check["name"].as_str().unwrap()))
        .collect();
    assert_eq!(told, listed);
    assert!(summary.starts_with("0 faults, "), "{summary}");
}

#[test]
fn an_unknown_key_of_the_settings_file_is_named_and_the_rest_of_the_file_counts() {
    let machine = Machine::new();
    let file = machine.file("typing-error.toml", "[server]\nprot = 1\nhost = '0.0.0.0'\n");
    let doctor = machine.doctor(&["--config", &file, "--only", "settings,keys"]);
    let report =
        finds(doctor, "settings", &["server.prot", "server.port", "typing-error.toml"], &["server.prot"]);
    is(&report, "keys", "fault");
    let doctor = machine.doctor(&["--config", "nowhere.toml", "--only", "settings"]);
    finds(doctor, "settings", &["nowhere.toml"], &["--config"]);
}

#[test]
fn a_wrong_value_of_a_variable_is_named_with_the_variable() {
    let machine = Machine::new();
    let mut doctor = machine.doctor(&["--only", "settings"]);
    doctor.env("VERBATIM_MODEL__SLOTS", "many");
    finds(doctor, "settings", &["model.slots", "VERBATIM_MODEL__SLOTS"], &["VERBATIM_MODEL__SLOTS"]);
    let mut doctor = machine.doctor(&["--only", "settings"]);
    doctor
        .env("VERBATIM_ENGINE__QUEUE_WINDOWS", "0")
        .env("VERBATIM_MODLE", "x")
        .env("VERBATIM_DEVICE", "gpu");
    let words = ["3 things", "engine.queue_windows", "VERBATIM_MODLE", "model.device"];
    finds(doctor, "settings", &words, &["config/default.toml"]);
}

#[test]
fn a_model_that_was_cut_off_is_told_by_its_own_table() {
    let machine = Machine::new();
    let folder = machine.model();
    let weights = folder.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let doctor = machine.doctor(&["--model", folder.to_str().unwrap(), "--only", "model,transcription"]);
    let report = finds(doctor, "model", &["model.safetensors", "cut off"], &["model.name"]);
    is(&report, "transcription", "fault");
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let doctor = machine.doctor(&["--model", folder.to_str().unwrap(), "--only", "model"]);
    finds(doctor, "model", &["has no tokenizer.json"], &["copy"]);
}

#[test]
fn a_model_folder_that_is_not_there_is_told() {
    let doctor = Machine::new().doctor(&["--model", "./nowhere", "--only", "model,memory,transcription"]);
    let report = finds(doctor, "model", &["./nowhere"], &["--model", "model.name"]);
    is(&report, "memory", "skipped");
    is(&report, "transcription", "skipped");
}

#[test]
fn a_model_that_does_not_fit_into_memory_is_told_before_it_is_loaded() {
    let machine = Machine::new();
    let mut doctor = machine.doctor(&["--model", "random:large-v3", "--device", "cpu", "--only", "memory"]);
    doctor.env("VERBATIM_MODEL__SLOTS", "100000");
    finds(doctor, "memory", &["random:large-v3", "MiB are free"], &["model.slots", "--model"]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_a_fault_only_where_it_is_needed() {
    let machine = Machine::new();
    let endpoint = format!("http://{}", dead_address());
    let doctor = |arguments: &[&str]| {
        let mut doctor = machine.doctor(arguments);
        doctor.env("HF_ENDPOINT", &endpoint);
        doctor
    };
    let tiny = ["--model", "openai/whisper-tiny", "--only", "hub,model"];
    let report =
        finds(doctor(&tiny), "hub", &[&endpoint, "cannot be reached"], &["HF_ENDPOINT", "--offline"]);
    is(&report, "model", "warning");
    let (report, code) = examine(doctor(&["--only", "hub"]));
    is(&report, "hub", "warning");
    assert_eq!(code, Some(0));
    let offline = doctor(&[&tiny[..], &["--offline"]].concat());
    let report = finds(
        offline,
        "model",
        &["config.json", "openai/whisper-tiny"],
        &["models pull openai/whisper-tiny"],
    );
    is(&report, "hub", "skipped");
}

#[test]
fn a_hub_that_answers_says_whether_it_has_the_model() {
    let machine = Machine::new();
    let hub = fake_hub::FakeHub::start(&[("config.json", b"{}")]);
    let doctor = |model: &str| {
        let mut doctor = machine.doctor(&["--model", model, "--only", "hub"]);
        doctor.env("HF_ENDPOINT", hub.endpoint());
        doctor
    };
    let (report, code) = examine(doctor(fake_hub::ID));
    assert!(check(&report, "hub")["found"].as_str().unwrap().contains(fake_hub::COMMIT), "{report}");
    assert_eq!(code, Some(0));
    finds(doctor("someone/else"), "hub", &["someone/else"], &["--model"]);
}

#[test]
fn a_port_that_another_program_has_is_a_fault() {
    let machine = Machine::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // It answers, and not as Verbatim would.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = std::io::Write::write_all(
                &mut stream.unwrap(),
                b"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"fine\"}",
            );
        }
    });
    let doctor = machine.doctor(&["--port", &port, "--only", "port"]);
    finds(doctor, "port", &[&port, "not Verbatim"], &["--port", "server.port"]);
    let doctor = machine.doctor(&["--host", "192.0.2.1", "--allow-no-keys", "--only", "port"]);
    finds(doctor, "port", &["192.0.2.1"], &["--host"]);
}

#[test]
fn a_port_that_verbatim_has_is_none() {
    let machine = Machine::new();
    let serve = ["serve", "--port", "0", "--device", "cpu"];
    let mut server = machine.command(env!("CARGO_BIN_EXE_verbatim"), &serve);
    let mut server = server.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let mut lines = log.lines().map(Result::unwrap);
    let ready = lines.by_ref().find(|line| line.contains("ready on")).unwrap();
    let reading = std::thread::spawn(move || lines.for_each(drop));
    let port = ready.rsplit(':').next().unwrap().trim().to_owned();
    let (report, code) = examine(machine.doctor(&["--port", &port, "--only", "port"]));
    server.kill().unwrap();
    server.wait().unwrap();
    reading.join().unwrap();
    is(&report, "port", "ok");
    assert!(check(&report, "port")["found"].as_str().unwrap().contains("Verbatim"), "{report}");
    assert_eq!(code, Some(0));
}

#[test]
fn folders_that_cannot_be_written_are_named_with_their_settings() {
    let machine = Machine::new();
    let below = format!("{}/folder", machine.file("file", "no folder"));
    let mut doctor = machine.doctor(&["--model", "openai/whisper-tiny", "--only", "cache"]);
    doctor.env("HF_HUB_CACHE", &below);
    finds(doctor, "cache", &[&below, "cannot be written"], &["model.cache_dir"]);
    let doctor = machine.doctor(&["--jobs-dir", &below, "--only", "jobs"]);
    finds(doctor, "jobs", &[&below, "cannot be written"], &["jobs.dir"]);
    let mut doctor = machine.doctor(&["--only", "sessions"]);
    doctor.env("VERBATIM_SESSIONS__DIR", &below);
    finds(doctor, "sessions", &[&below, "cannot be written"], &["sessions.dir"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_with_less_room_than_is_wanted_is_a_fault() {
    let machine = Machine::new();
    let jobs = machine.path("jobs");
    let doctor =
        machine.doctor(&["--jobs-dir", jobs.to_str().unwrap(), "--min-free-gib", "1e9", "--only", "jobs"]);
    finds(doctor, "jobs", &["GiB free", "are wanted"], &["make room", "jobs.dir"]);
    assert!(!jobs.exists());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_was_asked_for_and_cannot_be_had_says_which_build_it_takes() {
    let doctor = Machine::new().doctor(&["--device", "cuda", "--only", "gpu,transcription"]);
    let report =
        finds(doctor, "gpu", &["cuda:0", "has no cuda support"], &["--features cuda", "--device cpu"]);
    is(&report, "transcription", "skipped");
}

#[test]
fn an_open_host_without_keys_is_a_fault() {
    let machine = Machine::new();
    let doctor = machine.doctor(&["--host", "0.0.0.0", "--only", "keys"]);
    finds(doctor, "keys", &["0.0.0.0"], &["verbatim keys new", "--allow-no-keys"]);
    let (report, code) = examine(machine.doctor(&["--host", "0.0.0.0", "--allow-no-keys", "--only", "keys"]));
    is(&report, "keys", "warning");
    assert_eq!(code, Some(0));
    let mut doctor = machine.doctor(&["--only", "keys"]);
    doctor.env("VERBATIM_SERVER__KEYS_FILE", "/nowhere/keys.toml");
    finds(doctor, "keys", &["/nowhere/keys.toml"], &["server.keys_file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_low_limit_of_open_files_is_a_fault() {
    let machine = Machine::new();
    let line = "ulimit -n 64 && exec \"$0\" doctor --only open-files --json";
    let mut doctor = machine.command("sh", &["-c", line, env!("CARGO_BIN_EXE_verbatim")]);
    let output = doctor.output().unwrap();
    let report: Value = serde_json::from_str(&text(&output)).unwrap();
    is(&report, "open-files", "fault");
    let check = check(&report, "open-files");
    assert!(check["found"].as_str().unwrap().starts_with("64 files"), "{check}");
    assert!(check["remedy"].as_str().unwrap().contains("server.max_connections"), "{check}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_limit_that_no_audio_can_meet_is_named() {
    let mut doctor = Machine::new().doctor(&["--only", "audio-flac,audio-mp3"]);
    doctor.env("VERBATIM_AUDIO__MAX_DURATION_SECONDS", "1");
    let report = finds(doctor, "audio-flac", &["audio.max_duration_seconds"], &["raise it"]);
    is(&report, "audio-mp3", "fault");
}

#[test]
fn a_broker_and_a_store_that_are_not_there_are_faults() {
    let machine = Machine::new();
    let (broker, store) = (dead_address(), dead_address());
    let doctor = || {
        let mut doctor = machine.doctor(&["--only", "broker,store,jobs"]);
        doctor.env("VERBATIM_JOBS__NATS_URL", format!("nats://me:pass-7431@{broker}"));
        doctor.env("VERBATIM_JOBS__STORE_URL", "s3://speech/jobs");
        doctor.env("VERBATIM_JOBS__STORE_ENDPOINT", format!("http://{store}"));
        doctor
    };
    let report = finds(doctor(), "broker", &[&broker], &["jobs.nats_url"]);
    assert!(!report.to_string().contains("pass-7431"), "{report}");
    finds(doctor(), "store", &[&store], &["jobs.store_endpoint"]);
    is(&report, "jobs", "skipped");
}

#[test]
fn a_check_that_does_not_exist_is_a_usage_error() {
    let output = Machine::new().doctor(&["--only", "weather"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("weather") && said.contains("gpu-driver"), "{said}");
}

#[test]
fn the_clips_take_little_of_the_binary() {
    let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/doctor/clips");
    let sizes = std::fs::read_dir(clips).unwrap().map(|clip| clip.unwrap().metadata().unwrap().len());
    assert!(sizes.sum::<u64>() < 300_000);
}

/// Stand-ins for the driver's libraries, found before any real one.
#[cfg(all(target_os = "linux", not(feature = "cuda")))]
mod driver {
    use super::*;

    const LIBRARIES: [&str; 2] = ["libcuda.so.1", "libnvidia-ml.so.1"];
    const GPU: [&str; 4] = ["--only", "gpu-driver,cuda-library,kernels", "--device", "cpu"];

    /// Compiled from `source`, under both names.
    fn library(machine: &Machine, source: &str) {
        let source = machine.file("stand-in.c", source);
        for name in LIBRARIES {
            let library = machine.path(name);
            let mut compiler = Command::new("cc");
            compiler.args(["-shared", "-fPIC", "-O0", "-o", library.to_str().unwrap(), &source]);
            assert!(compiler.status().unwrap().success(), "cargo needs a C compiler anyway");
        }
    }

    fn doctor(machine: &Machine, arguments: &[&str]) -> Command {
        let mut doctor = machine.doctor(&[&GPU[..], arguments].concat());
        doctor.env("LD_LIBRARY_PATH", machine.home.path());
        doctor
    }

    #[test]
    fn libraries_that_are_no_libraries_are_told_from_a_driver_that_is_missing() {
        let machine = Machine::new();
        for name in LIBRARIES {
            machine.file(
                name,
                "no library at all, but enough bytes to be read as the head of one, if anybody does",
            );
        }
        let report = finds(
            doctor(&machine, &[]),
            "gpu-driver",
            &["libnvidia-ml", "cannot be loaded"],
            &["nvidia-smi"],
        );
        let cuda = check(&report, "cuda-library");
        assert!(cuda["state"] == "fault" && cuda["found"].as_str().unwrap().contains("libcuda"), "{cuda}");
    }

    #[test]
    fn a_driver_that_crashes_costs_its_own_checks_alone() {
        let machine = Machine::new();
        let source = "#include <unistd.h>\n__attribute__((constructor)) static void crash(void) {\
                      if (write(2, \"last words\", 10)) *(volatile int *)0 = 1; }";
        library(&machine, source);
        let report =
            finds(doctor(&machine, &[]), "gpu-driver", &["crashed", "SIGSEGV", "last words"], &["driver"]);
        is(&report, "cuda-library", "fault");
        is(&report, "kernels", "ok");
    }

    #[test]
    fn a_driver_that_hangs_costs_its_own_checks_alone() {
        let machine = Machine::new();
        let source =
            "#include <unistd.h>\n__attribute__((constructor)) static void hang(void) { for (;;) pause(); }";
        library(&machine, source);
        let report = finds(
            doctor(&machine, &["--patience", "2"]),
            "gpu-driver",
            &["within 2 s"],
            &["driver", "--patience"],
        );
        is(&report, "cuda-library", "fault");
        assert_eq!(report["checks"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_driver_that_refuses_and_one_that_starts_are_told_apart() {
        let machine = Machine::new();
        let answering = |init: i32| {
            format!(
                "int cuInit(unsigned flags) {{ return {init}; }}\n\
                 int cuDriverGetVersion(int *version) {{ *version = 12090; return 0; }}\n\
                 int cuDeviceGetCount(int *count) {{ *count = 2; return 0; }}\n"
            )
        };
        library(&machine, &answering(803));
        finds(doctor(&machine, &[]), "cuda-library", &["803", "DRIVER_MISMATCH"], &["restart"]);
        library(&machine, &answering(0));
        let (report, _) = examine(doctor(&machine, &[]));
        is(&report, "cuda-library", "ok");
        let found = check(&report, "cuda-library")["found"].as_str().unwrap();
        assert!(found.contains("12.9") && found.contains("2 device"), "{found}");
        // It has none of NVML's functions.
        is(&report, "gpu-driver", "fault");
    }
}
