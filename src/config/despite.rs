//! The same four layers as `load`, for whoever must go on whatever they say: what cannot be used is left out, and told.

use std::path::Path;

use super::layer::Layer;
use super::upgrade::{RENAMED, Renaming};
use super::{Config, ConfigError, Overrides, environment};

impl Config {
    /// What is right of the settings, and all that is not.
    pub fn load_despite(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: &Overrides,
    ) -> (Config, Vec<ConfigError>) {
        let known = Config::defaults();
        let mut wrong = Vec::new();
        let mut layers = Vec::new();
        let mut renaming = Renaming::by(RENAMED);
        match file.map(|file| Layer::read(file, &mut renaming)) {
            None => {}
            Some(Err(error)) => wrong.push(error),
            Some(Ok(mut layer)) => {
                while let Err(error) = layer.refuse_unknown(&known) {
                    let ConfigError::UnknownKey { key, .. } = &error else { break };
                    layer.remove(key);
                    wrong.push(error);
                }
                layers.push(layer);
            }
        }
        let mut variables: Vec<(String, String)> = variables.collect();
        layers.push(loop {
            match environment::read(variables.iter().cloned(), &known, &mut renaming) {
                Ok(layer) => break layer,
                Err(error) => {
                    if let ConfigError::UnknownKey { key, .. } = &error {
                        variables.retain(|(name, _)| name != key);
                    }
                    wrong.push(error);
                }
            }
        });
        layers.push(Layer::flags(&flags.0));
        loop {
            match Config::merge(&layers) {
                Ok(config) => return (config, wrong),
                Err(error) => {
                    let is_out =
                        matches!(&error, ConfigError::Value { key, .. } if take_out(&mut layers, key));
                    wrong.push(error);
                    if !is_out {
                        return (Config::default(), wrong);
                    }
                }
            }
        }
    }

    /// Names of the variables that set something, in the order of the alphabet.
    pub fn variables(all: impl Iterator<Item = (String, String)>) -> Vec<String> {
        let ours = all.filter(|(name, text)| !text.is_empty() && environment::is_ours(name));
        let mut names: Vec<String> = ours.map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

/// Removes the key from the layer whose value was taken; where no layer has it, the section that it stands in. Each call makes the layers
/// smaller, or says that it cannot.
fn take_out(layers: &mut [Layer], key: &str) -> bool {
    std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0)).any(|key| {
        match layers.iter_mut().rev().find(|it| it.has(key)) {
            Some(layer) => {
                layer.remove(key);
                true
            }
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> (Config, Vec<String>) {
        let mut toml = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        toml.write_all(file.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (config, wrong) = Config::load_despite(Some(toml.path()), variables, &Overrides::default());
        (config, wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_right_is_kept_and_all_that_is_wrong_is_told() {
        let file = "[server]\nport = 9000\nprot = 1\n[engine]\nqueue_windows = 0\n[modle]\nname = 'x'\n";
        let variables = [("VERBATIM_MODEL__SLOTS", "many"), ("VERBATIM_DEVICE", "cpu"), ("VERBATIM_X", "1")];
        let (config, wrong) = load(file, &variables);
        assert_eq!((config.server.port, config.model.device.as_str(), config.model.slots), (9000, "cpu", 0));
        assert_eq!(config.engine, Config::default().engine);
        assert_eq!(wrong.len(), 5, "{wrong:#?}");
        for word in
            ["server.prot", "engine.queue_windows", "modle.name", "VERBATIM_MODEL__SLOTS", "VERBATIM_X"]
        {
            assert!(wrong.iter().any(|problem| problem.contains(word)), "{word}: {wrong:#?}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_come_to_an_end() {
        let (config, wrong) = load("[jobs]\nnats_url = 'nats://a'\n[server]\nport = 9000\n", &[]);
        assert_eq!((config.jobs.nats_url, config.server.port), (None, 9000));
        assert!(wrong.len() == 1 && wrong[0].contains("jobs.store_url"), "{wrong:?}");
        assert_eq!(load("model = 3", &[]).0, Config::default());
        assert_eq!(load("[model", &[]).1.len(), 1);
        let (config, wrong) = load("[server]\ncors_origins = ['a', 3]\nkeys = [['x']]\n", &[]);
        assert_eq!((config.server, wrong.len()), (Config::default().server, 2));
    }

    #[test]
    fn what_is_right_needs_no_mercy() {
        let variables =
            [("VERBATIM_SERVER__PORT", "9000"), ("HF_TOKEN", "x"), ("PATH", "/bin"), ("HF_X", "1")];
        let (config, wrong) = load("", &variables);
        assert_eq!((config.server.port, wrong), (9000, Vec::new()));
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(Config::variables(variables), ["HF_TOKEN", "VERBATIM_SERVER__PORT"]);
    }
}
