//! config/default.toml and the defaults of the code in, the reference of all settings as Markdown out (docs/settings.md).
//!
//! The file is the single source of what a key means, the code that of which keys there are, their kinds and their defaults; a test in
//! config.rs holds the one to the other.

use std::fmt::Write;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::Config;
use super::environment::{SHORT, name_of};
use super::layer::{insert, leaves};
use super::upgrade::{VERSION, VERSION_KEY};

const DOCUMENTED: &str = include_str!("../../config/default.toml");
/// Before the end of a comment's line that names flags and variables.
const BEFORE_FLAGS: &str = "   ";

const HEAD: &str = "\
# Settings

Made by `verbatim settings` out of `config/default.toml` and the code; a test holds this page to them.

Flags win over the environment, the environment over the file (`--config FILE`), the file over the defaults. A file is TOML and needs only what it \
changes. In the environment a setting is `VERBATIM_<SECTION>__<KEY>`, lists with commas; beside that name the tables have the short names that some \
have, over which the full one wins. An empty variable sets nothing. A key that does not exist is refused, with the one that may have been meant.
";

/// What the file says of one key.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    key: String,
    /// As TOML; of a key that is commented out, an example.
    value: String,
    is_default: bool,
    meaning: String,
    flags: Vec<String>,
}

#[derive(Debug, Default)]
struct Section {
    /// `server.realtime`; empty before the first.
    name: String,
    intro: String,
    entries: Vec<Entry>,
}

pub(super) fn markdown(defaults: &Dict) -> String {
    let mut page = HEAD.to_owned();
    let mut line = |text: String| {
        let _ = writeln!(page, "{text}");
    };
    line(format!(
        "\n`{VERSION_KEY}`, before the first section of a file, says which version of the settings it was written for; this program reads up to \
         {VERSION}, and a file without it counts as 1 ([upgrading.md](upgrading.md))."
    ));
    for section in sections(defaults).iter().filter(|section| !section.name.is_empty()) {
        line(format!("\n## [{}]\n", section.name));
        if !section.intro.is_empty() {
            line(format!("{}\n", section.intro));
        }
        line("| Key | Kind | Default | Variable, flag | Meaning |\n|---|---|---|---|---|".to_owned());
        for entry in &section.entries {
            let key = format!("{}.{}", section.name, entry.key);
            let default = match entry.is_default {
                true => format!("`{}`", entry.value),
                false => format!("none; such as `{}`", entry.value),
            };
            let mut others = vec![name_of(&key)];
            others.extend(SHORT.iter().filter(|(_, of)| *of == key).map(|(name, _)| (*name).to_owned()));
            others.extend(entry.flags.iter().cloned());
            let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            line(format!(
                "| `{}` | {} | {} | {} | {} |",
                entry.key,
                kind_of(&key, &entry.value),
                cell(&default),
                others.join("<br>"),
                cell(&entry.meaning)
            ));
        }
    }
    page
}

/// `(flag, key)`, each flag as `--port`.
pub(super) fn flags(defaults: &Dict) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for Section { name, entries, .. } in sections(defaults) {
        for Entry { key, flags, .. } in entries {
            found.extend(flags.into_iter().map(|flag| (flag, format!("{name}.{key}"))));
        }
    }
    found
}

/// By the default or the example, and of numbers by what the code takes.
fn kind_of(key: &str, written: &str) -> &'static str {
    match written.as_bytes().first() {
        Some(b'[') => "list of texts",
        Some(b'"') => "text",
        _ if written == "true" || written == "false" => "true or false",
        _ if takes_fractions(key) => "number",
        _ => "whole number",
    }
}

fn takes_fractions(key: &str) -> bool {
    let mut asked = Dict::new();
    insert(&mut asked, key, Value::from(1.5));
    Figment::from(Serialized::defaults(asked)).extract::<Config>().is_ok()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn sections(defaults: &Dict) -> Vec<Section> {
    let known = leaves(defaults);
    let mut sections = vec![Section::default()];
    let mut comment = Vec::new();
    for line in DOCUMENTED.lines().map(str::trim_end) {
        let Some(section) = sections.last_mut() else { break };
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (intro, _) = said(&std::mem::take(&mut comment));
            sections.push(Section { name: name.to_owned(), intro, entries: Vec::new() });
            continue;
        }
        let text = line.trim_start_matches('#').trim_start();
        let pair = text.split_once(" = ").filter(|(key, _)| {
            let dotted = format!("{}.{key}", section.name);
            known.iter().any(|(known, _)| *known == dotted)
        });
        match pair {
            Some((key, value)) => {
                let (meaning, flags) = match (comment.is_empty(), section.entries.last()) {
                    // Under one comment with the key before.
                    (true, Some(before)) => (before.meaning.clone(), Vec::new()),
                    _ => said(&std::mem::take(&mut comment)),
                };
                let is_default = !line.starts_with('#');
                section.entries.push(Entry {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    is_default,
                    meaning,
                    flags,
                });
            }
            None if line.starts_with('#') => comment.push(text),
            None => comment.clear(),
        }
    }
    sections
}

/// A comment's lines as one text, and the flags that their ends name.
fn said(lines: &[&str]) -> (String, Vec<String>) {
    let mut text = Vec::new();
    let mut flags = Vec::new();
    for line in lines {
        let (meaning, ends) = line.split_once(BEFORE_FLAGS).unwrap_or((line, ""));
        text.push(meaning.trim());
        let words = ends.split([' ', ',']).filter(|word| word.starts_with("--"));
        flags.extend(words.map(str::to_owned));
    }
    (text.join(" "), flags)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn docs_settings_md_is_what_the_program_prints() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == Config::reference(), "run: cargo run -- settings > docs/settings.md");
    }

    #[test]
    fn every_key_has_one_row_with_its_meaning() {
        let defaults = Config::defaults();
        let mut rows: Vec<String> = Vec::new();
        for section in sections(&defaults) {
            for entry in section.entries {
                assert!(entry.meaning.len() > 10, "{} has no meaning", entry.key);
                rows.push(format!("{}.{}", section.name, entry.key));
            }
        }
        let mut keys = Config::keys();
        keys.sort();
        rows.sort();
        assert_eq!(rows, keys);
    }

    #[test]
    fn the_file_names_the_short_variables_that_there_are_and_no_others() {
        for (name, key) in SHORT {
            assert!(DOCUMENTED.contains(name), "{name} of {key}");
        }
        let ends = DOCUMENTED.lines().filter_map(|line| line.split_once(BEFORE_FLAGS)).map(|(_, ends)| ends);
        for word in ends.flat_map(|ends| ends.split([' ', ','])) {
            let is_variable = word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            assert!(!is_variable || SHORT.iter().any(|(name, _)| *name == word), "{word}");
        }
    }

    #[test]
    fn kinds_are_told_by_default_or_example() {
        let page = Config::reference();
        for row in [
            "| `port` | whole number | `8080` | `VERBATIM_SERVER__PORT`<br>`--port` |",
            "| `cache_dir` | text | none; such as `\"/var/lib/verbatim/models\"` | `VERBATIM_MODEL__CACHE_DIR`<br>`HF_HUB_CACHE` |",
            "| `interactive_alone` | true or false | none; such as `true` |",
            "| `model_aliases` | list of texts |",
            "| `header_timeout_seconds` | number |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
    }
}
