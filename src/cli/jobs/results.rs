//! A job's results in as they come; lines on standard output or files in a folder out.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Results;
use super::client::Client;
use crate::cli::Exit;
use crate::cli::progress::Items;
use crate::cli::transcribe::replace;
use crate::format::Format;

/// A connection that breaks is taken up again, from where it was.
const PAUSE: Duration = Duration::from_secs(2);
const TRIES: u32 = 30;

pub fn run(client: &Client, wanted: &Results) -> Result<Exit, String> {
    let Some(folder) = &wanted.output_dir else {
        return follow(client, &wanted.id, &mut |line, _| {
            let mut out = std::io::stdout().lock();
            let written =
                out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
            written.map_err(|error| format!("standard output: {error}"))
        });
    };
    std::fs::create_dir_all(folder).map_err(|error| format!("--output-dir {}: {error}", folder.display()))?;
    let mut taken = HashSet::new();
    let bar = bar(client, &wanted.id)?;
    let done = follow(client, &wanted.id, &mut |_, line| {
        let written = keep(client, wanted, folder, line, &mut taken);
        bar.done();
        bar.aside(|| written.map(|why| why.into_iter().for_each(|why| eprintln!("verbatim: error: {why}"))))
    });
    bar.finish();
    done
}

/// Until the job has ended, with a bar and without its results.
pub fn wait(client: &Client, id: &str) -> Result<Exit, String> {
    let bar = bar(client, id)?;
    let done = follow(client, id, &mut |_, line| {
        bar.done();
        bar.aside(|| complain(line));
        Ok(())
    });
    bar.finish();
    done
}

fn bar(client: &Client, id: &str) -> Result<Items, String> {
    let job = client.json(&format!("/v1/jobs/{id}?limit=0"))?;
    Ok(Items::new(job["counts"]["all"].as_u64().unwrap_or_default() as usize))
}

fn complain(line: &Value) {
    if let Some(why) = line["error"]["message"].as_str() {
        eprintln!("verbatim: error: {}: {why}", super::printable(&line["name"]));
    }
}

/// Tells each line once, and whether every item was done.
fn follow(
    client: &Client,
    id: &str,
    each: &mut dyn FnMut(&str, &Value) -> Result<(), String>,
) -> Result<Exit, String> {
    let (mut told, mut failed, mut tries) = (0, 0, 0);
    loop {
        let lines = client.get(&format!("/v1/jobs/{id}/results?after={told}"));
        let broken = match lines {
            Err(why) => why,
            Ok(lines) => loop_over(lines, &mut |text, line| {
                (told, tries) = (told + 1, 0);
                failed += usize::from(line["state"] != "done");
                each(text, line)
            })?,
        };
        // The stream ends with the job, and with the server.
        match client.json(&format!("/v1/jobs/{id}?limit=0")) {
            Ok(job)
                if told >= ended(&job)
                    && ["done", "failed", "cancelled"].iter().any(|state| job["state"] == **state) =>
            {
                let is_well = failed == 0 && job["state"] != "cancelled";
                return Ok(if is_well { Exit::Done } else { Exit::SomeFailed });
            }
            Ok(_) => tries = 0,
            Err(why) if tries >= TRIES => return Err(format!("{why} {broken}")),
            Err(_) => tries += 1,
        }
        std::thread::sleep(PAUSE);
    }
}

fn ended(job: &Value) -> usize {
    let count = |state: &str| job["counts"][state].as_u64().unwrap_or_default() as usize;
    count("done") + count("failed")
}

/// Says why it ended early, if it did.
fn loop_over(
    lines: impl Read,
    each: &mut dyn FnMut(&str, &Value) -> Result<(), String>,
) -> Result<String, String> {
    for line in BufReader::new(lines).lines() {
        let text = match line {
            Ok(text) => text,
            Err(error) => return Ok(error.to_string()),
        };
        match serde_json::from_str::<Value>(&text) {
            Ok(line) if line["item"].is_u64() => each(&text, &line)?,
            Ok(line) => return Ok(line["error"]["message"].as_str().unwrap_or_default().to_owned()),
            Err(error) => return Ok(error.to_string()),
        }
    }
    Ok(String::new())
}

/// Writes the text of one item, unless it is there already. Gives why there is none.
fn keep(
    client: &Client,
    wanted: &Results,
    folder: &Path,
    line: &Value,
    taken: &mut HashSet<PathBuf>,
) -> Result<Option<String>, String> {
    let name = super::printable(&line["name"]);
    // Also of one that failed: the next of the same name is called the same each time.
    let path = free(folder, &name, wanted.format, taken);
    if line["state"] != "done" {
        return Ok(Some(format!("{name}: {}", line["error"]["message"].as_str().unwrap_or("it failed"))));
    }
    if path.exists() {
        return Ok(None);
    }
    let (id, item, format) = (&wanted.id, &line["item"], wanted.format.name());
    let mut text = String::new();
    let mut answer = client.get(&format!("/v1/jobs/{id}/items/{item}?response_format={format}"))?;
    answer.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let problem = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(problem)?;
    }
    replace(&path, &text).map_err(problem)?;
    Ok(None)
}

/// Below the folder whatever the name is, and nobody else's.
fn free(folder: &Path, name: &str, format: Format, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let parts = Path::new(name).components().filter_map(|part| match part {
        Component::Normal(part) => Some(part),
        _ => None,
    });
    let mut below: PathBuf = parts.collect();
    if below.as_os_str().is_empty() {
        below = "audio".into();
    }
    let stem = below.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1.. {
        let last = match number {
            1 => format!("{stem}.{}", format.extension()),
            _ => format!("{stem}-{number}.{}", format.extension()),
        };
        let path = folder.join(below.with_file_name(last));
        if taken.insert(path.clone()) {
            return path;
        }
    }
    unreachable!("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_but_into_the_folder() {
        let mut taken = HashSet::new();
        let mut free =
            |name: &str| free(Path::new("out"), name, Format::Srt, &mut taken).display().to_string();
        assert_eq!(free("a/b.mp3"), "out/a/b.srt");
        assert_eq!(free("a/b.wav"), "out/a/b-2.srt");
        assert_eq!(free("../../etc/passwd"), "out/etc/passwd.srt");
        assert_eq!(free("/etc/shadow"), "out/etc/shadow.srt");
        assert_eq!(free(".."), "out/audio.srt");
        assert_eq!(free("https://example.com/x.mp3?y=1"), "out/https:/example.com/x.srt");
    }
}
