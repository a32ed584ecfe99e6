//! `verbatim models list`: the cache and the published sizes in; a table, JSON or docs/models.md out.

use std::fmt::Write;

use indicatif::{DecimalBytes, HumanBytes};
use serde_json::{Value, json};

use crate::config::Config;
use crate::model::files::ModelFiles;
use crate::model::hub::{self, Snapshot};
use crate::model::random::SIZES;
use crate::model::whisper::{Footprint, Form, Whisper};

use super::{Exit, Failure, named, say, unreadable};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Windows at once that the memory is reckoned for.
    #[arg(long, value_name = "N", default_value_t = 8)]
    slots: usize,
    /// As JSON, sizes in bytes.
    #[arg(long)]
    json: bool,
    /// docs/models.md: the published sizes.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// Memory of a graphics card, in GiB, as sold; and what is not free on one that nobody uses.
const CARDS: &[u64] = &[8, 12, 16, 24, 40, 80, 141];
const TAKEN: u64 = 512 << 20;
const GIB: u64 = 1 << 30;

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if args.markdown {
        say(markdown().trim_end())?;
        return Ok(Exit::Done);
    }
    let dir = config.model.cache().map_err(Failure::settings)?;
    let all = hub::inventory(&dir).map_err(|error| unreadable(&dir, error))?;
    let mut here = Vec::new();
    let mut others = 0;
    for cached in &all {
        let (ours, theirs): (Vec<_>, Vec<_>) = cached.snapshots.iter().partition(|one| one.is_whisper());
        others += usize::from(!theirs.is_empty() && ours.is_empty());
        here.extend(ours.into_iter().map(|snapshot| (cached.id.as_str(), snapshot)));
    }
    if args.json {
        let list = json!({
            "cache": dir,
            "slots": args.slots,
            "models": here.iter().map(|(id, snapshot)| described(id, snapshot, args.slots)).collect::<Vec<_>>(),
            "demo": shape(footprint(&ModelFiles::Demo).as_ref(), args.slots),
            "published": published().map(|(id, footprint)| {
                let mut entry = shape(Some(&footprint), args.slots);
                entry["id"] = json!(id);
                entry
            }).collect::<Vec<_>>(),
            "other_repositories": others,
        });
        say(&format!("{list:#}"))?;
        return Ok(Exit::Done);
    }
    say(&table(&here, args.slots))?;
    say(&format!("The cache is {}.", dir.display()))?;
    if others > 0 {
        say(&format!("It has {others} repositories besides that are no Whisper models."))?;
    }
    Ok(Exit::Done)
}

fn published() -> impl Iterator<Item = (&'static str, Footprint)> {
    SIZES.iter().filter_map(|size| Some((size.hub_id, footprint(&ModelFiles::Random(*size))?)))
}

/// `None` where the shape cannot be read.
fn footprint(files: &ModelFiles) -> Option<Footprint> {
    Footprint::of(&files.read("config.json").ok()??).ok()
}

fn described(id: &str, snapshot: &Snapshot, slots: usize) -> Value {
    let files = ModelFiles::Folder(snapshot.folder.clone());
    let mut entry = shape(footprint(&files).as_ref(), slots);
    entry["id"] = json!(id);
    entry["commit"] = json!(snapshot.commit);
    entry["revisions"] = json!(snapshot.refs);
    entry["folder"] = json!(snapshot.folder);
    entry["bytes"] = json!(snapshot.bytes);
    entry["complete"] = json!(snapshot.missing.is_none());
    entry["missing"] = json!(snapshot.missing);
    entry["stored_as"] = json!(stored(&files));
    entry
}

fn shape(footprint: Option<&Footprint>, slots: usize) -> Value {
    let Some(footprint) = footprint else { return json!({"parameters": null, "memory_bytes": null}) };
    let memory = Form::ALL.map(|form| (form.name().to_owned(), json!(footprint.bytes(form, slots))));
    json!({"parameters": footprint.parameters(), "memory_bytes": Value::Object(memory.into_iter().collect())})
}

/// The kind of the weights on the disk, by their header alone.
fn stored(files: &ModelFiles) -> Option<String> {
    Whisper::stored_as(files).ok().map(|kind| kind.to_lowercase())
}

const HEAD: [&str; 8] = ["MODEL", "REVISION", "ON DISK", "PARAMETERS", "STORED AS", "F32", "F16", "Q8_0"];

