//! `verbatim models verify`: models in; a line for each out, and what is wrong with it.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use indicatif::DecimalBytes;

use crate::cli::progress::Hashing;
use crate::config::Config;
use crate::model::files::ModelFiles;
use crate::model::hub::{self, Finding, Proof};
use crate::model::source::Source;
use crate::model::whisper::Whisper;
use crate::text::Tokenizer;

use super::{Exit, Failure, cached, named, say, unreadable};

/// Something to verify.
struct Target {
    name: String,
    files: ModelFiles,
    /// Where it lies in the cache, under names that say what it should be.
    snapshot: Option<PathBuf>,
    missing: Option<String>,
}

pub fn run(names: &[String], revision: Option<&str>, config: &Config) -> Result<Exit, Failure> {
    let mut targets = Vec::new();
    for name in names {
        targets.extend(named_targets(name, revision, config)?);
    }
    if names.is_empty() {
        let dir = config.model.cache().map_err(Failure::settings)?;
        for cached in hub::inventory(&dir).map_err(|error| unreadable(&dir, error))? {
            targets.extend(of_cache(&cached, revision));
        }
        if targets.is_empty() {
            say(&format!("there is no Whisper model in the cache {}", dir.display()))?;
        }
    }
    let mut broken = 0;
    for target in &targets {
        let (said, problems) = judge(target);
        say(&format!("{}: {said}", target.name))?;
        problems.iter().try_for_each(|problem| say(&format!("  {problem}")))?;
        broken += usize::from(!problems.is_empty());
    }
    Ok(if broken > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn named_targets(name: &str, revision: Option<&str>, config: &Config) -> Result<Vec<Target>, Failure> {
    let whole = |files| vec![Target { name: name.to_owned(), files, snapshot: None, missing: None }];
    match Source::parse(name).map_err(Failure::settings)? {
        Source::Demo => Ok(whole(ModelFiles::Demo)),
        Source::Folder(folder) => Ok(whole(ModelFiles::Folder(folder))),
        Source::Random(_) => {
            Err(Failure::usage(format!("{name} is drawn when it is loaded: nothing is stored")))
        }
        Source::Hub(id) => {
            let targets = of_cache(&cached(config, &id)?, revision);
            match (targets.is_empty(), revision) {
                (false, _) => Ok(targets),
                (true, Some(revision)) => {
                    let problem = anyhow!("the cache has no revision {revision:?} of {id}");
                    Err(Failure::new(Exit::SomeFailed, problem))
                }
                (true, None) => {
                    Err(Failure::new(Exit::SomeFailed, anyhow!("the cache has no Whisper model of {id}")))
                }
            }
        }
    }
}

fn of_cache(cached: &hub::Cached, revision: Option<&str>) -> Vec<Target> {
    let ours = cached.snapshots.iter().filter(|one| one.is_whisper());
    let wanted = ours.filter(|one| revision.is_none_or(|name| one.is_called(name)));
    let target = |one: &hub::Snapshot| Target {
        name: format!("{} at {}", cached.id, named(one)),
        files: ModelFiles::Folder(one.folder.clone()),
        snapshot: Some(one.folder.clone()),
        missing: one.missing.clone(),
    };
    wanted.map(target).collect()
}

/// What can be said of it in one line, and what is wrong.
fn judge(target: &Target) -> (String, Vec<String>) {
    let mut problems: Vec<String> =
        target.missing.iter().map(|missing| format!("there is no {missing}")).collect();
    let mut said = Vec::new();
    if let Some(snapshot) = &target.snapshot {
        match content(snapshot) {
            Err(error) => problems.push(format!("{}: {error}", snapshot.display())),
            Ok(findings) => {
                let bad =
                    |one: &Finding| one.outcome.as_ref().err().map(|why| format!("{}: {why}", one.name));
                problems.extend(findings.iter().filter_map(bad));
                said.push(counted(&findings));
            }
        }
    }
    match Whisper::inspect(&target.files) {
        // What is missing was said.
        Err(_) if target.missing.is_some() => {}
        Err(error) => problems.push(error.to_string()),
        Ok(checked) => {
            said.push(format!("{} tensors in {}", checked.tensors, checked.kind.to_lowercase()));
            problems.extend(checked.problems);
        }
    }
    let words = target.files.read("tokenizer.json");
    let words = words.map_err(|error| error.to_string()).and_then(|json| match json {
        // Said already, as what is missing.
        None => Ok(()),
        Some(json) => Tokenizer::from_json(&json).map(drop).map_err(|error| error.to_string()),
    });
    problems.extend(words.err().map(|error| format!("tokenizer.json cannot be used: {error}")));
    let verdict = if problems.is_empty() { "fine" } else { "BROKEN" };
    (format!("{verdict}; {}", said.join("; ")), problems)
}

fn content(snapshot: &Path) -> std::io::Result<Vec<Finding>> {
    let bar = Hashing::new();
    hub::verify(snapshot, &mut |name, bytes| bar.read(name, bytes))
}

fn counted(findings: &[Finding]) -> String {
    let proven = |proof| findings.iter().filter(|one| one.outcome == Ok(proof)).count();
    let mut said = format!(
        "{} files, {}",
        findings.len(),
        DecimalBytes(findings.iter().map(|one| one.bytes).sum::<u64>())
    );
    for (proof, how) in [
        (Proof::Sha256, "by SHA-256"),
        (Proof::Git, "by git's hash"),
        (Proof::Nothing, "present, without a hash to compare with"),
    ] {
        match proven(proof) {
            0 => {}
            count => said.push_str(&format!(", {count} {how}")),
        }
    }
    said
}
