//! What fuzzing has kept, once more: every file of `fuzz/corpus` through the entry point of its target.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/hostile_bytes.rs"]
mod hostile_bytes;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use hostile_bytes::TARGETS;

#[test]
fn every_file_that_fuzzing_kept_is_survived() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, entry) in TARGETS {
        let files: Vec<_> =
            fs::read_dir(corpus.join(target)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "the corpus of {target} is gone");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(catch_unwind(|| entry(&bytes)).is_ok(), "{}", file.display());
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_program_and_no_other_is_there() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    for folder in ["corpus", "fuzz_targets"] {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap();
        let mut found: Vec<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        found.sort();
        assert_eq!(found, names, "fuzz/{folder}");
    }
}
