//! The cache of models: listed, verified and cleared, with the demo model's real files in it as a hub gives them.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fake_hub::{COMMIT, FakeHub, ID};
use crate::{Said, speech, verbatim};

const FILES: [&str; 4] = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
const NEXT: &str = "ffffffffffffffffffffffffffffffffffffffff";

fn demo(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(name)).unwrap()
}

struct Cache {
    dir: tempfile::TempDir,
    hub: FakeHub,
}

impl Cache {
    /// A hub with `files` for those of the demo model, and what it had in the cache.
    fn pulled(instead: &[(&str, Vec<u8>)]) -> Cache {
        let mut files: Vec<(&str, Vec<u8>)> = FILES.iter().map(|name| (*name, demo(name))).collect();
        for (name, bytes) in instead {
            files.retain(|(other, _)| other != name);
            files.push((name, bytes.clone()));
        }
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let cache = Cache { dir: tempfile::tempdir().unwrap(), hub: FakeHub::start(&files) };
        cache.pull();
        cache
    }

    fn pull(&self) {
        let said = self.run(&["models", "pull", ID]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = verbatim();
        command.env("HF_HUB_CACHE", self.dir.path()).env("HF_ENDPOINT", self.hub.endpoint()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::by(&mut self.command(arguments))
    }

    fn list(&self) -> Value {
        let said = self.run(&["models", "list", "--json"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str(&said.stdout).unwrap()
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join(format!("models--{}", ID.replace('/', "--")))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT).join(name)
    }

    /// `verify` finds the model broken, and says this.
    fn is_broken(&self, why: &[&str]) {
        let said = self.run(&["models", "verify", ID]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stdout.contains("BROKEN"), "{said:?}");
        for why in why {
            assert!(said.stdout.contains(why), "{why}: {said:?}");
        }
    }
}

/// A safetensors file without one of its tensors, else whole: what comes after it moves up.
fn without(weights: &[u8], tensor: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Map<String, Value> = serde_json::from_slice(&weights[8..8 + length]).unwrap();
    let offsets = |entry: &Value| [0, 1].map(|at| entry["data_offsets"][at].as_u64().unwrap() as usize);
    let [begin, end] = offsets(&header.remove(tensor).unwrap());
    for (name, entry) in header.iter_mut().filter(|(name, _)| *name != "__metadata__") {
        let [first, last] = offsets(entry);
        assert!(first >= end || last <= begin, "{name}");
        if first >= end {
            entry["data_offsets"] = serde_json::json!([first - (end - begin), last - (end - begin)]);
        }
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(&header);
    let data = &weights[8 + length..];
    file.extend_from_slice(&data[..begin]);
    file.extend_from_slice(&data[end..]);
    file
}

#[test]
fn what_was_pulled_is_listed_verified_used_and_removed() {
    let cache = Cache::pulled(&[]);
    let list = cache.list();
    let model = &list["models"][0];
    assert_eq!((model["id"].as_str(), model["commit"].as_str()), (Some(ID), Some(COMMIT)), "{list}");
    assert_eq!(
        (&model["complete"], &model["revisions"][0], &model["stored_as"]),
        (&true.into(), &"main".into(), &"f16".into())
    );
    let bytes: usize = FILES.iter().map(|name| demo(name).len()).sum();
    assert_eq!(model["bytes"], bytes, "{list}");
    assert_eq!(model["memory_bytes"], list["demo"]["memory_bytes"]);
    let table = cache.run(&["models", "list", "--slots", "2"]).stdout;
    assert!(table.lines().any(|line| line.starts_with(ID) && line.contains("main (01234567)")), "{table}");
    assert!(
        table.contains("openai/whisper-large-v3-turbo") && table.contains("caches of 2 windows"),
        "{table}"
    );

    let fine = cache.run(&["models", "verify", ID, "demo"]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    let first = fine.stdout.lines().next().unwrap();
    assert!(first.contains("fine") && first.contains("1 by SHA-256, 3 by git's hash"), "{fine:?}");
    assert_eq!(fine.stdout.lines().count(), 2, "{fine:?}");

    let heard =
        cache.command(&["transcribe", "--offline", "--model", ID]).arg(speech("english.wav")).output();
    let heard = Said::from(heard.unwrap());
    assert!(heard.stdout.to_lowercase().contains("eggs"), "{heard:?}");

    let unasked = cache.run(&["models", "remove", ID]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.stderr.contains("--yes") && cache.repository().is_dir(), "{unasked:?}");
    let removed = cache.run(&["models", "remove", ID, "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(removed.stderr.contains(&format!("{:.2} MB", bytes as f64 / 1e6)), "{removed:?}");
    assert!(!cache.repository().exists());
    assert_eq!(cache.list()["models"].as_array().unwrap().len(), 0);
    assert_eq!(cache.run(&["models", "remove", ID, "--yes"]).code, Some(1));
}

#[test]
fn a_flipped_byte_is_found_in_large_files_and_in_small_ones() {
    for name in FILES {
        let cache = Cache::pulled(&[]);
        let path = fs::canonicalize(cache.file(name)).unwrap();
        let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let middle = file.metadata().unwrap().len() / 2;
        let mut byte = [0];
        file.seek(SeekFrom::Start(middle)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(middle)).unwrap();
        file.write_all(&[byte[0] ^ 1]).unwrap();
        cache.is_broken(&[name, "not what the hub announced"]);
    }
}

#[test]
fn a_truncated_file_and_one_that_is_gone_are_found() {
    let cache = Cache::pulled(&[]);
    let weights = fs::canonicalize(cache.file("model.safetensors")).unwrap();
    fs::OpenOptions::new().write(true).open(&weights).unwrap().set_len(5_000_000).unwrap();
    cache.is_broken(&["model.safetensors", "it has 5000000 bytes, and its header announces 9070928"]);
    fs::remove_file(weights).unwrap();
    cache.is_broken(&["there is no model.safetensors", "leads to a file that is not there"]);
    let list = cache.list();
    let model = &list["models"][0];
    assert_eq!(
        (&model["complete"], &model["missing"]),
        (&false.into(), &"model.safetensors".into()),
        "{list}"
    );
    assert!(cache.run(&["models", "list"]).stdout.contains("incomplete: there is no model.safetensors"));
}

#[test]
fn a_checkpoint_whose_tensors_do_not_make_a_whisper_is_found_although_all_hashes_are_right() {
    let tensor = "model.decoder.layers.0.fc1.bias";
    let cache = Cache::pulled(&[("model.safetensors", without(&demo("model.safetensors"), tensor))]);
    cache.is_broken(&[&format!("there is no tensor {tensor}"), "1 by SHA-256"]);

    let config = String::from_utf8(demo("config.json")).unwrap();
    let wider = config.replace("\"vocab_size\": ", "\"vocab_size\": 1");
    assert_ne!(wider, config);
    let cache = Cache::pulled(&[("config.json", wider.into_bytes())]);
    cache.is_broken(&["model.decoder.embed_tokens.weight is ["]);
}

#[test]
fn one_revision_is_removed_without_what_the_others_need() {
    let cache = Cache::pulled(&[]);
    // Something that the first commit alone has, beside the 40 bytes of a reference.
    let blob = cache.repository().join("blobs").join("a".repeat(64));
    fs::write(&blob, [7; 1000]).unwrap();
    std::os::unix::fs::symlink(&blob, cache.file("alone.bin")).unwrap();
    cache.hub.recommit(NEXT);
    cache.pull();
    let wrong = cache.run(&["models", "remove", ID, "--revision", "v9", "--yes"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("v9") && wrong.stderr.contains("main (ffffffff)"), "{wrong:?}");
    let removed = cache.run(&["models", "remove", ID, "--revision", COMMIT, "--yes"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(removed.stderr.contains("1.04 kB are free"), "{removed:?}");
    assert!(!blob.exists() && !cache.file("config.json").exists());
    let fine = cache.run(&["models", "verify"]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    assert!(fine.stdout.contains("main (ffffffff): fine"), "{fine:?}");
}

#[test]
fn what_is_no_whisper_is_counted_and_left_alone() {
    let cache = Cache::pulled(&[]);
    let other = cache.dir.path().join("models--someone--chatter/snapshots").join(COMMIT);
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    fs::create_dir_all(cache.dir.path().join(".locks/models--someone--chatter")).unwrap();
    let list = cache.list();
    assert_eq!(
        (list["models"].as_array().unwrap().len(), &list["other_repositories"]),
        (1, &1.into()),
        "{list}"
    );
    assert!(!cache.run(&["models", "verify"]).stdout.contains("chatter"));
}
