//! Models from the hub: fetched, found again, verified, and refused with a sentence that names the way out.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/fake_hub.rs"]
mod fake_hub;

use std::fs;
use std::path::Path;

use fake_hub::{COMMIT, FakeHub, Faults, ID, sha256};
use tempfile::TempDir;
use verbatim::model::hub::{Fetched, HubError, Progress, Request, fetch};

const WEIGHTS: &[u8] = &[7; 100_000];
const FILES: &[(&str, &[u8])] = &[
    ("README.md", b"not needed"),
    ("config.json", b"{\"d_model\": 8}"),
    ("generation_config.json", b"{}"),
    ("model.safetensors", WEIGHTS),
    ("pytorch_model.bin", b"not wanted"),
    ("tokenizer.json", b"{\"model\": {}}"),
];
const WANTED: [&str; 4] = ["config.json", "tokenizer.json", "generation_config.json", "model.safetensors"];

fn request(endpoint: String, cache: &TempDir) -> Request {
    Request {
        id: ID.parse().unwrap(),
        revision: "main".to_owned(),
        cache_dir: cache.path().to_owned(),
        endpoint,
        token: None,
        offline: false,
    }
}

fn quietly(request: &Request) -> Result<Fetched, HubError> {
    fetch(request, &mut |_| {})
}

/// Nobody listens there: the port was free a moment ago and is not given out again so soon.
fn dead_endpoint() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn repository(cache: &TempDir) -> std::path::PathBuf {
    cache.path().join(format!("models--{}", ID.replace('/', "--")))
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

type IsIt = fn(&HubError) -> bool;

#[test]
fn a_fresh_download_brings_what_whisper_needs_in_the_layout_of_the_python_tools() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let mut received = 0;
    let mut begun = Vec::new();
    let fetched = fetch(&request(hub.endpoint(), &cache), &mut |progress| match progress {
        Progress::File { name, bytes } => begun.push((name.to_owned(), bytes)),
        Progress::Received(bytes) => received += bytes,
        Progress::Verifying { .. } => {}
    })
    .unwrap();
    assert_eq!(fetched.downloaded, WANTED);
    assert_eq!(fetched.folder, repository(&cache).join("snapshots").join(COMMIT));
    let mut wanted = WANTED;
    wanted.sort_unstable();
    assert_eq!(files_in(&fetched.folder), wanted);
    assert_eq!(fs::read(fetched.folder.join("model.safetensors")).unwrap(), WEIGHTS);
    assert_eq!(fs::read_to_string(repository(&cache).join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(repository(&cache).join("blobs").join(sha256(WEIGHTS))).unwrap(), WEIGHTS);
    assert!(begun.contains(&("model.safetensors".to_owned(), WEIGHTS.len() as u64)));
    assert!(received >= WEIGHTS.len() as u64);
}

#[test]
fn a_second_start_downloads_nothing() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    quietly(&request(hub.endpoint(), &cache)).unwrap();
    hub.served();
    let again = quietly(&request(hub.endpoint(), &cache)).unwrap();
    assert_eq!((again.downloaded.len(), hub.served().len()), (0, 0));
}

#[test]
fn a_new_commit_with_the_same_files_downloads_nothing_either() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    quietly(&request(hub.endpoint(), &cache)).unwrap();
    hub.served();
    let next = "f".repeat(40);
    hub.recommit(&next);
    let again = quietly(&request(hub.endpoint(), &cache)).unwrap();
    assert_eq!((again.commit, again.downloaded.len(), hub.served().len()), (next, 0, 0));
    assert_eq!(fs::read(again.folder.join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn a_complete_commit_named_exactly_asks_nobody() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let exact = Request { revision: COMMIT.to_owned(), ..request(hub.endpoint(), &cache) };
    quietly(&exact).unwrap();
    hub.asked();
    assert_eq!(quietly(&exact).unwrap().commit, COMMIT);
    assert!(hub.asked().is_empty());
}

#[test]
fn offline_with_a_cache_serves_from_it_and_asks_nobody() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let online = quietly(&request(hub.endpoint(), &cache)).unwrap();
    hub.asked();
    let offline = quietly(&Request { offline: true, ..request(hub.endpoint(), &cache) }).unwrap();
    assert_eq!(offline.folder, online.folder);
    assert!(hub.asked().is_empty());
}

