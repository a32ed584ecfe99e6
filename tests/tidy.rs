//! The house rules as data: who may import whom, where each large dependency lives, and what no file may contain.
//!
//! Each rule is a function from a file to complaints, so that it can be shown to fail on a bad sample (see `bad_samples`).

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "tidy/bad_samples.rs"]
mod bad_samples;
#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Facts, facts};

/// A module imports only from rows below its own; never sideways, never up.
const ROWS: &[(usize, &[&str])] = &[
    (10, &["main"]),
    (9, &["cli"]),
    (8, &["config"]),
    (7, &["http"]),
    (6, &["jobs", "live"]),
    (5, &["transcriber"]),
    (4, &["engine", "timing"]),
    (3, &["decoding"]),
    (2, &["model"]),
    (1, &["audio", "text", "format"]),
    (0, &["transcript", "telemetry", "readiness", "shutdown", "vector"]),
];

/// Crates that one part of the house alone may name; a home is a prefix of a path below `src/`.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["main.rs", "cli/"]),
    ("async_nats", &["jobs/"]),
    ("async_trait", &["http/jobs/scribe.rs", "jobs/"]),
    ("audio_codec_algorithms", &["audio/feed.rs"]),
    ("axum", &["http/"]),
    ("base64", &["jobs/webhook.rs", "live/"]),
    ("candle_core", &["model/whisper/", "model/kernels/"]),
    ("candle_nn", &["model/whisper/", "model/kernels/"]),
    ("clap", &["main.rs", "cli/"]),
    ("clap_complete", &["cli/documents.rs"]),
    ("clap_mangen", &["cli/documents.rs"]),
    ("cudarc", &["model/whisper/", "model/kernels/"]),
    ("earshot", &["audio/speech.rs", "audio/live_speech.rs"]),
    ("getrandom", &["http/keys/"]),
    ("figment", &["config.rs", "config/"]),
    ("glob", &["cli/transcribe/"]),
    ("hf_hub", &["model/hub"]),
    ("hmac", &["jobs/webhook.rs"]),
    ("hyper", &["http/"]),
    ("hyper_util", &["http/"]),
    ("indicatif", &["main.rs", "cli/"]),
    ("libloading", &["telemetry/cuda.rs"]),
    ("metrics_exporter_prometheus", &["telemetry/metrics.rs"]),
    ("nvml_wrapper", &["telemetry/gpu"]),
    ("object_store", &["jobs/blobs.rs"]),
    ("opentelemetry", &["telemetry/otlp.rs"]),
    ("opentelemetry_otlp", &["telemetry/otlp.rs"]),
    ("opentelemetry_sdk", &["telemetry/otlp.rs"]),
    ("opus_decoder", &["audio/decode"]),
    ("realfft", &["audio/steady.rs"]),
    ("rubato", &["audio/resample.rs"]),
    ("rusqlite", &["jobs/embedded/"]),
    ("rustls", &["jobs/blobs.rs"]),
    ("rustix", &["audio/isolation/", "telemetry/disk.rs"]),
    ("safetensors", &["model/"]),
    ("sha1", &["model/hub"]),
    ("sha2", &["http/digest.rs", "jobs/", "model/hub"]),
    ("similar", &["live/difference.rs"]),
    ("subtle", &["http/digest.rs"]),
    ("symphonia", &["audio/decode"]),
    ("tar", &["jobs/archive.rs"]),
    ("tikv_jemallocator", &["main.rs"]),
    ("tokenizers", &["text/tokenizer.rs"]),
    ("toml", &["http/keys/"]),
    ("tower", &["http/"]),
    ("tower_http", &["http/"]),
    ("tracing_opentelemetry", &["telemetry/otlp.rs"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("unicode_width", &["format/subtitles/"]),
    ("ureq", &["cli/bench/", "cli/jobs", "jobs/remote.rs", "model/hub", "telemetry/otlp.rs"]),
    ("utoipa", &["format/json/", "http/", "telemetry/gpu.rs"]),
    ("utoipa_swagger_ui", &["http/openapi"]),
    ("uuid", &["cli/jobs/", "http/", "jobs/job.rs"]),
    ("zip", &["jobs/archive.rs"]),
];

/// No async, clock, log, metric or I/O in here: time comes in as an argument.
const PURE: &[&str] = &["decoding/", "timing/", "format/", "engine/queue.rs", "engine/scheduler.rs", "live/"];
const IMPURE_PATHS: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "tokio",
    "tracing",
    "metrics",
];
/// A trait alone: it writes to memory as well.
const PURE_AFTER_ALL: &[&str] = &["std::io::Write"];

