//! Where each file's text goes: standard output, or a file of its own in a folder.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::format::Format;

/// Decided before any work is done, so that no hour of transcription ends in a name that is taken.
#[derive(Debug)]
pub struct Output {
    format: Format,
    names: Vec<String>,
    /// One for each input; `None`: standard output.
    paths: Option<Vec<PathBuf>>,
}

impl Output {
    pub fn new(files: &[PathBuf], format: Format, folder: Option<&Path>) -> Result<Output, String> {
        let names = files.iter().map(|file| file.display().to_string()).collect();
        let Some(folder) = folder else {
            let mixed = matches!(format, Format::Srt | Format::Vtt | Format::Tsv) && files.len() > 1;
            return match mixed {
                true => Err(format!("several files as {} need --output-dir", format.name())),
                false => Ok(Output { format, names, paths: None }),
            };
        };
        fs::create_dir_all(folder).map_err(|error| format!("--output-dir {}: {error}", folder.display()))?;
        let paths = paths(files, folder, format.extension())?;
        Ok(Output { format, names, paths: Some(paths) })
    }

    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    pub fn write(&self, index: usize, text: &str) -> Result<(), String> {
        match &self.paths {
            Some(paths) => {
                let path = &paths[index];
                replace(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
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

/// `speech.mp3` gives `speech.txt`; where that is not unique, `speech.mp3.txt`.
fn paths(files: &[PathBuf], folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let stem = |file: &PathBuf| match file == Path::new("-") {
        true => "stdin".into(),
        false => file.file_stem().unwrap_or(OsStr::new("audio")).to_os_string(),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in files {
        let unique = files.iter().filter(|other| stem(other) == stem(file)).count() == 1;
        let mut name = if unique { stem(file) } else { file.file_name().unwrap_or_default().to_os_string() };
        name.push(".");
        name.push(extension);
        let path = folder.join(name);
        if paths.contains(&path) {
            return Err(format!("two inputs would both be written to {}", path.display()));
        }
        paths.push(path);
    }
    Ok(paths)
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
    use super::*;

    fn names(files: &[&str]) -> Result<Vec<String>, String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let paths = paths(&files, Path::new("out"), "srt")?;
        Ok(paths.iter().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn outputs_are_named_after_their_inputs() {
        assert_eq!(names(&["a/b.mp3", "c.wav", "-"]).unwrap(), ["out/b.srt", "out/c.srt", "out/stdin.srt"]);
        assert_eq!(names(&["a.mp3", "a.wav"]).unwrap(), ["out/a.mp3.srt", "out/a.wav.srt"]);
        assert!(names(&["x/a.mp3", "y/a.mp3"]).is_err());
    }

    #[test]
    fn subtitles_of_several_files_are_not_mixed_into_one_stream() {
        let files = [PathBuf::from("a.wav"), PathBuf::from("b.wav")];
        assert!(Output::new(&files, Format::Srt, None).unwrap_err().contains("--output-dir"));
        assert!(Output::new(&files, Format::Text, None).is_ok());
        assert!(Output::new(&files[..1], Format::Srt, None).is_ok());
    }

    #[test]
    fn a_text_replaces_the_one_before_whole() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(&[PathBuf::from("a.wav")], Format::Text, Some(folder.path())).unwrap();
        output.write(0, "first, and long\n").unwrap();
        output.write(0, "second\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a.txt")).unwrap(), "second\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
