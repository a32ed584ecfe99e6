//! What was named on the command line in: files, folders, patterns; the files to transcribe out, in order, each with its place below
//! what named it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use glob::MatchOptions;

/// Ends of names by which a file in a folder is taken for audio or video. Some of them cannot be read; that is then said of each, which is
/// better than to pass it over in silence.
const EXTENSIONS: &[&str] = &[
    "3gp", "aac", "ac3", "adts", "aif", "aifc", "aiff", "amr", "au", "avi", "caf", "flac", "flv", "m4a",
    "m4b", "m4v", "mka", "mkv", "mov", "mp1", "mp2", "mp3", "mp4", "mpga", "oga", "ogg", "ogv", "opus",
    "spx", "w64", "wav", "wave", "webm", "wma", "wv",
];

/// A pattern's stars leave hidden files out, as a shell's do.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `-` is standard input.
    pub path: PathBuf,
    /// The word of the command line that named it: files of one folder keep together.
    group: usize,
    /// How many of the path's last components are its name in an output folder.
    depth: usize,
}

impl Input {
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Its name in an output folder, `more` components of its path further up; `None`: there are no more.
    pub fn below(&self, more: usize) -> Option<PathBuf> {
        let components = named_components(&self.path);
        let first = components.len().checked_sub(self.depth + more)?;
        Some(components[first..].iter().collect())
    }

    pub fn group(&self) -> usize {
        self.group
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Inputs {
    pub files: Vec<Input>,
    /// Folders that cannot be read, patterns that match nothing.
    pub problems: Vec<String>,
    /// Files in folders whose names are not those of audio.
    pub left_out: usize,
}

/// Each file once, however often it is named.
pub fn gather(given: &[PathBuf], recursive: bool) -> Inputs {
    let mut inputs = Inputs::default();
    for (group, word) in given.iter().enumerate() {
        let is_there = fs::metadata(word).is_ok() || word == Path::new("-");
        match word.to_str().filter(|text| !is_there && text.contains(['*', '?', '['])) {
            Some(pattern) => inputs.matching(pattern, group, recursive),
            None => inputs.add(word.clone(), (group, 1), recursive),
        }
    }
    let mut seen = std::collections::HashSet::new();
    inputs.files.retain(|file| seen.insert(std::path::absolute(&file.path).unwrap_or(file.path.clone())));
    inputs
}

impl Inputs {
    /// A file, or all of a folder. One that is not there is found out when its turn comes.
    fn add(&mut self, path: PathBuf, (group, depth): (usize, usize), recursive: bool) {
        match path.is_dir() {
            true => self.walk(&path, (group, 1), recursive),
            false => self.files.push(Input { path, group, depth }),
        }
    }

    fn matching(&mut self, pattern: &str, group: usize, recursive: bool) {
        let paths = match glob::glob_with(pattern, MATCHING) {
            Ok(paths) => paths,
            Err(error) => return self.problems.push(format!("{pattern}: {error}")),
        };
        // What stands before the first star names no single file.
        let fixed = Path::new(pattern)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
            .count();
        let before = self.files.len();
        for path in paths {
            match path {
                Err(error) => self.problems.push(format!("{}: {}", error.path().display(), error.error())),
                Ok(path) => {
                    let parts = path.components();
                    let parts =
                        parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
                    let depth = parts.count().saturating_sub(fixed).max(1);
                    self.add(path, (group, depth), recursive);
                }
            }
        }
        if self.files.len() == before {
            self.problems.push(format!("{pattern}: no file matches"));
        }
    }

    /// `depth`: of the files right in it. Hidden ones are left out, and folders behind links, which could lead round in a circle.
    fn walk(&mut self, folder: &Path, (group, depth): (usize, usize), recursive: bool) {
        let entries = fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<PathBuf>>>()
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(format!("{}: {error}", folder.display())),
        };
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(b".") {
                continue;
            }
            let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            match path.is_dir() {
                true if recursive && !is_link => self.walk(&path, (group, depth + 1), recursive),
                true => {}
                false if is_audio(&path) => self.files.push(Input { path, group, depth }),
                false => self.left_out += 1,
            }
        }
    }
}

fn is_audio(path: &Path) -> bool {
    let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
    end.is_some_and(|end| EXTENSIONS.contains(&end.as_str()))
}

/// From the last one back to the first that is no plain name.
fn named_components(path: &Path) -> Vec<PathBuf> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut named: Vec<PathBuf> = Vec::new();
    for part in whole.components() {
        match part {
            Component::Normal(name) => named.push(PathBuf::from(name)),
            _ => named.clear(),
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        dir
    }

    fn below(inputs: &Inputs) -> Vec<String> {
        inputs.files.iter().map(|file| file.below(0).unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_folder_gives_its_audio_in_order_and_counts_what_it_leaves_out() {
        let dir = tree(&["b.WAV", "a/z.mp3", "a/notes.txt", ".hidden/x.wav", ".y.wav", "c.wma"]);
        let inputs = gather(&[dir.path().to_owned()], true);
        assert_eq!(
            (below(&inputs), inputs.left_out),
            (vec!["a/z.mp3".into(), "b.WAV".into(), "c.wma".into()], 1)
        );
        assert_eq!(below(&gather(&[dir.path().to_owned()], false)), ["b.WAV", "c.wma"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_do_not_lead_round_in_a_circle() {
        let dir = tree(&["a/x.wav"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a/x.wav"), dir.path().join("y.wav")).unwrap();
        assert_eq!(below(&gather(&[dir.path().to_owned()], true)), ["a/x.wav", "y.wav"]);
    }

    #[test]
    fn patterns_keep_what_lies_below_their_fixed_part() {
        let dir = tree(&["in/a/x.wav", "in/b/y.wav", "in/z.ogg", "in/.h/h.wav"]);
        let pattern = |text: &str| gather(&[dir.path().join(text)], true);
        assert_eq!(below(&pattern("in/**/*.wav")), ["a/x.wav", "b/y.wav"]);
        assert_eq!(below(&pattern("in/[a-z].ogg")), ["z.ogg"]);
        // Folders that match are walked.
        assert_eq!(below(&pattern("i?")), ["a/x.wav", "b/y.wav", "z.ogg"]);
        let none = pattern("in/*.mp3");
        assert!(none.files.is_empty() && none.problems[0].contains("*.mp3: no file matches"), "{none:?}");
        assert!(!pattern("in/[.wav").problems.is_empty());
    }

    #[test]
    fn a_name_with_a_star_that_is_there_is_that_file() {
        let dir = tree(&["what[1]?.wav"]);
        assert_eq!(below(&gather(&[dir.path().join("what[1]?.wav")], true)), ["what[1]?.wav"]);
    }

    #[test]
    fn what_is_named_twice_is_taken_once_and_what_is_not_there_is_kept_for_its_error() {
        let dir = tree(&["in/a.wav"]);
        let given =
            [dir.path().join("in"), dir.path().join("in/a.wav"), "-".into(), "-".into(), "no.wav".into()];
        assert_eq!(below(&gather(&given, true)), ["a.wav", "-", "no.wav"]);
    }

    #[test]
    fn names_can_be_told_further_up() {
        let dir = tree(&["in/sub/a.wav"]);
        let inputs = gather(&[dir.path().join("in")], true);
        assert_eq!(inputs.files[0].below(1), Some(PathBuf::from("in/sub/a.wav")));
        assert_eq!(inputs.files[0].below(99), None);
    }
}
