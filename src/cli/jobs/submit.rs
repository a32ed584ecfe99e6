//! Files, folders and URLs in, a form read from the disk as it is sent, a job's id out.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Refused};
use super::results;
use crate::cli::Exit;

/// How often a job is handed in again where nobody took it.
const TRIES: u32 = 6;
/// Between the parts of a form; nothing that is audio contains it.
const BOUNDARY: &str = "----verbatim-jobs-6b0f4a1c52e94d37";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audio files, archives, folders (with all that is in them), and URLs.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// What is wanted of every file: language=en, word_timestamps=true. As often as needed; docs/options.md has all.
    #[arg(long = "option", short = 'o', value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// What the job is called.
    #[arg(long)]
    name: Option<String>,
    /// high, normal or low.
    #[arg(long)]
    priority: Option<String>,
    /// Who is told when it has ended.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// A name for this request, under which it makes no second job, however often it is sent [default: made up].
    #[arg(long, value_name = "KEY")]
    request_key: Option<String>,
    /// Wait for the end, with a progress bar.
    #[arg(long)]
    wait: bool,
}

pub fn run(client: &Client, args: &Args) -> Result<Exit, String> {
    let mut fields = Vec::new();
    for option in &args.options {
        let (name, value) =
            option.split_once('=').ok_or_else(|| format!("--option {option}: write NAME=VALUE"))?;
        fields.push((name, value));
    }
    let named = [("name", &args.name), ("priority", &args.priority), ("webhook_url", &args.webhook)];
    fields.extend(named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
    let mut files = Vec::new();
    for given in &args.files {
        match given.starts_with("http://") || given.starts_with("https://") {
            true => fields.push(("url", given)),
            false => walk(Path::new(given), Path::new(given), &mut files)?,
        }
    }

    let key = args.request_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let job = send(client, &key, &fields, &files)?;
    let id = job["id"].as_str().ok_or("the server gave no id")?;
    super::say(id)?;
    if !args.wait {
        return Ok(Exit::Done);
    }
    results::wait(client, id)
}

fn send(client: &Client, key: &str, fields: &[(&str, &str)], files: &[Named]) -> Result<Value, String> {
    let mut pause = Duration::from_secs(1);
    for tried in 1.. {
        let refused = match client.post("/v1/jobs", BOUNDARY, key, form(fields, files)) {
            Ok(job) => return Ok(job),
            Err(Refused::No(why)) => return Err(why),
            Err(Refused::Again { why, .. }) if tried == TRIES => return Err(why),
            Err(Refused::Again { after, why }) => (after.unwrap_or(pause), why),
        };
        let (wait, why) = refused;
        eprintln!("verbatim: {why}; again in {} s", wait.as_secs());
        std::thread::sleep(wait);
        pause *= 2;
    }
    Err("never".to_owned())
}

/// A file, and what it is called there.
struct Named {
    path: PathBuf,
    name: String,
}

/// A file, or all in a folder, by name; what is hidden is left out.
fn walk(path: &Path, root: &Path, files: &mut Vec<Named>) -> Result<(), String> {
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    if !std::fs::metadata(path).map_err(problem)?.is_dir() {
        let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
        let name = below.unwrap_or_else(|| path.file_name().map_or(path, Path::new));
        files.push(Named { path: path.to_owned(), name: name.to_string_lossy().into_owned() });
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(problem)?;
    let mut entries: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(problem)?;
    entries.sort();
    let is_hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    entries.iter().filter(|path| !is_hidden(path)).try_for_each(|path| walk(path, root, files))
}

/// RFC 7578. A file is opened when its turn comes; one that has gone meanwhile breaks the request off.
fn form<'a>(fields: &'a [(&str, &str)], files: &'a [Named]) -> impl Read + 'a {
    let mut head = String::new();
    for (name, value) in fields {
        let name = quoted(name);
        head.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    let parts = files.iter().flat_map(|file| {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\n",
            quoted(&file.name)
        );
        [Part::Text(head), Part::File(&file.path), Part::Text("\r\n".to_owned())]
    });
    let parts = std::iter::once(Part::Text(head)).chain(parts);
    let parts = parts.chain(std::iter::once_with(|| Part::Text(format!("--{BOUNDARY}--\r\n"))));
    Form { parts, now: None }
}

fn quoted(name: &str) -> String {
    name.replace(['"', '\\', '\r', '\n'], "_")
}

enum Part<'a> {
    Text(String),
    File(&'a Path),
}

struct Form<'a, I: Iterator<Item = Part<'a>>> {
    parts: I,
    now: Option<Box<dyn Read>>,
}

impl<'a, I: Iterator<Item = Part<'a>>> Read for Form<'a, I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(now) = &mut self.now {
                let read = now.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
            }
            self.now = match self.parts.next() {
                None => return Ok(0),
                Some(Part::Text(text)) => Some(Box::new(Cursor::new(text))),
                Some(Part::File(path)) => Some(Box::new(File::open(path)?)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_and_the_form_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        for (name, text) in [("b.wav", "bb"), ("deep/a.wav", "a"), (".hidden", "no")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut files = Vec::new();
        walk(dir.path(), dir.path(), &mut files).unwrap();
        let one = dir.path().join("b.wav");
        walk(&one, &one, &mut files).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["b.wav", "deep/a.wav", "b.wav"]);
        let mut text = String::new();
        form(&[("language", "en")], &files[..2]).read_to_string(&mut text).unwrap();
        let expected = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.wav\"\r\n\r\nbb\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"deep/a.wav\"\r\n\r\na\r\n\
             --{BOUNDARY}--\r\n"
        );
        assert_eq!(text, expected);
        assert!(walk(Path::new("/nowhere/at/all"), Path::new("/"), &mut files).is_err());
    }
}