fn table(here: &[(&str, &Snapshot)], slots: usize) -> String {
    let mut rows: Vec<[String; 8]> = vec![HEAD.map(str::to_owned)];
    let mut incomplete = Vec::new();
    for (id, snapshot) in here {
        let files = ModelFiles::Folder(snapshot.folder.clone());
        let kind = match &snapshot.missing {
            None => stored(&files).unwrap_or_else(|| "broken".to_owned()),
            Some(missing) => {
                incomplete.push(format!("{id} at {} is incomplete: there is no {missing}", named(snapshot)));
                "incomplete".to_owned()
            }
        };
        let bytes = DecimalBytes(snapshot.bytes).to_string();
        rows.push(row(id, [named(snapshot), bytes, kind], footprint(&files).as_ref(), slots));
    }
    let demo = ["in the program".to_owned(), String::new(), stored(&ModelFiles::Demo).unwrap_or_default()];
    rows.push(row("demo", demo, footprint(&ModelFiles::Demo).as_ref(), slots));
    let is_here = |id: &str| here.iter().any(|(other, _)| *other == id);
    for (id, footprint) in published().filter(|(id, _)| !is_here(id)) {
        rows.push(row(id, ["not here".to_owned(), String::new(), String::new()], Some(&footprint), slots));
    }
    let mut text = String::new();
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for (at, (field, width)) in row.iter().zip(&widths).enumerate() {
            // Figures stand to the right.
            let _ = match matches!(at, 2 | 3 | 5..) {
                true => write!(line, "{field:>width$}  "),
                false => write!(line, "{field:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(
        text,
        "\nF32 and Q8_0 are memory on a CPU, F16 is memory on a GPU: weights, caches of {slots} windows at once, and room to work."
    );
    incomplete.iter().for_each(|line| {
        let _ = writeln!(text, "{line}.");
    });
    text.trim_end().to_owned()
}

fn row(
    id: &str,
    [revision, bytes, kind]: [String; 3],
    footprint: Option<&Footprint>,
    slots: usize,
) -> [String; 8] {
    let memory = |form| footprint.map_or(String::new(), |one| HumanBytes(one.bytes(form, slots)).to_string());
    let parameters = footprint.map_or(String::new(), |one| millions(one.parameters()));
    [id.to_owned(), revision, bytes, parameters, kind, memory(Form::F32), memory(Form::F16), memory(Form::Q8)]
}

fn millions(parameters: u64) -> String {
    format!("{:.1} M", parameters as f64 / 1e6)
}

fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / GIB as f64)
}

const ABOUT: &str = "\
# Models and memory

Made by `verbatim models list --markdown` out of the code that chooses how many windows are worked on at once; a test holds this page to it. \
`verbatim models list` says the same of what is in the cache, `--slots N` for other numbers of windows, `--json` in bytes.

Memory in GiB: weights, keys and values of so many windows of 30 s at once (and of the spare rows for beams), and the most that an encoder pass, a step \
or an alignment is thought to hold. f32 and q8_0 are on a CPU, q8_0 by our own kernels (a release build on a processor with AVX2, AVX-512 or NEON; \
elsewhere its weights take as much as f32), f16 is on a GPU. bf16 takes what f16 takes. The program itself, uploads and their samples come on top \
(`server.max_uploads_bytes`, `audio.max_decoded_total_bytes`).
";

/// Of this program alone, the same on every machine.
pub(super) fn markdown() -> String {
    let mut page = ABOUT.to_owned();
    let mut line = |text: String| {
        let _ = writeln!(page, "{text}");
    };
    line(
        "\n| `--model` | Parameters | f32, 1 window | f32, 8 | f16, 1 | f16, 8 | q8_0, 1 | q8_0, 8 |"
            .to_owned(),
    );
    line("|---|--:|--:|--:|--:|--:|--:|--:|".to_owned());
    let demo = footprint(&ModelFiles::Demo).map(|footprint| ("demo", footprint));
    for (id, footprint) in demo.into_iter().chain(published()) {
        let memory = Form::ALL.map(|form| [1, 8].map(|slots| gib(footprint.bytes(form, slots))).join(" | "));
        line(format!("| `{id}` | {} | {} |", millions(footprint.parameters()), memory.join(" | ")));
    }
    line(
        "\nWindows at once that are chosen for a GPU of so many GiB that nobody else uses (half a GiB is reckoned for the driver), in f16, \
         where `model.slots` is 0; -: it does not fit.\n"
            .to_owned(),
    );
    line(format!("| `--model` | {} |", CARDS.iter().map(u64::to_string).collect::<Vec<_>>().join(" | ")));
    line(format!("|---|{}", "--:|".repeat(CARDS.len())));
    for (id, footprint) in published() {
        let slots = CARDS.iter().map(|card| {
            let slots = footprint.slots_on_gpu(card * GIB - TAKEN);
            slots.map_or_else(|| "-".to_owned(), |slots| slots.to_string())
        });
        line(format!("| `{id}` | {} |", slots.collect::<Vec<_>>().join(" | ")));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_models_md_is_what_the_program_prints() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == markdown(), "run: cargo run -- models list --markdown > docs/models.md");
    }

    #[test]
    fn an_empty_cache_gives_the_demo_model_and_all_published_sizes() {
        let table = table(&[], 8);
        assert!(table.lines().any(|line| line.starts_with("demo ") && line.contains("4.5 M")), "{table}");
        for size in SIZES {
            assert!(table.contains(size.hub_id), "{table}");
        }
    }
}
