//! Where each file's text goes: standard output, or a file of its own in a folder.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::format::Format;

use super::inputs::Input;

/// Decided before any work is done, so that no hour of transcription ends in a name that is taken.
#[derive(Debug)]
pub struct Output {
    format: Format,
    names: Vec<String>,
    /// One for each input; `None`: standard output.
    paths: Option<Vec<PathBuf>>,
}

impl Output {
    pub fn new(inputs: &[Input], format: Format, folder: Option<&Path>) -> Result<Output, String> {
        let names = inputs.iter().map(|input| input.path.display().to_string()).collect();
        let Some(folder) = folder else {
            let mixed = matches!(format, Format::Srt | Format::Vtt | Format::Tsv) && inputs.len() > 1;
            return match mixed {
                true => Err(format!("several files as {} need --output-dir", format.name())),
                false => Ok(Output { format, names, paths: None }),
            };
        };
        fs::create_dir_all(folder).map_err(|error| format!("--output-dir {}: {error}", folder.display()))?;
        let paths = paths(inputs, folder, format.extension())?;
        Ok(Output { format, names, paths: Some(paths) })
    }

    /// `None`: standard output.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.paths.as_ref().map(|paths| paths[index].as_path())
    }

    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    pub fn write(&self, index: usize, text: &str) -> Result<(), String> {
        match &self.paths {
            Some(paths) => {
                let path = &paths[index];
                let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
                folder
                    .and_then(|()| replace(path, text))
                    .map_err(|error| format!("{} cannot be written: {error}", path.display()))
            }
            None => self.print(index, text).map_err(|error| format!("standard output: {error}")),
        }
    }

    fn print(&self, index: usize, text: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        // As `head` does it, so that several texts can be told apart; JSON documents can be already.
        if self.format == Format::Text && self.names.len() > 1 {
            writeln!(out, "==> {} <==", self.names[index])?;
        }
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

/// `speech.mp3` gives `speech.txt`; where that is not unique, `speech.mp3.txt`. What lies in a folder that was named keeps its place in
/// it; where two folders have a file of one name, all their files come below the folders' own names.
fn paths(inputs: &[Input], folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let below = apart(inputs)?;
    // Where it goes, but for the end of its name.
    let stems: Vec<PathBuf> = below
        .iter()
        .map(|name| name.with_file_name(name.file_stem().unwrap_or(OsStr::new("audio"))))
        .collect();
    let mut counts: HashMap<&Path, usize> = HashMap::new();
    stems.iter().for_each(|stem| *counts.entry(stem.as_path()).or_default() += 1);
    let mut taken = HashSet::new();
    let mut paths = Vec::new();
    for (whole, stem) in below.iter().zip(&stems) {
        let name = if counts[stem.as_path()] == 1 { stem } else { whole };
        let mut name = folder.join(name).into_os_string();
        name.push(".");
        name.push(extension);
        let path = PathBuf::from(name);
        if !taken.insert(path.clone()) {
            return Err(format!("two inputs would both be written to {}", path.display()));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// A name for each below the output folder, no two the same. Those that would be get, with all that was named together with them, one more
/// component of their paths, until they differ.
fn apart(inputs: &[Input]) -> Result<Vec<PathBuf>, String> {
    let mut more: HashMap<usize, usize> = HashMap::new();
    loop {
        let mut names = Vec::new();
        for input in inputs {
            let name = match input.is_stdin() {
                true => Some(PathBuf::from("stdin")),
                false => input.below(more.get(&input.group()).copied().unwrap_or(0)),
            };
            let no_more =
                || format!("two inputs would have one name in the folder: {}", input.path.display());
            names.push(name.ok_or_else(no_more)?);
        }
        let mut first: HashMap<&Path, usize> = HashMap::new();
        let mut alike = HashSet::new();
        for (input, name) in inputs.iter().zip(&names) {
            let other = *first.entry(name).or_insert(input.group());
            if other != input.group() {
                alike.extend([other, input.group()]);
            }
        }
        if alike.is_empty() {
            return Ok(names);
        }
        alike.into_iter().for_each(|group| *more.entry(group).or_default() += 1);
    }
}

/// Whole or not at all: readers of the folder never see half a text.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut partial = path.as_os_str().to_os_string();
    partial.push(".partial");
    fs::write(&partial, text)?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::super::inputs::gather;
    use super::*;

    fn inputs(files: &[&str]) -> Vec<Input> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        gather(&files, true).files
    }

    fn names(files: &[&str]) -> Result<Vec<String>, String> {
        let paths = paths(&inputs(files), Path::new("out"), "srt")?;
        Ok(paths.iter().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn outputs_are_named_after_their_inputs() {
        assert_eq!(names(&["a/b.mp3", "c.wav", "-"]).unwrap(), ["out/b.srt", "out/c.srt", "out/stdin.srt"]);
        assert_eq!(names(&["a.mp3", "a.wav"]).unwrap(), ["out/a.mp3.srt", "out/a.wav.srt"]);
        assert_eq!(names(&["a.b.mp3"]).unwrap(), ["out/a.b.srt"]);
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let told = names(&["x/a.mp3", "y/a.mp3", "z/b.mp3"]).unwrap();
        assert_eq!(told, ["out/x/a.srt", "out/y/a.srt", "out/b.srt"]);
        assert_eq!(names(&["p/x/a.mp3", "q/x/a.mp3"]).unwrap(), ["out/p/x/a.srt", "out/q/x/a.srt"]);
        assert!(names(&["-", "stdin"]).is_ok());
    }

    #[test]
    fn folders_keep_their_structure_and_come_apart_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one/a.wav", "one/deep/b.wav", "two/a.wav"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        assert_eq!(names(&[&at("one")]).unwrap(), ["out/a.srt", "out/deep/b.srt"]);
        let both = names(&[&at("one"), &at("two")]).unwrap();
        assert_eq!(both, ["out/one/a.srt", "out/one/deep/b.srt", "out/two/a.srt"]);
    }

    #[test]
    fn subtitles_of_several_files_are_not_mixed_into_one_stream() {
        let files = inputs(&["a.wav", "b.wav"]);
        assert!(Output::new(&files, Format::Srt, None).unwrap_err().contains("--output-dir"));
        assert!(Output::new(&files, Format::Text, None).is_ok());
        assert!(Output::new(&files[..1], Format::Srt, None).is_ok());
    }

    #[test]
    fn a_text_replaces_the_one_before_whole() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(&inputs(&["a.wav"]), Format::Text, Some(folder.path())).unwrap();
        output.write(0, "first, and long\n").unwrap();
        output.write(0, "second\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.txt")).unwrap(), "second\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
