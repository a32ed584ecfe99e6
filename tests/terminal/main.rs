//! The verbs for people at a terminal, as a shell sees them, on the demo model and real speech.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

mod documents;
#[path = "../support/fake_hub.rs"]
#[allow(dead_code, reason = "tests/hub.rs asks for the rest of it")]
mod fake_hub;
mod folders;
mod models;
mod resume;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn speech(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech").join(name)
}

/// Without the settings of whoever runs the tests.
pub fn verbatim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.args(["--device", "cpu"]);
    command
}

/// What a run of the program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn by(command: &mut Command) -> Said {
        command.output().unwrap().into()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said =
            Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!said.stderr.contains("panicked"), "{said:?}");
        said
    }
}

/// A recording of the fixtures at `name` in `folder`.
pub fn put(recording: &str, folder: &Path, name: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(speech(recording), path).unwrap();
}

/// Everything in a folder that is not hidden, by name.
pub fn files_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.retain(|name| !name.starts_with('.'));
    found.sort();
    found
}
