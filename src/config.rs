//! Flags, environment and a file in, one valid `Config` out, or an error that names the key and where it was set.
//!
//! Each section belongs to the module that uses it; this file only gathers them. Flags win over the environment, that
//! over the file, that over the defaults.

mod despite;
mod environment;
mod layer;
mod reference;
mod upgrade;

use std::path::Path;

use figment::Figment;
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

use crate::{audio, engine, http, jobs, model, telemetry, transcriber};
use layer::{Layer, leaves};
use upgrade::{RENAMED, Renamed, Renaming};

pub use upgrade::VERSION;

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: http::Settings,
    pub model: model::Settings,
    pub audio: audio::Settings,
    pub transcriber: transcriber::Settings,
    pub engine: engine::Settings,
    pub sessions: http::SessionSettings,
    pub jobs: jobs::Settings,
    pub log: telemetry::Settings,
    pub telemetry: telemetry::Export,
}

/// What the command line sets, by key: `server.port`.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(&'static str, Value)>);

impl Overrides {
    /// `None` leaves the key to the other layers.
    pub fn set(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| (key, value.into())));
    }

    /// What is set, in its order.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|(key, _)| *key)
    }
}

impl Config {
    /// `load_with_notes`, without what is to be said.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: &Overrides,
    ) -> Result<Config, ConfigError> {
        Config::load_with_notes(file, variables, flags).map(|(config, _)| config)
    }

    /// All four layers, and a sentence for each key that has another name by now. `variables` is the process's environment, handed
    /// in so that tests have their own.
    pub fn load_with_notes(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: &Overrides,
    ) -> Result<(Config, Vec<String>), ConfigError> {
        Config::read(file, variables, flags, RENAMED)
    }

    fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: &Overrides,
        renamed: &[Renamed],
    ) -> Result<(Config, Vec<String>), ConfigError> {
        let defaults = Config::defaults();
        let mut renaming = Renaming::by(renamed);
        let mut layers = Vec::new();
        if let Some(path) = file {
            layers.push(Layer::file(path, &defaults, &mut renaming)?);
        }
        layers.push(environment::read(variables, &defaults, &mut renaming)?);
        layers.push(Layer::flags(&flags.0));
        Ok((Config::merge(&layers)?, renaming.said))
    }

    /// A file alone over the defaults.
    pub fn from_file(path: &Path) -> Result<Config, ConfigError> {
        let mut renaming = Renaming::by(RENAMED);
        Config::merge(&[Layer::file(path, &Config::defaults(), &mut renaming)?])
    }

    /// docs/settings.md: every setting, out of config/default.toml and this code.
    pub fn reference() -> String {
        reference::markdown(&Config::defaults())
    }

    /// Every flag that config/default.toml promises, and the key that it sets.
    pub fn flags() -> Vec<(String, String)> {
        reference::flags(&Config::defaults())
    }

    /// Every key that there is, dotted.
    pub fn keys() -> Vec<String> {
        leaves(&Config::defaults()).into_iter().map(|(key, _)| key).collect()
    }

    fn merge(layers: &[Layer]) -> Result<Config, ConfigError> {
        let figment = layers.iter().fold(Figment::new(), Figment::merge);
        let wrong = |key: String, problem: String| {
            // The last layer that sets the key is the one whose value was taken.
            let place = layers.iter().rev().find_map(|layer| layer.place_of(&key));
            ConfigError::Value { key, problem, place }
        };
        let config: Config =
            figment.extract().map_err(|error| wrong(error.path.join("."), error.kind.to_string()))?;
        config.validate().map_err(|(key, problem)| wrong(key.to_owned(), problem.to_owned()))?;
        Ok(config)
    }

    fn defaults() -> Dict {
        let value = Value::serialize(Config::default()).expect("settings are plain data");
        value.into_dict().expect("a struct is a table")
    }

    /// What types alone do not say: the key that is wrong, and why.
    fn validate(&self) -> Result<(), (&'static str, &'static str)> {
        let positive = [
            ("server.max_requests", self.server.max_requests),
            ("server.max_connections", self.server.max_connections),
            ("server.max_body_bytes", self.server.max_body_bytes as usize),
            ("server.max_uploads_bytes", self.server.max_uploads_bytes as usize),
            ("server.max_queue_audio_seconds", self.server.max_queue_audio_seconds as usize),
            ("server.realtime.max_sessions", self.server.realtime.max_sessions),
            ("server.realtime.max_unread_events", self.server.realtime.max_unread_events),
            ("transcriber.windows_in_flight", self.transcriber.windows_in_flight),
            ("engine.queue_windows", self.engine.queue_windows),
            ("sessions.max_sessions", self.sessions.max_sessions),
            ("sessions.max_seconds", self.sessions.max_seconds as usize),
            ("sessions.idle_timeout_seconds", self.sessions.idle_timeout_seconds as usize),
            ("sessions.max_memory_bytes", self.sessions.max_memory_bytes),
            ("jobs.max_items", self.jobs.max_items),
            ("jobs.max_queued_items", self.jobs.max_queued_items),
            ("jobs.max_job_bytes", self.jobs.max_job_bytes as usize),
            ("audio.max_duration_seconds", self.audio.max_duration_seconds as usize),
            ("audio.max_decoded_bytes", self.audio.max_decoded_bytes),
            ("audio.max_decoded_total_bytes", self.audio.max_decoded_total_bytes),
            ("audio.max_channels", self.audio.max_channels),
            ("audio.max_decode_seconds", self.audio.max_decode_seconds as usize),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err((key, "must be at least 1"));
        }
        self.server.check().and_then(|()| self.jobs.check())
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    #[error("the settings file {path} cannot be read: {detail}")]
    File { path: String, detail: String },
    #[error(
        "{place}: it is written for config_version {found}, and this is verbatim {}, which reads up to {VERSION}: it takes a \
         newer verbatim, or a file for this one (docs/upgrading.md)",
        env!("CARGO_PKG_VERSION")
    )]
    Newer { place: String, found: i128 },
    #[error("{place}: {key:?} is not a setting{}", hint(nearest))]
    UnknownKey { key: String, place: String, nearest: Option<String> },
    #[error("{key}: {problem}{}", place.as_ref().map(|place| format!(" (set in {place})")).unwrap_or_default())]
    Value { key: String, problem: String, place: Option<String> },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|key| format!("; did you mean {key:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn load(file: &str, variables: &[(&str, &str)], flags: &Overrides) -> Result<Config, String> {
        let mut toml = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        toml.write_all(file.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(toml.path()), variables, flags).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[model]\nname = 'file'\nrevision = 'file'\ndevice = 'file'\n";
        let variables = [("VERBATIM_MODEL__REVISION", "123"), ("VERBATIM_MODEL__DEVICE", "environment")];
        let mut flags = Overrides::default();
        flags.set("model.device", Some("flag"));
        flags.set("model.name", None::<&str>);
        let model = load(file, &variables, &flags).unwrap().model;
        let got = (model.name.as_str(), model.revision.as_str(), model.device.as_str(), model.slots);
        assert_eq!(got, ("file", "123", "flag", model::Settings::default().slots));
    }

    #[test]
    fn the_documented_file_holds_every_key_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml");
        assert_eq!(Config::from_file(&path), Ok(Config::default()));
        let text = std::fs::read_to_string(path).unwrap();
        for key in Config::keys() {
            let name = key.rsplit('.').next().unwrap();
            let documented =
                text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name} =")));
            assert!(documented, "config/default.toml does not document {key}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_place() {
        let error = load("[model]\nrevison = 'x'", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("model.revison") && error.contains(".toml"), "{error}");
        assert!(error.contains("did you mean \"model.revision\""), "{error}");
        let error = load("[modle]\nname = 'x'", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("modle"), "{error}");
        let error = load("", &[("VERBATIM_MODEL__REVISON", "x")], &Overrides::default()).unwrap_err();
        assert!(error.contains("VERBATIM_MODEL__REVISON"), "{error}");
    }

    #[test]
    fn a_bad_value_is_refused_by_key_and_place() {
        let error = load("[model]\nslots = 'many'", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("model.slots") && error.contains(".toml"), "{error}");
        let error = load("", &[("VERBATIM_MODEL__SLOTS", "many")], &Overrides::default()).unwrap_err();
        assert!(error.contains("model.slots") && error.contains("VERBATIM_MODEL__SLOTS"), "{error}");
        let error = load("[engine]\nqueue_windows = 0", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("engine.queue_windows"), "{error}");
        let error = load("[server]\ncors_origins = ['app.example']", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("server.cors_origins"), "{error}");
        let error = load("", &[("VERBATIM_SERVER__OPEN_ROUTES", "/docs,metrics")], &Overrides::default());
        assert!(error.unwrap_err().contains("server.open_routes"));
        let error = load("model = 3", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("model"), "{error}");
        let error = load("[model", &[], &Overrides::default()).unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