#[test]
fn offline_without_a_cache_says_how_to_get_one() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let error = quietly(&Request { offline: true, ..request(hub.endpoint(), &cache) }).unwrap_err();
    assert!(matches!(error, HubError::OfflineMiss { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("verbatim models pull") && sentence.contains(cache.path().to_str().unwrap()));
    assert!(hub.asked().is_empty());
}

#[test]
fn offline_with_half_a_model_names_the_file_that_is_missing() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let fetched = quietly(&request(hub.endpoint(), &cache)).unwrap();
    fs::remove_file(fetched.folder.join("tokenizer.json")).unwrap();
    let error = quietly(&Request { offline: true, ..request(hub.endpoint(), &cache) }).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn no_network_with_a_cache_serves_and_says_so() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    quietly(&request(hub.endpoint(), &cache)).unwrap();
    let fetched = quietly(&request(dead_endpoint(), &cache)).unwrap();
    assert!(fetched.note.unwrap().contains("cannot be reached"));
}

#[test]
fn no_network_without_a_cache_names_the_ways_out() {
    let cache = TempDir::new().unwrap();
    let error = quietly(&request(dead_endpoint(), &cache)).unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(
        ["--model demo", "model.endpoint", "HTTPS_PROXY"].iter().all(|way| sentence.contains(way)),
        "{sentence}"
    );
}

#[test]
fn what_the_hub_refuses_is_told_apart() {
    let cases: [(u16, &str, IsIt); 5] = [
        (404, "RepoNotFound", |error| matches!(error, HubError::NotFound { .. })),
        (404, "RevisionNotFound", |error| matches!(error, HubError::NoRevision { .. })),
        (401, "RepoNotFound", |error| matches!(error, HubError::Gated { status: 401, .. })),
        (403, "GatedRepo", |error| matches!(error, HubError::Gated { status: 403, .. })),
        (503, "", |error| matches!(error, HubError::Unreachable { .. })),
    ];
    for (status, code, expected) in cases {
        let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
        hub.set(Faults { refuse: Some((status, code)), ..Faults::default() });
        let error = quietly(&request(hub.endpoint(), &cache)).unwrap_err();
        assert!(expected(&error), "{status} {code}: {error:?}");
    }
}

#[test]
fn a_model_whose_terms_were_not_accepted_asks_for_a_token_with_access() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    hub.set(Faults { refuse_files: Some(403), ..Faults::default() });
    let with_token = Request { token: Some("hf_mine".to_owned()), ..request(hub.endpoint(), &cache) };
    let sentence = quietly(&with_token).unwrap_err().to_string();
    assert!(sentence.contains("HF_TOKEN") && sentence.contains(ID), "{sentence}");
    assert!(!sentence.contains("hf_mine"));
    assert!(hub.asked().iter().all(|(_, token)| token.as_deref() == Some("hf_mine")));
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    // The small files are whole before the break, but count as one: it takes five to reach the weights twice.
    hub.set(Faults { break_after: Some((40_000, 5)), ..Faults::default() });
    let fetched = quietly(&request(hub.endpoint(), &cache)).unwrap();
    assert_eq!(fs::read(fetched.folder.join("model.safetensors")).unwrap(), WEIGHTS);
    let weights = hub.served().into_iter().filter(|name| name == "model.safetensors").count();
    assert_eq!(weights, 3, "twice broken, then whole");
}