/// Every `#[allow(unsafe_code)]` of the house, with its reason. A new one is argued for here.
const UNSAFE: &[(&str, &str)] = &[
    (
        "main.rs",
        "candle can be told its number of threads through the environment alone, and no thread runs yet",
    ),
    (
        "telemetry/cuda.rs",
        "the driver's library is asked by hand, in builds that are not linked to it: three functions of a header that does not change",
    ),
    (
        "vector.rs",
        "functions compiled for wider vectors than every processor has are called where they have been detected",
    ),
    (
        "vector/chip.rs",
        "products of whole numbers and 16-bit floats have instructions that compilers make of no loop; each is checked against one",
    ),
    (
        "vector/eight.rs",
        "one instruction a function, for transforms that compilers make scalar code or a mess of shuffles of",
    ),
    ("model/kernels/cpu/ints.rs", "as tile.rs: the inner loop of products of whole numbers"),
    (
        "model/kernels/cpu/tile.rs",
        "the one inner loop of all products: without checks of what was checked before it, it is half as fast again",
    ),
    (
        "model/whisper/load.rs",
        "weights are mapped, not read: gigabytes of shards need no second copy in memory",
    ),
];

const LONGEST_FILE: usize = 400;

/// In pieces, so that this file does not contain them.
const FORBIDDEN_WORDS: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("/wo", "rk/"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted"),
    concat!("registry.", "npmjs"),
];
const FORBIDDEN_MACROS: &[&str] = &["todo", "dbg", "unimplemented"];
const FORBIDDEN_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];
/// What cannot help naming a host: cargo writes it.
const WORDS_EXEMPT: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock"];
/// What git ignores, and git itself.
const NOT_OURS: &[&str] = &["artifacts", ".git", ".venv", ".venv-accuracy", "node_modules", "__pycache__"];

/// `path` is relative to `src/`.
struct File<'a> {
    path: &'a str,
    source: &'a str,
    facts: Facts,
}

impl<'a> File<'a> {
    fn new(path: &'a str, source: &'a str) -> Self {
        let stem = path.trim_end_matches(".rs");
        let module: Vec<&str> = match stem {
            "main" | "lib" => Vec::new(),
            _ => stem.split('/').filter(|part| *part != "mod").collect(),
        };
        File { path, source, facts: facts(source, &module) }
    }

    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().find(|(_, modules)| modules.contains(&module)).map(|(row, _)| *row)
}

fn imports_point_down(file: &File) -> Vec<String> {
    let module = file.module();
    if module == "lib" {
        return Vec::new();
    }
    let Some(own) = row(module) else {
        return vec![format!("{}: module `{module}` stands in no row of the table", file.path)];
    };
    let upward = |name: &&String| *name != module && row(name).is_some_and(|row| row >= own);
    let mut bad: Vec<&String> = file.facts.modules.iter().filter(upward).collect();
    bad.sort();
    bad.dedup();
    bad.into_iter()
        .map(|name| format!("{}: `{module}` (row {own}) may not import `{name}`", file.path))
        .collect()
}

fn dependencies_stay_home(file: &File) -> Vec<String> {
    let homeless = |name: &&String| HOMES.iter().any(|(dep, homes)| dep == *name && !file.is_in(homes));
    let mut bad: Vec<&String> = file.facts.crates.iter().filter(homeless).collect();
    bad.sort();
    bad.dedup();
    bad.into_iter().map(|name| format!("{}: `{name}` may not be named here", file.path)).collect()
}

fn pure_rooms_are_pure(file: &File) -> Vec<String> {
    if !file.is_in(PURE) {
        return Vec::new();
    }
    let reaches = |path: &str, bad: &str| path == bad || path.starts_with(&format!("{bad}::"));
    let mut complaints: Vec<String> = Vec::new();
    for path in &file.facts.paths {
        if IMPURE_PATHS.iter().any(|bad| reaches(path, bad)) && !PURE_AFTER_ALL.contains(&path.as_str()) {
            complaints.push(format!("{}: `{path}` in a pure room", file.path));
        }
    }
    if file.facts.has_async {
        complaints.push(format!("{}: `async` in a pure room", file.path));
    }
    complaints
}

fn files_are_well_formed(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    if !file.source.starts_with("//! ") {
        complaints.push(format!("{}: does not open with a `//!` sentence", file.path));
    }
    let lines = file.source.lines().count();
    if lines > LONGEST_FILE {
        complaints.push(format!("{}: {lines} lines; what is its second subject?", file.path));
    }
    for name in file.facts.macros.iter().filter(|name| FORBIDDEN_MACROS.contains(&name.as_str())) {
        complaints.push(format!("{}: `{name}!`", file.path));
    }
    let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if FORBIDDEN_NAMES.contains(&stem) {
        complaints.push(format!("{}: a name that says nothing", file.path));
    }
    complaints
}

fn unsafe_is_listed(file: &File) -> Vec<String> {
    let allows = file.source.matches("allow(unsafe_code").count();
    let listed = UNSAFE.iter().filter(|(path, _)| *path == file.path).count();
    match allows == listed {
        true => Vec::new(),
        false => vec![format!("{}: {allows} unsafe blocks, {listed} listed in tests/tidy.rs", file.path)],
    }
}

