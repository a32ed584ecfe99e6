//! Folders, patterns and pipes: what is taken, and where its text goes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::{Said, files_in, put, speech, verbatim};

fn transcribe(arguments: &[&str], folder: &Path) -> Said {
    Said::by(verbatim().current_dir(folder).arg("transcribe").args(arguments))
}

#[test]
fn a_folder_keeps_its_structure_and_one_bad_file_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    put("english-other-voice.wav", dir.path(), "in/a/talk.wav");
    put("spanish.wav", dir.path(), "in/b/talk.WAV");
    put("english-other-voice.wav", dir.path(), "in/.hidden/no.wav");
    fs::write(dir.path().join("in/broken.mp3"), "this is no audio").unwrap();
    fs::write(dir.path().join("in/notes.txt"), "no audio either").unwrap();
    let said = transcribe(&["in", "--output-dir", "out", "--format", "srt"], dir.path());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.is_empty(), "{said:?}");
    assert!(said.stderr.contains("error: in/broken.mp3: "), "{said:?}");
    assert!(said.stderr.contains("1 file left out"), "{said:?}");
    assert!(said.stderr.contains("2 files done, 1 failed: 0:10 of audio"), "{said:?}");
    assert_eq!(files_in(&dir.path().join("out")), ["a/talk.srt", "b/talk.srt"]);
    let text = fs::read_to_string(dir.path().join("out/b/talk.srt")).unwrap();
    assert!(text.contains(" --> "), "{text}");
}

#[test]
fn two_folders_with_a_file_of_one_name_come_apart() {
    let dir = tempfile::tempdir().unwrap();
    put("english-other-voice.wav", dir.path(), "one/talk.wav");
    put("spanish.wav", dir.path(), "two/talk.wav");
    let said = transcribe(&["one", "two", "--output-dir", "out"], dir.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(files_in(&dir.path().join("out")), ["one/talk.txt", "two/talk.txt"]);
    let text = |name: &str| fs::read_to_string(dir.path().join("out").join(name)).unwrap();
    assert_ne!(text("one/talk.txt"), text("two/talk.txt"));
}

#[test]
fn a_pattern_that_no_shell_expanded_is_expanded_here() {
    let dir = tempfile::tempdir().unwrap();
    put("english-other-voice.wav", dir.path(), "in/a/one.wav");
    put("english-other-voice.wav", dir.path(), "in/b/two.wav");
    put("spanish.wav", dir.path(), "in/b/two.flac");
    let said = transcribe(&["in/**/*.wav", "--output-dir", "out"], dir.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(files_in(&dir.path().join("out")), ["a/one.txt", "b/two.txt"]);
    let said = transcribe(&["in/*.ogg", "in/b/two.flac"], dir.path());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("in/*.ogg: no file matches"), "{said:?}");
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
}

#[test]
fn a_folder_without_audio_is_no_error_and_loads_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    let said = transcribe(&["in", "--output-dir", "out"], dir.path());
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.stderr.contains("there is no audio") && !said.stderr.contains("demo model"), "{said:?}");
}

#[test]
fn a_folder_s_texts_go_to_standard_output_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    put("english-other-voice.wav", dir.path(), "in/a.wav");
    put("english-other-voice.wav", dir.path(), "in/deep/b.wav");
    let said = transcribe(&["in"], dir.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    let heads: Vec<&str> = said.stdout.lines().filter(|line| line.starts_with("==>")).collect();
    assert_eq!(heads, ["==> in/a.wav <==", "==> in/deep/b.wav <=="], "{said:?}");
    let flat = transcribe(&["in", "--no-recursive"], dir.path());
    assert!(flat.stdout.lines().count() == 1 && !flat.stdout.contains("==>"), "{flat:?}");
}

/// A WAV of 16 kHz as a program writes it that cannot go back to fill the lengths in.
fn piped(length: u32) -> Vec<u8> {
    let whole = fs::read(speech("english.wav")).unwrap();
    let at = whole.windows(4).position(|four| four == b"data").unwrap() + 8;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&length.saturating_add(36).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&16_000u32.to_le_bytes());
    wav.extend_from_slice(&32_000u32.to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&length.to_le_bytes());
    wav.extend_from_slice(&whole[at..]);
    wav
}

#[test]
fn a_recorder_s_pipe_is_read_whatever_length_its_header_has() {
    // ffmpeg's, arecord's, sox's, and one that says nothing.
    for length in [u32::MAX, 0x8000_0000, 0x7FFF_F000, 0] {
        let mut child = verbatim()
            .args(["transcribe", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&piped(length)).unwrap();
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.code, Some(0), "{length:#x}: {said:?}");
        assert!(said.stdout.to_lowercase().contains("eggs"), "{length:#x}: {said:?}");
        assert!(!said.stderr.contains("warning"), "{length:#x}: {said:?}");
    }
}
