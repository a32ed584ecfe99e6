//! What the program writes about itself: completions, manual pages, the settings.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::{Said, verbatim};

/// Whether a program is on this machine.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

fn completions(shell: &str) -> String {
    let said = Said::by(verbatim().args(["completions", shell]));
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    said.stdout
}

fn judged_by(program: &str, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn every_shell_has_completions_for_every_verb() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = completions(shell);
        for word in ["transcribe", "models", "completions", "output-dir", "overwrite"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("decode-worker"), "{shell}");
    }
    assert_eq!(Said::by(verbatim().args(["completions", "tcsh"])).code, Some(2));
}

#[test]
fn bash_reads_its_completions_and_completes_with_them() {
    if !has("bash") {
        return;
    }
    let script = completions("bash");
    let read = judged_by("bash", &["-n"], &script);
    assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{read:?}");
    let asked = format!(
        "{script}\nCOMP_WORDS=(verbatim models ver); COMP_CWORD=2; _verbatim verbatim ver models; echo \"${{COMPREPLY[@]}}\""
    );
    let told = judged_by("bash", &[], &asked);
    assert_eq!(told.stdout.trim(), "verify", "{told:?}");
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        if has(shell) {
            let read = judged_by(shell, &[check], &completions(shell));
            assert_eq!(read.code, Some(0), "{shell}: {read:?}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_all_and_one_for_each_verb() {
    let whole = Said::by(verbatim().arg("man"));
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(whole.stdout.contains(".TH verbatim 1") && whole.stdout.contains("transcribe"), "{whole:?}");
    let dir = tempfile::tempdir().unwrap();
    let said = Said::by(verbatim().args(["man", "--dir"]).arg(dir.path().join("man1")));
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    let page = |name: &str| fs::read_to_string(dir.path().join("man1").join(name)).unwrap();
    let models = page("verbatim-models-verify.1");
    assert!(models.contains("verbatim"), "{models}");
    assert!(!dir.path().join("man1/verbatim-decode-worker.1").exists());
    if !has("groff") {
        return;
    }
    for text in [whole.stdout, page("verbatim-transcribe.1")] {
        let shown = judged_by("groff", &["-man", "-Tascii", "-P-cbou", "-wall"], &text);
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
        assert!(shown.stdout.contains("SYNOPSIS") || shown.stdout.contains("OPTIONS"), "{shown:?}");
    }
}

#[test]
fn the_settings_are_printed_as_docs_settings_md_has_them() {
    let said = Said::by(verbatim().arg("settings"));
    let written = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    assert_eq!(said.stdout, fs::read_to_string(written).unwrap());
}

#[test]
fn a_settings_file_of_a_later_version_is_refused_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("later.toml");
    fs::write(&file, "config_version = 2\n").unwrap();
    let said = Said::by(verbatim().args(["transcribe", "a.wav", "--config"]).arg(&file));
    assert_eq!(said.code, Some(64), "{said:?}");
    assert!(said.stderr.contains("later.toml") && said.stderr.contains("config_version 2"), "{said:?}");
}