/// A setting that a message tells people to change must exist.
fn named_settings_exist(file: &File, keys: &[String]) -> Vec<String> {
    let sections: Vec<&str> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    let mut complaints = Vec::new();
    for text in &file.facts.texts {
        for word in text.split(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == '.')) {
            let word = word.trim_matches('.');
            let Some((section, key)) = word.split_once('.') else { continue };
            let looks_like_one = sections.contains(&section) && key.contains('_') && !key.contains('.');
            if looks_like_one && !keys.iter().any(|known| known == word) {
                complaints.push(format!("{}: names the setting `{word}`, which does not exist", file.path));
            }
        }
    }
    complaints
}

fn words_are_fit(path: &str, text: &str) -> Vec<String> {
    let bad = FORBIDDEN_WORDS.iter().filter(|word| text.contains(*word));
    bad.map(|word| format!("{path}: contains `{word}`")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let not_ours =
            NOT_OURS.contains(&name.as_str()) || name.starts_with("target") || name.ends_with(".log");
        match path.is_dir() {
            _ if not_ours => {}
            true => files_below(&path, found),
            false => found.push(path),
        }
    }
}

fn each_source(check: impl Fn(&File) -> Vec<String>) {
    let mut paths = Vec::new();
    files_below(&root().join("src"), &mut paths);
    let mut complaints = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let relative = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().replace('\\', "/");
        complaints.extend(check(&File::new(&relative, &fs::read_to_string(path).unwrap())));
    }
    assert!(paths.len() > 20, "the source was not found");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn modules_import_only_from_rows_below() {
    each_source(imports_point_down);
}

#[test]
fn large_dependencies_have_one_home() {
    each_source(dependencies_stay_home);
}

#[test]
fn pure_rooms_know_no_clock_no_io_no_async() {
    each_source(pure_rooms_are_pure);
}

#[test]
fn source_files_open_with_a_sentence_and_stay_short() {
    each_source(files_are_well_formed);
}

#[test]
fn every_unsafe_block_is_listed_with_its_reason() {
    each_source(unsafe_is_listed);
    assert!(UNSAFE.iter().all(|(_, reason)| reason.len() > 20));
}

#[test]
fn settings_named_in_messages_exist() {
    let keys = verbatim::config::Config::keys();
    each_source(|file| named_settings_exist(file, &keys));
}

#[test]
fn no_file_contains_a_forbidden_word() {
    let mut paths = Vec::new();
    files_below(&root(), &mut paths);
    let mut complaints = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        // What is not text has no words.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if !WORDS_EXEMPT.contains(&name.as_str()) {
            complaints.extend(words_are_fit(&name, &text));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_configuration_file_loads() {
    let mut loaded = 0;
    for entry in fs::read_dir(root().join("config")).unwrap() {
        let path = entry.unwrap().path();
        verbatim::config::Config::from_file(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        loaded += 1;
    }
    assert!(loaded > 0);
}

#[test]
fn the_readme_names_every_route_and_every_verb() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let router = fs::read_to_string(root().join("src/http/mod.rs")).unwrap();
    let texts = facts(&router, &["http"]).texts;
    let routes: Vec<&String> =
        texts.iter().filter(|text| text.starts_with('/') && !text.contains(' ')).collect();
    assert!(routes.iter().any(|route| *route == "/transcribe"), "the routes were not found");
    let verbs: Vec<String> = verbatim::cli::command()
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let missing_route =
        |route: &&&String| !readme.contains(&format!("`{route}`")) && !readme.contains(&format!(" {route}`"));
    let missing: Vec<_> = routes.iter().filter(missing_route).collect();
    assert!(missing.is_empty(), "README.md does not name these routes: {missing:?}");
    for verb in verbs {
        assert!(readme.contains(&format!("verbatim {verb}")), "README.md does not name `verbatim {verb}`");
    }
}

/// A route of the router, and how it is asked: `.route("/v1/models", get(models::list))`.
fn asked_routes(router: &str) -> Vec<(String, String)> {
    let lines = router.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split_once("\", "));
    lines
        .flat_map(|(path, handlers)| {
            // OpenAPI has no word for a parameter with slashes in it.
            let path = path.replace("{*", "{");
            let methods = ["get", "post", "put", "delete", "patch"].into_iter();
            let named = methods.filter(|method| handlers.contains(&format!("{method}(")));
            named.map(move |method| (path.clone(), method.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_openapi_document_has_every_route_and_no_other() {
    let router = fs::read_to_string(root().join("src/http/mod.rs")).unwrap();
    let document = fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let mut documented = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        documented.extend(methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())));
    }
    let mut asked = asked_routes(&router);
    asked.sort();
    documented.sort();
    assert!(asked.contains(&("/v1/sessions/{id}".to_owned(), "put".to_owned())), "{asked:?}");
    assert_eq!(asked, documented);
}
