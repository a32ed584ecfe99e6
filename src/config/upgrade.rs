//! Settings as they were written for an earlier version in, the same under today's keys out, with a sentence for each that has moved.
//!
//! How keys are renamed, and when an old one stops being read: docs/upgrading.md.

use figment::value::{Dict, Value};

use super::ConfigError;
use super::layer::insert;

/// Of settings files. It rises when a file that was right would be read otherwise than before.
pub const VERSION: u32 = 1;
/// Where a file says which one it was written for; a file that does not was written for the first.
pub const VERSION_KEY: &str = "config_version";

/// A key that has another name now.
#[derive(Clone, Copy, Debug)]
pub struct Renamed {
    /// Dotted, as `server.port`.
    pub old: &'static str,
    pub new: &'static str,
    /// The version of Verbatim from which on the old one is refused.
    pub until: &'static str,
}

/// None yet. A row stays until the version that it names.
pub const RENAMED: &[Renamed] = &[];

/// The old names that are still read, and what is to be said of those that were found.
#[derive(Debug)]
pub(super) struct Renaming<'a> {
    pub table: &'a [Renamed],
    pub said: Vec<String>,
}

impl<'a> Renaming<'a> {
    pub fn by(table: &'a [Renamed]) -> Self {
        Renaming { table, said: Vec::new() }
    }

    /// Today's name of `key`, which `place` calls `spelt`.
    pub fn today(&mut self, key: &str, (spelt, place): (&str, &str)) -> Option<&'static str> {
        let Renamed { new, until, .. } = self.table.iter().find(|renamed| renamed.old == key)?;
        self.said.push(format!(
            "{place}: {spelt:?} is now called {new:?}; the old name is read until version {until}"
        ));
        Some(new)
    }

    /// Moves what a file has under old names.
    pub fn renew(&mut self, values: &mut Dict, place: &str) -> Result<(), ConfigError> {
        for Renamed { old, .. } in self.table {
            let Some(value) = take(values, old) else { continue };
            let Some(new) = self.today(old, (old, place)) else { continue };
            if Value::from(values.clone()).find_ref(new).is_some() {
                let problem = format!("is set, and so is {old:?}, its old name: remove that");
                let (key, place) = ((*new).to_owned(), Some(place.to_owned()));
                return Err(ConfigError::Value { key, problem, place });
            }
            insert(values, new, value);
        }
        Ok(())
    }
}

/// Takes the version out of a file's values. One that is not known yet is refused: the file may mean what nobody here can tell.
pub(super) fn check_version(values: &mut Dict, place: &str) -> Result<(), ConfigError> {
    let Some(value) = values.remove(VERSION_KEY) else { return Ok(()) };
    match value.to_i128() {
        Some(found) if (1..=i128::from(VERSION)).contains(&found) => Ok(()),
        Some(found) if found > 0 => Err(ConfigError::Newer { place: place.to_owned(), found }),
        _ => Err(ConfigError::Value {
            key: VERSION_KEY.to_owned(),
            problem: "must be a whole number from 1 on".to_owned(),
            place: Some(place.to_owned()),
        }),
    }
}

/// Takes a dotted key out, and tables that are empty without it.
fn take(table: &mut Dict, key: &str) -> Option<Value> {
    let Some((section, rest)) = key.split_once('.') else { return table.remove(key) };
    let Value::Dict(_, inner) = table.get_mut(section)? else { return None };
    let value = take(inner, rest);
    if inner.is_empty() {
        table.remove(section);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Overrides};
    use super::*;

    const TABLE: &[Renamed] = &[
        Renamed { old: "server.socket", new: "server.port", until: "0.3.0" },
        Renamed { old: "dictation.max_seconds", new: "sessions.max_seconds", until: "0.3.0" },
    ];

    fn read(file: &str, variables: &[(&str, &str)]) -> Result<(Config, Vec<String>), String> {
        let path = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(path.path(), file).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(Some(path.path()), variables, &Overrides::default(), TABLE)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_old_key_is_read_and_a_warning_names_the_new_one() {
        let (config, said) = read("[server]\nsocket = 9\n[dictation]\nmax_seconds = 7\n", &[]).unwrap();
        assert_eq!((config.server.port, config.sessions.max_seconds), (9, 7));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("\"server.socket\" is now called \"server.port\""), "{said:?}");
        assert!(said[0].contains(".toml") && said[0].contains("0.3.0"), "{said:?}");
        assert!(read("[server]\nport = 9\n", &[]).unwrap().1.is_empty());
    }

    #[test]
    fn an_old_variable_is_read_too_and_called_as_it_was_written() {
        let (config, said) = read("[server]\nport = 1", &[("VERBATIM_SERVER__SOCKET", "9")]).unwrap();
        assert_eq!(config.server.port, 9);
        assert!(said[0].contains("VERBATIM_SERVER__SOCKET") && said[0].contains("server.port"), "{said:?}");
    }

    #[test]
    fn both_names_at_once_in_a_file_are_refused() {
        let error = read("[server]\nsocket = 9\nport = 8\n", &[]).unwrap_err();
        assert!(error.contains("server.port") && error.contains("server.socket"), "{error}");
    }

    #[test]
    fn what_an_old_key_says_is_judged_as_ever() {
        let error = read("[server]\nsocket = 'nine'\n", &[]).unwrap_err();
        assert!(error.contains("server.port") && error.contains(".toml"), "{error}");
    }

    #[test]
    fn a_file_for_a_later_version_is_refused_with_a_sentence() {
        assert!(read("config_version = 1\n[server]\nport = 9", &[]).is_ok());
        let error = read("config_version = 2", &[]).unwrap_err();
        assert!(error.contains("config_version 2") && error.contains("newer verbatim"), "{error}");
        for wrong in ["'one'", "0", "-1", "1.5"] {
            let error = read(&format!("config_version = {wrong}"), &[]).unwrap_err();
            assert!(error.contains("config_version") && error.contains("whole number"), "{error}");
        }
    }

    #[test]
    fn new_names_of_the_table_exist_and_old_ones_do_not() {
        let keys = Config::keys();
        for renamed in RENAMED.iter().chain(TABLE) {
            assert!(keys.iter().any(|key| key == renamed.new), "{renamed:?}");
            assert!(keys.iter().all(|key| key != renamed.old), "{renamed:?}");
        }
    }
}