#[test]
fn a_connection_that_keeps_breaking_is_an_error_and_the_next_run_goes_on() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    hub.set(Faults { break_after: Some((10_000, 100)), ..Faults::default() });
    let error = quietly(&request(hub.endpoint(), &cache)).unwrap_err();
    assert!(matches!(error, HubError::Broken { .. }), "{error:?}");
    assert!(!repository(&cache).join("refs/main").exists(), "half a model must not count as one");
    hub.set(Faults::default());
    let fetched = quietly(&request(hub.endpoint(), &cache)).unwrap();
    assert_eq!(fs::read(fetched.folder.join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn wrong_content_is_refused_and_removed() {
    for names_only in [false, true] {
        let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
        hub.set(Faults { corrupt: true, names_only, ..Faults::default() });
        let error = quietly(&request(hub.endpoint(), &cache)).unwrap_err();
        assert!(matches!(error, HubError::WrongHash { .. }), "{error:?}");
        assert!(!repository(&cache).join("blobs").join(sha256(WEIGHTS)).exists());
        assert!(quietly(&Request { offline: true, ..request(hub.endpoint(), &cache) }).is_err());
        hub.set(Faults::default());
        assert_eq!(quietly(&request(hub.endpoint(), &cache)).unwrap().downloaded, ["model.safetensors"]);
    }
}

#[test]
fn a_wrong_size_is_refused_and_removed() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    hub.set(Faults { shorten: true, ..Faults::default() });
    let error = quietly(&request(hub.endpoint(), &cache)).unwrap_err();
    assert!(matches!(error, HubError::WrongSize { expected: 100_000, got: 50_000, .. }), "{error:?}");
    assert!(!repository(&cache).join("blobs").join(sha256(WEIGHTS)).exists());
}

#[test]
fn a_cached_file_of_another_size_is_fetched_again() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let fetched = quietly(&request(hub.endpoint(), &cache)).unwrap();
    fs::write(repository(&cache).join("blobs").join(sha256(WEIGHTS)), b"cut short by a full disk").unwrap();
    assert_eq!(quietly(&request(hub.endpoint(), &cache)).unwrap().downloaded, ["model.safetensors"]);
    assert_eq!(fs::read(fetched.folder.join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn a_model_in_shards_comes_with_all_of_them() {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let files: &[(&str, &[u8])] = &[
        ("config.json", b"{}"),
        ("tokenizer.json", b"{\"model\": {}}"),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", b"first"),
        ("model-2.safetensors", b"second"),
    ];
    let (hub, cache) = (FakeHub::start(files), TempDir::new().unwrap());
    let fetched = quietly(&request(hub.endpoint(), &cache)).unwrap();
    assert_eq!(fetched.downloaded.len(), 5);
    let offline = Request { offline: true, ..request(hub.endpoint(), &cache) };
    assert_eq!(quietly(&offline).unwrap().folder, fetched.folder);
    fs::remove_file(fetched.folder.join("model-2.safetensors")).unwrap();
    assert!(quietly(&offline).unwrap_err().to_string().contains("model-2.safetensors"));
}

#[test]
fn a_repository_without_safetensors_is_refused_before_anything_large_comes() {
    let (hub, cache) =
        (FakeHub::start(&[("config.json", b"{}"), ("tokenizer.json", b"{}")]), TempDir::new().unwrap());
    let error = quietly(&request(hub.endpoint(), &cache)).unwrap_err();
    assert!(matches!(error, HubError::Unfit { .. }), "{error:?}");
}

#[test]
fn a_cache_that_cannot_be_written_names_its_setting() {
    let (hub, cache) = (FakeHub::start(FILES), TempDir::new().unwrap());
    let file = cache.path().join("a-file");
    fs::write(&file, b"").unwrap();
    let blocked = Request { cache_dir: file, ..request(hub.endpoint(), &cache) };
    assert!(quietly(&blocked).unwrap_err().to_string().contains("model.cache_dir"));
}
