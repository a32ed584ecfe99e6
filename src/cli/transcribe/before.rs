//! What earlier runs have written into an output folder in; which files need not be done again out.
//!
//! A line of JSON for each text, appended once the text is there: a run that was killed has done what its lines say, and no more. A text
//! is passed over where its line names the same input, of the same size and time, and was made by the same model with the same options.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::format::Layout;
use crate::jobs::hash;
use crate::model::files::{ModelFiles, Weights};
use crate::transcript::Options;

/// In the output folder.
pub const NAME: &str = ".verbatim.jsonl";

/// An input as it was when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    input: PathBuf,
    bytes: u64,
    /// Since 1970.
    modified_ns: u64,
}

impl Stamp {
    /// `None` for what has no file: a pipe.
    pub fn of(path: &Path) -> Option<Stamp> {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let modified_ns = u64::try_from(modified.as_nanos()).ok()?;
        Some(Stamp { input: std::path::absolute(path).ok()?, bytes: found.len(), modified_ns })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Below the folder.
    output: PathBuf,
    #[serde(flatten)]
    stamp: Stamp,
    made_with: String,
}

/// An output folder.
#[derive(Debug)]
pub struct Before {
    folder: PathBuf,
    lines: HashMap<PathBuf, Line>,
    file: File,
    made_with: String,
}

impl Before {
    pub fn open(folder: &Path, made_with: String) -> Result<Before, String> {
        let path = folder.join(NAME);
        let problem = |error: std::io::Error| format!("{} cannot be used: {error}", path.display());
        fs::create_dir_all(folder).map_err(problem)?;
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(problem)?;
        let bytes = fs::read(&path).map_err(problem)?;
        // What a killed run wrote half of a line is no line, and must not spoil the next.
        if bytes.last().is_some_and(|last| *last != b'\n') {
            (&file).write_all(b"\n").map_err(problem)?;
        }
        let lines =
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        let lines = lines.map(|line| (line.output.clone(), line)).collect();
        Ok(Before { folder: folder.to_owned(), lines, file, made_with })
    }

    /// Whether the text at `output` is that of this input, as it is now and as it is wanted now.
    pub fn has(&self, output: &Path, stamp: Option<&Stamp>) -> bool {
        let line = output.strip_prefix(&self.folder).ok().and_then(|below| self.lines.get(below));
        let is_same = line.is_some_and(|line| line.made_with == self.made_with && Some(&line.stamp) == stamp);
        is_same && output.is_file()
    }

    /// `stamp`: from before the input was read. One that has changed since is done again the next time.
    pub fn add(&self, output: &Path, stamp: Option<Stamp>) -> Result<(), String> {
        let (Some(stamp), Ok(below)) = (stamp, output.strip_prefix(&self.folder)) else { return Ok(()) };
        let line = Line { output: below.to_owned(), stamp, made_with: self.made_with.clone() };
        let mut text = serde_json::to_vec(&line).map_err(|error| error.to_string())?;
        text.push(b'\n');
        // In one piece, so that two runs into one folder do not mix their lines.
        (&self.file)
            .write_all(&text)
            .map_err(|error| format!("{}: {error}", self.folder.join(NAME).display()))
    }
}

/// Everything that decides what the text of an input is, in one word: the model's files, how it is computed, what is asked for, and how
/// it is written. Neither the program's version nor the device: a text of yesterday stands.
pub fn made_with(config: &Config, files: &ModelFiles, (options, layout): (&Options, &Layout)) -> String {
    let mut dtype = config.model.dtype.clone();
    if dtype == "auto" {
        // Then the device decides.
        dtype = format!("auto {}", config.model.device);
    }
    let (audio, transcriber) = (&config.audio, &config.transcriber);
    let how = (transcriber.chapter_seconds, transcriber.short_context_seconds, audio.max_duration_seconds);
    let model = identity(files);
    hash(format!("{model}\n{dtype} {:?}\n{how:?}\n{options:?}\n{layout:?}", config.model.kernels).as_bytes())
}

/// Of a folder, by its files' sizes and times; of one in the hub's cache, by the hashes that they are called there.
fn identity(files: &ModelFiles) -> String {
    let mut said = String::new();
    let mut paths = match files.weights() {
        Ok(Weights::Bytes(bytes)) => return format!("demo {}", hash(bytes)),
        Ok(Weights::Paths(paths)) => paths,
        // A model without weights is not loaded either.
        Ok(Weights::Drawn) | Err(_) => Vec::new(),
    };
    match files {
        ModelFiles::Demo => said.push_str("demo"),
        ModelFiles::Random(size) => said.push_str(&format!("random:{}", size.name)),
        ModelFiles::Folder(folder) => {
            let small = ["config.json", "generation_config.json", "tokenizer.json"];
            paths.extend(small.map(|name| folder.join(name)));
        }
    }
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        match (is_link, fs::canonicalize(&path), Stamp::of(&path)) {
            (true, Ok(blob), _) => said.push_str(&format!("\n{name:?} {:?}", blob.file_name())),
            (_, _, Some(stamp)) => {
                said.push_str(&format!("\n{name:?} {} {}", stamp.bytes, stamp.modified_ns));
            }
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn a_text_is_done_while_its_input_and_what_it_was_made_with_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (input, out) = (dir.path().join("a.wav"), dir.path().join("out"));
        fs::write(&input, "one").unwrap();
        let before = Before::open(&out, "x".to_owned()).unwrap();
        let (text, stamp) = (out.join("a.txt"), Stamp::of(&input));
        assert!(!before.has(&text, stamp.as_ref()));
        fs::write(&text, "text").unwrap();
        before.add(&text, stamp.clone()).unwrap();
        let again = |made_with: &str| Before::open(&out, made_with.to_owned()).unwrap();
        assert!(again("x").has(&text, stamp.as_ref()));
        assert!(!again("y").has(&text, stamp.as_ref()));
        fs::write(&input, "more").unwrap();
        assert!(!again("x").has(&text, Stamp::of(&input).as_ref()));
        fs::remove_file(&text).unwrap();
        assert!(!again("x").has(&text, stamp.as_ref()));
        assert!(!again("x").has(&text, None));
    }

    #[test]
    fn half_a_line_of_a_killed_run_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("a.wav");
        fs::write(&input, "one").unwrap();
        fs::write(dir.path().join(NAME), r#"{"output": "b.txt", "inp"#).unwrap();
        let (text, stamp) = (dir.path().join("a.txt"), Stamp::of(&input));
        fs::write(&text, "text").unwrap();
        Before::open(dir.path(), "x".to_owned()).unwrap().add(&text, stamp.clone()).unwrap();
        assert!(Before::open(dir.path(), "x".to_owned()).unwrap().has(&text, stamp.as_ref()));
    }

    #[test]
    fn what_decides_the_text_decides_the_word() {
        let (config, options, layout) = (Config::default(), Options::default(), Layout::new(Format::Text));
        let word = |config: &Config, options: &Options, layout: &Layout| {
            made_with(config, &ModelFiles::Demo, (options, layout))
        };
        let first = word(&config, &options, &layout);
        assert_eq!(first, word(&config, &options, &layout));
        let mut other = config.clone();
        other.model.dtype = "q8_0".to_owned();
        assert_ne!(first, word(&other, &options, &layout));
        assert_ne!(first, word(&config, &Options { words: true, ..Options::default() }, &layout));
        assert_ne!(first, word(&config, &options, &Layout::new(Format::Srt)));
        let mut louder = config.clone();
        louder.log.level = "debug".to_owned();
        assert_eq!(first, word(&louder, &options, &layout));
    }
}
