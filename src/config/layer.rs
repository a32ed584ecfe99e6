//! One source of settings in, a figment layer out, after a check that it names no key that does not exist.

use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::upgrade::{Renaming, check_version};

/// Settings of one place, under a name for error messages.
pub(super) struct Layer {
    place: String,
    values: Dict,
    /// Where one key has a place of its own: the variable that set it.
    places: Vec<(String, String)>,
}

impl Layer {
    /// A file with keys that there are.
    pub fn file(path: &Path, known: &Dict, renaming: &mut Renaming) -> Result<Layer, ConfigError> {
        let layer = Layer::read(path, renaming)?;
        layer.refuse_unknown(known)?;
        Ok(layer)
    }

    pub fn read(path: &Path, renaming: &mut Renaming) -> Result<Layer, ConfigError> {
        let place = path.display().to_string();
        let unreadable = |detail: String| ConfigError::File { path: place.clone(), detail };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let mut values: Dict = Figment::from(Toml::string(&text))
            .extract()
            .map_err(|error| unreadable(error.kind.to_string()))?;
        check_version(&mut values, &place)?;
        renaming.renew(&mut values, &place)?;
        Ok(Layer { place, values, places: Vec::new() })
    }

    pub fn refuse_unknown(&self, known: &Dict) -> Result<(), ConfigError> {
        let known: Vec<String> = leaves(known).into_iter().map(|(key, _)| key).collect();
        let unknown = leaves(&self.values).into_iter().map(|(key, _)| key).find(|key| {
            // A scalar where a section belongs is left for the type error, which says so better.
            !known.contains(key) && !known.iter().any(|other| other.starts_with(&format!("{key}.")))
        });
        match unknown {
            None => Ok(()),
            Some(key) => {
                let nearest = nearest(&key, &known);
                Err(ConfigError::UnknownKey { key, place: self.place.clone(), nearest })
            }
        }
    }

    /// Keys with the variable that set each and its value; later ones win.
    pub fn environment(found: Vec<(String, String, Value)>) -> Layer {
        let values = nest(found.iter().map(|(key, _, value)| (key.as_str(), value.clone())));
        let places = found.into_iter().rev().map(|(key, name, _)| (key, name)).collect();
        Layer { place: "the environment".to_owned(), values, places }
    }

    pub fn flags(values: &[(&'static str, Value)]) -> Layer {
        let values = nest(values.iter().map(|(key, value)| (*key, value.clone())));
        Layer { place: "the command line".to_owned(), values, places: Vec::new() }
    }

    /// Whether this layer sets the key, or something in the section of that name.
    pub fn has(&self, key: &str) -> bool {
        Value::from(self.values.clone()).find_ref(key).is_some()
    }

    /// What it says of the key, or of a whole section, is forgotten.
    pub fn remove(&mut self, key: &str) {
        remove(&mut self.values, key);
    }

    /// `None` where this layer does not set the key.
    pub fn place_of(&self, key: &str) -> Option<String> {
        if !self.has(key) {
            return None;
        }
        let own = self.places.iter().find(|(other, _)| other == key).map(|(_, place)| place);
        Some(own.unwrap_or(&self.place).clone())
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// `a.b = v` as tables in tables.
fn nest<'a>(values: impl Iterator<Item = (&'a str, Value)>) -> Dict {
    let mut root = Dict::new();
    for (key, value) in values {
        insert(&mut root, key, value);
    }
    root
}

pub(super) fn insert(table: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = table.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Sections that are empty then go too.
fn remove(table: &mut Dict, key: &str) {
    let Some((section, rest)) = key.split_once('.') else {
        table.remove(key);
        return;
    };
    if let Some(Value::Dict(_, inner)) = table.get_mut(section) {
        remove(inner, rest);
        if inner.is_empty() {
            table.remove(section);
        }
    }
}

/// Every value below `dict` with its dotted key.
pub(super) fn leaves(dict: &Dict) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in dict {
        match value {
            Value::Dict(_, inner) => {
                found.extend(leaves(inner).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => found.push((name.clone(), value.clone())),
        }
    }
    found
}

/// The known key that a typing error may have been meant for: at most two edits away, or the same name in another section.
pub(super) fn nearest(key: &str, known: &[String]) -> Option<String> {
    let name = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let close = known.iter().min_by_key(|other| edits(key, other)).filter(|other| edits(key, other) <= 2);
    close.or_else(|| known.iter().find(|other| name(other) == name(key))).cloned()
}

/// Levenshtein's distance, row by row.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(
            (edits("port", "port"), edits("prot", "port"), edits("", "abc"), edits("a", "ab")),
            (0, 2, 3, 1)
        );
    }

    #[test]
    fn dotted_keys_become_tables() {
        let dict =
            nest([("a.b", Value::from(1)), ("a.c", Value::from(2)), ("d", Value::from(3))].into_iter());
        let keys: Vec<String> = leaves(&dict).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a.b", "a.c", "d"]);
    }
}
